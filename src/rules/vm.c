#include "vm_state_priv.h"

#include "lib_priv.h"

#include <lualib.h>
#include <stdlib.h>

#define SLACK (64u << 10) /* what the way out of a blown memory budget may still allocate */

#ifndef MAILRULED_LIBDIR
#define MAILRULED_LIBDIR "/usr/local/share/mailruled/rules"
#endif

/* --- memory ----------------------------------------------------------------------------------------------------- */

static void blow(struct vm *vm, enum vm_blown why) {
    if (vm->budget && !vm->budget->blown) {
        vm->budget->blown = why;
        vm->cap += SLACK;
    }
}

/* A refusal is not yet the end: Lua collects and asks again. Only what exceeds the whole budget at once is hopeless. */
static bool refuse(struct vm *vm, size_t more, size_t size) {
    if (!vm->budget || (more <= vm->cap && vm->bytes <= vm->cap - more)) {
        return false;
    }
    vm->refused = true;
    if (size > vm->budget->memory) {
        blow(vm, VM_BLOWN_MEMORY);
    }
    return true;
}

static void *allocate(void *user, void *block, size_t old, size_t size) {
    struct vm *vm = user;

    old = block ? old : 0; /* for a new block Lua passes a type there */
    if (size == 0) {
        vm->bytes -= old;
        free(block);
        return NULL;
    }
    if (size > old && refuse(vm, size - old, size)) {
        return NULL;
    }
    void *now = realloc(block, size);
    if (!now) {
        return NULL;
    }
    vm->bytes += size - old;
    return now;
}

/* --- budgets ---------------------------------------------------------------------------------------------------- */

void vm_budget_enter(struct vm *vm, struct vm_budget *budget, struct vm_slice *slice) {
    *slice = (struct vm_slice){.outer = vm->budget, .outer_cap = vm->cap, .bytes = vm->bytes};
    size_t free_of_it = vm->bytes - MIN(budget->held, vm->bytes);

    vm->budget = budget;
    vm->cap = free_of_it + budget->memory;
    vm->refused = false;
}

void vm_budget_leave(struct vm *vm, struct vm_slice *slice) {
    struct vm_budget *budget = vm->budget;

    if (vm->bytes >= slice->bytes) {
        budget->held += vm->bytes - slice->bytes;
    } else {
        budget->held -= MIN(budget->held, slice->bytes - vm->bytes);
    }
    vm->budget = slice->outer;
    vm->cap = slice->outer_cap;
}

void vm_budget_release(struct vm_budget *budget) {
    g_clear_pointer(&budget->file, g_free);
}

const char *vm_blown_text(enum vm_blown blown) {
    static const char *const texts[] = {"", "instruction budget exceeded", "memory budget exceeded",
                                        "time budget exceeded, waits included"};

    return texts[blown];
}

/* From now on every instruction of this coroutine raises. */
static G_NORETURN void raise_blown(lua_State *L) {
    struct vm_budget *budget = vm_from(L)->budget;
    const char *file;

    if (!budget->file && vm_place(L, 0, &file, &budget->line)) {
        budget->file = g_strdup(file);
    }
    vm_set_hook(L, 1);
    lua_pushstring(L, vm_blown_text(budget->blown));
    lua_error(L);
    g_assert_not_reached();
}

void vm_check_blown(lua_State *L) {
    struct vm *vm = vm_from(L);

    if (vm->budget && vm->budget->blown) {
        raise_blown(L);
    }
}

void vm_check_error(lua_State *L, int status) {
    struct vm *vm = vm_from(L);

    /* lauxlib's buffers report lack of memory as an ordinary error, without a collection before. */
    bool memory = status == LUA_ERRMEM ||
                  (vm->refused && lua_type(L, -1) == LUA_TSTRING && strstr(lua_tostring(L, -1), "not enough memory"));
    if (memory) {
        blow(vm, VM_BLOWN_MEMORY);
    }
    vm_check_blown(L);
}

