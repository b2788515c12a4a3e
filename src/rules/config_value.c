#include "config_priv.h"
#include "lib_priv.h"

#include "base/text.h"

#include <string.h>

static bool has_control(const char *s) {
    for (; *s; s = g_utf8_next_char(s)) {
        if (g_unichar_iscntrl(g_utf8_get_char(s))) {
            return true;
        }
    }
    return false;
}

char *reading_string(struct reading_key *r) {
    size_t len = 0;

    if (lua_type(r->L, -1) != LUA_TSTRING) {
        reading_mistake(r, "must be a string, not a %s", luaL_typename(r->L, -1));
        return NULL;
    }
    const char *s = lua_tolstring(r->L, -1, &len);
    if (len == 0) {
        reading_mistake(r, "is empty");
    } else if (strlen(s) != len || !g_utf8_validate(s, (gssize)len, NULL) || has_control(s)) {
        reading_mistake(r, "has control characters, or is not UTF-8");
    } else {
        return loader_str(r->loader, s);
    }
    return NULL;
}

void read_string(struct reading_key *r, void *target) {
    char *s = reading_string(r);

    *(char **)target = s ? s : *(char **)target;
}

void read_path(struct reading_key *r, void *target) {
    char *s = reading_string(r);

    *(char **)target = s ? loader_path(r->loader, s) : NULL;
}

void read_bool(struct reading_key *r, void *target) {
    if (lua_type(r->L, -1) != LUA_TBOOLEAN) {
        reading_mistake(r, "must be true or false, not a %s", luaL_typename(r->L, -1));
        return;
    }
    *(bool *)target = lua_toboolean(r->L, -1);
}

void read_count(struct reading_key *r, void *target) {
    int whole = 0;
    lua_Integer n = lua_type(r->L, -1) == LUA_TNUMBER ? lua_tointegerx(r->L, -1, &whole) : 0;

    if (!whole || n < (lua_Integer)r->key->min || n > (lua_Integer)r->key->max) {
        reading_mistake(r, "must be a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, r->key->min,
                        r->key->max);
        return;
    }
    *(uint32_t *)target = (uint32_t)n;
}

/* A string with a unit, or a number of `bare` units. */
static bool read_quantity(struct reading_key *r, bool (*parse)(const char *s, uint64_t *out), uint64_t bare,
                          const char *example, uint64_t *out) {
    if (lua_type(r->L, -1) == LUA_TNUMBER) {
        lua_Number n = lua_tonumber(r->L, -1) * (lua_Number)bare;
        if (n >= 0 && n < 1e15) {
            *out = (uint64_t)n;
            return true;
        }
    } else if (lua_type(r->L, -1) == LUA_TSTRING && parse(lua_tostring(r->L, -1), out)) {
        return true;
    }
    const char *shown = lua_type(r->L, -1) == LUA_TSTRING ? lua_tostring(r->L, -1) : NULL;
    g_autofree char *escaped = shown ? text_escape(shown, -1) : NULL;
    reading_mistake(r, "must be %s%s%s%s", example, escaped ? ", not \"" : "", escaped ? escaped : "",
                    escaped ? "\"" : "");
    return false;
}

void read_size(struct reading_key *r, void *target) {
    uint64_t n;

    if (!read_quantity(r, text_parse_size, 1, "a size such as \"10MB\"", &n)) {
        return;
    }
    if (n < r->key->min || (r->key->max && n > r->key->max)) {
        reading_mistake(r, "must be at least %" G_GUINT64_FORMAT " and at most %" G_GUINT64_FORMAT " octets",
                        r->key->min, r->key->max);
        return;
    }
    *(uint64_t *)target = n;
}

