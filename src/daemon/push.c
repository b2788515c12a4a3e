/*
 * What the server pushes (NOTIFY, RFC 5465): new messages of the first folder with the header fields its rules need,
 * STATUS of the others, names of folders that come and go. Together with IDLE: Dovecot's NOTIFY alone loses a message
 * that arrives within two seconds of SELECT; with IDLE, and a NOOP session_quirks.settle_ms after it, none is lost.
 *
 * Pushes are hints like EXISTS is; that nothing was missed is proven by STATUS in rounds (round.c). A NOTIFY said anew
 * begins with what is there at that moment: what came before and was not told yet (Dovecot gathers for half a second) is
 * told by neither. So a round follows each that does not ask for STATUS itself, and a LIST: folders come likewise.
 */
#include "daemon_priv.h"

#include <string.h>

/* More names, or longer ones, are asked for as the whole personal namespace: Dovecot takes 100. */
#define NAMES_MAX 90
#define NAMES_OCTETS 4000
/* The FETCH that belongs to an EXISTS comes with it; if not, it is asked for. */
#define LATE_MS 150
/* Refused: not offered again soon. Overflow: the server was too busy for once. */
#define REFUSED_MS (24 * UINT64_C(3600000))
#define OVERFLOW_MS UINT64_C(3600000)

/* What a NOTIFY was made from. */
struct asked {
    bool any, names;
    unsigned folders; /* the account's list of folders, as counted there */
    unsigned scope;   /* the needs of the first folder's rules, likewise; 0 = its header fields were not asked for */
};

struct push {
    struct asked asked; /* by the NOTIFY in force, or on its way */
    unsigned pending;  /* not answered yet */
    bool on;           /* answered OK once */
    bool data;         /* the last one asked for header fields, since the folder was selected */
    bool no_names;     /* the server does not know MailboxName */
    unsigned doubtful; /* of those pending: with MailboxName still */
    uint32_t exists, awaited; /* messages told of, their data still to come */
    loop_timer *late, *settle;
};

static void on_late(void *user);
static void on_settle(void *user);

bool push_offered(const struct account *a) {
    const struct watcher *w = a->watchers->len ? a->watchers->pdata[0] : NULL;
    const session_info *info = w && w->ready ? session_info_get(w->session) : NULL;

    return info && imap_can(info->caps, IMAP_CAP_NOTIFY) && loop_now(a->keeper->loop) >= a->no_push_until;
}

bool push_covers(const struct folder *f) {
    const struct account *a = f->account;
    const struct watcher *w = a->watchers->len ? a->watchers->pdata[0] : NULL;

    return w && w->ready && w->push && w->push->on;
}

void push_free(struct watcher *w) {
    struct push *p = g_steal_pointer(&w->push);

    if (p) {
        loop_timer_free(p->late);
        loop_timer_free(p->settle);
        g_free(p);
    }
}

static struct push *push_of(struct watcher *w) {
    if (!w->push) {
        w->push = g_new0(struct push, 1);
        w->push->late = loop_timer_new(w->account->keeper->loop, on_late, w);
        w->push->settle = loop_timer_new(w->account->keeper->loop, on_settle, w);
    }
    return w->push;
}

/* --- asking for it ------------------------------------------------------------------------------------------------ */

static void give_up(struct watcher *w, uint64_t for_ms) {
    struct account *a = w->account;

    a->no_push_until = loop_now(a->keeper->loop) + for_ms;
    push_free(w);
    layout_make(a);
    round_now(a->round);
}

static void answered(void *user, const session_result *result) {
    struct watcher *w = user;
    struct push *p = w->push;

    if (!p || !p->pending) {
        return;
    }
    p->pending--;
    if (!result->err) {
        if (!p->on) {
            log_info(&w->log, "the server pushes news of %u folder(s) on this connection (NOTIFY)",
                     w->account->folders->len);
        }
        p->on = true;
        watcher_nudge(w);
    } else if (p->doubtful) {
        p->doubtful--; /* sent before MailboxName was left out */
    } else if (result->answered && result->code->name == IMAP_CODE_BADEVENT && !p->no_names) {
        p->no_names = true;
        p->doubtful = p->pending;
        p->asked.any = false;
        watcher_nudge(w);
    } else if (result->answered || (!result->sent && result->err->retry == ERROR_RETRY_NEVER)) {
        log_notice(&w->log, "NOTIFY does not work here (%s): IDLE and STATUS instead", result->err->text);
        give_up(w, result->err->code == ERROR_BUSY ? OVERFLOW_MS : REFUSED_MS);
    }
}

/* Too many to name, or (Dovecot compares them undecoded) not to be named in ASCII. */
static bool by_namespace(const struct account *a) {
    size_t octets = 0;

    for (guint i = 0; i < a->folders->len; i++) {
        const char *name = ((struct folder *)a->folders->pdata[i])->name;
        octets += 3 + strlen(name);
        if (!g_str_is_ascii(name) || strchr(name, '&')) {
            return true;
        }
    }
    return a->folders->len > NAMES_MAX || octets > NAMES_OCTETS;
}

