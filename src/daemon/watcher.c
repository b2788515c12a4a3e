#include "connect_priv.h"
#include "daemon_priv.h"

#include "base/text.h"

#include "imap/mailbox.h"


#define AUTH_FAILURES_PARK 5
#define HOLD_MS 500

static void on_step(void *user);
static void on_poll(void *user);
static void on_retry(void *user);
static void on_hold(void *user);

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
    w->poll = loop_timer_new(a->keeper->loop, on_poll, w);
    w->turn = loop_timer_new(a->keeper->loop, on_step, w);
    w->hold = loop_timer_new(a->keeper->loop, on_hold, w);
    return w;
}

void watcher_hang_up(struct watcher *w) {
    w->stopping = true;
    w->ready = false;
    w->at = NULL;
    secret_cancel(g_steal_pointer(&w->secret));
    session_free(g_steal_pointer(&w->session));
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

/* --- connecting ------------------------------------------------------------------------------------------------------ */

static void secret_known(void *user, secret *s, error *err) {
    struct watcher *w = user;

    w->secret = NULL;
    session_give_secret(w->session, s, err);
}

static void on_secret(void *user, bool refused) {
    struct watcher *w = user;
    const wire_secret *from = &w->account->config->password;

    if (refused) {
        session_give_secret(w->session, NULL, error_new(ERROR_AUTH, "the server refused the access token"));
        return;
    }
    if (from->kind == WIRE_SECRET_NONE) {
        session_give_secret(w->session, NULL, error_new(ERROR_CONFIG, "the account has no password"));
        return;
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
    account_lay_out(w->account);
    watcher_nudge(w);
}

static void on_ready(void *user, const session_info *info) {
    struct watcher *w = user;
    struct account *a = w->account;

    w->ready = true;
    w->ready_since = loop_now(a->keeper->loop);
    a->auth_failures = 0;
    account_set_trouble(a, NULL);
    log_info(&w->log, "connected to %s%s%s (%s)", a->config->host, info->server ? ", " : "",
             info->server ? info->server : "", info->tls ? info->tls : "no TLS");
    if (w->index == 0) {
        mailboxes_refresh(a->boxes, w->session, listed, w);
    } else {
        watcher_nudge(w);
    }
}

static void leave(struct watcher *w) {
    if (w->at) {
        folder_unselected(w->at);
        w->at = NULL;
    }
}

static void on_closed(void *user, error *err) {
    struct watcher *w = user;
    struct account *a = w->account;
    struct keeper *k = a->keeper;

    if (w->ready && loop_now(k->loop) - w->ready_since > BACKOFF_HEALTHY_MS) {
        backoff_healthy(&w->backoff);
    }
    w->ready = w->polling = w->held = w->hold_over = false;
    loop_timer_stop(w->hold);
    w->statuses = 0;
    loop_timer_stop(w->poll);
    leave(w);
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        f->dirty = true; /* whatever came meanwhile */
        f->missing = false;
    }
    secret_cancel(w->secret);
    w->secret = NULL;
    session_free(w->session);
    w->session = NULL;
    if (w->stopping || a->paused) {
        error_free(err);
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
        error_free(err);
        return;
    }
    if (err->code == ERROR_AUTH && ++a->auth_failures >= AUTH_FAILURES_PARK) {
        a->parked = true;
        log_error(&w->log, "account parked after %u refused logins (%s): correct the credentials, then `mailruled resume`",
                  a->auth_failures, err->text);
        error_free(err);
        return;
    }
    uint64_t wait = backoff_next(&w->backoff, backoff_class_of(err), err->retry_after_ms);
    if (err->code == ERROR_BUSY) {
        a->throttled_until = MAX(a->throttled_until, loop_now(k->loop) + wait);
    }
    g_autofree char *text = text_format_duration(wait);
    log_warn(&w->log, "connection lost: %s; again in %s (%s)", err->text, text,
             backoff_class_name(backoff_class_of(err)));
    error_free(err);
    loop_timer_start(w->retry, wait);
    keeper_check_settled(k);
}

static void on_exists(void *user, uint32_t count, bool grew) {
    struct watcher *w = user;

    if (w->at && w->at->selected) {
        look_start(w->at, grew);
    }
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
                 (unsigned)(w->account->config->poll_ms / 1000));
    }
    w->polling = true;
    watcher_nudge(w);
}

static void on_notice(void *user, enum session_notice notice, const char *text) {
    struct watcher *w = user;

    if (notice == SESSION_NOTICE_ALERT) {
        log_warn(&w->log, "the server asks to tell you: %s", text);
    } else {
        log_info(&w->log, "the server says: %s", text);
    }
}

static void open_session(struct watcher *w) {
    static const session_events events = {
        .secret = on_secret, .ready = on_ready, .exists = on_exists, .watching = on_watching,
        .poll_needed = on_poll_needed, .notice = on_notice, .closed = on_closed,
    };
    struct keeper *k = w->account->keeper;
    struct connect_env env = {k->loop, k->transports, &k->random, &keeper_config(k)->limits};

    w->session = connect_new(&env, w->account->config, &w->account->idle_memory, &events, w, &w->log);
}

