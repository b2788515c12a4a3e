#include "connect_priv.h"
#include "daemon_priv.h"

#include "base/text.h"

#include "imap/mailbox.h"

#define AUTH_FAILURES_PARK 5

static void on_retry(void *user);

struct watcher *watcher_new(struct account *a, unsigned index) {
    struct watcher *w = g_new0(struct watcher, 1);

    w->account = a;
    w->index = index;
    w->id = g_strdup_printf("%s#%u", a->name, index + 1);
    w->log = a->log;
    w->log.id = w->id;
    w->folders = g_ptr_array_new();
    backoff_init(&w->backoff, &a->keeper->random);
    w->retry = loop_timer_new(a->keeper->loop, on_retry, w);
    w->poll = loop_timer_new(a->keeper->loop, next_poll, w);
    w->turn = loop_timer_new(a->keeper->loop, next_step, w);
    w->hold = loop_timer_new(a->keeper->loop, next_hold, w);
    return w;
}

void watcher_hang_up(struct watcher *w) {
    w->stopping = true;
    w->ready = false;
    w->at = NULL;
    push_free(w);
    secret_cancel(g_steal_pointer(&w->secret));
    session_free(g_steal_pointer(&w->session));
    admission_closed(&w->ticket, ADMISSION_ENDED);
}

void watcher_free(struct watcher *w) {
    if (!w) {
        return;
    }
    watcher_hang_up(w);
    loop_timer_free(w->retry);
    loop_timer_free(w->poll);
    loop_timer_free(w->turn);
    loop_timer_free(w->hold);
    g_ptr_array_free(w->folders, TRUE);
    g_free(w->id);
    g_free(w);
}

void watcher_nudge(struct watcher *w) {
    loop_timer_start(w->turn, 0);
}

/* --- connecting --------------------------------------------------------------------------------------------------- */

static void secret_known(void *user, secret *s, error *err) {
    struct watcher *w = user;

    w->secret = NULL;
    session_give_secret(w->session, s, err);
}

static void on_secret(void *user, bool refused) {
    struct watcher *w = user;
    const wire_secret *from = &w->account->config->password;
    error *err = connect_no_secret(from, refused);

    if (err) {
        session_give_secret(w->session, NULL, err);
        return;
    }
    if (refused) {
        log_info(&w->log, "the server refused the access token: the command is run again for a fresh one");
    }
    w->secret = connect_secret(w->account->keeper->loop, from, secret_known, w);
}

static void listed(void *user, const error *err) {
    struct watcher *w = user;

    if (err) {
        log_error_value(&w->log, LOG_LEVEL_WARN, err);
        if (w->session) {
            session_close(w->session, SESSION_CLOSE_NOW);
        }
        return;
    }
    recall_listed(w->account);
    round_now(w->account->round);
}

static void on_ready(void *user, const session_info *info) {
    struct watcher *w = user;
    struct account *a = w->account;

    w->ready = true;
    w->ready_since = loop_now(a->keeper->loop);
    admission_reached(&w->ticket);
    account_set_trouble(a, NULL);
    log_info(&w->log, "connected to %s%s%s (%s%s)", a->config->host, info->server ? ", " : "",
             info->server ? info->server : "", info->tls ? info->tls : "no TLS",
             info->compressed ? ", compressed" : "");
    pace_tell_bound(a);
    if (w->index == 0) {
        mailboxes_refresh(a->boxes, w->session, listed, w);
    } else {
        watcher_nudge(w);
    }
}

/* All that the connection knew is gone with it. */
static void disconnected(struct watcher *w) {
    struct account *a = w->account;

    if (w->ready && loop_now(a->keeper->loop) - w->ready_since > BACKOFF_HEALTHY_MS) {
        backoff_healthy(&w->backoff);
    }
    w->ready = w->polling = w->held = w->hold_over = w->leaving = false;
    loop_timer_stop(w->hold);
    loop_timer_stop(w->poll);
    if (w->at && (!w->at->selected || folder_busy(w->at))) {
        w->at->dirty = true; /* what it was selected for is not done */
    }
    next_left(w);
    push_free(w);
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        f->dirty |= !f->seen_once || w->folders->len == 1; /* of the rest a STATUS tells whether anything came */
        f->missing &= w->on_demand;
    }
    if (w->index == 0) {
        round_stop(a->round);
    }
    secret_cancel(w->secret);
    w->secret = NULL;
    pace_connection_ended(a, w->session);
    session_free(w->session);
    w->session = NULL;
}

