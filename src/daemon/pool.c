#include "pool_priv.h"

#include <unistd.h>

#define WINDOW_DEFAULT 16
#define SIZE_MIN 2
#define QUEUE_WINDOWS 4 /* jobs that may wait: so many windows of all evaluators */
#define RESPAWN_MS 250
#define RESPAWN_MAX_MS 60000

/* --- loading ------------------------------------------------------------------------------------------------------ */

static void retire_workers(pool *p, const struct generation *g) {
    for (guint i = 0; i < p->workers->len; i++) {
        struct worker *w = p->workers->pdata[i];
        if (w->generation == g && !w->dying) {
            worker_retire(w);
        }
    }
}

static void drop_next(pool *p) {
    generation_unref(g_steal_pointer(&p->next));
}

static error *begin_next(pool *p) {
    drop_next(p);
    return generation_new(p, &p->next);
}

void pool_respawn_later(pool *p) {
    uint64_t delay = (uint64_t)RESPAWN_MS << MIN(p->failures, 10);

    p->failures++;
    loop_timer_start(p->respawn, MIN(delay, RESPAWN_MAX_MS));
}

/* Without the nursery of the config in use nothing is evaluated. */
static bool is_orphaned(const pool *p) {
    return p->current && p->current->dead;
}

static void retry_if_orphaned(pool *p) {
    if (is_orphaned(p)) {
        pool_respawn_later(p);
    }
}

/* Takes err over; NULL changes nothing. */
static void failed_to_start(pool *p, error *err) {
    if (err) {
        log_error_value(&p->log, LOG_LEVEL_ERROR, err);
        error_free(err);
        pool_respawn_later(p);
    }
}

void pool_fill(pool *p) {
    error *err = NULL;
    unsigned n = 0;

    if (!p->current || p->current->dead || p->options.check_only || loop_timer_active(p->respawn)) {
        return;
    }
    for (guint i = 0; i < p->workers->len; i++) {
        n += worker_counts(p->workers->pdata[i]);
    }
    for (; n < p->options.size && !err; n++) {
        err = worker_new(p);
    }
    failed_to_start(p, err);
}

static void on_respawn(void *user) {
    pool *p = user;

    if (is_orphaned(p) && !p->next) {
        failed_to_start(p, begin_next(p));
    } else {
        pool_fill(p);
    }
}

static wire_message *copy_message(const wire_message *message) {
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    wire_decoder *decoder = wire_decoder_new();
    wire_message *copy = NULL;
    error *err = wire_encode(message, bytes);

    if (!err) {
        wire_decoder_feed(decoder, bytes->data, bytes->len);
        wire_decoder_next(decoder, &copy, &err);
    }
    error_free(err);
    wire_decoder_free(decoder);
    return copy;
}

static void adopt_next(pool *p, wire_message *config) {
    struct generation *old = p->current;

    p->current = g_steal_pointer(&p->next);
    p->current->config = copy_message(config);
    p->failures = 0;
    loop_timer_stop(p->respawn);
    if (old) {
        retire_workers(p, old);
        generation_unref(old);
    }
    pool_fill(p);
    pool_kick(p);
    p->events.loaded(p->user, config);
}

void pool_on_loaded(struct generation *g, wire_message *config) {
    pool *p = g->p;

    if (g != p->next) {
        wire_message_free(config);
    } else if (config->u.config.n_mistakes) {
        drop_next(p);
        retry_if_orphaned(p);
        p->events.refused(p->user, config, NULL);
    } else {
        adopt_next(p, config);
    }
}

void pool_on_nursery_lost(struct generation *g, error *err) {
    pool *p = g->p;

    if (g == p->next) {
        drop_next(p);
        retry_if_orphaned(p);
        p->events.refused(p->user, NULL, err);
        return;
    }
    if (g == p->current) {
        log_error_value(&p->log, LOG_LEVEL_ERROR, err);
        pool_respawn_later(p); /* the config is read again */
    }
    error_free(err);
}

error *pool_reload(pool *p, const char *path) {
    if (path) {
        g_free(p->path);
        p->path = g_strdup(path);
    }
    error *err = begin_next(p);
    if (err) {
        retry_if_orphaned(p); /* it may just have been read again */
    }
    return err;
}

void pool_log(pool *p, wire_message *m) {
    const wire_log *l = &m->u.log;
    const struct job *job = g_hash_table_lookup(p->jobs, &l->job);
    log_ctx ctx = p->log;

    ctx.group = "rules";
    ctx.account = job ? job->account : NULL;
    ctx.rule = l->rule;
    if (l->place.file) {
        log_write(&ctx, l->level, "%s:%u: %s", l->place.file, l->place.line, l->text);
    } else {
        log_write(&ctx, l->level, "%s", l->text);
    }
    wire_message_free(m);
}

/* --- the end of a turn -------------------------------------------------------------------------------------------- */

static size_t queue_max(const pool *p) {
    return (size_t)p->options.size * p->options.window * QUEUE_WINDOWS;
}

static void on_kick(void *user) {
    pool *p = user;

    queue_hand_out(p);
    for (guint i = 0; i < p->workers->len; i++) {
        worker_flush(p->workers->pdata[i]);
    }
    if (p->crowded && p->queued <= queue_max(p) / 2 && p->queued_bytes <= POOL_QUEUE_BYTES / 2) {
        p->crowded = false;
        if (p->events.room) {
            p->events.room(p->user);
        }
    }
}

