/*
 * Flags that somebody changed and messages that somebody took away, for folders whose rules ask for it.
 *
 * What the server tells by itself, what it says changed since the modification sequence of the last time (CONDSTORE,
 * RFC 7162), or simply the flags of all messages: everything goes to the journal, which compares it with what it keeps and
 * makes the rows (state/changes.h). So telling it too much, or the same again, costs time only, and nothing here has to be
 * remembered over a crash. Messages that went are found by roll.c, or told as VANISHED.
 *
 * Where QRESYNC is enabled the same FETCH that asks for changes asks for what vanished. SELECT with QRESYNC would say it
 * a round trip earlier, but is the parameter that servers get wrong.
 */
#include "daemon_priv.h"
#include "remains_priv.h"

#include <string.h>

/* Messages asked about in one FETCH, and told to the journal in one request. */
#define CHUNK 500
#define SET_OCTETS (LIMIT_IMAP_COMMAND_LINE - 200)
/* All flags of a folder are fetched again at the earliest after this, and so much more for each message. */
#define PAUSE_MS 1000
#define PAUSE_MS_EACH 0.2
#define PAUSE_MS_MAX 60000
#define FAILED_MS 10000

enum { FLAGS, GONE, EVENTS };

struct event_scope {
    wire_message *reply;
    const char **fields;
    uint64_t job;
};

struct changes {
    struct folder *folder;
    struct event_scope scopes[EVENTS];
    bool known;    /* the scopes are there */
    unsigned want; /* enum state_want */
    bool due;      /* something is said to have changed */
    bool fresh;    /* selected, and not compared since */
    uint64_t compared; /* elapsed: when it last began; 0 = never */
    uint64_t modseq;   /* the highest heard of */
    GArray *heard;     /* struct state_seen, for the journal */
    unsigned asked;    /* requests to the journal under way */
    loop_timer *soon;  /* tell the journal what was heard, or compare again */
    struct compare *compare;
};

/* A comparison under way. */
struct compare {
    struct changes *changes; /* NULL = cancelled */
    imap_set todo;           /* what is still to be asked about */
    imap_set asked;
    uint64_t modseq; /* known to be complete up to here, once it is through */
};

static struct keeper *keeper_of(const struct changes *c) {
    return c->folder->account->keeper;
}

/* --- what the rules want --------------------------------------------------------------------------------------------------- */

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
        pool_cancel(keeper_of(c)->pool, s->job);
    }
    wire_message_free(s->reply);
    g_free(s->fields);
    *s = (struct event_scope){0};
}

static void start_over(struct changes *c);

