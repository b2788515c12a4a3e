/*
 * One chunk of a look: what is asked for in one command, what was delivered of it, and what is there nonetheless.
 */
#include "look_priv.h"

static void advance(struct look *l);

struct chunk *look_chunk_new(struct look *l) {
    struct chunk *c = g_new0(struct chunk, 1);

    c->look = l;
    c->uids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    if (changes_on(l->folder)) {
        c->flags = g_array_new(FALSE, FALSE, sizeof(struct state_seen));
    }
    c->link.data = c;
    g_queue_push_tail_link(&l->line, &c->link);
    return c;
}

/* Messages that got no row go out of memory. */
static void chunk_drop_messages(struct chunk *c) {
    struct folder *f = c->look->folder;

    for (guint i = 0; f && i < c->uids->len; i++) {
        struct message *m = folder_message(f, WIRE_EVENT_NEW, g_array_index(c->uids, uint32_t, i));
        if (m && m->stage == MESSAGE_ARRIVING) {
            message_free(m);
        }
    }
}

static void chunk_free(struct chunk *c) {
    struct look *l = c->look;

    if (c->flags) {
        changes_seen_clear(c->flags);
        g_array_unref(c->flags);
    }
    imap_set_release(&c->asked);
    imap_set_release(&c->unsure);
    imap_set_release(&c->seen);
    g_array_free(c->uids, TRUE);
    g_queue_unlink(&l->line, &c->link);
    g_free(c);
}

static void chunk_failed(struct chunk *c, const error *err) {
    struct look *l = c->look;
    struct folder *f = l->folder;

    if (f && err) {
        folder_set_trouble(f, err);
        log_error_value(&f->log, err->class_ == ERROR_CLASS_ACCOUNT ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, err);
    }
    c->look->failed = true;
    chunk_drop_messages(c);
    chunk_free(c);
    advance(l);
}

/* Messages whose UIDs had rows before. */
static void drop_passed_over(struct folder *f) {
    g_autoptr(GList) messages = g_hash_table_get_values(f->by_uid);

    for (GList *at = messages; at; at = at->next) {
        struct message *m = at->data;
        if (m->stage == MESSAGE_ARRIVING && m->arrival && m->arrival <= f->arrivals_done) {
            message_free(m);
        }
    }
}

static void arrived(void *user, const error *err, const struct state_arrival *arrivals, size_t n) {
    struct folder *f = user;

    f->arrivals_done++;
    if (err) {
        /* Not written: read the cursor again later and fetch once more. */
        log_error_value(&f->log, LOG_LEVEL_ERROR, err);
        folder_set_trouble(f, err);
        f->cursor_known = false;
        look_cancel(f);
        GList *messages = g_hash_table_get_values(f->by_uid);
        for (GList *at = messages; at; at = at->next) {
            if (((struct message *)at->data)->stage == MESSAGE_ARRIVING) {
                message_free(at->data);
            }
        }
        g_list_free(messages);
        folder_resume_in(f, FOLDER_RETRY_MS);
        return;
    }
    f->arrived += n;
    for (size_t i = 0; i < n; i++) {
        struct message *m = folder_message(f, WIRE_EVENT_NEW, arrivals[i].uid);
        if (!m) {
            folder_resume_in(f, FOLDER_RETRY_MS); /* has a row, but was not delivered */
            continue;
        }
        m->row = arrivals[i].row;
        m->own = arrivals[i].own;
        m->attempts = 1;
        message_evaluate(m);
    }
    drop_passed_over(f);
}

