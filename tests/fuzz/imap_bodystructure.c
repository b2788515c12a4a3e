/* Any bytes as a BODYSTRUCTURE: what is usable is a tree in order, within the limits. */
#include "imap/parser.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const imap_structure *s) {
    if (!s->usable) {
        if (s->count || !s->reason) {
            abort();
        }
        return;
    }
    if (s->count == 0 || s->count > LIMIT_MIME_PARTS || s->parts[0].parent != -1) {
        abort();
    }
    for (size_t i = 1; i < s->count; i++) {
        const imap_part *part = &s->parts[i];
        if (part->parent < 0 || (size_t)part->parent >= i || part->depth > LIMIT_MIME_DEPTH ||
            part->depth != s->parts[part->parent].depth + 1 ||
            !(s->parts[part->parent].multipart || s->parts[part->parent].message) || part->section.len == 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    const imap_response *response;
    error *err = NULL;

    imap_parser_feed(parser, "* 1 FETCH (UID 7 BODYSTRUCTURE ", 31);
    imap_parser_feed(parser, (const char *)data, size);
    imap_parser_feed(parser, " FLAGS ())\r\n", 12);
    if (imap_parser_next(parser, &response, &err) == IMAP_HAVE && response->kind == IMAP_FETCH &&
        response->fetch.have & IMAP_HAVE_STRUCTURE) {
        check(&response->fetch.structure);
    }
    error_free(err);
    imap_parser_free(parser);
    return 0;
}
