/*
 * One message from its row in the journal to its last step. Every change of stage goes through set_stage().
 *
 *     ARRIVING -> EVALUATING -> PLANNING -> ACTING -> (done)          FETCHING -> EVALUATING: taken up again
 *
 * A message that waits (for a webhook, for a failed step's delay) is not kept in memory: the journal has it.
 */
#include "daemon_priv.h"
#include "remains_priv.h"


#include <string.h>

/* Pauses after "not now". */
#define PUT_OFF_MS UINT64_C(10000)
#define PUT_OFF_MAX_MS UINT64_C(900000)
/* Failures of one step before its message is parked: about five hours. */
#define STEP_TRIES 6
/* Deliveries of one mail within this time are copies, not the same message again. */
#define TWINS_MS 30000
#define RECENT_MIN 64 /* from so many on, and at twice as many each time, those past it are looked for */
/* Octets that the names of header fields must leave for UIDs in a command. */
#define FIELDS_ROOM 200

static const char *const stage_names[MESSAGE_STAGES] = {"arriving", "fetching", "evaluating", "planning", "acting"};

const char *message_stage_name(enum message_stage stage) {
    return stage_names[stage];
}

static log_ctx log_of(const struct message *m) {
    log_ctx log = m->folder->log;

    log.group = "message";
    log.uid = m->uid;
    return log;
}

static void set_stage(struct message *m, enum message_stage stage) {
    log_ctx log = log_of(m);

    log_debug(&log, "%s -> %s", stage_names[m->stage], stage_names[stage]);
    m->folder->undecided += (stage != MESSAGE_ACTING) - (m->stage != MESSAGE_ACTING);
    m->stage = stage;
}

static struct keeper *keeper_of(const struct message *m) {
    return m->folder->account->keeper;
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
        pool_cancel(keeper_of(m)->pool, m->job);
    }
    state_cancel(keeper_of(m)->state, m);
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

/* --- what is fetched ---------------------------------------------------------------------------------------------------- */

static const wire_scope_reply *scope_of(const struct folder *f, enum wire_event event, const char *const **fields_out) {
    *fields_out = (const char *const *)f->scope_fields;
    return event == WIRE_EVENT_NEW ? &f->scope->u.scope_reply : changes_scope(f, event, fields_out);
}

const imap_fetch_want *message_want(struct folder *f, enum wire_event event) {
    const char *const *fields;
    const wire_scope_reply *scope = scope_of(f, event, &fields);
    const session_info *info = session_info_get(f->watcher->session);

    f->want = (imap_fetch_want){.items = IMAP_WANT_FLAGS | IMAP_WANT_DATE | IMAP_WANT_SIZE};
    if (!scope || !scope->rules) {
        f->want.sections = changes_message_id();
        f->want.section_count = changes_want_gone(f);
        return &f->want;
    }
    if (info && imap_can(info->caps, IMAP_CAP_OBJECTID)) {
        f->want.items |= IMAP_WANT_EMAIL_ID;
    } else if (info && imap_can(info->caps, IMAP_CAP_X_GM_EXT_1)) {
        f->want.items |= IMAP_WANT_GM_MSGID;
    }
    f->want_section = (imap_section_want){.kind = IMAP_SECTION_HEADER};
    if (scope->level <= WIRE_LEVEL_FIELDS && scope->fields.n) {
        f->want_section.kind = IMAP_SECTION_FIELDS;
        f->want_section.fields = fields;
    }
    f->want.sections = &f->want_section;
    f->want.section_count = 1;
    if (f->watcher->session && session_fetch_room(f->watcher->session, &f->want) < FIELDS_ROOM) {
        f->want_section = (imap_section_want){.kind = IMAP_SECTION_HEADER}; /* so many names leave none for UIDs */
    }
    return &f->want;
}

