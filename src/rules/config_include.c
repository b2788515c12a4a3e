#include "config_priv.h"

#include <glob.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every file that the pattern (absolute) matches, sorted. NULL-terminated. */
static char **find_files(const char *pattern) {
    glob_t found;
    GPtrArray *list = g_ptr_array_new();

    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (g_file_test(found.gl_pathv[i], G_FILE_TEST_IS_REGULAR)) {
                g_ptr_array_add(list, g_strdup(found.gl_pathv[i]));
            }
        }
        globfree(&found);
    }
    g_ptr_array_sort(list, by_name);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static void run_file(lua_State *L, struct loader *loader, const wire_place *place, const char *path, bool exact) {
    char *why = NULL;
    g_autofree char *real = vm_resolve(loader->vm, path, &why);
    struct vm_error err = {0};

    if (!real) {
        loader_mistake(loader, place, "include: %s", why);
        g_free(why);
        return;
    }
    if (!g_hash_table_add(loader->files, g_strdup(real))) {
        if (exact) {
            loader_mistake(loader, place, "include: %s is included already", path);
        }
        return;
    }
    if (g_hash_table_size(loader->files) > LIMIT_CONFIG_FILES) {
        loader_mistake(loader, place, "include: more than %d files", LIMIT_CONFIG_FILES);
        return;
    }
    size_t prefix = strlen(loader->folder) + 1;
    const char *name = g_str_has_prefix(path, loader->folder) ? path + prefix : path;
    if (vm_run_file(L, real, name, &err)) {
        lua_pop(L, 1);
    } else {
        loader_run_failed(loader, name, &err);
    }
}

int config_include(lua_State *L) {
    struct loader *loader = loader_from(L);
    wire_place place = loader_place(L, loader);
    struct key key = {.name = "path"};
    struct reading_key r = {L, loader, &key, "include", place};

    lua_settop(L, 1);
    const char *pattern = reading_string(&r);
    if (!pattern) {
        return 0;
    }
    g_autofree char *base = g_path_get_dirname(place.file ? place.file : "");
    g_autofree char *whole = *pattern == '/'          ? g_strdup(pattern)
                             : strcmp(base, ".") == 0 ? g_build_filename(loader->folder, pattern, NULL)
                                                      : g_build_filename(loader->folder, base, pattern, NULL);
    bool exact = !strpbrk(pattern, "*?[");
    g_auto(GStrv) files = exact ? g_strsplit(whole, "\n", 1) : find_files(whole);
    for (size_t i = 0; files[i]; i++) {
        run_file(L, loader, &place, files[i], exact);
    }
    return 0;
}
