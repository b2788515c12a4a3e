/*
 * rules/rules.h - a loaded set of rules, and one message run through it.
 *
 * Runs inside the evaluator only; sees no socket and no file once loaded. One thread. A `rules` is loaded once and
 * never changes; a reload is a new process. Jobs may be interleaved: while one waits for an answer, others run.
 *
 * The way of one message: rules_begin(EVAL) -> rules_run() gives PLAN, FAIL or NEED; after NEED, rules_answer(ANSWER)
 * and rules_run() again, until PLAN or FAIL; then rules_job_free(). Declarative conditions are evaluated again from
 * what is cached; a rule's function goes on as a coroutine where it stopped.
 *
 * Limits come from the config's own `defaults` (struct limits in the CONFIG). A rule that exceeds a budget which can be
 * seen from inside fails with an error that names file, line and rule; what cannot be seen from inside is the keeper's
 * deadline, for which `enter` tells which rule is at work.
 */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "wire/message.h"

typedef struct rules rules;
typedef struct rules_job rules_job;

struct rules_host {
    void *user;
    /* A rule (its index, -1 = none) of this job is about to run. Must be cheap: called once a rule and message. */
    void (*enter)(void *user, uint64_t job, int rule);
    /* log.info(...) and friends of a rule, and print(). The message is the callee's to send and free. */
    void (*log)(void *user, wire_message *log);
};

/*
 * Reads the config at path with all it includes, and fills config_out (a WIRE_CONFIG message): on mistakes with every
 * mistake found, ordered by file and line, and *rules_out is NULL. Fails with an error only where not even that could
 * be done (out of memory). The host outlives the rules.
 */
error *rules_load(const char *path, bool check_only, const struct rules_host *host, wire_message *config_out,
                  rules **rules_out) G_GNUC_WARN_UNUSED_RESULT;
void rules_free(rules *rules); /* accepts NULL; all jobs freed before */

/* True where what rules keep in variables has grown so much that messages would soon fail for lack of memory: time for
 * a new process. May collect garbage: for when no job is at work. */
bool rules_is_worn(rules *rules);

/* What messages of this folder need first. reply: a WIRE_SCOPE_REPLY message to fill. */
void rules_scope(const rules *rules, const wire_scope *scope, wire_message *reply);

/* Takes ownership of eval (a WIRE_EVAL message), which lives as long as the job. */
rules_job *rules_begin(rules *rules, wire_message *eval);
/* The reply is the caller's: WIRE_PLAN, WIRE_FAIL (the job is over) or WIRE_NEED (call rules_answer, then again). */
wire_message *rules_run(rules_job *job);
/* Takes ownership of answer (a WIRE_ANSWER to the last NEED). */
void rules_answer(rules_job *job, wire_message *answer);
void rules_job_free(rules_job *job); /* accepts NULL, in any state */

#endif