static void take_scope(struct changes *c, int at, wire_message *reply) {
    static const unsigned wants[EVENTS][2] = {{STATE_WANT_FLAGS, STATE_WANT_OWN_FLAGS},
                                              {STATE_WANT_GONE, STATE_WANT_OWN_GONE}};
    struct event_scope *s = &c->scopes[at];

    s->job = 0;
    if (!reply) {
        folder_resume_in(c->folder, 5000);
        return;
    }
    const wire_scope_reply *r = &reply->u.scope_reply;
    s->reply = reply;
    s->fields = g_new0(const char *, r->fields.n + 1);
    for (size_t i = 0; i < r->fields.n; i++) {
        s->fields[i] = r->fields.v[i];
    }
    c->want |= r->rules ? wants[at][0] : 0;
    c->want |= r->rules && r->own ? wants[at][1] : 0;
    c->known = c->scopes[FLAGS].reply && c->scopes[GONE].reply;
    if (c->known) {
        start_over(c);
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
    static void (*const done[EVENTS])(void *user, wire_message *reply) = {flags_scope, gone_scope};
    struct folder *f = c->folder;
    wire_message *m;

    if (c->scopes[at].reply || c->scopes[at].job) {
        return;
    }
    m = wire_message_new(WIRE_SCOPE);
    m->u.scope.account = wire_str(m, f->account->name);
    m->u.scope.folder = wire_str(m, f->name);
    for (unsigned i = 0; f->roles[i]; i++) {
        wire_strings_add(m, &m->u.scope.roles, f->roles[i]);
    }
    m->u.scope.event = at == FLAGS ? WIRE_EVENT_FLAGS : WIRE_EVENT_GONE;
    error *err = pool_scope(keeper_of(c)->pool, m, done[at], c, &c->scopes[at].job);
    if (err) {
        log_error_value(&f->log, LOG_LEVEL_ERROR, err);
        error_free(err);
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
    if (c->compare) {
        c->compare->changes = NULL;
    }
    state_cancel(keeper_of(c)->state, c);
    scope_clear(c, &c->scopes[FLAGS]);
    scope_clear(c, &c->scopes[GONE]);
    changes_seen_clear(c->heard);
    g_array_unref(c->heard);
    loop_timer_free(c->soon);
    g_free(c);
}

void changes_rescope(struct folder *f) {
    g_clear_pointer(&f->changes, changes_free);
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
    if (!f->changes && !changes_wanted(f->account->keeper, f->account->config)) {
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

bool changes_on(const struct folder *f) {
    return f->changes && f->changes->want;
}

bool changes_want_gone(const struct folder *f) {
    return changes_on(f) && (f->changes->want & (STATE_WANT_GONE | STATE_WANT_OWN_GONE));
}

bool changes_busy(const struct folder *f) {
    return f->changes && (f->changes->compare || f->changes->asked || f->changes->heard->len);
}

/* --- what the server can do -------------------------------------------------------------------------------------------------- */

static bool can(const struct folder *f, enum imap_capability cap, bool enabled) {
    const session_info *info = f->watcher->session ? session_info_get(f->watcher->session) : NULL;

    return info && imap_can(info->caps, cap) && (!enabled || imap_can(info->enabled, cap));
}

/* What changed can be asked for; else all flags are fetched. */
static bool knows_since(const struct folder *f) {
    const session_folder *now = session_selected(folder_session(f));

    return can(f, IMAP_CAP_CONDSTORE, false) && f->cursor.snapshot && f->cursor.modseq && now && now->highestmodseq;
}

/* --- to the journal ------------------------------------------------------------------------------------------------------------ */

static void observed(void *user, const error *err, size_t rows) {
    struct changes *c = user;

    c->asked--;
    if (err) {
        log_error_value(&c->folder->log, LOG_LEVEL_ERROR, err);
        c->due = true; /* a comparison tells it again */
        loop_timer_start(c->soon, FAILED_MS);
    } else if (rows) {
        resume_soon(c->folder);
    }
    if (!c->asked) {
        roll_step(c->folder);
        watcher_nudge(c->folder->watcher);
    }
}

static void tell(struct changes *c, struct state_observe *what) {
    struct folder *f = c->folder;

    what->account = f->account->name;
    what->folder = f->name;
    what->uidvalidity = f->cursor.uidvalidity;
    what->want = c->want;
    c->asked++;
    state_observe(keeper_of(c)->state, what, observed, c);
}

static void flush(struct changes *c) {
    struct state_observe what = {.seen = (const struct state_seen *)(void *)c->heard->data, .n_seen = c->heard->len};

    if (c->heard->len) {
        tell(c, &what);
        changes_seen_clear(c->heard);
    }
}

static void hear(struct changes *c, const imap_fetch *fetch) {
    struct state_seen seen = changes_seen(fetch);

    g_array_append_val(c->heard, seen);
    if (c->heard->len >= CHUNK) {
        flush(c);
    }
}

static char *message_id_of(const imap_fetch *fetch) {
    char *id = NULL;

    for (size_t i = 0; i < fetch->section_count && !id; i++) {
        const imap_section *s = &fetch->sections[i];
        if (s->data.data && (s->kind == IMAP_SECTION_FIELDS || s->kind == IMAP_SECTION_HEADER)) {
            id = remains_message_id(s->data.data, s->data.len);
        }
    }
    return id;
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

    flush(c);
    if (c->due) {
        roll_step(c->folder);
    }
}

static void soon(struct changes *c) {
    if (!loop_timer_active(c->soon) || loop_timer_left(c->soon) > 0) {
        loop_timer_start(c->soon, 0);
    }
}

/* --- what is heard --------------------------------------------------------------------------------------------------------------- */

static void note_modseq(struct changes *c, const imap_fetch *fetch) {
    if (fetch->have & IMAP_HAVE_MODSEQ) {
        c->modseq = MAX(c->modseq, fetch->modseq);
    }
}

void changes_fetch(struct folder *f, const imap_fetch *fetch) {
    struct changes *c = f->changes;

    if (!changes_on(f) || !(fetch->have & IMAP_HAVE_FLAGS)) {
        return;
    }
    note_modseq(c, fetch);
    if (fetch->uid && fetch->uid <= f->cursor.last_uid) {
        hear(c, fetch);
    } else if (fetch->uid && !folder_message(f, WIRE_EVENT_NEW, fetch->uid)) {
        return; /* its flags come with the look that finds it */
    } else {
        c->due = true;
    }
    soon(c);
}

void changes_gone(struct folder *f, const imap_set *uids) {
    size_t n;

    if (changes_on(f) && !imap_set_is_empty(uids)) {
        g_autofree struct state_range *ranges = roll_ranges(uids, &n);
        flush(f->changes); /* what was heard of them came before */
        tell(f->changes, &(struct state_observe){.gone = ranges, .n_gone = n});
    }
}

void changes_arrived(struct folder *f, const struct state_seen *seen, size_t n) {
    if (changes_on(f) && n) {
        tell(f->changes, &(struct state_observe){.seen = seen, .n_seen = n});
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
    flush(f->changes);
    tell(f->changes, &(struct state_observe){.seen = (const struct state_seen *)(void *)seen->data, .n_seen = seen->len});
}

/* --- comparing -------------------------------------------------------------------------------------------------------------------- */

static void start_over(struct changes *c) {
    struct folder *f = c->folder;

    c->due = c->fresh = true;
    if (changes_want_gone(f) && f->selected && !(can(f, IMAP_CAP_QRESYNC, true) && knows_since(f))) {
        roll_want_listing(f);
    }
}

void changes_selected(struct folder *f) {
    if (changes_on(f)) {
        start_over(f->changes);
    }
}

void changes_cancel(struct folder *f) {
    struct changes *c = f->changes;

    if (c && c->compare) {
        c->compare->changes = NULL; /* freed by its answer */
        c->compare = NULL;
        c->due = true;
    }
}

static void compare_free(struct compare *p) {
    if (p->changes) {
        p->changes->compare = NULL;
    }
    imap_set_release(&p->todo);
    imap_set_release(&p->asked);
    g_free(p);
}

/* UIDs up to the cursor that are not there: what the journal keeps of them is of messages that went unseen. */
static void absent(const struct folder *f, imap_set *out) {
    const imap_set *known = roll_known(f);
    uint32_t next = 1;

    for (size_t i = 0; i < known->count; i++) {
        if (known->ranges[i].low > next) {
            imap_set_add_range(out, next, known->ranges[i].low - 1);
        }
        next = known->ranges[i].high + 1;
    }
    if (next && next <= f->cursor.last_uid) {
        imap_set_add_range(out, next, f->cursor.last_uid);
    }
}

static void compare_end(struct compare *p) {
    struct changes *c = p->changes;
    struct folder *f = c->folder;
    g_auto(imap_set) gone = IMAP_SET_INIT;
    size_t n;

    absent(f, &gone);
    g_autofree struct state_range *ranges = roll_ranges(&gone, &n);
    flush(c);
    tell(c, &(struct state_observe){.gone = ranges, .n_gone = n, .modseq = p->modseq, .whole = true});
    f->cursor.snapshot = true;
    f->cursor.modseq = MAX(f->cursor.modseq, p->modseq);
    compare_free(p); /* roll_step() comes with the journal's answer */
}

static void compare_failed(struct compare *p, const error *err) {
    struct changes *c = p->changes;

    log_error_value(&c->folder->log, err->class_ == ERROR_CLASS_ACCOUNT ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, err);
    c->due = true;
    loop_timer_start(c->soon, FAILED_MS);
    compare_free(p);
}

static void delivered(void *user, const imap_response *response) {
    struct compare *p = user;
    const imap_fetch *fetch = &response->fetch;

    if (p->changes && response->kind == IMAP_FETCH && (fetch->have & IMAP_HAVE_FLAGS)) {
        note_modseq(p->changes, fetch);
        hear(p->changes, fetch);
    }
}

static void ask(struct compare *p, uint64_t since);

static void fetched(void *user, const session_result *result) {
    struct compare *p = user;

    if (!p->changes) {
        compare_free(p);
    } else if (result->err) {
        compare_failed(p, result->err);
    } else if (imap_set_is_empty(&p->todo)) {
        compare_end(p);
    } else {
        ask(p, 0);
    }
}

static void ask(struct compare *p, uint64_t since) {
    struct folder *f = p->changes->folder;
    imap_fetch_want want = {.items = IMAP_WANT_FLAGS, .changed_since = since};
    session_call call = {.done = fetched, .data = delivered, .user = p, .uidvalidity = f->uidvalidity};

    want.items |= can(f, IMAP_CAP_CONDSTORE, false) ? IMAP_WANT_MODSEQ : 0;
    if (!f->cursor.snapshot && changes_want_gone(f)) {
        want.sections = changes_message_id();
        want.section_count = 1;
    }
    want.vanished = since && can(f, IMAP_CAP_QRESYNC, true);
    imap_set_take(&p->todo, since ? SIZE_MAX : CHUNK, SET_OCTETS, &p->asked);
    session_fetch(folder_session(f), &p->asked, &want, &call);
}

static uint64_t pause_ms(const struct folder *f) {
    return (uint64_t)MIN(PAUSE_MS + PAUSE_MS_EACH * (double)imap_set_size(roll_known(f)), PAUSE_MS_MAX);
}

static void begin(struct changes *c, bool since) {
    struct folder *f = c->folder;
    const session_folder *now = session_selected(folder_session(f));
    struct compare *p = g_new0(struct compare, 1);

    p->changes = c;
    /* What was heard before it is asked is in the answer; what is heard meanwhile need not be all. */
    p->modseq = can(f, IMAP_CAP_CONDSTORE, false) && now->highestmodseq ? MAX(c->modseq, now->highestmodseq) : 0;
    c->compare = p;
    c->compared = loop_now(keeper_of(c)->loop);
    c->due = c->fresh = false;
    if (since && f->cursor.last_uid) {
        imap_set_add_range(&p->todo, 1, f->cursor.last_uid);
    }
    for (size_t i = 0; !since && i < roll_known(f)->count; i++) {
        imap_set_add_range(&p->todo, roll_known(f)->ranges[i].low, roll_known(f)->ranges[i].high);
    }
    if (imap_set_is_empty(&p->todo)) {
        compare_end(p);
    } else {
        ask(p, since ? f->cursor.modseq : 0);
    }
}

bool changes_step(struct folder *f) {
    struct changes *c = f->changes;
    uint64_t now = loop_now(f->account->keeper->loop), pause;

    if (!changes_on(f)) {
        return false;
    }
    if (c->compare || c->asked) {
        return true;
    }
    if (!c->due && now < c->compared + f->account->config->reconcile_ms) {
        return false;
    }
    if (knows_since(f)) {
        if (c->fresh && session_selected(folder_session(f))->highestmodseq == f->cursor.modseq) {
            c->due = c->fresh = false;
            c->compared = now;
            return false;
        }
        begin(c, true);
        return true;
    }
    pause = c->fresh || !f->cursor.snapshot ? 0 : c->compared + pause_ms(f);
    if (now < pause) {
        loop_timer_start(c->soon, pause - now);
        return false;
    }
    begin(c, false);
    return true;
}

/* --- folders that are not selected ------------------------------------------------------------------------------------------------- */

uint32_t changes_status_items(const struct watcher *w) {
    const session_info *info = session_info_get(w->session);

    return info && imap_can(info->caps, IMAP_CAP_CONDSTORE) && changes_wanted(w->account->keeper, w->account->config)
               ? IMAP_STATUS_HIGHESTMODSEQ
               : 0;
}

bool changes_fit(const struct folder *f, const imap_status *s) {
    const struct changes *c = f->changes;

    if (!changes_on(f)) {
        return true;
    }
    if ((s->have & IMAP_STATUS_HIGHESTMODSEQ) && s->highestmodseq) {
        return s->highestmodseq == f->cursor.modseq;
    }
    /* Nothing tells: once after each connect, and with each reconcile. */
    const struct watcher *w = f->account->watchers->pdata[0];
    return !c->due && c->compared >= w->ready_since &&
           loop_now(keeper_of(c)->loop) < c->compared + f->account->config->reconcile_ms;
}