static void send_notify(struct watcher *w, struct folder *with_data, bool status) {
    const struct account *a = w->account;
    struct push *p = w->push;
    const char **names = g_new0(const char *, a->folders->len + 1);
    imap_notify want = {.status = status, .selected = true, .mailboxes = names, .names = !p->no_names};

    want.flag_changes = want.mailbox_flag_changes = a->wants_changes;
    want.selected_want = with_data ? message_want(with_data, WIRE_EVENT_NEW) : NULL;
    for (guint i = 0; i < a->folders->len; i++) {
        names[i] = ((struct folder *)a->folders->pdata[i])->name;
    }
    want.personal = by_namespace(a);
    p->pending++;
    p->data = with_data != NULL;
    round_soon(a->round, !status);
    session_notify(w->session, &want, &(session_call){.done = answered, .user = w});
    g_free(names);
}

void push_ask(struct watcher *w) {
    struct folder *home = watcher_home(w);

    if (w->index != 0 || !home || !w->at || !push_offered(w->account) || (w->at == home && !home->scope)) {
        return;
    }
    struct push *p = push_of(w);
    struct folder *with_data = w->at == home && !watcher_has_work(w) ? home : NULL;
    const struct asked now = {true, !p->no_names, w->account->folder_changes, with_data ? with_data->scopes : 0};
    const struct asked before = p->asked;
    if (before.any && before.names == now.names && before.folders == now.folders && before.scope == now.scope) {
        return;
    }
    p->asked = now;
    send_notify(w, with_data, !before.any || before.folders != now.folders); /* others than before: how are they now? */
}

/*
 * What a push of header fields needs, Dovecot prepares for the mailbox that is selected then, and falls over it (an
 * assertion in mail_get_header_stream()) when another, or the same once more, is selected at the next push. So header
 * fields are asked for anew after every SELECT, and not asked for any more before it.
 */
void push_leave(struct watcher *w) {
    struct push *p = w->push;

    if (p && p->data) {
        p->asked.scope = 0;
        send_notify(w, NULL, false);
    }
}

/* --- what comes --------------------------------------------------------------------------------------------------- */

void push_selected(struct folder *f) {
    struct watcher *w = f->watcher;
    const session_folder *now = session_selected(w->session);

    if (w->push) {
        w->push->awaited = 0;
        w->push->exists = now ? now->exists : 0;
        loop_timer_stop(w->push->late);
        loop_timer_start(w->push->settle, session_info_get(w->session)->quirks->settle_ms);
    }
}

static bool comes_with_data(const struct watcher *w) {
    return w->push && w->push->on && w->push->data && !w->push->pending;
}

void push_exists(struct watcher *w, uint32_t count, bool grew) {
    struct push *p = w->push;

    if (p && grew && count > p->exists && comes_with_data(w) && !w->at->look) {
        p->awaited += count - p->exists;
        loop_timer_start(p->late, LATE_MS);
    } else {
        look_announced(w->at, grew);
    }
    if (p) {
        p->exists = count;
    }
}

void push_gone(struct watcher *w) {
    const session_folder *now = w->session ? session_selected(w->session) : NULL;

    if (w->push && now) {
        w->push->exists = now->exists;
    }
}

static void on_late(void *user) {
    struct watcher *w = user;

    w->push->awaited = 0;
    if (w->at && w->at->selected) {
        look_start(w->at, true);
    }
}

bool push_fetch(struct watcher *w, const imap_fetch *fetch) {
    struct push *p = w->push;

    if (!p || !p->awaited || !fetch->uid || !comes_with_data(w) || fetch->uid <= w->at->cursor.last_uid) {
        return false;
    }
    if (!look_pushed(w->at, fetch)) {
        loop_timer_start(p->late, 0);
        return false;
    }
    if (--p->awaited == 0) {
        loop_timer_stop(p->late);
    }
    return true;
}

static void settled(void *user, const session_result *result) {
    struct watcher *w = user;

    if (!result->err && w->at && w->at->selected) {
        look_start(w->at, false);
    }
}

static void on_settle(void *user) {
    struct watcher *w = user;

    if (w->ready && w->at && w->at->selected) {
        session_noop(w->session, &(session_call){.done = settled, .user = w});
    }
}

void push_status(struct watcher *w, const char *name, const imap_status *status) {
    struct folder *f = name ? account_folder(w->account, name) : NULL;

    if (f && !(f->watcher->ready && f->watcher->at == f)) {
        round_told(f, status);
    }
}

void push_overflow(struct watcher *w) {
    if (!w->push) {
        return;
    }
    log_notice(&w->log, "the server cannot keep up with NOTIFY: IDLE and STATUS for an hour");
    give_up(w, OVERFLOW_MS);
}
