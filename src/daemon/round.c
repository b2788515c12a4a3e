/*
 * Rounds: the STATUS of every folder that no connection has selected, and now and then the list of folders (RFC 9051
 * sections 6.3.9, 6.3.11; LIST-STATUS, RFC 5819). Often where nothing else tells of news, else at `reconcile`, which
 * proves that nothing was missed. On the first connection of the account.
 */
#include "daemon_priv.h"

#include "imap/mailbox.h"

#include <string.h>

#define ITEMS (IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_MESSAGES)
/* From so many folders on one LIST asks for all of them... */
#define LIST_MIN 3
/* ... in lines of so many octets. */
#define LIST_OCTETS 3000
/* So few new messages are fetched together with the SELECT. */
#define AHEAD_MAX 50
/* So many times new mail was found that should have been told: once may be chance. */
#define UNTOLD_MAX 2
/* Visits to other folders come in swarms, each with a NOTIFY said anew: one round for all of them. */
#define SOON_MS 1000
/* ... and one LIST; for each folder in it so much later, since a mailbox may have thousands. */
#define SOON_MS_PER_FOLDER 10
/* Folders are often made, renamed or deleted several at a time. */
#define RELIST_MS 500

struct round {
    struct account *account;
    loop_timer *timer;  /* the next round */
    loop_timer *relist; /* LIST again */
    unsigned pending;   /* commands */
    bool again;         /* due while commands were pending: those may have been answered too early */
    uint64_t listed;    /* elapsed ms: the last LIST of folders */
};

/* One command under way. Folders by name: they may be forgotten meanwhile. */
struct question {
    struct account *account;
    GPtrArray *names; /* not answered yet */
};

static void on_round(void *user);
static void on_relist(void *user);

struct round *round_new(struct account *a) {
    struct round *r = g_new0(struct round, 1);

    r->account = a;
    r->timer = loop_timer_new(a->keeper->loop, on_round, r);
    r->relist = loop_timer_new(a->keeper->loop, on_relist, r);
    return r;
}

void round_free(struct round *r) {
    if (r) {
        loop_timer_free(r->timer);
        loop_timer_free(r->relist);
        g_free(r);
    }
}

static struct watcher *first(const struct round *r) {
    struct watcher *w = r->account->watchers->len ? r->account->watchers->pdata[0] : NULL;

    return w && w->ready && !w->stopping ? w : NULL;
}

static bool is_selected(const struct folder *f) {
    return f->watcher->ready && f->watcher->at == f && !f->missing;
}

bool round_under_way(const struct round *r) {
    return r->pending;
}

/* --- when --------------------------------------------------------------------------------------------------------- */

void round_plan(struct round *r) {
    const wire_account *c = r->account->config;
    uint64_t wait = layout_has_patterns(r->account) ? c->reconcile_ms : 0;

    if (!first(r)) {
        return;
    }
    if (r->again && !r->pending) {
        r->again = false;
        loop_timer_start_within(r->timer, SOON_MS);
        return;
    }
    for (guint i = 0; i < r->account->folders->len; i++) {
        const struct folder *f = r->account->folders->pdata[i];
        if (!is_selected(f)) {
            uint64_t most =
                push_covers(f) && !f->missing ? c->reconcile_ms : MIN(pace_poll_ms(f->account), c->reconcile_ms);
            wait = wait ? MIN(wait, most) : most;
        }
    }
    if (!wait) {
        loop_timer_stop(r->timer);
    } else if (!r->pending) {
        loop_timer_start_within(r->timer, wait);
    }
}

/* NOTIFY begins with a STATUS of all folders. */
void round_now(struct round *r) {
    if (push_offered(r->account)) {
        round_plan(r);
    } else {
        loop_timer_start(r->timer, 0);
    }
}

void round_soon(struct round *r, bool status_too) {
    const struct account *a = r->account;

    if (status_too) {
        loop_timer_start_within(r->timer, SOON_MS);
    }
    if (first(r) && layout_has_patterns(a)) {
        loop_timer_start_within(r->relist, SOON_MS + SOON_MS_PER_FOLDER * mailboxes_count(a->boxes));
    }
}

