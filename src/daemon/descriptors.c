/* How many descriptors the config needs, how many there are, and how many connections that leaves room for. */
#include "daemon_priv.h"

#include <string.h>
#include <sys/resource.h>

#define BASE 64               /* loop, journal, log, control socket and its clients, files that are read for a moment */
#define AN_EVALUATOR 6        /* its socket and board, twice while the config is read again */
#define LOOKUPS ADMISSION_ALL /* name look-ups and secret programs of connections under way, at most */
#define OVERHEAD(n) ((n) / 32 + 2) /* libcurl's own, a few for each group of connections */

void descriptors_raise(const log_ctx *log) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) {
        return;
    }
    log_debug(log, "descriptors: the soft limit of %llu is raised to the hard one, %llu",
              (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* At most, once all folders are known. */
static uint64_t connections_of(const wire_account *account) {
    uint64_t budget = MAX(account->connections, 1);

    for (size_t i = 0; i < account->watch.n; i++) {
        if (strpbrk(account->watch.v[i], "*%?")) {
            return budget;
        }
    }
    return MIN(budget, MAX(account->watch.n, 1));
}

void descriptors_plan(struct keeper *k) {
    const wire_config *c = keeper_config(k);
    uint64_t connections = 0, webhooks = 0, allowed, fixed, needed, room;
    struct rlimit limit;

    for (size_t i = 0; i < c->n_accounts; i++) {
        connections += connections_of(&c->accounts[i]);
    }
    for (size_t i = 0; i < c->n_webhooks; i++) {
        webhooks += MAX(c->webhooks[i].concurrency, 1);
    }
    fixed = BASE + AN_EVALUATOR * (uint64_t)pool_size(k->pool) + webhooks;
    needed = fixed + MIN(connections, LOOKUPS) + connections + OVERHEAD(connections);
    allowed = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur : UINT32_MAX;
    if (needed <= allowed) {
        admission_set_room(k->admission, UINT_MAX);
        return;
    }
    fixed += MIN(LOOKUPS, allowed / 8);
    room = allowed > fixed + OVERHEAD(allowed) ? allowed - fixed - OVERHEAD(allowed) : 1;
    log_warn(&k->log,
             "too few descriptors: %" G_GUINT64_FORMAT " are allowed, this config needs %" G_GUINT64_FORMAT " for %"
             G_GUINT64_FORMAT " connection(s) and %" G_GUINT64_FORMAT " webhook call(s); %" G_GUINT64_FORMAT
             " connection(s) will be open at a time, the others wait. Set LimitNOFILE=%" G_GUINT64_FORMAT
             " in the unit (systemctl edit mailruled), or raise `ulimit -n`",
             allowed, needed, connections, webhooks, room, needed);
    admission_set_room(k->admission, (unsigned)MIN(room, UINT_MAX));
}