static wire_strings words(wire_message *w, const char *text) {
    g_auto(GStrv) list = g_strsplit(text ? text : "", " ", -1);
    wire_strings out = {0};

    for (size_t i = 0; list[i]; i++) {
        if (*list[i] && g_utf8_validate(list[i], -1, NULL)) {
            wire_strings_add(w, &out, list[i]);
        }
    }
    return out;
}

static void fill_flags(wire_message *w, const imap_fetch *fetch) {
    for (size_t i = 0; i < fetch->flags.all.count; i++) {
        char *flag = imap_str_dup(fetch->flags.all.at[i]);
        if (flag && g_utf8_validate(flag, -1, NULL)) {
            wire_strings_add(w, &w->u.eval.flags, flag);
        }
        g_free(flag);
    }
}

static void fill_object_id(wire_message *w, const imap_fetch *fetch) {
    char text[32];

    if ((fetch->have & IMAP_HAVE_EMAIL_ID) && fetch->email_id.data) {
        w->u.eval.object_id = wire_strn(w, fetch->email_id.data, fetch->email_id.len);
    } else if (fetch->have & IMAP_HAVE_GM_MSGID) {
        g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, fetch->gm_msgid);
        w->u.eval.object_id = wire_str(w, text);
    }
}

static wire_message *eval_new(struct message *m) {
    struct folder *f = m->folder;
    wire_message *w = wire_message_new(WIRE_EVAL);
    wire_eval *e = &w->u.eval;

    e->account = wire_str(w, f->account->name);
    g_autofree char *written = mailboxes_written(f->account->boxes, f->name);
    e->folder = wire_str(w, written);
    e->server_folder = wire_str(w, f->name);
    for (unsigned i = 0; f->roles[i]; i++) {
        wire_strings_add(w, &e->roles, f->roles[i]);
    }
    e->delimiter = mailboxes_delimiter(f->account->boxes);
    e->uid = m->uid;
    e->uidvalidity = m->uidvalidity;
    e->dry_run = keeper_of(m)->options->dry_run;
    e->event = m->event;
    e->event_id = wire_str(w, m->event_id);
    e->flags = words(w, m->flags);
    e->flags_added = words(w, m->flags_added);
    e->flags_removed = words(w, m->flags_removed);
    return w;
}

void message_fill_remains(struct message *m, const char *message_id) {
    wire_message *w = eval_new(m);
    g_autofree char *text = remains_of(message_id);

    w->u.eval.level = WIRE_LEVEL_RAW; /* there is no more */
    w->u.eval.data = wire_copy(w, text, strlen(text));
    wire_message_free(m->eval);
    m->eval = w;
}

void message_fill(struct message *m, const imap_fetch *fetch) {
    struct folder *f = m->folder;
    const char *const *ignored;
    const wire_scope_reply *scope = scope_of(f, m->event, &ignored);
    enum imap_section_kind kind =
        scope && scope->level <= WIRE_LEVEL_FIELDS && scope->fields.n ? IMAP_SECTION_FIELDS : IMAP_SECTION_HEADER;
    wire_message *w = eval_new(m);
    wire_eval *e = &w->u.eval;
    const imap_section *section;

    e->size = fetch->size;
    e->internaldate = (fetch->have & IMAP_HAVE_DATE) ? fetch->date : 0;
    if (m->event == WIRE_EVENT_NEW) {
        fill_flags(w, fetch);
    }
    fill_object_id(w, fetch);
    e->level = kind == IMAP_SECTION_FIELDS ? WIRE_LEVEL_FIELDS : WIRE_LEVEL_HEADER;
    if (e->level == WIRE_LEVEL_FIELDS) {
        e->fields = wire_strv(w, (const char *const *)scope->fields.v, scope->fields.n);
    }
    section = imap_fetch_section(fetch, "", kind);
    if (section && section->data.data) {
        e->data = wire_copy(w, section->data.data, section->data.len);
    } else {
        e->level = WIRE_LEVEL_NOTHING;
    }
    wire_message_free(m->eval);
    m->eval = w;
}

/* --- evaluation ------------------------------------------------------------------------------------------------------------ */

