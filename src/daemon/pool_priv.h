/*
 * pool_priv.h - what the modules of the evaluator pool share.
 *
 *   pool.c          the interface: jobs, generations, reload
 *   pool_queue.c    jobs that wait: scopes, suspects, one lane an account; who gets the next one
 *   pool_worker.c   one evaluator process: spawn, frames in and out, death
 *   pool_death.c    whom to blame for a dead one, and what becomes of its other jobs
 *   pool_watch.c    the tick: deadlines and growth
 *
 * A generation is one reading of the config; workers belong to one. `current` serves new jobs, `next` is being read. A
 * job is in exactly one place: a queue (queue != NULL) or a worker (worker != NULL).
 */
#ifndef DAEMON_POOL_PRIV_H
#define DAEMON_POOL_PRIV_H

#include "daemon/pool.h"
#include "net/process.h"
#include "net/stream.h"
#include "wire/board.h"
#include "wire/frame.h"

#define POOL_TICK_MS 100
#define POOL_HANDED_MAX 3                   /* evaluators a job may lose without having been at work */
#define POOL_WAITING_MAX 1024               /* jobs an evaluator holds at most, waiting ones included */
#define POOL_WORKER_BYTES (32 * 1024 * 1024) /* frames of the jobs that an evaluator holds, unless it holds just one */
#define POOL_QUEUE_BYTES (64 * 1024 * 1024)

struct generation {
    unsigned refs;
    char *path;
};

struct worker;

struct job {
    uint64_t id;
    char *account; /* the lane; NULL = a scope */
    GBytes *frame; /* EVAL or SCOPE, to be sent again if need be */
    size_t bytes;  /* sent to the worker, answers included */
    unsigned attempt;
    unsigned handed; /* evaluators lost */
    const pool_job_events *events;
    pool_scope_fn on_scope;
    void *user;
    struct worker *worker;
    GQueue *queue;
    GList link; /* in queue, or in the worker's jobs */
    bool waits; /* for pool_answer() */
    enum wire_need_kind need;
};

enum worker_state {
    WORKER_LOADING,
    WORKER_READY,
    WORKER_RETIRING, /* ends with its last job */
};

struct worker {
    pool *p;
    struct generation *generation;
    wire_message *config; /* as it read it, for limits and names; NULL while it loads */
    enum worker_state state;
    bool dying;    /* killed or dead; exit status or end of stream are still to come */
    bool expected; /* we ended it for a reason that is nobody's fault */
    bool garbled;  /* it broke the protocol: nothing more is read from it */
    process *process;
    stream *stream;
    wire_decoder *in;
    GByteArray *out; /* gathered until the end of the turn */
    wire_board *board;
    GQueue jobs;
    size_t waiting; /* of jobs: for pool_answer() */
    size_t bytes;   /* of the frames that the jobs were sent */
    uint64_t served, served_checked;
    bool exited, closed;
    int status, signum;
    char *reason; /* why we killed it, NULL = we did not */
    /* pool_watch.c */
    uint64_t turn;        /* of the board when last seen */
    unsigned ticks;       /* since then */
    uint64_t cpu_at_turn; /* ns */
};

struct pool {
    pool_options options;
    char *executable, *path;
    log_ctx log;
    pool_events events;
    void *user;
    struct generation *current, *next;
    GPtrArray *workers;
    GHashTable *jobs; /* &job->id -> struct job, owned */
    uint64_t last_id;
    /* pool_queue.c */
    GQueue scopes, suspects;
    GHashTable *lanes;   /* account -> GQueue of jobs */
    GQueue turns;        /* account names (keys of lanes) that have jobs, the next one first */
    size_t queued, queued_bytes;
    bool crowded; /* room was refused */
    struct worker *reserved; /* empties or holds the one suspect */
    /* timers */
    loop_timer *kick; /* hand out and flush at the end of the turn */
    loop_timer *tick;
    loop_timer *respawn;
    unsigned failures; /* evaluators in a row that died while loading */
    uint64_t deaths, finished;
};

/* pool.c */
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation *g); /* accepts NULL */
void pool_kick(pool *p);
void pool_fill(pool *p); /* spawn what is missing of the current generation */
/* A worker has read its config; message is taken over. */
void pool_on_config(struct worker *w, wire_message *config);
/* A worker died while it was loading. err is taken over. */
void pool_on_load_failed(struct worker *w, error *err);
void job_free(struct job *job);
void job_forget(pool *p, struct job *job); /* out of the pool's table; the caller frees it */

/* pool_queue.c */
void queue_init(pool *p);
void queue_release(pool *p);
void queue_put(pool *p, struct job *job, bool first);
void queue_remove(pool *p, struct job *job);
void queue_hand_out(pool *p);

/* pool_worker.c */
error *worker_spawn(pool *p, struct generation *g);
void worker_take_job(struct worker *w, struct job *job);
void worker_drop_job(struct job *job);
error *worker_put(struct worker *w, wire_message *message, size_t *bytes_out); /* takes message over */
void worker_flush(struct worker *w);
void worker_kill(struct worker *w, char *reason); /* takes reason over; a first reason stays */
void worker_end(struct worker *w);                /* kill without blame: it is not needed any more */
void worker_retire(struct worker *w);
void worker_free(struct worker *w); /* at once, without a callback */

/* pool_death.c */
void death_bury(struct worker *w); /* its jobs are blamed or queued again; frees it */

/* pool_watch.c */
void watch_start(pool *p); /* some worker has something to do */
void watch_on_tick(void *user);

#endif
