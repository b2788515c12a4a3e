/* journal.h: each request copied into its arena, and its answer handed to the callback. */
#include "request_priv.h"

#include <string.h>

const char *state_stage_name(enum state_stage stage) {
    static const char *const names[] = {
        [STATE_PENDING] = "pending", [STATE_PLANNED] = "planned", [STATE_PARKED] = "parked", [STATE_DONE] = "done"};

    return (unsigned)stage < G_N_ELEMENTS(names) && names[stage] ? names[stage] : "unknown";
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

void state_deliver_plain(const struct request *r) {
    r->done.plain(r->user, r->err);
}

static void deliver_cursor(const struct request *r) {
    r->done.cursor(r->user, r->err, r->err ? NULL : r->out.cursor);
}

static void deliver_rename(const struct request *r) {
    r->done.rename(r->user, r->err, r->err ? NULL : r->out.from);
}

static void deliver_arrivals(const struct request *r) {
    r->done.arrive(r->user, r->err, r->out.arrivals.v, r->err ? 0 : r->out.arrivals.n);
}

void state_deliver_rows(const struct request *r) {
    r->done.rows(r->user, r->err, r->out.rows.v, r->err ? 0 : r->out.rows.n);
}

static void deliver_claim(const struct request *r) {
    r->done.claim(r->user, r->err, r->err ? 0 : (uint32_t)r->out.number);
}

static void deliver_planned(const struct request *r) {
    r->done.plan(r->user, r->err, r->err ? NULL : &r->out.planned);
}

static void deliver_messages(const struct request *r) {
    r->done.messages(r->user, r->err, r->out.messages.v, r->err ? 0 : r->out.messages.n,
                     !r->err && r->out.messages.more);
}

static void deliver_counts(const struct request *r) {
    r->done.counts(r->user, r->err, r->out.counts.v, r->err ? 0 : r->out.counts.n);
}

static void deliver_handled(const struct request *r) {
    r->done.handled(r->user, r->err, r->out.handled.v, r->err ? 0 : r->out.handled.n);
}

static void deliver_validity(const struct request *r) {
    r->done.validity(r->user, r->err, r->err ? NULL : &r->out.validity);
}

static void deliver_pruned(const struct request *r) {
    r->done.pruned(r->user, r->err, r->err ? 0 : r->out.removed);
}

static void submit_rows_answer(state *st, struct request *r, state_rows_fn done) {
    r->done.rows = done;
    r->deliver = done ? state_deliver_rows : NULL;
    state_request_submit(st, r);
}

/* --- cursors and arrival ------------------------------------------------------------------------------------------ */

void state_cursor_load(state *st, const char *account, const char *folder, state_cursor_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_CURSOR_LOAD, user);

    r->in.cursor.account = arena_strdup(&r->arena, account);
    r->in.cursor.folder = arena_strdup(&r->arena, folder);
    r->done.cursor = done;
    r->deliver = done ? deliver_cursor : NULL;
    state_request_submit(st, r);
}

void state_cursor_set(state *st, const char *account, const char *folder, const struct state_cursor *cursor,
                      state_done_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_CURSOR_SET, user);

    r->in.cursor.account = arena_strdup(&r->arena, account);
    r->in.cursor.folder = arena_strdup(&r->arena, folder);
    r->in.cursor.cursor = *cursor;
    r->done.plain = done;
    r->deliver = done ? state_deliver_plain : NULL;
    state_request_submit(st, r);
}

void state_find_renamed(state *st, const struct state_rename *rename, state_rename_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_FIND_RENAMED, user);
    const char **there = arena_alloc(&r->arena, rename->n_there, sizeof *there);

    for (size_t i = 0; i < rename->n_there; i++) {
        there[i] = arena_strdup(&r->arena, rename->there[i]);
    }
    r->in.rename = *rename;
    r->in.rename.account = arena_strdup(&r->arena, rename->account);
    r->in.rename.to = arena_strdup(&r->arena, rename->to);
    r->in.rename.there = there;
    r->done.rename = done;
    r->deliver = done ? deliver_rename : NULL;
    state_request_submit(st, r);
}

