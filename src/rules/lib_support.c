#include "lib_priv.h"

#include "base/text.h"

#include <string.h>

#define SECONDS_MAX 3155760000.0 /* a hundred years */

wire_message *lib_need_new(const rules_job *job, enum wire_need_kind kind) {
    wire_message *message = wire_message_new(WIRE_NEED);

    message->u.need.job = job->eval->u.eval.job;
    message->u.need.kind = kind;
    message->u.need.rule = wire_str(message, job->at ? job->at->wire->name : NULL);
    return message;
}

const wire_answer *lib_answer(const rules_job *job, enum wire_need_kind kind) {
    const wire_answer *answer = job && job->answer ? &job->answer->u.answer : NULL;

    return answer && answer->kind == kind ? answer : NULL;
}

int lib_nothing(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

uint64_t lib_check_duration(lua_State *L, int arg, uint64_t none_ms) {
    uint64_t ms = 0;

    if (lua_isnoneornil(L, arg)) {
        return none_ms;
    }
    if (lua_type(L, arg) == LUA_TSTRING) {
        luaL_argcheck(L, text_parse_duration(lua_tostring(L, arg), &ms), arg,
                      "no duration: seconds, or \"30s\" \"5m\" \"7d\"");
        return ms;
    }
    lua_Number seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds >= 0 && seconds <= SECONDS_MAX, arg, "duration out of range");
    return (uint64_t)(seconds * 1000 + 0.5);
}

bool lib_is_trial(const rules_job *job) {
    return job->eval->u.eval.dry_run || (job->at && job->at->wire->dry_run);
}

void lib_push_lower(lua_State *L, const char *s) {
    luaL_Buffer buffer;
    size_t len = strlen(s);
    char *out = luaL_buffinitsize(L, &buffer, len);

    for (size_t i = 0; i < len; i++) {
        out[i] = g_ascii_tolower(s[i]);
    }
    luaL_pushresultsize(&buffer, len);
}

int lib_raise(lua_State *L, const char *prefix, struct vm_error *err) {
    if (err->file) {
        lua_pushfstring(L, "%s%s:%d: %s", prefix, err->file, (int)err->line, err->text);
    } else {
        lua_pushfstring(L, "%s%s", prefix, err->text);
    }
    vm_error_clear(err);
    return lua_error(L);
}
