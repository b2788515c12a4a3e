#include "lib_priv.h"

/* The arguments as print() joins them, with the separator; on top. */
static void join(lua_State *L, char separator) {
    luaL_Buffer line;
    int n = lua_gettop(L);

    luaL_buffinit(L, &line);
    for (int i = 1; i <= n; i++) {
        if (i > 1) {
            luaL_addchar(&line, separator);
        }
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
}

static int write_line(lua_State *L, enum log_level level, char separator) {
    size_t len;

    join(L, separator);
    const char *text = lua_tolstring(L, -1, &len);
    vm_log(L, level, text, len);
    return 0;
}

static int log_debug_(lua_State *L) {
    return write_line(L, LOG_LEVEL_DEBUG, ' ');
}

static int log_info_(lua_State *L) {
    return write_line(L, LOG_LEVEL_INFO, ' ');
}

static int log_warn_(lua_State *L) {
    return write_line(L, LOG_LEVEL_WARN, ' ');
}

static int log_error_(lua_State *L) {
    return write_line(L, LOG_LEVEL_ERROR, ' ');
}

static int print(lua_State *L) {
    return write_line(L, LOG_LEVEL_INFO, '\t');
}

static const luaL_Reg functions[] = {
    {"debug", log_debug_}, {"info", log_info_}, {"warn", log_warn_}, {"error", log_error_}, {NULL, NULL}};

void lib_open_log(struct vm *vm) {
    vm_set_library(vm, "log", functions);
    lua_pushcfunction(vm_state(vm), print);
    vm_set_global(vm, "print");
}
