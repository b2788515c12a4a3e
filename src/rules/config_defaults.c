/* defaults, state, control, metrics. */
#include "config_priv.h"

#include <string.h>

/* --- limits ------------------------------------------------------------------------------------------------------ */

#define KB UINT64_C(1024)
#define MB (1024 * KB)
#define AT(member) offsetof(struct limits, member)
static const struct key limit_keys[] = {
    {.name = "literal", .read = read_size, .offset = AT(literal), .min = MB, .max = 100 * MB},
    {.name = "message", .read = read_size, .offset = AT(message), .min = 64 * KB, .max = 100 * MB},
    {.name = "header", .read = read_size, .offset = AT(header), .min = 4 * KB, .max = 16 * MB},
    {.name = "text", .read = read_size, .offset = AT(text), .min = 4 * KB, .max = 64 * MB},
    {.name = "attachment", .read = read_size, .offset = AT(attachment), .min = 4 * KB, .max = 100 * MB},
    {.name = "evaluator_memory",
     .read = read_size,
     .offset = AT(evaluator_memory),
     .min = 128 * MB,
     .max = 1024 * 1024 * MB},
    {.name = "lua_memory", .read = read_size, .offset = AT(lua_memory), .min = MB, .max = 1024 * MB},
    {.name = "lua_instructions", .read = read_size, .offset = AT(lua_instructions), .min = 10000, .max = 100000000000},
    {.name = "deadline", .read = read_duration, .offset = AT(deadline), .min = 100, .max = 600000},
    {.name = "rule_wait", .read = read_duration, .offset = AT(rule_wait), .min = 100, .max = 3600000},
    {.name = "regex_deadline", .read = read_duration, .offset = AT(regex_deadline), .min = 1, .max = 60000},
    {.name = "regex_match", .read = read_count, .offset = AT(regex_match), .min = 100, .max = 1000000000},
    {.name = "regex_depth", .read = read_count, .offset = AT(regex_depth), .min = 100, .max = 100000000},
    {.name = "regex_heap_kb", .read = read_count, .offset = AT(regex_heap_kb), .min = 100, .max = 1000000},
    {.name = "in_flight", .read = read_count, .offset = AT(in_flight), .min = 1, .max = 1000000},
    {.name = "attempts", .read = read_count, .offset = AT(attempts), .min = 1, .max = 100},
    {.name = "http_response", .read = read_size, .offset = AT(http_response), .min = KB, .max = 64 * MB},
};
#undef AT

static void read_limits(struct reading_key *r, void *target) {
    (void)target;
    if (!lua_istable(r->L, -1)) {
        reading_mistake(r, "must be a table: { text = \"1MB\", deadline = \"2s\" }");
        return;
    }
    table_read(r->L, r->loader, -1, limit_keys, G_N_ELEMENTS(limit_keys), "limits", &r->place,
               &r->loader->rules->limits);
}

/* --- defaults ---------------------------------------------------------------------------------------------------- */

static const char *const on_error[] = {"park", "skip", NULL};

static void read_keyword(struct reading_key *r, void *target) {
    char *s = reading_string(r);
    struct template *template = NULL;
    error *err = s ? template_parse(s, TEMPLATE_FLAG, &template) : NULL;

    if (err) {
        reading_mistake(r, "%s", err->text);
        error_free(err);
        return;
    }
    template_free(template);
    *(char **)target = s;
}

#define AT(member) offsetof(struct defaults, member)
struct defaults {
    bool create;
    int on_error;
    uint64_t idle_renew;
    char *quarantine_flag;
    char limits;
};

static const struct key keys[] = {
    {.name = "limits", .read = read_limits, .offset = AT(limits)},
    {.name = "create", .read = read_bool, .offset = AT(create)},
    {.name = "on_error", .read = read_choice, .offset = AT(on_error), .choices = on_error},
    {.name = "idle_renew", .read = read_duration, .offset = AT(idle_renew), .min = 1000, .max = 29 * 60 * 1000},
    {.name = "quarantine_flag", .read = read_keyword, .offset = AT(quarantine_flag)},
};

int config_defaults(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    struct defaults d = {loader->create_default, (int)loader->on_error_default, loader->idle_renew_default,
                         loader->out->u.config.quarantine_flag, 0};

    if (!lua_istable(L, 1)) {
        loader_mistake(loader, &place, "defaults needs a table: defaults { on_error = \"park\" }");
        return 0;
    }
    table_read(L, loader, 1, keys, G_N_ELEMENTS(keys), "defaults", &place, &d);
    loader->create_default = d.create;
    loader->on_error_default = (enum rule_on_error)d.on_error;
    loader->idle_renew_default = d.idle_renew;
    loader->out->u.config.quarantine_flag = d.quarantine_flag;
    return 0;
}

/* --- one string each --------------------------------------------------------------------------------------------- */

static char *one_string(lua_State *L, const char *name, char *already) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    static const struct key none = {0};
    struct key key = none;

    key.name = name;
    struct reading_key r = {L, loader, &key, "config", place};
    if (already) {
        loader_mistake(loader, &place, "%s is given twice", name);
    }
    lua_settop(L, 1);
    return reading_string(&r);
}

int config_state(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *s = one_string(L, "state", loader->out->u.config.state_dir);

    loader->out->u.config.state_dir = s ? loader_path(loader, s) : NULL;
    return 0;
}

int config_control(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *s = one_string(L, "control", loader->out->u.config.control);

    loader->out->u.config.control = s ? loader_path(loader, s) : NULL;
    return 0;
}

int config_metrics(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *s = one_string(L, "metrics", loader->out->u.config.metrics);
    const char *colon = s ? strrchr(s, ':') : NULL;
    guint64 port = colon ? g_ascii_strtoull(colon + 1, NULL, 10) : 0;

    if (s && (!colon || colon == s || port < 1 || port > 65535)) {
        wire_place place = loader_place(L, loader);
        loader_mistake(loader, &place, "metrics needs \"HOST:PORT\", such as \"127.0.0.1:9464\"");
        return 0;
    }
    loader->out->u.config.metrics = s;
    return 0;
}
