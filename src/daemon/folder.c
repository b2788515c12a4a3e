#include "daemon_priv.h"

#include "imap/mailbox.h"

static void on_resume(void *user);

static void reselected(void *user, const session_result *result) {
    folder_selected(user, result);
}

/* From so many undecided messages on, actions wait for each other. */
#define BACKLOG 50

static bool more_to_come(void *user) {
    const struct folder *f = user;

    return f->undecided >= BACKLOG;
}

static void set_roles(struct folder *f, uint32_t attrs) {
    unsigned n = 0;

    for (uint32_t bit = 1; bit && n < G_N_ELEMENTS(f->roles) - 1; bit <<= 1) {
        if ((attrs & bit & IMAP_ATTR_SPECIAL_USE) && imap_special_use_name(bit)) {
            f->roles[n++] = imap_special_use_name(bit);
        }
    }
}

struct folder *folder_new(struct account *a, struct watcher *w, const char *name, uint32_t attrs) {
    struct folder *f = g_new0(struct folder, 1);

    f->account = a;
    f->watcher = w;
    f->name = g_strdup(name);
    f->log = a->log;
    f->log.folder = f->name;
    set_roles(f, attrs);
    f->by_uid = g_hash_table_new(g_int64_hash, g_int64_equal);
    f->roll = roll_new(f);
    f->needs = g_ptr_array_new();
    f->refetches = g_ptr_array_new();
    f->recent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    f->resume = loop_timer_new(a->keeper->loop, on_resume, f);
    f->actions = action_queue_new(&(action_env){
        .loop = a->keeper->loop, .state = a->keeper->state, .mailboxes = a->boxes, .log = f->log, .folder = f->name,
        .allow_expunge = a->config->allow_expunge, .more = more_to_come, .finished = message_finished,
        .reselected = reselected, .applied = changes_applied, .user = f,
    });
    return f;
}

void folder_drop_messages(struct folder *f) {
    GHashTableIter iter;
    gpointer m;

    for (;;) {
        g_hash_table_iter_init(&iter, f->by_uid);
        if (!g_hash_table_iter_next(&iter, NULL, &m)) {
            break;
        }
        message_free(m);
    }
}

void folder_free(struct folder *f) {
    if (!f) {
        return;
    }
    look_cancel(f);
    roll_free(f->roll);
    changes_free(f->changes);
    if (f->scope_job) {
        pool_cancel(f->account->keeper->pool, f->scope_job);
    }
    state_cancel(f->account->keeper->state, f);
    folder_drop_messages(f);
    need_drop_all(f);
    resume_drop_all(f);
    action_queue_free(f->actions);
    loop_timer_free(f->resume);
    loop_timer_free(f->lull);
    g_hash_table_destroy(f->by_uid);
    g_ptr_array_free(f->needs, TRUE);
    g_ptr_array_free(f->refetches, TRUE);
    g_hash_table_destroy(f->recent);
    wire_message_free(f->scope);
    g_free(f->scope_fields);
    g_free(f->trouble);
    g_free(f->name);
    g_free(f);
}

session *folder_session(const struct folder *f) {
    return f->selected ? f->watcher->session : NULL;
}

void folder_delivered(struct folder *f, enum delivery_kind kind) {
    f->deliveries[kind].delivered = true;
    f->deliveries[kind].put_offs = 0;
}

void folder_set_trouble(struct folder *f, const error *err) {
    g_free(f->trouble);
    f->trouble = err ? g_strdup(err->text) : NULL;
}

void folder_proved(struct folder *f) {
    if (roll_doubts(f)) {
        return;
    }
    f->last_proof = loop_now(f->account->keeper->loop);
    if (!f->seen_once) {
        f->seen_once = true;
        log_info(&f->log, "watching");
    }
}

bool folder_about_to_act(const struct folder *f) {
    return f->look || f->undecided || action_queue_waiting(f->actions);
}

/*
 * Work that needs the connection, or soon will: a rotating connection stays as long. Where there is no room for what is
 * to be resumed it does not: what takes the room may wait for the connection.
 */
