/* check_priv.h - the two halves of `check`. */
#ifndef DAEMON_CHECK_PRIV_H
#define DAEMON_CHECK_PRIV_H

#include "offline_priv.h"

/* Logs into every account and looks for its folders; says on stderr what is wrong. True if nothing is. */
bool check_online(struct offline *o);

#endif
