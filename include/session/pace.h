/*
 * session/pace.h - how fast the connections of one account may go on, as its server wants it. Pure: no clock, no loop.
 *
 * Shared by the sessions of one account (session_config.pace), which fill it in and obey it:
 *
 *     refused with throttling     no command of any connection leaves until the pause is over: what the server asks
 *     (NO, BAD, BYE)              for, at most 30 minutes and a tenth; without a hint 30 s to 1 min, growing with each
 *     [THROTTLED] with an OK      from now on at least a gap lies between two commands of the account: 250 ms, doubled
 *                                 with each hint up to 8 s, halved with each minute without one
 *     too many connections        the account holds no more than are logged in, for 15 minutes; nothing else changes
 *
 * IDLE, DONE, LOGOUT and the question whether the other end is still there are never held up. Times are elapsed ms.
 */
#ifndef SESSION_PACE_H
#define SESSION_PACE_H

#include "net/backoff.h"

typedef struct session_pace {
    backoff busy;         /* how long the next pause is */
    uint64_t pause_until; /* nothing leaves before */
    uint64_t next;        /* nor before this: the gap */
    uint64_t hinted;      /* when the server last asked for patience; 0 = never */
    uint32_t gap_ms;      /* 0 = full speed */
    uint64_t gap_since;   /* when it became so */
    unsigned open;        /* sessions that are logged in */
    unsigned fewer;       /* connections at most; 0 = not bounded */
    uint64_t fewer_until;
    uint64_t crowded; /* when the server last said so */
    uint64_t pauses; /* counted since the start */
} session_pace;

void session_pace_init(session_pace *pace, random_source *random); /* random: borrowed */
/* The server refuses for a while; hint_ms: how long it says, 0 = nothing. Ignored if a pause as long is under way. */
void session_pace_refused(session_pace *pace, uint64_t now, uint64_t hint_ms);
/* It obeys, but asks for less. */
void session_pace_slow_down(session_pace *pace, uint64_t now);
void session_pace_too_many(session_pace *pace, uint64_t now);

/* How long a command has to wait; 0 = it may leave now. */
uint64_t session_pace_wait(session_pace *pace, uint64_t now);
void session_pace_sent(session_pace *pace, uint64_t now); /* one has left */
/* How long a new connection has to wait; 0 = now. */
uint64_t session_pace_connect_wait(const session_pace *pace, uint64_t now);
/* Of `configured` connections those that the server bears now. At least 1. */
unsigned session_pace_connections(const session_pace *pace, uint64_t now, unsigned configured);

#endif
