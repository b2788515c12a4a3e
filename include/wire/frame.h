/*
 * wire/frame.h - wire messages to bytes and back.
 *
 * A frame is a 4-byte big-endian length (of what follows, at most LIMIT_FRAME) and one MessagePack map
 * {"t": type, ...}. PURE: no descriptor. The decoder is incremental and never trusts a count: an array of n elements is
 * refused unless at least n bytes follow, nesting is bounded by LIMIT_FRAME_NESTING, strings must be UTF-8 without NUL
 * (bytes fields, and what BODYSTRUCTURE says of a part, are exempt). The encoder mends invalid UTF-8 with U+FFFD, so
 * that a sender's slip never costs the peer.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "wire/message.h"

/* Append the message's frame to out. Fails with ERROR_LIMIT when it would exceed LIMIT_FRAME; out is then as before. */
error *wire_encode(const wire_message *message, GByteArray *out) G_GNUC_WARN_UNUSED_RESULT;

typedef struct wire_decoder wire_decoder;

enum wire_result { WIRE_HAVE, WIRE_MORE, WIRE_BAD };

wire_decoder *wire_decoder_new(void);
void wire_decoder_free(wire_decoder *decoder);
/* Copies len bytes in. After WIRE_BAD the decoder accepts nothing more. */
void wire_decoder_feed(wire_decoder *decoder, const void *data, size_t len);
/* WIRE_HAVE: *message_out is the caller's. WIRE_BAD: *error_out says why (ERROR_PROTOCOL or ERROR_LIMIT). */
enum wire_result wire_decoder_next(wire_decoder *decoder, wire_message **message_out, error **error_out);

#endif
