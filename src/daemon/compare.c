/*
 * What was not heard is asked for: what changed since the modification sequence of the last time, or the flags of all
 * messages.
 *
 * Where QRESYNC is enabled the same FETCH that asks for changes asks for what vanished. SELECT with QRESYNC would say
 * it a round trip earlier, but is the parameter that servers get wrong.
 */
#include "changes_priv.h"

/* All flags of a folder are fetched again at the earliest after this, and so much more for each message. */
#define PAUSE_MS 1000
#define PAUSE_MS_EACH 0.2
#define PAUSE_MS_MAX 60000

/* A comparison under way. */
struct compare {
    struct changes *changes; /* NULL = cancelled */
    imap_set todo;           /* what is still to be asked about */
    imap_set asked;
    uint64_t modseq; /* known to be complete up to here, once it is through */
};

/* --- what the server can do --------------------------------------------------------------------------------------- */

static bool can(const struct folder *f, enum imap_capability cap, bool enabled) {
    const session_info *info = f->watcher->session ? session_info_get(f->watcher->session) : NULL;

    return info && imap_can(info->caps, cap) && (!enabled || imap_can(info->enabled, cap));
}

/* What changed can be asked for; else all flags are fetched. */
static bool knows_since(const struct folder *f) {
    const session_folder *now = session_selected(folder_session(f));

    return can(f, IMAP_CAP_CONDSTORE, false) && f->cursor.snapshot && f->cursor.modseq && now && now->highestmodseq;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

void changes_start_over(struct changes *c) {
    struct folder *f = c->folder;

    c->due = c->fresh = true;
    if (changes_want_gone(f) && f->selected && !(can(f, IMAP_CAP_QRESYNC, true) && knows_since(f))) {
        roll_want_listing(f);
    }
}

void changes_selected(struct folder *f) {
    if (changes_on(f)) {
        changes_start_over(f->changes);
    }
}

void compare_cancel(struct changes *c) {
    if (c->compare) {
        c->compare->changes = NULL; /* freed by its answer */
        c->compare = NULL;
        c->due = true;
    }
}

void changes_cancel(struct folder *f) {
    if (f->changes) {
        compare_cancel(f->changes);
    }
}

static void compare_free(struct compare *p) {
    if (p->changes) {
        p->changes->compare = NULL;
    }
    imap_set_release(&p->todo);
    imap_set_release(&p->asked);
    g_free(p);
}

/* UIDs up to the cursor that are not there: what the journal keeps of them is of messages that went unseen. */
static void absent(const struct folder *f, imap_set *out) {
    const imap_set *known = roll_known(f);
    uint32_t next = 1;

    for (size_t i = 0; i < known->count; i++) {
        if (known->ranges[i].low > next) {
            imap_set_add_range(out, next, known->ranges[i].low - 1);
        }
        next = known->ranges[i].high + 1;
    }
    if (next && next <= f->cursor.last_uid) {
        imap_set_add_range(out, next, f->cursor.last_uid);
    }
}

static void compare_end(struct compare *p) {
    struct changes *c = p->changes;
    struct folder *f = c->folder;
    g_auto(imap_set) gone = IMAP_SET_INIT;
    size_t n;

    absent(f, &gone);
    g_autofree struct state_range *ranges = roll_ranges(&gone, &n);
    changes_flush(c);
    changes_tell(c, &(struct state_observe){.gone = ranges, .n_gone = n, .modseq = p->modseq, .whole = true});
    f->cursor.snapshot = true;
    f->cursor.modseq = MAX(f->cursor.modseq, p->modseq);
    compare_free(p); /* roll_step() comes with the journal's answer */
}

static void compare_failed(struct compare *p, const error *err) {
    struct changes *c = p->changes;

    log_error_value(&c->folder->log, err->class_ == ERROR_CLASS_ACCOUNT ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, err);
    c->due = true;
    loop_timer_start(c->soon, CHANGES_AGAIN_MS);
    compare_free(p);
}

static void delivered(void *user, const imap_response *response) {
    struct compare *p = user;
    const imap_fetch *fetch = &response->fetch;

    if (p->changes && response->kind == IMAP_FETCH && (fetch->have & IMAP_HAVE_FLAGS)) {
        changes_note_modseq(p->changes, fetch);
        changes_hear(p->changes, fetch);
    }
}

static void ask(struct compare *p, uint64_t since);

static void fetched(void *user, const session_result *result) {
    struct compare *p = user;

    if (!p->changes) {
        compare_free(p);
    } else if (result->err) {
        compare_failed(p, result->err);
    } else if (imap_set_is_empty(&p->todo)) {
        compare_end(p);
    } else {
        ask(p, 0);
    }
}

static void ask(struct compare *p, uint64_t since) {
    struct folder *f = p->changes->folder;
    session *s = folder_session(f);
    imap_fetch_want want = {.items = IMAP_WANT_FLAGS, .changed_since = since};
    session_call call = {.done = fetched, .data = delivered, .user = p, .uidvalidity = f->uidvalidity};

    want.items |= can(f, IMAP_CAP_CONDSTORE, false) ? IMAP_WANT_MODSEQ : 0;
    if (!f->cursor.snapshot && changes_want_gone(f)) {
        want.sections = changes_message_id();
        want.section_count = 1;
    }
    want.vanished = since && can(f, IMAP_CAP_QRESYNC, true);
    imap_set_take(&p->todo, since ? SIZE_MAX : CHANGES_CHUNK, session_fetch_room(s, &want), &p->asked);
    session_fetch(s, &p->asked, &want, &call);
}

static uint64_t pause_ms(const struct folder *f) {
    return (uint64_t)MIN(PAUSE_MS + PAUSE_MS_EACH * (double)imap_set_size(roll_known(f)), PAUSE_MS_MAX);
}

static void begin(struct changes *c, bool since) {
    struct folder *f = c->folder;
    const session_folder *now = session_selected(folder_session(f));
    struct compare *p = g_new0(struct compare, 1);

    p->changes = c;
    /* What was heard before it is asked is in the answer; what is heard meanwhile need not be all. */
    p->modseq = can(f, IMAP_CAP_CONDSTORE, false) && now->highestmodseq ? MAX(c->modseq, now->highestmodseq) : 0;
    c->compare = p;
    c->compared = loop_now(changes_keeper(c)->loop);
    c->due = c->fresh = false;
    if (since && f->cursor.last_uid) {
        imap_set_add_range(&p->todo, 1, f->cursor.last_uid);
    }
    for (size_t i = 0; !since && i < roll_known(f)->count; i++) {
        imap_set_add_range(&p->todo, roll_known(f)->ranges[i].low, roll_known(f)->ranges[i].high);
    }
    if (imap_set_is_empty(&p->todo)) {
        compare_end(p);
    } else {
        ask(p, since ? f->cursor.modseq : 0);
    }
}

bool changes_step(struct folder *f) {
    struct changes *c = f->changes;
    uint64_t now = loop_now(f->account->keeper->loop), pause;

    if (!changes_on(f)) {
        return false;
    }
    if (c->compare || c->asked) {
        return true;
    }
    if (!c->due && now < c->compared + f->account->config->reconcile_ms) {
        return false;
    }
    if (knows_since(f)) {
        if (c->fresh && session_selected(folder_session(f))->highestmodseq == f->cursor.modseq) {
            c->due = c->fresh = false;
            c->compared = now;
            return false;
        }
        begin(c, true);
        return true;
    }
    pause = c->fresh || !f->cursor.snapshot ? 0 : c->compared + pause_ms(f);
    if (now < pause) {
        loop_timer_start(c->soon, pause - now);
        return false;
    }
    begin(c, false);
    return true;
}

/* --- folders that are not selected -------------------------------------------------------------------------------- */

uint32_t changes_status_items(const struct watcher *w) {
    const session_info *info = session_info_get(w->session);

    return info && imap_can(info->caps, IMAP_CAP_CONDSTORE) && changes_wanted(w->account->keeper, w->account->config)
               ? IMAP_STATUS_HIGHESTMODSEQ
               : 0;
}

bool changes_fit(const struct folder *f, const imap_status *s) {
    const struct changes *c = f->changes;

    if (!changes_on(f)) {
        return true;
    }
    if ((s->have & IMAP_STATUS_HIGHESTMODSEQ) && s->highestmodseq) {
        return s->highestmodseq == f->cursor.modseq;
    }
    /* Nothing tells: once after each connect, and with each reconcile. */
    const struct watcher *w = f->account->watchers->pdata[0];
    return !c->due && c->compared >= w->ready_since &&
           loop_now(changes_keeper(c)->loop) < c->compared + f->account->config->reconcile_ms;
}
