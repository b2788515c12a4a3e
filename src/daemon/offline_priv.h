/*
 * offline_priv.h - a config loaded for a command that answers and ends: loop, pool, and what the config says.
 */
#ifndef DAEMON_OFFLINE_PRIV_H
#define DAEMON_OFFLINE_PRIV_H

#include "base/log.h"
#include "daemon/command.h"
#include "daemon/pool.h"

struct offline {
    clock_source clock;
    logger logger; /* stderr */
    event_loop *loop;
    pool *pool;
    wire_message *config; /* NULL = refused */
    bool answered;        /* the pool has said whether it is good */
    bool lost;            /* it was good, but no evaluator can be had any more */
};

/* Loads the config and turns the loop until it is read. Mistakes go to stderr as "file:line: text". COMMAND_OK,
 * COMMAND_CONFIG, or COMMAND_FAILED when no evaluator could be started; offline_release() in any case. */
int offline_init(struct offline *o, const char *path, bool check_only);
void offline_release(struct offline *o);

#endif
