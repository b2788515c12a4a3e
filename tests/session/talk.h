/*
 * A session that talks to a recorded server (tests/script/recording.h), and recorded commands in its own words.
 */
#ifndef TESTS_TALK_H
#define TESTS_TALK_H

#include "session/session.h"
#include "tests/script/recording.h"
#include "tests/unit/unit.h"

typedef struct talk {
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    random_source random;
    session *session;
    recording *recording;
    replay *server;
    bool ready, closed, idling, polling, answered;
    error *end;       /* NULL: in order */
    char *last;       /* how the last command ended, if not well */
    bool last_sent;
    uint32_t special; /* special uses of all the folders that were listed */
    unsigned listed, fetched;
} talk;

/* Skips the test where the recordings are absent. g_free. */
char *talk_directory(void);
/* Connects and waits until the session is ready or closed. auth: AUTO = as it was recorded. */
void talk_begin(talk *t, const char *dir, const char *name, const char *host, enum session_auth auth);
void talk_end(talk *t);
/* Turns until it has come so far, or the connection has ended. */
void talk_turn_until(talk *t, const bool *flag);
/* Has the session send a command of this kind, and waits for its end. False: a session has no such command. */
bool talk_say(talk *t, const recorded_command *command);
/* "STATUS INBOX (MESSAGES)" */
bool talk_say_text(talk *t, const char *command);
/* Waits for new mail: until it idles, or says that it cannot. Then goes on. */
void talk_watch(talk *t);

#endif
