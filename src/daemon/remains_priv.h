/*
 * remains_priv.h - what is left of a message that is gone: its Message-ID, for rules.
 */
#ifndef DAEMON_REMAINS_PRIV_H
#define DAEMON_REMAINS_PRIV_H

/* A header block of a Message-ID as imap/header.h gives it; of nothing for NULL. g_free. */
char *remains_of(const char *message_id);

#endif
