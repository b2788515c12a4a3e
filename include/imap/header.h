/*
 * imap/header.h - the one thing that is read of a message's header without an evaluator: its Message-ID (RFC 5322
 * section 3.6.4).
 *
 * As rules get to see it (mail_view_message_id()), so that what the journal has of a message and what a server says of
 * it can be compared: of the first field of that name what stands in the first brackets that are not empty, or the
 * first word where there are none; only its printable ASCII. Any bytes may come; nothing but that is relied on.
 */
#ifndef IMAP_HEADER_H
#define IMAP_HEADER_H

#include "imap/response.h"

/* Of a block of header fields, which ends at an empty line or with its bytes; lines end in CRLF or LF. NULL = none.
 * g_free. */
char *imap_header_message_id(imap_str block);
/* Of a FETCH: of the sections HEADER or HEADER.FIELDS of the whole message that it brought. "" = it is not in them;
 * NULL = it brought none. g_free. */
char *imap_fetch_message_id(const imap_fetch *fetch);

#endif
