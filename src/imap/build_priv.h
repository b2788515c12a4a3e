/*
 * build_priv.h - the one encoder of command arguments.
 *
 * A build collects bytes; the first thing that cannot be sent makes it faulty, everything after is ignored, and
 * build_finish() hands out the error instead of a command. So constructors read as a list of what they send.
 */
#ifndef IMAP_BUILD_PRIV_H
#define IMAP_BUILD_PRIV_H

#include "imap/command.h"

typedef imap_command build; /* a command that is not finished */

/* "tag verb". writer NULL: no tag (DONE, SASL replies). verb is static, and without it nothing is written. */
build *build_start(imap_writer *writer, const char *verb);
/* Closes the line. Takes b. */
error *build_finish(build *b, imap_command **out);
void build_refuse(build *b, const char *format, ...) G_GNUC_PRINTF(2, 3);
bool build_is_utf8(const build *b);

/* Text of our own, as it stands; never anything from outside. */
void put_text(build *b, const char *text);
void put_number(build *b, uint64_t number);
/* ATOM-CHARs or refused. */
void put_atom(build *b, const char *atom);
/* As atom, quoted string or literal. NUL, CR and LF are refused. */
void put_astring(build *b, const char *text);
void put_string(build *b, const char *text); /* never as atom */
void put_secret(build *b, const char *text); /* an astring that is shown as *** */
void put_base64(build *b, imap_str raw);     /* secret, too */
void put_mailbox(build *b, const char *name);
void put_pattern(build *b, const char *pattern); /* a mailbox name with wildcards */
void put_flag(build *b, const char *name);
void put_set(build *b, const imap_set *set);
/* Any bytes but NUL, shown by their size. */
void put_literal(build *b, imap_str bytes);
/* Ends a segment here: the rest waits for "+". Writes the line end. */
void put_wait(build *b);

/* A parenthesised list of what the items call for, with UID in front where it belongs. */
void put_fetch_items(build *b, const imap_fetch_want *want, bool with_uid);

bool is_atom(const char *text);

#endif
