/*
 * A name that nobody knows, such as `form` for `from`, would end its file at the first use and hide every mistake after
 * it. While the config loads it is recorded, and what stands in for it can be called, indexed and combined with
 * anything.
 */
#include "config_priv.h"

#define UNKNOWN_TYPE "mailruled.unknown"

static int push_unknown(lua_State *L) {
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, UNKNOWN_TYPE);
    return 1;
}

static int ignore(lua_State *L) {
    (void)L;
    return 0;
}

static int unknown_name(lua_State *L, const char *name, const char *near) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);

    loader_mistake(loader, &place, near ? "unknown name '%s'; did you mean '%s'?" : "unknown name '%s'%s", name,
                   near ? near : "");
    return push_unknown(L);
}

bool config_is_unknown(lua_State *L, int index) {
    return luaL_testudata(L, index, UNKNOWN_TYPE) != NULL;
}

void config_open_unknown(struct loader *loader) {
    static const char *const events[] = {"__index", "__call", "__band", "__bor", "__bnot",   "__bxor",
                                         "__shl",   "__shr",  "__add",  "__sub", "__mul",    "__div",
                                         "__mod",   "__idiv", "__pow",  "__unm", "__concat", NULL};
    lua_State *L = vm_state(loader->vm);

    vm_new_type(L, UNKNOWN_TYPE, NULL);
    for (const char *const *event = events; *event; event++) {
        lua_pushcfunction(L, push_unknown);
        lua_setfield(L, -2, *event);
    }
    lua_pushcfunction(L, ignore);
    lua_setfield(L, -2, "__newindex");
    lua_pop(L, 1);
    vm_set_unknown(loader->vm, unknown_name);
}