void state_arrive(state *st, const struct state_arrive *arrive, state_arrive_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_ARRIVE, user);

    r->in.arrive = *arrive;
    r->in.arrive.account = arena_strdup(&r->arena, arrive->account);
    r->in.arrive.folder = arena_strdup(&r->arena, arrive->folder);
    r->in.arrive.uids = arena_memdup(&r->arena, arrive->uids, arrive->n_uids * sizeof *arrive->uids);
    r->in.arrive.present = arena_memdup(&r->arena, arrive->present, arrive->n_present * sizeof *arrive->present);
    r->done.arrive = done;
    r->deliver = done ? deliver_arrivals : NULL;
    state_request_submit(st, r);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static struct request *rows_request(state *st, enum request_type type, const int64_t *rows, size_t n, int by,
                                    void *user) {
    struct request *r = state_request_new(st, type, user);

    r->in.rows.v = arena_memdup(&r->arena, rows, n * sizeof *rows);
    r->in.rows.n = n;
    r->in.rows.by = by;
    return r;
}

void state_attempt(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user) {
    submit_rows_answer(st, rows_request(st, REQUEST_ATTEMPT, rows, n, 1, user), done);
}

void state_unattempt(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user) {
    submit_rows_answer(st, rows_request(st, REQUEST_ATTEMPT, rows, n, -1, user), done);
}

void state_fault(state *st, int64_t row, state_rows_fn done, void *user) {
    submit_rows_answer(st, rows_request(st, REQUEST_FAULT, &row, 1, 0, user), done);
}

void state_retry(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user) {
    submit_rows_answer(st, rows_request(st, REQUEST_RETRY, rows, n, 0, user), done);
}

void state_drop(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user) {
    submit_rows_answer(st, rows_request(st, REQUEST_DROP, rows, n, 0, user), done);
}

void state_park(state *st, int64_t row, const error *err, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_PARK, user);

    r->in.park.row = row;
    r->in.park.err = arena_error(&r->arena, err);
    submit_rows_answer(st, r, done);
}

void state_rekey(state *st, int64_t row, uint32_t uidvalidity, uint32_t uid, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_REKEY, user);

    r->in.rekey.row = row;
    r->in.rekey.uidvalidity = uidvalidity;
    r->in.rekey.uid = uid;
    submit_rows_answer(st, r, done);
}

/* --- plans and steps ---------------------------------------------------------------------------------------------- */

static const struct state_step *copy_steps(struct arena *arena, const struct state_step *steps, size_t n) {
    struct state_step *copy = arena_alloc(arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = steps[i];
        copy[i].verb = arena_strdup(arena, steps[i].verb);
        copy[i].rule = arena_strdup(arena, steps[i].rule);
        copy[i].args = arena_memdup(arena, steps[i].args, steps[i].args_len);
        copy[i].effect = arena_strdup(arena, steps[i].effect);
    }
    return copy;
}

static const struct state_delivery *copy_deliveries(struct arena *arena, const struct state_delivery *deliveries,
                                                    size_t n) {
    struct state_delivery *copy = arena_alloc(arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = deliveries[i];
        copy[i].id = arena_strdup(arena, deliveries[i].id);
        copy[i].webhook = arena_strdup(arena, deliveries[i].webhook);
        copy[i].body = arena_memdup(arena, deliveries[i].body, deliveries[i].body_len);
    }
    return copy;
}

void state_plan(state *st, const struct state_plan *plan, state_plan_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_PLAN, user);

    r->in.plan = *plan;
    r->in.plan.identity = arena_strdup(&r->arena, plan->identity);
    r->in.plan.meta = arena_memdup(&r->arena, plan->meta, plan->meta_len);
    r->in.plan.steps = copy_steps(&r->arena, plan->steps, plan->n_steps);
    r->in.plan.deliveries = copy_deliveries(&r->arena, plan->deliveries, plan->n_deliveries);
    r->done.plan = done;
    r->deliver = done ? deliver_planned : NULL;
    state_request_submit(st, r);
}

