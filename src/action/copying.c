/*
 * A COPY that survives a lost answer: the target's UIDVALIDITY and UIDNEXT are journaled before it is sent, and a copy
 * whose answer never came is looked for above them (lost_copy.c).
 */
#include "copying_priv.h"

#include <string.h>

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

/* Phase, UIDVALIDITY, UID; then looks and end, which older journals lack. */
void copy_note_write(action_item *item, const struct copy_note *note) {
    item->note[0] = note->phase;
    put32(item->note + 1, note->validity);
    put32(item->note + 5, note->uid);
    item->note[9] = note->looks;
    put32(item->note + 10, note->end);
    item->note_len = 14;
}

struct copy_note copy_note_read(const action_item *item) {
    const uint8_t *in = item->note;
    struct copy_note note = {0};

    if (item->note_len >= 9) {
        note = (struct copy_note){.phase = in[0], .validity = get32(in + 1), .uid = get32(in + 5)};
    }
    if (item->note_len >= 14) {
        note.looks = in[9];
        note.end = get32(in + 10);
    }
    return note;
}

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
    struct action_batch *batch = c->batch;
    GPtrArray *items = batch->items;
    struct state_step_note *notes = g_new0(struct state_step_note, items->len);

    for (guint i = 0; i < items->len; i++) {
        action_item *item = items->pdata[i];
        struct copy_note note = {.phase = phase, .validity = batch->mark.validity, .uid = batch->mark.uidnext};
        if (phase == COPY_NOTE_DONE) {
            note.validity = batch->pair_validity;
            note.uid = copy_of(batch, item->uid);
            notes[i].target_folder = batch->target;
            notes[i].target_uidvalidity = note.validity;
            notes[i].target_uid = note.uid;
        }
        copy_note_write(item, &note);
        notes[i].row = item->row;
        notes[i].seq = item->seq;
        notes[i].note = item->note;
        notes[i].note_len = item->note_len;
    }
    state_step_begin(batch_env(batch)->state, notes, items->len, next, c);
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

/* The copies are there. For a move that is not all. */
static void have_copies(struct copying *c) {
    struct action_batch *batch = c->batch;
    void (*then)(struct action_batch *) = c->then;

    for (guint i = 0; i < batch->items->len; i++) {
        action_item *item = batch->items->pdata[i];
        item->unanswered = false;
        item->maybe_done |= batch->emulate; /* whatever becomes of the next command, sent or not: not copied again */
    }
    if (batch->emulate) {
        journal(c, COPY_NOTE_DONE, copied_journaled);
        return;
    }
    g_free(c);
    then(batch);
}

static void copied(void *user, const session_result *result) {
    struct copying *c = user;
    struct action_batch *batch = c->batch;

    for (guint i = 0; i < batch->items->len; i++) {
        ((action_item *)batch->items->pdata[i])->unanswered = result->sent && !result->answered;
    }
    if (trouble(c, result)) {
        return;
    }
    g_free(batch->pairs);
    batch->pairs = g_memdup2(result->pairs, result->pair_count * sizeof *result->pairs);
    batch->pair_count = result->pair_count;
    batch->pair_validity = result->target_validity;
    have_copies(c);
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
    journal(c, COPY_NOTE_BEGUN, send_copy);
}

static void ask_status(struct copying *c) {
    session_call call = call_for(c, status_known);

    call.uidvalidity = 0;
    session_status(batch_session(c->batch), c->batch->target, IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY, &call);
}

static void looked(void *user, enum lost_copy outcome, uint32_t validity, uint32_t uid) {
    struct copying *c = user;
    struct action_batch *batch = c->batch;

    if (outcome == LOST_COPY_LATER) {
        g_free(c);
    } else if (outcome == LOST_COPY_ABSENT) {
        ask_status(c);
    } else {
        set_pair(batch, validity, ((action_item *)batch->items->pdata[0])->uid, uid);
        have_copies(c);
    }
}

void copying_start(struct action_batch *batch, void (*then)(struct action_batch *batch)) {
    action_item *item = batch->items->pdata[0];
    struct copy_note note = item->maybe_done ? copy_note_read(item) : (struct copy_note){0};
    struct copying *c = copying_new(batch, then);

    if (note.phase == COPY_NOTE_DONE) {
        g_free(c);
        if (note.uid) {
            set_pair(batch, note.validity, item->uid, note.uid);
        }
        then(batch);
    } else if (note.phase == COPY_NOTE_BEGUN && note.uid) {
        lost_copy_look(batch, looked, c);
    } else {
        ask_status(c);
    }
}
