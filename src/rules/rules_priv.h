/*
 * rules_priv.h - what the modules of the rules layer share.
 *
 *   vm_*.c      Lua state: sandbox, budgets, one guarded call path, coroutines      (vm_priv.h)
 *   lib_*.c     one file = one Lua table or type: msg, re, json, log, kv, http, time
 *   regex.c     PCRE2 with limits and a deadline                                     (regex_priv.h)
 *   config_*.c  the config language: account, webhook, rule, include, defaults, secret -> wire_config
 *   cond_*.c    conditions: built by the config as Lua userdata, a costed tree, evaluated lazily     (cond_priv.h)
 *   action.c    the action constructors of the config and their templates ("Invoices/${year}")
 *   payload.c   the JSON body of a webhook (jansson)
 *   event.c     what happened to a message
 *   engine.c    a job: rules in order -> plan | need | fail
 */
#ifndef RULES_PRIV_H
#define RULES_PRIV_H

#include "mail/view.h"
#include "rules/rules.h"

#include <lua.h>

struct vm;
struct cond;
struct action;

/* What a rule does about an error of its own. */
enum rule_on_error { RULE_ON_ERROR_PARK, RULE_ON_ERROR_SKIP, RULE_ON_ERROR_DEFAULT /* only while loading */ };
enum rule_continue { RULE_CONTINUE_DEFAULT, RULE_CONTINUE_YES, RULE_CONTINUE_NO };

struct rule {
    int index;
    wire_rule *wire;         /* name, place, accounts, folders, event, dry_run, own, limit */
    const struct cond *when; /* NULL = always */
    struct action **actions;
    size_t n_actions;
    int run_ref; /* LUA_NOREF = none */
    enum rule_on_error on_error;
    enum rule_continue cont;
};

struct rules {
    struct rules_host host;
    struct vm *vm;
    wire_message *config; /* the rules' own copy of what was sent */
    int *payload_refs;    /* one for each of config's webhooks: its `payload` function, LUA_NOREF = none */
    struct rule *rules;
    size_t n_rules;
    struct limits limits;
    bool create_default;    /* a missing target folder may be made */
    char *folder_shown;     /* what goes before a file's name to show it: "" or "/etc/mailruled/" */
    struct cond_set *conds; /* every compiled condition */
    GPtrArray *actions;     /* struct action: every one of the config */
    struct regex_matcher *matcher;
    struct scopes *scopes; /* which rules apply where (engine_scope.c) */
};

struct capture {
    char *name; /* "1", "number" */
    char *value;
};

struct rules_job {
    rules *rules;
    wire_message *eval;
    mail_view *view;
    wire_message *reply;   /* the PLAN under construction */
    GArray *steps;         /* wire_step, strings in reply's arena */
    GArray *captures;      /* struct capture of the rule at work, strings in reply's arena */
    wire_message *need;    /* set by whoever cannot go on: engine hands it out */
    wire_message *answer;  /* the last one */
    struct rule *at;       /* rule at work, NULL = none */
    bool stopped;          /* the rule at work said stop */
    int64_t now;           /* when it began, seconds since the epoch: the same for all its rules */
    struct engine *engine; /* engine.c's own progress */
    struct msg_ud *msg;    /* lib_msg.c's userdata for this job, NULL = none yet; invalidated when the job ends */
};

/* A need for the message's own data as a NEED message for this job. */
wire_message *job_need_mail(rules_job *job, const mail_need *need);
/* A zeroed step at the end of the job's list, rule and dry_run filled in. Strings go into job->reply's arena. */
wire_step *job_add_step(rules_job *job, enum wire_verb verb);
const char *job_capture(const rules_job *job, const char *name); /* NULL if none */
/* Does this step take the message out of its folder? */
bool job_takes_away(enum wire_verb verb);
/* Does it do something to the message itself? */
bool verb_needs_message(enum wire_verb verb);
const char *rules_event_name(enum wire_event event); /* "new", "flags", "gone", "every"; static */
/* Index of a webhook in the config and in payload_refs, -1 if there is none of that name. */
int rules_webhook(const rules *rules, const char *name);
/* The webhook-id of the next post to that webhook by the rule at work: "msg_" and 43 characters, the same for the same
 * message, rule, webhook and number of posts to it before, at every attempt. In job->reply's arena. */
char *job_event_id(rules_job *job, const char *webhook);

#endif
