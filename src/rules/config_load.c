#include "config_priv.h"
#include "engine_priv.h"

#include "wire/frame.h"

#include <string.h>

/* --- what can only be checked at the end ------------------------------------------------------------------------- */

static bool has_account(const struct loader *loader, const char *name) {
    for (unsigned i = 0; i < loader->accounts->len; i++) {
        if (strcmp(g_array_index(loader->accounts, wire_account, i).name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_webhook(const struct loader *loader, const char *name) {
    for (unsigned i = 0; i < loader->webhooks->len; i++) {
        if (strcmp(g_array_index(loader->webhooks, wire_webhook, i).name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL-terminated; g_free. Names are first in both structs. */
static const char **names_of(const GArray *array, size_t size) {
    const char **names = g_new0(const char *, array->len + 1);

    for (unsigned i = 0; i < array->len; i++) {
        names[i] = *(char **)(void *)(array->data + i * size);
    }
    return names;
}

static void check_names(struct loader *loader, const struct rule *rule, const wire_rule *wire,
                        const char *const *accounts, const char *const *webhooks) {
    for (size_t i = 0; i < wire->accounts.n; i++) {
        if (!has_account(loader, wire->accounts.v[i])) {
            wire_place place = loader_key_place(loader, &wire->place, "account");
            loader_unknown(loader, &place, "unknown account", wire->accounts.v[i], accounts);
        }
    }
    for (size_t i = 0; i < rule->n_actions; i++) {
        const struct action *a = rule->actions[i];
        if (a->webhook && !has_webhook(loader, a->webhook)) {
            loader_unknown(loader, &a->place, "unknown webhook", a->webhook, webhooks);
        }
    }
}

static bool ends_everything(const struct rule *rule, const wire_rule *wire) {
    if (rule->when || wire->accounts.n || wire->folders.n || wire->dry_run || rule->run_ref != LUA_NOREF ||
        rule->cont == RULE_CONTINUE_YES) {
        return false;
    }
    bool ends = rule->cont == RULE_CONTINUE_NO;
    for (size_t i = 0; i < rule->n_actions; i++) {
        ends |= job_takes_away(rule->actions[i]->verb) || rule->actions[i]->verb == WIRE_VERB_STOP;
    }
    return ends;
}

static void check_reachable(struct loader *loader) {
    const wire_rule *end[WIRE_EVENT_TIMER + 1] = {0};

    for (unsigned i = 0; i < loader->rule_list->len; i++) {
        const struct rule *rule = &g_array_index(loader->rule_list, struct rule, i);
        const wire_rule *wire = &g_array_index(loader->wire_rules, wire_rule, i);
        if (end[wire->on] && (!wire->own || end[wire->on]->own)) {
            loader_mistake(loader, &wire->place,
                           "rule \"%s\" is never reached: rule \"%s\" ends evaluation for every message", wire->name,
                           end[wire->on]->name);
        } else if (ends_everything(rule, wire)) {
            end[wire->on] = wire;
        }
    }
}

/* Could a folder of that name be watched by this account? Special use and globs may stand for any. */
static bool may_watch(const wire_account *account, const char *name) {
    for (size_t i = 0; i < account->watch.n; i++) {
        const char *w = account->watch.v[i];
        if (*w == '\\' || match_is_glob(w) || strchr(w, '%') || g_ascii_strcasecmp(w, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_watched(const struct loader *loader, const wire_rule *rule, const char *name) {
    for (unsigned i = 0; i < loader->accounts->len; i++) {
        const wire_account *account = &g_array_index(loader->accounts, wire_account, i);
        bool wanted = rule->accounts.n == 0;
        for (size_t k = 0; k < rule->accounts.n; k++) {
            wanted |= strcmp(rule->accounts.v[k], account->name) == 0;
        }
        if (wanted && may_watch(account, name)) {
            return true;
        }
    }
    return loader->accounts->len == 0;
}

static void check_watched(struct loader *loader) {
    for (unsigned i = 0; i < loader->wire_rules->len; i++) {
        const wire_rule *rule = &g_array_index(loader->wire_rules, wire_rule, i);
        for (size_t k = 0; k < rule->folders.n; k++) {
            const char *name = rule->folders.v[k];
            bool plain = *name != '\\' && !match_is_glob(name) && !strchr(name, '%');
            if (plain && !is_watched(loader, rule, name)) {
                wire_place place = loader_key_place(loader, &rule->place, "folder");
                loader_mistake(loader, &place, "rule \"%s\": no account watches the folder \"%s\"", rule->name, name);
            }
        }
    }
}

static void check_whole(struct loader *loader) {
    loader_check_pending(loader);
    if (loader->aborted) {
        return;
    }
    const char **accounts = names_of(loader->accounts, sizeof(wire_account));
    const char **webhooks = names_of(loader->webhooks, sizeof(wire_webhook));
    for (unsigned i = 0; i < loader->rule_list->len; i++) {
        check_names(loader, &g_array_index(loader->rule_list, struct rule, i),
                    &g_array_index(loader->wire_rules, wire_rule, i), accounts, webhooks);
    }
    g_free(accounts);
    g_free(webhooks);
    if (loader->check_only && loader->mistakes->len == 0) {
        check_reachable(loader);
        check_watched(loader);
    }
}

/* --- into the CONFIG message ------------------------------------------------------------------------------------- */

static void show_places(struct loader *loader) {
    for (unsigned i = 0; i < loader->accounts->len; i++) {
        wire_account *a = &g_array_index(loader->accounts, wire_account, i);
        wire_secret *secrets[] = {&a->password, &a->oauth2.client_secret, &a->oauth2.refresh_token};
        a->place.file = loader_shown(loader, a->place.file);
        a->idle_renew_ms = a->idle_renew_ms ? a->idle_renew_ms : loader->idle_renew_default;
        a->idle_renew_stated = a->idle_renew_ms != 0;
        a->idle_renew_ms = a->idle_renew_stated ? a->idle_renew_ms : DEFAULT_IDLE_RENEW_MS;
        for (size_t k = 0; k < G_N_ELEMENTS(secrets); k++) {
            secrets[k]->place.file = secrets[k]->kind ? loader_shown(loader, secrets[k]->place.file) : NULL;
        }
    }
    for (unsigned i = 0; i < loader->webhooks->len; i++) {
        wire_webhook *w = &g_array_index(loader->webhooks, wire_webhook, i);
        w->place.file = loader_shown(loader, w->place.file);
        for (size_t k = 0; k < w->n_secrets; k++) {
            w->secrets[k].place.file = loader_shown(loader, w->secrets[k].place.file);
        }
    }
    for (unsigned i = 0; i < loader->wire_rules->len; i++) {
        wire_rule *r = &g_array_index(loader->wire_rules, wire_rule, i);
        r->place.file = loader_shown(loader, r->place.file);
    }
    for (unsigned i = 0; i < loader->mistakes->len; i++) {
        wire_mistake *m = &g_array_index(loader->mistakes, wire_mistake, i);
        m->place.file = loader_shown(loader, m->place.file);
    }
}

static int by_place(const void *a, const void *b) {
    const wire_mistake *x = a, *y = b;
    int files = g_strcmp0(x->place.file, y->place.file);

    if (files) {
        return files;
    }
    return x->place.line != y->place.line ? (x->place.line < y->place.line ? -1 : 1) : strcmp(x->text, y->text);
}

static void *move_array(struct loader *loader, const GArray *array, size_t *n_out) {
    size_t size = g_array_get_element_size((GArray *)(uintptr_t)array);
    void *copy = wire_alloc(loader->out, size * array->len + 1);

    if (array->len) {
        memcpy(copy, array->data, size * array->len);
    }
    *n_out = array->len;
    return copy;
}

static void fill_config(struct loader *loader) {
    wire_config *config = &loader->out->u.config;

    show_places(loader);
    g_array_sort(loader->mistakes, by_place);
    config->mistakes = move_array(loader, loader->mistakes, &config->n_mistakes);
    config->limits = loader->rules->limits;
    if (config->n_mistakes == 0) {
        config->accounts = move_array(loader, loader->accounts, &config->n_accounts);
        config->webhooks = move_array(loader, loader->webhooks, &config->n_webhooks);
        config->rules = move_array(loader, loader->wire_rules, &config->n_rules);
    }
}

/* The same message again, in an arena of its own. */
static error *copy_message(const wire_message *message, wire_message **copy_out) {
    g_autoptr(GByteArray) frame = g_byte_array_new();
    wire_decoder *decoder = wire_decoder_new();
    error *err = wire_encode(message, frame);

    if (!err) {
        wire_decoder_feed(decoder, frame->data, frame->len);
        wire_decoder_next(decoder, copy_out, &err);
    }
    wire_decoder_free(decoder);
    return error_prefix(err, "config");
}

/* --- loading ----------------------------------------------------------------------------------------------------- */

static void loader_init(struct loader *loader, rules *set, wire_message *out, const char *path, bool check_only) {
    *loader = (struct loader){.rules = set,
                              .out = out,
                              .check_only = check_only,
                              .create_default = true};
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    loader->folder = g_path_get_dirname(whole);
    out->u.config.path = wire_str(out, path);
    loader->accounts = g_array_new(FALSE, TRUE, sizeof(wire_account));
    loader->webhooks = g_array_new(FALSE, TRUE, sizeof(wire_webhook));
    loader->payloads = g_array_new(FALSE, TRUE, sizeof(int));
    loader->rule_list = g_array_new(FALSE, TRUE, sizeof(struct rule));
    loader->wire_rules = g_array_new(FALSE, TRUE, sizeof(wire_rule));
    loader->mistakes = g_array_new(FALSE, TRUE, sizeof(wire_mistake));
    loader->pending = g_ptr_array_new();
    loader->rule_names = g_hash_table_new(g_str_hash, g_str_equal);
    loader->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, config_source_free);
    loader->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void loader_release(struct loader *loader) {
    g_free(loader->folder);
    g_array_unref(loader->accounts);
    g_array_unref(loader->webhooks);
    g_array_unref(loader->payloads);
    g_array_unref(loader->rule_list);
    g_array_unref(loader->wire_rules);
    g_array_unref(loader->mistakes);
    g_ptr_array_unref(loader->pending);
    g_hash_table_unref(loader->rule_names);
    g_hash_table_unref(loader->sources);
    g_hash_table_unref(loader->files);
}

static void run_config(struct loader *loader, const char *path) {
    lua_State *L = vm_state(loader->vm);
    struct vm_error err = {0};
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    char *real = realpath(whole, NULL);

    if (real) {
        g_hash_table_add(loader->files, g_strdup(real));
    }
    free(real);
    if (vm_run_file(L, whole, name, &err)) {
        lua_pop(L, 1);
    } else {
        loader_run_failed(loader, name, &err);
    }
}

/* From lists of the loader to what the engine works with. */
static void finish(struct loader *loader) {
    rules *set = loader->rules;
    wire_config *config = &set->config->u.config;
    g_autofree const struct cond **whens = g_new0(const struct cond *, loader->rule_list->len + 1);

    set->n_rules = loader->rule_list->len;
    set->rules = g_new0(struct rule, set->n_rules + 1);
    for (size_t i = 0; i < set->n_rules; i++) {
        struct rule *rule = &set->rules[i];
        *rule = g_array_index(loader->rule_list, struct rule, i);
        rule->wire = &config->rules[i];
        rule->actions = g_memdup2(rule->actions, rule->n_actions * sizeof(struct action *));
        rule->on_error = rule->on_error == RULE_ON_ERROR_DEFAULT ? loader->on_error_default : rule->on_error;
        whens[i] = rule->when;
    }
    set->payload_refs = g_new0(int, loader->payloads->len + 1);
    for (unsigned i = 0; i < loader->payloads->len; i++) {
        set->payload_refs[i] = g_array_index(loader->payloads, int, i);
    }
    set->create_default = loader->create_default;
    cond_set_index(set->conds, whens, set->n_rules);
    set->matcher = regex_matcher_new(&set->limits, NULL);
    set->scopes = scopes_new(set);
    vm_seal(set->vm);
}

static rules *make_rules(const struct rules_host *host, const char *path) {
    rules *set = g_new0(struct rules, 1);
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    g_autofree char *folder = g_path_get_dirname(whole);
    const char *slash = strrchr(path, '/');

    if (host) {
        set->host = *host;
    }
    set->limits = (struct limits)LIMITS_DEFAULT;
    set->folder_shown = slash ? g_strndup(path, (gsize)(slash - path) + 1) : g_strdup("");
    set->conds = cond_set_new();
    set->actions = g_ptr_array_new_with_free_func((GDestroyNotify)action_free);
    set->vm = vm_new(&set->limits, &set->host, NULL, folder);
    return set;
}

error *rules_load(const char *path, bool check_only, const struct rules_host *host, wire_message *config_out,
                  rules **rules_out) {
    rules *set = make_rules(host, path);
    struct loader loader;

    *rules_out = NULL;
    if (!set->vm) {
        rules_free(set);
        return error_new(ERROR_INTERNAL, "no memory for Lua");
    }
    loader_init(&loader, set, config_out, path, check_only);
    loader.vm = set->vm;
    loader_open(&loader);
    run_config(&loader, path);
    check_whole(&loader);
    loader_close(&loader);
    fill_config(&loader);
    g_autofree char *whole = g_canonicalize_filename(path, NULL);
    config_out->u.config.path = wire_str(config_out, whole);
    error *err = config_out->u.config.n_mistakes ? NULL : copy_message(config_out, &set->config);
    if (set->config) {
        finish(&loader);
        *rules_out = set;
    } else {
        rules_free(set);
    }
    loader_release(&loader);
    return err;
}

void rules_free(rules *set) {
    if (!set) {
        return;
    }
    scopes_free(set->scopes);
    regex_matcher_free(set->matcher);
    vm_free(set->vm);
    cond_set_free(set->conds);
    g_ptr_array_unref(set->actions);
    g_free(set->payload_refs);
    for (size_t i = 0; i < set->n_rules; i++) {
        g_free(set->rules[i].actions);
    }
    g_free(set->rules);
    g_free(set->folder_shown);
    wire_message_free(set->config);
    g_free(set);
}
