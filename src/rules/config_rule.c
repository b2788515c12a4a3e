#include "config_priv.h"

#include <string.h>

/* What a rule's table says. */
struct draft {
    wire_rule wire;
    struct rule rule;
    int on_error; /* -1 = as the defaults say */
};

static const char *const on_error[] = {"park", "skip", NULL};

/* --- when -------------------------------------------------------------------------------------------------------- */

static void read_when(struct reading_key *r, void *target) {
    const struct cond *cond = config_cond(r->L, -1);

    if (cond) {
        *(const struct cond **)target = cond;
        return;
    }
    switch (lua_type(r->L, -1)) {
    case LUA_TFUNCTION:
        reading_mistake(r, "is a function: that belongs into run = function(msg) ... end");
        return;
    case LUA_TBOOLEAN:
        reading_mistake(r, "is %s: conditions are combined with &, | and ~, not with `and`, `or`, `not`",
                        lua_toboolean(r->L, -1) ? "true" : "false");
        return;
    case LUA_TTABLE:
        reading_mistake(r, "is a table: write all { ... } or any { ... }");
        return;
    default:
        reading_mistake(r, "must be a condition such as from:domain \"example.com\", not a %s",
                        luaL_typename(r->L, -1));
    }
}

/* To Lua `a and b` is b, and `a or b` is a: half of such a condition is lost without a trace. What was made and not
 * used is seen for certain, the rest in the source. */
static void check_logic(struct loader *loader, const wire_place *call, unsigned serial) {
    static const char mistake[] =
        "conditions are combined with &, | and ~, not with `and`, `or`, `not`, which would drop a part of this one";
    const GPtrArray *conds = loader->rules->conds->conds;
    wire_place place = {call->file, loader_logic_line(loader, call, "when")};

    if (place.line) {
        loader_mistake(loader, &place, "%s", mistake);
    }
    for (unsigned i = serial; i < conds->len && !place.line; i++) {
        const struct cond *cond = conds->pdata[i];
        if (!cond->used && !cond->is_mistake) {
            loader_mistake(loader, &cond->place, "%s", mistake);
        }
    }
}

static void add_captures(const struct cond_test *test, void *user) {
    for (unsigned i = 0; test->regex && i <= regex_groups(test->regex); i++) {
        const char *name = regex_group_name(test->regex, i);
        g_hash_table_add(user, g_strdup_printf("%u", i));
        if (name) {
            g_hash_table_add(user, g_strdup(name));
        }
    }
}

/* --- actions ----------------------------------------------------------------------------------------------------- */

static void add_action(struct reading_key *r, struct rule *rule, size_t number) {
    struct action *action = config_action(r->L, -1);

    if (action) {
        rule->actions[rule->n_actions++] = action;
        return;
    }
    if (lua_type(r->L, -1) == LUA_TSTRING) {
        reading_mistake(r, "%zu is the string \"%.40s\": an action is written as move \"Folder\", flag \"Name\", stop",
                        number, lua_tostring(r->L, -1));
    } else {
        reading_mistake(r, "%zu is no action but a %s", number, luaL_typename(r->L, -1));
    }
}

static void read_actions(struct reading_key *r, void *target) {
    struct rule *rule = (struct rule *)(void *)((char *)target - offsetof(struct rule, actions));
    bool one = config_action(r->L, -1) != NULL;
    size_t n = one ? 1 : lua_istable(r->L, -1) ? lua_rawlen(r->L, -1) : 0;

    rule->actions = wire_array(r->loader->out, struct action *, n + 1);
    if (one) {
        add_action(r, rule, 1);
        return;
    }
    if (!lua_istable(r->L, -1)) {
        reading_mistake(r, "must be a list of actions: { move \"Folder\", flag \"Name\" }");
        return;
    }
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(r->L, -1, (lua_Integer)i);
        add_action(r, rule, i);
        lua_pop(r->L, 1);
    }
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        if (lua_type(r->L, -2) == LUA_TSTRING) {
            reading_mistake(r, "has the key \"%.40s\": it is a plain list, { move \"Folder\" }",
                            lua_tostring(r->L, -2));
        }
    }
    if (n == 0) {
        reading_mistake(r, "is an empty list");
    }
}

