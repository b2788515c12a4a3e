#include "lib_priv.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX 64
#define VALUES_MAX 200000
#define TEXT_MAX (4u << 20)
#define MIXED "a table that mixes a list with names, or a list with holes"

static const char list_key; /* registry: metatable of what json.array() and decode mark as a list */
static const char null_key; /* registry: json.null */

/* --- Lua to JSON: nothing here may raise, so that no json_t is lost --------------------------------------------- */

json_t *lib_json_text(const char *s, size_t len) {
    json_t *string = json_stringn(s, len);

    if (!string) {
        g_autofree char *valid = g_utf8_make_valid(s, (gssize)len);
        string = json_string(valid);
    }
    return string;
}

struct encoder {
    lua_State *L;
    size_t values;
    size_t bytes;
    const char *why;
};

struct member {
    const char *key; /* the table's */
    json_t *value;
};

static json_t *encode(struct encoder *e, int index, int depth);

static json_t *fail(struct encoder *e, const char *why) {
    e->why = e->why ? e->why : why;
    return NULL;
}

static json_t *encode_string(struct encoder *e, int index) {
    size_t len;
    const char *s = lua_tolstring(e->L, index, &len);

    e->bytes += len;
    if (e->bytes > TEXT_MAX) {
        return fail(e, "more than 4 MiB of text");
    }
    return lib_json_text(s, len);
}

static json_t *encode_number(struct encoder *e, int index) {
    double number;

    if (lua_isinteger(e->L, index)) {
        return json_integer(lua_tointeger(e->L, index));
    }
    number = lua_tonumber(e->L, index);
    return isfinite(number) ? json_real(number) : fail(e, "a number that is not finite");
}

static bool has_more_than(lua_State *L, int index, size_t n) {
    size_t keys = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (++keys > n) {
            lua_pop(L, 2);
            return true;
        }
    }
    return false;
}

static json_t *encode_list(struct encoder *e, int index, int depth) {
    lua_Integer n = (lua_Integer)lua_rawlen(e->L, index);

    if (has_more_than(e->L, index, (size_t)n)) {
        return fail(e, MIXED);
    }
    json_t *list = json_array();
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(e->L, index, i);
        json_t *value = encode(e, lua_gettop(e->L), depth + 1);
        lua_pop(e->L, 1);
        if (!value) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, value);
    }
    return list;
}

static int by_key(gconstpointer a, gconstpointer b) {
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* The member on top of the stack (key, value). */
static bool encode_member(struct encoder *e, int depth, struct member *member) {
    size_t len;
    const char *key = lua_type(e->L, -2) == LUA_TSTRING ? lua_tolstring(e->L, -2, &len) : NULL;

    if (!key) {
        return fail(e, MIXED) != NULL;
    }
    if (strlen(key) != len || !g_utf8_validate(key, (gssize)len, NULL)) {
        return fail(e, "a name that is not UTF-8 text") != NULL;
    }
    e->bytes += len;
    *member = (struct member){.key = key, .value = encode(e, lua_gettop(e->L), depth + 1)};
    return member->value != NULL;
}

/* Members sorted by name, so that the same table is always the same text. */
static json_t *encode_object(struct encoder *e, int index, int depth) {
    GArray *members = g_array_new(FALSE, FALSE, sizeof(struct member));
    struct member member;
    bool ok = true;

    lua_pushnil(e->L);
    while (ok && lua_next(e->L, index)) {
        ok = encode_member(e, depth, &member);
        if (ok) {
            g_array_append_val(members, member);
        }
        lua_pop(e->L, ok ? 1 : 2);
    }
    g_array_sort(members, by_key);
    json_t *object = json_object();
    for (guint i = 0; i < members->len; i++) {
        member = g_array_index(members, struct member, i);
        json_object_set_new_nocheck(object, member.key, member.value);
    }
    g_array_unref(members);
    if (!ok) {
        json_decref(object);
    }
    return ok ? object : NULL;
}

static bool has_metatable(lua_State *L, int index, const void *key) {
    bool same;

    if (!lua_getmetatable(L, index)) {
        return false;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

static bool is_null(lua_State *L, int index) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
    bool same = lua_rawequal(L, -1, index);
    lua_pop(L, 1);
    return same;
}

static json_t *encode(struct encoder *e, int index, int depth) {
    if (++e->values > VALUES_MAX) {
        return fail(e, "more than 200,000 values");
    }
    if (depth > DEPTH_MAX || !lua_checkstack(e->L, 8)) {
        return fail(e, "nested deeper than 64 levels, or it contains itself");
    }
    switch (lua_type(e->L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(e->L, index));
    case LUA_TNUMBER:
        return encode_number(e, index);
    case LUA_TSTRING:
        return encode_string(e, index);
    case LUA_TTABLE:
        return lua_rawlen(e->L, index) || has_metatable(e->L, index, &list_key) ? encode_list(e, index, depth)
                                                                                : encode_object(e, index, depth);
    default:
        return is_null(e->L, index) ? json_null() : fail(e, "a value that is neither text, number, boolean nor table");
    }
}

json_t *lib_json_from_lua(lua_State *L, int index, const char **why_out) {
    struct encoder e = {.L = L};
    json_t *json = encode(&e, lua_absindex(L, index), 0);

    *why_out = e.why;
    return json;
}

/* --- JSON to Lua: may raise; the json_t belongs to a userdata --------------------------------------------------- */

static int free_holder(lua_State *L) {
    json_t **holder = lua_touserdata(L, 1);

    json_decref(*holder);
    *holder = NULL;
    return 0;
}

static const luaL_Reg holder_meta[] = {{"__gc", free_holder}, {NULL, NULL}};

static json_t **push_holder(lua_State *L) {
    json_t **holder = lua_newuserdatauv(L, sizeof *holder, 0);

    *holder = NULL;
    luaL_setmetatable(L, "json.holder");
    return holder;
}

static void mark_list(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_setmetatable(L, -2);
}

static void push_json(lua_State *L, const json_t *json, int depth);

static void push_array(lua_State *L, const json_t *json, int depth) {
    size_t n = json_array_size(json);

    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_json(L, json_array_get(json, i), depth + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    mark_list(L);
}

static void push_object(lua_State *L, const json_t *json, int depth) {
    const char *key;
    json_t *value;

    lua_createtable(L, 0, (int)json_object_size(json));
    json_object_foreach((json_t *)json, key, value) {
        lua_pushstring(L, key);
        push_json(L, value, depth + 1);
        lua_rawset(L, -3);
    }
}

static void push_json(lua_State *L, const json_t *json, int depth) {
    if (depth > DEPTH_MAX) {
        luaL_error(L, "JSON nested deeper than %d levels", DEPTH_MAX);
    }
    luaL_checkstack(L, 8, "JSON");
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        push_object(L, json, depth);
        break;
    case JSON_ARRAY:
        push_array(L, json, depth);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(json));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(json));
        break;
    case JSON_NULL:
        lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
    }
}

