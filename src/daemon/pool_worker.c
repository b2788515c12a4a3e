#include "pool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_FRAME (64 * 1024) /* up to here frames are copied into one buffer and sent with one call */

/* --- jobs --------------------------------------------------------------------------------------------------------- */

void worker_take_job(struct worker *w, struct job *job) {
    gsize len;
    const void *data = g_bytes_get_data(job->frame, &len);

    job->worker = w;
    job->waits = false;
    job->bytes = len;
    job->reads = atomic_load(&w->board->reads);
    job->link.data = job;
    g_queue_push_tail_link(&w->jobs, &job->link);
    w->bytes += len;
    if (len <= SMALL_FRAME) {
        g_byte_array_append(w->out, data, (guint)len);
    } else {
        worker_flush(w);
        stream_write_bytes(w->stream, job->frame);
    }
    watch_start(w->p);
}

/* Without blame: it is not needed any more. */
static void end(struct worker *w) {
    w->expected = true;
    worker_kill(w, NULL);
}

void worker_drop_job(struct job *job) {
    struct worker *w = job->worker;

    g_queue_unlink(&w->jobs, &job->link);
    w->bytes -= job->bytes;
    w->waiting -= job->waits;
    job->worker = NULL;
    job->waits = false;
    if (w->retiring && !w->dying && g_queue_is_empty(&w->jobs)) {
        end(w);
    }
}

error *worker_put(struct worker *w, wire_message *message, size_t *bytes_out) {
    guint before = w->out->len;
    error *err = wire_encode(message, w->out);

    wire_message_free(message);
    if (bytes_out) {
        *bytes_out = w->out->len - before;
    }
    pool_kick(w->p);
    return err;
}

void worker_put_cancel(struct worker *w, uint64_t job) {
    wire_message *m = wire_message_new(WIRE_CANCEL);

    m->u.cancel.job = job;
    error_free(worker_put(w, m, NULL));
}

