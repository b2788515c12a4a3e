#include "lib_priv.h"

#include "regex_priv.h"

#include <string.h>

/*
 * re.compile(pattern [, flags]) gives a pattern object; every other function takes a pattern text or such an object.
 * Pattern texts are compiled once and kept (CACHE_MAX of them, then the cache starts afresh).
 */

#define RE_TYPE "mailruled.re"
#define MATCHER_TYPE "mailruled.re.matcher"
#define CACHE_MAX 200

static const char matcher_key; /* registry: the matcher */
static const char cache_key;   /* registry: pattern text -> object */

struct pattern {
    struct regex *regex;
};

static int pattern_gc(lua_State *L) {
    struct pattern *pattern = lua_touserdata(L, 1);

    g_clear_pointer(&pattern->regex, regex_free);
    return 0;
}

static int matcher_gc(lua_State *L) {
    struct regex_matcher **matcher = lua_touserdata(L, 1);

    g_clear_pointer(matcher, regex_matcher_free);
    return 0;
}

static struct regex_matcher *matcher_of(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &matcher_key);
    struct regex_matcher **matcher = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return *matcher;
}

static int raise_value(lua_State *L, error *err) {
    luaL_where(L, 1);
    lua_pushstring(L, err->text);
    error_free(err);
    lua_concat(L, 2);
    return lua_error(L);
}

static struct pattern *push_pattern(lua_State *L, int arg, const char *flags) {
    size_t len;
    unsigned bits = 0;
    const char *text = luaL_checklstring(L, arg, &len);

    for (; *flags; flags++) {
        if (*flags != 'i') {
            luaL_error(L, "unknown flag '%c': 'i' ignores case, others are written in the pattern, \"(?s)\"", *flags);
        }
        bits |= REGEX_CASELESS;
    }
    vm_charge(L, len);
    struct pattern *pattern = lua_newuserdatauv(L, sizeof *pattern, 0);
    pattern->regex = NULL;
    luaL_setmetatable(L, RE_TYPE);
    error *err = regex_compile(text, len, bits | REGEX_ANY_BYTES, &pattern->regex);
    if (err) {
        raise_value(L, err);
    }
    return pattern;
}

/* Pushes a new cache where there is none or it is full; then the cache is on top. */
static void push_cache(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_key);
    lua_Integer n = lua_rawgeti(L, -1, 0) == LUA_TNUMBER ? lua_tointeger(L, -1) : CACHE_MAX;
    lua_pop(L, 1);
    if (n >= CACHE_MAX) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_key);
        n = 0;
    }
    lua_pushinteger(L, n + 1);
    lua_rawseti(L, -2, 0);
}

/* The pattern at arg, an object or a text; the object replaces the text on the stack, so that it stays alive. */
static struct pattern *check_pattern(lua_State *L, int arg) {
    struct pattern *pattern = luaL_testudata(L, arg, RE_TYPE);

    if (pattern) {
        return pattern;
    }
    luaL_checkstring(L, arg);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_key);
    lua_pushvalue(L, arg);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 2);
        push_cache(L);
        lua_pushvalue(L, arg);
        push_pattern(L, arg, "");
        lua_pushvalue(L, -1);
        lua_insert(L, -4);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_remove(L, -2);
    }
    lua_replace(L, arg);
    return lua_touserdata(L, arg);
}

/* One match from start; raises where it failed. False: no match. The offsets are valid until the next match. */
static bool match(lua_State *L, struct pattern *pattern, const char *subject, size_t len, size_t start,
                  struct regex_match *match_out) {
    error *err = NULL;

    if (start > len) {
        return false;
    }
    vm_charge(L, 100 + (len - start) / 16);
    enum regex_status status = regex_match(matcher_of(L), pattern->regex, subject, len, start, match_out, &err);
    if (status == REGEX_FAILED) {
        raise_value(L, err);
    }
    return status == REGEX_MATCH;
}

static bool is_set(const struct regex_match *m, size_t group) {
    return group < m->n && m->from[2 * group] != REGEX_UNSET;
}

static size_t group_from(const struct regex_match *m, size_t group) {
    return m->from[2 * group];
}

static size_t group_to(const struct regex_match *m, size_t group) {
    return m->from[2 * group + 1];
}

static void push_group(lua_State *L, const char *subject, const struct regex_match *m, size_t group) {
    if (is_set(m, group)) {
        lua_pushlstring(L, subject + group_from(m, group), group_to(m, group) - group_from(m, group));
    } else {
        lua_pushboolean(L, false);
    }
}

/* What string.match would give: the groups, or the whole match where there are none. */
static int push_captures(lua_State *L, const struct pattern *pattern, const char *subject,
                         const struct regex_match *m) {
    unsigned groups = regex_groups(pattern->regex);

    luaL_checkstack(L, (int)groups + 4, "too many groups");
    if (!groups) {
        push_group(L, subject, m, 0);
        return 1;
    }
    for (unsigned i = 1; i <= groups; i++) {
        push_group(L, subject, m, i);
    }
    return (int)groups;
}

