/*
 * vm_priv.h - the Lua state of an evaluator: sandbox, budgets, one guarded call path, coroutines.
 *
 * One state a process. It has two phases: while the config loads, files are run and names registered; vm_seal() ends
 * that, and from then on only threads run (a rule's `run`, a webhook's `payload`), no file is read and no global
 * changes.
 *
 * Sandbox. Scripts see the base functions without dofile, loadfile, load, io, os, package, debug and string.dump;
 * collectgarbage answers "count" only; print logs. Library tables, the global table and every metatable of ours are
 * read-only, rawset included; an unknown global is an error with the nearest name. setmetatable refuses __gc (Lua runs
 * finalizers without hooks, so nothing could stop one).
 *
 * Budgets. Every piece of user code runs under one: instructions (counted in steps of VM_HOOK_STEP), bytes of Lua heap
 * above what was there, wall time including waits. A budget that is exceeded stays exceeded: each further instruction
 * raises again, and pcall, xpcall, coroutine.resume/wrap/close pass the error on instead of returning it. Stack depth
 * is Lua's own: 200 C levels, about 200,000 Lua levels, then "stack overflow". What no hook can see (string.find and
 * friends on a hostile pattern, a quadratic search) is the keeper's deadline for the whole process: by design there is
 * no second implementation of patterns here, and `re` has a deadline of its own.
 *
 * Unprotected calls of the Lua API are allowed outside a budget only: there memory is not capped, so nothing raises
 * but a real lack of memory, which kills the evaluator. C functions that Lua calls may raise, hence hold no allocation
 * of their own across a call that may: use userdata, or strings on the Lua stack.
 */
#ifndef RULES_VM_PRIV_H
#define RULES_VM_PRIV_H

#include "base/clock.h"
#include "base/limits.h"
#include "rules/rules.h"

#include <lauxlib.h>
#include <lua.h>

#define VM_HOOK_STEP 1000
#define VM_LOAD_INSTRUCTIONS 200000000 /* for everything that runs while the config loads */
#define VM_LOAD_MEMORY (256u << 20)
#define VM_LOG_LINES 100              /* of one thread; then one line says that the rest is dropped */
#define VM_LOG_TEXT 4000              /* bytes of one line */
#define VM_LIBRARY_PREFIX "mailruled" /* require "mailruled.NAME" finds the shipped library */

struct vm;
struct vm_thread;

enum vm_blown { VM_BLOWN_NOTHING, VM_BLOWN_INSTRUCTIONS, VM_BLOWN_MEMORY, VM_BLOWN_WAIT };

/* What went wrong in user code. Strings are g_malloc'ed; file is relative to the config's folder ("rules/x.lua",
 * "mailruled/lists.lua") or NULL, line 0 if unknown; text is one line without its "file:line: ". */
struct vm_error {
    char *file;
    uint32_t line;
    char *text;
    char *traceback; /* NULL for a syntax error */
    enum vm_blown blown;
};
void vm_error_clear(struct vm_error *err); /* all zero again; may be called on a zeroed one */

/*
 * limits and host are borrowed and outlive the vm; limits may change until vm_seal() (the config's own `defaults`).
 * clock: NULL = the real one. root: absolute path of the folder that require and include may read from, or NULL for
 * none. The shipped library is in $MAILRULED_LIBDIR, else where it was installed. NULL only where memory is lacking.
 * All libraries (lib_priv.h) are open.
 */
struct vm *vm_new(const struct limits *limits, const struct rules_host *host, const struct clock_source *clock,
                  const char *root);
void vm_free(struct vm *vm); /* accepts NULL; every thread freed before */

lua_State *vm_state(struct vm *vm); /* the main state: for registering, and references (luaL_ref) */
struct vm *vm_from(lua_State *L);
const struct rules_host *vm_host(const struct vm *vm);
const struct limits *vm_limits(const struct vm *vm);
const struct clock_source *vm_clock(const struct vm *vm);
/* The job whose code runs now; NULL while the config loads. */
rules_job *vm_job(lua_State *L);
void vm_seal(struct vm *vm);
/* The heap stays above half of limits.lua_memory even after a collection, because user code hoards: start afresh. */
bool vm_tainted(struct vm *vm);

/* --- names ------------------------------------------------------------------------------------------------------ */

