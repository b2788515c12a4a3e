/*
 * One message from its row in the journal to its last step. Every change of stage goes through set_stage().
 *
 *     ARRIVING -> EVALUATING -> PLANNING -> ACTING -> (done)          FETCHING -> EVALUATING: taken up again
 *
 * What is fetched of it is message_data.c's, what goes wrong message_failure.c's. A message that waits (for a webhook,
 * for a failed step's delay) is not kept in memory: the journal has it.
 */
#include "message_priv.h"

#include <string.h>

/* Failures of one step before its message is parked: about five hours. */
#define STEP_TRIES 6

static const char *const stage_names[MESSAGE_STAGES] = {"arriving", "fetching", "evaluating", "planning", "acting"};

log_ctx message_log(const struct message *m) {
    log_ctx log = m->folder->log;

    log.group = "message";
    log.uid = m->uid;
    return log;
}

static void set_stage(struct message *m, enum message_stage stage) {
    log_ctx log = message_log(m);

    log_debug(&log, "%s -> %s", stage_names[m->stage], stage_names[stage]);
    m->folder->undecided += (stage != MESSAGE_ACTING) - (m->stage != MESSAGE_ACTING);
    m->stage = stage;
}

static void free_owner(gpointer message) {
    wire_message_free(message);
}

struct message *message_new(struct folder *f, enum wire_event event, uint32_t uid) {
    struct message *m = g_new0(struct message, 1);

    m->folder = f;
    m->event = event;
    m->uid = uid;
    m->key = (uint64_t)event << 32 | uid;
    m->uidvalidity = f->uidvalidity;
    m->attempts = 1;
    f->account->in_flight++;
    f->undecided++;
    g_hash_table_insert(f->by_uid, &m->key, m);
    return m;
}

void message_free(struct message *m) {
    struct folder *f = m->folder;
    bool followed = m->followed;

    if (m->job) {
        pool_cancel(message_keeper(m)->pool, m->job);
    }
    state_cancel(message_keeper(m)->state, m);
    need_forget(m);
    action_queue_remove(f->actions, &m->item);
    wire_message_free(m->eval);
    if (m->steps) {
        g_ptr_array_free(m->steps, TRUE);
        g_ptr_array_free(m->owners, TRUE);
    }
    g_free(m->message_id);
    g_free(m->blame);
    g_free(m->blamed_rule);
    g_free(m->flags);
    g_free(m->flags_added);
    g_free(m->flags_removed);
    g_free(m->event_id);
    g_hash_table_remove(f->by_uid, &m->key);
    f->undecided -= m->stage != MESSAGE_ACTING;
    g_free(m);
    f->account->in_flight--;
    if (followed) {
        folder_resume_in(f, 0);
    }
    account_drained(f->account);
    watcher_nudge(f->watcher);
}

/* --- evaluation --------------------------------------------------------------------------------------------------- */

static void on_need(void *user, wire_message *need) {
    need_serve(user, need);
}

static void on_plan(void *user, wire_message *plan);

void message_evaluate(struct message *m) {
    static const pool_job_events events = {on_need, on_plan, message_failed, message_reader_died};
    struct folder *f = m->folder;
    wire_message *eval = m->eval;

    if (m->event == WIRE_EVENT_NEW && m->own && !f->scope->u.scope_reply.own) {
        wire_message *nothing = wire_message_new(WIRE_PLAN);
        on_plan(m, nothing);
        return;
    }
    set_stage(m, MESSAGE_EVALUATING);
    m->eval = NULL;
    eval->u.eval.own = m->own;
    error *err = pool_submit(message_keeper(m)->pool, eval, m->attempts, &events, m, &m->job);
    if (err) {
        message_park(m, err);
        error_free(err);
    }
}

/* --- the plan ----------------------------------------------------------------------------------------------------- */

/* What the message's log line says; steps on trial are logged one by one and left out of the plan. */
static void log_plan(const struct message *m, const wire_plan *plan) {
    GString *text = g_string_new(NULL);
    log_ctx log = message_log(m);
    bool dry = message_keeper(m)->options->dry_run;

    for (size_t i = 0; i < plan->n_steps; i++) {
        const wire_step *s = &plan->steps[i];
        if (s->dry_run || dry) {
            GString *one = g_string_new(NULL);
            step_describe(one, s);
            log.rule = s->rule;
            log_info(&log, "dry run: would %s", one->str);
            g_string_free(one, TRUE);
        } else if (s->verb != WIRE_VERB_STOP) {
            step_describe(text, s);
        }
    }
    log.rule = plan->n_steps == 1 ? plan->steps[0].rule : NULL;
    if (text->len) {
        log_info(&log, "%s", text->str);
    }
    for (size_t i = 0; i < plan->n_errors; i++) {
        log.rule = plan->errors[i].rule;
        log_warn(&log, "%s:%u: %s", plan->errors[i].place.file ? plan->errors[i].place.file : "?",
                 plan->errors[i].place.line, plan->errors[i].text ? plan->errors[i].text : "failed");
    }
    g_string_free(text, TRUE);
}