void read_duration(struct reading_key *r, void *target) {
    uint64_t ms;

    if (!read_quantity(r, text_parse_duration, 1000, "a duration such as \"30s\", \"5m\", \"2h\", \"7d\"", &ms)) {
        return;
    }
    if (ms < r->key->min || (r->key->max && ms > r->key->max)) {
        g_autofree char *min = text_format_duration(r->key->min);
        g_autofree char *max = text_format_duration(r->key->max);
        reading_mistake(r, "must be from %s to %s", min, max);
        return;
    }
    *(uint64_t *)target = ms;
}

void read_choice(struct reading_key *r, void *target) {
    char *s = reading_string(r);

    for (int i = 0; s && r->key->choices[i]; i++) {
        if (strcmp(r->key->choices[i], s) == 0) {
            *(int *)target = i;
            return;
        }
    }
    if (s) {
        g_autofree char *all = g_strjoinv("\", \"", (char **)(uintptr_t)r->key->choices);
        const char *near = text_nearest(s, r->key->choices);
        reading_mistake(r, "is \"%s\"; it can be \"%s\"%s%s%s", s, all, near ? "; did you mean \"" : "",
                        near ? near : "", near ? "\"?" : "");
    }
}

/* The value on top is a string or a list of strings: calls add for each. */
static void each_string(struct reading_key *r, wire_strings *list,
                        void (*check)(struct reading_key *r, const char *s)) {
    if (lua_type(r->L, -1) == LUA_TSTRING) {
        char *s = reading_string(r);
        if (s) {
            check(r, s);
            wire_strings_add(r->loader->out, list, s);
        }
        return;
    }
    if (!lua_istable(r->L, -1)) {
        reading_mistake(r, "must be a string or a list of strings, not a %s", luaL_typename(r->L, -1));
        return;
    }
    size_t n = lua_rawlen(r->L, -1), found = 0;
    for (lua_pushnil(r->L); lua_next(r->L, -2); lua_pop(r->L, 1)) {
        found++;
    }
    if (n == 0 || found != n) {
        reading_mistake(r, n ? "must be a plain list of strings" : "is an empty list");
        return;
    }
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(r->L, -1, (lua_Integer)i);
        char *s = reading_string(r);
        lua_pop(r->L, 1);
        if (s) {
            check(r, s);
            wire_strings_add(r->loader->out, list, s);
        }
    }
}

static void check_nothing(struct reading_key *r, const char *s) {
    (void)r;
    (void)s;
}

void read_strings(struct reading_key *r, void *target) {
    wire_strings *list = target;

    *list = (wire_strings){0};
    each_string(r, list, check_nothing);
}

static void check_folder(struct reading_key *r, const char *s) {
    const char *mistake;

    if (*s == '\\') {
        static const char *const roles[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged", "\\Important",
                                            "\\Junk", "\\Sent",    "\\Trash",  NULL};
        for (const char *const *role = roles; *role; role++) {
            if (g_ascii_strcasecmp(*role, s) == 0) {
                return;
            }
        }
        const char *near = text_nearest(s, roles);
        reading_mistake(r, "\"%s\" is no special use%s%s%s", s, near ? "; did you mean \"" : "", near ? near : "",
                        near ? "\"? (in Lua a backslash is written twice)" : " (RFC 6154), such as \"\\\\Junk\"");
        return;
    }
    if (match_is_glob(s) || strchr(s, '%')) {
        mistake = match_glob_mistake(s);
    } else {
        mistake = valid_folder(s, strlen(s));
    }
    if (mistake) {
        reading_mistake(r, "\"%s\": %s", s, mistake);
    }
}

void read_folders(struct reading_key *r, void *target) {
    wire_strings *list = target;

    *list = (wire_strings){0};
    each_string(r, list, check_folder);
}

void read_function(struct reading_key *r, void *target) {
    if (!lua_isfunction(r->L, -1)) {
        reading_mistake(r, "must be a function, not a %s", luaL_typename(r->L, -1));
        return;
    }
    lua_pushvalue(r->L, -1);
    *(int *)target = luaL_ref(r->L, LUA_REGISTRYINDEX);
}