void state_step_begin(state *st, const struct state_step_note *notes, size_t n, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_STEP_BEGIN, user);
    struct state_step_note *copy = arena_alloc(&r->arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = notes[i];
        copy[i].note = arena_memdup(&r->arena, notes[i].note, notes[i].note_len);
        copy[i].target_folder = arena_strdup(&r->arena, notes[i].target_folder);
    }
    r->in.notes.v = copy;
    r->in.notes.n = n;
    submit_rows_answer(st, r, done);
}

void state_step_done(state *st, const struct state_step_result *results, size_t n, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_STEP_DONE, user);
    struct state_step_result *copy = arena_alloc(&r->arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = results[i];
        copy[i].target_folder = arena_strdup(&r->arena, results[i].target_folder);
    }
    r->in.results.v = copy;
    r->in.results.n = n;
    submit_rows_answer(st, r, done);
}

void state_step_failed(state *st, const struct state_step_failure *failures, size_t n, state_rows_fn done,
                       void *user) {
    struct request *r = state_request_new(st, REQUEST_STEP_FAILED, user);
    struct state_step_failure *copy = arena_alloc(&r->arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = failures[i];
        copy[i].err = arena_error(&r->arena, failures[i].err);
        copy[i].note = arena_memdup(&r->arena, failures[i].note, failures[i].note_len);
    }
    r->in.failures.v = copy;
    r->in.failures.n = n;
    submit_rows_answer(st, r, done);
}

void state_step_claim(state *st, const struct state_claim *claim, state_claim_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_STEP_CLAIM, user);

    r->in.claim = *claim;
    r->in.claim.target_folder = arena_strdup(&r->arena, claim->target_folder);
    r->in.claim.uids = arena_memdup(&r->arena, claim->uids, claim->n_uids * sizeof *claim->uids);
    r->done.claim = done;
    r->deliver = done ? deliver_claim : NULL;
    state_request_submit(st, r);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

void state_list(state *st, const struct state_filter *filter, state_messages_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_LIST, user);

    r->in.list = *filter;
    r->in.list.account = arena_strdup(&r->arena, filter->account);
    r->in.list.folder = arena_strdup(&r->arena, filter->folder);
    r->done.messages = done;
    r->deliver = done ? deliver_messages : NULL;
    state_request_submit(st, r);
}

void state_load(state *st, const int64_t *rows, size_t n, state_messages_fn done, void *user) {
    struct request *r = rows_request(st, REQUEST_LOAD, rows, n, 0, user);

    r->done.messages = done;
    r->deliver = done ? deliver_messages : NULL;
    state_request_submit(st, r);
}

void state_counts(state *st, state_counts_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_COUNTS, user);

    r->done.counts = done;
    r->deliver = done ? deliver_counts : NULL;
    state_request_submit(st, r);
}

void state_find_handled(state *st, const char *account, const char *folder, const char *const *identities, size_t n,
                        state_handled_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_FIND_HANDLED, user);

    r->in.handled.account = arena_strdup(&r->arena, account);
    r->in.handled.folder = arena_strdup(&r->arena, folder);
    r->in.handled.identities = arena_strings(&r->arena, identities, n);
    r->in.handled.n = n;
    r->done.handled = done;
    r->deliver = done ? deliver_handled : NULL;
    state_request_submit(st, r);
}

void state_uidvalidity_changed(state *st, const struct state_validity *validity, state_validity_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_UIDVALIDITY, user);

    r->in.validity = *validity;
    r->in.validity.account = arena_strdup(&r->arena, validity->account);
    r->in.validity.folder = arena_strdup(&r->arena, validity->folder);
    r->done.validity = done;
    r->deliver = done ? deliver_validity : NULL;
    state_request_submit(st, r);
}

void state_prune(state *st, const struct state_keep *keep, state_pruned_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_PRUNE, user);

    r->in.keep = *keep;
    r->done.pruned = done;
    r->deliver = done ? deliver_pruned : NULL;
    state_request_submit(st, r);
}
