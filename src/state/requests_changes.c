/* changes.h: each request copied into its arena, and its answer handed to the callback. */
#include "request_priv.h"

static void deliver_present(const struct request *r) {
    r->done.present(r->user, r->err, r->out.ranges.v, r->err ? 0 : r->out.ranges.n);
}

static void deliver_observed(const struct request *r) {
    r->done.observe(r->user, r->err, r->err ? 0 : r->out.observed);
}

static struct request *on_folder(state *st, enum request_type type, const char *account, const char *folder,
                                 void *user) {
    struct request *r = state_request_new(st, type, user);

    r->in.present.account = arena_strdup(&r->arena, account);
    r->in.present.folder = arena_strdup(&r->arena, folder);
    return r;
}

void state_present_load(state *st, const char *account, const char *folder, state_present_fn done, void *user) {
    struct request *r = on_folder(st, REQUEST_PRESENT_LOAD, account, folder, user);

    r->done.present = done;
    r->deliver = done ? deliver_present : NULL;
    state_request_submit(st, r);
}

void state_present_set(state *st, const char *account, const char *folder, uint32_t uidvalidity,
                       const struct state_range *ranges, size_t n, state_done_fn done, void *user) {
    struct request *r = on_folder(st, REQUEST_PRESENT_SET, account, folder, user);

    r->in.present.uidvalidity = uidvalidity;
    r->in.present.v = arena_memdup(&r->arena, ranges, n * sizeof *ranges);
    r->in.present.n = n;
    r->done.plain = done;
    r->deliver = done ? state_deliver_plain : NULL;
    state_request_submit(st, r);
}

static const struct state_seen *copy_seen(struct arena *arena, const struct state_seen *seen, size_t n) {
    struct state_seen *copy = arena_alloc(arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = seen[i];
        copy[i].flags = arena_strdup(arena, seen[i].flags ? seen[i].flags : "");
        copy[i].message_id = arena_strdup(arena, seen[i].message_id);
    }
    return copy;
}

void state_observe(state *st, const struct state_observe *observe, state_observe_fn done, void *user) {
    struct request *r = state_request_new(st, REQUEST_OBSERVE, user);

    r->in.observe = *observe;
    r->in.observe.account = arena_strdup(&r->arena, observe->account);
    r->in.observe.folder = arena_strdup(&r->arena, observe->folder);
    r->in.observe.seen = copy_seen(&r->arena, observe->seen, observe->n_seen);
    r->in.observe.gone = arena_memdup(&r->arena, observe->gone, observe->n_gone * sizeof *observe->gone);
    r->done.observe = done;
    r->deliver = done ? deliver_observed : NULL;
    state_request_submit(st, r);
}

void state_observe_end(state *st, const char *account, const char *folder, state_done_fn done, void *user) {
    struct request *r = on_folder(st, REQUEST_OBSERVE_END, account, folder, user);

    r->done.plain = done;
    r->deliver = done ? state_deliver_plain : NULL;
    state_request_submit(st, r);
}