void pool_kick(pool *p) {
    if (!loop_timer_active(p->kick)) {
        loop_timer_start(p->kick, 0);
    }
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

void job_free(struct job *job) {
    g_bytes_unref(job->frame);
    g_free(job->account);
    g_free(job);
}

void job_forget(pool *p, struct job *job) {
    g_hash_table_remove(p->jobs, &job->id);
}

bool pool_has_room(const pool *p) {
    return p->queued < queue_max(p) && p->queued_bytes < POOL_QUEUE_BYTES;
}

static error *add_job(pool *p, struct job *job, wire_message *message, uint64_t *job_out) {
    GByteArray *bytes = g_byte_array_new();
    error *err = wire_encode(message, bytes);

    wire_message_free(message);
    job->frame = g_byte_array_free_to_bytes(bytes);
    if (err) {
        job_free(job);
        return err;
    }
    *job_out = job->id;
    g_hash_table_insert(p->jobs, &job->id, job);
    queue_put(p, job, false);
    p->crowded |= !pool_has_room(p);
    pool_kick(p);
    return NULL;
}

error *pool_submit(pool *p, wire_message *eval, unsigned attempt, const pool_job_events *events, void *user,
                   uint64_t *job_out) {
    struct job *job = g_new0(struct job, 1);

    job->id = eval->u.eval.job = ++p->last_id;
    job->account = g_strdup(eval->u.eval.account ? eval->u.eval.account : "");
    job->attempt = attempt;
    job->events = events;
    job->user = user;
    return add_job(p, job, eval, job_out);
}

error *pool_scope(pool *p, wire_message *scope, pool_scope_fn fn, void *user, uint64_t *job_out) {
    struct job *job = g_new0(struct job, 1);

    job->id = scope->u.scope.job = ++p->last_id;
    job->on_scope = fn;
    job->user = user;
    return add_job(p, job, scope, job_out);
}

void pool_answer(pool *p, uint64_t id, wire_message *answer) {
    struct job *job = g_hash_table_lookup(p->jobs, &id);
    size_t bytes = 0;

    if (!job || !job->waits) {
        wire_message_free(answer);
        return;
    }
    answer->u.answer.job = id;
    answer->u.answer.kind = job->need;
    error *err = worker_put(job->worker, answer, &bytes);
    if (err) {
        wire_message *failure = wire_message_new(WIRE_ANSWER);
        failure->u.answer.job = id;
        failure->u.answer.kind = job->need;
        failure->u.answer.failure = wire_str(failure, err->text);
        error_free(err);
        err = worker_put(job->worker, failure, &bytes);
    }
    error_free(err);
    job->waits = false;
    job->worker->waiting--;
    job->worker->bytes += bytes;
    job->bytes += bytes;
    watch_start(p);
}

void pool_cancel(pool *p, uint64_t id) {
    struct job *job = g_hash_table_lookup(p->jobs, &id);

    if (!job) {
        return;
    }
    if (job->queue) {
        queue_remove(p, job);
    } else {
        worker_put_cancel(job->worker, id);
        worker_drop_job(job);
    }
    job_forget(p, job);
    job_free(job);
    pool_kick(p);
}

/* --- the pool ----------------------------------------------------------------------------------------------------- */

unsigned pool_size(const pool *p) {
    return p->options.size;
}

static unsigned default_size(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return (unsigned)CLAMP(cores, SIZE_MIN, POOL_SIZE_MAX);
}

error *pool_new(const pool_options *options, const pool_events *events, void *user, pool **pool_out) {
    pool *p = g_new0(pool, 1);

    p->options = *options;
    p->options.size = MIN(options->size ? options->size : default_size(), POOL_SIZE_MAX);
    p->options.window = options->window ? options->window : WINDOW_DEFAULT;
    p->executable = g_strdup(options->executable ? options->executable : "/proc/self/exe");
    p->path = g_strdup(options->config);
    p->log = options->log;
    p->log.group = "evaluator";
    p->events = *events;
    p->user = user;
    p->workers = g_ptr_array_new();
    p->jobs = g_hash_table_new(g_int64_hash, g_int64_equal);
    queue_init(p);
    p->kick = loop_timer_new(options->loop, on_kick, p);
    p->tick = loop_timer_new(options->loop, watch_on_tick, p);
    p->respawn = loop_timer_new(options->loop, on_respawn, p);
    error *err = begin_next(p);
    if (err) {
        pool_free(p);
        return err;
    }
    *pool_out = p;
    return NULL;
}

void pool_free(pool *p) {
    GHashTableIter iter;
    gpointer job;

    if (!p) {
        return;
    }
    for (guint i = 0; i < p->workers->len; i++) {
        worker_free(p->workers->pdata[i]);
    }
    g_ptr_array_free(p->workers, TRUE);
    g_hash_table_iter_init(&iter, p->jobs);
    while (g_hash_table_iter_next(&iter, NULL, &job)) {
        job_free(job);
    }
    g_hash_table_destroy(p->jobs);
    queue_release(p);
    generation_unref(p->current);
    generation_unref(p->next);
    loop_timer_free(p->kick);
    loop_timer_free(p->tick);
    loop_timer_free(p->respawn);
    g_free(p->executable);
    g_free(p->path);
    g_free(p);
}

pool_stats pool_get_stats(const pool *p) {
    pool_stats s = {.loading = p->next != NULL, .orphaned = is_orphaned(p), .deaths = p->deaths,
                    .finished = p->finished, .queued = p->queued};

    for (guint i = 0; i < p->workers->len; i++) {
        const struct worker *w = p->workers->pdata[i];
        s.ready += worker_is_ready(w);
        s.loading += worker_counts(w) && !w->pid;
        s.in_flight += w->jobs.length;
    }
    return s;
}
