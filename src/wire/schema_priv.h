/*
 * schema_priv.h - each message type as a table of fields, which encoder, decoder and tests walk.
 *
 * A field is a key, a kind and where it stands in its struct. Zero, false and NULL are not sent, unless the field is
 * mandatory: such a field is always sent, and a frame without it is refused.
 */
#ifndef WIRE_SCHEMA_PRIV_H
#define WIRE_SCHEMA_PRIV_H

#include "wire/message.h"

enum wire_kind {
    KIND_BOOL,
    KIND_CHAR,
    KIND_U16,
    KIND_U32,
    KIND_U64,
    KIND_I64,
    KIND_ENUM,    /* below `max` */
    KIND_STR,     /* UTF-8 without NUL */
    KIND_RAW,     /* a stranger's string: any bytes but NUL; sent as binary */
    KIND_BYTES,   /* wire_bytes */
    KIND_STRINGS, /* wire_strings */
    KIND_U64S,    /* uint64_t *, count at `count` */
    KIND_STRUCT,  /* embedded struct */
    KIND_LIST,    /* struct *, count at `count` */
};

struct wire_table;

struct wire_field {
    const char *key;
    uint8_t key_len;
    uint8_t kind;
    bool must;
    uint16_t offset;
    uint16_t count;
    uint32_t max;
    const struct wire_table *table; /* STRUCT, LIST */
};

struct wire_table {
    const char *name;
    size_t size; /* of the struct */
    const struct wire_field *fields;
    size_t n; /* at most 64 */
};

extern const struct wire_table wire_schema[WIRE_TYPES];

/* Memory taken from the arena so far. */
size_t wire_arena_used(const wire_message *message);
/* The message owns the frame (g_free) that its bytes point into. */
void wire_arena_keep(wire_message *message, uint8_t *frame);

static inline void *wire_at(const void *base, size_t offset) {
    return (char *)base + offset;
}

#endif