void round_stop(struct round *r) {
    loop_timer_stop(r->timer);
    loop_timer_stop(r->relist);
    r->again = false;
}

/* --- what is told ------------------------------------------------------------------------------------------------- */

void round_told(struct folder *f, const imap_status *s) {
    bool next = s->have & IMAP_STATUS_UIDNEXT;
    bool same = folder_fits(f, s);

    if (f->missing && f->watcher->at == f) {
        next_left(f->watcher);
    }
    if (same && !f->missing) {
        folder_proved(f);
    } else {
        f->told_new = !f->missing && next && s->uidnext - f->cursor.last_uid <= AHEAD_MAX;
        f->missing = false;
        f->dirty = true;
        watcher_nudge(f->watcher);
    }
}

static void not_there(struct folder *f, const error *err) {
    folder_not_there(f);
    folder_set_trouble(f, err);
    if (f->by_pattern) {
        round_relist(f->account->round);
    }
}

static struct question *ask(struct round *r) {
    struct question *q = g_new0(struct question, 1);

    q->account = r->account;
    q->names = g_ptr_array_new_with_free_func(g_free);
    r->pending++;
    return q;
}

static void done(struct question *q) {
    struct round *r = q->account->round;

    r->pending--;
    g_ptr_array_free(q->names, TRUE);
    g_free(q);
    if (!r->pending && first(r)) {
        round_plan(r);
        watcher_nudge(first(r));
    }
}

/*
 * What the selected folder is by its name. There are servers that go on with a folder that was deleted or made anew as
 * if nothing had happened (Cyrus, Courier), or show in it nothing new until it is selected again (GNU Mailutils).
 */
static void told_here(struct folder *f, bool there, const imap_status *s) {
    struct watcher *w = f->watcher;
    const session_folder *now = folder_session(f) ? session_selected(folder_session(f)) : NULL;
    bool counted = s && (s->have & IMAP_STATUS_MESSAGES), other, more;

    if (!now) {
        return;
    }
    other = !there || (s && (s->have & IMAP_STATUS_UIDVALIDITY) && s->uidvalidity != now->uidvalidity) ||
            (counted && s->messages != now->exists);
    more = counted && s->messages > now->exists;
    if (more && ++w->untold >= UNTOLD_MAX && !w->polling) {
        log_warn(&w->log, "the server does not tell what is new while a folder is selected: polling every %us",
                 (unsigned)(pace_poll_ms(w->account) / 1000));
        w->polling = true;
    }
    if (other && !folder_busy(f)) {
        log_info(&f->log, "is not what was selected: selecting it again");
        f->dirty = true;
        next_left(w);
        watcher_nudge(w);
    } else {
        look_start(f, true);
    }
}

/* --- STATUS ------------------------------------------------------------------------------------------------------- */

static void answered(void *user, const session_result *result) {
    struct question *q = user;
    struct folder *f = account_folder(q->account, q->names->pdata[0]);

    if (f && !is_selected(f)) {
        if (!result->err && result->status) {
            round_told(f, result->status);
        } else if (result->err && result->answered && result->err->class_ != ERROR_CLASS_ACCOUNT) {
            not_there(f, result->err);
        }
    } else if (f && (!result->err || (result->answered && result->err->class_ != ERROR_CLASS_ACCOUNT))) {
        told_here(f, !result->err, result->status);
    }
    done(q);
}

static void ask_status(struct round *r, struct watcher *w, const char *name) {
    struct question *q = ask(r);

    g_ptr_array_add(q->names, g_strdup(name));
    session_status(w->session, name, ITEMS | changes_status_items(w), &(session_call){.done = answered, .user = q});
}

void round_ask(struct folder *f) {
    ask_status(f->account->round, f->watcher, f->name);
}

/* --- LIST-STATUS -------------------------------------------------------------------------------------------------- */

