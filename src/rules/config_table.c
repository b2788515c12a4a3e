#include "config_priv.h"

#include "base/text.h"

#include <string.h>

void reading_mistake(struct reading_key *r, const char *format, ...) {
    va_list args;

    if (config_is_unknown(r->L, -1)) {
        return;
    }
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    loader_mistake(r->loader, &r->place, "%s: %s %s", r->what, r->key->name, text);
}

static void unknown_key(struct loader *loader, const wire_place *call, const char *what, const char *word,
                        const struct key *keys, size_t n) {
    const char **names = g_new0(const char *, n + 1);
    g_autofree char *noun = g_strdup_printf("%s: unknown key", what);
    wire_place place = loader_key_place(loader, call, word);

    for (size_t i = 0; i < n; i++) {
        names[i] = keys[i].name;
    }
    loader_unknown(loader, &place, noun, word, names);
    g_free(names);
}

static bool read_entry(lua_State *L, struct loader *loader, const struct key *keys, size_t n, const char *what,
                       const wire_place *call, void *target) {
    if (lua_type(L, -2) != LUA_TSTRING) {
        loader_mistake(loader, call, "%s: a value without a key; each is written as key = value", what);
        return true;
    }
    const char *word = lua_tostring(L, -2);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, word) == 0) {
            struct reading_key r = {L, loader, &keys[i], what, loader_key_place(loader, call, word)};
            keys[i].read(&r, (char *)target + keys[i].offset);
            return true;
        }
    }
    unknown_key(loader, call, what, word, keys, n);
    return false;
}

unsigned table_read(lua_State *L, struct loader *loader, int index, const struct key *keys, size_t n, const char *what,
                    const wire_place *call, void *target) {
    unsigned unknown = 0;

    index = lua_absindex(L, index);
    luaL_checkstack(L, 10, "table");
    lua_pushnil(L);
    while (lua_next(L, index)) {
        unknown += !read_entry(L, loader, keys, n, what, call, target);
        lua_pop(L, 1);
    }
    return unknown;
}

bool table_has(lua_State *L, int index, const char *key) {
    index = lua_absindex(L, index);
    lua_pushstring(L, key);
    bool there = lua_rawget(L, index) != LUA_TNIL;
    lua_pop(L, 1);
    return there;
}
