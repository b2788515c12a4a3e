/*
 * Flags that somebody changed and messages that somebody took away, for folders whose rules ask for it.
 *
 * What the server tells by itself, what it says changed since the modification sequence of the last time (CONDSTORE,
 * RFC 7162), or simply the flags of all messages: everything goes to the journal, which compares it with what it keeps
 * and makes the rows (state/changes.h). So telling it too much, or the same again, costs time only, and nothing here
 * has to be remembered over a crash. Messages that went are found by roll.c, or told as VANISHED.
 */
#include "changes_priv.h"

#include "imap/header.h"

#include <string.h>

enum { FLAGS, GONE, EVENTS };

/* --- what the rules want ------------------------------------------------------------------------------------------ */

static bool is_for(const wire_rule *rule, const char *account) {
    for (size_t i = 0; i < rule->accounts.n; i++) {
        if (strcmp(rule->accounts.v[i], account) == 0) {
            return true;
        }
    }
    return rule->accounts.n == 0;
}

bool changes_wanted(const struct keeper *k, const wire_account *account) {
    const wire_config *config = keeper_config(k);

    for (size_t i = 0; i < config->n_rules; i++) {
        const wire_rule *rule = &config->rules[i];
        if ((rule->on == WIRE_EVENT_FLAGS || rule->on == WIRE_EVENT_GONE) && is_for(rule, account->name)) {
            return true;
        }
    }
    return false;
}

const wire_scope_reply *changes_scope(const struct folder *f, enum wire_event event, const char *const **fields_out) {
    const struct event_scope *s = f->changes ? &f->changes->scopes[event == WIRE_EVENT_GONE ? GONE : FLAGS] : NULL;

    if (!s || !s->reply) {
        return NULL;
    }
    *fields_out = s->fields;
    return &s->reply->u.scope_reply;
}

static void scope_clear(struct changes *c, struct event_scope *s) {
    if (s->job) {
        pool_cancel(changes_keeper(c)->pool, s->job);
    }
    wire_message_free(s->reply);
    g_free(s->fields);
    *s = (struct event_scope){0};
}

static void take_scope(struct changes *c, int at, wire_message *reply) {
    static const unsigned wants[EVENTS][2] = {{STATE_WANT_FLAGS, STATE_WANT_OWN_FLAGS},
                                              {STATE_WANT_GONE, STATE_WANT_OWN_GONE}};
    struct event_scope *s = &c->scopes[at];

    s->job = 0;
    if (!reply) {
        folder_resume_in(c->folder, FOLDER_RETRY_MS);
        return;
    }
    const wire_scope_reply *r = &reply->u.scope_reply;
    s->reply = reply;
    s->fields = folder_scope_fields(r);
    c->next_want |= r->rules ? wants[at][0] : 0;
    c->next_want |= r->rules && r->own ? wants[at][1] : 0;
    c->known = c->scopes[FLAGS].reply && c->scopes[GONE].reply;
    if (c->known) {
        c->want = c->next_want;
        changes_start_over(c);
        folder_advance(c->folder);
    }
}

static void flags_scope(void *user, wire_message *reply) {
    take_scope(user, FLAGS, reply);
}

static void gone_scope(void *user, wire_message *reply) {
    take_scope(user, GONE, reply);
}

static void ask_scope(struct changes *c, int at) {
    static const pool_scope_fn done[EVENTS] = {flags_scope, gone_scope};

    if (!c->scopes[at].reply && !c->scopes[at].job) {
        folder_ask_scope(c->folder, at == FLAGS ? WIRE_EVENT_FLAGS : WIRE_EVENT_GONE, done[at], c, &c->scopes[at].job);
    }
}

static void on_soon(void *user);

static struct changes *changes_new(struct folder *f) {
    struct changes *c = g_new0(struct changes, 1);

    c->folder = f;
    c->heard = g_array_new(FALSE, FALSE, sizeof(struct state_seen));
    c->soon = loop_timer_new(f->account->keeper->loop, on_soon, c);
    return c;
}

