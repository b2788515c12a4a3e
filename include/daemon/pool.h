/*
 * daemon/pool.h - the keeper's evaluators: spawned, fed, watched, replaced.
 *
 * A pool runs `size` evaluator processes over one config. Jobs are queued an account each and handed out in turn,
 * several to an evaluator at once (its window); their replies come in any order. A job whose attempt is above 1 is a
 * suspect: it runs on an evaluator of its own, one suspect at a time.
 *
 * A job that holds its evaluator for a fifth of a second lets no other wait: those go to another one. If it holds it
 * for more than limits.deadline of CPU without a frame, it is killed with it. Whoever was at work when an evaluator
 * died is told by its board (wire/board.h) and gets `died`; the other jobs it held begin again from their EVAL on
 * another one, without their owner noticing more than needs asked a second time. Only a job that three evaluators had
 * read when they died gets `died` without having been at work: one of them may have died of it all the same.
 *
 * An evaluator is also replaced after many messages or when it has grown. All of them are forked from one process that
 * has read the config (wire/nursery.h): what happens to the file on disk changes nothing before pool_reload(). Only if
 * that process dies (it sees no mail), the config is read again, and `loaded` or `refused` is called as after a reload:
 * after `refused` once more, after a delay that grows to a minute, until it is good. Until then jobs wait.
 *
 * Everything happens on the loop's thread. No callback is made from inside pool_new, pool_submit, pool_scope,
 * pool_answer, pool_cancel or pool_reload; callbacks may call any of these, but not pool_free.
 */
#ifndef DAEMON_POOL_H
#define DAEMON_POOL_H

#include "base/log.h"
#include "net/loop.h"
#include "wire/message.h"

typedef struct pool pool;

typedef struct pool_options {
    event_loop *loop;       /* borrowed */
    log_ctx log;            /* group is set by the pool; evaluators' LOG frames go here too */
    const char *executable; /* NULL = the running program, which is started with the argument "evaluator" */
    const char *config;     /* path */
    bool check_only;        /* look for more mistakes; jobs are not taken */
    unsigned size;          /* 0 = one a core, at least 2, at most POOL_SIZE_MAX */
    unsigned window;        /* jobs an evaluator holds that do not wait for an answer; 0 = 16 */
} pool_options;

#define POOL_SIZE_MAX 64

typedef struct pool_events {
    /* The config is read and good, and in use from now on: after pool_new, and after each pool_reload that succeeded.
     * config (WIRE_CONFIG) is the callee's. Scopes asked before are void. */
    void (*loaded)(void *user, wire_message *config);
    /* It could not be read: config (WIRE_CONFIG, the callee's) has the mistakes; or it is NULL and err (the callee's)
     * says how the evaluator died. After pool_new nothing more happens until pool_reload; after pool_reload the old one
     * stays in use, unless the pool is orphaned. */
    void (*refused)(void *user, wire_message *config, error *err);
    /* pool_has_room() was false and is true. May be NULL. */
    void (*room)(void *user);
} pool_events;

/* Starts loading. Events are copied; user is theirs. ERROR_IO: no process can be started. */
error *pool_new(const pool_options *options, const pool_events *events, void *user, pool **pool_out);
/* Kills the evaluators; jobs end without a callback. Accepts NULL. */
void pool_free(pool *p);
/* Read the config again (path NULL: the same file) and change over when it is good: jobs already at an evaluator end
 * there, queued ones go to the new rules. A reload under way is given up for the new one. */
error *pool_reload(pool *p, const char *path);

/* How a job ended that took its evaluator along. Valid during the call. */
typedef struct pool_death {
    const char *reason; /* "exceeded 2000 ms", "killed by signal 11", "died 3 evaluators" */
    const char *rule;   /* that was at work, NULL = none: the message was being read */
    wire_place place;   /* of the rule; file NULL = none */
} pool_death;

/* Each message handed over is the callee's. need comes any number of times; then one of the others, once. */
typedef struct pool_job_events {
    void (*need)(void *user, wire_message *need);
    void (*plan)(void *user, wire_message *plan);
    void (*fail)(void *user, wire_message *fail); /* a rule's own error: park the message */
    void (*died)(void *user, const pool_death *death); /* this job killed its evaluator: one attempt more */
} pool_job_events;

unsigned pool_size(const pool *p); /* evaluators it runs when all are there */
/* False: let what is there drain before more is submitted (which is still taken). */
bool pool_has_room(const pool *p);
/*
 * Queue a message. eval (WIRE_EVAL, `job` is filled in here) is taken over, also on error; events are borrowed and
 * constant; *job_out is the job's number. Before the first `loaded` jobs wait. ERROR_LIMIT: larger than a frame.
 */
error *pool_submit(pool *p, wire_message *eval, unsigned attempt, const pool_job_events *events, void *user,
                   uint64_t *job_out) G_GNUC_WARN_UNUSED_RESULT;
/* Takes answer (WIRE_ANSWER, `job` and `kind` are filled in here) over. A job that is gone, or that began again and has
 * not asked yet, drops it. An answer larger than a frame becomes a failure. */
void pool_answer(pool *p, uint64_t job, wire_message *answer);
/* Forget the job: no callback comes any more. */
void pool_cancel(pool *p, uint64_t job);

/* reply (WIRE_SCOPE_REPLY) is the callee's; NULL when no evaluator survives the question. */
typedef void (*pool_scope_fn)(void *user, wire_message *reply);
/* Ask what messages of a folder need; scope (WIRE_SCOPE) is taken over. Served before any message. */
error *pool_scope(pool *p, wire_message *scope, pool_scope_fn fn, void *user, uint64_t *job_out)
    G_GNUC_WARN_UNUSED_RESULT;

typedef struct pool_stats {
    unsigned ready;    /* evaluators at work or idle */
    unsigned loading;  /* evaluators not ready yet, and a config that is being read */
    bool orphaned;     /* the process that read the config in use is dead: jobs wait until a config was read again */
    uint64_t deaths;   /* since the pool began */
    uint64_t finished; /* jobs that ended with plan or fail */
    size_t queued;     /* not handed to an evaluator yet */
    size_t in_flight;  /* handed over; includes those that wait for an answer */
} pool_stats;

pool_stats pool_get_stats(const pool *p);

#endif
