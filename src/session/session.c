#include "session_priv.h"

#include <string.h>

static const char *const state_names[SESSION_STATES] = {
    [SESSION_NEW] = "new",       [SESSION_CONNECTING] = "connecting", [SESSION_GREETED] = "greeted",
    [SESSION_SECRET] = "secret", [SESSION_LOGIN] = "login",           [SESSION_SETUP] = "setup",
    [SESSION_READY] = "ready",   [SESSION_LOGOUT] = "logout",         [SESSION_CLOSED] = "closed",
};

uint64_t session_now(const session *s) {
    return loop_now(s->loop);
}

void session_go(session *s, enum session_state state) {
    if (s->state != state) {
        log_debug(&s->log, "session %s -> %s", state_names[s->state], state_names[state]);
        s->state = state;
    }
}

/* ---- callbacks of the loop: in and out ---- */

static void destroy(session *s) {
    exchange *x;

    loop_timer_free(s->soon);
    loop_timer_free(s->deadline);
    while ((x = g_queue_pop_head(&s->failed))) {
        exchange_free(x);
    }
    selected_free(s->folder);
    imap_parser_free(s->parser);
    secret_free(s->secret);
    error_free(s->failure);
    g_strfreev(s->disabled);
    g_strfreev(s->enable);
    g_free(s->prefix);
    g_free(s->server);
    g_free(s->greeting);
    g_free(s->id_vendor);
    g_free(s->id_version);
    g_free(s->tls);
    g_free(s->peer);
    g_free(s->challenge_words);
    error_free(s->login_refused);
    g_string_chunk_free(s->strings);
    g_free(s);
}

void session_enter(session *s) {
    s->depth++;
}

void session_leave(session *s) {
    if (--s->depth == 0 && s->freed) {
        destroy(s);
    }
}

void session_soon(session *s) {
    if (!s->freed && !loop_timer_active(s->soon)) {
        loop_timer_start(s->soon, 0);
    }
}

/* The connection is gone and the owner does not know yet. */
static void tell_closed(session *s) {
    error *err = s->failure;
    g_autoptr(error) reason = err ? error_copy(err) : error_new(ERROR_CANCELLED, "connection closed on request");

    s->closing = false;
    s->failure = NULL;
    exchanges_fail(s, reason);
    if (s->freed) {
        error_free(err);
        return;
    }
    s->events.closed(s->user, err);
}

static void on_soon(void *user) {
    session *s = user;

    session_enter(s);
    session_flush(s); /* which may refuse some */
    exchanges_tell_refused(s);
    if (s->closing) {
        tell_closed(s);
    }
    session_arm(s);
    session_leave(s);
}

static void count_traffic(const session *s, session_stats *stats) {
    if (s->transport) {
        transport_traffic(s->transport, &stats->bytes_in, &stats->bytes_out);
    }
}

static void disconnect(session *s) {
    count_traffic(s, &s->stats);
    transport_free(s->transport);
    s->transport = NULL;
    loop_timer_stop(s->deadline);
    if (s->counted) {
        s->counted = false;
        s->pace->open--;
    }
    secret_free(s->secret);
    s->secret = NULL;
    session_go(s, SESSION_CLOSED);
}

void session_fail(session *s, error *err) {
    if (!session_alive(s)) {
        error_free(err);
        return;
    }
    if (err && s->state == SESSION_LOGOUT) {
        g_clear_pointer(&err, error_free); /* it was to end anyway */
    }
    if (err && err->code == ERROR_NETWORK && s->login_refused) {
        error_free(err); /* servers hang up on those whom they refuse */
        err = g_steal_pointer(&s->login_refused);
    }
    if (err) {
        log_debug(&s->log, "session ends: %s", err->text);
        refusal_sets_pace(s, err);
        if (err->class_ < ERROR_CLASS_ACCOUNT) {
            error_set_scope(err, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER);
        }
    }
    disconnect(s);
    s->closing = true;
    s->failure = err;
    session_soon(s);
}

/* ---- deadlines ---- */

/* When the server has been silent for too long; 0 = it owes nothing. */
static uint64_t answer_due(const session *s) {
    const exchange *head = s->flight.head ? s->flight.head->data : NULL;
    uint64_t silence, patience;

    if (!head || (head == s->idling && s->idle == IDLE_ON)) {
        return 0; /* nothing is sent behind a running IDLE */
    }
    silence = head->call.timeout_ms ? head->call.timeout_ms : s->config.timeout_ms;
    patience = s->head_since + SESSION_PATIENCE * silence;
    return MIN(MAX(s->head_since, s->stats.last_heard) + silence, patience);
}

/* When the pace of the account lets the queue go on; 0 = it does not hold it up. */
static uint64_t pace_due(session *s) {
    uint64_t wait = s->queue.head ? session_pace_holds(s) : 0;

    return wait ? session_now(s) + wait : 0;
}

