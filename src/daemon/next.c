/* What a connection does next: stay where there is work, go where something waits, else watch its first folder. */
#include "daemon_priv.h"

/* IDLE is kept back at most so long while commands are about to follow. */
#define HOLD_MS 500
/* Busy so long in one folder, a connection gives those that wait to another. */
#define RELIEVE_MS 5000
/* A connection that is there for work only stays so long without any. */
#define LINGER_MS 15000

void next_left(struct watcher *w) {
    if (w->at) {
        folder_unselected(w->at);
        w->at = NULL;
    }
}

static void select_folder(struct watcher *w, struct folder *f) {
    next_left(w);
    w->at = f;
    w->at_since = loop_now(w->account->keeper->loop);
    f->dirty = false;
    push_leave(w);
    folder_select(f);
    push_ask(w);
    if (f->told_new) {
        f->told_new = false;
        look_ahead(f);
    }
}

static bool waits(const struct folder *f) {
    return !f->missing && (f->dirty || action_queue_length(f->actions) || f->needs->len);
}

static struct folder *next_waiting(const struct watcher *w) {
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        if (f != w->at && waits(f)) {
            return f;
        }
    }
    return NULL;
}

bool watcher_has_work(const struct watcher *w) {
    return next_waiting(w) != NULL;
}

/*
 * IDLE is kept back while messages are on their way from their FETCH to their first step, so that it leaves in one
 * write with that step: going into IDLE and out again would cost a round trip. Not for long, because without IDLE
 * nothing new is heard of.
 */
void watcher_hold(struct watcher *w) {
    bool wanted = w->ready && w->at && w->at->selected && folder_about_to_act(w->at);

    if (!wanted) {
        w->hold_over = false;
    }
    if (wanted && !w->held && !w->hold_over) {
        w->held = true;
        session_hold(w->session);
        loop_timer_start(w->hold, HOLD_MS);
    } else if (w->held && (!wanted || w->hold_over)) {
        w->held = false;
        session_release(w->session);
        loop_timer_stop(w->hold);
    }
}

void next_hold(void *watcher) {
    struct watcher *w = watcher;

    w->hold_over = true;
    watcher_hold(w);
}

struct folder *watcher_home(const struct watcher *w) {
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        if (!f->missing) {
            return f;
        }
    }
    return NULL;
}

/* The next look without being told; one that is due sooner stays. */
static void plan_poll(struct watcher *w) {
    const wire_account *c = w->account->config;
    uint64_t wait = w->on_demand ? LINGER_MS
                    : w->polling ? MIN(pace_poll_ms(w->account), c->reconcile_ms)
                                 : c->reconcile_ms;

    if (!loop_timer_active(w->poll) || loop_timer_left(w->poll) > wait) {
        /* Accounts that began together need not be proven together for ever. */
        loop_timer_start(w->poll, wait - random_between(&w->account->keeper->random, 0, wait / 10));
    }
}

/* While one folder keeps the connection busy the others are not to wait for long. */
static void relieve(struct watcher *w) {
    uint64_t busy = loop_now(w->account->keeper->loop) - w->at_since;

    if (!next_waiting(w)) {
        return;
    }
    if (busy >= RELIEVE_MS) {
        layout_relieve(w);
    } else if (!loop_timer_active(w->turn)) {
        loop_timer_start(w->turn, RELIEVE_MS - busy);
    }
}

static void rest(struct watcher *w) {
    w->at_since = loop_now(w->account->keeper->loop);
    if (w->at) {
        session_watch(w->session, true);
    }
    plan_poll(w);
    round_plan(w->account->round);
    recall_keep(w->account);
    keeper_check_settled(w->account->keeper);
}

void next_step(void *watcher) {
    struct watcher *w = watcher;
    struct folder *next;

    watcher_hold(w);
    if (!w->session && w->on_demand && watcher_has_work(w) && !loop_timer_active(w->retry)) {
        watcher_connect(w);
    }
    if (!w->ready || w->leaving || !w->folders->len || !mailboxes_known(w->account->boxes)) {
        keeper_check_settled(w->account->keeper);
        return;
    }
    push_ask(w);
    if (w->at && w->at->missing) {
        next_left(w);
    }
    if (w->at && (!w->at->selected || folder_busy(w->at))) {
        relieve(w);
        return;
    }
    next = next_waiting(w);
    if (!next && !w->on_demand && w->at != watcher_home(w)) {
        next = watcher_home(w);
    }
    if (next) {
        select_folder(w, next);
    } else {
        rest(w);
    }
}

static void polled(void *user, const session_result *result) {
    struct watcher *w = user;

    if (result->err || !w->at || !w->at->selected) {
        return;
    }
    if (result->folder) {
        folder_selected(w->at, result); /* asked by selecting it once more */
    } else {
        look_start(w->at, true);
    }
}

/* Where nothing is pushed this finds new mail; where it is, this proves that nothing was missed. */
void next_poll(void *watcher) {
    struct watcher *w = watcher;

    if (!w->ready || w->leaving) {
        return;
    }
    if (w->on_demand && !watcher_has_work(w) && !(w->at && folder_busy(w->at))) {
        watcher_leave(w);
        return;
    }
    if (w->at && w->at->selected) {
        bool tells = session_info_get(w->session)->quirks->poll == SESSION_POLL_NOOP;
        session_poll(w->session, &(session_call){.done = tells ? NULL : polled, .user = w});
        if (tells) {
            round_ask(w->at); /* what NOOP did not tell its STATUS gives away */
        }
    }
    watcher_nudge(w);
}
