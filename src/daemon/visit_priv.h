/*
 * visit_priv.h - one connection for a command that asks something and ends. Blocks: turns the loop itself.
 */
#ifndef DAEMON_VISIT_PRIV_H
#define DAEMON_VISIT_PRIV_H

#include "connect_priv.h"
#include "offline_priv.h"

struct visit {
    struct offline *offline;
    const wire_account *account;
    tls_trust *trust;
    transport_pool *transports;
    random_source random;
    log_ctx log;
    session *session; /* NULL once closed */
    secret_request *secret;
    bool ready;
    error *err; /* why it closed */
};

/* Connects and logs in. The error says why not; visit_end() in any case. */
error *visit_begin(struct visit *v, struct offline *o, const wire_account *account);
/* Turns the loop until *done or the connection is gone; then the error. */
error *visit_wait(struct visit *v, const bool *done);
void visit_end(struct visit *v);
const wire_account *visit_find_account(const wire_config *config, const char *name); /* NULL = no such */

#endif
