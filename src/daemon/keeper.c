#include "daemon_priv.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 1000
#define TICK_ONCE_MS 50
#define CALM_TICKS 3
#define STOP_MS 8000
#define SLEPT_MS 15000
#define PROBE_MS 5000
#define PRUNE_MS (3600 * 1000)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

const wire_config *keeper_config(const struct keeper *k) {
    return &k->config->u.config;
}

struct account *keeper_account(const struct keeper *k, const char *name) {
    for (guint i = 0; i < k->accounts->len; i++) {
        struct account *a = k->accounts->pdata[i];
        if (strcmp(a->name, name) == 0) {
            return a;
        }
    }
    return NULL;
}

char *keeper_default_state_dir(void) {
    const char *dir = g_getenv("STATE_DIRECTORY");
    const char *home = g_getenv("XDG_STATE_HOME");

    if (dir && *dir) {
        return g_strndup(dir, strcspn(dir, ":"));
    }
    return home && *home ? g_build_filename(home, "mailruled", NULL)
                         : g_build_filename(g_get_home_dir(), ".local", "state", "mailruled", NULL);
}

/* --- stopping ----------------------------------------------------------------------------------------------------- */

static void end(struct keeper *k) {
    loop_stop(k->loop);
}

static bool connections_closed(const struct keeper *k) {
    for (guint i = 0; i < k->accounts->len; i++) {
        const struct account *a = k->accounts->pdata[i];
        for (guint j = 0; j < a->watchers->len; j++) {
            if (((struct watcher *)a->watchers->pdata[j])->session) {
                return false;
            }
        }
    }
    return true;
}

/* Steps under way are answered for before LOGOUT; messages at the evaluators are not counted as an attempt. */
static void uncount(struct keeper *k) {
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (guint i = 0; i < k->accounts->len; i++) {
        const struct account *a = k->accounts->pdata[i];
        for (guint j = 0; j < a->folders->len; j++) {
            const struct folder *f = a->folders->pdata[j];
            GHashTableIter iter;
            gpointer value;
            g_hash_table_iter_init(&iter, f->by_uid);
            while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const struct message *m = value;
                if (m->row && (m->stage == MESSAGE_EVALUATING || m->stage == MESSAGE_FETCHING)) {
                    g_array_append_val(rows, m->row);
                }
            }
        }
    }
    if (rows->len) {
        state_unattempt(k->state, (const int64_t *)(void *)rows->data, rows->len, NULL, NULL);
    }
    g_array_free(rows, TRUE);
}

void keeper_stop(struct keeper *k, error *fatal) {
    if (k->stopping) {
        error_free(fatal);
        return;
    }
    k->stopping = true;
    k->fatal = fatal;
    notify_stopping(k->notify);
    if (!k->state) {
        end(k);
        return;
    }
    uncount(k);
    for (guint i = 0; i < k->accounts->len; i++) {
        struct account *a = k->accounts->pdata[i];
        a->paused = true;
        account_stop(a, false);
    }
    k->started = loop_now(k->loop); /* from here: since when it is stopping */
    loop_timer_start(k->tick, 20);
}

static void tick_stopping(struct keeper *k) {
    struct state_stats stats;

    state_get_stats(k->state, &stats);
    if ((connections_closed(k) && !stats.outstanding) || loop_now(k->loop) - k->started > STOP_MS) {
        end(k);
    } else {
        loop_timer_start(k->tick, 20);
    }
}

/* --- once --------------------------------------------------------------------------------------------------------- */

static bool settled(const struct keeper *k) {
    struct state_stats stats;

    state_get_stats(k->state, &stats);
    if (stats.outstanding || pool_get_stats(k->pool).in_flight || !outbox_settled(k->outbox)) {
        return false;
    }
    for (guint i = 0; i < k->accounts->len; i++) {
        if (!account_settled(k->accounts->pdata[i])) {
            return false;
        }
    }
    return true;
}

void keeper_check_settled(struct keeper *k) {
    if (k->options->once && k->state && !k->stopping && !loop_timer_active(k->tick)) {
        loop_timer_start(k->tick, TICK_ONCE_MS);
    }
}

static void tick_once(struct keeper *k) {
    k->calm = settled(k) ? k->calm + 1 : 0;
    if (k->calm >= CALM_TICKS) {
        keeper_stop(k, NULL);
    } else {
        loop_timer_start(k->tick, TICK_ONCE_MS);
    }
}

/* --- ticking ------------------------------------------------------------------------------------------------------ */

static void pruned(void *user, const error *err, uint64_t removed) {
    struct keeper *k = user;

    if (!err && removed) {
        k->pruned = 0; /* more at the next tick */
    }
}

static void tell_manager(struct keeper *k) {
    unsigned folders = 0, watching = 0;

    for (guint i = 0; i < k->accounts->len; i++) {
        const struct account *a = k->accounts->pdata[i];
        for (guint j = 0; j < a->folders->len; j++) {
            folders++;
            watching += ((struct folder *)a->folders->pdata[j])->last_proof && !a->trouble;
        }
    }
    notify_watchdog(k->notify);
    notify_status(k->notify, "%u account(s), %u of %u folder(s) watched", k->accounts->len, watching, folders);
}

