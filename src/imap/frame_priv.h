/*
 * frame_priv.h - cuts a server's stream into whole responses, each with its literals.
 *
 * Looks at no syntax beyond: lines, the "{n}" that closes a line of untagged data, and what may not have one (tagged
 * lines, conditions, continuations: their text is free). Each byte of a line is looked at once, bytes of a literal
 * never.
 */
#ifndef IMAP_FRAME_PRIV_H
#define IMAP_FRAME_PRIV_H

#include "base/error.h"
#include "imap/parser.h"

typedef struct frame {
    char *buffer;
    size_t len, room;
    size_t start;       /* of the response under way */
    size_t line;        /* start of its present line */
    size_t scanned;     /* no line end between `line` and here */
    uint64_t literal;   /* octets of a literal still to come */
    size_t line_octets; /* its octets outside of literals, up to `line` */
    uint64_t max_literal;
    bool fresh;       /* nothing of the response was seen yet: NULs and empty lines may be dropped */
    bool text_only;   /* its first line is complete and takes no literals */
    bool had_literal; /* ever: from then on, what is not understood may be part of a message */
} frame;

void frame_init(frame *f, uint64_t max_literal);
void frame_release(frame *f);
void frame_feed(frame *f, const char *bytes, size_t len);
/* HAVE: *out is the response without its closing line end; valid until frame_feed or the next frame_next. */
enum imap_got frame_next(frame *f, imap_str *out, error **err_out);
/* What was fed and is in no response yet; it is not the frame's any more. Valid as *out is. */
const char *frame_take(frame *f, size_t *len_out);
static inline size_t frame_pending(const frame *f) {
    return f->len - f->start;
}

#endif
