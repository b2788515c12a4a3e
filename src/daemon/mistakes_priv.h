/*
 * mistakes_priv.h - the mistakes of a config, for people.
 */
#ifndef DAEMON_MISTAKES_PRIV_H
#define DAEMON_MISTAKES_PRIV_H

#include "wire/message.h"

/* "file:line: text" behind what out has, a line each, fit for a terminal. */
void mistakes_describe(const wire_config *config, GString *out);

#endif
