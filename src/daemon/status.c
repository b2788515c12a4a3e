/* `status`: what is watched and how, since when it is known to be complete, and what is wrong, in words. */
#include "daemon_priv.h"

#include "base/text.h"

static void json_string(GString *out, const char *key, const char *value) {
    g_string_append_printf(out, "\"%s\":", key);
    if (value) {
        text_append_json(out, value, -1);
    } else {
        g_string_append(out, "null");
    }
}

/* How news of it would be heard of at this moment. */
static const char *how(const struct folder *f) {
    const struct watcher *w = f->watcher, *asks = f->account->watchers->pdata[0];

    if (f->missing) {
        return "missing";
    }
    if (w->ready && w->at == f && w->polling) {
        return "polling";
    }
    if (push_covers(f)) {
        return "notify";
    }
    if (w->ready && w->at == f) {
        return "idle";
    }
    return asks->ready && (w->ready || w->on_demand) ? "status" : watcher_state_text(w);
}

/* When the connection that it is heard of on last said anything; 0 = there is none. */
static uint64_t last_heard(const struct folder *f) {
    const struct watcher *w = f->watcher->ready ? f->watcher : f->account->watchers->pdata[0];
    session_stats stats = {0};

    if (w->ready) {
        session_stats_get(w->session, &stats);
    }
    return stats.last_heard;
}

static void json_ago(struct keeper *k, GString *out, const char *key, uint64_t when) {
    g_string_append_printf(out, ",\"%s\":", key);
    if (when) {
        g_string_append_printf(out, "%" G_GUINT64_FORMAT, loop_now(k->loop) - when);
    } else {
        g_string_append(out, "null");
    }
}

static void folder_json(struct keeper *k, const struct folder *f, GString *out) {
    g_string_append_c(out, '{');
    json_string(out, "name", f->name);
    g_string_append_c(out, ',');
    json_string(out, "how", how(f));
    g_string_append_printf(out, ",\"last_uid\":%u,\"arrived\":%" G_GUINT64_FORMAT ",\"in_flight\":%u",
                           f->cursor.last_uid, f->arrived, g_hash_table_size(f->by_uid));
    json_ago(k, out, "proved_ms_ago", f->last_proof);
    json_ago(k, out, "heard_ms_ago", last_heard(f));
    g_string_append_c(out, ',');
    json_string(out, "trouble", f->trouble);
    g_string_append_c(out, '}');
}

static void account_json(struct keeper *k, const struct account *a, GString *out) {
    g_string_append_c(out, '{');
    json_string(out, "name", a->name);
    g_string_append_c(out, ',');
    json_string(out, "state", a->paused ? "paused" : a->parked ? "parked" : a->trouble ? "trouble" : "ok");
    g_string_append_c(out, ',');
    json_string(out, "trouble", a->trouble);
    g_string_append_c(out, ',');
    pace_json(a, out);
    g_string_append(out, ",\"folders\":[");
    for (guint i = 0; i < a->folders->len; i++) {
        g_string_append(out, i ? "," : "");
        folder_json(k, a->folders->pdata[i], out);
    }
    g_string_append(out, "]}");
}

static void folder_text(struct keeper *k, const struct folder *f, GString *out) {
    g_autofree char *proof = f->last_proof ? text_format_duration(loop_now(k->loop) - f->last_proof) : NULL;

    g_string_append(out, "  ");
    text_append_escaped(out, f->name, -1);
    g_string_append_printf(out, "%*s %s, ", (int)(24 - MIN(strlen(f->name), 24)), "", how(f));
    if (proof) {
        g_string_append_printf(out, "complete %s ago", proof);
    } else {
        g_string_append(out, "not proven complete yet");
    }
    g_string_append_printf(out, ", %" G_GUINT64_FORMAT " new", f->arrived);
    if (f->trouble) {
        g_string_append(out, ": ");
        text_append_escaped(out, f->trouble, -1);
    }
    g_string_append_c(out, '\n');
}

