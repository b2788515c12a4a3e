/*
 * imap/mailbox.h - mailbox names: as people and rules write them (UTF-8) and as they go over the wire (modified UTF-7,
 * RFC 3501 section 5.1.3, or UTF-8 once UTF8=ACCEPT is enabled); hierarchy, patterns, special use.
 *
 * Within the daemon a name is the decoded UTF-8 with the server's own delimiter. INBOX is any spelling of those five
 * letters, and is always written "INBOX".
 */
#ifndef IMAP_MAILBOX_H
#define IMAP_MAILBOX_H

#include "base/error.h"
#include "imap/response.h"

/* Refuses what must not be used as a name: empty, over LIMIT_IMAP_MAILBOX_NAME octets, invalid UTF-8, control
 * characters, a hierarchy level "..", an empty level, a leading or trailing delimiter. ERROR_INVALID.
 * delimiter '\0': no hierarchy. Wildcards are allowed here: "*" is a legal name. */
error *imap_mailbox_check(const char *name, char delimiter);

/* From the wire. Strict: false if it is not valid (shift not closed, superfluous shift, bad or partial BASE64, encoded
 * ASCII, lone surrogate, 8-bit without utf8), or if imap_mailbox_check() would refuse it. name_out: the decoded name,
 * or, when false, the bytes escaped for showing only. Either way the caller's, g_free. */
bool imap_mailbox_decode(imap_str wire, bool utf8, char delimiter, char **name_out);
/* To the wire: modified UTF-7, or a copy if utf8. name must be valid UTF-8, else ERROR_INVALID. g_free. */
error *imap_mailbox_encode(const char *name, bool utf8, char **wire_out);

bool imap_mailbox_is_inbox(const char *name); /* any spelling */
/* Equal as mailboxes: INBOX without regard to case, everything else (children of INBOX's tail too) byte by byte. */
bool imap_mailbox_equal(const char *a, const char *b);
/* A name as a user wrote it, made the server's: '/' becomes the delimiter where that is another (and no '\0'), any
 * spelling of INBOX, also as first level, becomes "INBOX". g_free. */
char *imap_mailbox_localize(const char *name, char delimiter);
/* parent + delimiter + child; child alone if parent is NULL or empty. g_free. */
char *imap_mailbox_join(const char *parent, char delimiter, const char *child);

/* A user's folder pattern: '*' is any run of characters within one level, '**' any run at all, '?' one character of a
 * level, anything else itself; '/' also matches the server's delimiter. INBOX matches without regard to case. Time is
 * O(pattern * name). */
bool imap_mailbox_match(const char *pattern, const char *name, char delimiter);
bool imap_mailbox_is_pattern(const char *text); /* has '*' or '?' */

/* Special use: "\\Junk" (without regard to case, common synonyms too) -> IMAP_ATTR_JUNK, 0 if none. */
uint32_t imap_special_use_parse(const char *text);
const char *imap_special_use_name(uint32_t attr); /* static "\\Junk", NULL if none */
/* What a folder is by its usual name where the server does not say ("Papierkorb", "[Gmail]/Spam", "INBOX.Trash"):
 * the last level decides. IMAP_ATTR_... or 0. A guess: only for folders without attributes of their own. */
uint32_t imap_special_use_guess(const char *name, char delimiter);

#endif
