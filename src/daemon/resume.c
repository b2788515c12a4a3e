/*
 * What the journal says is not finished goes on: after a restart, after a failure's delay, after a webhook's
 * acceptance. Messages without a plan are fetched again, each hand-over counted before it happens; plans go on at their
 * first open step. What somebody changed (changes.c) is such a row from the start.
 */
#include "daemon_priv.h"

#include <string.h>

#define PAGE 100
/* Hand-overs without an answer, as crashes of the whole machine leave them behind: no proof against the message. */
#define HANDOVERS_MAX 10

/* Of one kind of event. Messages that are gone are not fetched. */
struct refetch {
    struct folder *folder;
    enum wire_event event;
    imap_set uids;
    int64_t *rows;
    size_t n;
};

static struct message *by_uid(const struct refetch *r, uint32_t uid) {
    return folder_message(r->folder, r->event, uid);
}

static void refetch_free(struct refetch *r) {
    g_ptr_array_remove(r->folder->refetches, r);
    state_cancel(r->folder->account->keeper->state, r);
    imap_set_release(&r->uids);
    g_free(r->rows);
    g_free(r);
}

/* --- fetched again ------------------------------------------------------------------------------------------------ */

static void delivered(void *user, const imap_response *response) {
    struct refetch *r = user;
    struct message *m = response->kind == IMAP_FETCH ? by_uid(r, response->fetch.uid) : NULL;

    if (m && m->stage == MESSAGE_FETCHING) {
        folder_delivered(r->folder, DELIVERY_HEADER);
        message_fill(m, &response->fetch);
        message_evaluate(m);
    }
}

/* What is still FETCHING was not delivered. */
static void verified(void *user, const session_result *result) {
    struct refetch *r = user;
    struct folder *f = r->folder;

    for (uint32_t uid = imap_set_next(&r->uids, 0); uid; uid = imap_set_next(&r->uids, uid)) {
        struct message *m = by_uid(r, uid);
        if (!m || m->stage != MESSAGE_FETCHING) {
            continue;
        }
        if (result->err || !result->found_whole) {
            message_free(m);
            folder_resume_in(f, 10000);
        } else if (!imap_set_contains(result->found, uid)) {
            message_gone(m);
        } else if (m->attempts >= keeper_config(f->account->keeper)->limits.attempts) {
            g_autoptr(error) err = error_new(ERROR_REFUSED, "the server lists this message but does not deliver it");
            message_park(m, err);
        } else {
            folder_resume_in(f, 15000 * (uint64_t)m->attempts);
            message_free(m);
        }
    }
    refetch_free(r);
}

/* "Not now" says nothing about these messages. */
static void put_off(struct refetch *r, uint64_t hint_ms) {
    for (uint32_t uid = imap_set_next(&r->uids, 0); uid; uid = imap_set_next(&r->uids, uid)) {
        message_put_off(by_uid(r, uid), DELIVERY_HEADER, hint_ms);
    }
    refetch_free(r);
}

static void fetched(void *user, const session_result *result) {
    struct refetch *r = user;
    struct folder *f = r->folder;
    imap_set left = IMAP_SET_INIT;

    for (uint32_t uid = imap_set_next(&r->uids, 0); uid; uid = imap_set_next(&r->uids, uid)) {
        struct message *m = by_uid(r, uid);
        if (m && m->stage == MESSAGE_FETCHING) {
            imap_set_add(&left, uid);
        }
    }
    imap_set_release(&r->uids);
    r->uids = left;
    if (imap_set_is_empty(&r->uids)) {
        refetch_free(r);
    } else if (result->err && result->err->code == ERROR_BUSY) {
        put_off(r, result->err->retry_after_ms);
    } else if (!folder_session(f) || (result->err && !result->answered)) {
        verified(r, &(session_result){.err = result->err});
    } else {
        session_search(folder_session(f), &(imap_search_want){.uids = &r->uids},
                       &(session_call){.done = verified, .user = r, .uidvalidity = f->uidvalidity});
    }
}

