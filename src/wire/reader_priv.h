/*
 * reader_priv.h - MessagePack items from a buffer, one at a time, without building a tree.
 *
 * Nothing is allocated, and no length or count is handed out that the rest of the buffer could not hold. Format:
 * the MessagePack specification, "Formats".
 */
#ifndef WIRE_READER_PRIV_H
#define WIRE_READER_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    uint8_t *p, *end;
};

enum item_kind {
    ITEM_BAD, /* the byte that MessagePack never uses */
    ITEM_NIL,
    ITEM_BOOL,
    ITEM_UINT,
    ITEM_NEGATIVE, /* number holds the two's complement */
    ITEM_FLOAT,
    ITEM_STR,
    ITEM_BIN,
    ITEM_EXT,
    ITEM_ARRAY,
    ITEM_MAP,
};

struct item {
    enum item_kind kind;
    uint64_t number; /* value, length in bytes, or number of elements (of a map: pairs) */
    uint8_t *data;   /* STR, BIN: at least one byte that belongs to the item stands before it */
};

/* The next item; strings whole, of arrays and maps the head alone. False: malformed or cut short. */
bool reader_next(struct reader *reader, struct item *item_out);
/* Passes over one whole value, nested no deeper than depth. */
bool reader_skip(struct reader *reader, unsigned depth);

#endif
