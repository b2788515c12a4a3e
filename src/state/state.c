/* The queue, its thread and the way back. Knows nothing of any database. */
#include "state/state.h"

#include "backend_priv.h"
#include "base/limits.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>

struct list {
    struct request *head, *tail;
};

struct state {
    const clock_source *clock;
    log_ctx log;
    void (*wake)(void *user);
    void *wake_user;
    const struct backend_ops *ops;
    struct backend *backend;
    pthread_t thread;
    void (*hook)(void *user, const char *name);
    void *hook_user;

    bool complained; /* the state's thread only: the last transaction that wrote has failed, and was logged */

    pthread_mutex_t lock; /* guards all up to the next comment */
    pthread_cond_t work, ready;
    struct list queue, finished;
    bool stopping;
    struct state_stats stats; /* but for `outstanding` */

    /* the loop's thread only */
    GHashTable *owners; /* user -> the first of its requests, whose callbacks have not run; see state_cancel */
    size_t outstanding;
    bool dispatching;
    int64_t last_now;
};

static void list_append(struct list *list, struct request *r) {
    r->next = NULL;
    if (list->tail) {
        list->tail->next = r;
    } else {
        list->head = r;
    }
    list->tail = r;
}

static void request_free(struct request *r) {
    error_free(r->err);
    arena_release(&r->arena);
    g_free(r);
}

bool state_request_writes(enum request_type type) {
    switch (type) {
    case REQUEST_CURSOR_LOAD:
    case REQUEST_LIST:
    case REQUEST_LOAD:
    case REQUEST_COUNTS:
    case REQUEST_FIND_HANDLED:
    case REQUEST_PRESENT_LOAD:
    case REQUEST_OUTBOX_DUE:
    case REQUEST_OUTBOX_LIST:
    case REQUEST_OUTBOX_COUNTS:
    case REQUEST_OUTBOX_NEXT:
    case REQUEST_KV_GET:
        return false;
    default:
        return true;
    }
}

static bool brings_new_work(enum request_type type) {
    return type == REQUEST_ARRIVE || type == REQUEST_OBSERVE || type == REQUEST_PLAN || type == REQUEST_KV_SET ||
           type == REQUEST_KV_INCR;
}

/* --- the state's thread ------------------------------------------------------------------------------------------- */

static void fail_all(struct request *first, const error *err) {
    for (struct request *r = first; r; r = r->next) {
        error_free(r->err);
        r->err = error_copy(err);
    }
}

static error *commit(state *st, bool writes) {
    error *err;

    if (writes && st->hook) {
        st->hook(st->hook_user, "commit-before");
    }
    err = st->ops->commit(st->backend);
    if (writes && !err && st->hook) {
        st->hook(st->hook_user, "commit-after");
    }
    return err;
}

struct outcome {
    bool writes, failed;
};

static struct outcome run_batch(state *st, struct request *first) {
    error *err = st->ops->begin(st->backend);
    struct outcome outcome = {0};

    for (struct request *r = first; r; r = r->next) {
        outcome.writes = outcome.writes || state_request_writes(r->type);
        err = err ? err : st->ops->exec(st->backend, r);
    }
    err = err ? err : commit(st, outcome.writes);
    if (err) {
        outcome.failed = true;
        st->ops->rollback(st->backend);
        fail_all(first, err);
        if (!st->complained) {
            log_error_value(&st->log, LOG_LEVEL_ERROR, err);
        }
        error_free(err);
    } else if (outcome.writes && st->complained) {
        log_notice(&st->log, "the journal can be written again");
    }
    st->complained = outcome.failed || (st->complained && !outcome.writes);
    return outcome;
}

/* Cuts the batch off the queue. Called with the lock. */
static struct request *take_batch(state *st, struct request **last_out) {
    struct request *first = st->queue.head, *last = first;

    for (size_t n = 1;; n++) {
        st->stats.queued--;
        st->stats.queued_bytes -= last->bytes;
        if (!last->next || n == LIMIT_STATE_BATCH) {
            break;
        }
        last = last->next;
    }
    st->queue.head = last->next;
    if (!st->queue.head) {
        st->queue.tail = NULL;
    }
    last->next = NULL;
    *last_out = last;
    return first;
}

