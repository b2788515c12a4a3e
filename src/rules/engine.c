/*
 * One message through the rules in file order. A job is a small machine: rules_run() goes on until something must be
 * fetched, and comes back to the same point after the answer.
 */
#include "engine_priv.h"

#include "action_priv.h"
#include "cond_priv.h"
#include "lib_priv.h"
#include "vm_priv.h"

#include <string.h>

enum { MAIL_NEEDS_MAX = 200 }; /* of one job; a server that never gives what it was asked for ends there */

/* What a phase ends with. */
enum turn { TURN_GO_ON, TURN_NEED };

static bool is_traced(const rules_job *job) {
    return job->eval->u.eval.trace;
}

/* The trace of that rule: the last one, or a new one. */
static wire_rule_trace *add_trace(rules_job *job, const struct rule *rule) {
    wire_rule_trace trace = {.name = wire_str(job->reply, rule->wire->name)};
    GArray *traces = job->engine->traces;
    wire_rule_trace *last = traces->len ? &g_array_index(traces, wire_rule_trace, traces->len - 1) : NULL;

    if (last && strcmp(last->name, trace.name) == 0) {
        return last;
    }
    g_array_append_val(traces, trace);
    return &g_array_index(traces, wire_rule_trace, traces->len - 1);
}

/* --- errors of rules --------------------------------------------------------------------------------------------- */

/* The rule at work failed: what it planned is dropped, and the message goes on or is parked. */
static void rule_failed(rules_job *job, const char *text, const char *traceback, const wire_place *place) {
    struct engine *e = job->engine;
    wire_rule_error err = {.rule = wire_str(job->reply, job->at->wire->name),
                           .place = {wire_str(job->reply, place->file), place->line},
                           .text = wire_str(job->reply, text),
                           .traceback = wire_str(job->reply, traceback)};

    g_array_set_size(job->steps, e->steps_before);
    job->stopped = false;
    e->failed = true;
    if (is_traced(job)) {
        g_autofree char *why = g_strdup_printf("failed: %s", text);
        wire_strings_add(job->reply, &add_trace(job, job->at)->why, why);
    }
    if (job->at->on_error == RULE_ON_ERROR_SKIP) {
        g_array_append_val(e->errors, err);
        e->phase = PHASE_RULE_DONE;
    } else {
        e->fatal = err;
        e->phase = PHASE_FAIL;
    }
}

static wire_place shown_place(rules_job *job, const char *file, uint32_t line) {
    g_autofree char *shown = NULL;

    if (!file) {
        return job->at->wire->place;
    }
    bool whole = *file == '/' || g_str_has_prefix(file, VM_LIBRARY_PREFIX "/");
    shown = g_strconcat(whole ? "" : job->rules->folder_shown, file, NULL);
    return (wire_place){wire_str(job->reply, shown), line};
}

static void rule_failed_in_lua(rules_job *job, struct vm_error *err) {
    wire_place place = shown_place(job, err->file, err->line);

    rule_failed(job, err->text ? err->text : "unknown error", err->traceback, &place);
    vm_error_clear(err);
}

static void rule_failed_with(rules_job *job, error *err, const wire_place *at) {
    wire_place place = shown_place(job, at->file, at->line);

    rule_failed(job, err->text, NULL, &place);
    error_free(err);
}

/* --- trace ------------------------------------------------------------------------------------------------------- */

static void trace_skipped(rules_job *job, const struct rule *rule, const char *why) {
    wire_rule_trace *trace = add_trace(job, rule);

    trace->skipped = true;
    wire_strings_add(job->reply, &trace->why, why);
}

static void trace_when(rules_job *job, bool matched) {
    wire_rule_trace *trace;

    if (!is_traced(job)) {
        return;
    }
    trace = add_trace(job, job->at);
    trace->matched = matched;
    if (job->at->when) {
        cond_trace(job->engine->run, job->at->when, &trace->why);
    } else {
        wire_strings_add(job->reply, &trace->why, "no condition: every message");
    }
}

/* --- phases ------------------------------------------------------------------------------------------------------ */

/* What the server itself knows the mail by (EMAILID, RFC 8474; X-GM-MSGID) is better than anything that can be made of
 * its header: it outlives UIDs and tells copies from twins. */
