#include "action_priv.h"

#include <string.h>

struct action *action_new(enum wire_verb verb, const wire_place *place) {
    struct action *action = g_new0(struct action, 1);

    action->verb = verb;
    action->place.file = g_strdup(place->file);
    action->place.line = place->line;
    return action;
}

void action_free(struct action *action) {
    if (action) {
        template_free(action->folder);
        for (size_t i = 0; i < action->n_flags; i++) {
            template_free(action->flags[i]);
        }
        g_free(action->flags);
        g_free(action->webhook);
        g_free(action->place.file);
        g_free(action);
    }
}

static enum template_status plan_flags(const struct action *action, rules_job *job, error **error_out) {
    enum template_status status = TEMPLATE_OK;
    GPtrArray *flags = g_ptr_array_new_with_free_func(g_free);

    for (size_t i = 0; i < action->n_flags && status == TEMPLATE_OK; i++) {
        char *flag;
        status = template_expand(action->flags[i], job, &flag, error_out);
        if (status == TEMPLATE_OK) {
            g_ptr_array_add(flags, flag);
        }
    }
    if (status == TEMPLATE_OK) {
        wire_step *step = job_add_step(job, action->verb);
        step->flags = wire_strv(job->reply, (const char *const *)flags->pdata, flags->len);
    }
    g_ptr_array_unref(flags);
    return status;
}

enum template_status action_plan(const struct action *action, rules_job *job, bool create_default, error **error_out) {
    char *folder = NULL;

    *error_out = NULL;
    if (action->n_flags) {
        return plan_flags(action, job, error_out);
    }
    if (action->folder) {
        enum template_status status = template_expand(action->folder, job, &folder, error_out);
        if (status != TEMPLATE_OK) {
            return status;
        }
    }
    wire_step *step = job_add_step(job, action->verb);
    step->folder = wire_str(job->reply, folder);
    step->create = action->has_create ? action->create : create_default;
    if (action->verb == WIRE_VERB_STOP) {
        job->stopped = true;
    }
    g_free(folder);
    return TEMPLATE_OK;
}
