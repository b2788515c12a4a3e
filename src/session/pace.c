#include "session/pace.h"

#define GAP_FIRST_MS 250
#define GAP_MOST_MS 8000
#define GAP_EASES_MS 60000
#define FEWER_MS (15 * 60000)
/* Without a refusal for so long the next pause is a short one again. */
#define CALM_MS (60 * 60000)

void session_pace_init(session_pace *pace, random_source *random) {
    *pace = (session_pace){0};
    backoff_init(&pace->busy, random);
}

void session_pace_refused(session_pace *pace, uint64_t now, uint64_t hint_ms) {
    uint64_t pause;

    if (now < pace->pause_until && hint_ms <= pace->pause_until - now) {
        return; /* the other commands that were under way say the same */
    }
    if (pace->hinted && now - pace->hinted > CALM_MS) {
        backoff_healthy(&pace->busy);
    }
    pause = backoff_next(&pace->busy, BACKOFF_BUSY, hint_ms);
    pace->hinted = now;
    pace->pauses++;
    pace->pause_until = MAX(pace->pause_until, now + pause);
}

void session_pace_slow_down(session_pace *pace, uint64_t now) {
    pace->gap_ms = CLAMP(pace->gap_ms * 2, GAP_FIRST_MS, GAP_MOST_MS);
    pace->gap_since = pace->hinted = now;
    pace->next = MAX(pace->next, now + pace->gap_ms);
}

void session_pace_too_many(session_pace *pace, uint64_t now) {
    pace->fewer = MAX(pace->open, 1);
    pace->fewer_until = now + FEWER_MS;
    pace->crowded = now;
}

static void ease(session_pace *pace, uint64_t now) {
    while (pace->gap_ms && now - pace->gap_since >= GAP_EASES_MS) {
        pace->gap_ms = pace->gap_ms > GAP_FIRST_MS ? pace->gap_ms / 2 : 0;
        pace->gap_since += GAP_EASES_MS;
    }
}

uint64_t session_pace_wait(session_pace *pace, uint64_t now) {
    uint64_t until;

    ease(pace, now);
    until = MAX(pace->pause_until, pace->gap_ms ? pace->next : 0);
    return until > now ? until - now : 0;
}

void session_pace_sent(session_pace *pace, uint64_t now) {
    pace->next = now + pace->gap_ms;
}

uint64_t session_pace_connect_wait(const session_pace *pace, uint64_t now) {
    uint64_t until = pace->pause_until;

    if (pace->fewer && pace->open >= pace->fewer) {
        until = MAX(until, pace->fewer_until);
    }
    return until > now ? until - now : 0;
}

unsigned session_pace_connections(const session_pace *pace, uint64_t now, unsigned configured) {
    unsigned n = MAX(configured, 1);

    return pace->fewer && now < pace->fewer_until ? MIN(n, pace->fewer) : n;
}
