#include "lib_priv.h"

#include "cond_priv.h"
#include "vm_state_priv.h"

#include <string.h>

static const struct {
    const char *name;
    const char *const *attributes;
    const luaL_Reg *methods;
} types[] = {
    {"Address", lib_address_attributes, NULL},
    {"Attachment", lib_attachment_attributes, NULL},
    {"Date", lib_date_attributes, lib_date_methods},
    {"Message", NULL, lib_msg_methods},
    {"Message", NULL, lib_msg_actions},
    {"Pattern", NULL, lib_re_methods},
    {"Response", lib_response_attributes, lib_response_methods},
    {"Space", NULL, lib_kv_methods},
};

/* What the definition file calls the fields of one kind. */
static const char *const field_types[] = {[FIELD_ADDRESSES] = "AddressField",
                                          [FIELD_STRINGS] = "TextField",
                                          [FIELD_SIZE] = "NumberField",
                                          [FIELD_AGE] = "NumberField",
                                          [FIELD_THING] = "ThingField",
                                          [FIELD_FLAGS] = NULL,
                                          [FIELD_CLASS] = NULL};

static void add(GHashTable *names, const char *owner, const char *separator, const char *name) {
    g_hash_table_add(names, g_strconcat(owner, separator, name, NULL));
}

static void add_types(GHashTable *names) {
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        for (const char *const *a = types[i].attributes; a && *a; a++) {
            add(names, types[i].name, ".", *a);
        }
        for (const luaL_Reg *m = types[i].methods; m && m->name; m++) {
            add(names, types[i].name, ":", m->name);
        }
    }
    for (size_t i = 0; lib_msg_attribute(i); i++) {
        add(names, "Message", ".", lib_msg_attribute(i));
    }
}

static void add_fields(GHashTable *names) {
    size_t n;
    const struct cond_field *fields = cond_fields(&n);

    for (size_t i = 0; i < n; i++) {
        const char *type = field_types[fields[i].kind];
        for (const char *const *test = cond_tests_of(&fields[i]); type && *test; test++) {
            add(names, type, ":", *test);
        }
        if (strchr(fields[i].name, '.')) {
            add(names, "", "", fields[i].name);
        }
    }
}

/* The members of the read-only table on top, behind whose metatable the real one is. */
static void add_members(lua_State *L, GHashTable *names, const char *owner) {
    int type = luaL_getmetafield(L, -1, "__index");

    if (type == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) == LUA_TSTRING) {
                add(names, owner, ".", lua_tostring(L, -2));
            }
        }
    }
    if (type != LUA_TNIL) {
        lua_pop(L, 1);
    }
}

static void add_globals(struct vm *vm, GHashTable *names) {
    lua_State *L = vm->L;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->base_ref);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_tostring(L, -2);
        add(names, "", "", name);
        if (lua_istable(L, -1) && strcmp(name, "_G") != 0) {
            add_members(L, names, name);
        }
    }
    lua_pop(L, 1);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **lib_api(struct vm *vm) {
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint n;

    add_types(names);
    add_fields(names);
    add_globals(vm, names);
    char **list = (char **)g_hash_table_get_keys_as_array(names, &n);
    qsort(list, n, sizeof *list, by_text);
    g_hash_table_steal_all(names);
    g_hash_table_unref(names);
    return list;
}
