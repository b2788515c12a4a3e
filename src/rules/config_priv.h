/*
 * config_priv.h - the config language: Lua source -> wire_config, rules, conditions, and every mistake in it.
 *
 *   config_load.c     rules_load(): the whole of it; what can only be checked at the end
 *   config_loader.c   the loader: mistakes, places, the names a config sees
 *   config_unknown.c  what stands in for a name that nobody knows
 *   config_source.c   at which line of a table a key stands
 *   config_table.c    tables with named keys, each read by a function
 *   config_value.c    those functions: durations, sizes, choices, ...
 *   config_secret.c   secret.file, .env, .command, .credential
 *   config_account.c config_webhook.c config_rule.c config_include.c config_defaults.c
 *   config_event.c    `on`, and what a rule on that event may ask and do
 *   cond_lua.c        fields, tests, operators
 *   action_lua.c      move, copy, flag, ...
 *
 * A mistake is recorded and the config goes on with a stand-in, so that one run finds them all; only what stops Lua
 * itself (syntax, a call of nil) ends its file, and that is one mistake too. The C functions here are called by Lua
 * under a budget, so an API call may raise: what they allocate belongs to the loader or its arena from the start.
 */
#ifndef RULES_CONFIG_PRIV_H
#define RULES_CONFIG_PRIV_H

#include "action_priv.h"
#include "cond_priv.h"
#include "rules_priv.h"
#include "vm_priv.h"

#include <lauxlib.h>
#include <lua.h>

struct loader {
    rules *rules; /* under construction */
    struct vm *vm;
    wire_message *out; /* the CONFIG: its arena holds every string of it */
    bool check_only;
    char *folder;           /* absolute, of the config file */
    GArray *accounts;       /* wire_account */
    GArray *webhooks;       /* wire_webhook */
    GArray *payloads;       /* int: reference of each webhook's payload */
    GArray *rule_list;      /* struct rule, without wire */
    GArray *wire_rules;     /* wire_rule, of the same index */
    GArray *mistakes;       /* wire_mistake */
    GHashTable *rule_names; /* name -> wire_place; both in the arena */
    GPtrArray *pending;     /* struct pending *, in Lua's heap and anchored there: account "x" without its table */
    GHashTable *sources;    /* file -> struct source */
    GHashTable *files;      /* absolute paths that were run */
    unsigned aborted;       /* files that did not run to their end: what they would have defined is not missed */
    bool create_default;
    enum rule_on_error on_error_default;
    uint64_t idle_renew_default; /* 0 = not stated */
};

/* --- config_loader.c --------------------------------------------------------------------------------------------- */

/* The loader, from within a function that Lua calls; raises once the config is loaded. */
struct loader *loader_from(lua_State *L);
/* Makes every name of the config known to the vm. */
void loader_open(struct loader *loader);
/* From now on loader_from() raises. */
void loader_close(struct loader *loader);

