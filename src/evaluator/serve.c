#include "serve_priv.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE (64 * 1024)
#define WRITE_SIZE (256 * 1024) /* gathered replies are written from here on, whatever else there is to do */
#define REPLY_DELAY_NS 1000000  /* and at the latest before a job that starts this long after them */
#define TURN_LOGS 100           /* LOG frames of one turn; what a rule says beyond is dropped */

struct job {
    rules_job *run;
    bool waits; /* for an ANSWER */
};

static uint64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

void serve_flush(struct evaluator *e) {
    size_t done = 0;

    while (done < e->out->len && !e->failed) {
        ssize_t n = write(e->fd, e->out->data + done, e->out->len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            e->failed = true;
        }
    }
    g_byte_array_set_size(e->out, 0);
}

error *serve_put(struct evaluator *e, wire_message *message) {
    bool first = e->out->len == 0;
    error *err = wire_encode(message, e->out);

    wire_message_free(message);
    if (first) {
        e->out_since = now_ns();
    }
    if (e->out->len > WRITE_SIZE) {
        serve_flush(e);
    }
    return err;
}

static void put_log(struct evaluator *e, enum log_level level, const char *text) {
    wire_message *m = wire_message_new(WIRE_LOG);

    m->u.log.level = level;
    m->u.log.text = wire_str(m, text);
    error_free(serve_put(e, m));
}

void serve_give_up(struct evaluator *e, error *err) {
    if (err) {
        put_log(e, LOG_LEVEL_ERROR, err->text);
        error_free(err);
        serve_flush(e);
        e->failed = true;
    }
}

static void put_failure(struct evaluator *e, uint64_t job, const char *text) {
    wire_message *m = wire_message_new(WIRE_FAIL);

    m->u.fail.job = job;
    m->u.fail.error.text = wire_str(m, text);
    error_free(serve_put(e, m));
}

/* --- what the rules call ------------------------------------------------------------------------------------------ */

static void on_enter(void *user, uint64_t job, int rule) {
    struct evaluator *e = user;

    atomic_store_explicit(&e->board->rule, rule, memory_order_relaxed);
    atomic_store_explicit(&e->board->phase, rule < 0 ? WIRE_PHASE_MESSAGE : WIRE_PHASE_RULE, memory_order_relaxed);
}

