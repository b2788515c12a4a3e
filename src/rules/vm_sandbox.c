#include "vm_state_priv.h"

#include "base/text.h"

#include <lualib.h>
#include <string.h>

#define COPIES_PER_INSTRUCTION 8

/* --- read-only tables ------------------------------------------------------------------------------------------- */

static int refuse_change(lua_State *L) {
    return luaL_error(L, "%s cannot be changed", lua_tostring(L, lua_upvalueindex(1)));
}

/* next() over the hidden table; the table itself must not get out. */
static int hidden_next(lua_State *L) {
    lua_settop(L, 2);
    if (lua_next(L, lua_upvalueindex(1))) {
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

static int hidden_pairs(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, hidden_next, 1);
    return 1;
}

static void lock_metatable(lua_State *L, int metatable, int hidden) {
    lua_pushboolean(L, false);
    lua_setfield(L, metatable, "__metatable");
    lua_pushvalue(L, hidden);
    lua_pushcclosure(L, hidden_pairs, 1);
    lua_setfield(L, metatable, "__pairs");
}

void vm_readonly(lua_State *L, const char *what) {
    int hidden = lua_gettop(L);

    lua_newtable(L);
    lua_createtable(L, 0, 4);
    lock_metatable(L, hidden + 2, hidden);
    lua_pushvalue(L, hidden);
    lua_setfield(L, hidden + 2, "__index");
    lua_pushstring(L, what);
    lua_pushcclosure(L, refuse_change, 1);
    lua_setfield(L, hidden + 2, "__newindex");
    lua_setmetatable(L, hidden + 1);
    lua_replace(L, hidden);
}

void vm_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods) {
    if (luaL_newmetatable(L, name)) {
        lua_pushboolean(L, false);
        lua_setfield(L, -2, "__metatable");
        if (metamethods) {
            luaL_setfuncs(L, metamethods, 0);
        }
    }
}

/* --- globals ---------------------------------------------------------------------------------------------------- */

int vm_error_unknown(lua_State *L, const char *what, const char *word, const char *const *known) {
    const char *near = text_nearest(word, known);

    if (near) {
        return luaL_error(L, "unknown %s '%s'; did you mean '%s'?", what, word, near);
    }
    return luaL_error(L, "unknown %s '%s'", what, word);
}

/* How many string keys the table has; they are put into names where that is not NULL, and stay the table's. */
static size_t list_names(lua_State *L, int table, const char **names) {
    size_t n = 0;

    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            if (names) {
                names[n] = lua_tostring(L, -2);
            }
            n++;
        }
    }
    return n;
}

static int unknown_global(lua_State *L) {
    struct vm *vm = vm_from(L);
    const char *name = luaL_tolstring(L, 2, NULL);

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->base_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->store_ref);
    int base = lua_gettop(L) - 1, store = base + 1;
    size_t n = list_names(L, base, NULL) + list_names(L, store, NULL);
    const char **names = lua_newuserdatauv(L, (n + 1) * sizeof(char *), 0);
    n = list_names(L, base, names);
    n += list_names(L, store, names + n);
    names[n] = NULL;
    if (vm->unknown && !vm->sealed) {
        return vm->unknown(L, name, text_nearest(name, names));
    }
    return vm_error_unknown(L, "name", name, names);
}

static int set_global(lua_State *L) {
    struct vm *vm = vm_from(L);
    const char *name = luaL_tolstring(L, 2, NULL);

    if (vm->sealed) {
        return luaL_error(L, "global '%s' cannot be set while a rule runs: use a local, or kv to remember something",
                          name);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->base_ref);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        return luaL_error(L, "'%s' belongs to mailruled and cannot be replaced: use another name", name);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->store_ref);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    return 0;
}

void vm_set_unknown(struct vm *vm, vm_unknown unknown) {
    vm->unknown = unknown;
}

void vm_set_global(struct vm *vm, const char *name) {
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->base_ref);
    lua_insert(vm->L, -2);
    lua_setfield(vm->L, -2, name);
    lua_pop(vm->L, 1);
}

void vm_set_library(struct vm *vm, const char *name, const luaL_Reg *functions) {
    lua_newtable(vm->L);
    luaL_setfuncs(vm->L, functions, 0);
    vm_readonly(vm->L, name);
    vm_set_global(vm, name);
}

/* What a chunk sees as _G: an empty table that never holds anything, so that every access goes through here.
 * Reads: what scripts set (store), then ours (base), then the error. */
static void open_globals(struct vm *vm) {
    lua_State *L = vm->L;
    int base, store, env;

    lua_newtable(L);
    base = lua_gettop(L);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, unknown_global);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, base);
    lua_newtable(L);
    store = lua_gettop(L);
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, base);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, store);
    lua_newtable(L);
    env = lua_gettop(L);
    lua_createtable(L, 0, 4);
    lock_metatable(L, env + 1, store);
    lua_pushvalue(L, store);
    lua_setfield(L, env + 1, "__index");
    lua_pushcfunction(L, set_global);
    lua_setfield(L, env + 1, "__newindex");
    lua_setmetatable(L, env);
    lua_pushvalue(L, env);
    lua_setfield(L, base, "_G");
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* lua_load gives it to every chunk */
    vm->store_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    vm->base_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* --- guarded base functions ------------------------------------------------------------------------------------- */