void worker_flush(struct worker *w) {
    if (w->out->len > SMALL_FRAME) {
        GBytes *bytes = g_byte_array_free_to_bytes(w->out);
        stream_write_bytes(w->stream, bytes);
        g_bytes_unref(bytes);
        w->out = g_byte_array_new();
    } else if (w->out->len) {
        stream_write(w->stream, w->out->data, w->out->len);
        g_byte_array_set_size(w->out, 0);
    }
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

static void broke_protocol(struct worker *w, const char *what) {
    w->garbled = true;
    worker_kill(w, g_strdup_printf("sent %s", what));
}

static void on_need(struct job *job, wire_message *m) {
    job->waits = true;
    job->need = m->u.need.kind;
    job->worker->waiting++;
    job->events->need(job->user, m);
}

static void on_end(struct job *job, wire_message *m) {
    struct worker *w = job->worker;
    pool *p = w->p;

    w->served++;
    p->finished++;
    worker_drop_job(job);
    job_forget(p, job);
    if (m->type == WIRE_SCOPE_REPLY) {
        job->on_scope(job->user, m);
    } else if (m->type == WIRE_PLAN) {
        job->events->plan(job->user, m);
    } else {
        job->events->fail(job->user, m);
    }
    job_free(job);
}

static void on_reply(struct worker *w, uint64_t id, wire_message *m) {
    struct job *job = g_hash_table_lookup(w->p->jobs, &id);

    if (!job || job->worker != w) { /* cancelled meanwhile */
        wire_message_free(m);
        return;
    }
    pool_kick(w->p);
    w->ticks = 0;
    if (job->waits || (job->account == NULL) != (m->type == WIRE_SCOPE_REPLY)) {
        broke_protocol(w, "a reply that nobody asked for");
        wire_message_free(m);
    } else if (m->type == WIRE_NEED) {
        on_need(job, m);
    } else {
        on_end(job, m);
    }
}

static void on_frame(struct worker *w, wire_message *m) {
    switch (m->type) {
    case WIRE_NEED:
        on_reply(w, m->u.need.job, m);
        break;
    case WIRE_PLAN:
        on_reply(w, m->u.plan.job, m);
        break;
    case WIRE_FAIL:
        on_reply(w, m->u.fail.job, m);
        break;
    case WIRE_SCOPE_REPLY:
        on_reply(w, m->u.scope_reply.job, m);
        break;
    case WIRE_LOG:
        pool_log(w->p, m);
        break;
    case WIRE_READY:
        w->pid = (pid_t)m->u.ready.pid;
        w->p->failures = 0;
        wire_message_free(m);
        pool_kick(w->p);
        break;
    default:
        broke_protocol(w, "a frame out of turn");
        wire_message_free(m);
    }
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    struct worker *w = user;
    enum wire_result result = WIRE_HAVE;

    wire_decoder_feed(w->in, bytes, len);
    while (result == WIRE_HAVE && !w->garbled) {
        wire_message *m = NULL;
        error *err = NULL;
        result = wire_decoder_next(w->in, &m, &err);
        if (result == WIRE_HAVE) {
            on_frame(w, m);
        } else if (result == WIRE_BAD) {
            broke_protocol(w, err->text);
            error_free(err);
        }
    }
}

/* --- the process -------------------------------------------------------------------------------------------------- */

/* Replies may still be in the socket when the exit status is known: both ends are waited for. */
void worker_on_exit(struct worker *w, int status, int signum) {
    w->exited = w->dying = true;
    /* Between two messages it may wish to start afresh. */
    w->expected |= status == 0 && w->pid && atomic_load(&w->board->phase) == WIRE_PHASE_IDLE;
    w->status = status;
    w->signum = signum;
    if (w->closed) {
        death_bury(w);
    }
}

static void on_closed(void *user, error *err) {
    struct worker *w = user;

    error_free(err);
    w->closed = true;
    if (w->exited) {
        death_bury(w);
    } else {
        worker_kill(w, NULL);
    }
}

void worker_kill(struct worker *w, char *reason) {
    if (w->reason) {
        g_free(reason);
    } else {
        w->reason = reason;
    }
    w->dying = true;
    if (!w->exited) {
        generation_kill(w->generation, w->id);
    }
}

bool worker_counts(const struct worker *w) {
    return w->generation == w->p->current && !w->dying && !w->retiring;
}

bool worker_is_ready(const struct worker *w) {
    return w->pid && worker_counts(w);
}

void worker_retire(struct worker *w) {
    w->retiring = true;
    if (w->p->reserved == w) {
        w->p->reserved = NULL;
    }
    if (g_queue_is_empty(&w->jobs)) {
        end(w);
    }
}

static bool may_go(const struct job *job, uint64_t at_work) {
    bool answered = job->bytes != g_bytes_get_size(job->frame); /* what it asked for may have had an effect */

    return job->id != at_work && !job->waits && !answered && !job->given_back_by;
}

static bool is_alone(const struct worker *w) {
    for (guint i = 0; i < w->p->workers->len; i++) {
        const struct worker *other = w->p->workers->pdata[i];
        if (other != w && worker_is_ready(other)) {
            return false;
        }
    }
    return true;
}

/* The frames are on their way: it will evaluate them all the same, but nobody listens; CANCEL ends what then waits. */
void worker_give_back(struct worker *w) {
    uint64_t at_work = atomic_load(&w->board->job);

    if (is_alone(w)) {
        return;
    }
    for (GList *link = w->jobs.tail, *before; link; link = before) {
        struct job *job = link->data;
        before = link->prev;
        if (may_go(job, at_work)) {
            worker_put_cancel(w, job->id);
            worker_drop_job(job);
            job->given_back_by = w->id;
            queue_put(w->p, job, true);
        }
    }
}

static error *make_board(wire_board **board_out, int *fd_out) {
    int fd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *page = MAP_FAILED;

    /* Sealed: an evaluator that shrank it would have us die of SIGBUS. */
    if (fd >= 0 && ftruncate(fd, sizeof(wire_board)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        page = mmap(NULL, sizeof(wire_board), PROT_READ, MAP_SHARED, fd, 0);
    }
    if (page == MAP_FAILED) {
        error *err = error_new(ERROR_IO, "evaluator board: %s", g_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return err;
    }
    *board_out = page;
    *fd_out = fd;
    return NULL;
}

static error *begin(struct worker *w) {
    static const stream_events events = {.on_data = on_data, .on_closed = on_closed};
    int pair[2] = {-1, -1}, board_fd = -1;
    error *err = make_board(&w->board, &board_fd);

    if (err) {
        return err;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        err = error_new(ERROR_IO, "evaluator socket: %s", g_strerror(errno));
        close(board_fd);
        return err;
    }
    err = stream_new(w->p->options.loop, pair[0], NULL, &events, w, &w->stream);
    if (!err) {
        err = generation_fork(w->generation, w->id, pair[1], board_fd);
    }
    close(pair[1]);
    close(board_fd);
    return err;
}

error *worker_new(pool *p) {
    struct worker *w = g_new0(struct worker, 1);

    w->p = p;
    w->id = ++p->last_id;
    w->generation = generation_ref(p->current);
    w->in = wire_decoder_new();
    w->out = g_byte_array_new();
    g_queue_init(&w->jobs);
    error *err = begin(w);
    if (err) {
        worker_free(w);
        return err;
    }
    g_ptr_array_add(p->workers, w);
    return NULL;
}

void worker_free(struct worker *w) {
    stream_free(w->stream);
    if (w->board) {
        munmap(w->board, sizeof *w->board);
    }
    wire_decoder_free(w->in);
    g_byte_array_free(w->out, TRUE);
    generation_unref(w->generation);
    g_free(w->reason);
    g_free(w);
}