/* The cursor, what is there now, and the rows. */
static void journal(struct chunk *c, bool wanted) {
    struct folder *f = c->look->folder;
    size_t n_present;
    g_autofree struct state_range *present = roll_ranges(&c->seen, &n_present);
    struct state_arrive arrive = {
        .account = f->account->name, .folder = f->name, .uidvalidity = f->uidvalidity,
        .last_uid = MAX(c->last, f->cursor.last_uid), .present = present, .n_present = n_present,
        .uids = (const uint32_t *)(void *)c->uids->data, .n_uids = wanted ? c->uids->len : 0,
        .as_of = c->newest * 1000,
    };

    f->arrivals_sent++;
    for (guint i = 0; wanted && i < c->uids->len; i++) {
        struct message *m = folder_message(f, WIRE_EVENT_NEW, g_array_index(c->uids, uint32_t, i));
        if (m && m->stage == MESSAGE_ARRIVING) {
            m->arrival = f->arrivals_sent;
        }
    }
    c->look->any = true;
    f->cursor.last_uid = arrive.last_uid;
    if (c->flags) {
        changes_arrived(f, (const struct state_seen *)(void *)c->flags->data, c->flags->len);
    }
    roll_add(f, &c->seen);
    state_arrive(f->account->keeper->state, &arrive, arrived, f);
}

static void arrive(struct chunk *c) {
    struct folder *f = c->look->folder;
    bool wanted = f && f->scope && f->scope->u.scope_reply.rules;

    if (!f || c->look->failed) {
        chunk_drop_messages(c);
        chunk_free(c);
        return;
    }
    if (c->last > f->cursor.last_uid || c->look->below) {
        journal(c, wanted);
    }
    if (!wanted) {
        chunk_drop_messages(c);
    }
    chunk_free(c);
}

static void advance(struct look *l) {
    struct chunk *c;

    while ((c = g_queue_peek_head(&l->line)) && c->answered) {
        arrive(c);
    }
    look_settle(l);
}

void look_chunk_arrive(struct chunk *c) {
    c->answered = true;
    advance(c->look);
}

/* Of what was not delivered, what is there is to be asked for again: a row each. n:* names the last message also when
 * it is below n. */
static void verified(void *user, const session_result *result) {
    struct chunk *c = user;

    if (result->err || !result->found_whole) {
        chunk_failed(c, result->err);
        return;
    }
    for (uint32_t uid = imap_set_next(result->found, c->from - 1); uid; uid = imap_set_next(result->found, uid)) {
        g_array_append_val(c->uids, uid);
        imap_set_add(&c->seen, uid);
        c->last = MAX(c->last, uid);
        if (c->look->folder) {
            log_info(&c->look->folder->log, "UID %u is there but was not delivered: asking again", uid);
        }
    }
    if (!c->last && c->look->folder && folder_session(c->look->folder)) {
        const session_folder *now = session_selected(folder_session(c->look->folder));
        c->last = now && now->uidnext ? now->uidnext - 1 : 0;
    }
    look_chunk_arrive(c);
}

static void verify(struct chunk *c) {
    imap_search_want want = {0};

    if (imap_set_is_empty(&c->unsure)) {
        want.uid_from = c->from;
    } else {
        want.uids = &c->unsure;
    }
    session_search(folder_session(c->look->folder), &want,
                   &(session_call){.done = verified, .user = c, .uidvalidity = c->look->folder->uidvalidity});
}

/* n:* does not say what it left out: holes between the first and the last may be messages that were not delivered. */
static void find_holes(struct chunk *c) {
    if (!c->last || c->last - c->from >= LIMIT_IMAP_SET_RANGES || c->last + 1 - c->from == imap_set_size(&c->seen)) {
        return;
    }
    imap_set_add_range(&c->unsure, c->from, c->last);
    for (uint32_t uid = imap_set_next(&c->seen, 0); uid; uid = imap_set_next(&c->seen, uid)) {
        imap_set_remove_range(&c->unsure, uid, uid);
    }
    GString *text = g_string_new(NULL);
    imap_set_format(&c->unsure, text);
    if (text->len > session_set_room(folder_session(c->look->folder), 0)) {
        imap_set_clip(&c->unsure, c->from, c->from);
    }
    g_string_free(text, TRUE);
}

