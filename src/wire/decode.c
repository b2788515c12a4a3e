#include "reader_priv.h"
#include "schema_priv.h"
#include "wire/frame.h"

#include <string.h>

#define HEAD 4

struct decoder_frame {
    uint8_t *data;
    size_t len;
};

struct wire_decoder {
    uint8_t head[HEAD];
    size_t have; /* bytes of head, then of the frame */
    bool in_frame;
    struct decoder_frame frame;
    size_t room; /* allocated */
    GArray *done; /* struct decoder_frame */
    guint next;   /* of done */
    bool bad;     /* nothing more is taken in; what was complete before is still handed out */
    bool over;    /* a frame was refused: nothing more is handed out */
    error *err;   /* found while feeding */
};

struct context {
    wire_message *message;
    struct reader reader;
    const char *type;
    error *err;
};

/* --- values ------------------------------------------------------------------------------------------------------ */

static bool fail(struct context *c, const struct wire_table *table, const struct wire_field *f, const char *what) {
    if (!c->err) {
        c->err = error_new(ERROR_PROTOCOL, "bad %s frame: %s%s%s: %s", c->type, table->name, f ? "." : "",
                           f ? f->key : "", what);
    }
    return false;
}

/* Room for a NUL: the string moves over the last byte of its own head, which has been read. */
static char *terminate(const struct item *item) {
    char *s = (char *)item->data - 1;

    memmove(s, item->data, item->number);
    s[item->number] = '\0';
    return s;
}

static bool to_string(const struct item *item, char **out) {
    if (item->kind != ITEM_STR || !g_utf8_validate_len((const char *)item->data, item->number, NULL)) {
        return false;
    }
    *out = terminate(item);
    return true;
}

static bool to_raw(const struct item *item, char **out) {
    if ((item->kind != ITEM_STR && item->kind != ITEM_BIN) || memchr(item->data, 0, item->number)) {
        return false;
    }
    *out = terminate(item);
    return true;
}

static bool to_bytes(const struct item *item, wire_bytes *out) {
    if (item->kind != ITEM_BIN && item->kind != ITEM_STR) {
        return false;
    }
    out->data = item->data;
    out->len = item->number;
    return true;
}

static bool to_bool(const struct item *item, bool *out) {
    *out = item->number != 0;
    return item->kind == ITEM_BOOL;
}

static bool to_signed(const struct item *item, int64_t *out) {
    *out = (int64_t)item->number;
    return item->kind == ITEM_NEGATIVE || (item->kind == ITEM_UINT && item->number <= INT64_MAX);
}

static bool to_unsigned(const struct wire_field *f, const struct item *item, void *out) {
    static const uint64_t max[] = {
        [KIND_CHAR] = 0xff, [KIND_U16] = UINT16_MAX, [KIND_U32] = UINT32_MAX, [KIND_U64] = UINT64_MAX};
    uint64_t n = item->number;

    if (item->kind != ITEM_UINT || (f->kind == KIND_ENUM ? n >= f->max : n > max[f->kind])) {
        return false;
    }
    if (f->kind == KIND_U64) {
        *(uint64_t *)out = n;
    } else if (f->kind == KIND_U16) {
        *(uint16_t *)out = (uint16_t)n;
    } else if (f->kind == KIND_CHAR) {
        *(uint8_t *)out = (uint8_t)n;
    } else {
        *(uint32_t *)out = (uint32_t)n;
    }
    return true;
}

/* --- lists and structs ------------------------------------------------------------------------------------------- */

static void *alloc_list(struct context *c, uint64_t n, size_t size) {
    if (n > LIMIT_FRAME_LISTS / size || wire_arena_used(c->message) + n * size > LIMIT_FRAME_LISTS) {
        if (!c->err) {
            c->err = error_new(ERROR_LIMIT, "bad %s frame: too many list elements", c->type);
        }
        return NULL;
    }
    return wire_alloc(c->message, n * size);
}

static bool get_strings(struct context *c, uint64_t n, wire_strings *list) {
    list->v = alloc_list(c, n, sizeof *list->v);
    for (uint64_t i = 0; list->v && i < n; i++) {
        struct item item;
        if (!reader_next(&c->reader, &item) || !to_string(&item, &list->v[i])) {
            return false;
        }
        list->n++;
    }
    return list->v != NULL;
}

