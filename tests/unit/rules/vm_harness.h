/* tests/unit/rules/vm_harness.h - a vm with small limits, and short ways to run Lua in it: as the config, as a rule. */
#ifndef TESTS_RULES_VM_HARNESS_H
#define TESTS_RULES_VM_HARNESS_H

#include "src/rules/lib_priv.h"
#include "tests/unit/rules/job_standins.h"
#include "tests/unit/unit.h"

#include <string.h>

struct harness {
    struct limits limits;
    struct rules_host host;
    clock_source clock;
    struct vm *vm;
    struct vm_error err;
    GString *log; /* lines, each with its level */
    char *root;
};

static inline void harness_log(void *user, wire_message *message) {
    struct harness *h = user;

    g_string_append_printf(h->log, "%d %s\n", message->u.log.level, message->u.log.text);
    wire_message_free(message);
}

static inline void harness_init_at(struct harness *h, const char *root) {
    *h = (struct harness){.limits = LIMITS_DEFAULT, .log = g_string_new(NULL), .root = g_strdup(root)};
    h->limits.lua_instructions = 2000000;
    h->limits.lua_memory = 16u << 20;
    h->host = (struct rules_host){.user = h, .log = harness_log};
    clock_init_fake(&h->clock, 1700000000000);
    h->vm = vm_new(&h->limits, &h->host, &h->clock, h->root);
    assert_non_null(h->vm);
}

static inline void harness_init(struct harness *h) {
    harness_init_at(h, NULL);
}

static inline void harness_release(struct harness *h) {
    vm_free(h->vm);
    vm_error_clear(&h->err);
    g_string_free(h->log, TRUE);
    g_free(h->root);
}

/* As the config would: the text of its result, or of the error as "FILE:LINE: TEXT". On h->vm's stack. */
static inline const char *harness_load(struct harness *h, const char *source) {
    lua_State *L = vm_state(h->vm);

    vm_error_clear(&h->err);
    lua_settop(L, 0);
    if (vm_run_string(L, source, "config.lua", &h->err)) {
        luaL_tolstring(L, -1, NULL);
    } else {
        lua_pushfstring(L, "%s:%d: %s", h->err.file ? h->err.file : "?", (int)h->err.line, h->err.text);
    }
    return lua_tostring(L, -1);
}

/* A thread that runs the function which source returns. */
static inline struct vm_thread *harness_thread(struct harness *h, rules_job *job, const char *source) {
    lua_State *L = vm_state(h->vm);

    vm_error_clear(&h->err);
    if (!vm_run_string(L, source, "config.lua", &h->err)) {
        fail_msg("%s", h->err.text);
    }
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct vm_thread *thread = vm_thread_new(h->vm, job, ref);
    luaL_unref(L, LUA_REGISTRYINDEX, ref);
    return thread;
}

/* Runs the function that source returns as a rule would, to its end or error. */
static inline enum vm_status harness_rule(struct harness *h, rules_job *job, const char *source) {
    struct vm_thread *thread = harness_thread(h, job, source);
    enum vm_status status = vm_thread_resume(thread, 0, &h->err);

    vm_thread_free(thread);
    return status;
}

#endif