static void on_need(void *user, wire_message *need) {
    need_serve(user, need);
}

static void on_fail(void *user, wire_message *fail) {
    struct message *m = user;
    const wire_rule_error *e = &fail->u.fail.error;
    log_ctx log = log_of(m);
    error *err;

    m->job = 0;
    log.rule = e->rule;
    if (e->place.file) {
        err = error_new(ERROR_RULE, "%s:%u: %s", e->place.file, e->place.line, e->text ? e->text : "failed");
    } else {
        err = error_new(ERROR_RULE, "%s", e->text ? e->text : "failed");
    }
    if (e->traceback) {
        log_debug(&log, "%s", e->traceback);
    }
    error_at(err, NULL, NULL, 0, e->rule);
    message_park(m, err);
    error_free(err);
    wire_message_free(fail);
}

static void faulted(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct message *m = user;
    uint32_t limit = keeper_config(keeper_of(m))->limits.attempts;

    if (!err && n && rows[0].faults >= limit) {
        g_autoptr(error) why = error_new(ERROR_DEADLINE, "%s", m->blame);
        error_at(why, NULL, NULL, 0, m->blamed_rule);
        message_park(m, why);
        return;
    }
    folder_resume_in(m->folder, n ? UINT64_C(500) << (2 * MIN(rows[0].faults, 6)) : 5000);
    message_free(m);
}

static void on_died(void *user, const pool_death *death) {
    struct message *m = user;
    log_ctx log = log_of(m);

    m->job = 0;
    log.rule = death->rule;
    g_free(m->blame);
    g_free(m->blamed_rule);
    m->blamed_rule = g_strdup(death->rule);
    if (death->place.file) {
        m->blame = g_strdup_printf("%s:%u: %s", death->place.file, death->place.line, death->reason);
    } else {
        m->blame = g_strdup_printf("reading the message: %s", death->reason);
    }
    log_warn(&log, "attempt %u: %s", m->attempts, m->blame);
    state_fault(keeper_of(m)->state, m->row, faulted, m);
}

static void on_plan(void *user, wire_message *plan);

void message_evaluate(struct message *m) {
    static const pool_job_events events = {on_need, on_plan, on_fail, on_died};
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
    error *err = pool_submit(keeper_of(m)->pool, eval, m->attempts, &events, m, &m->job);
    if (err) {
        message_park(m, err);
        error_free(err);
    }
}

/* --- the plan ---------------------------------------------------------------------------------------------------------------- */

/* What the message's log line says; steps on trial are logged one by one and left out of the plan. */
static void log_plan(const struct message *m, const wire_plan *plan) {
    GString *text = g_string_new(NULL);
    log_ctx log = log_of(m);
    bool dry = keeper_of(m)->options->dry_run;

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
        outbox_kick(keeper_of(m)->outbox, row->due_webhook);
    }
    if (row->gone || row->stage != STATE_PLANNED || row->waiting || !row->next_seq) {
        message_free(m);
    } else {
        act(m, row->next_seq);
    }
}

static void planned(void *user, const error *err, const struct state_planned *p) {
    struct message *m = user;
    log_ctx log = log_of(m);

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
        resume_rows(keeper_of(m), &p->earlier, 1);
        break;
    case STATE_PLAN_OWN:
        folder_resume_in(m->folder, 0);
        break;
    case STATE_PLAN_GONE:
        break;
    }
    message_free(m);
}

/* A mail that has just had its plan. */
struct recent {
    uint64_t when;
    uint32_t uid;
    uint64_t others; /* messages that others had taken away by then, as far as it is not known which */
    bool taken;      /* the plan takes it out of the folder */
};

static bool takes_away(const wire_plan *plan) {
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (step_takes_away(&plan->steps[i])) {
            return true;
        }
    }
    return false;
}

static gboolean is_past(gpointer key, gpointer value, gpointer now) {
    const struct recent *mail = value;

    (void)key;
    return *(const uint64_t *)now - mail->when >= TWINS_MS;
}