static void check_actions(struct loader *loader, const struct rule *rule, GHashTable *captures) {
    const char *gone = NULL;

    for (size_t i = 0; i < rule->n_actions; i++) {
        const struct action *a = rule->actions[i];
        if (a->folder) {
            loader_mistake_error(loader, &a->place, template_check(a->folder, captures));
        }
        for (size_t k = 0; k < a->n_flags; k++) {
            loader_mistake_error(loader, &a->place, template_check(a->flags[k], captures));
        }
        if (gone && job_takes_away(a->verb)) {
            loader_mistake(loader, &a->place, "%s comes too late: after %s the message is no longer in the folder",
                           wire_verb_name(a->verb), gone);
        }
        gone = job_takes_away(a->verb) ? wire_verb_name(a->verb) : gone;
    }
}

/* --- the rule ---------------------------------------------------------------------------------------------------- */

static void read_continue(struct reading_key *r, void *target) {
    bool goes_on = false;

    if (lua_type(r->L, -1) != LUA_TBOOLEAN) {
        read_bool(r, &goes_on);
        return;
    }
    *(int *)target = lua_toboolean(r->L, -1) ? RULE_CONTINUE_YES : RULE_CONTINUE_NO;
}

#define WIRE(member) offsetof(struct draft, wire.member)
#define RULE(member) offsetof(struct draft, rule.member)
static const struct key keys[] = {
    {.name = "account", .read = read_strings, .offset = WIRE(accounts)},
    {.name = "folder", .read = read_folders, .offset = WIRE(folders)},
    {.name = "on", .read = read_on, .offset = WIRE(on), .choices = config_events},
    {.name = "when", .read = read_when, .offset = RULE(when)},
    {.name = "actions", .read = read_actions, .offset = RULE(actions)},
    {.name = "run", .read = read_function, .offset = RULE(run_ref)},
    {.name = "continue", .read = read_continue, .offset = RULE(cont)},
    {.name = "dry_run", .read = read_bool, .offset = WIRE(dry_run)},
    {.name = "own", .read = read_bool, .offset = WIRE(own)},
    {.name = "limit", .read = read_count, .offset = WIRE(limit), .min = 1, .max = 1000000000},
    {.name = "on_error", .read = read_choice, .offset = offsetof(struct draft, on_error), .choices = on_error},
};

static void check_rule(lua_State *L, struct loader *loader, const struct draft *d, unsigned unknown) {
    const char *name = d->wire.name;
    bool actions = table_has(L, 2, "actions"), run = table_has(L, 2, "run");

    if (actions && run) {
        loader_mistake(loader, &d->wire.place, "rule \"%s\" has both actions and run: do one of them", name);
    } else if (!actions && !run && !unknown) {
        loader_mistake(loader, &d->wire.place, "rule \"%s\" does nothing: it has neither actions nor run", name);
    }
    g_autoptr(GHashTable) captures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    if (d->rule.when) {
        cond_foreach_positive(d->rule.when, add_captures, captures);
    }
    if (d->rule.when || !table_has(L, 2, "when")) {
        check_actions(loader, &d->rule, captures);
    }
    config_check_event(loader, &d->wire, &d->rule);
}

static void check_name(struct loader *loader, const wire_rule *wire) {
    const wire_place *other = g_hash_table_lookup(loader->rule_names, wire->name);

    if (other) {
        loader_mistake(loader, &wire->place, "rule \"%s\" is already defined at %s:%u", wire->name,
                       loader_shown(loader, other->file), other->line);
        return;
    }
    wire_place *place = wire_alloc(loader->out, sizeof *place);
    *place = wire->place;
    g_hash_table_insert(loader->rule_names, wire->name, place);
}

static void take(lua_State *L, struct loader *loader, const char *name, const wire_place *place, unsigned serial) {
    struct draft d = {
        .wire = {.name = loader_str(loader, name), .place = *place}, .rule = {.run_ref = LUA_NOREF}, .on_error = -1};

    if (loader->rule_list->len >= LIMIT_RULES) {
        loader_mistake(loader, place, "more than %d rules", LIMIT_RULES);
        return;
    }
    unsigned unknown = table_read(L, loader, 2, keys, G_N_ELEMENTS(keys), "rule", place, &d);
    check_rule(L, loader, &d, unknown);
    check_name(loader, &d.wire);
    if (d.rule.when) {
        cond_mark_used(d.rule.when);
        if (!d.rule.when->is_mistake) {
            check_logic(loader, place, serial);
        }
    }
    d.rule.index = (int)loader->rule_list->len;
    d.rule.on_error = d.on_error < 0 ? RULE_ON_ERROR_DEFAULT : (enum rule_on_error)d.on_error;
    g_array_append_val(loader->rule_list, d.rule);
    g_array_append_val(loader->wire_rules, d.wire);
}

int config_rule(lua_State *L) {
    return loader_curried(L, "rule", take);
}
