/* What a job collects: steps, captures, ids of posts; and what it replies with. */
#include "engine_priv.h"

#include <string.h>

/* --- what the layer shares about jobs ---------------------------------------------------------------------------- */

wire_message *job_need_mail(rules_job *job, const mail_need *need) {
    static const enum wire_need_kind kinds[] = {[MAIL_NEED_FIELDS] = WIRE_NEED_FIELDS,
                                                [MAIL_NEED_HEADER] = WIRE_NEED_HEADER,
                                                [MAIL_NEED_STRUCTURE] = WIRE_NEED_STRUCTURE,
                                                [MAIL_NEED_PARTS] = WIRE_NEED_PARTS,
                                                [MAIL_NEED_RAW] = WIRE_NEED_RAW};
    wire_message *message = wire_message_new(WIRE_NEED);
    wire_need *out = &message->u.need;

    out->kind = kinds[need->kind];
    out->limit = need->limit;
    for (const char *const *name = need->names; name && *name; name++) {
        wire_strings_add(message, &out->names, *name);
    }
    return message;
}

wire_step *job_add_step(rules_job *job, enum wire_verb verb) {
    wire_step step = {.verb = verb};

    step.rule = job->at ? wire_str(job->reply, job->at->wire->name) : NULL;
    step.dry_run = job->at && job->at->wire->dry_run;
    g_array_append_val(job->steps, step);
    return &g_array_index(job->steps, wire_step, job->steps->len - 1);
}

const char *job_capture(const rules_job *job, const char *name) {
    for (unsigned i = 0; i < job->captures->len; i++) {
        const struct capture *c = &g_array_index(job->captures, struct capture, i);
        if (strcmp(c->name, name) == 0) {
            return c->value;
        }
    }
    return NULL;
}

bool job_takes_away(enum wire_verb verb) {
    return verb == WIRE_VERB_MOVE || verb == WIRE_VERB_DELETE || verb == WIRE_VERB_JUNK || verb == WIRE_VERB_ARCHIVE;
}

int rules_webhook(const rules *set, const char *name) {
    const wire_config *config = &set->config->u.config;

    for (size_t i = 0; i < config->n_webhooks; i++) {
        if (strcmp(config->webhooks[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool rules_is_worn(rules *set) {
    return vm_tainted(set->vm);
}

/* The number of 32 octets in 43 digits. */
static void append_base62(GString *out, uint8_t number[32]) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (int i = 0; i < 43; i++) {
        unsigned rest = 0;
        for (int k = 0; k < 32; k++) {
            unsigned n = rest << 8 | number[k];
            number[k] = (uint8_t)(n / 62);
            rest = n % 62;
        }
        g_string_append_c(out, digits[rest]);
    }
}

char *job_event_id(rules_job *job, const char *webhook) {
    const wire_eval *eval = &job->eval->u.eval;
    uint8_t number[32];
    gsize size = sizeof number;
    unsigned ordinal = 0;

    for (unsigned i = 0; i < job->steps->len; i++) {
        const wire_step *step = &g_array_index(job->steps, wire_step, i);
        ordinal += step->verb == WIRE_VERB_POST && strcmp(step->rule, job->at->wire->name) == 0 &&
                   strcmp(step->webhook, webhook) == 0;
    }
    g_autofree char *text = g_strdup_printf("%s\n%s\n%u\n%s\n%s\n%s\n%u", eval->account, eval->folder, eval->uid,
                                            job->engine->identity, job->at->wire->name, webhook, ordinal);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)text, -1);
    if (eval->event_id) { /* a message's flags may change again, and again in the same way */
        g_checksum_update(sum, (const guchar *)eval->event_id, -1);
    }
    g_checksum_get_digest(sum, number, &size);
    GString *id = g_string_new("msg_");
    append_base62(id, number);
    char *kept = wire_str(job->reply, id->str);
    g_string_free(id, TRUE);
    return kept;
}

/* --- replies ----------------------------------------------------------------------------------------------------- */

static void *copy_array(wire_message *message, const GArray *array, size_t size, size_t *n_out) {
    void *copy = wire_alloc(message, size * array->len + 1);

    if (array->len) {
        memcpy(copy, array->data, size * array->len);
    }
    *n_out = array->len;
    return copy;
}

/* Once a message has left its folder nothing can be done to it there: what sets flags or copies it goes before that,
 * and the first of several that take it away counts. What is on trial is shown where it was asked for. */
static void arrange_steps(GArray *steps) {
    GArray *early = g_array_new(FALSE, TRUE, sizeof(wire_step));
    GArray *late = g_array_new(FALSE, TRUE, sizeof(wire_step));
    bool left = false;

    for (unsigned i = 0; i < steps->len; i++) {
        const wire_step *s = &g_array_index(steps, wire_step, i);
        bool here = s->verb != WIRE_VERB_POST && s->verb != WIRE_VERB_STOP && !job_takes_away(s->verb);
        if (left && job_takes_away(s->verb) && !s->dry_run) {
            continue;
        }
        left |= job_takes_away(s->verb) && !s->dry_run;
        g_array_append_vals(left && !(here && !s->dry_run) ? late : early, s, 1);
    }
    g_array_set_size(steps, 0);
    g_array_append_vals(steps, early->data, early->len);
    g_array_append_vals(steps, late->data, late->len);
    g_array_unref(early);
    g_array_unref(late);
}

wire_message *engine_make_plan(rules_job *job) {
    struct engine *e = job->engine;
    wire_message *reply = job->reply;
    wire_plan *plan = &reply->u.plan;

    plan->job = job->eval->u.eval.job;
    plan->identity = *e->identity ? wire_str(reply, e->identity) : NULL;
    plan->message_id = wire_str(reply, e->message_id);
    plan->subject = wire_str(reply, e->subject);
    plan->unparsable = mail_view_problems(job->view) & MAIL_UNPARSABLE;
    arrange_steps(job->steps);
    plan->steps = copy_array(reply, job->steps, sizeof(wire_step), &plan->n_steps);
    plan->errors = copy_array(reply, e->errors, sizeof(wire_rule_error), &plan->n_errors);
    plan->rules = copy_array(reply, e->traces, sizeof(wire_rule_trace), &plan->n_rules);
    job->reply = NULL;
    return reply;
}

/* The strings of a failure are in the reply's arena: it becomes the FAIL. */
wire_message *engine_make_fail(rules_job *job) {
    struct engine *e = job->engine;
    wire_message *reply = job->reply;
    wire_fail fail = {.job = job->eval->u.eval.job, .error = e->fatal};

    fail.message_id = wire_str(reply, e->message_id);
    fail.subject = wire_str(reply, e->subject);
    fail.rules = copy_array(reply, e->traces, sizeof(wire_rule_trace), &fail.n_rules);
    reply->type = WIRE_FAIL;
    reply->u.fail = fail;
    job->reply = NULL;
    return reply;
}