static void on_log(void *user, wire_message *log) {
    struct evaluator *e = user;

    if (e->turn_logs++ < TURN_LOGS) {
        error_free(serve_put(e, log));
        return;
    }
    if (e->turn_logs == TURN_LOGS + 1) {
        put_log(e, LOG_LEVEL_WARN, "a rule logs too much: the rest is dropped");
    }
    wire_message_free(log);
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

static void begin_turn(struct evaluator *e, uint64_t job, enum wire_phase phase) {
    wire_board *b = e->board;

    if (e->out->len && now_ns() - e->out_since > REPLY_DELAY_NS) {
        serve_flush(e);
    }
    e->turn_logs = 0;
    atomic_store_explicit(&b->job, job, memory_order_relaxed);
    atomic_store_explicit(&b->rule, -1, memory_order_relaxed);
    atomic_store_explicit(&b->phase, phase, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->turn, 1, memory_order_release);
}

static void end_turn(struct evaluator *e) {
    atomic_store_explicit(&e->board->phase, WIRE_PHASE_IDLE, memory_order_release);
}

static void free_job(void *data) {
    struct job *job = data;

    rules_job_free(job->run);
    g_free(job);
}

static void run(struct evaluator *e, uint64_t number, struct job *job) {
    wire_message *reply = rules_run(job->run);
    bool over = reply->type != WIRE_NEED;

    job->waits = !over;
    error *err = serve_put(e, reply);
    if (err) {
        put_failure(e, number, err->text);
        error_free(err);
        over = true;
    }
    if (over) {
        g_hash_table_remove(e->jobs, &number);
    }
}

static void on_eval(struct evaluator *e, wire_message *m) {
    uint64_t number = m->u.eval.job;
    struct job *job = g_new0(struct job, 1);

    begin_turn(e, number, WIRE_PHASE_MESSAGE);
    job->run = rules_begin(e->rules, m);
    g_hash_table_replace(e->jobs, g_memdup2(&number, sizeof number), job);
    run(e, number, job);
    end_turn(e);
}

static void on_answer(struct evaluator *e, wire_message *m) {
    uint64_t number = m->u.answer.job;
    struct job *job = g_hash_table_lookup(e->jobs, &number);

    if (!job || !job->waits) { /* cancelled meanwhile */
        wire_message_free(m);
        return;
    }
    begin_turn(e, number, WIRE_PHASE_MESSAGE);
    rules_answer(job->run, m);
    run(e, number, job);
    end_turn(e);
}

static void on_cancel(struct evaluator *e, wire_message *m) {
    begin_turn(e, m->u.cancel.job, WIRE_PHASE_MESSAGE);
    g_hash_table_remove(e->jobs, &m->u.cancel.job);
    end_turn(e);
    wire_message_free(m);
}

static void on_scope(struct evaluator *e, wire_message *m) {
    wire_message *reply = wire_message_new(WIRE_SCOPE_REPLY);

    begin_turn(e, m->u.scope.job, WIRE_PHASE_SCOPE);
    rules_scope(e->rules, &m->u.scope, reply);
    reply->u.scope_reply.job = m->u.scope.job;
    end_turn(e);
    error_free(serve_put(e, reply));
    wire_message_free(m);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void handle(struct evaluator *e, wire_message *m) {
    static void (*const handlers[WIRE_TYPES])(struct evaluator *, wire_message *) = {
        [WIRE_SCOPE] = on_scope,
        [WIRE_EVAL] = on_eval,
        [WIRE_ANSWER] = on_answer,
        [WIRE_CANCEL] = on_cancel,
    };

    if (!handlers[m->type]) {
        serve_give_up(e, error_new(ERROR_PROTOCOL, "unexpected %s frame", wire_type_name(m->type)));
        wire_message_free(m);
        return;
    }
    handlers[m->type](e, m);
}

void serve_feed(struct evaluator *e, const void *data, size_t len, serve_fn fn) {
    enum wire_result result = WIRE_HAVE;

    wire_decoder_feed(e->in, data, len);
    while (!e->failed && result == WIRE_HAVE) {
        wire_message *m = NULL;
        error *err = NULL;
        result = wire_decoder_next(e->in, &m, &err);
        if (result == WIRE_HAVE) {
            fn(e, m);
        } else if (result == WIRE_BAD) {
            serve_give_up(e, err);
        }
    }
}

/* The keeper starts another where one ends; nothing is lost while no message is at work. */
static bool is_worn(struct evaluator *e) {
    if (g_hash_table_size(e->jobs) > 0 || !rules_is_worn(e->rules)) {
        return false;
    }
    put_log(e, LOG_LEVEL_NOTICE, "rules keep too much in variables: the evaluator starts afresh");
    return true;
}

void serve_jobs(struct evaluator *e) {
    g_autofree uint8_t *buffer = g_malloc(READ_SIZE);
    struct pollfd p = {.fd = e->fd, .events = POLLIN};

    while (!e->failed) {
        if (e->out->len && poll(&p, 1, 0) == 0) {
            bool worn = is_worn(e);
            serve_flush(e);
            if (worn) {
                return;
            }
        }
        ssize_t n = read(e->fd, buffer, READ_SIZE);
        if (n == 0) {
            return;
        }
        if (n > 0) {
            atomic_fetch_add(&e->board->reads, 1);
            serve_feed(e, buffer, (size_t)n, handle);
        } else if (errno != EINTR) {
            e->failed = true;
        }
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void serve_init(struct evaluator *e, int fd) {
    e->fd = fd;
    e->board = &e->own_board;
    e->in = wire_decoder_new();
    e->out = g_byte_array_new();
    e->jobs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_job);
    e->host = (struct rules_host){e, on_enter, on_log};
}

void serve_begin(struct evaluator *e, int fd) {
    wire_decoder_free(e->in);
    e->in = wire_decoder_new();
    g_byte_array_set_size(e->out, 0);
    e->fd = fd;
}

void serve_release(struct evaluator *e) {
    g_hash_table_destroy(e->jobs);
    g_byte_array_free(e->out, TRUE);
    wire_decoder_free(e->in);
}
