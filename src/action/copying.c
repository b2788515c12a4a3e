/*
 * A COPY that survives a lost answer: the target's UIDVALIDITY and UIDNEXT are journaled before it is sent, and a copy
 * whose answer never came is looked for above them by Message-ID.
 */
#include "imap/mailbox.h"
#include "verb_priv.h"

#include <string.h>

/* A note: its phase, then two numbers of 32 bits about the target: UIDVALIDITY and UIDNEXT before COPY, UIDVALIDITY and
 * the UID of the copy (0: the server did not tell) after it. */
enum { NOTE_COPYING = 1, NOTE_COPIED = 2 };

struct copying {
    struct action_batch *batch;
    void (*then)(struct action_batch *batch);
};

static struct copying *copying_new(struct action_batch *batch, void (*then)(struct action_batch *)) {
    struct copying *c = g_new0(struct copying, 1);

    *c = (struct copying){batch, then};
    return c;
}

static void put32(uint8_t *out, uint32_t n) {
    n = GUINT32_TO_BE(n);
    memcpy(out, &n, 4);
}

static uint32_t get32(const uint8_t *in) {
    uint32_t n;

    memcpy(&n, in, 4);
    return GUINT32_FROM_BE(n);
}

static void ask_status(struct copying *c);

static session_call call_for(struct copying *c, session_done_fn done) {
    session_call call = batch_call(c->batch, done);

    call.user = c;
    return call;
}

/* True if there was trouble: c is gone then. */
static bool trouble(struct copying *c, const session_result *result) {
    if (!result->err) {
        return false;
    }
    if (!target_missing(c->batch, result, c->batch->verb->start)) {
        batch_trouble(c->batch, result);
    }
    g_free(c);
    return true;
}

/* So that the journal learns which message in the target is ours. */
static void set_pair(struct action_batch *batch, uint32_t validity, uint32_t source, uint32_t target) {
    g_free(batch->pairs);
    batch->pairs = g_new0(session_pair, 1);
    batch->pairs[0] = (session_pair){source, target};
    batch->pair_count = 1;
    batch->pair_validity = validity;
}

static uint32_t copy_of(const struct action_batch *batch, uint32_t source) {
    for (size_t i = 0; i < batch->pair_count; i++) {
        if (batch->pairs[i].source == source) {
            return batch->pairs[i].target;
        }
    }
    return 0;
}

/* Each note of the batch in one request; `next` then runs with c. */
static void journal(struct copying *c, uint8_t phase, state_rows_fn next) {
    GPtrArray *items = c->batch->items;
    struct state_step_note *notes = g_new0(struct state_step_note, items->len);

    for (guint i = 0; i < items->len; i++) {
        action_item *item = items->pdata[i];
        item->note[0] = phase;
        bool copied = phase == NOTE_COPIED;
        put32(item->note + 1, copied ? c->batch->pair_validity : c->batch->mark.validity);
        put32(item->note + 5, copied ? copy_of(c->batch, item->uid) : c->batch->mark.uidnext);
        item->note_len = 9;
        notes[i] = (struct state_step_note){item->row, item->seq, item->note, item->note_len};
    }
    state_step_begin(batch_env(c->batch)->state, notes, items->len, next, c);
    g_free(notes);
}

static void copied_journaled(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct copying c = *(struct copying *)user;

    g_free(user);
    if (err || !batch_session(c.batch)) {
        batch_again(c.batch, true);
    } else {
        c.then(c.batch);
    }
}

static void copied(void *user, const session_result *result) {
    struct copying *c = user;
    struct action_batch *batch = c->batch;

    if (trouble(c, result)) {
        return;
    }
    g_free(batch->pairs);
    batch->pairs = g_memdup2(result->pairs, result->pair_count * sizeof *result->pairs);
    batch->pair_count = result->pair_count;
    batch->pair_validity = result->target_validity;
    if (batch->emulate) {
        /* Whatever becomes of the next command, sent or not: it is not copied again. */
        for (guint i = 0; i < batch->items->len; i++) {
            ((action_item *)batch->items->pdata[i])->maybe_done = true;
        }
        journal(c, NOTE_COPIED, copied_journaled);
        return;
    }
    void (*then)(struct action_batch *) = c->then;
    g_free(c);
    then(batch);
}

static void send_copy(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct copying *c = user;

    if (err || !batch_session(c->batch)) {
        batch_again(c->batch, false);
        g_free(c);
        return;
    }
    session_call call = call_for(c, copied);
    session_copy(batch_session(c->batch), &c->batch->uids, c->batch->target, &call);
}

