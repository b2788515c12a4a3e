/*
 * pool_priv.h - what the modules of the evaluator pool share.
 *
 *   pool.c             the interface: jobs, reload, the end of a turn
 *   pool_generation.c  one reading of the config and the nursery that holds it
 *   pool_queue.c       jobs that wait: scopes, suspects, one lane an account; who gets the next one
 *   pool_worker.c      one evaluator: frames in and out
 *   pool_death.c       whom to blame for a dead one, and what becomes of its other jobs
 *   pool_watch.c       the tick: deadlines and growth
 *
 * A generation is one reading of the config; workers belong to one and keep its nursery alive. `current` serves new
 * jobs, `next` is being read. A job is in exactly one place: a queue (queue != NULL) or a worker (worker != NULL).
 */
#ifndef DAEMON_POOL_PRIV_H
#define DAEMON_POOL_PRIV_H

#include "daemon/pool.h"
#include "net/process.h"
#include "net/stream.h"
#include "wire/board.h"
#include "wire/frame.h"
#include "wire/nursery.h"

#define POOL_TICK_MS 100
#define POOL_HANDED_MAX 3                   /* evaluators a job may lose that read it, without having been at work */
#define POOL_WAITING_MAX 1024               /* jobs an evaluator holds at most, waiting ones included */
#define POOL_WORKER_BYTES (32 * 1024 * 1024) /* frames of the jobs that an evaluator holds, unless it holds just one */
#define POOL_QUEUE_BYTES (64 * 1024 * 1024)

struct generation {
    unsigned refs;
    pool *p;
    wire_message *config; /* NULL while it is read */
    bool dead;            /* the nursery is gone: no more evaluators can be had */
    process *process;
    stream *stream; /* LOAD, CONFIG, LOG */
    wire_decoder *in;
    int fd; /* requests and notices; -1 = none */
    loop_watch *watch;
    unsigned ticks; /* since loading began */
    char *reason;   /* why we killed it, NULL = we did not */
};

struct worker;

struct job {
    uint64_t id;
    char *account; /* the lane; NULL = a scope */
    GBytes *frame; /* EVAL or SCOPE, to be sent again if need be */
    size_t bytes;  /* sent to the worker, answers included */
    unsigned attempt;
    unsigned handed; /* evaluators lost that read it, or may have */
    uint64_t reads;  /* of the worker's board when it went there */
    uint64_t given_back_by; /* worker that still has its frames: it may not get it again; 0 = none */
    const pool_job_events *events;
    pool_scope_fn on_scope;
    void *user;
    struct worker *worker;
    GQueue *queue;
    GList link; /* in queue, or in the worker's jobs */
    bool waits; /* for pool_answer() */
    enum wire_need_kind need;
};

struct worker {
    pool *p;
    struct generation *generation;
    uint64_t id;   /* in the nursery */
    pid_t pid;     /* 0 until it is ready */
    bool retiring; /* ends with its last job */
    bool dying;    /* killed or dead; exit status or end of stream are still to come */
    bool expected; /* we ended it for a reason that is nobody's fault */
    bool garbled;  /* it broke the protocol: nothing more is read from it */
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
    unsigned ticks;       /* since then, without a reply: above 0 it is slow and gets nothing more */
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
    uint64_t last_id; /* of jobs and workers */
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
    unsigned failures; /* evaluators in a row that ended before they were ready */
    uint64_t deaths, finished;
};

/* pool.c */
void pool_kick(pool *p);
void pool_fill(pool *p);          /* fork what is missing of the current generation */
void pool_respawn_later(pool *p); /* the same, after a delay that grows */
void pool_on_loaded(struct generation *g, wire_message *config); /* takes config over */
/* The nursery is gone. Before its config was read: err says why. err is taken over. */
void pool_on_nursery_lost(struct generation *g, error *err);
void pool_log(pool *p, wire_message *log); /* takes log over */
void job_free(struct job *job);
void job_forget(pool *p, struct job *job); /* out of the pool's table; the caller frees it */

/* pool_generation.c */
error *generation_new(pool *p, struct generation **generation_out); /* starts reading p->path */
struct generation *generation_ref(struct generation *g);
/* The last one kills the nursery, and with it what it forked. Accepts NULL. */
void generation_unref(struct generation *g);
error *generation_fork(struct generation *g, uint64_t id, int fd, int board_fd); /* descriptors stay the caller's */
void generation_kill(struct generation *g, uint64_t id);
void generation_give_up(struct generation *g, char *reason); /* kills the nursery; takes reason over */

/* pool_queue.c */
void queue_init(pool *p);
void queue_release(pool *p);
void queue_put(pool *p, struct job *job, bool first);
void queue_remove(pool *p, struct job *job);
void queue_hand_out(pool *p);

/* pool_worker.c */
error *worker_new(pool *p);         /* of the current generation */
bool worker_counts(const struct worker *w);   /* is or will be ready */
bool worker_is_ready(const struct worker *w); /* takes new jobs */
void worker_take_job(struct worker *w, struct job *job);
void worker_drop_job(struct job *job);
error *worker_put(struct worker *w, wire_message *message, size_t *bytes_out); /* takes message over */
void worker_put_cancel(struct worker *w, uint64_t job);
void worker_flush(struct worker *w);
void worker_kill(struct worker *w, char *reason); /* takes reason over; a first reason stays */
void worker_retire(struct worker *w);
void worker_give_back(struct worker *w); /* it is slow: what it has not begun goes to others */
void worker_on_exit(struct worker *w, int status, int signum); /* may free it */
void worker_free(struct worker *w);                            /* at once, without a callback */

/* pool_death.c */
void death_bury(struct worker *w); /* its jobs are blamed or queued again; frees it */

/* pool_watch.c */
void watch_start(pool *p); /* some worker has something to do */
void watch_on_tick(void *user);

#endif