/* A table with 0 (the whole), 1.., and the named groups; the whole's offsets as from and to. */
static void push_table(lua_State *L, const struct pattern *pattern, const char *subject, const struct regex_match *m) {
    unsigned groups = regex_groups(pattern->regex);

    lua_createtable(L, (int)groups, 4);
    for (unsigned i = 0; i <= groups; i++) {
        const char *name = i ? regex_group_name(pattern->regex, i) : NULL;
        push_group(L, subject, m, i);
        if (name && lua_isstring(L, -1)) {
            lua_pushvalue(L, -1);
            lua_setfield(L, -3, name);
        }
        lua_rawseti(L, -2, i);
    }
}

static size_t start_offset(lua_State *L, int arg, size_t len) {
    lua_Integer at = luaL_optinteger(L, arg, 1);

    if (at < 0) {
        at = (lua_Unsigned)-at > len ? 1 : (lua_Integer)len + at + 1;
    }
    return at > 0 ? (size_t)at - 1 : 0;
}

/* --- functions -------------------------------------------------------------------------------------------------- */

static int re_compile(lua_State *L) {
    push_pattern(L, 1, luaL_optstring(L, 2, ""));
    return 1;
}

static int re_test(lua_State *L) {
    size_t len;
    struct regex_match m;
    struct pattern *pattern = check_pattern(L, 1);
    const char *subject = luaL_checklstring(L, 2, &len);

    lua_pushboolean(L, match(L, pattern, subject, len, start_offset(L, 3, len), &m));
    return 1;
}

static int re_find(lua_State *L) {
    size_t len;
    struct regex_match m;
    struct pattern *pattern = check_pattern(L, 1);
    const char *subject = luaL_checklstring(L, 2, &len);

    if (!match(L, pattern, subject, len, start_offset(L, 3, len), &m)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)group_from(&m, 0) + 1);
    lua_pushinteger(L, (lua_Integer)group_to(&m, 0));
    return 2 + (regex_groups(pattern->regex) ? push_captures(L, pattern, subject, &m) : 0);
}

static int re_match(lua_State *L) {
    size_t len;
    struct regex_match m;
    struct pattern *pattern = check_pattern(L, 1);
    const char *subject = luaL_checklstring(L, 2, &len);

    if (!match(L, pattern, subject, len, start_offset(L, 3, len), &m)) {
        lua_pushnil(L);
        return 1;
    }
    return push_captures(L, pattern, subject, &m);
}

static int re_captures(lua_State *L) {
    size_t len;
    struct regex_match m;
    struct pattern *pattern = check_pattern(L, 1);
    const char *subject = luaL_checklstring(L, 2, &len);

    if (!match(L, pattern, subject, len, start_offset(L, 3, len), &m)) {
        lua_pushnil(L);
        return 1;
    }
    push_table(L, pattern, subject, &m);
    return 1;
}

/* Where to look next: after the match, and after an empty one a whole character further. */
static size_t advance(const char *subject, size_t len, const struct regex_match *m) {
    size_t at = group_to(m, 0);

    if (group_to(m, 0) > group_from(m, 0)) {
        return at;
    }
    for (at++; at < len && ((unsigned char)subject[at] & 0xc0) == 0x80;) {
        at++;
    }
    return at;
}

/* Upvalues: pattern, subject, next offset. */
static int gmatch_step(lua_State *L) {
    size_t len;
    struct regex_match m;
    struct pattern *pattern = lua_touserdata(L, lua_upvalueindex(1));
    const char *subject = lua_tolstring(L, lua_upvalueindex(2), &len);
    size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(3));

    if (!match(L, pattern, subject, len, at, &m)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)advance(subject, len, &m));
    lua_replace(L, lua_upvalueindex(3));
    return push_captures(L, pattern, subject, &m);
}

static int re_gmatch(lua_State *L) {
    check_pattern(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, gmatch_step, 3);
    return 1;
}

static unsigned group_named(const struct pattern *pattern, const char *name, size_t len) {
    for (unsigned i = 1; i <= regex_groups(pattern->regex); i++) {
        const char *known = regex_group_name(pattern->regex, i);
        if (known && strlen(known) == len && memcmp(known, name, len) == 0) {
            return i;
        }
    }
    return G_MAXUINT;
}

/* The group that is named at p, behind a "$"; returns what follows. */
static const char *read_group(lua_State *L, const struct pattern *pattern, const char *p, unsigned *group_out) {
    const char *end = *p == '{' ? strchr(p, '}') : NULL;

    *group_out = G_MAXUINT;
    if (g_ascii_isdigit(*p)) {
        *group_out = (unsigned)(*p - '0');
        end = p;
    } else if (end) {
        *group_out = group_named(pattern, p + 1, (size_t)(end - p - 1));
    }
    if (!end || *group_out > regex_groups(pattern->regex)) {
        luaL_error(L, "the replacement names a group that the pattern does not have; a plain $ is $$");
        return p + strlen(p);
    }
    return end + 1;
}

