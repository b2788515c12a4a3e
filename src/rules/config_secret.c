#include "config_priv.h"

#include <string.h>

#define SECRET_TYPE "mailruled.secret"

/* As Lua sees it: a description that can only be handed on. Strings are in the loader's arena. */
static wire_secret *push_secret(lua_State *L, struct loader *loader, enum wire_secret_kind kind) {
    wire_secret *secret = lua_newuserdatauv(L, sizeof *secret, 0);

    *secret = (wire_secret){.kind = kind, .place = loader_place(L, loader)};
    luaL_setmetatable(L, SECRET_TYPE);
    return secret;
}

static bool is_usable(const char *s, size_t len) {
    return len > 0 && strlen(s) == len && g_utf8_validate(s, (gssize)len, NULL);
}

/* secret.NAME "x": the string argument, or NULL and a mistake. */
static char *one_string(lua_State *L, struct loader *loader, const char *name, const char *example) {
    size_t len = 0;
    const char *s = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;

    if (s && is_usable(s, len)) {
        return loader_str(loader, s);
    }
    wire_place place = loader_place(L, loader);
    loader_mistake(loader, &place, "secret.%s needs %s", name, example);
    return NULL;
}

static int secret_file(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *path = one_string(L, loader, "file", "a path: secret.file \"/etc/mailruled/password\"");

    push_secret(L, loader, WIRE_SECRET_FILE)->value = path ? loader_path(loader, path) : NULL;
    return 1;
}

static int secret_env(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *name = one_string(L, loader, "env", "the name of a variable: secret.env \"MAIL_PASSWORD\"");

    push_secret(L, loader, WIRE_SECRET_ENV)->value = name;
    return 1;
}

static int secret_credential(lua_State *L) {
    struct loader *loader = loader_from(L);
    char *name = one_string(L, loader, "credential", "a name: secret.credential \"imap-password\"");

    if (name && (strchr(name, '/') || *name == '.')) {
        wire_place place = loader_place(L, loader);
        loader_mistake(loader, &place, "secret.credential takes a name, not a path: \"%s\"", name);
    }
    push_secret(L, loader, WIRE_SECRET_CREDENTIAL)->value = name;
    return 1;
}

static int secret_command(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_secret *secret = push_secret(L, loader, WIRE_SECRET_COMMAND);
    size_t n = lua_istable(L, 1) ? lua_rawlen(L, 1) : 0;
    bool good = n > 0;

    for (size_t i = 1; i <= n; i++) {
        size_t len = 0;
        const char *s = lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        good = good && s && strlen(s) == len && g_utf8_validate(s, (gssize)len, NULL);
        if (good) {
            wire_strings_add(loader->out, &secret->argv, s);
        }
        lua_pop(L, 1);
    }
    if (!good) {
        loader_mistake(
            loader, &secret->place,
            "secret.command needs the program and its arguments: secret.command { \"pass\", \"show\", \"mail\" }");
    }
    return 1;
}

static const luaL_Reg functions[] = {{"file", secret_file},
                                     {"env", secret_env},
                                     {"command", secret_command},
                                     {"credential", secret_credential},
                                     {NULL, NULL}};

void config_secret_open(struct loader *loader) {
    lua_State *L = vm_state(loader->vm);

    vm_new_type(L, SECRET_TYPE, NULL);
    lua_pop(L, 1);
    vm_set_library(loader->vm, "secret", functions);
}

bool read_secret_value(struct reading_key *r, wire_secret *secret_out) {
    const wire_secret *made = luaL_testudata(r->L, -1, SECRET_TYPE);

    if (made) {
        *secret_out = *made;
        secret_out->place = r->place;
        return true;
    }
    if (lua_type(r->L, -1) != LUA_TSTRING) {
        reading_mistake(r, "must be secret.file, secret.env, secret.command, secret.credential or a string, not a %s",
                        luaL_typename(r->L, -1));
        return false;
    }
    size_t len;
    const char *s = lua_tolstring(r->L, -1, &len);
    if (!is_usable(s, len)) {
        reading_mistake(r, "is empty, or no UTF-8");
        return false;
    }
    if (loader_is_public(r->loader, r->place.file)) {
        reading_mistake(r,
                        "stands in a file that others can read: chmod 600 it, or use secret.file, secret.command, ...");
        return false;
    }
    *secret_out = (wire_secret){.kind = WIRE_SECRET_LITERAL, .value = loader_str(r->loader, s), .place = r->place};
    return true;
}

void read_secret(struct reading_key *r, void *target) {
    read_secret_value(r, target);
}
