/*
 * daemon/keeper.h - the daemon itself: everything of `mailruled run`.
 *
 * keeper_run() returns when the keeper was told to stop (TERM, INT, or --once and all is done) or cannot go on. The
 * journal holds everything that was not finished.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

#include "base/log.h"

typedef struct keeper_options {
    const char *config; /* path */
    const logger *logger;
    bool once;          /* process what is there, then stop */
    bool dry_run;       /* decide and log, change nothing: neither mailboxes nor the journal */
    const char *executable; /* of the evaluators; NULL = the running program */
} keeper_options;

/* failures_out: how many messages were parked or steps refused. ERROR_CONFIG: the mistakes were written to stderr. */
error *keeper_run(const keeper_options *options, unsigned *failures_out);

/* $STATE_DIRECTORY, else $XDG_STATE_HOME/mailruled, else ~/.local/state/mailruled. g_free. */
char *keeper_default_state_dir(void);

#endif
