#include "config_priv.h"

#include "base/text.h"

#include <string.h>
#include <sys/stat.h>

/* The registry's key for the loader's box; only its address counts. */
static const char box_key = 0;

struct loader *loader_from(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
    struct loader **box = lua_touserdata(L, -1);
    struct loader *loader = box ? *box : NULL;
    lua_pop(L, 1);

    if (!loader) {
        luaL_error(L, "this works only while the config is loaded, not while a rule runs");
    }
    return loader;
}

char *loader_str(struct loader *loader, const char *s) {
    return wire_str(loader->out, s);
}

/* --- mistakes ---------------------------------------------------------------------------------------------------- */

static bool is_known_mistake(const struct loader *loader, const wire_place *place, const char *text) {
    for (unsigned i = 0; i < loader->mistakes->len; i++) {
        const wire_mistake *m = &g_array_index(loader->mistakes, wire_mistake, i);
        if (m->place.line == place->line && strcmp(m->text, text) == 0 && g_strcmp0(m->place.file, place->file) == 0) {
            return true;
        }
    }
    return false;
}

void loader_mistake(struct loader *loader, const wire_place *place, const char *format, ...) {
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *shown = text_escape(text, -1);
    if (loader->mistakes->len >= LIMIT_CONFIG_MISTAKES || is_known_mistake(loader, place, shown)) {
        return;
    }
    wire_mistake mistake = {{loader_str(loader, place->file), place->line}, loader_str(loader, shown)};
    g_array_append_val(loader->mistakes, mistake);
}

bool loader_mistake_error(struct loader *loader, const wire_place *place, error *err) {
    if (!err) {
        return false;
    }
    loader_mistake(loader, place, "%s", err->text);
    error_free(err);
    return true;
}

void loader_run_failed(struct loader *loader, const char *name, struct vm_error *err) {
    wire_place place = {loader_str(loader, err->file ? err->file : name), err->line};

    loader_mistake(loader, &place, "%s", err->text);
    loader->aborted++;
    vm_error_clear(err);
}

void loader_unknown(struct loader *loader, const wire_place *place, const char *what, const char *word,
                    const char *const *known) {
    const char *near = text_nearest(word, known);

    if (near) {
        loader_mistake(loader, place, "%s \"%s\"; did you mean \"%s\"?", what, word, near);
    } else {
        loader_mistake(loader, place, "%s \"%s\"", what, word);
    }
}

/* --- places ------------------------------------------------------------------------------------------------------ */

wire_place loader_place(lua_State *L, struct loader *loader) {
    wire_place place = {0};
    const char *file;
    uint32_t line;

    for (int level = 0; vm_place(L, level, &file, &line); level++) {
        bool library = g_str_has_prefix(file, VM_LIBRARY_PREFIX "/");
        if (!place.file || !library) {
            place = (wire_place){loader_str(loader, file), line};
        }
        if (!library) {
            break;
        }
    }
    return place;
}

char *loader_shown(struct loader *loader, const char *file) {
    const char *path = loader->out->u.config.path;
    const char *slash = strrchr(path, '/');

    if (!file) {
        return loader_str(loader, path);
    }
    if (*file == '/' || !slash || g_str_has_prefix(file, VM_LIBRARY_PREFIX "/")) {
        return loader_str(loader, file);
    }
    g_autofree char *shown = g_strdup_printf("%.*s/%s", (int)(slash - path), path, file);
    return loader_str(loader, shown);
}

char *loader_path(struct loader *loader, const char *path) {
    g_autofree char *whole = *path == '/' ? g_strdup(path) : g_build_filename(loader->folder, path, NULL);

    return loader_str(loader, whole);
}

bool loader_is_public(struct loader *loader, const char *file) {
    struct stat st;

    return file && stat(loader_path(loader, file), &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH));
}

/* --- NAME "x" { ... } -------------------------------------------------------------------------------------------- */

#define PENDING_TYPE "mailruled.pending"

struct pending {
    const char *what;
    char *name; /* in the arena */
    loader_take take;
    wire_place place;
    unsigned serial; /* conditions made before */
    bool taken;
};