static int protected_done(lua_State *L, int status, lua_KContext skip) {
    if (status != LUA_OK && status != LUA_YIELD) {
        vm_check_error(L, status);
        lua_pushboolean(L, false);
        lua_pushvalue(L, -2);
        return 2;
    }
    vm_check_blown(L);
    return lua_gettop(L) - (int)skip;
}

static int safe_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushboolean(L, true);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, protected_done);
    return protected_done(L, status, 0);
}

/* Stands before the user's handler, which must not run on a blown budget: after a hook, Lua runs it without hooks. */
static int guarded_handler(lua_State *L) {
    struct vm *vm = vm_from(L);

    if (vm->budget && vm->budget->blown) {
        return 1;
    }
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int safe_xpcall(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, true);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    int status = lua_pcallk(L, lua_gettop(L) - 4, LUA_MULTRET, 2, 2, protected_done);
    return protected_done(L, status, 2);
}

static int safe_setmetatable(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luaL_error(L, "__gc is not available to rules");
        }
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

static int safe_rawset(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected table");
    }
    lua_rawset(L, 1);
    return 1;
}

static int count_garbage(lua_State *L) {
    static const char *const options[] = {"collect", "count", NULL};

    lua_pushnumber(L, luaL_checkoption(L, 1, "collect", options) ? (lua_Number)vm_from(L)->bytes / 1024 : 0);
    return 1;
}

/* Calls the original (upvalue 1), after its work was charged: these loop in C as often as their arguments say. */
static int call_original(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int charged_rep(lua_State *L) {
    lua_Integer n = luaL_checkinteger(L, 2);

    vm_charge(L, n > 0 ? (uint64_t)n / COPIES_PER_INSTRUCTION : 0);
    return call_original(L);
}

static int charged_move(lua_State *L) {
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);

    vm_charge(L, last >= first ? ((uint64_t)last - (uint64_t)first) / COPIES_PER_INSTRUCTION : 0);
    return call_original(L);
}

/* --- opening ---------------------------------------------------------------------------------------------------- */

static const char *const base_names[] = {"assert",   "error",    "getmetatable", "ipairs",   "next",
                                         "pairs",    "rawequal", "rawget",       "rawlen",   "select",
                                         "tonumber", "tostring", "type",         "_VERSION", NULL};
static const char *const string_names[] = {"byte",  "char", "find",     "format",  "gmatch", "gsub",   "len",   "lower",
                                           "match", "pack", "packsize", "reverse", "sub",    "unpack", "upper", NULL};
static const char *const table_names[] = {"concat", "insert", "pack", "remove", "sort", "unpack", NULL};

static const luaL_Reg own_base[] = {{"collectgarbage", count_garbage},
                                    {"pcall", safe_pcall},
                                    {"rawset", safe_rawset},
                                    {"require", vm_require},
                                    {"setmetatable", safe_setmetatable},
                                    {"xpcall", safe_xpcall},
                                    {NULL, NULL}};

/* Copies names (NULL: all) of the table at index from into the table at index to. */
static void copy_names(lua_State *L, int from, int to, const char *const *names) {
    if (!names) {
        for (lua_pushnil(L); lua_next(L, from);) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, to);
        }
        return;
    }
    for (; *names; names++) {
        lua_getfield(L, from, *names);
        lua_setfield(L, to, *names);
    }
}

static void wrap(lua_State *L, int from, int to, const char *name, lua_CFunction function) {
    lua_getfield(L, from, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, to, name);
}

static void open_string(struct vm *vm) {
    lua_State *L = vm->L;
    int from, to;

    luaL_requiref(L, "string", luaopen_string, 0);
    from = lua_gettop(L);
    lua_newtable(L);
    to = from + 1;
    copy_names(L, from, to, string_names);
    wrap(L, from, to, "rep", charged_rep);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1); /* every string's */
    lua_pushvalue(L, to);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    vm_readonly(L, "string");
    vm_set_global(vm, "string");
    lua_pop(L, 1);
}

static void open_table(struct vm *vm) {
    lua_State *L = vm->L;
    int from;

    luaL_requiref(L, "table", luaopen_table, 0);
    from = lua_gettop(L);
    lua_newtable(L);
    copy_names(L, from, from + 1, table_names);
    wrap(L, from, from + 1, "move", charged_move);
    vm_readonly(L, "table");
    vm_set_global(vm, "table");
    lua_pop(L, 1);
}

static void open_whole(struct vm *vm, const char *name, lua_CFunction open) {
    lua_State *L = vm->L;
    int from;

    luaL_requiref(L, name, open, 0);
    from = lua_gettop(L);
    lua_newtable(L);
    copy_names(L, from, from + 1, NULL);
    vm_readonly(L, name);
    vm_set_global(vm, name);
    lua_pop(L, 1);
}

static void open_base(struct vm *vm) {
    lua_State *L = vm->L;
    int from;

    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* of the state before open_globals */
    from = lua_gettop(L);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 0);
    open_globals(vm);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->base_ref);
    copy_names(L, from, from + 1, base_names);
    luaL_setfuncs(L, own_base, 0);
    lua_pop(L, 2);
    lua_newtable(L);
    vm->loaded_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void vm_sandbox_open(struct vm *vm) {
    open_base(vm);
    open_string(vm);
    open_table(vm);
    open_whole(vm, "math", luaopen_math);
    open_whole(vm, "utf8", luaopen_utf8);
    vm_coroutine_open(vm->L);
    vm_readonly(vm->L, "coroutine");
    vm_set_global(vm, "coroutine");
}