static void account_text(struct keeper *k, const struct account *a, GString *out) {
    const struct watcher *first = a->watchers->len ? a->watchers->pdata[0] : NULL;

    g_string_append(out, "account ");
    text_append_escaped(out, a->name, -1);
    g_string_append_printf(out, "%*s %s", (int)(20 - MIN(strlen(a->name), 20)), "",
                           a->paused   ? "paused"
                           : a->parked ? "parked: credentials refused"
                           : first     ? watcher_state_text(first)
                                       : "");
    if (a->trouble && !a->paused) {
        g_string_append(out, ": ");
        text_append_escaped(out, a->trouble, -1);
        if (first && loop_timer_active(first->retry)) {
            g_autofree char *wait = text_format_duration(loop_timer_left(first->retry));
            g_string_append_printf(out, " (again in %s)", wait);
        }
    }
    g_string_append_c(out, '\n');
    for (guint i = 0; i < a->folders->len; i++) {
        folder_text(k, a->folders->pdata[i], out);
    }
}

/* What waits although nothing is wrong with its account. */
static void connections_text(const admission_stats *s, GString *out) {
    if (!s->waiting) {
        return;
    }
    g_string_append_printf(out, "connections: %u open, %u being opened, %u waiting", s->open, s->under_way, s->waiting);
    if (s->room != UINT_MAX) {
        g_string_append_printf(out, "; descriptors allow %u at a time (LimitNOFILE)", s->room);
    }
    if (s->down) {
        g_string_append_printf(out, "; %u server(s) cannot be reached", s->down);
    }
    g_string_append_c(out, '\n');
}

static void connections_json(const admission_stats *s, GString *out) {
    g_string_append_printf(
        out, "\"connections\":{\"open\":%u,\"under_way\":%u,\"waiting\":%u,\"servers_down\":%u,\"room\":", s->open,
        s->under_way, s->waiting, s->down);
    if (s->room == UINT_MAX) {
        g_string_append(out, "null},");
    } else {
        g_string_append_printf(out, "%u},", s->room);
    }
}

/* Of the daemon as a whole. */
static void keeper_json(struct keeper *k, GString *out) {
    pool_stats stats = pool_get_stats(k->pool);
    admission_stats connections = admission_get_stats(k->admission);

    g_string_append(out, "\"version\":\"" MAILRULED_VERSION "\",");
    json_string(out, "config", keeper_config(k)->path);
    g_string_append_c(out, ',');
    connections_json(&connections, out);
    g_string_append_printf(out,
                           "\"evaluators\":{\"ready\":%u,\"deaths\":%" G_GUINT64_FORMAT ",\"queued\":%zu,",
                           stats.ready, stats.deaths, stats.queued);
    json_string(out, "trouble", k->refusal);
    g_string_append_c(out, '}');
}

static void keeper_text(struct keeper *k, GString *out) {
    pool_stats stats = pool_get_stats(k->pool);
    admission_stats connections = admission_get_stats(k->admission);
    g_autofree char *up = text_format_duration(loop_now(k->loop) - k->started);

    g_string_append_printf(out, "mailruled " MAILRULED_VERSION ", up %s, %zu rule(s), %u evaluator(s)", up,
                           keeper_config(k)->n_rules, stats.ready);
    if (stats.deaths) {
        g_string_append_printf(out, " (%" G_GUINT64_FORMAT " replaced)", stats.deaths);
    }
    g_string_append_c(out, '\n');
    if (k->refusal) {
        g_string_append(out, "no message is evaluated until the config is good: ");
        text_append_escaped(out, k->refusal, -1);
        g_string_append_c(out, '\n');
    }
    connections_text(&connections, out);
}

void status_describe(struct keeper *k, GString *out, bool json) {
    if (json) {
        g_string_append_c(out, '{');
        keeper_json(k, out);
        g_string_append(out, ",\"accounts\":[");
    } else {
        keeper_text(k, out);
    }
    for (guint i = 0; i < k->accounts->len; i++) {
        if (json) {
            g_string_append(out, i ? "," : "");
            account_json(k, k->accounts->pdata[i], out);
        } else {
            account_text(k, k->accounts->pdata[i], out);
        }
    }
    g_string_append(out, json ? "],\"webhooks\":[" : "");
    outbox_describe(k->outbox, out, json);
    g_string_append(out, json ? "]" : "");
}