bool lib_json_push(lua_State *L, const char *text, size_t len) {
    json_error_t at;

    if (len > TEXT_MAX) {
        lua_pushliteral(L, "JSON text above 4 MiB");
        return false;
    }
    vm_charge(L, len);
    json_t **holder = push_holder(L);
    *holder = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (!*holder) {
        lua_pushfstring(L, "no valid JSON at line %d, column %d: %s", at.line, at.column, at.text);
        return false;
    }
    push_json(L, *holder, 0);
    json_decref(*holder);
    *holder = NULL;
    lua_remove(L, -2);
    return true;
}

void lib_json_push_text(lua_State *L, int index, const char *what) {
    const char *why;
    json_t **holder = push_holder(L);

    *holder = lib_json_from_lua(L, index, &why);
    if (!*holder) {
        luaL_error(L, "%s cannot be JSON: it has %s", what, why);
    }
    size_t size = json_dumpb(*holder, NULL, 0, LIB_JSON_FORMAT);
    luaL_Buffer buffer;
    char *out = luaL_buffinitsize(L, &buffer, size);
    json_dumpb(*holder, out, size, LIB_JSON_FORMAT);
    luaL_pushresultsize(&buffer, size);
    json_decref(*holder);
    *holder = NULL;
    lua_remove(L, -2);
}

/* --- the library ------------------------------------------------------------------------------------------------ */

static int json_encode_(lua_State *L) {
    luaL_checkany(L, 1);
    lib_json_push_text(L, 1, "the value");
    return 1;
}

static int json_decode_(lua_State *L) {
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);

    if (!lib_json_push(L, text, len)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

static int json_array_(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected table");
    }
    mark_list(L);
    return 1;
}

static int null_tostring(lua_State *L) {
    lua_pushliteral(L, "null");
    return 1;
}

static const luaL_Reg null_meta[] = {{"__tostring", null_tostring}, {NULL, NULL}};
static const luaL_Reg functions[] = {
    {"encode", json_encode_}, {"decode", json_decode_}, {"array", json_array_}, {NULL, NULL}};

void lib_open_json(struct vm *vm) {
    lua_State *L = vm_state(vm);

    json_object_seed(0); /* reads the random device, which is out of reach once the process is locked down */
    vm_new_type(L, "json.holder", holder_meta);
    vm_new_type(L, "json.list", NULL);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_pop(L, 1);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    lua_newuserdatauv(L, 1, 0);
    vm_new_type(L, "json.null", null_meta);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
    lua_setfield(L, -2, "null");
    vm_readonly(L, "json");
    vm_set_global(vm, "json");
}
