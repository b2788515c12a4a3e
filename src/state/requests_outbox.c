/* outbox.h and kv.h: each request copied into its arena, and its answer handed to the callback. */
#include "request_priv.h"

const char *state_outbox_state_name(enum state_outbox_state s) {
    static const char *const names[] = {
        [STATE_HELD] = "held", [STATE_DUE] = "due", [STATE_DELIVERED] = "delivered", [STATE_DEAD] = "dead"};

    return (unsigned)s < G_N_ELEMENTS(names) && names[s] ? names[s] : "unknown";
}

static void deliver_entries(const struct request *r) {
    r->done.outbox(r->user, r->err, r->out.entries.v, r->err ? 0 : r->out.entries.n, !r->err && r->out.entries.more);
}

static void deliver_outbox_counts(const struct request *r) {
    r->done.outbox_counts(r->user, r->err, r->out.outbox_counts.v, r->err ? 0 : r->out.outbox_counts.n);
}

static void deliver_next(const struct request *r) {
    r->done.next(r->user, r->err, r->err ? NULL : &r->out.next);
}

static void deliver_value(const struct request *r) {
    r->done.kv(r->user, r->err, r->err ? NULL : r->out.kv.value, r->err ? 0 : r->out.kv.len);
}

static void deliver_number(const struct request *r) {
    r->done.number(r->user, r->err, r->err ? 0 : r->out.number);
}

static struct request *due_request(state *st, enum request_type type, const struct state_due *due, void *user) {
    struct request *r = state_request_new(st, type, user);

    r->in.due = *due;
    r->in.due.webhook = arena_strdup(&r->arena, due->webhook);
    r->in.due.skip = arena_strings(&r->arena, due->skip, due->n_skip);
    return r;
}

void state_outbox_due(state *st, const struct state_due *due, state_outbox_fn done, void *user) {
    struct request *r = due_request(st, REQUEST_OUTBOX_DUE, due, user);

    r->done.outbox = done;
    r->deliver = done ? deliver_entries : NULL;
    state_request_submit(st, r);
}

void state_outbox_next(state *st, const char *webhook, const char *const *skip, size_t n_skip, state_next_due_fn done,
                       void *user) {
    struct state_due due = {.webhook = webhook, .limit = 1, .skip = skip, .n_skip = n_skip};
    struct request *r = due_request(st, REQUEST_OUTBOX_NEXT, &due, user);

    r->done.next = done;
    r->deliver = done ? deliver_next : NULL;
    state_request_submit(st, r);
}

void state_outbox_result(state *st, const struct state_outbox_result *result, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_OUTBOX_RESULT, user);

    r->in.result = *result;
    r->in.result.id = arena_strdup(&r->arena, result->id);
    r->in.result.err = arena_error(&r->arena, result->err);
    r->done.rows = done;
    r->deliver = done ? state_deliver_rows : NULL;
    state_request_submit(st, r);
}

void state_outbox_replay(state *st, const char *id, state_rows_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_OUTBOX_REPLAY, user);

    r->in.id = arena_strdup(&r->arena, id);
    r->done.rows = done;
    r->deliver = done ? state_deliver_rows : NULL;
    state_request_submit(st, r);
}

void state_outbox_list(state *st, const struct state_outbox_filter *filter, state_outbox_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_OUTBOX_LIST, user);

    r->in.outbox_list = *filter;
    r->in.outbox_list.webhook = arena_strdup(&r->arena, filter->webhook);
    r->done.outbox = done;
    r->deliver = done ? deliver_entries : NULL;
    state_request_submit(st, r);
}

void state_outbox_counts(state *st, state_outbox_counts_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_OUTBOX_COUNTS, user);

    r->done.outbox_counts = done;
    r->deliver = done ? deliver_outbox_counts : NULL;
    state_request_submit(st, r);
}

static struct request *kv_request(state *st, enum request_type type, const char *ns, const char *key, void *user) {
    struct request *r = state_request_new(st, type, user);

    r->in.kv.ns = arena_strdup(&r->arena, ns);
    r->in.kv.key = arena_strdup(&r->arena, key);
    return r;
}

void state_kv_get(state *st, const char *ns, const char *key, state_kv_fn done, void *user) {
    struct request *r = kv_request(st, REQUEST_KV_GET, ns, key, user);

    r->done.kv = done;
    r->deliver = done ? deliver_value : NULL;
    state_request_submit(st, r);
}

void state_kv_set(state *st, const char *ns, const char *key, const void *value, size_t len, uint64_t ttl_ms,
                  state_done_fn done, void *user) {
    struct request *r = kv_request(st, REQUEST_KV_SET, ns, key, user);

    r->in.kv.value = arena_memdup(&r->arena, value ? value : "", len);
    r->in.kv.len = len;
    r->in.kv.ttl_ms = ttl_ms;
    r->done.plain = done;
    r->deliver = done ? state_deliver_plain : NULL;
    state_request_submit(st, r);
}

void state_kv_delete(state *st, const char *ns, const char *key, state_done_fn done, void *user) {
    struct request *r = kv_request(st, REQUEST_KV_DELETE, ns, key, user);

    r->done.plain = done;
    r->deliver = done ? state_deliver_plain : NULL;
    state_request_submit(st, r);
}

void state_kv_incr(state *st, const char *ns, const char *key, int64_t by, uint64_t ttl_ms, state_kv_number_fn done,
                   void *user) {
    struct request *r = kv_request(st, REQUEST_KV_INCR, ns, key, user);

    r->in.kv.by = by;
    r->in.kv.ttl_ms = ttl_ms;
    r->done.number = done;
    r->deliver = done ? deliver_number : NULL;
    state_request_submit(st, r);
}
