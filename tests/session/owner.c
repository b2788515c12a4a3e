#include "tests/session/dialog_run.h"

void run_hear(run *r, const char *format, ...) {
    va_list args;

    va_start(args, format);
    char *line = g_strdup_vprintf(format, args);
    va_end(args);
    g_mutex_lock(&r->lock);
    g_ptr_array_add(r->heard, line);
    bool now = r->heard->len - 1 == r->manner.at;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    if (now && r->manner.twist == TWIST_FREE) {
        session *s = r->session;
        r->session = NULL;
        session_free(s);
    } else if (now && r->manner.twist == TWIST_CLOSE && r->session) {
        session_close(r->session, SESSION_CLOSE_NOW);
    }
}

bool run_heard(const run *r, const char *pattern) {
    for (guint i = 0; i < r->heard->len; i++) {
        if (imap_script_match(pattern, r->heard->pdata[i])) {
            return true;
        }
    }
    return false;
}

static char *format_ranges(imap_ranges ranges) {
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < ranges.count; i++) {
        g_string_append_printf(out, i ? ",%u:%u" : "%u:%u", ranges.at[i].low, ranges.at[i].high);
    }
    return g_string_free(out, FALSE);
}

static void on_secret(void *user, bool refused) {
    run *r = user;
    const char *value = imap_script_header(r->script, "secret", r->secrets++);

    run_hear(r, refused ? "secret refused" : "secret");
    if (!r->session) {
        return;
    }
    if (!value) {
        session_give_secret(r->session, NULL, error_new(ERROR_AUTH, "no other secret"));
        return;
    }
    session_give_secret(r->session, secret_new(value, strlen(value)), NULL);
}

static void on_ready(void *user, const session_info *info) {
    run *r = user;

    run_hear(r, "ready delimiter=%c prefix=%s server=%s", info->delimiter ? info->delimiter : '-', info->prefix,
         info->server ? info->server : "-");
}

static void on_exists(void *user, uint32_t count, bool grew) {
    run_hear(user, "exists %u%s", count, grew ? " grew" : "");
}

static void on_gone(void *user, imap_ranges uids, bool earlier) {
    g_autofree char *text = format_ranges(uids);

    run_hear(user, "gone %s%s", uids.count ? text : "?", earlier ? " earlier" : "");
}

static void on_fetch(void *user, const imap_fetch *fetch) {
    run_hear(user, "news uid=%u sections=%zu", fetch->uid, fetch->section_count);
}

static void on_status(void *user, const char *name, const imap_status *status) {
    run_hear(user, "status %s uidnext=%u", name ? name : "?", status->uidnext);
}

static void on_list(void *user, const char *name, const imap_list *list) {
    (void)list;
    run_hear(user, "list %s", name ? name : "?");
}

static void on_notice(void *user, enum session_notice notice, const char *text) {
    static const char *const names[] = {"alert", "overflow", "throttled"};

    run_hear(user, "notice %s: %s", names[notice], text);
}

static void on_watching(void *user) {
    run_hear(user, "watching");
}

static void on_poll_needed(void *user) {
    run_hear(user, "poll");
}

void run_hear_end(run *r, error *err) {
    const char *code = err ? error_code_name(err->code) : NULL;

    r->closed = true;
    if (!err) {
        run_hear(r, "closed");
    } else if (err->retry_after_ms) {
        run_hear(r, "closed %s after=%" G_GUINT64_FORMAT ": %s", code, err->retry_after_ms, err->text);
    } else if (r->idle_memory.learned_ms) {
        run_hear(r, "closed %s renew=%u: %s", code, r->idle_memory.learned_ms, err->text);
    } else {
        run_hear(r, "closed %s: %s", code, err->text);
    }
    error_free(err);
}

static void on_closed(void *user, error *err) {
    run_hear_end(user, err);
}

const session_events run_events = {
    .secret = on_secret,
    .ready = on_ready,
    .exists = on_exists,
    .gone = on_gone,
    .fetch = on_fetch,
    .status = on_status,
    .list = on_list,
    .notice = on_notice,
    .watching = on_watching,
    .poll_needed = on_poll_needed,
    .closed = on_closed,
};