void changes_seen_clear(GArray *seen) {
    for (guint i = 0; i < seen->len; i++) {
        g_free((char *)(uintptr_t)g_array_index(seen, struct state_seen, i).flags);
        g_free((char *)(uintptr_t)g_array_index(seen, struct state_seen, i).message_id);
    }
    g_array_set_size(seen, 0);
}

void changes_free(struct changes *c) {
    if (!c) {
        return;
    }
    compare_cancel(c);
    state_cancel(changes_keeper(c)->state, c);
    scope_clear(c, &c->scopes[FLAGS]);
    scope_clear(c, &c->scopes[GONE]);
    changes_seen_clear(c->heard);
    g_array_unref(c->heard);
    loop_timer_free(c->soon);
    g_free(c);
}

/* What the rules before wanted goes on until it is known what these want: what is heard meanwhile is not lost. */
void changes_rescope(struct folder *f) {
    struct changes *c = f->changes;

    if (!f->account->wants_changes) {
        g_clear_pointer(&f->changes, changes_free);
    } else if (c) {
        scope_clear(c, &c->scopes[FLAGS]);
        scope_clear(c, &c->scopes[GONE]);
        c->next_want = 0;
        c->known = false;
    }
}

/* Nobody asks (any more): what was kept would be old when somebody does again. */
static void forget(struct folder *f) {
    if (f->cursor.snapshot) {
        f->cursor.snapshot = false;
        f->cursor.modseq = 0;
        state_observe_end(f->account->keeper->state, f->account->name, f->name, NULL, NULL);
    }
}

bool changes_ready(struct folder *f) {
    if (!f->changes && !f->account->wants_changes) {
        forget(f);
        return true;
    }
    if (!f->changes) {
        f->changes = changes_new(f);
    }
    if (!f->changes->known) {
        ask_scope(f->changes, FLAGS);
        ask_scope(f->changes, GONE);
    } else if (!f->changes->want) {
        forget(f);
    }
    return f->changes->known;
}

bool changes_undecided(const struct folder *f) {
    return f->account->wants_changes && !(f->changes && f->changes->known);
}

bool changes_on(const struct folder *f) {
    return f->changes && f->changes->want;
}

bool changes_want_gone(const struct folder *f) {
    return changes_on(f) && (f->changes->want & (STATE_WANT_GONE | STATE_WANT_OWN_GONE));
}

bool changes_busy(const struct folder *f) {
    return f->changes && (f->changes->compare || f->changes->asked || f->changes->heard->len);
}

/* --- to the journal ----------------------------------------------------------------------------------------------- */

static void observed(void *user, const error *err, size_t rows) {
    struct changes *c = user;

    c->asked--;
    if (err) {
        log_error_value(&c->folder->log, LOG_LEVEL_ERROR, err);
        c->due = true; /* a comparison tells it again */
        loop_timer_start(c->soon, CHANGES_AGAIN_MS);
    } else if (rows) {
        resume_soon(c->folder);
    }
    if (!c->asked) {
        roll_step(c->folder);
        watcher_nudge(c->folder->watcher);
    }
}

void changes_tell(struct changes *c, struct state_observe *what) {
    struct folder *f = c->folder;

    what->account = f->account->name;
    what->folder = f->name;
    what->uidvalidity = f->cursor.uidvalidity;
    what->want = c->want;
    c->asked++;
    state_observe(changes_keeper(c)->state, what, observed, c);
}

void changes_flush(struct changes *c) {
    struct state_observe what = {.seen = (const struct state_seen *)(void *)c->heard->data, .n_seen = c->heard->len};

    if (c->heard->len) {
        changes_tell(c, &what);
        changes_seen_clear(c->heard);
    }
}

void changes_hear(struct changes *c, const imap_fetch *fetch) {
    struct state_seen seen = changes_seen(fetch);

    g_array_append_val(c->heard, seen);
    if (c->heard->len >= CHANGES_CHUNK) {
        changes_flush(c);
    }
}

