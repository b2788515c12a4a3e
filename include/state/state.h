/*
 * state/state.h - the journal: opening it, its thread, and how answers come back.
 *
 * Everything durable lives in one directory: cursors, messages with their plans, the outbox of webhooks, the ledger of
 * what was handled, the key-value store of rules. journal.h, outbox.h and kv.h hold the requests; this header the rest.
 *
 * Threads. One thread of the state's own owns the database. All functions here are called from one other thread, the
 * loop's. A request copies what it is given, so arguments may die when the call returns. All requests that wait are
 * run in the order of submission in ONE transaction (group commit); requests submitted meanwhile form the next one.
 * After the commit `wake` is called from the state's thread; the loop then calls state_dispatch(), which runs the
 * callbacks in the order of submission. A callback never runs inside the call that submitted its request.
 *
 * Callbacks. `done` may be NULL. `err` and everything in a result is borrowed and valid during the callback only. With
 * an error the result is NULL or empty. When a callback says success, the request is on disk (synced). A callback may
 * submit requests and may cancel, but not close the state.
 *
 * Failures. One request that fails (ERROR_INVALID: its arguments make no sense; ERROR_STATE: the file is damaged)
 * changes nothing and does not spoil its neighbours. A transaction that cannot be written (disk full, I/O error,
 * read-only) fails all its requests with ERROR_IO, nothing of them was done, and the state goes on being usable:
 * submit again later. After a power cut or kill -9 each transaction is there wholly or not at all, and each that was
 * reported is there.
 *
 * Rows that went away meanwhile (dropped by the administrator, UIDVALIDITY changed) are no error: the answer for such
 * a row says `gone` and the caller forgets it.
 *
 * Times are wall-clock milliseconds, read from the injected clock at submission; delays are milliseconds. A clock that
 * goes back does not leave retries stuck: the waiting ones are set anew with their old delay.
 *
 * The database is SQLite behind an interface (src/state/backend_priv.h).
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct state state;

struct state_options {
    const char *dir;           /* made with mode 0700 if absent; files 0600 */
    const clock_source *clock; /* outlives the state */
    log_ctx log;               /* outlives the state */
    void (*wake)(void *user);  /* from any thread until state_close() returns: state_dispatch() has work; NULL = none */
    void *wake_user;
};

/*
 * Opens or makes the state and starts its thread. Errors:
 * ERROR_STATE: another instance holds the directory (the text names its pid); the schema is newer than this program
 * (names both versions); the database or its write-ahead log is damaged or lost. The text says what to do; nothing is
 * ever made anew over something that was there.
 * ERROR_IO: the directory or its files cannot be made, read or written.
 */
error *state_open(const struct state_options *options, state **state_out);

/*
 * Runs and commits what is queued, marks the state as cleanly closed, and frees it. Callbacks that were not dispatched
 * yet are dropped: wait for state_get_stats().outstanding == 0 if they matter. NULL is accepted.
 */
void state_close(state *st);

/* Runs the callbacks of all finished requests. Not re-entrant: a call from a callback does nothing. */
void state_dispatch(state *st);
/* Waits (blocking) for at least one finished request if any is outstanding, then dispatches. For commands and tests
 * that have no loop. Returns false if nothing was outstanding. */
bool state_wait(state *st);
/* No callback with this `user` comes any more; the requests themselves still take effect. For owners that die; costs
 * nothing if there is none. */
void state_cancel(state *st, const void *user);

/*
 * Backpressure. The queue is bounded by LIMIT_STATE_QUEUE requests and LIMIT_STATE_QUEUE_BYTES: over it, requests that
 * bring new work (state_arrive, state_observe, state_plan, state_kv_set, state_kv_incr) answer ERROR_BUSY; those that
 * finish work are always taken, being bounded by the work. An owner that keeps its messages in flight bounded never
 * meets this.
 */
struct state_stats {
    size_t outstanding; /* requests whose callback has not run */
    size_t queued;      /* of these, requests that wait for the next transaction */
    size_t queued_bytes;
    uint64_t requests; /* since opening */
    uint64_t commits;
    uint64_t failed_commits;
    bool failing; /* the last transaction could not be written */
};
void state_get_stats(state *st, struct state_stats *stats_out);

const char *state_instance_id(const state *st); /* random, made once with the state; valid until state_close */
bool state_was_clean(const state *st);          /* the last run ended with state_close; true for a new state */

/* "msg_" and 26 random characters: ids of webhook deliveries, unique without asking anybody. NUL-terminated. */
#define STATE_ID_SIZE 31
void state_new_id(char id_out[STATE_ID_SIZE]);

/* Called from the state's thread around every commit, name is "commit-before" or "commit-after": for tests that kill
 * there. Set it while nothing is outstanding. */
void state_set_step_hook(state *st, void (*hook)(void *user, const char *name), void *user);

typedef void (*state_done_fn)(void *user, const error *err);

#endif