static enum mail_status find_identity(rules_job *job, mail_need *need) {
    const char *object_id = job->eval->u.eval.object_id;

    if (!object_id || !*object_id) {
        return mail_view_identity(job->view, job->engine->identity, need);
    }
    g_autofree char *text = g_strconcat("object-id\n", object_id, NULL);
    g_autofree char *hex = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    g_strlcpy(job->engine->identity, hex, MAIL_IDENTITY_SIZE);
    return MAIL_OK;
}

/* Before anything else: who the message is. */
static enum turn start(rules_job *job) {
    struct engine *e = job->engine;
    mail_need need;
    const char *s;
    enum mail_status status = find_identity(job, &need);

    if (status == MAIL_ABSENT) {
        e->identity[0] = 0;
    } else if (status == MAIL_OK) {
        status = mail_view_message_id(job->view, &s, &need);
        e->message_id = status == MAIL_OK ? s : NULL;
    }
    if (status != MAIL_NEED && is_traced(job)) {
        status = mail_view_subject(job->view, &s, &need);
        e->subject = status == MAIL_OK ? s : NULL;
    }
    if (status == MAIL_NEED) {
        job->need = job_need_mail(job, &need);
        return TURN_NEED;
    }
    e->phase = PHASE_NEXT_RULE;
    return TURN_GO_ON;
}

/* The next rule that applies here and is not ruled out, or NULL. */
static struct rule *next_rule(rules_job *job) {
    struct engine *e = job->engine;
    rules *set = job->rules;

    while (e->applying && !e->ended_by && e->at < e->applying->len) {
        int index = g_array_index(e->applying, int, e->at++);
        if (!cond_ruled_out(e->run, index)) {
            return &set->rules[index];
        }
    }
    if (e->applying) {
        return NULL;
    }
    while (e->at < set->n_rules) {
        struct rule *rule = &set->rules[e->at++];
        g_autofree char *why =
            e->ended_by ? g_strdup_printf("ended by rule %s", e->ended_by) : scope_why_not(rule, &e->where);
        if (!why) {
            return rule;
        }
        trace_skipped(job, rule, why);
    }
    return NULL;
}

static enum turn begin_rule(rules_job *job) {
    struct engine *e = job->engine;
    struct rule *rule = next_rule(job);

    job->at = rule;
    if (!rule) {
        e->phase = PHASE_PLAN;
        return TURN_GO_ON;
    }
    e->steps_before = job->steps->len;
    e->action = 0;
    e->failed = false;
    e->phase = PHASE_WHEN;
    g_array_set_size(job->captures, 0);
    return TURN_GO_ON;
}

static void enter(const rules_job *job, int rule) {
    const struct rules_host *host = &job->rules->host;

    if (host->enter) {
        host->enter(host->user, job->eval->u.eval.job, rule);
    }
}

/* The rule's condition. Most rules are ruled out by the guard. */
static enum turn decide(rules_job *job) {
    struct engine *e = job->engine;
    const struct rule *rule = job->at;
    enum cond_result result = COND_TRUE;
    error *err = NULL;
    wire_place place = {0};

    if (!is_traced(job)) {
        if (!cond_read_guard(e->run, rule->index)) {
            return TURN_NEED;
        }
        if (cond_ruled_out(e->run, rule->index)) {
            e->phase = PHASE_NEXT_RULE;
            return TURN_GO_ON;
        }
    }
    enter(job, rule->index);
    if (rule->when) {
        result = cond_eval(e->run, rule->when, &err, &place);
    }
    switch (result) {
    case COND_NEED:
        return TURN_NEED;
    case COND_FAILED:
        rule_failed_with(job, err, &place);
        return TURN_GO_ON;
    case COND_FALSE:
        trace_when(job, false);
        e->phase = PHASE_NEXT_RULE;
        return TURN_GO_ON;
    case COND_TRUE:
        break;
    }
    if (rule->when) {
        cond_captures(e->run, rule->when, job->captures);
    }
    trace_when(job, true);
    e->phase = rule->run_ref != LUA_NOREF ? PHASE_RUN : PHASE_ACTIONS;
    return TURN_GO_ON;
}

static void end_payload(struct engine *e) {
    payload_free(e->payload);
    e->payload = NULL;
    e->event_id = NULL;
}

