#include "evaluator/evaluator.h"

#include "lockdown_priv.h"
#include "mail/runtime.h"
#include "rules/rules.h"
#include "title_priv.h"
#include "wire/board.h"
#include "wire/frame.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
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

struct evaluator {
    int fd;
    wire_board *board; /* points to own_board where the keeper gave none */
    wire_board own_board;
    wire_decoder *in;
    GByteArray *out;
    uint64_t out_since; /* when the oldest byte of out was put there */
    mail_runtime *runtime;
    struct rules_host host;
    rules *rules;
    GHashTable *jobs; /* &number -> struct job */
    unsigned turn_logs;
    bool loaded; /* LOAD has come; rules may still be NULL */
    bool failed; /* the peer is gone or speaks nonsense */
};

static uint64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

static void flush(struct evaluator *e) {
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

/* Takes the message over. */
static error *put(struct evaluator *e, wire_message *message) {
    bool first = e->out->len == 0;
    error *err = wire_encode(message, e->out);

    wire_message_free(message);
    if (first) {
        e->out_since = now_ns();
    }
    if (e->out->len > WRITE_SIZE) {
        flush(e);
    }
    return err;
}

static void put_log(struct evaluator *e, enum log_level level, const char *text) {
    wire_message *m = wire_message_new(WIRE_LOG);

    m->u.log.level = level;
    m->u.log.text = wire_str(m, text);
    error_free(put(e, m));
}

/* Takes err over; NULL changes nothing. */
static void give_up(struct evaluator *e, error *err) {
    if (err) {
        put_log(e, LOG_LEVEL_ERROR, err->text);
        error_free(err);
        flush(e);
        e->failed = true;
    }
}

static void put_failure(struct evaluator *e, uint64_t job, const char *text) {
    wire_message *m = wire_message_new(WIRE_FAIL);

    m->u.fail.job = job;
    m->u.fail.error.text = wire_str(m, text);
    error_free(put(e, m));
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
        error_free(put(e, log));
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
        flush(e);
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
    error *err = put(e, reply);
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
    error_free(put(e, reply));
    wire_message_free(m);
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

static void add_mistake(wire_message *config, const char *path, const char *text) {
    wire_config *c = &config->u.config;

    c->mistakes = wire_array(config, wire_mistake, 1);
    c->mistakes[0].text = wire_str(config, text);
    c->mistakes[0].place.file = wire_str(config, path);
    c->n_mistakes = 1;
}

static void on_load(struct evaluator *e, wire_message *m) {
    wire_message *config = wire_message_new(WIRE_CONFIG);
    const wire_load *load = &m->u.load;

    begin_turn(e, 0, WIRE_PHASE_LOAD);
    error *err = rules_load(load->path, load->check_only, &e->host, config, &e->rules);
    if (err) {
        add_mistake(config, load->path, err->text);
        error_free(err);
    }
    wire_message_free(m);
    err = lockdown_final(config->u.config.limits.evaluator_memory);
    end_turn(e);
    if (err) {
        wire_message_free(config);
    } else {
        err = put(e, config);
    }
    give_up(e, err);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void handle(struct evaluator *e, wire_message *m) {
    static void (*const handlers[WIRE_TYPES])(struct evaluator *, wire_message *) = {
        [WIRE_LOAD] = on_load,     [WIRE_SCOPE] = on_scope,   [WIRE_EVAL] = on_eval,
        [WIRE_ANSWER] = on_answer, [WIRE_CANCEL] = on_cancel,
    };
    bool load = m->type == WIRE_LOAD;
    bool expected = load ? !e->loaded && m->u.load.version == WIRE_VERSION : e->rules != NULL;

    if (!handlers[m->type] || !expected) {
        give_up(e, error_new(ERROR_PROTOCOL, "unexpected %s frame, or another version", wire_type_name(m->type)));
        wire_message_free(m);
        return;
    }
    e->loaded = true;
    handlers[m->type](e, m);
}

static void handle_all(struct evaluator *e) {
    enum wire_result result = WIRE_HAVE;

    while (!e->failed && result == WIRE_HAVE) {
        wire_message *m = NULL;
        error *err = NULL;
        result = wire_decoder_next(e->in, &m, &err);
        if (result == WIRE_HAVE) {
            handle(e, m);
        } else if (result == WIRE_BAD) {
            give_up(e, err);
        }
    }
}

/* The keeper starts another where one ends; nothing is lost while no message is at work. */
static bool is_worn(struct evaluator *e) {
    if (!e->rules || g_hash_table_size(e->jobs) > 0 || !rules_is_worn(e->rules)) {
        return false;
    }
    put_log(e, LOG_LEVEL_NOTICE, "rules keep too much in variables: the evaluator starts afresh");
    return true;
}

static void serve(struct evaluator *e) {
    g_autofree uint8_t *buffer = g_malloc(READ_SIZE);
    struct pollfd p = {.fd = e->fd, .events = POLLIN};

    while (!e->failed) {
        if (e->out->len && poll(&p, 1, 0) == 0) {
            bool worn = is_worn(e);
            flush(e);
            if (worn) {
                return;
            }
        }
        ssize_t n = read(e->fd, buffer, READ_SIZE);
        if (n == 0) {
            return;
        }
        if (n > 0) {
            wire_decoder_feed(e->in, buffer, (size_t)n);
            handle_all(e);
        } else if (errno != EINTR) {
            e->failed = true;
        }
    }
}

static error *init(struct evaluator *e, int fd, int board_fd) {
    e->fd = fd;
    e->board = &e->own_board;
    e->in = wire_decoder_new();
    e->out = g_byte_array_new();
    e->jobs = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, free_job);
    e->host = (struct rules_host){e, on_enter, on_log};
    if (board_fd >= 0) {
        void *page = mmap(NULL, sizeof *e->board, PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
        if (page == MAP_FAILED) {
            return error_new(ERROR_IO, "board: %s", g_strerror(errno));
        }
        e->board = page;
        close(board_fd);
    }
    error *err = lockdown_early();
    if (!err) {
        e->runtime = mail_runtime_new();
    }
    return err;
}

static void release(struct evaluator *e) {
    g_hash_table_destroy(e->jobs);
    rules_free(e->rules);
    mail_runtime_free(e->runtime);
    g_byte_array_free(e->out, TRUE);
    wire_decoder_free(e->in);
}

int evaluator_main(int fd, int board_fd) {
    struct evaluator e = {0};

    title_set("mailruled: evaluator");
    give_up(&e, init(&e, fd, board_fd));
    serve(&e);
    release(&e);
    return e.failed;
}
