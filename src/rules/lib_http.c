#include "lib_priv.h"

#include <string.h>

#define URL_MAX 8192
#define HEADERS_MAX 64
#define HEADER_VALUE_MAX 8192
#define BODY_MAX (8u << 20)
#define TIMEOUT_DEFAULT 10000
#define RESPONSE_TYPE "mailruled.http.response"

static bool is_printable(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static const char *check_url(lua_State *L, int arg) {
    size_t len;
    const char *url = luaL_checklstring(L, arg, &len);

    luaL_argcheck(L, g_ascii_strncasecmp(url, "https://", 8) == 0 || g_ascii_strncasecmp(url, "http://", 7) == 0, arg,
                  "a URL starts with https:// or http://");
    luaL_argcheck(L, len <= URL_MAX && is_printable(url, len) && !strchr(url, ' '), arg,
                  "a URL has at most 8192 octets, no space and no control character");
    return url;
}

/* --- headers: checked first, copied afterwards, because the copy must not be lost to an error ------------------- */

static void check_header(lua_State *L) {
    size_t name_len, value_len;

    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "headers are a table of names and strings");
    }
    const char *name = lua_tolstring(L, -2, &name_len), *value = lua_tolstring(L, -1, &value_len);
    if (!name_len ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") != name_len) {
        luaL_error(L, "header name '%s' is no HTTP token", name);
    }
    if (value_len > HEADER_VALUE_MAX || !is_printable(value, value_len) ||
        !g_utf8_validate(value, (gssize)value_len, NULL)) {
        luaL_error(L, "the value of header '%s' has a control character or is too long", name);
    }
}

/* Of the table at index; how many there are. */
static size_t check_headers(lua_State *L, int index) {
    size_t n = 0;

    if (lua_isnil(L, index)) {
        return 0;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        check_header(L);
        n++;
    }
    if (n > HEADERS_MAX) {
        luaL_error(L, "more than %d headers", HEADERS_MAX);
    }
    return n;
}

static int by_header_name(const void *a, const void *b) {
    return strcmp(((const wire_header *)a)->name, ((const wire_header *)b)->name);
}

static void copy_headers(lua_State *L, int index, wire_message *message, size_t n, bool json) {
    wire_header *headers = wire_array(message, wire_header, n + 1);
    size_t i = 0;

    for (lua_pushnil(L); i < n && lua_next(L, index); lua_pop(L, 1)) {
        headers[i++] = (wire_header){.name = wire_str(message, lua_tostring(L, -2)),
                                     .value = wire_str(message, lua_tostring(L, -1))};
        json = json && g_ascii_strcasecmp(headers[i - 1].name, "content-type") != 0;
    }
    if (json) {
        headers[i++] =
            (wire_header){.name = wire_str(message, "content-type"), .value = wire_str(message, "application/json")};
    }
    qsort(headers, i, sizeof *headers, by_header_name);
    message->u.need.http.headers = headers;
    message->u.need.http.n_headers = i;
}

/* --- the answer ------------------------------------------------------------------------------------------------- */

static int response_json(lua_State *L) {
    size_t len;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "body");
    const char *body = luaL_checklstring(L, -1, &len);
    if (!lib_json_push(L, body, len)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

/* Names in lower case; of several with one name, joined by ", " (RFC 9110 section 5.3). */
static void push_headers(lua_State *L, const wire_answer *answer) {
    lua_newtable(L);
    for (size_t i = 0; i < answer->n_http_headers; i++) {
        const wire_header *header = &answer->http_headers[i];
        lib_push_lower(L, header->name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            lua_pushfstring(L, ", %s", header->value);
            lua_concat(L, 2);
        } else {
            lua_pop(L, 1);
            lua_pushstring(L, header->value);
        }
        lua_rawset(L, -3);
    }
}

static int http_done(lua_State *L, int status, lua_KContext ctx) {
    const wire_answer *answer = lib_answer(vm_job(L), WIRE_NEED_HTTP);

    if (!answer || answer->failure) {
        return lib_nothing(L, answer ? answer->failure : "no answer");
    }
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, answer->http_status);
    lua_setfield(L, -2, "status");
    lua_pushlstring(L, answer->data.data ? (const char *)answer->data.data : "", answer->data.len);
    lua_setfield(L, -2, "body");
    lua_pushboolean(L, answer->truncated);
    lua_setfield(L, -2, "truncated");
    push_headers(L, answer);
    lua_setfield(L, -2, "headers");
    luaL_setmetatable(L, RESPONSE_TYPE);
    return 1;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void check_options(lua_State *L, int arg) {
    static const char *const known[] = {"headers", "timeout", "allow_private", NULL};

    if (lua_isnoneornil(L, arg)) {
        return;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (!g_strv_contains(known, key)) {
            vm_error_unknown(L, "option of http", key, known);
        }
    }
}

/* Pushes the option, or nil. */
static void push_option(lua_State *L, int arg, const char *name) {
    if (lua_isnoneornil(L, arg)) {
        lua_pushnil(L);
    } else {
        lua_getfield(L, arg, name);
    }
}

static int request(lua_State *L, const char *method, int body, int options) {
    rules_job *job = vm_check_job(L, "http");
    const char *url = check_url(L, 1);
    bool json = body && lua_istable(L, body);
    size_t len = 0;

    lua_settop(L, options);
    check_options(L, options);
    if (json) {
        lib_json_push_text(L, body, "the body");
        lua_replace(L, body);
    }
    const char *data = body ? luaL_optlstring(L, body, "", &len) : NULL;
    luaL_argcheck(L, len <= BODY_MAX, 2, "a body has at most 8 MiB");
    push_option(L, options, "timeout");
    uint64_t timeout = lib_check_duration(L, options + 1, TIMEOUT_DEFAULT);
    push_option(L, options, "headers");
    size_t n = check_headers(L, options + 2);
    push_option(L, options, "allow_private");
    bool allow_private = lua_toboolean(L, -1);
    if (job->eval->u.eval.offline || lib_is_trial(job)) {
        return lib_nothing(L, job->eval->u.eval.offline ? "offline" : "dry run");
    }
    wire_message *message = lib_need_new(job, WIRE_NEED_HTTP);
    job->need = message;
    message->u.need.http.method = wire_str(message, method);
    message->u.need.http.url = wire_str(message, url);
    message->u.need.http.body = wire_copy(message, data, len);
    message->u.need.http.timeout_ms = MIN(timeout, vm_limits(vm_from(L))->rule_wait);
    message->u.need.http.allow_private = allow_private;
    message->u.need.limit = vm_limits(vm_from(L))->http_response;
    copy_headers(L, options + 2, message, n, json);
    return vm_wait(L, "an HTTP answer", 0, http_done);
}

static int http_get(lua_State *L) {
    return request(L, "GET", 0, 2);
}

static int http_post(lua_State *L) {
    return request(L, "POST", 2, 3);
}

static const luaL_Reg functions[] = {{"get", http_get}, {"post", http_post}, {NULL, NULL}};
const char *const lib_response_attributes[] = {"body", "headers", "status", "truncated", NULL};
const luaL_Reg lib_response_methods[] = {{"json", response_json}, {NULL, NULL}};

void lib_open_http(struct vm *vm) {
    lua_State *L = vm_state(vm);

    vm_new_type(L, RESPONSE_TYPE, NULL);
    luaL_newlib(L, lib_response_methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    vm_set_library(vm, "http", functions);
}