static void keep_steps(struct message *m, wire_message *owner) {
    if (!m->steps) {
        m->steps = g_ptr_array_new();
        m->owners = g_ptr_array_new_with_free_func(free_owner);
    }
    g_ptr_array_add(m->owners, owner);
}

static void act(struct message *m, uint32_t seq);

/* The journal has answered about a row that has a plan: what now? */
static void go_on(struct message *m, const struct state_row *row) {
    if (row->due_webhook) {
        outbox_kick(message_keeper(m)->outbox, row->due_webhook);
    }
    if (row->gone || row->stage != STATE_PLANNED || row->waiting || !row->next_seq) {
        message_free(m);
    } else {
        act(m, row->next_seq);
    }
}

static void planned(void *user, const error *err, const struct state_planned *p) {
    struct message *m = user;
    log_ctx log = message_log(m);

    if (err) {
        log_error_value(&log, LOG_LEVEL_ERROR, err);
        folder_resume_in(m->folder, 10000);
        message_free(m);
        return;
    }
    switch (p->outcome) {
    case STATE_PLAN_STORED:
        go_on(m, &p->row);
        return;
    case STATE_PLAN_HANDLED:
        log_notice(&log, "the same mail was handled before under another UID: left alone");
        break;
    case STATE_PLAN_ADOPTED:
        resume_rows(message_keeper(m), &p->earlier, 1);
        break;
    case STATE_PLAN_OWN:
        folder_resume_in(m->folder, 0);
        break;
    case STATE_PLAN_GONE:
        break;
    }
    message_free(m);
}

struct plan_parts {
    GArray *steps, *deliveries;
    GPtrArray *args, *effects;
};

static void add_step(struct message *m, struct plan_parts *parts, const wire_step *s) {
    GByteArray *args = step_encode(s);
    char *effect = step_effect(s);
    struct state_step step = {.seq = parts->steps->len + 1, .verb = wire_verb_name(s->verb), .args = args->data,
                              .args_len = args->len, .rule = s->rule, .needs_uid = s->verb != WIRE_VERB_POST,
                              .effect = effect};

    g_ptr_array_add(parts->effects, effect);
    g_ptr_array_add(parts->args, args);
    g_array_append_val(parts->steps, step);
    g_ptr_array_add(m->steps, (gpointer)(uintptr_t)s);
    if (s->verb == WIRE_VERB_POST) {
        struct state_delivery d = {.seq = step.seq, .id = s->event_id, .webhook = s->webhook, .body = s->body.data,
                                   .body_len = s->body.len};
        g_array_append_val(parts->deliveries, d);
    }
}

static void store_plan(struct message *m, wire_message *w) {
    const wire_plan *plan = &w->u.plan;
    struct plan_parts parts = {g_array_new(FALSE, TRUE, sizeof(struct state_step)),
                               g_array_new(FALSE, TRUE, sizeof(struct state_delivery)),
                               g_ptr_array_new_with_free_func((GDestroyNotify)g_byte_array_unref),
                               g_ptr_array_new_with_free_func(g_free)};
    g_autofree char *identity = identity_of(m, plan);

    set_stage(m, MESSAGE_PLANNING);
    log_plan(m, plan);
    g_free(m->message_id);
    m->message_id = g_strdup(plan->message_id);
    keep_steps(m, w);
    for (size_t i = 0; i < plan->n_steps; i++) {
        const wire_step *s = &plan->steps[i];
        if (!s->dry_run && s->verb != WIRE_VERB_STOP && !message_keeper(m)->options->dry_run) {
            add_step(m, &parts, s);
        }
    }
    state_plan(message_keeper(m)->state,
               &(struct state_plan){
                   .row = m->row, .as_own = m->own,
                   .identity = identity, .skip_if_handled = identity_may_be_handled(m, plan, identity),
                   .meta = m->message_id, .meta_len = m->message_id ? strlen(m->message_id) : 0,
                   .steps = (const struct state_step *)(void *)parts.steps->data, .n_steps = parts.steps->len,
                   .deliveries = (const struct state_delivery *)(void *)parts.deliveries->data,
                   .n_deliveries = parts.deliveries->len},
               planned, m);
    g_array_free(parts.steps, TRUE);
    g_array_free(parts.deliveries, TRUE);
    g_ptr_array_free(parts.args, TRUE);
    g_ptr_array_free(parts.effects, TRUE);
}