bool folder_busy(const struct folder *f) {
    bool resuming = f->resuming || (!f->resumed && account_has_room(f->account));

    return f->look || f->starved || roll_busy(f) || resuming || f->settling || !f->scope || !f->cursor_known ||
           f->needs->len || g_hash_table_size(f->by_uid) || action_queue_length(f->actions);
}

bool folder_engaged(const struct folder *f) {
    return f->selected || f->look || f->resuming || f->settling || f->needs->len || f->refetches->len ||
           roll_busy(f) || changes_busy(f) || g_hash_table_size(f->by_uid) || action_queue_length(f->actions);
}

/* --- selecting ---------------------------------------------------------------------------------------------------- */

static void selected(void *user, const session_result *result) {
    struct folder *f = user;

    if (f->watcher->at != f) {
        return;
    }
    folder_selected(f, result);
}

void folder_select(struct folder *f) {
    imap_select_options options = {0};

    session_select(f->watcher->session, f->name, false, &options, &(session_call){.done = selected, .user = f});
}

void folder_not_there(struct folder *f) {
    f->missing = true;
    f->appeared = clock_wall_ms(f->account->keeper->clock) / 1000;
}

void folder_selected(struct folder *f, const session_result *result) {
    if (result->err) {
        folder_set_trouble(f, result->err);
        if (result->answered) {
            if (!f->missing) {
                log_warn(&f->log, "cannot be selected: %s", result->err->text);
            }
            folder_not_there(f);
            folder_unselected(f);
            watcher_nudge(f->watcher);
        }
        return;
    }
    folder_set_trouble(f, NULL);
    f->account->auth_failures = 0; /* not at the login: Exchange lets in whom it then refuses */
    f->missing = false;
    f->selected = true;
    f->read_only = result->folder->read_only;
    f->uidvalidity = result->folder->uidvalidity;
    changes_selected(f);
    if (f->read_only) {
        log_warn(&f->log, "is read-only here: actions on its messages will fail");
    }
    if (!f->uidvalidity) {
        log_warn(&f->log, "has no UIDVALIDITY: nothing can be remembered about it, so it is not watched");
        f->missing = true;
        return;
    }
    push_selected(f);
    watcher_hold(f->watcher);
    folder_advance(f);
}

void folder_unselected(struct folder *f) {
    f->selected = false;
    look_cancel(f);
    roll_cancel(f);
    action_queue_detach(f->actions);
}

/* --- what the session tells by itself ----------------------------------------------------------------------------- */

static bool is_here(const struct folder *f) {
    const session_folder *now = folder_session(f) ? session_selected(folder_session(f)) : NULL;

    return now && f->cursor_known && f->cursor.uidvalidity == now->uidvalidity &&
           imap_mailbox_equal(now->name, f->name);
}

void folder_news(struct folder *f, const imap_fetch *fetch) {
    if (is_here(f)) {
        changes_fetch(f, fetch);
    }
}

void folder_gone(struct folder *f, imap_ranges uids) {
    if (is_here(f)) {
        roll_gone(f, uids);
    }
}

bool folder_fits(struct folder *f, const imap_status *s) {
    return !changes_undecided(f) && f->cursor_known && f->cursor.uidvalidity && (s->have & IMAP_STATUS_UIDNEXT) &&
           s->uidnext <= f->cursor.last_uid + 1 &&
           (!(s->have & IMAP_STATUS_UIDVALIDITY) || s->uidvalidity == f->cursor.uidvalidity) &&
           (!(s->have & IMAP_STATUS_MESSAGES) || roll_told(f, s->messages)) && changes_fit(f, s);
}

struct message *folder_message(const struct folder *f, enum wire_event event, uint32_t uid) {
    gint64 key = (gint64)event << 32 | uid;

    return g_hash_table_lookup(f->by_uid, &key);
}

/* --- scope and cursor --------------------------------------------------------------------------------------------- */