/* PAYLOAD_OK: the step was added. PAYLOAD_ERROR: the rule has failed. */
static enum payload_status post(rules_job *job, const struct action *action) {
    struct engine *e = job->engine;
    int at = rules_webhook(job->rules, action->webhook);
    struct vm_error err = {0};
    wire_bytes body;

    if (!e->payload) {
        e->event_id = job_event_id(job, action->webhook);
        struct payload_request request = {.job = job,
                                          .rule = job->at,
                                          .webhook = &job->rules->config->u.config.webhooks[at],
                                          .payload_ref = job->rules->payload_refs[at],
                                          .event_id = e->event_id};
        e->payload = payload_new(&request);
    }
    enum payload_status status = payload_run(e->payload, &body, &err);
    if (status == PAYLOAD_OK) {
        wire_step *step = job_add_step(job, WIRE_VERB_POST);
        step->webhook = wire_str(job->reply, action->webhook);
        step->event_id = e->event_id;
        step->body = body;
    } else if (status == PAYLOAD_ERROR) {
        rule_failed_in_lua(job, &err);
    }
    if (status != PAYLOAD_NEED) {
        end_payload(e);
    }
    return status;
}

static enum turn act(rules_job *job) {
    struct engine *e = job->engine;
    error *err = NULL;

    for (; e->action < job->at->n_actions && !job->stopped; e->action++) {
        const struct action *action = job->at->actions[e->action];
        if (action->verb == WIRE_VERB_POST) {
            enum payload_status status = post(job, action);
            if (status != PAYLOAD_OK) {
                return status == PAYLOAD_NEED ? TURN_NEED : TURN_GO_ON;
            }
            continue;
        }
        switch (action_plan(action, job, job->rules->create_default, &err)) {
        case TEMPLATE_OK:
            break;
        case TEMPLATE_NEED:
            return TURN_NEED;
        case TEMPLATE_ERROR:
            rule_failed_with(job, err, &action->place);
            return TURN_GO_ON;
        }
    }
    e->phase = PHASE_RULE_DONE;
    return TURN_GO_ON;
}

static enum turn run_function(rules_job *job) {
    struct engine *e = job->engine;
    struct vm_error err = {0};
    int arguments = 0;

    enter(job, job->at->index);
    if (!e->thread) {
        e->thread = vm_thread_new(job->rules->vm, job, job->at->run_ref);
        lib_msg_push(vm_thread_stack(e->thread), job);
        arguments = 1;
    }
    enum vm_status status = vm_thread_resume(e->thread, arguments, &err);
    if (status == VM_YIELD) {
        return TURN_NEED;
    }
    vm_thread_free(e->thread);
    e->thread = NULL;
    if (status == VM_ERROR) {
        rule_failed_in_lua(job, &err);
    } else {
        e->phase = PHASE_RULE_DONE;
    }
    return TURN_GO_ON;
}

/* Does this rule, which has run, end evaluation? */
static enum turn end_rule(rules_job *job) {
    struct engine *e = job->engine;
    const struct rule *rule = job->at;
    bool ends = job->stopped;

    for (unsigned i = e->steps_before; i < job->steps->len && rule->cont == RULE_CONTINUE_DEFAULT; i++) {
        ends |= job_takes_away(g_array_index(job->steps, wire_step, i).verb);
    }
    ends |= rule->cont == RULE_CONTINUE_NO && !e->failed;
    if (ends && !rule->wire->dry_run) {
        e->ended_by = rule->wire->name;
    }
    job->stopped = false;
    e->phase = PHASE_NEXT_RULE;
    return TURN_GO_ON;
}

static wire_message *make_need(rules_job *job) {
    wire_need *need = &job->need->u.need;
    wire_message *out = job->need;

    need->job = job->eval->u.eval.job;
    need->rule = job->at ? wire_str(out, job->at->wire->name) : NULL;
    g_strfreev(job->engine->asked.names);
    job->engine->asked.kind = need->kind;
    job->engine->asked.names = g_new0(char *, need->names.n + 1);
    for (size_t i = 0; i < need->names.n; i++) {
        job->engine->asked.names[i] = g_strdup(need->names.v[i]);
    }
    job->need = NULL;
    return out;
}

/* --- the job ----------------------------------------------------------------------------------------------------- */

