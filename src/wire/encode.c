#include "schema_priv.h"
#include "wire/frame.h"

#include <msgpack.h>
#include <string.h>

#define HEAD 4

struct writer {
    msgpack_packer packer;
    GByteArray *out;
    size_t limit; /* length of out that must not be exceeded */
    error *err;   /* the first one; nothing is written after it */
};

static int write_out(void *data, const char *bytes, size_t len) {
    struct writer *w = data;

    if (len > w->limit - w->out->len) {
        if (!w->err) {
            w->err = error_new(ERROR_LIMIT, "a frame would exceed %u MiB", LIMIT_FRAME >> 20);
        }
        return -1;
    }
    g_byte_array_append(w->out, (const uint8_t *)bytes, (guint)len);
    return 0;
}

static void put_str(struct writer *w, const char *s) {
    size_t len = s ? strlen(s) : 0;

    if (g_utf8_validate(s ? s : "", (gssize)len, NULL)) {
        msgpack_pack_str_with_body(&w->packer, s, len);
        return;
    }
    char *valid = g_utf8_make_valid(s, (gssize)len);
    msgpack_pack_str_with_body(&w->packer, valid, strlen(valid));
    g_free(valid);
}

static void put_strings(struct writer *w, const wire_strings *list) {
    msgpack_pack_array(&w->packer, list->n);
    for (size_t i = 0; i < list->n; i++) {
        put_str(w, list->v[i]);
    }
}

static void put_numbers(struct writer *w, const uint64_t *v, size_t n) {
    msgpack_pack_array(&w->packer, n);
    for (size_t i = 0; i < n; i++) {
        msgpack_pack_uint64(&w->packer, v[i]);
    }
}

static size_t count_of(const struct wire_field *f, const void *base) {
    return *(size_t *)wire_at(base, f->count);
}

static size_t count_present(const struct wire_table *table, const void *base);

static bool is_present(const struct wire_field *f, const void *base) {
    const void *p = wire_at(base, f->offset);

    if (f->must) {
        return true;
    }
    switch ((enum wire_kind)f->kind) {
    case KIND_BOOL:
    case KIND_CHAR:
        return *(const char *)p != 0;
    case KIND_U16:
        return *(const uint16_t *)p != 0;
    case KIND_U32:
    case KIND_ENUM:
        return *(const uint32_t *)p != 0;
    case KIND_U64:
    case KIND_I64:
        return *(const uint64_t *)p != 0;
    case KIND_STR:
    case KIND_RAW:
        return *(char *const *)p != NULL;
    case KIND_BYTES:
        return ((const wire_bytes *)p)->data != NULL;
    case KIND_STRINGS:
        return ((const wire_strings *)p)->n != 0;
    case KIND_U64S:
    case KIND_LIST:
        return count_of(f, base) != 0;
    case KIND_STRUCT:
        return count_present(f->table, p) != 0;
    }
    return false;
}

static size_t count_present(const struct wire_table *table, const void *base) {
    size_t n = 0;

    for (size_t i = 0; i < table->n; i++) {
        n += is_present(&table->fields[i], base);
    }
    return n;
}

static void put_struct(struct writer *w, const struct wire_table *table, const void *base, const char *type);

static void put_list(struct writer *w, const struct wire_field *f, const void *base) {
    size_t n = count_of(f, base);
    const char *item = *(char *const *)wire_at(base, f->offset);

    msgpack_pack_array(&w->packer, n);
    for (size_t i = 0; i < n && !w->err; i++, item += f->table->size) {
        put_struct(w, f->table, item, NULL);
    }
}

static void put_value(struct writer *w, const struct wire_field *f, const void *base) {
    const void *p = wire_at(base, f->offset);
    const char *s;

    switch ((enum wire_kind)f->kind) {
    case KIND_BOOL:
        *(const bool *)p ? msgpack_pack_true(&w->packer) : msgpack_pack_false(&w->packer);
        break;
    case KIND_CHAR:
        msgpack_pack_uint8(&w->packer, *(const uint8_t *)p);
        break;
    case KIND_U16:
        msgpack_pack_uint16(&w->packer, *(const uint16_t *)p);
        break;
    case KIND_U32:
    case KIND_ENUM:
        msgpack_pack_uint32(&w->packer, *(const uint32_t *)p);
        break;
    case KIND_U64:
        msgpack_pack_uint64(&w->packer, *(const uint64_t *)p);
        break;
    case KIND_I64:
        msgpack_pack_int64(&w->packer, *(const int64_t *)p);
        break;
    case KIND_STR:
        put_str(w, *(char *const *)p);
        break;
    case KIND_RAW:
        s = *(char *const *)p;
        msgpack_pack_bin_with_body(&w->packer, s, strlen(s));
        break;
    case KIND_BYTES:
        msgpack_pack_bin_with_body(&w->packer, ((const wire_bytes *)p)->data, ((const wire_bytes *)p)->len);
        break;
    case KIND_STRINGS:
        put_strings(w, p);
        break;
    case KIND_U64S:
        put_numbers(w, *(uint64_t *const *)p, count_of(f, base));
        break;
    case KIND_STRUCT:
        put_struct(w, f->table, p, NULL);
        break;
    case KIND_LIST:
        put_list(w, f, base);
        break;
    }
}

/* type: "t" of the outermost map, else NULL. */
static void put_struct(struct writer *w, const struct wire_table *table, const void *base, const char *type) {
    msgpack_pack_map(&w->packer, count_present(table, base) + (type != NULL));
    if (type) {
        msgpack_pack_str_with_body(&w->packer, "t", 1);
        msgpack_pack_str_with_body(&w->packer, type, strlen(type));
    }
    for (size_t i = 0; i < table->n && !w->err; i++) {
        const struct wire_field *f = &table->fields[i];
        if (is_present(f, base)) {
            msgpack_pack_str_with_body(&w->packer, f->key, f->key_len);
            put_value(w, f, base);
        }
    }
}

error *wire_encode(const wire_message *message, GByteArray *out) {
    static const uint8_t room[HEAD];
    const struct wire_table *table = &wire_schema[message->type];
    struct writer w = {.out = out, .limit = (size_t)out->len + HEAD + LIMIT_FRAME};
    guint before = out->len;

    g_byte_array_append(out, room, HEAD);
    msgpack_packer_init(&w.packer, &w, write_out);
    put_struct(&w, table, &message->u, table->name);
    if (w.err) {
        g_byte_array_set_size(out, before);
        return w.err;
    }
    uint32_t len = GUINT32_TO_BE(out->len - before - HEAD);
    memcpy(out->data + before, &len, HEAD);
    return NULL;
}