static void on_plan(void *user, wire_message *w) {
    struct message *m = user;
    error *over = limit_check(message_keeper(m), &w->u.plan);

    m->job = 0;
    if (over) {
        message_park(m, over);
        error_free(over);
        wire_message_free(w);
        return;
    }
    store_plan(m, w);
}

void message_gone(struct message *m) {
    log_ctx log = message_log(m);

    log_info(&log, "is gone: somebody else was faster");
    state_plan(message_keeper(m)->state, &(struct state_plan){.row = m->row, .as_own = m->own}, NULL, NULL);
    message_free(m);
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void act(struct message *m, uint32_t seq) {
    const wire_step *step = seq && seq <= m->steps->len ? m->steps->pdata[seq - 1] : NULL;

    if (!step || step->verb == WIRE_VERB_POST) {
        message_free(m); /* the outbox goes on with it */
        return;
    }
    if (m->stage != MESSAGE_ACTING) {
        set_stage(m, MESSAGE_ACTING);
    }
    if (m->item.seq != seq) {
        m->item = (action_item){.row = m->row, .seq = seq, .uid = m->uid};
    }
    m->item.step = step;
    m->item.message_id = m->message_id;
    m->item.user = m;
    action_queue_add(m->folder->actions, &m->item);
    watcher_nudge(m->folder->watcher); /* behind the queue's turn: IDLE goes out with the command */
}

void message_finished(void *folder, action_item *item, const action_outcome *outcome) {
    struct message *m = item->user;
    log_ctx log = message_log(m);

    log.rule = item->step->rule;
    if (outcome->waits) {
        folder_resume_in(m->folder, outcome->delay_ms);
        message_free(m);
        return;
    }
    if (!outcome->err) {
        if (outcome->gone) {
            log_info(&log, "%s: the message is gone", wire_verb_name(item->step->verb));
        } else {
            backoff_healthy(&m->folder->watcher->backoff); /* a connection that gets work done is no storm of logins */
        }
        if (!outcome->gone && step_takes_away(item->step)) {
            roll_taken(m->folder);
        }
        go_on(m, &outcome->row);
        return;
    }
    if (outcome->err->retry == ERROR_RETRY_NEVER || item->tries + 1 >= STEP_TRIES) {
        error *err = error_prefix(error_copy(outcome->err), "%s", wire_verb_name(item->step->verb));
        error_at(err, NULL, NULL, 0, item->step->rule);
        message_park(m, err);
        error_free(err);
        return;
    }
    log_warn(&log, "%s: %s; again in %us", wire_verb_name(item->step->verb), outcome->err->text,
             (unsigned)(outcome->delay_ms / 1000));
    message_keeper(m)->failures++;
    folder_resume_in(m->folder, outcome->delay_ms);
    message_free(m);
}

void message_continue(struct message *m, const struct state_message *stored) {
    const struct state_step_info *open = NULL;

    m->message_id = stored->meta_len ? g_strndup(stored->meta, stored->meta_len) : NULL;
    m->steps = g_ptr_array_new();
    m->owners = g_ptr_array_new_with_free_func(free_owner);
    for (size_t i = 0; i < stored->n_steps; i++) {
        wire_message *w = step_decode(stored->steps[i].args, stored->steps[i].args_len);
        g_ptr_array_add(m->owners, w);
        g_ptr_array_add(m->steps, w ? &w->u.plan.steps[0] : NULL);
        if (!open && stored->steps[i].state != STATE_STEP_DONE) {
            open = &stored->steps[i];
        }
    }
    if (!open || open->seq > m->steps->len || !m->steps->pdata[open->seq - 1]) {
        g_autoptr(error) err = error_new(ERROR_STATE, "the journal's steps of this message cannot be read");
        message_park(m, err);
        return;
    }
    m->item = (action_item){.row = m->row, .seq = open->seq, .uid = m->uid, .tries = open->attempts};
    m->item.maybe_done = open->state == STATE_STEP_BEGUN || open->state == STATE_STEP_PENDING;
    m->item.unanswered = open->state == STATE_STEP_BEGUN;
    m->item.note_len = MIN(open->note_len, sizeof m->item.note);
    if (m->item.note_len) {
        memcpy(m->item.note, open->note, m->item.note_len);
    }
    act(m, open->seq);
}