const char **folder_scope_fields(const wire_scope_reply *scope) {
    const char **fields = g_new0(const char *, scope->fields.n + 1);

    for (size_t i = 0; i < scope->fields.n; i++) {
        fields[i] = scope->fields.v[i];
    }
    return fields;
}

static void scope_known(void *user, wire_message *reply) {
    struct folder *f = user;

    f->scope_job = 0;
    if (!reply) {
        folder_resume_in(f, FOLDER_RETRY_MS);
        return;
    }
    wire_message_free(f->scope);
    f->scope = reply;
    f->scopes++;
    g_free(f->scope_fields);
    f->scope_fields = folder_scope_fields(&reply->u.scope_reply);
    folder_advance(f);
}

void folder_ask_scope(struct folder *f, enum wire_event event, pool_scope_fn done, void *user, uint64_t *job_out) {
    wire_message *m = wire_message_new(WIRE_SCOPE);
    g_autofree char *written = mailboxes_written(f->account->boxes, f->name);

    m->u.scope.account = wire_str(m, f->account->name);
    m->u.scope.folder = wire_str(m, written);
    m->u.scope.server_folder = wire_str(m, f->name);
    for (unsigned i = 0; f->roles[i]; i++) {
        wire_strings_add(m, &m->u.scope.roles, f->roles[i]);
    }
    m->u.scope.event = event;
    error *err = pool_scope(f->account->keeper->pool, m, done, user, job_out);
    if (err) {
        log_error_value(&f->log, LOG_LEVEL_ERROR, err);
        error_free(err);
    }
}

void folder_rescope(struct folder *f) {
    if (f->scope_job) {
        pool_cancel(f->account->keeper->pool, f->scope_job);
        f->scope_job = 0;
    }
    wire_message_free(f->scope);
    f->scope = NULL;
    g_clear_pointer(&f->scope_fields, g_free);
    look_cancel(f);
    changes_rescope(f);
    folder_advance(f);
}

static void cursor_loaded(void *user, const error *err, const struct state_cursor *cursor) {
    struct folder *f = user;

    f->cursor_asked = false;
    if (err) {
        log_error_value(&f->log, LOG_LEVEL_ERROR, err);
        folder_resume_in(f, 10000);
        return;
    }
    f->cursor_known = true;
    roll_reset(f);
    f->cursor = cursor ? *cursor : (struct state_cursor){0};
    folder_advance(f);
}

void folder_advance(struct folder *f) {
    struct keeper *k = f->account->keeper;

    if (!f->selected || k->stopping) {
        return;
    }
    if (!f->scope) {
        if (!f->scope_job) {
            folder_ask_scope(f, WIRE_EVENT_NEW, scope_known, f, &f->scope_job);
        }
        return;
    }
    if (!f->cursor_known) {
        if (!f->cursor_asked) {
            f->cursor_asked = true;
            state_cursor_load(k->state, f->account->name, f->name, cursor_loaded, f);
        }
        return;
    }
    if (f->cursor.uidvalidity != f->uidvalidity) {
        validity_settle(f);
        return;
    }
    if (!roll_ready(f) || !changes_ready(f)) {
        return;
    }
    action_queue_attach(f->actions, f->watcher->session, f->uidvalidity);
    need_resume(f);
    if (!f->resumed && !f->resuming) {
        resume_start(f);
    }
    look_start(f, false);
}

/* --- due again ---------------------------------------------------------------------------------------------------- */

static void on_resume(void *user) {
    struct folder *f = user;

    if (!f->selected || !f->scope || !f->cursor_known || !roll_ready(f) || !changes_ready(f)) {
        f->resumed = false;
        f->dirty = true;
        folder_advance(f);
        watcher_nudge(f->watcher);
    } else if (!f->resuming) {
        resume_start(f);
        if (f->look_again && !f->look) { /* the last one failed */
            f->look_again = false;
            look_start(f, true);
        }
    }
}

void folder_resume_in(struct folder *f, uint64_t delay_ms) {
    loop_timer_start_within(f->resume, delay_ms);
}