static bool get_numbers(struct context *c, uint64_t n, uint64_t **list, size_t *count) {
    *list = alloc_list(c, n, sizeof **list);
    for (uint64_t i = 0; *list && i < n; i++) {
        struct item item;
        if (!reader_next(&c->reader, &item) || item.kind != ITEM_UINT) {
            return false;
        }
        (*list)[(*count)++] = item.number;
    }
    return *list != NULL;
}

static bool get_struct(struct context *c, const struct wire_table *table, uint64_t pairs, void *base);

static bool get_list(struct context *c, const struct wire_field *f, uint64_t n, void *base) {
    char *items = alloc_list(c, n, f->table->size);

    *(void **)wire_at(base, f->offset) = items;
    for (uint64_t i = 0; items && i < n; i++) {
        struct item item;
        if (!reader_next(&c->reader, &item) || item.kind != ITEM_MAP ||
            !get_struct(c, f->table, item.number, items + i * f->table->size)) {
            return false;
        }
        (*(size_t *)wire_at(base, f->count))++;
    }
    return items != NULL;
}

static bool get_value(struct context *c, const struct wire_field *f, void *base) {
    void *p = wire_at(base, f->offset);
    struct item item;

    if (!reader_next(&c->reader, &item)) {
        return false;
    }
    if (item.kind == ITEM_NIL) {
        return !f->must;
    }
    switch ((enum wire_kind)f->kind) {
    case KIND_BOOL:
        return to_bool(&item, p);
    case KIND_CHAR:
    case KIND_U16:
    case KIND_U32:
    case KIND_U64:
    case KIND_ENUM:
        return to_unsigned(f, &item, p);
    case KIND_I64:
        return to_signed(&item, p);
    case KIND_STR:
        return to_string(&item, p);
    case KIND_RAW:
        return to_raw(&item, p);
    case KIND_BYTES:
        return to_bytes(&item, p);
    case KIND_STRINGS:
        return item.kind == ITEM_ARRAY && get_strings(c, item.number, p);
    case KIND_U64S:
        return item.kind == ITEM_ARRAY && get_numbers(c, item.number, p, wire_at(base, f->count));
    case KIND_LIST:
        return item.kind == ITEM_ARRAY && get_list(c, f, item.number, base);
    case KIND_STRUCT:
        return item.kind == ITEM_MAP && get_struct(c, f->table, item.number, p);
    }
    return false;
}

/* Senders write keys in the table's order, so the one after the last hit is looked at first. */
static const struct wire_field *find_field(const struct wire_table *table, const struct item *key, size_t hint) {
    for (size_t i = 0; i < table->n; i++) {
        const struct wire_field *f = &table->fields[(hint + i) % table->n];
        if (f->key_len == key->number && memcmp(f->key, key->data, f->key_len) == 0) {
            return f;
        }
    }
    return NULL;
}

static bool get_struct(struct context *c, const struct wire_table *table, uint64_t pairs, void *base) {
    uint64_t seen = 0;
    size_t hint = 0;

    for (uint64_t i = 0; i < pairs; i++) {
        struct item key;
        if (!reader_next(&c->reader, &key) || key.kind != ITEM_STR) {
            return fail(c, table, NULL, "a key is not a string");
        }
        const struct wire_field *f = find_field(table, &key, hint);
        if (!f) {
            if (!reader_skip(&c->reader, LIMIT_FRAME_NESTING)) {
                return fail(c, table, NULL, "an unknown key's value is malformed");
            }
            continue;
        }
        size_t index = (size_t)(f - table->fields);
        if (seen & UINT64_C(1) << index) {
            return fail(c, table, f, "given twice");
        }
        if (!get_value(c, f, base)) {
            return fail(c, table, f, "wrong type, out of range or cut short");
        }
        seen |= UINT64_C(1) << index;
        hint = index + 1;
    }
    for (size_t i = 0; i < table->n; i++) {
        if (table->fields[i].must && !(seen & UINT64_C(1) << i)) {
            return fail(c, table, &table->fields[i], "missing");
        }
    }
    return true;
}

/* --- messages ---------------------------------------------------------------------------------------------------- */

