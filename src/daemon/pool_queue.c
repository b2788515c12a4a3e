#include "pool_priv.h"

void queue_init(pool *p) {
    g_queue_init(&p->scopes);
    g_queue_init(&p->suspects);
    g_queue_init(&p->turns);
    p->lanes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void queue_release(pool *p) {
    g_queue_clear(&p->turns);
    g_hash_table_destroy(p->lanes);
}

static GQueue *lane_of(pool *p, const char *account) {
    GQueue *lane = g_hash_table_lookup(p->lanes, account);

    if (!lane) {
        char *key = g_strdup(account);
        lane = g_new0(GQueue, 1);
        g_hash_table_insert(p->lanes, key, lane);
        g_queue_push_tail(&p->turns, key);
    }
    return lane;
}

/* An empty lane loses its turn, so that the table follows the accounts that have mail. */
static void drop_lane(pool *p, const char *account) {
    gpointer key;

    if (g_hash_table_lookup_extended(p->lanes, account, &key, NULL)) {
        g_queue_remove(&p->turns, key);
        g_hash_table_remove(p->lanes, account);
    }
}

void queue_put(pool *p, struct job *job, bool first) {
    job->queue = !job->account ? &p->scopes : job->attempt > 1 ? &p->suspects : lane_of(p, job->account);
    job->link.data = job;
    if (first) {
        g_queue_push_head_link(job->queue, &job->link);
    } else {
        g_queue_push_tail_link(job->queue, &job->link);
    }
    p->queued++;
    p->queued_bytes += g_bytes_get_size(job->frame);
}

void queue_remove(pool *p, struct job *job) {
    GQueue *queue = job->queue;

    g_queue_unlink(queue, &job->link);
    job->queue = NULL;
    p->queued--;
    p->queued_bytes -= g_bytes_get_size(job->frame);
    if (queue != &p->scopes && queue != &p->suspects && g_queue_is_empty(queue)) {
        drop_lane(p, job->account);
    }
}

/* --- handing out -------------------------------------------------------------------------------------------------- */

static bool can_take(const pool *p, const struct worker *w, const struct job *job) {
    size_t n = w->jobs.length;

    if (!worker_is_ready(w) || w == p->reserved || w->ticks || w->id == job->given_back_by) {
        return false;
    }
    return n == 0 || (n - w->waiting < p->options.window && n < POOL_WAITING_MAX &&
                      w->bytes + g_bytes_get_size(job->frame) <= POOL_WORKER_BYTES);
}

static struct worker *freest(const pool *p, const struct job *job) {
    struct worker *best = NULL;

    for (guint i = 0; i < p->workers->len; i++) {
        struct worker *w = p->workers->pdata[i];
        if (can_take(p, w, job) &&
            (!best || w->jobs.length - w->waiting < best->jobs.length - best->waiting)) {
            best = w;
        }
    }
    return best;
}

/* A worker with as little to do as possible, which then gets nothing more until it is empty. */
static struct worker *reserve(pool *p) {
    struct worker *best = NULL;

    for (guint i = 0; i < p->workers->len; i++) {
        struct worker *w = p->workers->pdata[i];
        if (worker_is_ready(w) && (!best || w->jobs.length < best->jobs.length)) {
            best = w;
        }
    }
    return best;
}

static void hand_out_suspect(pool *p) {
    if (g_queue_is_empty(&p->suspects)) {
        if (p->reserved && g_queue_is_empty(&p->reserved->jobs)) {
            p->reserved = NULL;
        }
        return;
    }
    if (!p->reserved) {
        p->reserved = reserve(p);
    }
    if (p->reserved && g_queue_is_empty(&p->reserved->jobs)) {
        struct job *job = g_queue_peek_head(&p->suspects);
        queue_remove(p, job);
        worker_take_job(p->reserved, job);
    }
}

/* The account whose turn it is goes to the end of the round. */
static struct job *peek_message(const pool *p) {
    const char *account = g_queue_peek_head((GQueue *)&p->turns);

    return account ? g_queue_peek_head(g_hash_table_lookup(p->lanes, account)) : NULL;
}

static void next_turn(pool *p) {
    g_queue_push_tail(&p->turns, g_queue_pop_head(&p->turns));
}

void queue_hand_out(pool *p) {
    struct job *job;
    struct worker *w;

    while ((job = g_queue_peek_head(&p->scopes)) && (w = freest(p, job))) {
        queue_remove(p, job);
        worker_take_job(w, job);
    }
    hand_out_suspect(p);
    while ((job = peek_message(p)) && (w = freest(p, job))) {
        next_turn(p);
        queue_remove(p, job);
        worker_take_job(w, job);
    }
}
