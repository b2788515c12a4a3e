#include "vm_state_priv.h"

#include "lib_priv.h"

#include <string.h>
#include <sys/stat.h>

/* --- paths ------------------------------------------------------------------------------------------------------ */

static bool is_below(const char *path, const char *folder) {
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '/' || (len && folder[len - 1] == '/'));
}

/* path (shown: as the user wrote it) relative to folder, links resolved, still in it; NULL with *why_out */
static char *resolve_in(const char *folder, const char *path, const char *shown, char **why_out) {
    g_autofree char *whole = *path == '/' ? g_strdup(path) : g_build_filename(folder, path, NULL);
    char *top = realpath(folder, NULL), *real = realpath(whole, NULL);
    char *result = NULL;

    if (!top || !real) {
        *why_out = g_strdup_printf("%s: %s", shown, g_strerror(errno));
    } else if (!is_below(real, top)) {
        *why_out = g_strdup_printf("%s is outside the folder of the config", shown);
    } else {
        result = g_strdup(real);
    }
    free(top);
    free(real);
    return result;
}

char *vm_resolve(struct vm *vm, const char *path, char **why_out) {
    static const char prefix[] = VM_LIBRARY_PREFIX "/";

    if (g_str_has_prefix(path, prefix)) {
        return resolve_in(vm->library, path + strlen(prefix), path, why_out);
    }
    if (!vm->root) {
        *why_out = g_strdup_printf("%s: there is no folder to read from", path);
        return NULL;
    }
    return resolve_in(vm->root, path, path, why_out);
}

/* --- guarded calls ---------------------------------------------------------------------------------------------- */

static int on_error(lua_State *L) {
    struct vm *vm = vm_from(L);

    vm_error_clear(&vm->caught);
    lua_settop(L, 1);
    vm_error_capture(L, 1, vm->budget, &vm->caught);
    lua_settop(L, 1);
    return 1;
}

static void take_error(lua_State *L, int status, struct vm_error *err_out) {
    struct vm *vm = vm_from(L);

    if (status == LUA_ERRRUN && vm->caught.text) {
        *err_out = vm->caught;
        vm->caught = (struct vm_error){0};
        return;
    }
    vm_error_clear(&vm->caught);
    if (status == LUA_ERRMEM) {
        err_out->blown = VM_BLOWN_MEMORY;
        err_out->text = g_strdup(vm_blown_text(VM_BLOWN_MEMORY));
        return;
    }
    vm_error_parse(lua_tostring(L, -1) ? lua_tostring(L, -1) : "error in error handling", err_out);
}

bool vm_call(lua_State *L, int nargs, int nresults, struct vm_error *err_out) {
    struct vm *vm = vm_from(L);
    struct vm_slice slice;
    bool outermost = !vm->budget;
    int handler = lua_gettop(L) - nargs;

    lua_pushcfunction(L, on_error);
    lua_insert(L, handler);
    if (outermost) {
        vm_budget_enter(vm, &vm->load_budget, &slice);
        vm_set_hook(L, VM_HOOK_STEP);
    }
    int status = lua_pcall(L, nargs, nresults, handler);
    if (outermost) {
        vm_budget_leave(vm, &slice);
    }
    lua_remove(L, handler);
    if (status != LUA_OK) {
        take_error(L, status, err_out);
        lua_pop(L, 1);
    }
    return status == LUA_OK;
}

/* Pushes the compiled chunk; chunk is "@NAME". Raises nothing. */
static bool load_chunk(lua_State *L, const char *source, size_t len, const char *chunk, struct vm_error *err_out) {
    if (luaL_loadbufferx(L, source, len, chunk, "t") == LUA_OK) {
        return true;
    }
    vm_error_parse(lua_tostring(L, -1), err_out);
    if (!err_out->file) {
        err_out->file = g_strdup(chunk + 1);
    }
    lua_pop(L, 1);
    return false;
}

bool vm_run_string(lua_State *L, const char *source, const char *name, struct vm_error *err_out) {
    g_autofree char *chunk = g_strconcat("@", name, NULL);

    return load_chunk(L, source, strlen(source), chunk, err_out) && vm_call(L, 0, 1, err_out);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static bool read_file(const char *path, const char *name, char **text_out, gsize *len_out, struct vm_error *err_out) {
    struct stat st;
    g_autoptr(GError) failure = NULL;

    *text_out = NULL;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)LIMIT_CONFIG_FILE) {
        if (g_file_get_contents(path, text_out, len_out, &failure)) {
            return true;
        }
        err_out->text = g_strdup(failure->message);
    } else {
        err_out->text = g_strdup_printf("%s cannot be read: it is not a file of at most 8 MiB", path);
    }
    err_out->file = g_strdup(name);
    return false;
}

/* Where the Lua source starts: after a byte order mark and the text of a first line that starts with '#'. */
static size_t source_start(const char *text, size_t len) {
    size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

    if (at < len && text[at] == '#') {
        const char *end = memchr(text + at, '\n', len - at);
        at = end ? (size_t)(end - text) : len;
    }
    return at;
}

bool vm_run_file(lua_State *L, const char *path, const char *name, struct vm_error *err_out) {
    char *text;
    gsize len;

    if (!read_file(path, name, &text, &len, err_out)) {
        return false;
    }
    char *chunk = g_strconcat("@", name, NULL);
    size_t start = source_start(text, len);
    bool ok = load_chunk(L, text + start, len - start, chunk, err_out);
    g_free(chunk);
    g_free(text);
    return ok && vm_call(L, 0, 1, err_out);
}

/* --- require ---------------------------------------------------------------------------------------------------- */

static bool is_module_name(const char *name) {
    return *name && !strstr(name, "..") && *name != '.' && name[strlen(name) - 1] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == strlen(name);
}

/* Pushes name as a path with ".lua". */
static const char *push_module_path(lua_State *L, const char *name) {
    luaL_gsub(L, name, ".", "/");
    lua_pushliteral(L, ".lua");
    lua_concat(L, 2);
    return lua_tostring(L, -1);
}

static int load_module(lua_State *L, const char *relative, int loaded) {
    struct vm_error err = {0};
    char *why = NULL;
    char *path = vm_resolve(vm_from(L), relative, &why);

    if (!path) {
        luaL_where(L, 1);
        lua_pushstring(L, why);
        g_free(why);
        lua_concat(L, 2);
        return lua_error(L);
    }
    bool ok = vm_run_file(L, path, relative, &err);
    g_free(path);
    if (!ok) {
        lua_pushnil(L);
        lua_setfield(L, loaded, relative);
        vm_check_blown(L);
        return lib_raise(L, "", &err);
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, loaded, relative);
    return 1;
}

/* The table of what was loaded has false for a module that is still loading. */
int vm_require(lua_State *L) {
    struct vm *vm = vm_from(L);
    const char *name = luaL_checkstring(L, 1);

    if (!is_module_name(name)) {
        return luaL_error(L, "'%s' is no module name: letters, digits, '_', '-', and '.' between folders", name);
    }
    const char *relative = push_module_path(L, name);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->loaded_ref);
    int loaded = lua_gettop(L);
    int type = lua_getfield(L, loaded, relative);
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
        return luaL_error(L, "'%s' requires itself", name);
    }
    if (type != LUA_TNIL) {
        return 1;
    }
    if (vm->sealed) {
        return luaL_error(L, "require '%s' while a rule runs: do it at the top of the file", name);
    }
    lua_pushboolean(L, false);
    lua_setfield(L, loaded, relative);
    return load_module(L, relative, loaded);
}
