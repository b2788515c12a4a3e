#include "daemon_priv.h"

#include "base/text.h"

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

/* --- the config --------------------------------------------------------------------------------------------------- */

static void print_mistakes(const wire_config *c) {
    for (size_t i = 0; i < c->n_mistakes; i++) {
        g_autofree char *text = text_escape(c->mistakes[i].text, -1);
        g_printerr("%s:%u: %s\n", c->mistakes[i].place.file ? c->mistakes[i].place.file : c->path,
                   c->mistakes[i].place.line, text);
    }
}

static void wake(void *user) {
    loop_async_wake(((struct keeper *)user)->state_wake);
}

static void on_state(void *user) {
    struct keeper *k = user;

    if (k->state) {
        state_dispatch(k->state);
    }
}

static error *open_state(struct keeper *k) {
    const wire_config *c = keeper_config(k);
    error *err = NULL;

    k->state_dir = c->state_dir ? g_strdup(c->state_dir) : keeper_default_state_dir();
    if (k->options->dry_run) {
        char *copy = NULL;
        err = dry_run_copy_state(k->state_dir, &copy);
        if (err) {
            return err;
        }
        g_free(k->state_dir);
        k->state_dir = copy;
    }
    log_ctx log = k->log;
    log.group = "journal";
    err = loop_async_new(k->loop, on_state, k, &k->state_wake);
    if (!err) {
        g_mkdir_with_parents(k->state_dir, 0700);
        err = state_open(&(struct state_options){.dir = k->state_dir, .clock = k->clock, .log = log, .wake = wake,
                                                 .wake_user = k},
                         &k->state);
    }
    return err;
}

static void apply_accounts(struct keeper *k) {
    const wire_config *c = keeper_config(k);
    GPtrArray *old = k->accounts;
    GHashTable *by_name = g_hash_table_new(g_str_hash, g_str_equal); /* those of old that were not taken over yet */
    GHashTableIter iter;
    gpointer gone;

    k->accounts = g_ptr_array_new();
    for (guint j = 0; j < old->len; j++) {
        struct account *a = old->pdata[j];
        g_hash_table_insert(by_name, a->name, a);
    }
    for (size_t i = 0; i < c->n_accounts; i++) {
        struct account *kept = g_hash_table_lookup(by_name, c->accounts[i].name);
        kept = kept && account_same(kept->config, &c->accounts[i]) ? kept : NULL;
        if (kept) {
            g_hash_table_remove(by_name, kept->name);
            kept->config = &c->accounts[i];
            account_reconfigured(kept);
        }
        g_ptr_array_add(k->accounts, kept ? kept : account_new(k, &c->accounts[i]));
    }
    g_hash_table_iter_init(&iter, by_name);
    while (g_hash_table_iter_next(&iter, NULL, &gone)) {
        g_hash_table_iter_remove(&iter); /* its key is a part of it */
        account_free(gone);
    }
    g_hash_table_destroy(by_name);
    g_ptr_array_free(old, TRUE);
    for (guint i = 0; i < k->accounts->len; i++) {
        account_start(k->accounts->pdata[i]);
    }
}

static void reload_finished(struct keeper *k, bool ok, const char *text) {
    void (*done)(void *, bool, const char *) = k->reload_done;

    k->reload_done = NULL;
    if (k->reloading) {
        k->reloading = false;
        notify_ready(k->notify, "%s", text);
    }
    if (done) {
        done(k->reload_user, ok, text);
    }
}

static error *first_load(struct keeper *k) {
    error *err = open_state(k);

    if (!err) {
        k->outbox = outbox_new(k);
        err = k->options->once || k->options->dry_run ? NULL : control_new(k, &k->control);
    }
    return err;
}

static void on_loaded(void *user, wire_message *config) {
    struct keeper *k = user;
    wire_message *old = k->config;

    if (k->stopping) {
        wire_message_free(config);
        return;
    }
    k->config = config;
    if (!old) {
        error *err = first_load(k);
        if (err) {
            keeper_stop(k, err);
            return;
        }
    }
    outbox_configure(k->outbox);
    descriptors_plan(k);
    apply_accounts(k);
    wire_message_free(old);
    g_autofree char *text = g_strdup_printf("%zu account(s), %zu webhook(s), %zu rule(s)", keeper_config(k)->n_accounts,
                                            keeper_config(k)->n_webhooks, keeper_config(k)->n_rules);
    log_notice(&k->log, "%s: %s", old ? "config reloaded" : "started", text);
    if (!old) {
        notify_ready(k->notify, "%s", text);
    }
    reload_finished(k, true, text);
    if (!loop_timer_active(k->tick)) {
        k->last_tick = loop_now(k->loop);
        loop_timer_start(k->tick, k->options->once ? TICK_ONCE_MS : TICK_MS);
    }
}

static char *mistakes_text(const wire_message *config, const error *err) {
    GString *text = g_string_new(NULL);

    for (size_t i = 0; config && i < config->u.config.n_mistakes; i++) {
        const wire_mistake *m = &config->u.config.mistakes[i];
        g_string_append_printf(text, "%s:%u: ", m->place.file ? m->place.file : config->u.config.path, m->place.line);
        text_append_escaped(text, m->text, -1);
        g_string_append_c(text, '\n');
    }
    if (err) {
        g_string_append(text, err->text);
    }
    return g_string_free(text, FALSE);
}

static void on_refused(void *user, wire_message *config, error *err) {
    struct keeper *k = user;
    size_t n = config ? config->u.config.n_mistakes : 0;

    if (k->config) {
        g_autofree char *text = mistakes_text(config, err);
        log_error(&k->log, "config not reloaded, the old one stays in use: %s", text);
        reload_finished(k, false, text);
    } else if (config) {
        print_mistakes(&config->u.config);
        keeper_stop(k, error_new(ERROR_CONFIG, "%zu mistake(s) in the config", n));
    } else {
        keeper_stop(k, error_copy(err));
    }
    wire_message_free(config);
    error_free(err);
}

static void on_room(void *user) {
    struct keeper *k = user;

    for (guint i = 0; i < k->accounts->len; i++) {
        account_drained(k->accounts->pdata[i]);
    }
}

error *keeper_reload(struct keeper *k, void (*done)(void *user, bool ok, const char *text), void *user) {
    if (k->reload_done) {
        return error_new(ERROR_BUSY, "a reload is under way");
    }
    error *err = pool_reload(k->pool, NULL);
    if (!err) {
        k->reload_done = done;
        k->reload_user = user;
        k->reloading = true;
        notify_reloading(k->notify);
    }
    return err;
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
    static const pool_events events = {on_loaded, on_refused, on_room};
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
        err = pool_new(&(pool_options){.loop = k->loop, .log = k->log, .config = k->options->config,
                                       .executable = k->options->executable},
                       &events, k, &k->pool);
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
