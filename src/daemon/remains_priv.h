/*
 * remains_priv.h - what is left of a message that is gone: its Message-ID, as rules get to see it.
 */
#ifndef DAEMON_REMAINS_PRIV_H
#define DAEMON_REMAINS_PRIV_H

#include <stddef.h>

/* The msg-id of RFC 5322 section 3.6.4 in a block of header fields, without its brackets; NULL = none. g_free. */
char *remains_message_id(const char *block, size_t len);
/* A header block of it; of nothing for NULL. g_free. */
char *remains_of(const char *message_id);

#endif
