/*
 * engine_priv.h - which rules apply to a folder, and how a job is fed.
 */
#ifndef RULES_ENGINE_PRIV_H
#define RULES_ENGINE_PRIV_H

#include "rules_priv.h"

/* Where a message is. Strings are borrowed. */
struct whereabouts {
    const char *account, *folder;
    const wire_strings *roles;
    enum wire_event event;
    bool own;
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

/* engine_feed.c: what the job's messages carry, into its view, which may look at their bytes as long as it lives. */
void engine_feed_eval(rules_job *job);
/* job->answer. NULL, or why the job cannot go on (g_free). */
char *engine_feed_answer(rules_job *job, const struct asked *asked);

#endif
