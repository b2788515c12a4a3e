/*
 * Where the cursor starts: at first sight of a folder, under a new name, and after its UIDVALIDITY changed (RFC 9051
 * section 2.3.1.1).
 *
 * After a change every message has a new UID. Those that arrived since the cursor last moved, and those whose plans
 * were not carried out, are looked at again; the journal's ledger tells which of them were handled. Everything older is
 * left alone: rules never run over a whole mailbox because a server was restored from a backup.
 *
 * Where the date is not that of the arrival but the message's own (GNU Mailutils, whose UIDVALIDITY changes for
 * nothing), those beyond the number of messages that were there are new too.
 */
#include "daemon_priv.h"

#define SLACK_S 120
#define DAY_S 86400

static void failed(struct folder *f, const error *err) {
    f->settling = false;
    if (err) {
        folder_set_trouble(f, err);
        log_error_value(&f->log, LOG_LEVEL_WARN, err);
    }
    folder_resume_in(f, 10000);
}

/* --- first sight -------------------------------------------------------------------------------------------------- */

static void cursor_set(void *user, const error *err) {
    struct folder *f = user;

    f->settling = false;
    if (err) {
        f->cursor_known = false;
        failed(f, err);
        return;
    }
    folder_advance(f);
}

static void start_after(struct folder *f, uint32_t last_uid) {
    f->cursor = (struct state_cursor){.uidvalidity = f->uidvalidity, .last_uid = last_uid, .listed = !last_uid,
                                      .updated = clock_wall_ms(f->account->keeper->clock)};
    roll_reset(f);
    log_info(&f->log, "first sight of this folder: starting after UID %u", last_uid);
    state_cursor_set(f->account->keeper->state, f->account->name, f->name, &f->cursor, cursor_set, f);
}

static void found_end(void *user, const session_result *result) {
    struct folder *f = user;

    if (result->err || !result->found) {
        failed(f, result->err);
    } else {
        start_after(f, imap_set_max(result->found));
    }
}

static void found_since(void *user, const session_result *result) {
    struct folder *f = user;
    uint32_t uidnext = result->err || !session_selected(f->watcher->session)
                           ? 0
                           : session_selected(f->watcher->session)->uidnext;

    if (result->err || !result->found) {
        failed(f, result->err);
    } else if (!imap_set_is_empty(result->found)) {
        start_after(f, imap_set_min(result->found) - 1);
    } else {
        start_after(f, uidnext ? uidnext - 1 : 0);
    }
}

/* From when on mail is new: as `backlog` says, or since the folder was known not to be there. 0 = from now on. */
static int64_t new_since(const struct folder *f) {
    const wire_account *c = f->account->config;
    int64_t since = 0;

    if (c->backlog == WIRE_BACKLOG_SINCE) {
        since = (clock_wall_ms(f->account->keeper->clock) - (int64_t)c->backlog_ms) / 1000;
    }
    if (f->appeared && (!since || f->appeared - SLACK_S < since)) {
        since = f->appeared - SLACK_S;
    }
    return since;
}

static void begin(struct folder *f) {
    const wire_account *c = f->account->config;
    int64_t since = new_since(f);
    session *s = folder_session(f);
    const session_folder *now = session_selected(s);
    session_call call = {.user = f};

    if (c->backlog == WIRE_BACKLOG_ALL || (now && !now->exists && !now->uidnext)) {
        start_after(f, 0);
    } else if (since) {
        f->not_before = since;
        call.done = found_since;
        session_search(s, &(imap_search_want){.since = since - DAY_S}, &call); /* the day of the server's time zone */
    } else if (now && now->uidnext) {
        start_after(f, now->uidnext - 1);
    } else {
        call.done = found_end;
        session_search(s, &(imap_search_want){0}, &call);
    }
}

/* --- another's name ----------------------------------------------------------------------------------------------- */

static void former_known(void *user, const error *err, const char *from) {
    struct folder *f = user;

    if (err) {
        log_error_value(&f->log, LOG_LEVEL_WARN, err);
    }
    if (!folder_session(f)) {
        f->settling = false;
    } else if (from) {
        log_notice(&f->log, "was %s before: goes on where that was", from);
        f->settling = f->cursor_known = f->resumed = false;
        folder_advance(f);
    } else {
        begin(f);
    }
}

/* What is in memory under the old name is not given another: such a folder begins anew. */
static void look_for_former(struct folder *f) {
    const struct account *a = f->account;
    const session_folder *now = session_selected(folder_session(f));
    GPtrArray *there = g_ptr_array_new();

    for (size_t i = 0; i < mailboxes_count(a->boxes); i++) {
        g_ptr_array_add(there, mailboxes_at(a->boxes, i)->name);
    }
    for (guint i = 0; i < a->folders->len; i++) {
        g_ptr_array_add(there, ((struct folder *)a->folders->pdata[i])->name);
    }
    state_find_renamed(a->keeper->state,
                       &(struct state_rename){.account = a->name, .to = f->name, .uidvalidity = f->uidvalidity,
                                              .uidnext = now ? now->uidnext : 0,
                                              .there = (const char *const *)there->pdata, .n_there = there->len},
                       former_known, f);
    g_ptr_array_free(there, TRUE);
}