static void hand_back(state *st, struct request *first, struct request *last, struct outcome outcome) {
    pthread_mutex_lock(&st->lock);
    if (st->finished.tail) {
        st->finished.tail->next = first;
    } else {
        st->finished.head = first;
    }
    st->finished.tail = last;
    st->stats.commits += !outcome.failed;
    st->stats.failed_commits += outcome.failed;
    st->stats.failing = st->complained;
    pthread_cond_signal(&st->ready);
    pthread_mutex_unlock(&st->lock);
    if (st->wake) {
        st->wake(st->wake_user);
    }
}

static void *run(void *user) {
    state *st = user;

    pthread_mutex_lock(&st->lock);
    for (;;) {
        while (!st->queue.head && !st->stopping) {
            pthread_cond_wait(&st->work, &st->lock);
        }
        if (!st->queue.head) {
            break;
        }
        struct request *last, *first = take_batch(st, &last);
        pthread_mutex_unlock(&st->lock);
        struct outcome outcome = run_batch(st, first);
        hand_back(st, first, last, outcome);
        st->ops->idle(st->backend);
        pthread_mutex_lock(&st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    return NULL;
}

/* --- submission --------------------------------------------------------------------------------------------------- */

struct request *state_request_new(state *st, enum request_type type, void *user) {
    struct request *r = g_new0(struct request, 1);

    r->type = type;
    r->user = user;
    r->now = clock_wall_ms(st->clock);
    return r;
}

static void remember(state *st, struct request *r) {
    st->outstanding++;
    if (!r->user || !r->deliver) {
        return;
    }
    r->owner_next = g_hash_table_lookup(st->owners, r->user);
    if (r->owner_next) {
        r->owner_next->owner_prev = r;
    }
    g_hash_table_insert(st->owners, r->user, r);
}

static void enqueue(state *st, struct request *r) {
    bool was_empty, refuse;

    remember(st, r);
    r->bytes = r->arena.total + sizeof *r;
    pthread_mutex_lock(&st->lock);
    refuse = brings_new_work(r->type) && st->stats.queued &&
             (st->stats.queued >= LIMIT_STATE_QUEUE || st->stats.queued_bytes + r->bytes > LIMIT_STATE_QUEUE_BYTES);
    was_empty = !st->queue.head;
    st->stats.requests++;
    if (refuse) {
        r->err = error_new(ERROR_BUSY, "the journal cannot keep up: %zu requests wait", st->stats.queued);
        list_append(&st->finished, r);
    } else {
        list_append(&st->queue, r);
        st->stats.queued++;
        st->stats.queued_bytes += r->bytes;
    }
    if (was_empty) {
        pthread_cond_signal(&st->work);
    }
    pthread_mutex_unlock(&st->lock);
    if (refuse && st->wake) {
        st->wake(st->wake_user);
    }
}

void state_request_submit(state *st, struct request *r) {
    enum { SLACK_MS = 1000 }; /* what a clock that is being disciplined may step */

    if (r->now < st->last_now - SLACK_MS) {
        struct request *back = state_request_new(st, REQUEST_CLOCK_BACK, NULL);
        back->now = r->now;
        enqueue(st, back);
    }
    st->last_now = r->now;
    enqueue(st, r);
}

/* --- the way back ------------------------------------------------------------------------------------------------- */

static void forget(state *st, struct request *r) {
    st->outstanding--;
    if (!r->user || !r->deliver) {
        return;
    }
    if (r->owner_next) {
        r->owner_next->owner_prev = r->owner_prev;
    }
    if (r->owner_prev) {
        r->owner_prev->owner_next = r->owner_next;
    } else if (r->owner_next) {
        g_hash_table_insert(st->owners, r->user, r->owner_next);
    } else {
        g_hash_table_remove(st->owners, r->user);
    }
}

void state_dispatch(state *st) {
    struct request *r, *next;

    if (st->dispatching) {
        return;
    }
    st->dispatching = true;
    pthread_mutex_lock(&st->lock);
    r = st->finished.head;
    st->finished = (struct list){0};
    pthread_mutex_unlock(&st->lock);
    for (; r; r = next) {
        next = r->next;
        forget(st, r);
        if (r->deliver && !r->cancelled) {
            r->deliver(r);
        }
        if (r->type == REQUEST_DROP && !r->err) {
            for (size_t i = 0; i < r->out.rows.n; i++) {
                if (r->out.rows.dropped[i]) {
                    log_notice(&st->log, "%s", r->out.rows.dropped[i]);
                }
            }
        }
        request_free(r);
    }
    st->dispatching = false;
}

bool state_wait(state *st) {
    if (!st->outstanding || st->dispatching) {
        return false;
    }
    pthread_mutex_lock(&st->lock);
    while (!st->finished.head) {
        pthread_cond_wait(&st->ready, &st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    state_dispatch(st);
    return true;
}

void state_cancel(state *st, const void *user) {
    for (struct request *r = user ? g_hash_table_lookup(st->owners, user) : NULL; r; r = r->owner_next) {
        r->cancelled = true;
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

/* Signals are the loop's; and a file size limit shall be an error of write(2), not the end. */
static int start_thread(state *st) {
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&st->thread, NULL, run, st);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void state_free(state *st) {
    st->ops->close(st->backend);
    pthread_mutex_destroy(&st->lock);
    pthread_cond_destroy(&st->work);
    pthread_cond_destroy(&st->ready);
    g_hash_table_unref(st->owners);
    g_free(st);
}

error *state_open(const struct state_options *options, state **state_out) {
    const struct backend_ops *ops = &backend_sqlite;
    struct backend *backend;
    error *err = ops->open(options, &backend);
    state *st;
    int rc;

    *state_out = NULL;
    if (err) {
        return err;
    }
    st = g_new0(state, 1);
    st->clock = options->clock;
    st->log = options->log;
    st->wake = options->wake;
    st->wake_user = options->wake_user;
    st->ops = ops;
    st->backend = backend;
    st->last_now = clock_wall_ms(st->clock);
    st->owners = g_hash_table_new(g_direct_hash, g_direct_equal);
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->work, NULL);
    pthread_cond_init(&st->ready, NULL);
    rc = start_thread(st);
    if (rc != 0) {
        state_free(st);
        return error_new(ERROR_IO, "opening the state: no thread: %s", g_strerror(rc));
    }
    *state_out = st;
    return NULL;
}

void state_close(state *st) {
    struct request *next;

    if (!st) {
        return;
    }
    pthread_mutex_lock(&st->lock);
    st->stopping = true;
    pthread_cond_signal(&st->work);
    pthread_mutex_unlock(&st->lock);
    pthread_join(st->thread, NULL);
    for (struct request *r = st->finished.head; r; r = next) {
        next = r->next;
        request_free(r);
    }
    state_free(st);
}

void state_get_stats(state *st, struct state_stats *stats_out) {
    pthread_mutex_lock(&st->lock);
    *stats_out = st->stats;
    pthread_mutex_unlock(&st->lock);
    stats_out->outstanding = st->outstanding;
}

const char *state_instance_id(const state *st) {
    return st->ops->instance_id(st->backend);
}

bool state_was_clean(const state *st) {
    return st->ops->was_clean(st->backend);
}

void state_set_step_hook(state *st, void (*hook)(void *user, const char *name), void *user) {
    pthread_mutex_lock(&st->lock);
    st->hook = hook;
    st->hook_user = user;
    pthread_mutex_unlock(&st->lock);
}

void state_new_id(char id_out[STATE_ID_SIZE]) {
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[STATE_ID_SIZE - 5];

    while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
    }
    memcpy(id_out, "msg_", 4);
    for (size_t i = 0; i < sizeof random; i++) {
        id_out[4 + i] = letters[random[i] & 31];
    }
    id_out[STATE_ID_SIZE - 1] = '\0';
}
