/* What an account's connections may do together: how many there are, how often they ask, what they have carried. */
#include "connect_priv.h"
#include "daemon_priv.h"

/* How often it is looked at whether there is room for a connection again. */
#define CROWDED_MS 60000

static const session_quirks *quirks_of(const struct account *a) {
    for (guint i = 0; i < a->watchers->len; i++) {
        const struct watcher *w = a->watchers->pdata[i];
        const session_info *info = w->session ? session_info_get(w->session) : NULL;
        if (info) {
            return info->quirks;
        }
    }
    return NULL;
}

unsigned pace_connections(const struct account *a) {
    const session_quirks *quirks = quirks_of(a);
    unsigned n = MAX(a->config->connections, 1);

    if (quirks) {
        n = session_quirks_connections(quirks, n, a->config->connections_stated);
    }
    return session_pace_connections(&a->pace, loop_now(a->keeper->loop), n);
}

bool pace_crowded(const struct account *a) {
    return a->pace.fewer && a->pace.open >= a->pace.fewer && loop_now(a->keeper->loop) < a->pace.fewer_until;
}

uint64_t pace_connect_wait(const struct account *a) {
    uint64_t now = loop_now(a->keeper->loop), wait = session_pace_connect_wait(&a->pace, now);

    if (pace_crowded(a) && a->pace.pause_until <= now) {
        wait = MIN(wait, CROWDED_MS); /* another one may go meanwhile */
    }
    return MAX(wait, a->throttled_until > now ? a->throttled_until - now : 0);
}

uint64_t pace_poll_ms(const struct account *a) {
    const session_quirks *quirks = quirks_of(a);
    uint64_t ms = a->config->poll_ms;

    return !a->config->poll_stated && quirks && quirks->poll_ms && quirks->poll_ms < ms ? quirks->poll_ms : ms;
}

void pace_tell_bound(struct account *a) {
    const session_quirks *quirks = quirks_of(a);
    g_autofree char *text = quirks && !a->bound_told ? connect_bound(a->config, quirks) : NULL;

    if (text) {
        a->bound_told = true;
        log_notice(&a->log, "%s", text);
    }
}

static void add_traffic(struct traffic *sum, const session *s) {
    session_stats stats;

    if (s) {
        session_stats_get(s, &stats);
        sum->in += stats.bytes_in;
        sum->out += stats.bytes_out;
        sum->plain_in += stats.plain_in;
        sum->plain_out += stats.plain_out;
    }
}

void pace_connection_ended(struct account *a, const session *s) {
    add_traffic(&a->traffic, s);
}

static struct traffic traffic_of(const struct account *a) {
    struct traffic sum = a->traffic;

    for (guint i = 0; i < a->watchers->len; i++) {
        const struct watcher *w = a->watchers->pdata[i];
        add_traffic(&sum, w->session);
    }
    return sum;
}

void pace_json(const struct account *a, GString *out) {
    const session_quirks *quirks = quirks_of(a);
    session_pace pace = a->pace; /* looking at it changes it */
    const struct traffic sum = traffic_of(a);

    g_string_append_printf(out,
                           "\"bytes_in\":%" G_GUINT64_FORMAT ",\"bytes_out\":%" G_GUINT64_FORMAT
                           ",\"uncompressed_in\":%" G_GUINT64_FORMAT ",\"uncompressed_out\":%" G_GUINT64_FORMAT
                           ",\"connections\":%u,\"pauses\":%" G_GUINT64_FORMAT ",\"paused_ms\":%" G_GUINT64_FORMAT
                           ",\"quirks\":\"%s\"",
                           sum.in, sum.out, sum.plain_in, sum.plain_out, pace.open, pace.pauses,
                           session_pace_wait(&pace, loop_now(a->keeper->loop)), quirks ? quirks->names : "");
}