static void on_count(lua_State *L, lua_Debug *ar) {
    struct vm *vm = vm_from(L);
    struct vm_budget *budget = vm->budget;

    if (!budget) {
        return;
    }
    budget->used += VM_HOOK_STEP;
    if (budget->used > budget->limit) {
        blow(vm, VM_BLOWN_INSTRUCTIONS);
    }
    if (budget->blown) {
        raise_blown(L);
    }
}

void vm_set_hook(lua_State *L, int step) {
    lua_sethook(L, on_count, LUA_MASKCOUNT, step);
}

void vm_charge(lua_State *L, uint64_t n) {
    struct vm *vm = vm_from(L);
    struct vm_budget *budget = vm->budget;

    if (!budget) {
        return;
    }
    budget->used = n > UINT64_MAX - budget->used ? UINT64_MAX : budget->used + n;
    if (budget->used > budget->limit) {
        blow(vm, VM_BLOWN_INSTRUCTIONS);
    }
    vm_check_blown(L);
}

/* --- the state -------------------------------------------------------------------------------------------------- */

static void open_all(struct vm *vm) {
    static void (*const libraries[])(struct vm *) = {vm_sandbox_open, lib_open_msg, lib_open_re,   lib_open_json,
                                                     lib_open_log,    lib_open_kv,  lib_open_http, lib_open_time};

    for (size_t i = 0; i < G_N_ELEMENTS(libraries); i++) {
        libraries[i](vm);
    }
}

struct vm *vm_new(const struct limits *limits, const struct rules_host *host, const struct clock_source *clock,
                  const char *root) {
    struct vm *vm = g_new0(struct vm, 1);
    const char *library = g_getenv("MAILRULED_LIBDIR");

    vm->L = lua_newstate(allocate, vm);
    if (!vm->L) {
        g_free(vm);
        return NULL;
    }
    *(struct vm **)lua_getextraspace(vm->L) = vm;
    vm->limits = limits;
    vm->host = host;
    clock_init_real(&vm->real_clock);
    vm->clock = clock ? clock : &vm->real_clock;
    vm->root = g_strdup(root);
    vm->library = g_strdup(library ? library : MAILRULED_LIBDIR);
    vm->load_budget = (struct vm_budget){.limit = VM_LOAD_INSTRUCTIONS, .memory = VM_LOAD_MEMORY};
    lua_gc(vm->L, LUA_GCINC, 150, 200, 0); /* garbage counts against the budget: collect earlier than by default */
    open_all(vm);
    vm->base = vm->bytes;
    return vm;
}

void vm_free(struct vm *vm) {
    if (!vm) {
        return;
    }
    lua_close(vm->L);
    vm_budget_release(&vm->load_budget);
    vm_error_clear(&vm->caught);
    g_free(vm->root);
    g_free(vm->library);
    g_free(vm);
}

lua_State *vm_state(struct vm *vm) {
    return vm->L;
}

struct vm *vm_from(lua_State *L) {
    return *(struct vm **)lua_getextraspace(L);
}

const struct rules_host *vm_host(const struct vm *vm) {
    return vm->host;
}

const struct limits *vm_limits(const struct vm *vm) {
    return vm->limits;
}

const struct clock_source *vm_clock(const struct vm *vm) {
    return vm->clock;
}

rules_job *vm_job(lua_State *L) {
    struct vm_thread *thread = vm_thread_current(L);

    return thread ? thread->job : NULL;
}

void vm_seal(struct vm *vm) {
    lua_gc(vm->L, LUA_GCCOLLECT);
    vm->base = vm->bytes;
    vm->sealed = true;
}

bool vm_tainted(struct vm *vm) {
    size_t bound = vm->base + vm->limits->lua_memory / 2;

    if (vm->bytes > bound) {
        lua_gc(vm->L, LUA_GCCOLLECT);
    }
    return vm->bytes > bound;
}
