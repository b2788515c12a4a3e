/* tests/unit/rules/job_standins.h - what an engine gives to the libraries, for tests without one; a linked engine wins.
 */
#ifndef TESTS_RULES_JOB_STANDINS_H
#define TESTS_RULES_JOB_STANDINS_H

#include "src/rules/rules_priv.h"

#include <string.h>

#define WEAK __attribute__((weak))

WEAK wire_message *job_need_mail(rules_job *job, const mail_need *need) {
    static const enum wire_need_kind kinds[] = {[MAIL_NEED_FIELDS] = WIRE_NEED_FIELDS,
                                                [MAIL_NEED_HEADER] = WIRE_NEED_HEADER,
                                                [MAIL_NEED_STRUCTURE] = WIRE_NEED_STRUCTURE,
                                                [MAIL_NEED_PARTS] = WIRE_NEED_PARTS,
                                                [MAIL_NEED_RAW] = WIRE_NEED_RAW};
    wire_message *message = wire_message_new(WIRE_NEED);

    message->u.need.job = job->eval->u.eval.job;
    message->u.need.kind = kinds[need->kind];
    return message;
}

WEAK wire_step *job_add_step(rules_job *job, enum wire_verb verb) {
    wire_step step = {.verb = verb, .rule = wire_str(job->reply, job->at->wire->name)};

    g_array_append_val(job->steps, step);
    return &g_array_index(job->steps, wire_step, job->steps->len - 1);
}

WEAK const char *job_capture(const rules_job *job, const char *name) {
    for (guint i = 0; i < job->captures->len; i++) {
        const struct capture *capture = &g_array_index(job->captures, struct capture, i);
        if (strcmp(capture->name, name) == 0) {
            return capture->value;
        }
    }
    return NULL;
}

WEAK int rules_webhook(const rules *set, const char *name) {
    for (size_t i = 0; i < set->config->u.config.n_webhooks; i++) {
        if (strcmp(set->config->u.config.webhooks[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

WEAK char *job_event_id(rules_job *job, const char *webhook) {
    return wire_str(job->reply, "msg_1");
}

#endif
