/*
 * vm_state_priv.h - what the vm_*.c files share among themselves.
 */
#ifndef RULES_VM_STATE_PRIV_H
#define RULES_VM_STATE_PRIV_H

#include "rules_priv.h"
#include "vm_priv.h"

struct vm_budget {
    uint64_t used, limit; /* instructions */
    size_t memory;        /* bytes of heap it may add */
    size_t held;          /* bytes it added in earlier slices */
    enum vm_blown blown;
    char *file; /* where it was blown, if that was seen */
    uint32_t line;
};

/* What vm_budget_enter changed, for vm_budget_leave. */
struct vm_slice {
    struct vm_budget *outer;
    size_t outer_cap;
    size_t bytes;
};

struct vm_thread {
    struct vm *vm;
    rules_job *job;
    lua_State *L;
    int ref; /* keeps L alive */
    struct vm_budget budget;
    uint64_t started; /* clock, 0 = not yet */
    unsigned log_lines;
    char *readonly;
};

struct vm {
    lua_State *L;
    const struct limits *limits;
    const struct rules_host *host;
    const struct clock_source *clock;
    struct clock_source real_clock;
    char *root;
    char *library;
    size_t bytes; /* of the Lua heap now */
    size_t cap;   /* while a budget is set */
    size_t base;  /* of the heap when it was sealed */
    bool refused; /* the allocator said no since the slice began */
    bool sealed;
    vm_unknown unknown; /* NULL: an unknown global raises */
    bool waiting; /* a thread yielded in vm_wait, not in coroutine.yield */
    struct vm_budget *budget;
    struct vm_budget load_budget;
    struct vm_thread *current;
    struct vm_error caught; /* by the handler of the innermost vm_call */
    int base_ref, store_ref, loaded_ref;
};

/* vm.c */
void vm_budget_enter(struct vm *vm, struct vm_budget *budget, struct vm_slice *slice);
void vm_budget_leave(struct vm *vm, struct vm_slice *slice);
void vm_budget_release(struct vm_budget *budget);
void vm_set_hook(lua_State *L, int step);
/* An error with this status is about to be given to user code, its value on top: raises instead if it must not be. */
void vm_check_error(lua_State *L, int status);
/* Raises if the budget is blown. */
void vm_check_blown(lua_State *L);
const char *vm_blown_text(enum vm_blown blown);

/* vm_error.c: fills err from the error value on top of L and its stack from level up. */
void vm_error_capture(lua_State *L, int level, const struct vm_budget *budget, struct vm_error *err_out);
/* From a message that stands alone (syntax error), "name:line: text". */
void vm_error_parse(const char *message, struct vm_error *err_out);

/* vm_sandbox.c, vm_coroutine.c, vm_load.c */
void vm_sandbox_open(struct vm *vm);
void vm_coroutine_open(lua_State *L); /* pushes the library's table */
int vm_require(lua_State *L);

#endif