static bool get_type(struct reader *reader, enum wire_type *type_out) {
    struct item key, name;

    if (!reader_next(reader, &key) || key.kind != ITEM_STR || key.number != 1 || *key.data != 't' ||
        !reader_next(reader, &name) || name.kind != ITEM_STR) {
        return false;
    }
    for (int i = 0; i < WIRE_TYPES; i++) {
        const char *known = wire_schema[i].name;
        if (strlen(known) == name.number && memcmp(known, name.data, name.number) == 0) {
            *type_out = (enum wire_type)i;
            return true;
        }
    }
    return false;
}

/* Takes the frame over. */
static error *decode(struct decoder_frame frame, wire_message **message_out) {
    struct context c = {.reader = {frame.data, frame.data + frame.len}};
    struct item map;
    enum wire_type type;

    if (!reader_next(&c.reader, &map) || map.kind != ITEM_MAP || !map.number || !get_type(&c.reader, &type)) {
        g_free(frame.data);
        return error_new(ERROR_PROTOCOL, "bad frame: not a map that begins with a known type");
    }
    c.message = wire_message_new(type);
    c.type = wire_type_name(type);
    wire_arena_keep(c.message, frame.data);
    if (get_struct(&c, &wire_schema[type], map.number - 1, &c.message->u) && c.reader.p != c.reader.end) {
        fail(&c, &wire_schema[type], NULL, "bytes after the end");
    }
    if (c.err) {
        wire_message_free(c.message);
        return c.err;
    }
    *message_out = c.message;
    return NULL;
}

/* --- the stream -------------------------------------------------------------------------------------------------- */

wire_decoder *wire_decoder_new(void) {
    wire_decoder *d = g_new0(wire_decoder, 1);

    d->done = g_array_new(FALSE, FALSE, sizeof(struct decoder_frame));
    return d;
}

void wire_decoder_free(wire_decoder *d) {
    if (!d) {
        return;
    }
    for (guint i = d->next; i < d->done->len; i++) {
        g_free(g_array_index(d->done, struct decoder_frame, i).data);
    }
    g_array_free(d->done, TRUE);
    g_free(d->frame.data);
    error_free(d->err);
    g_free(d);
}

static void begin_frame(wire_decoder *d) {
    uint32_t len;

    memcpy(&len, d->head, HEAD);
    len = GUINT32_FROM_BE(len);
    if (len == 0 || len > LIMIT_FRAME) {
        d->bad = true;
        d->err = error_new(len ? ERROR_LIMIT : ERROR_PROTOCOL, "bad frame: its length is %u", len);
        return;
    }
    d->in_frame = true;
    d->have = 0;
    d->room = 0;
    d->frame = (struct decoder_frame){NULL, len};
}

/* Room for n more bytes; what is allocated follows what came, not what the frame's length promises. */
static void make_room(wire_decoder *d, size_t n) {
    if (d->have + n > d->room) {
        d->room = MIN(MAX(d->have + n, d->room * 2), d->frame.len);
        d->frame.data = g_realloc(d->frame.data, d->room);
    }
}

void wire_decoder_feed(wire_decoder *d, const void *data, size_t len) {
    const uint8_t *p = data;

    while (len && !d->bad) {
        size_t n = MIN(len, (d->in_frame ? d->frame.len : HEAD) - d->have);
        if (d->in_frame) {
            make_room(d, n);
        }
        memcpy((d->in_frame ? d->frame.data : d->head) + d->have, p, n);
        d->have += n;
        p += n;
        len -= n;
        if (!d->in_frame && d->have == HEAD) {
            begin_frame(d);
        } else if (d->in_frame && d->have == d->frame.len) {
            g_array_append_val(d->done, d->frame);
            d->frame = (struct decoder_frame){NULL, 0};
            d->in_frame = false;
            d->have = 0;
        }
    }
}

enum wire_result wire_decoder_next(wire_decoder *d, wire_message **message_out, error **error_out) {
    if (!d->over && d->next < d->done->len) {
        struct decoder_frame frame = g_array_index(d->done, struct decoder_frame, d->next++);
        if (d->next == d->done->len) {
            g_array_set_size(d->done, 0);
            d->next = 0;
        }
        *error_out = decode(frame, message_out);
        if (!*error_out) {
            return WIRE_HAVE;
        }
        d->bad = d->over = true;
        return WIRE_BAD;
    }
    if (!d->bad) {
        return WIRE_MORE;
    }
    d->over = true;
    *error_out = d->err ? d->err : error_new(ERROR_PROTOCOL, "a bad frame came before");
    d->err = NULL;
    return WIRE_BAD;
}
