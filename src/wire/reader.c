#include "reader_priv.h"

/* 0xc0 to 0xdf: kind, bytes of the number that follows, or the number itself where none does. */
static const struct head {
    uint8_t kind;
    uint8_t bytes;
    uint8_t number;
    bool is_signed;
} heads[32] = {
    {ITEM_NIL, 0, 0, false},   {ITEM_BAD, 0, 0, false},   {ITEM_BOOL, 0, 0, false},  {ITEM_BOOL, 0, 1, false},
    {ITEM_BIN, 1, 0, false},   {ITEM_BIN, 2, 0, false},   {ITEM_BIN, 4, 0, false},   {ITEM_EXT, 1, 0, false},
    {ITEM_EXT, 2, 0, false},   {ITEM_EXT, 4, 0, false},   {ITEM_FLOAT, 4, 0, false}, {ITEM_FLOAT, 8, 0, false},
    {ITEM_UINT, 1, 0, false},  {ITEM_UINT, 2, 0, false},  {ITEM_UINT, 4, 0, false},  {ITEM_UINT, 8, 0, false},
    {ITEM_UINT, 1, 0, true},   {ITEM_UINT, 2, 0, true},   {ITEM_UINT, 4, 0, true},   {ITEM_UINT, 8, 0, true},
    {ITEM_EXT, 0, 1, false},   {ITEM_EXT, 0, 2, false},   {ITEM_EXT, 0, 4, false},   {ITEM_EXT, 0, 8, false},
    {ITEM_EXT, 0, 16, false},  {ITEM_STR, 1, 0, false},   {ITEM_STR, 2, 0, false},   {ITEM_STR, 4, 0, false},
    {ITEM_ARRAY, 2, 0, false}, {ITEM_ARRAY, 4, 0, false}, {ITEM_MAP, 2, 0, false},   {ITEM_MAP, 4, 0, false},
};

static struct head head_of(uint8_t byte) {
    if (byte < 0x80) {
        return (struct head){ITEM_UINT, 0, byte, false};
    }
    if (byte < 0x90) {
        return (struct head){ITEM_MAP, 0, byte & 0x0f, false};
    }
    if (byte < 0xa0) {
        return (struct head){ITEM_ARRAY, 0, byte & 0x0f, false};
    }
    if (byte < 0xc0) {
        return (struct head){ITEM_STR, 0, byte & 0x1f, false};
    }
    if (byte >= 0xe0) {
        return (struct head){ITEM_UINT, 0, byte, true};
    }
    return heads[byte - 0xc0];
}

static size_t left(const struct reader *reader) {
    return (size_t)(reader->end - reader->p);
}

static void extend_sign(struct item *item, unsigned bytes) {
    unsigned shift = 64 - 8 * (bytes ? bytes : 1);
    int64_t value = (int64_t)(item->number << shift) >> shift;

    item->number = (uint64_t)value;
    if (value < 0) {
        item->kind = ITEM_NEGATIVE;
    }
}

static bool take_content(struct reader *reader, struct item *item) {
    size_t extra = item->kind == ITEM_EXT; /* the extension's type byte */

    if (left(reader) < extra || item->number > left(reader) - extra) {
        return false;
    }
    item->data = reader->p + extra;
    reader->p = item->data + item->number;
    return true;
}

bool reader_next(struct reader *reader, struct item *item_out) {
    struct item item = {ITEM_BAD, 0, NULL};

    if (!left(reader)) {
        return false;
    }
    struct head head = head_of(*reader->p++);
    if (head.bytes > left(reader)) {
        return false;
    }
    item.kind = head.kind;
    item.number = head.number;
    for (unsigned i = 0; i < head.bytes; i++) {
        item.number = item.number << 8 | *reader->p++;
    }
    if (head.is_signed) {
        extend_sign(&item, head.bytes);
    }
    *item_out = item;
    switch (item.kind) {
    case ITEM_BAD:
        return false;
    case ITEM_STR:
    case ITEM_BIN:
    case ITEM_EXT:
        return take_content(reader, item_out);
    case ITEM_ARRAY:
        return item.number <= left(reader);
    case ITEM_MAP:
        return item.number <= left(reader) / 2;
    default:
        return true;
    }
}

bool reader_skip(struct reader *reader, unsigned depth) {
    struct item item;

    if (!depth || !reader_next(reader, &item)) {
        return false;
    }
    uint64_t n = item.kind == ITEM_ARRAY ? item.number : item.kind == ITEM_MAP ? item.number * 2 : 0;
    while (n--) {
        if (!reader_skip(reader, depth - 1)) {
            return false;
        }
    }
    return true;
}