static void first_sight(struct folder *f) {
    if (f->appeared && f->by_pattern) {
        look_for_former(f);
    } else {
        begin(f);
    }
}

/* --- a changed UIDVALIDITY ---------------------------------------------------------------------------------------- */

static void changed(void *user, const error *err, const struct state_validity_change *change) {
    struct folder *f = user;

    f->settling = false;
    if (err) {
        failed(f, err);
        return;
    }
    log_notice(&f->log,
               "UIDVALIDITY is now %u: %u message(s) are looked for again by what they are, %u more had no plan yet",
               f->uidvalidity, (unsigned)change->rekeyed, (unsigned)change->cancelled);
    f->cursor_known = false;
    f->resumed = false;
    folder_advance(f);
}

static void settle(struct folder *f) {
    const session_folder *now = session_selected(folder_session(f));
    struct state_validity validity = {.account = f->account->name, .folder = f->name};

    validity.uidvalidity = f->uidvalidity;
    validity.last_uid = f->before.first_new ? f->before.first_new - 1 : now && now->uidnext ? now->uidnext - 1 : 0;
    state_uidvalidity_changed(f->account->keeper->state, &validity, changed, f);
}

/* UIDs rise in the order of arrival (RFC 9051 section 2.3.1.1), the new ones too. */
static void beyond(void *user, const session_result *result) {
    struct folder *f = user;
    int64_t skipped = 0;

    if (result->err || !result->found || !result->found_whole || !folder_session(f)) {
        failed(f, result->err);
        return;
    }
    for (size_t i = 0; i < result->found->count && !f->new_from; i++) {
        const imap_range *range = &result->found->ranges[i];
        int64_t size = (int64_t)range->high - range->low + 1;
        if (skipped + size > f->before.there) {
            f->new_from = range->low + (uint32_t)(f->before.there - skipped);
        }
        skipped += size;
    }
    if (f->new_from && (!f->before.first_new || f->new_from < f->before.first_new)) {
        f->before.first_new = f->new_from;
    }
    settle(f);
}

static void candidates(void *user, const session_result *result) {
    struct folder *f = user;
    session *s = folder_session(f);
    const session_folder *now = s ? session_selected(s) : NULL;

    if (result->err || !result->found || !now) {
        failed(f, result->err);
        return;
    }
    f->before.first_new = imap_set_is_empty(result->found) ? 0 : imap_set_min(result->found);
    bool by_number = session_info_get(s)->quirks->check_identity && f->before.there >= 0;
    if (by_number && now->exists > f->before.there) {
        session_search(s, &(imap_search_want){0}, &(session_call){.done = beyond, .user = f});
    } else {
        settle(f);
    }
}

static void oldest_known(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct folder *f = user;
    int64_t since = f->before.seen;

    if (err || !folder_session(f)) {
        failed(f, err);
        return;
    }
    if (n) { /* mail has its row later than it came, and those before the cursor may be open still */
        since = MIN(MIN(since, f->cursor.updated), messages[0].arrived_at);
    }
    since /= 1000;
    f->not_before = since - SLACK_S;
    f->new_from = 0;
    session_search(folder_session(f), &(imap_search_want){.since = since - DAY_S},
                   &(session_call){.done = candidates, .user = f});
}

/* How many there were, unless the folder has been looked at since the start. */
static void counted(void *user, const error *err, const struct state_range *ranges, size_t n) {
    struct folder *f = user;

    if (err) {
        failed(f, err);
        return;
    }
    if (f->before.there < 0 && f->cursor.listed) {
        f->before.there = 0;
        for (size_t i = 0; i < n; i++) {
            f->before.there += (int64_t)ranges[i].high - ranges[i].low + 1;
        }
    }
    state_list(f->account->keeper->state,
               &(struct state_filter){.account = f->account->name, .folder = f->name, .limit = 1},
               oldest_known, f);
}

/* The journal knows until when the folder has been seen; what is in memory is of the start, or of the first sight. */
static void seen_until(void *user, const error *err, const struct state_cursor *cursor) {
    struct folder *f = user;

    if (err) {
        failed(f, err);
        return;
    }
    f->before.seen = cursor ? cursor->updated : 0;
    state_present_load(f->account->keeper->state, f->account->name, f->name, counted, f);
}

void validity_settle(struct folder *f) {
    if (f->settling) {
        return;
    }
    f->settling = true;
    if (!f->cursor.uidvalidity) {
        first_sight(f);
        return;
    }
    log_warn(&f->log, "UIDVALIDITY changed from %u to %u: the folder was made anew or restored", f->cursor.uidvalidity,
             f->uidvalidity);
    f->before.there = roll_expected(f);
    folder_drop_messages(f); /* of the old validity */
    g_hash_table_remove_all(f->recent);
    state_cursor_load(f->account->keeper->state, f->account->name, f->name, seen_until, f);
}
