/*
 * engine_priv.h - one job on its way through the rules.
 *
 *   engine.c        the phases of a job
 *   engine_scope.c  which rules apply to a folder, and what they need first
 *   engine_feed.c   what the keeper sent, into the message's view
 *   engine_plan.c   what comes out
 */
#ifndef RULES_ENGINE_PRIV_H
#define RULES_ENGINE_PRIV_H

#include "cond_priv.h"
#include "lib_priv.h"
#include "rules_priv.h"
#include "vm_priv.h"

/* Where a message is. Strings are borrowed. */
struct whereabouts {
    const char *account, *folder;
    const wire_strings *roles;
    enum wire_event event;
    bool own;
    const char *server_folder; /* NULL = as folder */
};

/* Which rules apply where: found once and remembered. */
struct scopes *scopes_new(const rules *set);
void scopes_free(struct scopes *scopes); /* accepts NULL */
/* Indexes (int) of the rules that apply, in file order. A reference: g_array_unref. */
GArray *scopes_find(struct scopes *scopes, const struct whereabouts *where);

/* NULL if the rule applies, else why not ("folder is INBOX, rule wants Junk"), g_free. */
char *scope_why_not(const struct rule *rule, const struct whereabouts *where);

/* What a job asked for. */
struct asked {
    enum wire_need_kind kind;
    char **names;
};

enum phase {
    PHASE_START,
    PHASE_NEXT_RULE,
    PHASE_WHEN,
    PHASE_ACTIONS,
    PHASE_RUN,
    PHASE_RULE_DONE,
    PHASE_PLAN,
    PHASE_FAIL
};

struct engine {
    enum phase phase;
    struct cond_run *run;
    struct whereabouts where;
    GArray *applying;      /* int: the rules that apply there; NULL with trace, which tells of all */
    const char *ended_by;  /* name of the rule that ended evaluation */
    size_t at;             /* into `applying`, or with trace into all rules */
    unsigned steps_before; /* of the rule at work */
    bool failed;           /* the rule at work, and the message goes on */
    size_t action;         /* of the rule at work */
    struct payload *payload;
    char *event_id;
    struct vm_thread *thread;
    char identity[MAIL_IDENTITY_SIZE]; /* "" = nothing to know it by */
    const char *message_id;
    const char *subject; /* with trace */
    GArray *errors;      /* wire_rule_error */
    GArray *traces;      /* wire_rule_trace */
    wire_rule_error fatal;
    GPtrArray *answers; /* kept: the view looks into them */
    struct asked asked; /* the last need, until its answer */
    unsigned mail_needs;
    bool needs_raw; /* the server has no usable structure: nothing less than the whole message helps */
};

/* engine_plan.c: the reply, which is the caller's; job->reply is NULL then. */
wire_message *engine_make_plan(rules_job *job);
wire_message *engine_make_fail(rules_job *job);

/* engine_feed.c: what the job's messages carry, into its view, which may look at their bytes as long as it lives. */
void engine_feed_eval(rules_job *job);
/* job->answer. NULL, or why the job cannot go on (g_free). */
char *engine_feed_answer(rules_job *job, const struct asked *asked);

#endif