/* Dovecot 2.3 refuses STATUS of a missing folder without a code: then COPY is asked, whose refusal has to say
 * TRYCREATE. */
static bool refused_for_no_reason(const session_result *result) {
    return result->err && result->answered && result->condition == IMAP_NO && result->code->name == IMAP_CODE_NONE;
}

static void status_known(void *user, const session_result *result) {
    struct copying *c = user;
    const imap_status *status = result->status;

    if (!refused_for_no_reason(result) && trouble(c, result)) {
        return;
    }
    c->batch->mark.validity = status && (status->have & IMAP_STATUS_UIDVALIDITY) ? status->uidvalidity : 0;
    c->batch->mark.uidnext = status && (status->have & IMAP_STATUS_UIDNEXT) ? status->uidnext : 0;
    journal(c, NOTE_COPYING, send_copy);
}

static void ask_status(struct copying *c) {
    session_call call = call_for(c, status_known);

    call.uidvalidity = 0;
    session_status(batch_session(c->batch), c->batch->target, IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY, &call);
}

/* --- looking for a copy whose answer was lost --------------------------------------------------------------------- */

struct lookup {
    struct copying *c;
    uint32_t found; /* UID in the target; 0 = none */
    error *err;     /* not known: look again */
    error *refused; /* by the server: later */
    const char *message_id;
};

static void back(void *user, const session_result *result) {
    struct lookup *l = user;
    struct copying *c = l->c;
    const action_env *env = batch_env(c->batch);

    if (!result->err && env->reselected) {
        env->reselected(env->user, result);
    }
    if (l->err || result->err) {
        batch_again(c->batch, true);
        g_free(c);
    } else if (l->refused) {
        batch_failed(c->batch, g_steal_pointer(&l->refused));
        g_free(c);
    } else if (l->found) {
        void (*then)(struct action_batch *) = c->then;
        struct action_batch *batch = c->batch;
        action_item *item = batch->items->pdata[0];
        set_pair(batch, get32(item->note + 1), item->uid, l->found);
        g_free(c);
        then(batch);
    } else {
        ask_status(c);
    }
    error_free(l->err);
    error_free(l->refused);
    g_free(l);
}

static void entered(void *user, const session_result *result) {
    struct lookup *l = user;

    if (result->err && result->answered && result->err->code != ERROR_NO_FOLDER) {
        l->refused = error_copy(result->err);
    }
}

/* Not SEARCH HEADER: it finds <17@x> where <7@x> is looked for, and is broken on more than one server. */
static void seen(void *user, const imap_response *response) {
    struct lookup *l = user;
    g_autofree char *id = response->kind == IMAP_FETCH ? verify_message_id(&response->fetch) : NULL;

    if (id && verify_same_id(l->message_id, id) && (!l->found || response->fetch.uid < l->found)) {
        l->found = response->fetch.uid;
    }
}

/* A target that is not there any more, or another one by that name, has no copy. */
static void compared(void *user, const session_result *result) {
    struct lookup *l = user;

    if (result->err && result->err->code != ERROR_NO_FOLDER && result->err->code != ERROR_GONE) {
        l->err = error_copy(result->err);
    }
}

/* The folder is left for it, and selected again: all three commands are made now, so that what others make from here on
 * belongs to the folder. */
static void look(struct copying *c, action_item *item) {
    session *s = batch_session(c->batch);
    struct lookup *l = g_new0(struct lookup, 1);

    l->c = c;
    l->message_id = item->message_id;
    session_select(s, c->batch->target, true, NULL, &(session_call){.done = entered, .user = l});
    session_fetch_from(
        s, get32(item->note + 5), &verify_want,
        &(session_call){.done = compared, .data = seen, .user = l, .uidvalidity = get32(item->note + 1)});
    session_select(s, batch_folder(c->batch), false, NULL, &(session_call){.done = back, .user = l});
}

void copying_start(struct action_batch *batch, void (*then)(struct action_batch *batch)) {
    action_item *item = batch->items->pdata[0];
    struct copying *c = copying_new(batch, then);

    if (item->maybe_done && item->note_len == 9 && item->note[0] == NOTE_COPIED) {
        g_free(c);
        if (get32(item->note + 5)) {
            set_pair(batch, get32(item->note + 1), item->uid, get32(item->note + 5));
        }
        then(batch);
    } else if (item->maybe_done && item->note_len == 9 && get32(item->note + 5) && item->message_id &&
               *item->message_id) {
        look(c, item);
    } else {
        ask_status(c);
    }
}