void look_chunk_fetched(void *user, const session_result *result) {
    struct chunk *c = user;
    struct folder *f = c->look->folder;

    if (result->err && f && result->answered && result->err->class_ != ERROR_CLASS_ACCOUNT) {
        /* One message the server chokes on must not hold up the others: one by one, then a row for the culprit. */
        if (c->asked.count && imap_set_size(&c->asked) == 1) {
            imap_set_add_range(&c->unsure, imap_set_min(&c->asked), imap_set_min(&c->asked));
            c->last = imap_set_max(&c->asked);
            verify(c);
            return;
        }
        f->poison = LIMIT_IMAP_BATCH;
    }
    if (result->err || !f) {
        chunk_failed(c, result->err);
        return;
    }
    c->last = imap_set_max(&c->seen);
    if (c->asked.count) {
        c->last = imap_set_max(&c->asked);
        if (result->missing) {
            for (uint32_t uid = imap_set_next(result->missing, 0); uid; uid = imap_set_next(result->missing, uid)) {
                imap_set_add(&c->unsure, uid);
            }
        }
    } else {
        find_holes(c);
    }
    const session_folder *now = session_selected(folder_session(f));
    bool nothing = !c->asked.count && !c->seen.count && now && now->uidnext > c->from;
    if (!imap_set_is_empty(&c->unsure) || nothing) {
        verify(c);
    } else {
        look_chunk_arrive(c);
    }
}

void look_chunk_take_in(struct chunk *c, const imap_fetch *fetch) {
    struct folder *f = c->look->folder;
    struct message *m;

    imap_set_add(&c->seen, fetch->uid);
    folder_delivered(f, DELIVERY_HEADER);
    c->newest = MAX(c->newest, fetch->have & IMAP_HAVE_DATE ? fetch->date : 0);
    if (c->flags && (fetch->have & IMAP_HAVE_FLAGS)) {
        struct state_seen seen = changes_seen(fetch);
        g_array_append_val(c->flags, seen);
    }
    bool by_date = f->not_before && (!f->new_from || fetch->uid < f->new_from);
    if (folder_message(f, WIRE_EVENT_NEW, fetch->uid) ||
        (by_date && (fetch->have & IMAP_HAVE_DATE) && fetch->date < f->not_before)) {
        return;
    }
    g_array_append_val(c->uids, fetch->uid);
    m = message_new(f, WIRE_EVENT_NEW, fetch->uid);
    message_fill(m, fetch);
}

void look_chunk_delivered(void *user, const imap_response *response) {
    struct chunk *c = user;

    if (c->look->folder && response->kind == IMAP_FETCH && !imap_set_contains(&c->seen, response->fetch.uid)) {
        look_chunk_take_in(c, &response->fetch);
    }
}

void look_chunk_fetch(struct look *l) {
    struct folder *f = l->folder;
    struct chunk *c = look_chunk_new(l);
    const imap_fetch_want *want = message_want(f, WIRE_EVENT_NEW);
    size_t size = f->poison ? 1 : session_batch(folder_session(f));

    f->poison -= f->poison ? 1 : 0;
    imap_set_take(&l->todo, size, session_fetch_room(folder_session(f), want), &c->asked);
    c->from = imap_set_min(&c->asked);
    session_fetch(folder_session(f), &c->asked, want,
                  &(session_call){.done = look_chunk_fetched, .data = look_chunk_delivered, .user = c,
                                  .uidvalidity = f->uidvalidity});
}

void look_chunk_listed(void *user, const session_result *result) {
    struct chunk *c = user;
    struct look *l = c->look;
    struct folder *f = l->folder;

    if (result->err || !f || !result->found) {
        chunk_failed(c, result->err);
        return;
    }
    for (uint32_t uid = imap_set_next(result->found, c->from - 1); uid; uid = imap_set_next(result->found, uid)) {
        imap_set_add(&l->todo, uid);
    }
    if (imap_set_is_empty(&l->todo)) {
        const session_folder *now = session_selected(folder_session(f));
        c->last = now && now->uidnext ? now->uidnext - 1 : 0;
        look_chunk_arrive(c);
        return;
    }
    chunk_free(c);
    look_settle(l);
}