static int take_table(lua_State *L) {
    struct loader *loader = loader_from(L);
    struct pending *pending = luaL_checkudata(L, 1, PENDING_TYPE);

    if (pending->taken) {
        loader_mistake(loader, &pending->place, "%s \"%s\" has two tables", pending->what, pending->name);
        return 0;
    }
    pending->taken = true;
    if (config_is_unknown(L, 2)) {
        return 0;
    }
    if (!lua_istable(L, 2)) {
        loader_mistake(loader, &pending->place, "%s \"%s\" needs a table, not a %s", pending->what, pending->name,
                       luaL_typename(L, 2));
        return 0;
    }
    lua_settop(L, 2);
    pending->take(L, loader, pending->name, &pending->place, pending->serial);
    return 0;
}

/* Keeps the userdata on top alive until the loader is closed. */
static void anchor(lua_State *L, struct loader *loader, struct pending *pending) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
    lua_getiuservalue(L, -1, 1);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, (lua_Integer)loader->pending->len + 1);
    lua_pop(L, 2);
    g_ptr_array_add(loader->pending, pending);
}

/* NULL if it may be one. */
static const char *why_no_name(lua_State *L, int index) {
    size_t len = 0;
    const char *s = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;

    if (!s) {
        return "needs a name: a string";
    }
    if (len == 0 || len > 100 || strlen(s) != len || !g_utf8_validate(s, (gssize)len, NULL)) {
        return "needs a name of 1 to 100 octets, in UTF-8";
    }
    for (; *s; s = g_utf8_next_char(s)) {
        if (*s == '/' || !g_unichar_isprint(g_utf8_get_char(s))) {
            return "needs a name without \"/\" and control characters";
        }
    }
    return NULL;
}

int loader_curried(lua_State *L, const char *what, loader_take take) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    const char *why = why_no_name(L, 1);
    bool direct = lua_istable(L, 2);

    if (why && !config_is_unknown(L, 1)) {
        loader_mistake(loader, &place, "%s %s", what, why);
    }
    struct pending *pending = lua_newuserdatauv(L, sizeof *pending, 0);
    *pending = (struct pending){
        what,  loader_str(loader, why ? "?" : lua_tostring(L, 1)), take, place, loader->rules->conds->conds->len,
        direct};
    luaL_setmetatable(L, PENDING_TYPE);
    anchor(L, loader, pending);
    if (direct) {
        lua_pushvalue(L, 2);
        lua_replace(L, 1); /* the table where take_table has it */
        lua_settop(L, 2);
        take(L, loader, pending->name, &pending->place, UINT_MAX);
        return 0;
    }
    return 1;
}

void loader_check_pending(struct loader *loader) {
    for (unsigned i = 0; i < loader->pending->len; i++) {
        const struct pending *p = loader->pending->pdata[i];
        if (!p->taken) {
            loader_mistake(loader, &p->place, "%s \"%s\" has no table: %s \"%s\" { ... }", p->what, p->name, p->what,
                           p->name);
        }
    }
}

/* --- opening ----------------------------------------------------------------------------------------------------- */

static const luaL_Reg pending_methods[] = {{"__call", take_table}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"account", config_account}, {"webhook", config_webhook},
                                     {"rule", config_rule},       {"every", config_every},
                                     {"include", config_include}, {"defaults", config_defaults},
                                     {"state", config_state},     {"control", config_control},
                                     {"metrics", config_metrics}, {NULL, NULL}};

void loader_open(struct loader *loader) {
    lua_State *L = vm_state(loader->vm);
    struct loader **box = lua_newuserdatauv(L, sizeof(struct loader *), 1);

    *box = loader;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &box_key);
    vm_new_type(L, PENDING_TYPE, pending_methods);
    lua_pop(L, 1);
    for (const luaL_Reg *f = functions; f->name; f++) {
        lua_pushcfunction(L, f->func);
        vm_set_global(loader->vm, f->name);
    }
    config_open_unknown(loader);
    config_secret_open(loader);
    config_open_conditions(loader);
    config_open_actions(loader);
}

void loader_close(struct loader *loader) {
    lua_State *L = vm_state(loader->vm);

    lua_rawgetp(L, LUA_REGISTRYINDEX, &box_key);
    struct loader **box = lua_touserdata(L, -1);
    *box = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, -2, 1);
    lua_pop(L, 1);
}