/* Refused credentials again and again: a server that counts them would lock the user out. */
static bool park(struct watcher *w, const error *err) {
    struct account *a = w->account;

    if (err->code != ERROR_AUTH || ++a->auth_failures < AUTH_FAILURES_PARK) {
        return false;
    }
    a->parked = true;
    log_error(&w->log, "account parked after %u refused logins (%s): correct the credentials, then `mailruled resume`",
              a->auth_failures, err->text);
    return true;
}

/* The server has no more connections than there are, and this is not one of them: one of those beyond their number
 * is. */
static void trade_places(struct watcher *w) {
    GPtrArray *list = w->account->watchers;

    for (guint i = pace_connections(w->account); w->index < i && i < list->len; i++) {
        struct watcher *other = list->pdata[i];
        if (other->ready && !other->leaving && !other->on_demand) {
            list->pdata[i] = w;
            list->pdata[w->index] = other;
            other->index = w->index;
            w->index = i;
            return;
        }
    }
}

static void connect_later(struct watcher *w, const error *err) {
    struct account *a = w->account;
    uint64_t wait = backoff_next(&w->backoff, backoff_class_of(err), err->retry_after_ms);

    if (err->code == ERROR_BUSY) {
        a->throttled_until = MAX(a->throttled_until, loop_now(a->keeper->loop) + wait);
    }
    wait = MAX(wait, pace_connect_wait(a));
    g_autofree char *text = text_format_duration(wait);
    log_warn(&w->log, "connection lost: %s; again in %s (%s)", err->text, text,
             backoff_class_name(backoff_class_of(err)));
    loop_timer_start(w->retry, wait);
    if (pace_crowded(a) && mailboxes_known(a->boxes)) {
        trade_places(w);
        layout_make(a); /* those that are there take the folders over */
    }
}

/* What the end of the connection says about the server, for others that want to connect to it. */
static enum admission_end end_of(const struct watcher *w, const error *err) {
    session_stats stats = {0};

    if (!err || w->ready) {
        return ADMISSION_ENDED;
    }
    if (err->code == ERROR_AUTH) {
        return ADMISSION_ANSWERED;
    }
    if (err->code == ERROR_BUSY) {
        return ADMISSION_REFUSED;
    }
    session_stats_get(w->session, &stats);
    if (stats.last_heard) { /* the greeting was there */
        return ADMISSION_ENDED;
    }
    return err->code == ERROR_NETWORK || err->code == ERROR_PROTOCOL ? ADMISSION_UNREACHED
           : err->code == ERROR_LIMIT ? ADMISSION_NO_RESOURCES
                                      : ADMISSION_ENDED;
}

static void on_closed(void *user, error *lost) {
    struct watcher *w = user;
    struct account *a = w->account;
    struct keeper *k = a->keeper;
    bool everybody = admission_closed(&w->ticket, end_of(w, lost)); /* not this account's trouble alone */
    bool rest = w->on_demand && w->leaving;
    g_autoptr(error) err = lost;

    disconnected(w);
    if (w->stopping || a->paused || rest) {
        if (rest && push_offered(a)) {
            layout_make(a); /* its folders go back to the first connection */
        } else if (rest) {
            watcher_nudge(w); /* work may have come meanwhile */
        }
        keeper_check_settled(k);
        return;
    }
    if (!err) {
        err = error_new(ERROR_NETWORK, "connection closed");
    }
    error_at(err, a->name, NULL, 0, NULL);
    account_set_trouble(a, err);
    if (k->options->once) {
        log_error(&w->log, "%s", err->text);
        a->gave_up = true;
        k->failures++;
        return;
    }
    if (everybody) {
        log_info(&w->log, "not connected: %s; again when it is possible", err->text);
        watcher_connect(w);
    } else if (!park(w, err)) {
        connect_later(w, err);
        keeper_check_settled(k);
    }
}

static void on_exists(void *user, uint32_t count, bool grew) {
    struct watcher *w = user;

    if (w->at && w->at->selected) {
        w->untold = grew ? 0 : w->untold;
        push_exists(w, count, grew);
    }
}

static void on_gone(void *user, imap_ranges uids, bool earlier) {
    struct watcher *w = user;

    push_gone(w);
    if (w->at && w->at->selected) {
        folder_gone(w->at, uids);
    }
}