void watcher_connect(struct watcher *w) {
    struct account *a = w->account;
    uint64_t now = loop_now(a->keeper->loop);

    if (w->session || w->stopping || a->paused || a->parked) {
        return;
    }
    if (a->throttled_until > now) {
        loop_timer_start(w->retry, a->throttled_until - now);
        return;
    }
    open_session(w);
    error *err = session_open(w->session);
    if (err) {
        on_closed(w, err);
    }
}

static void on_retry(void *user) {
    watcher_connect(user);
}

void watcher_stop(struct watcher *w, bool now) {
    w->stopping = now || w->stopping;
    loop_timer_stop(w->retry);
    loop_timer_stop(w->poll);
    if (w->session) {
        session_close(w->session, now ? SESSION_CLOSE_NOW : SESSION_CLOSE_LOGOUT);
    }
}

/* --- what the connection does next ------------------------------------------------------------------------------------- */

static void select_folder(struct watcher *w, struct folder *f) {
    leave(w);
    w->at = f;
    f->dirty = false;
    folder_select(f);
}

static struct folder *next_dirty(const struct watcher *w) {
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        if (f != w->at && !f->missing && (f->dirty || action_queue_length(f->actions) || f->needs->len)) {
            return f;
        }
    }
    return NULL;
}

/*
 * IDLE is kept back while messages are on their way from their FETCH to their first step, so that it leaves in one write
 * with that step: going into IDLE and out again would cost a round trip. Not for long, because without IDLE nothing new is
 * heard of.
 */
static void hold_idle(struct watcher *w) {
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

static void on_hold(void *user) {
    struct watcher *w = user;

    w->hold_over = true;
    hold_idle(w);
}

void watcher_hold(struct watcher *w) {
    hold_idle(w);
}

/* Where the connection stays when there is nothing to do. NULL: all are missing. */
static struct folder *home(const struct watcher *w) {
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
    bool often = w->polling || w->folders->len > 1 || (w->at && w->at->missing);
    uint64_t wait = often ? MIN(c->poll_ms, c->reconcile_ms) : c->reconcile_ms;

    if (!loop_timer_active(w->poll) || loop_timer_left(w->poll) > wait) {
        loop_timer_start(w->poll, wait);
    }
}

/* Stay while there is work here; then go where something waits; else watch the first folder. */
static void on_step(void *user) {
    struct watcher *w = user;
    struct folder *next;

    hold_idle(w);
    if (!w->ready || !w->folders->len || !mailboxes_known(w->account->boxes)) {
        return;
    }
    if (w->at && !w->at->missing && (!w->at->selected || folder_busy(w->at))) {
        return;
    }
    next = next_dirty(w);
    if (!next && w->folders->len > 1 && w->at != home(w) && !w->statuses) {
        next = home(w);
    }
    if (next) {
        select_folder(w, next);
        return;
    }
    if (w->at && w->at->missing) {
        session_watch(w->session, false);
    } else if (w->at) {
        session_watch(w->session, true);
    }
    plan_poll(w);
    keeper_check_settled(w->account->keeper);
}

static void polled(void *user, const session_result *result) {
    struct folder *f = user;
    struct watcher *w = f->watcher;
    const imap_status *s = result->status;

    if (w->statuses) {
        w->statuses--;
    }
    if (!result->err && s) {
        bool same = f->cursor_known && (s->have & IMAP_STATUS_UIDNEXT) && (s->have & IMAP_STATUS_UIDVALIDITY) &&
                    s->uidvalidity == f->cursor.uidvalidity && s->uidnext <= f->cursor.last_uid + 1;
        f->dirty |= !same;
        f->missing = false;
        if (same) {
            folder_proved(f);
        }
    } else if (result->answered) {
        f->missing = true;
        folder_set_trouble(f, result->err);
    }
    watcher_nudge(w);
}

static void polled_here(void *user, const session_result *result) {
    struct folder *f = user;

    if (!result->err && f->selected) {
        look_start(f, true);
    }
}

/* Where nothing is pushed this finds new mail; where it is, this proves that nothing was missed. */
static void on_poll(void *user) {
    struct watcher *w = user;

    if (!w->ready) {
        return;
    }
    for (guint i = 0; i < w->folders->len; i++) {
        struct folder *f = w->folders->pdata[i];
        if (f == w->at && f->selected) {
            session_noop(w->session, &(session_call){.done = polled_here, .user = f});
        } else if (f == w->at && f->missing) {
            select_folder(w, f);
        } else if (f != w->at) {
            w->statuses++;
            session_status(w->session, f->name, IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_MESSAGES,
                           &(session_call){.done = polled, .user = f});
        }
    }
    watcher_nudge(w);
}

const char *watcher_state_text(const struct watcher *w) {
    if (w->account->paused) {
        return "paused";
    }
    if (w->account->parked) {
        return "parked";
    }
    return w->session ? session_state_name(w->session) : "waiting";
}
