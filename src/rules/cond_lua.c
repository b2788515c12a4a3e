/*
 * How the config writes conditions. Fields and conditions are userdata; everything here records mistakes and gives a
 * stand-in, so that the config goes on.
 */
#include "config_priv.h"

#include <glib/gstdio.h>
#include <string.h>

#define FIELD_TYPE "mailruled.field"
#define CONDITION_TYPE "mailruled.condition"

struct field_ud {
    const struct cond_field *field;
    const char *header; /* in the arena */
};

static int push_cond(lua_State *L, const struct cond *cond) {
    const struct cond **ud = lua_newuserdatauv(L, sizeof cond, 0);

    *ud = cond;
    luaL_setmetatable(L, CONDITION_TYPE);
    return 1;
}

const struct cond *config_cond(lua_State *L, int index) {
    const struct cond **ud = luaL_testudata(L, index, CONDITION_TYPE);

    return ud ? *ud : NULL;
}

static int push_mistake(lua_State *L, struct loader *loader, const wire_place *place) {
    return push_cond(L, cond_make_mistake(loader->rules->conds, place));
}

static void push_field(lua_State *L, const struct cond_field *field, const char *header) {
    struct field_ud *ud = lua_newuserdatauv(L, sizeof *ud, 0);

    *ud = (struct field_ud){field, header};
    luaL_setmetatable(L, FIELD_TYPE);
}

/* --- operands ---------------------------------------------------------------------------------------------------- */

static bool is_plain(lua_State *L, int index) {
    size_t len;
    const char *s = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;

    return s && strlen(s) == len;
}

/* A list of strings, in a userdata left on the stack; NULL if it is none. */
static const char *const *read_list(lua_State *L, int index) {
    size_t n = lua_rawlen(L, index);
    const char **list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);

    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (!is_plain(L, -1)) {
            return NULL;
        }
        list[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    list[n] = NULL;
    return list;
}

/* { case = true }: false if it is anything else. */
static bool read_options(lua_State *L, struct cond_operand *operand) {
    bool good = true;

    if (lua_isnoneornil(L, 3)) {
        return true;
    }
    if (!lua_istable(L, 3)) {
        return false;
    }
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        good =
            good && lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "case") == 0 && lua_isboolean(L, -1);
        operand->has_case = true;
        operand->exact = lua_toboolean(L, -1);
    }
    return good;
}

/* Fills operand from the arguments; false: a mistake was recorded. */
static bool read_operand(lua_State *L, struct loader *loader, const wire_place *place, const char *what,
                         struct cond_operand *operand) {
    switch (lua_type(L, 2)) {
    case LUA_TSTRING:
        operand->string = is_plain(L, 2) ? lua_tostring(L, 2) : NULL;
        break;
    case LUA_TNUMBER:
        operand->has_number = true;
        operand->number = lua_tonumber(L, 2);
        break;
    case LUA_TTABLE:
        operand->list = read_list(L, 2);
        if (!operand->list) {
            loader_mistake(loader, place, "%s needs a list of strings", what);
            return false;
        }
        break;
    case LUA_TNIL:
    case LUA_TNONE:
        break;
    default:
        if (!config_is_unknown(L, 2)) {
            loader_mistake(loader, place, "%s cannot be given a %s", what, luaL_typename(L, 2));
        }
        return false;
    }
    if (!read_options(L, operand)) {
        loader_mistake(loader, place, "%s: the only option is { case = true }", what);
        return false;
    }
    return true;
}