rules_job *rules_begin(rules *set, wire_message *eval) {
    rules_job *job = g_new0(struct rules_job, 1);
    struct engine *e = g_new0(struct engine, 1);
    const wire_eval *in = &eval->u.eval;

    job->rules = set;
    job->eval = eval;
    job->engine = e;
    job->now = g_get_real_time() / G_USEC_PER_SEC;
    job->reply = wire_message_new(WIRE_PLAN);
    job->steps = g_array_new(FALSE, TRUE, sizeof(wire_step));
    job->captures = g_array_new(FALSE, TRUE, sizeof(struct capture));
    job->view = mail_view_new(&set->limits);
    e->errors = g_array_new(FALSE, TRUE, sizeof(wire_rule_error));
    e->traces = g_array_new(FALSE, TRUE, sizeof(wire_rule_trace));
    e->answers = g_ptr_array_new_with_free_func((GDestroyNotify)wire_message_free);
    e->where = (struct whereabouts){in->account ? in->account : "", in->folder ? in->folder : "", &in->roles, in->event,
                                    in->own, in->server_folder};
    e->applying = in->trace ? NULL : scopes_find(set->scopes, &e->where);
    e->run = cond_run_new(job, set->conds, set->matcher);
    engine_feed_eval(job);
    return job;
}

static enum turn step(rules_job *job) {
    struct engine *e = job->engine;
    static enum turn (*const phases[])(rules_job * job) = {
        [PHASE_START] = start, [PHASE_NEXT_RULE] = begin_rule, [PHASE_WHEN] = decide,
        [PHASE_ACTIONS] = act, [PHASE_RUN] = run_function,     [PHASE_RULE_DONE] = end_rule};

    if (e->needs_raw) {
        mail_need raw = {.kind = MAIL_NEED_RAW, .limit = job->rules->limits.message};
        e->needs_raw = false;
        job->need = job_need_mail(job, &raw);
        return TURN_NEED;
    }
    return phases[e->phase](job);
}

static bool is_mail_need(const wire_message *need) {
    return need->u.need.kind != WIRE_NEED_HTTP && need->u.need.kind != WIRE_NEED_KV;
}

wire_message *rules_run(rules_job *job) {
    struct engine *e = job->engine;

    while (e->phase != PHASE_PLAN && e->phase != PHASE_FAIL) {
        if (step(job) == TURN_GO_ON) {
            continue;
        }
        if (is_mail_need(job->need) && ++e->mail_needs > MAIL_NEEDS_MAX) {
            e->fatal = (wire_rule_error){
                .text = wire_str(job->reply, "the message is asked for again and again, and never there")};
            e->phase = PHASE_FAIL;
            break;
        }
        enter(job, -1);
        return make_need(job);
    }
    enter(job, -1);
    return e->phase == PHASE_PLAN ? engine_make_plan(job) : engine_make_fail(job);
}

void rules_answer(rules_job *job, wire_message *answer) {
    struct engine *e = job->engine;

    g_ptr_array_add(e->answers, answer);
    job->answer = answer;
    g_autofree char *failure = engine_feed_answer(job, &e->asked);
    e->needs_raw = e->asked.kind == WIRE_NEED_STRUCTURE && !failure && answer->u.answer.n_parts == 0;
    bool raises = e->phase == PHASE_RUN || e->payload; /* it looks at the answer itself */
    if (failure && !raises) {
        e->fatal = (wire_rule_error){.rule = job->at ? wire_str(job->reply, job->at->wire->name) : NULL,
                                     .text = wire_str(job->reply, failure)};
        e->phase = PHASE_FAIL;
    }
}

void rules_job_free(rules_job *job) {
    struct engine *e;

    if (!job) {
        return;
    }
    e = job->engine;
    payload_free(e->payload);
    vm_thread_free(e->thread);
    lib_msg_invalidate(job);
    cond_run_free(e->run);
    if (e->applying) {
        g_array_unref(e->applying);
    }
    mail_view_free(job->view);
    g_ptr_array_unref(e->answers);
    g_strfreev(e->asked.names);
    wire_message_free(job->need);
    g_array_unref(e->errors);
    g_array_unref(e->traces);
    g_array_unref(job->captures);
    g_array_unref(job->steps);
    wire_message_free(job->reply);
    wire_message_free(job->eval);
    g_free(e);
    g_free(job);
}
