/*
 * Fetch what is above the cursor, whatever the hint was: EXISTS, reconnect, timer.
 *
 * A small gap is one UID FETCH n:*. A large one is listed first and fetched in chunks, several under way. The cursor
 * moves with the rows of a chunk, in one transaction, up to the chunk's last UID: UIDs that are not there any more are
 * passed over, UIDs that are there and were not delivered get a row and are asked for again.
 *
 * Messages that turned up below the cursor (roll.c) come the same way, but leave the cursor where it is.
 */
#include "look_priv.h"

#define CHUNKS 6
/* Looks in vain, one soon after the other, before there is a pause. */
#define VAIN_MAX 10
#define VAIN_MS 1000

struct look *look_new(struct folder *f) {
    struct look *l = g_new0(struct look, 1);

    l->folder = f;
    f->look = l;
    return l;
}

static void count_vain(struct folder *f, bool vain) {
    uint64_t now = loop_now(f->account->keeper->loop);

    f->looks_vain = !vain ? 0 : now - f->vain_since > VAIN_MS ? 1 : f->looks_vain + 1;
    f->vain_since = now;
}

static void look_end(struct look *l) {
    struct folder *f = l->folder;
    bool failed = l->failed, any = l->any;

    imap_set_release(&l->todo);
    g_free(l);
    if (!f) {
        return;
    }
    f->look = NULL;
    count_vain(f, !failed && !any);
    if (failed) {
        f->look_again = true;
        folder_resume_in(f, FOLDER_RETRY_MS);
    } else if (f->look_again || any) {
        bool again = f->look_again;
        f->look_again = false;
        look_start(f, again);
    } else {
        f->not_before = f->new_from = 0; /* what comes from here on is new, whatever its date */
        roll_step(f);
    }
    watcher_nudge(f->watcher);
}

static void pump(struct look *l) {
    while (l->folder && !l->failed && l->line.length < CHUNKS && !imap_set_is_empty(&l->todo) &&
           account_has_room(l->folder->account)) {
        look_chunk_fetch(l);
    }
}

void look_settle(struct look *l) {
    bool more = l->folder && !l->failed && !imap_set_is_empty(&l->todo);

    if (more) {
        pump(l);
    }
    if (l->line.length) {
        return;
    }
    if (more) {
        l->folder->starved = true; /* goes on when there is room */
    } else {
        look_end(l);
    }
}

void look_continue(struct folder *f) {
    f->starved = false;
    if (f->look) {
        look_settle(f->look);
    } else {
        look_start(f, true);
    }
}

void look_cancel(struct folder *f) {
    struct look *l = f->look;

    f->starved = f->look_again = false;
    if (!l) {
        return;
    }
    f->look = NULL;

    l->folder = NULL;
    if (!l->line.length) {
        look_end(l);
    }
}

/* --- starting ----------------------------------------------------------------------------------------------------- */

static void begin(struct folder *f, uint32_t next, uint32_t gap) {
    struct chunk *c = look_chunk_new(f->look);
    session *s = folder_session(f);

    c->from = next;
    if (gap > session_batch(s) || f->poison) {
        session_search(s, &(imap_search_want){.uid_from = next},
                       &(session_call){.done = look_chunk_listed, .user = c, .uidvalidity = f->uidvalidity});
    } else {
        session_fetch_from(s, next, message_want(f, WIRE_EVENT_NEW),
                           &(session_call){.done = look_chunk_fetched, .data = look_chunk_delivered, .user = c,
                                           .uidvalidity = f->uidvalidity});
    }
}

bool look_below(struct folder *f, const imap_set *uids) {
    if (f->look || !account_has_room(f->account)) {
        return false;
    }
    look_new(f);
    f->look->below = true;
    for (size_t i = 0; i < uids->count; i++) {
        imap_set_add_range(&f->look->todo, uids->ranges[i].low, uids->ranges[i].high);
    }
    look_settle(f->look);
    return true;
}

void look_start(struct folder *f, bool hint) {
    session *s = folder_session(f);
    const session_folder *now = s ? session_selected(s) : NULL;

    if (!now || !f->scope || !f->cursor_known || f->settling || f->cursor.uidvalidity != f->uidvalidity) {
        return;
    }
    if (f->look) {
        f->look_again |= hint;
        return;
    }
    if (!account_has_room(f->account)) {
        f->starved = true;
        return;
    }
    uint32_t next = f->cursor.last_uid + 1;
    if (!next || (!hint && (!now->exists || (now->uidnext && now->uidnext <= next)))) {
        roll_step(f);
        watcher_nudge(f->watcher);
        return;
    }
    look_new(f);
    begin(f, next, now->uidnext > next ? now->uidnext - next : 0);
    watcher_hold(f->watcher);
}

static void on_lull(void *user) {
    look_start(user, true);
}

void look_announced(struct folder *f, bool hint) {
    event_loop *loop = f->account->keeper->loop;
    bool pause = f->looks_vain >= VAIN_MAX && loop_now(loop) - f->vain_since <= VAIN_MS;

    if (!f->lull) {
        f->lull = loop_timer_new(loop, on_lull, f);
    }
    if (pause && !loop_timer_active(f->lull)) {
        loop_timer_start(f->lull, VAIN_MS);
    } else if (!pause) {
        look_start(f, hint);
    }
}