static void park_suspect(struct message *m, const struct state_row *row) {
    g_autoptr(error) err = row->faults
                               ? error_new(ERROR_DEADLINE, "handed to an evaluator %u times, which ended it %u times",
                                           row->attempts, row->faults)
                               : error_new(ERROR_REFUSED, "tried %u times, which came to nothing", row->attempts);

    message_park(m, err);
}

static void evaluate_all(struct refetch *r) {
    for (uint32_t uid = imap_set_next(&r->uids, 0); uid; uid = imap_set_next(&r->uids, uid)) {
        struct message *m = by_uid(r, uid);
        if (m && m->stage == MESSAGE_FETCHING) {
            message_evaluate(m);
        }
    }
    refetch_free(r);
}

static void attempt_counted(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct refetch *r = user;
    struct folder *f = r->folder;
    uint32_t attempts = keeper_config(f->account->keeper)->limits.attempts;

    for (size_t i = 0; i < n; i++) {
        for (uint32_t uid = imap_set_next(&r->uids, 0); uid; uid = imap_set_next(&r->uids, uid)) {
            struct message *m = by_uid(r, uid);
            if (!m || m->row != rows[i].row) {
                continue;
            }
            m->attempts = rows[i].attempts;
            if (rows[i].gone || rows[i].stage != STATE_PENDING) {
                message_free(m);
            } else if (rows[i].faults >= attempts || rows[i].attempts > HANDOVERS_MAX) {
                park_suspect(m, &rows[i]);
            } else {
                continue;
            }
            imap_set_remove_range(&r->uids, uid, uid);
        }
    }
    if (imap_set_is_empty(&r->uids)) {
        refetch_free(r);
    } else if (!err && r->event == WIRE_EVENT_GONE) {
        evaluate_all(r);
    } else if (err || !folder_session(f)) {
        fetched(r, &(session_result){.err = NULL});
    } else {
        session_fetch(folder_session(f), &r->uids, message_want(f, r->event),
                      &(session_call){.done = fetched, .data = delivered, .user = r, .uidvalidity = f->uidvalidity});
    }
}

/* --- from the journal --------------------------------------------------------------------------------------------- */

static enum wire_event event_of(const struct state_message *stored) {
    return strcmp(stored->event, "flags") == 0  ? WIRE_EVENT_FLAGS
           : strcmp(stored->event, "gone") == 0 ? WIRE_EVENT_GONE
                                                : WIRE_EVENT_NEW;
}

static void describe(struct message *m, const struct state_message *stored) {
    m->row = stored->row;
    m->own = stored->own;
    m->attempts = stored->attempts;
    m->uidvalidity = stored->uidvalidity;
    if (m->event == WIRE_EVENT_NEW) {
        return;
    }
    m->flags = g_strdup(stored->flags);
    m->flags_added = g_strdup(stored->added);
    m->flags_removed = g_strdup(stored->removed);
    m->event_id = g_strdup_printf("%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, stored->event, stored->row,
                                  stored->arrived_at);
}

/* True if it must be evaluated again. */
static bool take_up(struct folder *f, const struct state_message *stored) {
    int64_t now = clock_wall_ms(f->account->keeper->clock);
    enum wire_event event = event_of(stored);
    struct message *m = folder_message(f, event, stored->uid);

    if (stored->rekey || (stored->uidvalidity != f->uidvalidity && event != WIRE_EVENT_GONE)) {
        return false;
    }
    if (m) {
        m->followed |= m->row != stored->row; /* another change of the same message: when this one is through */
        return false;
    }
    if (stored->next_at > now) {
        folder_resume_in(f, (uint64_t)(stored->next_at - now));
        return false;
    }
    m = message_new(f, event, stored->uid);
    describe(m, stored);
    if (stored->stage == STATE_PLANNED) {
        message_continue(m, stored);
        return false;
    }
    m->stage = MESSAGE_FETCHING;
    if (event == WIRE_EVENT_GONE) {
        g_autofree char *id = stored->meta_len ? g_strndup(stored->meta, stored->meta_len) : NULL;
        message_fill_remains(m, id);
    }
    return true;
}

static struct refetch *refetch_new(struct folder *f, enum wire_event event, size_t most) {
    struct refetch *r = g_new0(struct refetch, 1);