void loader_mistake(struct loader *loader, const wire_place *place, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Records err's text and frees it; NULL is none. Returns whether there was one. */
bool loader_mistake_error(struct loader *loader, const wire_place *place, error *err);
/* Where the config's Lua code is now; in code of the shipped library, where that was called from. */
wire_place loader_place(lua_State *L, struct loader *loader);
/* "rules/x.lua" -> as the user would write it: with the folder that the config's path has. In the arena. */
char *loader_shown(struct loader *loader, const char *file);
/* A file did not run to its end: err (cleared) says where and why. */
void loader_run_failed(struct loader *loader, const char *name, struct vm_error *err);
/* A path that the config names: relative to the config's folder, made absolute. In the arena. */
char *loader_path(struct loader *loader, const char *path);
/* Is the file (as in a place) readable by others than its owner? */
bool loader_is_public(struct loader *loader, const char *file);
/* Says so if key is none of known, with the nearest. */
void loader_unknown(struct loader *loader, const wire_place *place, const char *what, const char *word,
                    const char *const *known);
char *loader_str(struct loader *loader, const char *s); /* in the arena */

/* Pushes `NAME "x"`: something that waits for its table (at index 2), then calls take. serial: how many conditions
 * there were before that table; UINT_MAX if that is not known. */
typedef void (*loader_take)(lua_State *L, struct loader *loader, const char *name, const wire_place *place,
                            unsigned serial);
int loader_curried(lua_State *L, const char *what, loader_take take);
/* Names that were given but no table. */
void loader_check_pending(struct loader *loader);

/* --- config_source.c --------------------------------------------------------------------------------------------- */

/* The place of `key =` in the table whose call stands at a place; that of the call if it is not seen. */
wire_place loader_key_place(struct loader *loader, const wire_place *call, const char *key);
/* The line of a Lua `and`, `or` or `not` in that key's value; 0 if there is none. */
uint32_t loader_logic_line(struct loader *loader, const wire_place *call, const char *key);
void config_source_free(void *source); /* a value of loader->sources */

/* --- config_table.c, config_value.c ------------------------------------------------------------------------------ */

struct key;
/* What a reader has at hand. The value is on top of L's stack and stays there. */
struct reading_key {
    lua_State *L;
    struct loader *loader;
    const struct key *key;
    const char *what; /* "account", for mistakes */
    wire_place place; /* of the key */
};

struct key {
    const char *name;
    void (*read)(struct reading_key *r, void *target); /* target: the struct's member */
    size_t offset;
    uint64_t min, max;          /* numbers, sizes, durations */
    const char *const *choices; /* read_choice: target becomes the index (int) */
};

/* Reads the table at index into target (a struct whose members the keys name); unknown keys are mistakes. Returns how
 * many there were: one of them may be a key that seems to be missing. */
unsigned table_read(lua_State *L, struct loader *loader, int index, const struct key *keys, size_t n, const char *what,
                    const wire_place *call, void *target);
bool table_has(lua_State *L, int index, const char *key);

/* "account: port must be ..." */
void reading_mistake(struct reading_key *r, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The string on top, in the arena; NULL (and a mistake) if it is none, empty, or has control characters. */
char *reading_string(struct reading_key *r);

void read_string(struct reading_key *r, void *target);   /* char * */
void read_path(struct reading_key *r, void *target);     /* char *, absolute */
void read_bool(struct reading_key *r, void *target);     /* bool */
void read_count(struct reading_key *r, void *target);    /* uint32_t, min..max */
void read_size(struct reading_key *r, void *target);     /* uint64_t, min..max */
void read_duration(struct reading_key *r, void *target); /* uint64_t of ms, min..max */
void read_choice(struct reading_key *r, void *target);   /* int */
void read_strings(struct reading_key *r, void *target);  /* wire_strings: a string or a list */
void read_folders(struct reading_key *r, void *target);  /* wire_strings: names, globs, special-use */
void read_function(struct reading_key *r, void *target); /* int: reference */
void read_secret(struct reading_key *r, void *target);   /* wire_secret */
bool read_secret_value(struct reading_key *r, wire_secret *secret_out);

/* --- the names --------------------------------------------------------------------------------------------------- */

void config_secret_open(struct loader *loader);
void config_open_conditions(struct loader *loader);
void config_open_actions(struct loader *loader);
int config_account(lua_State *L);
int config_webhook(lua_State *L);
int config_rule(lua_State *L);
int config_every(lua_State *L);
int config_include(lua_State *L);
int config_defaults(lua_State *L);
int config_state(lua_State *L);
int config_control(lua_State *L);
int config_metrics(lua_State *L);

void config_open_unknown(struct loader *loader);
/* Does the value at index come from a name that nobody knows? That was a mistake already. */
bool config_is_unknown(lua_State *L, int index);

/* The condition at index, or NULL if it is none. */
const struct cond *config_cond(lua_State *L, int index);
/* The action at index, or NULL. */
struct action *config_action(lua_State *L, int index);

/* `on`: target is the `on` of a wire_rule. */
void read_on(struct reading_key *r, void *target);
extern const char *const config_events[]; /* its choices */
/* Conditions and actions that mean nothing on the rule's event are mistakes. */
void config_check_event(struct loader *loader, const wire_rule *wire, const struct rule *rule);

#endif