/* Pops the value on top of the main state's stack; scripts see it under that global name and cannot replace it. */
void vm_set_global(struct vm *vm, const char *name);
/* Replaces the table on top by a read-only view of it (what: for the error, "json"); pairs() works. */
void vm_readonly(lua_State *L, const char *what);
/* While the config loads, reading an unknown global calls this instead of raising; near: the nearest known name or
 * NULL. What it pushes is the value (returns 1). */
typedef int (*vm_unknown)(lua_State *L, const char *name, const char *near);
void vm_set_unknown(struct vm *vm, vm_unknown unknown);
/* Like vm_set_global for a new read-only table of functions. */
void vm_set_library(struct vm *vm, const char *name, const luaL_Reg *functions);
/* Metatable of one of our types, made if new (luaL_newmetatable), with __name = name, __metatable = false; on top. */
void vm_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods);
/* Raises "unknown WHAT 'word'; did you mean 'x'?" (known: NULL-terminated). */
int vm_error_unknown(lua_State *L, const char *what, const char *word, const char *const *known);

/* --- running while the config loads ----------------------------------------------------------------------------- */

/*
 * Runs a file: Lua source only, never bytecode. path: absolute; name: what errors call it. May be nested (from a C
 * function that a file called), the outermost call sets the budget. False: err_out (zeroed before) has the syntax or
 * run-time error; the stack is as before. True: the chunk's first result, or nil, is on top of L's stack.
 */
bool vm_run_file(lua_State *L, const char *path, const char *name, struct vm_error *err_out);
/* Runs source under name; for tests and one-line overrides. Otherwise as vm_run_file. */
bool vm_run_string(lua_State *L, const char *source, const char *name, struct vm_error *err_out);
/* Calls the function below its nargs arguments on L's stack under the same budget; nresults as in lua_call. */
bool vm_call(lua_State *L, int nargs, int nresults, struct vm_error *err_out);
/*
 * A path that the config names, made absolute and checked: relative to the root, below it after resolving links. NULL:
 * *why_out (g_free) says why not. g_free. With a name below "mailruled/" the shipped library's folder takes the root's
 * place.
 */
char *vm_resolve(struct vm *vm, const char *path, char **why_out);
/* Where in Lua code we are: the level-th Lua function up from here (0 = innermost). False if there is none. *file_out
 * is valid while that function runs. Raises nothing. */
bool vm_place(lua_State *L, int level, const char **file_out, uint32_t *line_out);

/* --- running rules: coroutines ---------------------------------------------------------------------------------- */

enum vm_status { VM_DONE, VM_YIELD, VM_ERROR };

/* A thread that will run the function of that reference for the job. One job may have several. */
struct vm_thread *vm_thread_new(struct vm *vm, rules_job *job, int function_ref);
void vm_thread_free(struct vm_thread *thread); /* accepts NULL; in any state */
/* Its stack: push arguments before the first resume, read results after VM_DONE. */
lua_State *vm_thread_stack(struct vm_thread *thread);
/* In this thread the actions of msg raise (for webhook payloads, which only look). */
void vm_thread_set_readonly(struct vm_thread *thread, const char *what);
const char *vm_thread_readonly(const struct vm_thread *thread);
/*
 * Starts it with nargs arguments, or goes on (nargs 0) after VM_YIELD, once job->answer is there or the view was fed.
 *   VM_DONE   results on its stack
 *   VM_YIELD  job->need says what it waits for
 *   VM_ERROR  err_out (zeroed before) is filled; the thread can only be freed
 * May be called from within another thread's C function.
 */
enum vm_status vm_thread_resume(struct vm_thread *thread, int nargs, struct vm_error *err_out);

/* --- for C functions that Lua calls ----------------------------------------------------------------------------- */

/*
 * Waits: job->need is set. Does not return: the thread goes on in k. Where Lua cannot yield (inside a callback of
 * string.gsub or table.sort, in a metamethod called from C) it raises, and says to read `what` before.
 */
int vm_wait(lua_State *L, const char *what, lua_KContext ctx, lua_KFunction k);
/* Adds n to the instructions used; raises when that exceeds the budget. For C work that grows with its arguments. */
void vm_charge(lua_State *L, uint64_t n);
/* The current thread, NULL while the config loads. */
struct vm_thread *vm_thread_current(lua_State *L);
/* Raises "WHAT works only while a rule runs" while the config loads; else the job. */
rules_job *vm_check_job(lua_State *L, const char *what);
/* One line of log from user code: place, job and rule are filled in; at most VM_LOG_LINES a thread. */
void vm_log(lua_State *L, enum log_level level, const char *text, size_t len);

#endif
