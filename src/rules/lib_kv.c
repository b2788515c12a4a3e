#include "lib_priv.h"

#include <string.h>

#define SPACE_TYPE "mailruled.kv"
#define SPACE_MAX 64
#define DEFAULT_SPACE "default"
#define ARGUMENTS_MAX 3

/* The space a call is about: the object it is a method of, else the default. The arguments are then at 1 to 3, and the
 * object, which owns its name, at 4. */
static const char *take_space(lua_State *L) {
    const char *space = luaL_testudata(L, 1, SPACE_TYPE);

    if (space) {
        lua_settop(L, ARGUMENTS_MAX + 1);
        lua_rotate(L, 1, -1);
    }
    return space ? space : DEFAULT_SPACE;
}

static const char *check_key(lua_State *L) {
    size_t len;
    const char *key = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L, len > 0 && len <= LIMIT_KV_KEY && strlen(key) == len && g_utf8_validate(key, (gssize)len, NULL), 1,
                  "a key is UTF-8 text of 1 to 1024 octets");
    return key;
}

static wire_message *need(const rules_job *job, enum wire_kv_op op, const char *space, const char *key) {
    wire_message *message = lib_need_new(job, WIRE_NEED_KV);

    message->u.need.kv.op = op;
    message->u.need.kv.space = wire_str(message, space);
    message->u.need.kv.key = wire_str(message, key);
    return message;
}

/* Pushes nil and why if there is no usable answer. */
static const wire_answer *take_answer(lua_State *L, int *results_out) {
    const wire_answer *answer = lib_answer(vm_job(L), WIRE_NEED_KV);

    *results_out = 0;
    if (!answer || answer->failure) {
        *results_out = lib_nothing(L, answer ? answer->failure : "no answer");
        return NULL;
    }
    return answer;
}

static int kv_got(lua_State *L, int status, lua_KContext ctx) {
    int results;
    const wire_answer *answer = take_answer(L, &results);

    if (!answer) {
        return results;
    }
    if (!answer->kv_found) {
        lua_pushnil(L);
        return 1;
    }
    if (!lib_json_push(L, (const char *)answer->data.data, answer->data.len)) {
        lua_pushlstring(L, (const char *)answer->data.data, answer->data.len);
    }
    return 1;
}

static int kv_get(lua_State *L) {
    rules_job *job = vm_check_job(L, "kv.get");
    const char *space = take_space(L), *key = check_key(L);

    if (job->eval->u.eval.offline) {
        return lib_nothing(L, "offline");
    }
    job->need = need(job, WIRE_KV_GET, space, key);
    return vm_wait(L, "a value of kv", 0, kv_got);
}

static int kv_done(lua_State *L, int status, lua_KContext ctx) {
    int results;

    if (!take_answer(L, &results)) {
        return results;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int kv_delete(lua_State *L) {
    rules_job *job = vm_check_job(L, "kv.delete");
    const char *space = take_space(L), *key = check_key(L);

    if (job->eval->u.eval.offline) {
        return lib_nothing(L, "offline");
    }
    if (lib_is_trial(job)) {
        lua_pushboolean(L, true);
        return 1;
    }
    job->need = need(job, WIRE_KV_DELETE, space, key);
    return vm_wait(L, "kv.delete", 0, kv_done);
}

static int kv_set(lua_State *L) {
    rules_job *job = vm_check_job(L, "kv.set");
    const char *space = take_space(L), *key = check_key(L);
    uint64_t ttl = lib_check_duration(L, 3, 0);
    size_t len;

    luaL_argcheck(L, !lua_isnoneornil(L, 2), 2, "a value is needed; kv.delete removes one");
    lib_json_push_text(L, 2, "the value");
    const char *text = lua_tolstring(L, -1, &len);
    luaL_argcheck(L, len <= LIMIT_KV_VALUE, 2, "a value has at most 1 MiB as JSON");
    if (job->eval->u.eval.offline) {
        return lib_nothing(L, "offline");
    }
    if (lib_is_trial(job)) {
        lua_pushboolean(L, true);
        return 1;
    }
    job->need = need(job, WIRE_KV_SET, space, key);
    job->need->u.need.kv.value = wire_copy(job->need, text, len);
    job->need->u.need.kv.ttl_ms = ttl;
    return vm_wait(L, "kv.set", 0, kv_done);
}

static int kv_counted(lua_State *L, int status, lua_KContext ctx) {
    int results;
    const wire_answer *answer = take_answer(L, &results);

    if (!answer) {
        return results;
    }
    lua_pushinteger(L, answer->kv_number);
    return 1;
}

/* On trial: what it would be. ctx: the delta. */
static int kv_would_count(lua_State *L, int status, lua_KContext ctx) {
    int results;
    const wire_answer *answer = take_answer(L, &results);
    lua_Integer number = 0;

    if (!answer) {
        return results;
    }
    if (answer->kv_found && lib_json_push(L, (const char *)answer->data.data, answer->data.len)) {
        number = lua_tointeger(L, -1);
    }
    lua_pushinteger(L, (lua_Integer)((lua_Unsigned)number + (lua_Unsigned)ctx));
    return 1;
}

static int kv_incr(lua_State *L) {
    rules_job *job = vm_check_job(L, "kv.incr");
    const char *space = take_space(L), *key = check_key(L);
    lua_Integer delta = luaL_optinteger(L, 2, 1);
    uint64_t ttl = lib_check_duration(L, 3, 0);

    if (job->eval->u.eval.offline) {
        return lib_nothing(L, "offline");
    }
    if (lib_is_trial(job)) {
        job->need = need(job, WIRE_KV_GET, space, key);
        return vm_wait(L, "kv.incr", (lua_KContext)delta, kv_would_count);
    }
    job->need = need(job, WIRE_KV_INCR, space, key);
    job->need->u.need.kv.delta = delta;
    job->need->u.need.kv.ttl_ms = ttl;
    return vm_wait(L, "kv.incr", 0, kv_counted);
}

static int kv_space(lua_State *L) {
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);

    luaL_argcheck(L,
                  len > 0 && len <= SPACE_MAX &&
                      strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len,
                  1, "a space is named by up to 64 letters, digits, '_', '.', '-'");
    memcpy(lua_newuserdatauv(L, len + 1, 0), name, len + 1);
    luaL_setmetatable(L, SPACE_TYPE);
    return 1;
}

const luaL_Reg lib_kv_methods[] = {
    {"delete", kv_delete}, {"get", kv_get}, {"incr", kv_incr}, {"set", kv_set}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"delete", kv_delete}, {"get", kv_get},     {"incr", kv_incr},
                                     {"set", kv_set},       {"space", kv_space}, {NULL, NULL}};

void lib_open_kv(struct vm *vm) {
    lua_State *L = vm_state(vm);

    vm_new_type(L, SPACE_TYPE, NULL);
    luaL_newlib(L, lib_kv_methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    vm_set_library(vm, "kv", functions);
}
