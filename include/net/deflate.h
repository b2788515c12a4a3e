/*
 * net/deflate.h - raw DEFLATE (RFC 1951) both ways over one byte stream, as COMPRESS=DEFLATE of IMAP has it (RFC 4978).
 * No descriptor: bytes in, bytes out.
 *
 *     deflate_pair_pack(d, bytes, len, out);    what is to be said, compressed and flushed: all of it can be read
 *     deflate_pair_feed(d, bytes, len);         what came
 *     while ((n = deflate_pair_unpack(d, to, room, &err)) > 0) { ... }
 *
 * However the bytes are cut into feeds, the octets are the same. Nothing is inflated ahead: what was fed and not asked
 * for waits compressed, so a feed of n octets never costs more than n octets and the room of who asks, whatever they
 * would inflate to (up to 1,032 times as much). How much of that a reader bears is the reader's to say.
 *
 * Memory, without what waits: DEFLATE_PAIR_MEMORY at most, the 32 KB window of what comes among it (the server chooses
 * how far back it refers); a stream that nothing has come through yet has less.
 */
#ifndef NET_DEFLATE_H
#define NET_DEFLATE_H

#include "base/error.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFLATE_PAIR_MEMORY (60 * 1024)

typedef struct deflate_pair deflate_pair;

deflate_pair *deflate_pair_new(void);
void deflate_pair_free(deflate_pair *d); /* accepts NULL */

/* Appends to out. Ends with a flush (Z_SYNC_FLUSH), so that the other side can read all of it: give what belongs
 * together in one call. */
void deflate_pair_pack(deflate_pair *d, const void *bytes, size_t len, GByteArray *out);

/* Copied. */
void deflate_pair_feed(deflate_pair *d, const void *bytes, size_t len);
/* The next octets, at most room > 0. 0: nothing more of what was fed. With err_out set, ERROR_PROTOCOL (scope account):
 * damaged, or something was fed behind the end of the stream; it comes again on every later call. What came before the
 * damage has been given. */
size_t deflate_pair_unpack(deflate_pair *d, uint8_t *to, size_t room, error **err_out);
/* The peer has ended its stream (which RFC 4978 has no use for): nothing can come any more. */
bool deflate_pair_ended(const deflate_pair *d);
/* Between two blocks, where a stream that is flushed as RFC 4978 wants it may be cut without anything missing. */
bool deflate_pair_at_rest(const deflate_pair *d);
/* Octets that it holds now. */
size_t deflate_pair_memory(const deflate_pair *d);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(deflate_pair, deflate_pair_free)

#endif
