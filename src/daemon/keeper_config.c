/* The config as the evaluators have read it: put to use when it is good, for the first time or in place of another. */
#include "daemon_priv.h"
#include "mistakes_priv.h"

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
    log_notice(&k->log, "%s: %s",
               !old          ? "started"
               : k->reloading ? "config reloaded"
                              : "config read again, messages are evaluated with it",
               text);
    g_clear_pointer(&k->refusal, g_free);
    if (!old) {
        notify_ready(k->notify, "%s", text);
    }
    reload_finished(k, true, text);
    keeper_begin(k);
}

/* The pool tries again and again where nothing is evaluated meanwhile: the same is not logged twice. */
static void keep_config(struct keeper *k, const char *text) {
    if (!pool_get_stats(k->pool).orphaned) {
        log_error(&k->log, "config not reloaded, the old one stays in use: %s", text);
        return;
    }
    if (k->reloading || g_strcmp0(k->refusal, text) != 0) {
        log_error(&k->log, "config had to be read again and is not good, no message is evaluated until it is: %s",
                  text);
    }
    g_free(k->refusal);
    k->refusal = g_strdup(text);
}

static void on_refused(void *user, wire_message *config, error *err) {
    struct keeper *k = user;
    g_autoptr(GString) text = g_string_new(err ? err->text : NULL);

    if (config) {
        mistakes_describe(&config->u.config, text);
    }
    if (k->config) {
        keep_config(k, text->str);
        reload_finished(k, false, text->str);
    } else if (config) {
        g_printerr("%s", text->str);
        keeper_stop(k, error_new(ERROR_CONFIG, "%zu mistake(s) in the config", config->u.config.n_mistakes));
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

error *keeper_load(struct keeper *k) {
    static const pool_events events = {on_loaded, on_refused, on_room};

    return pool_new(&(pool_options){.loop = k->loop, .log = k->log, .config = k->options->config,
                                    .executable = k->options->executable},
                    &events, k, &k->pool);
}