    r->folder = f;
    r->event = event;
    r->rows = g_new0(int64_t, most);
    g_ptr_array_add(f->refetches, r);
    return r;
}

static void refetch_begin(struct refetch *r) {
    if (r) {
        state_attempt(r->folder->account->keeper->state, r->rows, r->n, attempt_counted, r);
    }
}

/* In sets that fit one command. Who was asked for in vain before is asked for alone: one that the server cannot deliver
 * must not drag the others down. */
static void refetch(struct folder *f, enum wire_event event, const struct state_message *messages, size_t n,
                    const bool *taken) {
    session *s = folder_session(f);
    size_t most = MIN(session_batch(s), session_fetch_room(s, message_want(f, event)) / strlen("4294967295,"));
    struct refetch *together = NULL;

    for (size_t i = 0; i < n; i++) {
        if (!taken[i] || event_of(&messages[i]) != event) {
            continue;
        }
        bool alone = messages[i].attempts > 1;
        struct refetch *r = !alone && together ? together : refetch_new(f, event, most);
        imap_set_add(&r->uids, messages[i].uid);
        r->rows[r->n++] = messages[i].row;
        if (alone || r->n == most) {
            refetch_begin(r);
            together = alone ? together : NULL;
        } else {
            together = r;
        }
    }
    refetch_begin(together);
}

static void listed(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct folder *f = user;
    g_autofree bool *taken = g_new0(bool, n + 1);

    f->resuming = false;
    if (err || !f->selected || !f->scope || f->cursor.uidvalidity != f->uidvalidity) {
        folder_resume_in(f, FOLDER_RETRY_MS);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        taken[i] = take_up(f, &messages[i]);
    }
    for (int event = WIRE_EVENT_NEW; event <= WIRE_EVENT_GONE; event++) {
        refetch(f, (enum wire_event)event, messages, n, taken);
    }
    f->resumed = true;
    if (more) {
        /* The rest when these are through: each page begins with what is still open. */
        f->resumed = false;
        folder_resume_in(f, 200);
    } else if (f->resume_again) {
        folder_resume_in(f, 0);
    }
    f->resume_again = false;
    watcher_nudge(f->watcher);
}

void resume_start(struct folder *f) {
    if (!account_has_room(f->account)) {
        folder_resume_in(f, 1000);
        return;
    }
    f->resuming = true;
    state_list(f->account->keeper->state,
               &(struct state_filter){.account = f->account->name, .folder = f->name, .with_steps = true,
                                      .stages = STATE_IN(STATE_PENDING) | STATE_IN(STATE_PLANNED), .skip_waiting = true,
                                      .limit = PAGE + g_hash_table_size(f->by_uid)},
               listed, f);
}

void resume_soon(struct folder *f) {
    if (f->resuming) {
        f->resume_again = true; /* they may have come too late for this list */
    } else if (f->selected && f->cursor_known) {
        resume_start(f);
    }
}

void resume_drop_all(struct folder *f) {
    while (f->refetches->len) {
        refetch_free(f->refetches->pdata[f->refetches->len - 1]);
    }
}

/* --- single rows -------------------------------------------------------------------------------------------------- */

static struct folder *folder_of(struct keeper *k, const struct state_message *stored) {
    struct account *a = keeper_account(k, stored->account);

    for (guint i = 0; a && i < a->folders->len; i++) {
        struct folder *f = a->folders->pdata[i];
        if (strcmp(f->name, stored->folder) == 0) {
            return f;
        }
    }
    return NULL;
}

static void loaded(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct keeper *k = user;

    for (size_t i = 0; i < n; i++) {
        struct folder *f = folder_of(k, &messages[i]);
        if (!f || messages[i].waiting || (messages[i].stage != STATE_PENDING && messages[i].stage != STATE_PLANNED)) {
            continue;
        }
        if (messages[i].stage == STATE_PLANNED && f->selected && f->cursor.uidvalidity == f->uidvalidity) {
            take_up(f, &messages[i]);
        } else {
            f->resumed = false;
            folder_resume_in(f, 0);
        }
    }
}

void resume_rows(struct keeper *k, const int64_t *rows, size_t n) {
    if (n) {
        state_load(k->state, rows, n, loaded, k);
    }
}
