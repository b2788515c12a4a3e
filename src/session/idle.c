#include "session_priv.h"

/* An IDLE that the server ends sooner than this, IDLE_SHORT_MAX times in a row, is none. */
#define IDLE_SHORT_MS 5000
#define IDLE_SHORT_MAX 3
/* A hang-up after less silence says nothing about how long a silence is borne. */
#define IDLE_TELLING_MS 20000
#define IDLE_LEARN_MIN_MS 30000

void session_watch(session *s, bool on) {
    s->watch = on;
    session_soon(s);
}

void session_hold(session *s) {
    s->holds++;
}

void session_release(session *s) {
    g_return_if_fail(s->holds > 0);
    s->holds--;
    session_soon(s);
}

bool idle_wanted(const session *s) {
    return s->state == SESSION_READY && s->watch && s->folder && !s->holds && s->idle_supported &&
           s->idle == IDLE_OFF && s->generation == s->generations && flight_lets_idle(s);
}

bool idle_must_end(session *s) {
    return s->idle == IDLE_ON && ((s->queue.head && !session_pace_holds(s)) || !s->watch || s->idle_due);
}

void idle_tell_poll(session *s) {
    if (s->state == SESSION_READY && s->watch && s->folder && !s->idle_supported && !s->poll_told) {
        s->poll_told = true;
        session_tell(s, poll_needed);
    }
}

static void set_off(session *s) {
    s->idle = IDLE_OFF;
    s->idling = NULL;
    s->idle_due = false;
}

static void give_up(session *s, const char *why) {
    s->idle_supported = false;
    log_info(&s->log, "IDLE does not work here (%s): polling", why);
}

void idle_start(session *s) {
    imap_command *command = NULL;
    error *err = imap_command_idle(&s->writer, &command);

    if (err) {
        give_up(s, err->text);
        error_free(err);
        return;
    }
    s->idle = IDLE_ASKED;
    s->idling = exchange_new(&exchange_idle, NULL);
    exchange_queue_first(s, s->idling, command);
}

void idle_append_done(session *s, GString *out) {
    g_string_append(out, "DONE\r\n");
    log_debug(&s->log, "> DONE");
    s->idling->done_sent = true;
    if (g_queue_peek_head(&s->flight) == s->idling) {
        s->head_since = session_now(s); /* from now on it owes an answer */
    }
    s->idle_short = 0;
    set_off(s);
}

static uint64_t renew_after(const session *s) {
    const session_idle_memory *memory = s->config.idle_memory;
    uint64_t ms = s->config.idle_renew_ms ? s->config.idle_renew_ms : SESSION_IDLE_RENEW_MS;

    if (!s->config.idle_renew_ms && s->quirks.idle_ms && s->quirks.idle_ms < ms) {
        ms = s->quirks.idle_ms;
    }
    if (memory && memory->learned_ms && memory->learned_ms < ms) {
        ms = memory->learned_ms;
    }
    return random_between(s->random, ms - ms / 5, ms);
}

/* "+": the server idles. */
static void begun(session *s, exchange *x, const imap_response *r) {
    (void)r;
    if (x != s->idling || s->idle != IDLE_ASKED) {
        return;
    }
    s->idle = IDLE_ON;
    s->idle_since = session_now(s);
    s->idle_renew_at = s->idle_since + renew_after(s);
    log_debug(&s->log, "idle, for %" G_GUINT64_FORMAT " s at most", (s->idle_renew_at - s->idle_since) / 1000);
    session_arm(s);
    session_soon(s); /* commands may have been waiting for it */
    session_tell(s, watching);
}

static void ended(session *s, exchange *x, const imap_response *r, session_result *result) {
    (void)r;
    if (x->done_sent) {
        return;
    }
    if (s->idle == IDLE_ASKED) {
        give_up(s, result->err ? result->text : "ended before it began");
    } else if (session_now(s) - s->idle_since >= IDLE_SHORT_MS) {
        s->idle_short = 0;
    } else if (++s->idle_short >= IDLE_SHORT_MAX) {
        give_up(s, "ended at once");
    }
    set_off(s);
}

void idle_hung_up(session *s, uint64_t silence_ms) {
    session_idle_memory *memory = s->config.idle_memory;
    uint32_t before, now = (uint32_t)MIN(silence_ms, UINT32_MAX);

    if (!memory || now < IDLE_TELLING_MS) {
        return;
    }
    before = memory->last_hangup_ms;
    memory->last_hangup_ms = now;
    if (before && MAX(before, now) - MIN(before, now) <= before / 4) {
        memory->learned_ms = MAX(MIN(before, now) / 5 * 4, IDLE_LEARN_MIN_MS);
        log_info(&s->log, "the connection does not bear %u s of silence: IDLE is renewed after %u s", now / 1000,
                 memory->learned_ms / 1000);
    }
}

const exchange_type exchange_idle = {.name = "IDLE", .unpaced = true, .challenge = begun, .finish = ended};
