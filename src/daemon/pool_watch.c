#include "pool_priv.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOAD_CPU_MS 10000
#define WALL_FACTOR 10     /* a turn that neither computes nor ends: so many deadlines, and a bit */
#define WALL_EXTRA_MS 20000
#define SLOW_TICKS 2       /* a turn that takes longer lets others wait no more */
#define SERVED_MAX 500000  /* messages */
#define SERVED_CHECK 1000  /* and the size is looked at so often */

/* CPU time is what counts: it stands still while the machine is suspended or busy with something else. */
static uint64_t cpu_ns(pid_t pid, uint64_t otherwise) {
    struct timespec t;
    clockid_t clock;

    if (!pid || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) {
        return otherwise;
    }
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* NULL: in time. g_free. */
static char *exceeded(uint64_t cpu, unsigned ticks, uint64_t deadline) {
    uint64_t used = cpu / 1000000, wall = (uint64_t)ticks * POOL_TICK_MS;

    if (used <= deadline && wall <= deadline * WALL_FACTOR + WALL_EXTRA_MS) {
        return NULL;
    }
    return g_strdup_printf("exceeded %" G_GUINT64_FORMAT " ms", used > deadline ? deadline : wall);
}

static void check_turn(struct worker *w) {
    uint32_t phase = atomic_load_explicit(&w->board->phase, memory_order_acquire);
    uint64_t turn = atomic_load_explicit(&w->board->turn, memory_order_relaxed);
    uint64_t cpu = cpu_ns(w->pid, w->cpu_at_turn);

    if (phase == WIRE_PHASE_IDLE || turn != w->turn) {
        w->turn = turn;
        w->ticks = 0;
        w->cpu_at_turn = cpu;
        return;
    }
    char *reason = exceeded(cpu - w->cpu_at_turn, ++w->ticks, w->generation->config->u.config.limits.deadline);
    if (reason) {
        worker_kill(w, reason);
    } else if (w->ticks == SLOW_TICKS && w != w->p->reserved) {
        worker_give_back(w);
    }
}

static void check_loading(struct generation *g) {
    char *reason = exceeded(cpu_ns(process_pid(g->process), 0), ++g->ticks, LOAD_CPU_MS);

    if (reason) {
        generation_give_up(g, reason);
    }
}

static uint64_t resident(const struct worker *w) {
    char path[64];
    unsigned long total = 0, pages = 0;

    g_snprintf(path, sizeof path, "/proc/%d/statm", (int)w->pid);
    FILE *f = fopen(path, "re");
    if (f) {
        if (fscanf(f, "%lu %lu", &total, &pages) != 2) {
            pages = 0;
        }
        fclose(f);
    }
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool has_grown(struct worker *w) {
    if (w->served < w->served_checked + SERVED_CHECK) {
        return false;
    }
    w->served_checked = w->served;
    return w->served > SERVED_MAX || resident(w) > w->generation->config->u.config.limits.evaluator_memory / 2;
}

static bool all_ready(const pool *p) {
    for (guint i = 0; i < p->workers->len; i++) {
        if (!worker_is_ready(p->workers->pdata[i])) {
            return false;
        }
    }
    return true;
}

void watch_start(pool *p) {
    if (!loop_timer_active(p->tick)) {
        loop_timer_start(p->tick, POOL_TICK_MS);
    }
}

void watch_on_tick(void *user) {
    pool *p = user;
    bool busy = p->next != NULL;

    if (p->next) {
        check_loading(p->next);
    }
    for (guint i = 0; i < p->workers->len; i++) {
        struct worker *w = p->workers->pdata[i];
        if (w->dying) {
            continue;
        }
        busy |= w->jobs.length > w->waiting;
        check_turn(w);
        /* One at a time, so that a pool whose evaluators grow alike always has some left. */
        if (has_grown(w) && all_ready(p)) {
            log_info(&p->log, "an evaluator is replaced after %" G_GUINT64_FORMAT " messages", w->served);
            worker_retire(w);
            pool_fill(p);
        }
    }
    if (busy) {
        watch_start(p);
    }
}