/* A replacement text: $0, $1.., ${name}, $$ */
static void add_template(lua_State *L, luaL_Buffer *out, const char *p, const char *subject,
                         const struct pattern *pattern, const struct regex_match *m) {
    unsigned group;

    while (*p) {
        if (p[0] != '$' || p[1] == '$' || !p[1]) {
            luaL_addchar(out, *p);
            p += p[0] == '$' && p[1] == '$' ? 2 : 1;
            continue;
        }
        p = read_group(L, pattern, p + 1, &group);
        if (is_set(m, group)) {
            luaL_addlstring(out, subject + group_from(m, group), group_to(m, group) - group_from(m, group));
        }
    }
}

/* What stands for the match: a text with groups in it, or what a table or function says (nil or false: as it was).
 * The function may run patterns of its own: the offsets are not looked at after it. */
static void add_replacement(lua_State *L, luaL_Buffer *out, const char *subject, const struct pattern *pattern,
                            const struct regex_match *m) {
    size_t from = group_from(m, 0), to = group_to(m, 0);

    if (lua_type(L, 3) == LUA_TSTRING) {
        add_template(L, out, lua_tostring(L, 3), subject, pattern, m);
        return;
    }
    if (lua_isfunction(L, 3)) {
        lua_pushvalue(L, 3);
        int n = push_captures(L, pattern, subject, m);
        lua_call(L, n, 1);
    } else {
        push_group(L, subject, m, regex_groups(pattern->regex) ? 1 : 0);
        lua_gettable(L, 3);
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, subject + from, to - from);
    } else if (lua_isstring(L, -1)) {
        luaL_addvalue(out);
    } else {
        luaL_error(L, "the replacement is a %s, not a string", luaL_typename(L, -1));
    }
}

static int re_gsub(lua_State *L) {
    size_t len, at = 0, copied = 0;
    struct regex_match m;
    luaL_Buffer out;
    struct pattern *pattern = check_pattern(L, 1);
    const char *subject = luaL_checklstring(L, 2, &len);
    int type = lua_type(L, 3);
    lua_Integer n = 0, max = luaL_optinteger(L, 4, LUA_MAXINTEGER);

    luaL_argexpected(L, type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION, 3, "string/function/table");
    lua_settop(L, 3);
    luaL_buffinit(L, &out);
    while (n < max && match(L, pattern, subject, len, at, &m)) {
        size_t end = group_to(&m, 0);
        size_t next = advance(subject, len, &m);
        luaL_addlstring(&out, subject + copied, group_from(&m, 0) - copied);
        add_replacement(L, &out, subject, pattern, &m);
        copied = end;
        at = next;
        n++;
    }
    luaL_addlstring(&out, subject + copied, len - copied);
    luaL_pushresult(&out);
    lua_pushinteger(L, n);
    return 2;
}

static int re_escape(lua_State *L) {
    size_t len;
    luaL_Buffer out;
    const char *s = luaL_checklstring(L, 1, &len);

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < len; i++) {
        if (strchr("\\^$.[]|()?*+{}#- \t\n", s[i]) && s[i]) {
            luaL_addchar(&out, '\\');
        }
        luaL_addchar(&out, s[i]);
    }
    luaL_pushresult(&out);
    return 1;
}

static const luaL_Reg functions[] = {{"captures", re_captures}, {"compile", re_compile}, {"escape", re_escape},
                                     {"find", re_find},         {"gmatch", re_gmatch},   {"gsub", re_gsub},
                                     {"match", re_match},       {"test", re_test},       {NULL, NULL}};
const luaL_Reg lib_re_methods[] = {
    {"captures", re_captures}, {"find", re_find}, {"gmatch", re_gmatch}, {"gsub", re_gsub},
    {"match", re_match},       {"test", re_test}, {NULL, NULL}};
static const luaL_Reg pattern_meta[] = {{"__gc", pattern_gc}, {NULL, NULL}};
static const luaL_Reg matcher_meta[] = {{"__gc", matcher_gc}, {NULL, NULL}};

void lib_open_re(struct vm *vm) {
    lua_State *L = vm_state(vm);

    vm_new_type(L, MATCHER_TYPE, matcher_meta);
    lua_pop(L, 1);
    struct regex_matcher **matcher = lua_newuserdatauv(L, sizeof *matcher, 0);
    *matcher = NULL;
    luaL_setmetatable(L, MATCHER_TYPE);
    *matcher = regex_matcher_new(vm_limits(vm), vm_clock(vm));
    lua_rawsetp(L, LUA_REGISTRYINDEX, &matcher_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_key);
    vm_new_type(L, RE_TYPE, pattern_meta);
    luaL_newlib(L, lib_re_methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    vm_set_library(vm, "re", functions);
}
