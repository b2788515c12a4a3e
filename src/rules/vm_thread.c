#include "vm_state_priv.h"

#include "base/text.h"

struct vm_thread *vm_thread_new(struct vm *vm, rules_job *job, int function_ref) {
    struct vm_thread *thread = g_new0(struct vm_thread, 1);
    struct vm_budget *outer = vm->budget;

    vm->budget = NULL; /* our own allocations are nobody's */
    thread->vm = vm;
    thread->job = job;
    thread->budget = (struct vm_budget){.limit = vm->limits->lua_instructions, .memory = vm->limits->lua_memory};
    thread->L = lua_newthread(vm->L);
    thread->ref = luaL_ref(vm->L, LUA_REGISTRYINDEX);
    vm_set_hook(thread->L, VM_HOOK_STEP);
    lua_rawgeti(thread->L, LUA_REGISTRYINDEX, function_ref);
    vm->budget = outer;
    return thread;
}

void vm_thread_free(struct vm_thread *thread) {
    if (!thread) {
        return;
    }
    struct vm *vm = thread->vm;
    luaL_unref(vm->L, LUA_REGISTRYINDEX, thread->ref);
    if (!vm->budget && thread->budget.held > vm->limits->lua_memory / 8) {
        lua_gc(vm->L, LUA_GCCOLLECT);
    }
    vm_budget_release(&thread->budget);
    g_free(thread->readonly);
    g_free(thread);
}

lua_State *vm_thread_stack(struct vm_thread *thread) {
    return thread->L;
}

void vm_thread_set_readonly(struct vm_thread *thread, const char *what) {
    g_free(thread->readonly);
    thread->readonly = g_strdup(what);
}

const char *vm_thread_readonly(const struct vm_thread *thread) {
    return thread->readonly;
}

struct vm_thread *vm_thread_current(lua_State *L) {
    return vm_from(L)->current;
}

/* What lua_resume said, in our terms; the budget is no longer in force. */
static enum vm_status conclude(struct vm_thread *thread, int status, bool waiting, int nresults,
                               struct vm_error *err_out) {
    if (status == LUA_OK) {
        return VM_DONE;
    }
    if (status == LUA_YIELD && waiting) {
        lua_pop(thread->L, nresults);
        return VM_YIELD;
    }
    if (status == LUA_ERRMEM && !thread->budget.blown) {
        thread->budget.blown = VM_BLOWN_MEMORY;
    }
    vm_error_capture(thread->L, 0, &thread->budget, err_out);
    return VM_ERROR;
}

enum vm_status vm_thread_resume(struct vm_thread *thread, int nargs, struct vm_error *err_out) {
    struct vm *vm = thread->vm;
    struct vm_thread *outer = vm->current;
    struct vm_slice slice;
    uint64_t now = clock_elapsed_ms(vm->clock);
    int nresults = 0;

    if (!thread->started) {
        thread->started = MAX(now, 1);
    } else if (now - thread->started > vm->limits->rule_wait) {
        thread->budget.blown = VM_BLOWN_WAIT;
        return conclude(thread, LUA_ERRRUN, false, 0, err_out);
    }
    vm->waiting = false;
    vm->current = thread;
    vm_budget_enter(vm, &thread->budget, &slice);
    int status = lua_resume(thread->L, NULL, nargs, &nresults);
    vm_budget_leave(vm, &slice);
    vm->current = outer;
    bool waiting = vm->waiting;
    vm->waiting = false;
    return conclude(thread, status, waiting, nresults, err_out);
}

int vm_wait(lua_State *L, const char *what, lua_KContext ctx, lua_KFunction k) {
    struct vm *vm = vm_from(L);

    if (!lua_isyieldable(L)) {
        g_clear_pointer(&vm->current->job->need, wire_message_free);
        return luaL_error(L,
                          "%s has to be fetched, which cannot be done inside a callback of string.gsub or table.sort: "
                          "read it into a local variable before",
                          what);
    }
    vm->waiting = true;
    return lua_yieldk(L, 0, ctx, k);
}

rules_job *vm_check_job(lua_State *L, const char *what) {
    rules_job *job = vm_job(L);

    if (!job) {
        luaL_error(L, "%s works only while a rule runs", what);
    }
    return job;
}

static void send_log(lua_State *L, enum log_level level, const char *text, size_t len) {
    const struct rules_host *host = vm_host(vm_from(L));
    rules_job *job = vm_job(L);
    const char *file = NULL;
    uint32_t line = 0;

    if (!host || !host->log) {
        return;
    }
    wire_message *message = wire_message_new(WIRE_LOG);
    wire_log *log = &message->u.log;
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)MIN(len, VM_LOG_TEXT));
    log->level = level;
    log->text = wire_str(message, valid);
    if (vm_place(L, 0, &file, &line)) {
        log->place = (wire_place){.file = wire_str(message, file), .line = line};
    }
    if (job) {
        log->job = job->eval->u.eval.job;
        log->rule = wire_str(message, job->at ? job->at->wire->name : NULL);
    }
    host->log(host->user, message);
}

void vm_log(lua_State *L, enum log_level level, const char *text, size_t len) {
    static const char dropped[] = "this rule logs too much about this message: further lines are dropped";
    struct vm_thread *thread = vm_thread_current(L);

    if (thread && thread->log_lines > VM_LOG_LINES) {
        return;
    }
    if (thread && ++thread->log_lines > VM_LOG_LINES) {
        send_log(L, LOG_LEVEL_WARN, dropped, strlen(dropped));
        return;
    }
    send_log(L, level, text, len);
}