static uint64_t next_due(session *s) {
    uint64_t due = answer_due(s), paced = pace_due(s);

    if (paced && (!due || paced < due)) {
        due = paced;
    }
    if (s->probe_until && (!due || s->probe_until < due)) {
        due = s->probe_until;
    }
    if (s->idle == IDLE_ON && (!due || s->idle_renew_at < due)) {
        due = s->idle_renew_at;
    }
    return due;
}

void session_arm(session *s) {
    uint64_t due, now;

    if (!session_alive(s)) {
        return;
    }
    due = next_due(s);
    if (!due) {
        loop_timer_stop(s->deadline);
        return;
    }
    now = session_now(s);
    loop_timer_start(s->deadline, due > now ? due - now : 0);
}

static void on_deadline(void *user) {
    session *s = user;
    uint64_t now = session_now(s), owed = answer_due(s);

    session_enter(s);
    if ((owed && owed <= now) || (s->probe_until && s->probe_until <= now)) {
        const exchange *head = g_queue_peek_head(&s->flight);
        if (head && head->done_sent) { /* a NAT has forgotten us while we were silent: when, nobody knows */
            idle_hung_up(s, (s->head_since - MIN(s->head_since, s->idle_since)) / 2);
        }
        session_fail(s, error_new(ERROR_NETWORK, "no answer to %s for %u s", head ? head->type->name : "probe",
                                  (unsigned)((now - MIN(now, s->stats.last_heard)) / 1000)));
    } else {
        s->idle_due |= s->idle == IDLE_ON && s->idle_renew_at <= now;
        session_flush(s);
    }
    session_arm(s);
    session_leave(s);
}

/* ---- the transport ---- */

static uint64_t quiet_for(const session *s) {
    return session_now(s) - MAX(s->stats.last_heard, s->idle_since);
}

static void on_connected(void *user, const transport_greeting *greeting) {
    session *s = user;

    session_enter(s);
    s->stats.last_heard = session_now(s);
    login_greeted(s, greeting);
    session_leave(s);
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    session *s = user;
    const imap_response *response;
    error *err = NULL;
    enum imap_got got = IMAP_MORE;

    session_enter(s);
    s->quiet_before = quiet_for(s);
    s->stats.plain_in += len;
    s->stats.last_heard = session_now(s);
    if (s->state != SESSION_LOGOUT && s->probe_until) {
        s->probe_until = session_now(s) + s->probe_ms;
    }
    imap_parser_feed(s->parser, (const char *)bytes, len);
    while (session_alive(s) && (got = imap_parser_next(s->parser, &response, &err)) == IMAP_HAVE) {
        s->stats.responses++;
        session_answer(s, response);
    }
    if (session_alive(s) && got == IMAP_BAD) {
        session_fail(s, err);
    }
    session_leave(s);
}

static void on_closed(void *user, error *err) {
    session *s = user;

    session_enter(s);
    if (s->idle == IDLE_ON) {
        idle_hung_up(s, quiet_for(s));
    }
    session_fail(s, err ? err : error_new(ERROR_NETWORK, "the server closed the connection"));
    session_leave(s);
}

static const transport_events transport_callbacks = {.connected = on_connected, .data = on_data, .closed = on_closed};

/* ---- life ---- */

static const char *keep(session *s, const char *text) {
    return text ? g_string_chunk_insert(s->strings, text) : NULL;
}

static void copy_config(session *s, const session_config *config) {
    static const struct limits defaults = LIMITS_DEFAULT;
    session_config *c = &s->config;

    *c = *config;
    s->strings = g_string_chunk_new(256);
    c->host = keep(s, config->host);
    c->behaves_like = keep(s, config->behaves_like ? config->behaves_like : config->host);
    c->tls_ca = keep(s, config->tls_ca);
    c->proxy = keep(s, config->proxy);
    c->user = keep(s, config->user ? config->user : "");
    c->client_name = keep(s, config->client_name);
    c->client_version = keep(s, config->client_version);
    s->disabled = g_strdupv((char **)config->disabled);
    s->enable = g_strdupv((char **)config->enable);
    s->limits = config->limits ? *config->limits : defaults;
    c->limits = &s->limits;
    c->timeout_ms = c->timeout_ms ? c->timeout_ms : SESSION_TIMEOUT_MS;
}

session *session_new(event_loop *loop, transport_pool *pool, random_source *random, const session_config *config,
                     const session_events *events, void *user, const log_ctx *log) {
    session *s = g_new0(session, 1);
    uint8_t tag_seed[8];

    s->loop = loop;
    s->pool = pool;
    s->random = random;
    s->events = *events;
    s->user = user;
    s->log = *log;
    s->log.group = s->log.group ? s->log.group : "imap";
    copy_config(s, config);
    session_pace_init(&s->own_pace, random);
    s->pace = config->pace ? config->pace : &s->own_pace;
    session_quirks_find(&(session_server){.host = s->config.behaves_like}, &s->quirks);
    crypto_random(tag_seed, sizeof tag_seed);
    imap_writer_init(&s->writer, tag_seed);
    s->parser = imap_parser_new(&s->limits);
    s->soon = loop_timer_new(loop, on_soon, s);
    s->deadline = loop_timer_new(loop, on_deadline, s);
    g_queue_init(&s->queue);
    g_queue_init(&s->flight);
    g_queue_init(&s->failed);
    s->idle_supported = true;
    return s;
}