/* The machine slept: connections may be dead without anybody having said so. */
static void probe_all(struct keeper *k, uint64_t slept) {
    log_notice(&k->log, "nothing happened for %us: the machine slept; every connection is asked whether it lives",
               (unsigned)(slept / 1000));
    for (guint i = 0; i < k->accounts->len; i++) {
        const struct account *a = k->accounts->pdata[i];
        for (guint j = 0; j < a->watchers->len; j++) {
            const struct watcher *w = a->watchers->pdata[j];
            if (w->ready) {
                session_probe(w->session, PROBE_MS);
            }
        }
    }
}

void keeper_begin(struct keeper *k) {
    if (!loop_timer_active(k->tick)) {
        k->last_tick = loop_now(k->loop);
        loop_timer_start(k->tick, k->options->once ? TICK_ONCE_MS : TICK_MS);
    }
}

static void tick(void *user) {
    struct keeper *k = user;
    uint64_t now = loop_now(k->loop);

    if (k->stopping) {
        tick_stopping(k);
        return;
    }
    if (k->options->once) {
        tick_once(k);
        return;
    }
    tell_manager(k);
    if (now - k->last_tick > SLEPT_MS) {
        probe_all(k, now - k->last_tick);
    }
    k->last_tick = now;
    if (now - k->pruned > PRUNE_MS) {
        k->pruned = now;
        state_prune(k->state, &(struct state_keep){.history_ms = 30 * DAY_MS, .ledger_ms = 365 * DAY_MS}, pruned, k);
    }
    loop_timer_start(k->tick, TICK_MS);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static void on_term(void *user) {
    struct keeper *k = user;

    log_notice(&k->log, "stopping");
    keeper_stop(k, NULL);
}

static void on_hup(void *user) {
    struct keeper *k = user;
    error *err = keeper_reload(k, NULL, NULL);

    if (err) {
        log_error_value(&k->log, LOG_LEVEL_WARN, err);
        error_free(err);
    }
}

static error *catch_signals(struct keeper *k) {
    static const struct {
        int signum;
        loop_fn fn;
    } list[] = {{SIGTERM, on_term}, {SIGINT, on_term}, {SIGHUP, on_hup}};
    error *err = NULL;

    k->signals = g_ptr_array_new_with_free_func((GDestroyNotify)loop_signal_free);
    for (size_t i = 0; i < G_N_ELEMENTS(list) && !err; i++) {
        loop_signal *s = NULL;
        err = loop_signal_new(k->loop, list[i].signum, list[i].fn, k, &s);
        if (s) {
            g_ptr_array_add(k->signals, s);
        }
    }
    return err;
}

static error *prepare(struct keeper *k) {
    error *err;

    descriptors_raise(&k->log);
    err = loop_new(k->clock, &k->loop);
    if (err) {
        return err;
    }
    random_init_real(&k->random);
    k->trust = tls_trust_new();
    k->transports = transport_pool_new(k->loop, k->trust);
    k->admission = admission_new(k->loop, &k->random, &k->log);
    k->tick = loop_timer_new(k->loop, tick, k);
    k->pruned = loop_now(k->loop);
    k->started = loop_now(k->loop);
    err = notify_new(&k->notify);
    if (!err) {
        err = http_client_new(k->loop, k->trust, &k->http);
    }
    if (!err) {
        err = catch_signals(k);
    }
    if (!err) {
        err = keeper_load(k);
    }
    return err;
}

static void release(struct keeper *k) {
    control_free(k->control);
    for (guint i = 0; i < k->accounts->len; i++) {
        account_free(k->accounts->pdata[i]);
    }
    g_ptr_array_free(k->accounts, TRUE);
    outbox_free(k->outbox);
    pool_free(k->pool);
    state_close(k->state);
    if (k->options->dry_run && k->state_dir) {
        dry_run_remove(k->state_dir);
    }
    loop_async_free(k->state_wake);
    http_client_free(k->http);
    transport_pool_free(k->transports);
    admission_free(k->admission);
    tls_trust_free(k->trust);
    if (k->signals) {
        g_ptr_array_free(k->signals, TRUE);
    }
    loop_timer_free(k->tick);
    notify_free(k->notify);
    loop_free(k->loop);
    wire_message_free(k->config);
    if (k->meters) {
        g_hash_table_destroy(k->meters);
    }
    g_free(k->refusal);
    g_free(k->state_dir);
    g_free(k->control_path);
}

error *keeper_run(const keeper_options *options, unsigned *failures_out) {
    clock_source clock;
    struct keeper k = {.options = options, .log = {.logger = options->logger, .group = "keeper"}, .clock = &clock};
    error *err;

    clock_init_real(&clock);
    k.accounts = g_ptr_array_new();
    err = prepare(&k);
    if (!err) {
        loop_run(k.loop);
        err = k.fatal;
    }
    release(&k);
    *failures_out = k.failures;
    return err;
}
