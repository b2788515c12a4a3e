#include "pool_priv.h"

#include <string.h>

struct blame {
    uint64_t job; /* 0 = nobody */
    const wire_rule *rule;
};

static struct blame read_board(const struct worker *w) {
    struct blame blame = {0, NULL};
    const wire_message *config = w->generation->config;
    int32_t rule = atomic_load_explicit(&w->board->rule, memory_order_acquire);

    if (atomic_load_explicit(&w->board->phase, memory_order_acquire) != WIRE_PHASE_IDLE) {
        blame.job = atomic_load_explicit(&w->board->job, memory_order_relaxed);
    }
    if (rule >= 0 && (size_t)rule < config->u.config.n_rules) {
        blame.rule = &config->u.config.rules[rule];
    }
    return blame;
}

static char *reason_of(const struct worker *w) {
    if (w->reason) {
        return g_strdup(w->reason);
    }
    if (w->signum) {
        return g_strdup_printf("killed by signal %d (%s)", w->signum, strsignal(w->signum));
    }
    return g_strdup_printf("ended with status %d", w->status);
}

static void tell(struct job *job, const char *reason, const wire_rule *rule) {
    pool_death death = {.reason = reason};

    if (rule) {
        death.rule = rule->name;
        death.place = rule->place;
    }
    if (job->on_scope) {
        job->on_scope(job->user, NULL);
    } else {
        job->events->died(job->user, &death);
    }
    job_free(job);
}

/* All evaluators may be killed at once, and a job handed to one after the other before the end of each is seen. */
static bool was_read(const struct job *job) {
    return atomic_load(&job->worker->board->reads) != job->reads;
}

static void settle_jobs(struct worker *w, const struct blame *blame, const char *reason) {
    struct job *job;

    /* From the last to the first: each goes to the head of its queue. */
    while ((job = g_queue_peek_tail(&w->jobs))) {
        /* The board may be older than the NEED that came last. */
        bool guilty = job->id == blame->job && !job->waits;
        bool counts = !w->expected && was_read(job);
        worker_drop_job(job);
        if (guilty) {
            job_forget(w->p, job);
            tell(job, reason, blame->rule);
        } else if (counts && ++job->handed >= POOL_HANDED_MAX) {
            g_autofree char *many = g_strdup_printf("died with %u evaluators, lastly: %s", job->handed, reason);
            job_forget(w->p, job);
            tell(job, many, NULL);
        } else {
            queue_put(w->p, job, true);
        }
    }
}

static void log_death(const struct worker *w, const struct blame *blame, const char *reason) {
    const struct job *job = g_hash_table_lookup(w->p->jobs, &blame->job);
    log_ctx ctx = w->p->log;

    ctx.account = job ? job->account : NULL;
    ctx.rule = blame->rule ? blame->rule->name : NULL;
    log_warn(&ctx, "evaluator %s%s", reason, job ? "" : " while no message was at work");
}

void death_bury(struct worker *w) {
    pool *p = w->p;
    struct blame blame = read_board(w);
    g_autofree char *reason = reason_of(w);
    bool useless = !w->expected && !w->pid;

    g_ptr_array_remove(p->workers, w);
    if (p->reserved == w) {
        p->reserved = NULL;
    }
    if (!w->expected) {
        p->deaths++;
        log_death(w, &blame, reason);
    }
    settle_jobs(w, &blame, reason);
    worker_free(w);
    if (useless) {
        pool_respawn_later(p);
    } else {
        pool_fill(p);
    }
    pool_kick(p);
}