error *session_open(session *s) {
    const transport_options options = {
        .host = s->config.host,
        .port = s->config.port,
        .tls = s->config.tls,
        .tls_ca = s->config.tls_ca,
        .proxy = s->config.proxy,
        .connect_ms = s->config.connect_ms,
        .handshake_ms = s->config.connect_ms,
    };
    error *err;

    if (s->state != SESSION_NEW) {
        return error_new(ERROR_INTERNAL, "session opened twice");
    }
    session_go(s, SESSION_CONNECTING);
    s->stats.opened = session_now(s);
    err = transport_open(s->pool, &options, &transport_callbacks, s, &s->log, &s->transport);
    if (err) {
        session_go(s, SESSION_CLOSED);
    }
    return err;
}

void session_free(session *s) {
    g_autoptr(error) reason = NULL;

    if (!s || s->freed) {
        return;
    }
    session_enter(s);
    disconnect(s);
    s->freed = true;
    loop_timer_stop(s->soon);
    reason = error_new(ERROR_CANCELLED, "connection closed on request");
    exchanges_fail(s, reason);
    exchanges_tell_refused(s);
    session_leave(s);
}

static void logged_out(void *user, const session_result *result) {
    (void)result;
    session_fail(user, NULL);
}

static void log_out(session *s) {
    const session_call call = {.done = logged_out, .user = s};
    imap_command *command = NULL;
    error *err;
    exchange *x;

    while ((x = g_queue_pop_tail(&s->queue))) {
        x->refused = error_new(ERROR_CANCELLED, "connection closed on request");
        g_queue_push_head(&s->failed, x);
    }
    session_go(s, SESSION_LOGOUT);
    err = imap_command_logout(&s->writer, &command);
    exchange_queue(s, exchange_new(&exchange_plain, &call), command, err);
    s->probe_until = session_now(s) + s->config.timeout_ms;
}

void session_close(session *s, enum session_close_how how) {
    g_autoptr(error) reason = NULL;

    if (!session_alive(s) || s->state == SESSION_LOGOUT) {
        return;
    }
    if (how == SESSION_CLOSE_LOGOUT && s->state == SESSION_READY) {
        log_out(s);
        return;
    }
    session_enter(s);
    session_fail(s, NULL);
    reason = error_new(ERROR_CANCELLED, "connection closed on request");
    exchanges_fail(s, reason);
    session_leave(s);
}

void session_probe(session *s, uint32_t within_ms) {
    const session_call call = {.urgent = true};
    imap_command *command = NULL;
    error *err;

    if (s->state != SESSION_READY) {
        return;
    }
    s->probe_ms = within_ms;
    s->probe_until = session_now(s) + within_ms;
    err = imap_command_noop(&s->writer, &command);
    exchange_queue(s, exchange_new(&exchange_probe, &call), command, err);
}

/* ---- looking at it ---- */

void session_stats_get(const session *s, session_stats *stats_out) {
    *stats_out = s->stats;
    count_traffic(s, stats_out);
    stats_out->state = s->state;
    stats_out->idling = s->idle == IDLE_ON;
    stats_out->idle_supported = s->idle_supported;
    stats_out->idle_since = s->idle == IDLE_ON ? s->idle_since : 0;
    stats_out->queued = s->queue.length;
    stats_out->in_flight = s->flight.length;
}

const char *session_state_name(const session *s) {
    if (s->state != SESSION_READY) {
        return state_names[s->state];
    }
    if (s->idle == IDLE_ON) {
        return "idle";
    }
    return s->queue.length || s->flight.length ? "busy" : "ready";
}

const session_info *session_info_get(const session *s) {
    return s->informed ? &s->info : NULL;
}

const session_folder *session_selected(const session *s) {
    return s->folder ? &s->folder->pub : NULL;
}

imap_writer *session_writer(session *s) {
    return &s->writer;
}

/* Modified UTF-7 has no octets above 127; Dovecot's NOTIFY sends UTF-8 that nobody has enabled. */
static bool has_8bit(imap_str wire) {
    for (size_t i = 0; i < wire.len; i++) {
        if ((unsigned char)wire.data[i] > 127) {
            return true;
        }
    }
    return false;
}

bool session_decode_name(const session *s, imap_str wire, char delimiter, char **name_out) {
    return imap_mailbox_decode(wire, s->writer.utf8 || has_8bit(wire), delimiter, name_out);
}

bool session_may_keep_flag(const session *s, const char *flag) {
    const selected *f = s->folder;

    if (!f || f->pub.read_only) {
        return false;
    }
    for (char **p = f->permanent; p && *p; p++) {
        if (g_ascii_strcasecmp(*p, flag) == 0) {
            return true;
        }
    }
    return !f->permanent_told || (f->pub.any_keyword && *flag != '\\');
}