static void forget_past(GHashTable *recent, uint64_t now) {
    guint n = g_hash_table_size(recent);

    if (n >= RECENT_MIN && !(n & (n - 1))) {
        g_hash_table_foreach_remove(recent, is_past, &now);
    }
}

/*
 * The same mail under another UID was handled before: a server that gave it a new UID, or a person who dragged it back.
 * Two copies that were delivered at the same time (to an alias too) are not that: each is handled. But a copy that comes
 * when the one before it has gone, and not by us, is the same message edited in place (MS-STANXIMAP section 2.1.3).
 */
static bool may_be_handled(struct message *m, const wire_plan *plan, const char *identity) {
    struct folder *f = m->folder;
    struct recent *before, now = {.when = loop_now(keeper_of(m)->loop), .uid = m->uid, .others = roll_others(f)};

    if (!identity) {
        return false;
    }
    forget_past(f->recent, now.when);
    before = g_hash_table_lookup(f->recent, identity);
    bool twin = before && now.when - before->when < TWINS_MS;
    if (twin && !before->taken) {
        twin = roll_has(f, before->uid) && now.others == before->others;
    }
    now.taken = takes_away(plan);
    g_hash_table_insert(f->recent, g_strdup(identity), g_memdup2(&now, sizeof now));
    return !twin;
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
    /* The ledger is of mail that arrived: what happens to it later is told as often as it happens. */
    const char *identity = m->event == WIRE_EVENT_NEW ? plan->identity : NULL;

    set_stage(m, MESSAGE_PLANNING);
    log_plan(m, plan);
    g_free(m->message_id);
    m->message_id = g_strdup(plan->message_id);
    keep_steps(m, w);
    for (size_t i = 0; i < plan->n_steps; i++) {
        const wire_step *s = &plan->steps[i];
        if (!s->dry_run && s->verb != WIRE_VERB_STOP && !keeper_of(m)->options->dry_run) {
            add_step(m, &parts, s);
        }
    }
    state_plan(keeper_of(m)->state,
               &(struct state_plan){
                   .row = m->row, .identity = identity, .skip_if_handled = may_be_handled(m, plan, identity), .as_own = m->own,
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
    error *over = limit_check(keeper_of(m), &w->u.plan);

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
    log_ctx log = log_of(m);

    log_info(&log, "is gone: somebody else was faster");
    state_plan(keeper_of(m)->state, &(struct state_plan){.row = m->row, .as_own = m->own}, NULL, NULL);
    message_free(m);
}

void message_put_off(struct message *m, enum delivery_kind kind, uint64_t hint_ms) {
    struct folder *f = m->folder;
    uint64_t pause = MIN(PUT_OFF_MS << MIN(f->deliveries[kind].put_offs, 10), PUT_OFF_MAX_MS);

    if (f->deliveries[kind].delivered) {
        f->deliveries[kind].delivered = false; /* others are delivered: it may be this one */
    } else {
        state_unattempt(keeper_of(m)->state, &m->row, 1, NULL, NULL);
    }
    f->deliveries[kind].put_offs++;
    folder_resume_in(f, MAX(hint_ms, pause));
    message_free(m);
}

/* --- steps ---------------------------------------------------------------------------------------------------------------------- */

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
    log_ctx log = log_of(m);

    log.rule = item->step->rule;
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
    keeper_of(m)->failures++;
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
    m->item.note_len = MIN(open->note_len, sizeof m->item.note);
    if (m->item.note_len) {
        memcpy(m->item.note, open->note, m->item.note_len);
    }
    act(m, open->seq);
}

/* --- quarantine --------------------------------------------------------------------------------------------------------------------- */

void message_park(struct message *m, const error *err) {
    log_ctx log = log_of(m);

    log.rule = err->rule;
    log_error(&log, "parked: %s (see `mailruled queue`; `mailruled retry` tries again)", err->text);
    keeper_of(m)->failures++;
    state_park(keeper_of(m)->state, m->row, err, NULL, NULL);
    message_free(m);
}