static char *read_file(struct loader *loader, const wire_place *place, const char *what, const char *name) {
    char *why = NULL, *text = NULL;
    gsize len = 0;
    GStatBuf st;
    g_autofree char *path = vm_resolve(loader->vm, name, &why);
    g_autoptr(GError) failure = NULL;

    if (!path) {
        loader_mistake(loader, place, "%s: %s", what, why);
        g_free(why);
        return NULL;
    }
    if (g_stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > LIMIT_CONFIG_LIST) {
        loader_mistake(loader, place, "%s: %s is not a file of at most 64 MiB", what, name);
        return NULL;
    }
    if (!g_file_get_contents(path, &text, &len, &failure)) {
        loader_mistake(loader, place, "%s: %s", what, failure->message);
    } else if (strlen(text) != len) {
        loader_mistake(loader, place, "%s: %s is no text file", what, name);
        g_clear_pointer(&text, g_free);
    }
    return text;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static int make_test(lua_State *L, struct loader *loader, const struct field_ud *f, const char *name,
                     const wire_place *place, struct cond_operand *operand) {
    const struct cond *cond = NULL;
    g_autofree char *text = NULL;

    if (strcmp(name, "in_file") == 0 && operand->string) {
        text = read_file(loader, place, "in_file", operand->string);
        if (!text) {
            return push_mistake(L, loader, place);
        }
        operand->file_text = text;
    }
    error *err = cond_make_test(loader->rules->conds, f->field, f->header, name, operand, place, &cond);
    if (loader_mistake_error(loader, place, err)) {
        return push_mistake(L, loader, place);
    }
    return push_cond(L, cond);
}

/* from:domain "x": upvalues are the test's name and the field it was taken from. */
static int call_test(lua_State *L) {
    struct loader *loader = loader_from(L);
    const char *name = lua_tostring(L, lua_upvalueindex(1));
    const struct field_ud *f = lua_touserdata(L, lua_upvalueindex(2));
    wire_place place = loader_place(L, loader);
    struct cond_operand operand = {0};

    lua_settop(L, 3);
    const char *what = lua_pushfstring(L, "%s:%s", f->field->name, name);
    if (!luaL_testudata(L, 1, FIELD_TYPE)) {
        loader_mistake(loader, &place, "a test is called with a colon: %s:%s(...)", f->field->name, name);
        return push_mistake(L, loader, &place);
    }
    if (!read_operand(L, loader, &place, what, &operand)) {
        return push_mistake(L, loader, &place);
    }
    return make_test(L, loader, f, name, &place, &operand);
}

static int index_field(lua_State *L) {
    const struct field_ud *f = luaL_checkudata(L, 1, FIELD_TYPE);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    g_autofree char *whole = g_strdup_printf("%s.%s", f->field->name, name);
    const struct cond_field *part = cond_field_find(whole);

    g_clear_pointer(&whole, g_free);
    if (part) {
        push_field(L, part, NULL);
        return 1;
    }
    lua_pushstring(L, name);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, call_test, 2);
    return 1;
}

static int field_misused(lua_State *L) {
    struct loader *loader = loader_from(L);
    const struct field_ud *f = luaL_testudata(L, 1, FIELD_TYPE);
    wire_place place = loader_place(L, loader);

    f = f ? f : luaL_testudata(L, 2, FIELD_TYPE);
    const char *const *tests = f ? cond_tests_of(f->field) : NULL;
    loader_mistake(loader, &place, "%s needs a test: %s:%s ...", f ? f->field->name : "the field",
                   f ? f->field->name : "subject", tests && tests[0] ? tests[0] : "is");
    return push_mistake(L, loader, &place);
}

static bool is_header_name(const char *s) {
    for (const char *p = s; *p; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == ':') {
            return false;
        }
    }
    return *s && strlen(s) <= 200;
}

static int make_header(lua_State *L) {
    struct loader *loader = loader_from(L);
    const char *name = is_plain(L, 1) ? lua_tostring(L, 1) : NULL;

    if (!name || !is_header_name(name)) {
        wire_place place = loader_place(L, loader);
        loader_mistake(loader, &place, "header needs the name of a field: header \"X-Spam-Flag\":is \"YES\"");
        name = "x-mistake";
    }
    push_field(L, cond_field_find("header"), loader_str(loader, name));
    return 1;
}

/* has_flag "x": the upvalue is the field's name. */
static int make_flag_test(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    struct cond_operand operand = {0};
    struct field_ud f = {cond_field_find(lua_tostring(L, lua_upvalueindex(1))), NULL};

    lua_settop(L, 1);
    operand.string = is_plain(L, 1) ? lua_tostring(L, 1) : NULL;
    return make_test(L, loader, &f, "is", &place, &operand);
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static int make_node(lua_State *L, struct loader *loader, enum cond_kind kind, const struct cond *const *kids, size_t n,
                     const wire_place *place) {
    for (size_t i = 0; i < n; i++) {
        if (kids[i]->is_mistake) {
            for (size_t k = 0; k < n; k++) {
                cond_mark_used(kids[k]);
            }
            return push_mistake(L, loader, place);
        }
    }
    const struct cond *cond = cond_make_node(loader->rules->conds, kind, kids, n, place);
    if (!cond) {
        loader_mistake(loader, place, "conditions are nested deeper than %d", LIMIT_COND_DEPTH);
        return push_mistake(L, loader, place);
    }
    return push_cond(L, cond);
}

static int operator_misused(lua_State *L, struct loader *loader, const wire_place *place, const char *sign, int side) {
    static const char hint[] = "; parentheses help: (a:is \"x\") & (b:is \"y\")";

    if (luaL_testudata(L, side, FIELD_TYPE)) {
        const struct field_ud *f = lua_touserdata(L, side);
        loader_mistake(loader, place, "%s needs a test next to %s", f->field->name, sign);
    } else if (!config_is_unknown(L, side)) {
        loader_mistake(loader, place, "%s needs conditions on both sides, not a %s%s", sign, luaL_typename(L, side),
                       hint);
    }
    return push_mistake(L, loader, place);
}

static int binary(lua_State *L, enum cond_kind kind, const char *sign) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    const struct cond *kids[] = {config_cond(L, 1), config_cond(L, 2)};

    for (int i = 0; i < 2; i++) {
        if (kids[1 - i]) {
            cond_mark_used(kids[1 - i]);
        }
        if (!kids[i]) {
            return operator_misused(L, loader, &place, sign, i + 1);
        }
    }
    return make_node(L, loader, kind, kids, 2, &place);
}