static char *message_id_of(const imap_fetch *fetch) {
    g_autofree char *id = imap_fetch_message_id(fetch);

    return id && *id ? g_steal_pointer(&id) : NULL;
}

const imap_section_want *changes_message_id(void) {
    static const char *const fields[] = {"message-id", NULL};
    static const imap_section_want want = {.kind = IMAP_SECTION_FIELDS, .fields = fields};

    return &want;
}

static char *flags_of(const imap_fetch *fetch) {
    GString *text = g_string_new(NULL);

    for (size_t i = 0; i < fetch->flags.all.count; i++) {
        imap_str flag = fetch->flags.all.at[i];
        if (flag.data && g_utf8_validate_len(flag.data, flag.len, NULL)) {
            g_string_append_len(g_string_append(text, text->len ? " " : ""), flag.data, (gssize)flag.len);
        }
    }
    return g_string_free(text, FALSE);
}

struct state_seen changes_seen(const imap_fetch *fetch) {
    return (struct state_seen){
        .uid = fetch->uid, .how = STATE_SEEN_SET, .flags = flags_of(fetch), .message_id = message_id_of(fetch)};
}

static void on_soon(void *user) {
    struct changes *c = user;

    changes_flush(c);
    if (c->due) {
        roll_step(c->folder);
    }
}

/* --- what is heard ------------------------------------------------------------------------------------------------ */

void changes_note_modseq(struct changes *c, const imap_fetch *fetch) {
    if (fetch->have & IMAP_HAVE_MODSEQ) {
        c->modseq = MAX(c->modseq, fetch->modseq);
    }
}

void changes_fetch(struct folder *f, const imap_fetch *fetch) {
    struct changes *c = f->changes;

    if (!changes_on(f) || !(fetch->have & IMAP_HAVE_FLAGS)) {
        return;
    }
    changes_note_modseq(c, fetch);
    if (fetch->uid && fetch->uid <= f->cursor.last_uid) {
        changes_hear(c, fetch);
    } else if (fetch->uid && !folder_message(f, WIRE_EVENT_NEW, fetch->uid)) {
        return; /* its flags come with the look that finds it */
    } else {
        c->due = true;
    }
    loop_timer_start_within(c->soon, 0);
}

void changes_gone(struct folder *f, const imap_set *uids) {
    size_t n;

    if (changes_on(f) && !imap_set_is_empty(uids)) {
        g_autofree struct state_range *ranges = roll_ranges(uids, &n);
        changes_flush(f->changes); /* what was heard of them came before */
        changes_tell(f->changes, &(struct state_observe){.gone = ranges, .n_gone = n});
    }
}

void changes_arrived(struct folder *f, const struct state_seen *seen, size_t n) {
    if (changes_on(f) && n) {
        changes_tell(f->changes, &(struct state_observe){.seen = seen, .n_seen = n});
    }
}

void changes_applied(void *folder, action_item *const *items, size_t n) {
    struct folder *f = folder;

    if (!changes_on(f)) {
        return;
    }
    g_autoptr(GArray) seen = g_array_new(FALSE, FALSE, sizeof(struct state_seen));
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; i < n; i++) {
        const wire_step *step = items[i]->step;
        GString *text = g_string_new(NULL);
        for (size_t k = 0; k < step->flags.n; k++) {
            g_string_append_printf(text, "%s%s", k ? " " : "", step->flags.v[k]);
        }
        struct state_seen one = {.uid = items[i]->uid, .flags = text->str};
        one.how = step->verb == WIRE_VERB_FLAG ? STATE_SEEN_ADD : STATE_SEEN_REMOVE;
        g_ptr_array_add(texts, g_string_free(text, FALSE));
        g_array_append_val(seen, one);
    }
    changes_flush(f->changes);
    changes_tell(f->changes,
                 &(struct state_observe){.seen = (const struct state_seen *)(void *)seen->data, .n_seen = seen->len});
}
