/*
 * state/outbox.h - deliveries to webhooks, on disk until accepted. They come in with state_plan (journal.h).
 *
 * HELD until the steps before theirs are done, then DUE; an accepted one is DELIVERED and its body removed; one that is
 * given up is DEAD and its message parked. state_retry (by message) and state_outbox_replay (by id) make it DUE again.
 * At least once: a delivery that was sent but not answered for in the journal is DUE after a restart, under its old id.
 */
#ifndef STATE_OUTBOX_H
#define STATE_OUTBOX_H

#include "state/journal.h"

enum state_outbox_state { STATE_HELD = 1, STATE_DUE = 2, STATE_DELIVERED = 3, STATE_DEAD = 4 };
const char *state_outbox_state_name(enum state_outbox_state s); /* static */

struct state_outbox_entry {
    const char *id, *webhook, *rule;
    const char *account;
    int64_t row;
    uint32_t seq;
    enum state_outbox_state state;
    uint32_t attempts; /* tries answered for */
    int64_t created, next_at;
    int http_status;        /* of the last try, 0 = none */
    const char *error_text; /* of the last try, NULL = none */
    const void *body;       /* state_outbox_due only */
    size_t body_len;
    int64_t position; /* for state_outbox_filter.after */
};
typedef void (*state_outbox_fn)(void *user, const error *err, const struct state_outbox_entry *entries, size_t n,
                                bool more);

struct state_due {
    const char *webhook;
    size_t limit; /* entries; LIMIT_STATE_PAGE_BYTES of bodies end a page earlier, at least one is given */
    const char *const *skip; /* ids the caller has in flight: stays stateless, so nothing can be leased and forgotten */
    size_t n_skip;
};
/* What is due now, earliest first, with bodies. Have one of these a webhook outstanding at a time. */
void state_outbox_due(state *st, const struct state_due *due, state_outbox_fn done, void *user);

enum state_outcome { STATE_ACCEPTED, STATE_TRY_AGAIN, STATE_GIVE_UP };
struct state_outbox_result {
    const char *id;
    enum state_outcome outcome;
    uint64_t delay_ms; /* TRY_AGAIN */
    int http_status;
    const error *err; /* TRY_AGAIN, GIVE_UP: its text is kept; NULL allowed */
};
/* ACCEPTED: the step is done with it; one row is answered: next_seq tells what to go on with, state_load it.
 * TRY_AGAIN: attempts + 1. GIVE_UP: DEAD, the step failed, the message parked. Unknown or finished ids: `gone`. */
void state_outbox_result(state *st, const struct state_outbox_result *result, state_rows_fn done, void *user);

/* A DEAD delivery is DUE now, attempts 0, and its message no longer parked. */
void state_outbox_replay(state *st, const char *id, state_rows_fn done, void *user);

struct state_outbox_filter {
    const char *webhook; /* NULL = all */
    unsigned states;     /* STATE_IN(STATE_DEAD) | ...; 0 = HELD, DUE and DEAD */
    int64_t after;       /* position of the last entry of the page before, 0 = from the start */
    size_t limit;        /* 0 = 100, at most LIMIT_STATE_PAGE */
};
void state_outbox_list(state *st, const struct state_outbox_filter *filter, state_outbox_fn done, void *user);

struct state_outbox_count {
    const char *webhook;
    uint64_t held, due, dead;
    int64_t next_at; /* of the earliest DUE; 0 = none */
    int64_t oldest;  /* `created` of the oldest HELD, DUE or DEAD */
};
typedef void (*state_outbox_counts_fn)(void *user, const error *err, const struct state_outbox_count *counts, size_t n);
/* One entry a webhook that has any. */
void state_outbox_counts(state *st, state_outbox_counts_fn done, void *user);

/* When a webhook has something due next, `skip` left out. The delay counts from the submission; 0 = now. */
struct state_next_due {
    bool any;
    uint64_t delay_ms;
};
typedef void (*state_next_due_fn)(void *user, const error *err, const struct state_next_due *next);
void state_outbox_next(state *st, const char *webhook, const char *const *skip, size_t n_skip, state_next_due_fn done,
                       void *user);

#endif