static void on_fetch(void *user, const imap_fetch *fetch) {
    struct watcher *w = user;

    if (!push_fetch(w, fetch) && w->at && w->at->selected) {
        folder_news(w->at, fetch);
    }
}

static void on_status(void *user, const char *name, const imap_status *status) {
    push_status(user, name, status);
}

static void on_list(void *user, const char *name, const imap_list *list) {
    struct watcher *w = user;

    round_relist(w->account->round);
}

static void on_watching(void *user) {
    struct watcher *w = user;

    if (w->at && w->at->selected && !w->at->look) {
        folder_proved(w->at);
    }
}

static void on_poll_needed(void *user) {
    struct watcher *w = user;

    if (!w->polling) {
        log_info(&w->log, "the server offers no working IDLE: polling every %us",
                 (unsigned)(pace_poll_ms(w->account) / 1000));
    }
    w->polling = true;
    watcher_nudge(w);
}

static void on_notice(void *user, enum session_notice notice, const char *text) {
    struct watcher *w = user;

    if (notice == SESSION_NOTICE_ALERT) {
        log_warn(&w->log, "the server asks to tell you: %s", text);
    } else if (notice == SESSION_NOTICE_NOTIFY_OVERFLOW) {
        push_overflow(w);
    } else {
        log_info(&w->log, "the server says: %s", text);
    }
}

static void open_session(struct watcher *w) {
    static const session_events events = {
        .secret = on_secret, .ready = on_ready, .exists = on_exists, .gone = on_gone, .fetch = on_fetch,
        .status = on_status, .list = on_list, .watching = on_watching, .poll_needed = on_poll_needed,
        .notice = on_notice, .closed = on_closed,
    };
    struct keeper *k = w->account->keeper;
    struct connect_env env = {k->loop, k->transports, &k->random, &keeper_config(k)->limits,
                              w->account->wants_changes};

    w->session =
        connect_new(&env, w->account->config, &w->account->idle_memory, &w->account->pace, &events, w, &w->log);
}

static bool wants_connection(const struct watcher *w) {
    const struct account *a = w->account;

    return !w->session && !w->stopping && !a->paused && !a->parked && (!w->on_demand || watcher_has_work(w));
}

static void on_turn(void *user) {
    struct watcher *w = user;

    if (!wants_connection(w) || pace_connect_wait(w->account)) {
        admission_closed(&w->ticket, ADMISSION_ENDED);
        watcher_connect(w); /* later, if at all */
        return;
    }
    open_session(w);
    error *err = session_open(w->session);
    if (err) {
        on_closed(w, err);
    }
}

void watcher_connect(struct watcher *w) {
    struct account *a = w->account;
    uint64_t wait = pace_connect_wait(a);

    if (!wants_connection(w)) {
        return;
    }
    if (wait) {
        loop_timer_start(w->retry, wait);
        return;
    }
    const wire_account *c = a->config;
    unsigned port = c->port ? c->port : c->tls == WIRE_TLS_IMPLICIT ? 993 : 143;
    admission_ask(a->keeper->admission, &w->ticket, c->host, port, on_turn, w);
}

static void on_retry(void *user) {
    struct watcher *w = user;

    if (!w->index || w->folders->len || !mailboxes_known(w->account->boxes)) {
        watcher_connect(w);
    } else if (w->index < pace_connections(w->account)) {
        layout_make(w->account); /* as many as before again: it gets its folders back, and connects */
    } else {
        loop_timer_start(w->retry, MAX(pace_connect_wait(w->account), 1000));
    }
}

void watcher_stop(struct watcher *w, bool now) {
    w->stopping = now || w->stopping;
    loop_timer_stop(w->retry);
    loop_timer_stop(w->poll);
    if (w->session) {
        session_close(w->session, now ? SESSION_CLOSE_NOW : SESSION_CLOSE_LOGOUT);
    } else {
        admission_closed(&w->ticket, ADMISSION_ENDED);
    }
}

/* Not for good: it comes back when there is work. */
void watcher_leave(struct watcher *w) {
    w->leaving = true;
    session_close(w->session, SESSION_CLOSE_LOGOUT);
}

const char *watcher_state_text(const struct watcher *w) {
    if (w->account->paused) {
        return "paused";
    }
    if (w->account->parked) {
        return "parked";
    }
    if (w->session) {
        return session_state_name(w->session);
    }
    return w->on_demand && w->ticket.state == ADMISSION_IDLE ? "resting" : admission_why(&w->ticket);
}