static void status_listed(void *user, const imap_response *response) {
    struct question *q = user;
    struct watcher *w = first(q->account->round);
    g_autofree char *name = NULL;

    if (response->kind != IMAP_STATUS || !w ||
        !session_decode_name(w->session, response->status.name, mailboxes_delimiter(q->account->boxes), &name)) {
        return;
    }
    for (guint i = 0; i < q->names->len; i++) {
        if (imap_mailbox_equal(q->names->pdata[i], name)) {
            struct folder *f = account_folder(q->account, name);
            if (f && !is_selected(f)) {
                round_told(f, &response->status);
            }
            g_ptr_array_remove_index(q->names, i);
            return;
        }
    }
}

/* What LIST did not answer is asked for one by one: the folder is gone, or the server's LIST-STATUS is broken. */
static void all_listed(void *user, const session_result *result) {
    struct question *q = user;
    struct round *r = q->account->round;
    struct watcher *w = first(r);

    for (guint i = 0; w && (!result->err || result->answered) && i < q->names->len; i++) {
        ask_status(r, w, q->names->pdata[i]);
    }
    done(q);
}

static void ask_list(struct watcher *w, struct question *q) {
    imap_list_options options = {.extended = true, .status = ITEMS | changes_status_items(w)};

    g_ptr_array_add(q->names, NULL);
    options.names = (const char *const *)q->names->pdata;
    session_list(w->session, "", "", &options, &(session_call){.done = all_listed, .data = status_listed, .user = q});
    g_ptr_array_set_size(q->names, (int)q->names->len - 1);
}

static void ask_lists(struct round *r, struct watcher *w, GPtrArray *folders) {
    struct question *q = NULL;
    size_t octets = 0;

    for (guint i = 0; i < folders->len; i++) {
        const struct folder *f = folders->pdata[i];
        if (strpbrk(f->name, "*%")) {
            ask_status(r, w, f->name);
            continue;
        }
        if (q && octets + strlen(f->name) > LIST_OCTETS) {
            ask_list(w, q);
            q = NULL;
        }
        octets = q ? octets + strlen(f->name) + 3 : 0;
        q = q ? q : ask(r);
        g_ptr_array_add(q->names, g_strdup(f->name));
    }
    if (q) {
        ask_list(w, q);
    }
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

static void on_round(void *user) {
    struct round *r = user;
    struct account *a = r->account;
    struct watcher *w = first(r);
    const session_info *info = w ? session_info_get(w->session) : NULL;

    r->again = r->pending > 0;
    if (!info || r->pending) {
        return;
    }
    GPtrArray *asked = g_ptr_array_new();
    for (guint i = 0; i < a->folders->len; i++) {
        if (!is_selected(a->folders->pdata[i])) {
            g_ptr_array_add(asked, a->folders->pdata[i]);
        }
    }
    bool list = imap_can(info->caps, IMAP_CAP_LIST_STATUS) && imap_can(info->caps, IMAP_CAP_LIST_EXTENDED);
    if (list && asked->len >= LIST_MIN) {
        ask_lists(r, w, asked);
    } else {
        for (guint i = 0; i < asked->len; i++) {
            ask_status(r, w, ((struct folder *)asked->pdata[i])->name);
        }
    }
    g_ptr_array_free(asked, TRUE);
    if (layout_has_patterns(a) && loop_now(a->keeper->loop) - r->listed >= a->config->reconcile_ms) {
        round_relist(r);
    }
    round_plan(r);
}

static void relisted(void *user, const error *err) {
    struct round *r = user;

    r->pending--;
    r->listed = loop_now(r->account->keeper->loop);
    if (!err) {
        recall_listed(r->account);
    }
    round_plan(r);
}

static void on_relist(void *user) {
    struct round *r = user;
    struct watcher *w = first(r);

    if (w) {
        r->pending++;
        mailboxes_refresh(r->account->boxes, w->session, relisted, r);
    }
}

void round_relist(struct round *r) {
    if (first(r)) {
        loop_timer_start_within(r->relist, RELIST_MS);
    }
}
