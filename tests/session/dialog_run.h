/*
 * What the runner of dialogues (tests/unit/session/dialogs.c) is made of: a session, its owner who writes down what it
 * hears (owner.c), and what the owner asks for (tasks.c).
 */
#ifndef TESTS_DIALOG_RUN_H
#define TESTS_DIALOG_RUN_H

#include "session/session.h"
#include "tests/script/imap_script.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* What the owner does when it hears its n-th line. */
enum twist { TWIST_NONE, TWIST_FREE, TWIST_CLOSE };

typedef struct manner {
    size_t split; /* octets a segment; 0 = as written */
    enum twist twist;
    guint at;
} manner;

typedef struct run {
    manner manner;
    imap_script *script;
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    random_source random;
    clock_source clock;
    session *session;
    session_idle_memory idle_memory;
    unsigned task, pending, secrets;
    const char *waiting; /* for a line of `heard` */
    bool closed;

    GMutex lock; /* for what the server's thread looks at */
    GCond changed;
    GPtrArray *heard; /* lines */
    uint64_t turn_by; /* the clock is to be turned */
    bool over;
    loop_async *wake;
} run;

/* The first value of a header. */
const char *run_header(const run *r, const char *key, const char *otherwise);

/* owner.c */
extern const session_events run_events;
/* Write a line down; the session may be freed or closed at that, see `manner`. */
void run_hear(run *r, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool run_heard(const run *r, const char *pattern);
void run_hear_end(run *r, error *err); /* takes err */

/* tasks.c */
/* The next line of tasks; those that wait for nothing are followed by the line after. */
void run_next_tasks(run *r);

#endif
