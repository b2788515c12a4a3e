/*
 * connect_priv.h - from what the config says of an account or a secret to a session or its value.
 */
#ifndef DAEMON_CONNECT_PRIV_H
#define DAEMON_CONNECT_PRIV_H

#include "session/session.h"
#include "wire/config.h"

struct connect_env {
    event_loop *loop;
    transport_pool *transports;
    random_source *random;
    const struct limits *limits;
    bool changes; /* flags and vanished messages matter: ENABLE CONDSTORE and QRESYNC where offered */
};

/* A session for the account, not opened yet. memory and pace may be NULL; events.secret has to answer with
 * connect_secret(). */
session *connect_new(const struct connect_env *env, const wire_account *account, session_idle_memory *memory,
                     session_pace *pace, const session_events *events, void *user, const log_ctx *log);
/* What the file states and the server is known not to bear, in words (g_free); NULL = it is as stated. */
char *connect_bound(const wire_account *account, const session_quirks *quirks);
/* secret_resolve() of what the config describes; not for WIRE_SECRET_NONE. */
secret_request *connect_secret(event_loop *loop, const wire_secret *from, secret_fn fn, void *user);
/* Why there is none to be had; NULL: there may be one. refused: the server has just refused the last one, as a token
 * that has expired. A command can bring another; a file or the like was read a moment ago. */
error *connect_no_secret(const wire_secret *from, bool refused);

#endif
