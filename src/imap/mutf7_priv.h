/* mutf7_priv.h - modified UTF-7 (RFC 3501 section 5.1.3). */
#ifndef IMAP_MUTF7_PRIV_H
#define IMAP_MUTF7_PRIV_H

#include "imap/str.h"

/* Strict; NULL if invalid: 8-bit or control octets, a shift that is not closed or holds what needs none, two shifts
 * side by side, bits left over, lone surrogates. g_free. */
char *mutf7_decode(imap_str wire);
char *mutf7_encode(const char *utf8); /* valid UTF-8; g_free */

#endif
