/* Outcomes: journaled first, reported once the journal has them. */
#include "queue_priv.h"

#include <string.h>

/* One request to the journal about several items. */
struct report {
    action_queue *queue;
    struct report *next, **link;
    GPtrArray *items;
    GArray *gone; /* bool, by item */
    error *err;   /* the failure they share, or NULL */
    bool waits;
    uint64_t delay_ms;
};

static struct report *report_new(action_queue *q) {
    struct report *r = g_new0(struct report, 1);

    r->queue = q;
    r->items = g_ptr_array_new();
    r->gone = g_array_new(FALSE, TRUE, sizeof(bool));
    r->next = q->reports;
    r->link = &q->reports;
    if (r->next) {
        r->next->link = &r->next;
    }
    q->reports = r;
    return r;
}

void report_free(struct report *r) {
    state_cancel(r->queue->env.state, r);
    *r->link = r->next;
    if (r->next) {
        r->next->link = r->link;
    }
    g_ptr_array_free(r->items, TRUE);
    g_array_free(r->gone, TRUE);
    error_free(r->err);
    g_free(r);
}

/* The journal has it, or cannot be written: then the step stays open and is repeated after a while, as `maybe_done`. */
static void reported(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct report *r = user;
    action_queue *q = r->queue;

    for (guint i = 0; i < r->items->len; i++) {
        action_item *item = r->items->pdata[i];
        action_outcome outcome = {.err = err ? err : r->err, .waits = !err && r->waits, .delay_ms = r->delay_ms};
        if (err) {
            outcome.delay_ms = 30000;
        } else {
            outcome.gone = g_array_index(r->gone, bool, i);
            outcome.row = i < n ? rows[i] : (struct state_row){.gone = true};
        }
        q->env.finished(q->env.user, item, &outcome);
    }
    report_free(r);
}

static void add(struct report *r, GArray *results, action_item *item, bool gone, const char *target, uint32_t validity,
                uint32_t target_uid) {
    struct state_step_result result = {.row = item->row, .seq = item->seq, .target_folder = target};

    result.target_uidvalidity = validity;
    result.target_uid = validity ? target_uid : 0;
    g_array_append_val(results, result);
    g_array_append_val(r->gone, gone);
    g_ptr_array_add(r->items, item);
}

static void journal_done(struct report *r, GArray *results) {
    state_step_done(r->queue->env.state, (struct state_step_result *)(void *)results->data, results->len, reported, r);
    g_array_free(results, TRUE);
}

static uint32_t target_of(const session_pair *pairs, size_t n, uint32_t source) {
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].source == source) {
            return pairs[i].target;
        }
    }
    return 0;
}

void batch_done(struct action_batch *batch, const char *target, uint32_t validity, const session_pair *pairs,
                size_t n) {
    struct report *r = report_new(batch->queue);
    GArray *results = g_array_new(FALSE, TRUE, sizeof(struct state_step_result));

    while (batch->items->len) {
        action_item *item = batch->items->pdata[0];
        uint32_t uid = target_of(pairs, n, item->uid);
        batch_take(batch, item);
        add(r, results, item, n && !uid, n && !uid ? NULL : target, validity, uid);
    }
    journal_done(r, results);
    batch_free(batch);
}

void batch_done_item(struct action_batch *batch, action_item *item, bool gone, const char *target, uint32_t validity,
                     uint32_t target_uid) {
    struct report *r = report_new(batch->queue);
    GArray *results = g_array_new(FALSE, TRUE, sizeof(struct state_step_result));

    batch_take(batch, item);
    add(r, results, item, gone, target, validity, target_uid);
    journal_done(r, results);
    if (!batch->items->len) {
        batch_free(batch);
    }
}

void batch_gone(struct action_batch *batch, const imap_set *still_there) {
    struct report *r = report_new(batch->queue);
    GArray *results = g_array_new(FALSE, TRUE, sizeof(struct state_step_result));

    for (guint i = 0; i < batch->items->len;) {
        action_item *item = batch->items->pdata[i];
        if (imap_set_contains(still_there, item->uid)) {
            item->maybe_done = false;
            i++;
            continue;
        }
        batch_take(batch, item);
        /* Sent before and not there any more: it went where it was sent. Else somebody else was faster. */
        add(r, results, item, !item->maybe_done, item->maybe_done ? batch->target : NULL, 0, 0);
    }
    if (results->len) {
        journal_done(r, results);
    } else {
        g_array_free(results, TRUE);
        report_free(r);
    }
    if (!batch->items->len) {
        batch_free(batch);
    }
}

/* 30 s, 2 min, 8 min, 32 min, then 2 h. A full mailbox is not emptied in minutes: 8 min at first. */
static uint64_t delay_after(uint32_t tries, const error *err) {
    tries += err->code == ERROR_QUOTA ? 2 : 0;
    return tries < 4 ? UINT64_C(30000) << (2 * tries) : 7200000;
}

/* What the journal is told of all items in the batch, which then is empty and freed. */
static void journal_failures(struct action_batch *batch, struct report *r, const struct state_step_failure *like) {
    GArray *failures = g_array_new(FALSE, TRUE, sizeof(struct state_step_failure));

    while (batch->items->len) {
        action_item *item = batch->items->pdata[0];
        struct state_step_failure failure = *like;
        failure.row = item->row;
        failure.seq = item->seq;
        failure.maybe_done = item->unanswered;
        failure.note = like->waits ? item->note : NULL;
        failure.note_len = like->waits ? item->note_len : 0;
        batch_take(batch, item);
        g_array_append_val(failures, failure);
        bool gone = false;
        g_array_append_val(r->gone, gone);
        g_ptr_array_add(r->items, item);
    }
    state_step_failed(r->queue->env.state, (struct state_step_failure *)(void *)failures->data, failures->len, reported,
                      r);
    g_array_free(failures, TRUE);
    batch_free(batch);
}

void batch_failed(struct action_batch *batch, error *err) {
    struct report *r = report_new(batch->queue);
    uint32_t tries = UINT32_MAX;

    r->err = err;
    for (guint i = 0; i < batch->items->len; i++) {
        tries = MIN(tries, ((action_item *)batch->items->pdata[i])->tries);
    }
    r->delay_ms = err->retry == ERROR_RETRY_NEVER ? 0 : MAX(delay_after(tries, err), MIN(err->retry_after_ms, 1800000));
    if (err->retry == ERROR_RETRY_NOW) {
        r->delay_ms = 1000;
    }
    journal_failures(batch, r, &(struct state_step_failure){.delay_ms = r->delay_ms, .err = err});
}

void batch_waits(struct action_batch *batch, uint64_t delay_ms) {
    struct report *r = report_new(batch->queue);

    r->waits = true;
    r->delay_ms = delay_ms;
    journal_failures(batch, r, &(struct state_step_failure){.waits = true, .delay_ms = delay_ms});
}
