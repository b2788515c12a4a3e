#include "vm_state_priv.h"

#include <lualib.h>

/*
 * Lua's coroutine library once more, for three things it cannot do: a thread that waits for the keeper (vm_wait) yields
 * through every coroutine between it and its rule; an error of a blown budget is not returned as a value; and a
 * coroutine that died of one is not closed, because its __close handlers would run without hooks.
 */

enum mode { MODE_RESUME, MODE_WRAP };

static lua_State *coroutine_of(lua_State *L, enum mode mode) {
    return lua_tothread(L, mode == MODE_WRAP ? lua_upvalueindex(1) : 1);
}

static int fail(lua_State *L, lua_State *co, enum mode mode) {
    if (mode == MODE_RESUME) {
        lua_pushboolean(L, false);
        lua_insert(L, -2);
        return 2;
    }
    if (co && lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD) {
        lua_resetthread(co); /* runs what is to be closed */
        vm_check_blown(L);
    }
    return lua_error(L);
}

static int go_on(lua_State *L, int status, lua_KContext mode);

static int run(lua_State *L, int nargs, enum mode mode) {
    struct vm *vm = vm_from(L);
    lua_State *co = coroutine_of(L, mode);
    int nresults = 0;

    if (!lua_checkstack(co, nargs)) {
        lua_pushliteral(L, "too many arguments to resume");
        return fail(L, NULL, mode);
    }
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
        lua_pushliteral(L, "cannot resume dead coroutine");
        return fail(L, NULL, mode);
    }
    lua_xmove(L, co, nargs);
    int status = lua_resume(co, L, nargs, &nresults);
    if (status == LUA_YIELD && vm->waiting) {
        lua_pop(co, nresults);
        vm->waiting = false;
        return vm_wait(L, "something this coroutine asks for", mode, go_on);
    }
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        vm_check_error(L, status);
        return fail(L, co, mode);
    }
    if (!lua_checkstack(L, nresults + 1)) {
        lua_pop(co, nresults);
        lua_pushliteral(L, "too many results to resume");
        return fail(L, NULL, mode);
    }
    if (mode == MODE_RESUME) {
        lua_pushboolean(L, true);
    }
    lua_xmove(co, L, nresults);
    vm_check_blown(L);
    return nresults + (mode == MODE_RESUME);
}

static int go_on(lua_State *L, int status, lua_KContext mode) {
    return run(L, 0, (enum mode)mode);
}

static int co_resume(lua_State *L) {
    luaL_argexpected(L, lua_tothread(L, 1), 1, "coroutine");
    return run(L, lua_gettop(L) - 1, MODE_RESUME);
}

static int call_wrapped(lua_State *L) {
    return run(L, lua_gettop(L), MODE_WRAP);
}

static int co_create(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    vm_charge(L, VM_HOOK_STEP / 2); /* each starts a count of its own */
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int co_wrap(lua_State *L) {
    co_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int yield_value(lua_State *L) {
    struct vm_thread *thread = vm_thread_current(L);

    if (!lua_isyieldable(L) || (thread && thread->L == L)) {
        return luaL_error(L, "attempt to yield from outside a coroutine");
    }
    return lua_yield(L, lua_gettop(L));
}

/* The original, unless the coroutine died of a blown budget. */
static int co_close(lua_State *L) {
    vm_check_blown(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    vm_check_blown(L);
    return lua_gettop(L);
}

static const luaL_Reg own[] = {
    {"create", co_create}, {"wrap", co_wrap}, {"resume", co_resume}, {"yield", yield_value}, {NULL, NULL}};
static const char *const originals[] = {"isyieldable", "running", "status"};

void vm_coroutine_open(lua_State *L) {
    luaL_requiref(L, "coroutine", luaopen_coroutine, 0);
    int from = lua_gettop(L);

    lua_newtable(L);
    luaL_setfuncs(L, own, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(originals); i++) {
        lua_getfield(L, from, originals[i]);
        lua_setfield(L, from + 1, originals[i]);
    }
    lua_getfield(L, from, "close");
    lua_pushcclosure(L, co_close, 1);
    lua_setfield(L, from + 1, "close");
    lua_remove(L, from);
}
