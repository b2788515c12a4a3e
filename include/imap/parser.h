/*
 * imap/parser.h - bytes from a server in, typed responses out.
 *
 *     imap_parser_feed(p, bytes, n);
 *     while ((got = imap_parser_next(p, &response, &err)) == IMAP_HAVE) { ... }
 *
 * However the bytes are cut into feeds, the responses are the same, and the work is linear in the bytes. Call next
 * until it does not say IMAP_HAVE before feeding more: that keeps the buffer at one response and one feed.
 *
 * Bounds, checked before anything is allocated for them: a line without its literals (LIMIT_IMAP_LINE;
 * LIMIT_IMAP_DATA_LINE for untagged data: SEARCH, ESEARCH, VANISHED, FETCH and the like), a literal (limits.literal), a
 * response with its literals (LIMIT_IMAP_RESPONSE).
 *
 * What is tolerated: a bare LF as line end; NULs before a line; empty lines; a CR that ends no line, and NULs, inside
 * text and strings; a missing blank or text after a condition; response codes that are not understood. An untagged
 * response that makes no sense in itself is IMAP_UNKNOWN with a reason: the framing goes by lines and literals only, so
 * the next one is found all the same. What is fatal (IMAP_BAD): a bound, a malformed literal ({-1}, {10+}, 20 digits),
 * a line that is neither untagged, nor "+", nor "tag OK|NO|BAD".
 *
 * An idle parser holds no buffer.
 */
#ifndef IMAP_PARSER_H
#define IMAP_PARSER_H

#include "base/error.h"
#include "base/limits.h"
#include "imap/response.h"

enum imap_got {
    IMAP_HAVE, /* a response */
    IMAP_MORE, /* feed more bytes */
    IMAP_BAD,  /* the stream is lost: close the connection */
};

typedef struct imap_parser imap_parser;

/* limits is copied. */
imap_parser *imap_parser_new(const struct limits *limits);
void imap_parser_free(imap_parser *parser);

/* Bytes are copied. Ends the life of the last response. After IMAP_BAD they are dropped. */
void imap_parser_feed(imap_parser *parser, const char *bytes, size_t len);

/* response_out is set with IMAP_HAVE and valid until the next call of next or feed. err_out is set with IMAP_BAD: the
 * caller's, ERROR_PROTOCOL or ERROR_LIMIT, scope account; IMAP_BAD comes again on every later call. */
enum imap_got imap_parser_next(imap_parser *parser, const imap_response **response_out, error **err_out);

/* Bytes fed and not yet handed out in a response. Must be 0 when TLS begins (bytes injected before STARTTLS). */
size_t imap_parser_pending(const imap_parser *parser);
/* The same bytes, taken away from it: what follows is no IMAP as it stands (COMPRESS). Valid like the last response. */
const char *imap_parser_take(imap_parser *parser, size_t *len_out);
/* Bytes fed in all: progress while a long response is under way. */
uint64_t imap_parser_total(const imap_parser *parser);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(imap_parser, imap_parser_free)

#endif