static int operator_and(lua_State *L) {
    return binary(L, COND_ALL, "&");
}

static int operator_or(lua_State *L) {
    return binary(L, COND_ANY, "|");
}

static int operator_not(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    const struct cond *cond = config_cond(L, 1);

    return cond ? make_node(L, loader, COND_NOT, &cond, 1, &place) : field_misused(L);
}

/* is_auto() is is_auto. */
static int call_condition(lua_State *L) {
    if (lua_gettop(L) > 1) {
        struct loader *loader = loader_from(L);
        wire_place place = loader_place(L, loader);
        loader_mistake(loader, &place, "a condition takes no arguments");
    }
    lua_settop(L, 1);
    return 1;
}

static int index_condition(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

    loader_mistake(loader, &place, "a condition has no \"%s\"; another test is joined with & or |", name);
    lua_pushvalue(L, 1);
    return 1;
}

/* --- all { }, any { }, none { } ---------------------------------------------------------------------------------- */

static int from_list(lua_State *L, enum cond_kind kind, const char *name) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    size_t n = lua_istable(L, 1) ? lua_rawlen(L, 1) : 0;

    if (n == 0) {
        loader_mistake(loader, &place, "%s needs a list of conditions: %s { is_list, is_auto }", name, name);
        return push_mistake(L, loader, &place);
    }
    const struct cond **kids = lua_newuserdatauv(L, n * sizeof *kids, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        kids[i] = config_cond(L, -1);
        if (!kids[i]) {
            if (!config_is_unknown(L, -1)) {
                loader_mistake(loader, &place, "%s: entry %zu is no condition but a %s", name, i + 1,
                               luaL_typename(L, -1));
            }
            return push_mistake(L, loader, &place);
        }
        lua_pop(L, 1);
    }
    return make_node(L, loader, kind, kids, n, &place);
}

static int make_all(lua_State *L) {
    return from_list(L, COND_ALL, "all");
}

static int make_any(lua_State *L) {
    return from_list(L, COND_ANY, "any");
}

static int make_none(lua_State *L) {
    from_list(L, COND_ANY, "none");
    lua_replace(L, 1);
    lua_settop(L, 1);
    return operator_not(L);
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static const luaL_Reg field_methods[] = {{"__index", index_field},  {"__band", field_misused}, {"__bor", field_misused},
                                         {"__bnot", field_misused}, {"__call", field_misused}, {NULL, NULL}};
static const luaL_Reg condition_methods[] = {{"__band", operator_and},     {"__bor", operator_or},
                                             {"__bnot", operator_not},     {"__call", call_condition},
                                             {"__index", index_condition}, {NULL, NULL}};
static const luaL_Reg functions[] = {
    {"header", make_header}, {"all", make_all}, {"any", make_any}, {"none", make_none}, {NULL, NULL}};

static void open_class(struct loader *loader, const struct cond_field *field) {
    struct cond_operand nothing = {0};
    wire_place place = {0};
    const struct cond *cond;

    error_free(cond_make_test(loader->rules->conds, field, NULL, "holds", &nothing, &place, &cond));
    push_cond(vm_state(loader->vm), cond);
    vm_set_global(loader->vm, field->name);
}

void config_open_conditions(struct loader *loader) {
    lua_State *L = vm_state(loader->vm);
    size_t n;
    const struct cond_field *fields = cond_fields(&n);

    vm_new_type(L, FIELD_TYPE, field_methods);
    vm_new_type(L, CONDITION_TYPE, condition_methods);
    lua_pop(L, 2);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        vm_set_global(loader->vm, f->name);
    }
    for (size_t i = 0; i < n; i++) {
        if (fields[i].kind == FIELD_CLASS) {
            open_class(loader, &fields[i]);
        } else if (fields[i].kind == FIELD_FLAGS) {
            lua_pushstring(L, fields[i].name);
            lua_pushcclosure(L, make_flag_test, 1);
            vm_set_global(loader->vm, fields[i].name);
        } else if (!strchr(fields[i].name, '.') && strcmp(fields[i].name, "header") != 0) {
            push_field(L, &fields[i], NULL);
            vm_set_global(loader->vm, fields[i].name);
        }
    }
}
