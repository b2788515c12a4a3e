/*
 * message_priv.h - what the files about one message share.
 *
 *   message.c          its stages, from the row in the journal to the last step
 *   message_data.c     what is fetched of it, and the EVAL frame made of that
 *   message_failure.c  put off, parked, an evaluator that failed or died of it
 *   identity.c         the same mail under another UID
 */
#ifndef DAEMON_MESSAGE_PRIV_H
#define DAEMON_MESSAGE_PRIV_H

#include "daemon_priv.h"

static inline struct keeper *message_keeper(const struct message *m) {
    return m->folder->account->keeper;
}

log_ctx message_log(const struct message *m); /* valid as long as the message's folder */

/* pool_job_events.fail and .died, with the message: both end with its being parked, or tried again later. */
void message_failed(void *user, wire_message *fail);
void message_reader_died(void *user, const pool_death *death);

/* What the ledger knows the message by; g_free. NULL = it is not to remember it. */
char *identity_of(const struct message *m, const wire_plan *plan);
/*
 * A message has its plan, and this identity; NULL = unknown. May the journal pass it over if that mail was handled
 * before (state_plan.skip_if_handled)? Remembers it for the copies that follow.
 */
bool identity_may_be_handled(struct message *m, const wire_plan *plan, const char *identity);

#endif
