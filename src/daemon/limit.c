/*
 * A rule's `limit`: how many messages it may move or delete an hour. Beyond that its messages are parked, untouched, so
 * that a rule gone wrong cannot sweep a mailbox empty while nobody looks.
 */
#include "daemon_priv.h"

#include <string.h>

#define HOUR_MS (3600 * 1000)

struct meter {
    uint64_t since; /* elapsed ms: start of the hour */
    uint32_t count;
    bool told;
};

static uint32_t limit_of(const struct keeper *k, const char *rule) {
    const wire_config *c = keeper_config(k);

    for (size_t i = 0; rule && i < c->n_rules; i++) {
        if (strcmp(c->rules[i].name, rule) == 0) {
            return c->rules[i].limit;
        }
    }
    return 0;
}

static struct meter *meter_of(struct keeper *k, const char *rule) {
    uint64_t now = loop_now(k->loop);
    struct meter *m;

    if (!k->meters) {
        k->meters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    }
    m = g_hash_table_lookup(k->meters, rule);
    if (!m) {
        m = g_new0(struct meter, 1);
        m->since = now;
        g_hash_table_insert(k->meters, g_strdup(rule), m);
    }
    if (now - m->since >= HOUR_MS) {
        *m = (struct meter){.since = now};
    }
    return m;
}

error *limit_check(struct keeper *k, const wire_plan *plan) {
    for (size_t i = 0; i < plan->n_steps; i++) {
        const wire_step *s = &plan->steps[i];
        uint32_t limit = step_takes_away(s) && !s->dry_run && !k->options->dry_run ? limit_of(k, s->rule) : 0;
        struct meter *m = limit ? meter_of(k, s->rule) : NULL;
        if (!m || ++m->count <= limit) {
            continue;
        }
        if (!m->told) {
            log_ctx log = k->log;
            log.rule = s->rule;
            log_error(&log, "rule paused: its limit of %u message(s) an hour is reached, further ones are parked",
                      limit);
            m->told = true;
        }
        error *err = error_new(ERROR_LIMIT, "over the rule's limit of %u message(s) an hour", limit);
        return error_at(err, NULL, NULL, 0, s->rule);
    }
    return NULL;
}
