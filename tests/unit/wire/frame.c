/* Encoder and decoder, driven by the same tables as they are; that the tables are complete is a test of its own. */
#include "src/wire/schema_priv.h"
#include "tests/unit/unit.h"
#include "wire/frame.h"

#include <msgpack.h>
#include <string.h>

/* --- filling and comparing by table ------------------------------------------------------------------------------ */

static void fill(wire_message *m, const struct wire_table *table, void *base, unsigned *seed);

static char *word(wire_message *m, unsigned *seed) {
    g_autofree char *s = g_strdup_printf("w\xc3\xb6rd-%u", (*seed)++);
    return wire_str(m, s);
}

static void fill_list(wire_message *m, const struct wire_field *f, void *base, unsigned *seed) {
    size_t n = 1 + *seed % 3;
    char *items = wire_alloc(m, n * f->table->size);

    for (size_t i = 0; i < n; i++) {
        fill(m, f->table, items + i * f->table->size, seed);
    }
    *(void **)wire_at(base, f->offset) = items;
    *(size_t *)wire_at(base, f->count) = n;
}

static void fill_field(wire_message *m, const struct wire_field *f, void *base, unsigned *seed) {
    void *p = wire_at(base, f->offset);
    unsigned n = (*seed)++;

    switch ((enum wire_kind)f->kind) {
    case KIND_BOOL:
        *(bool *)p = true;
        break;
    case KIND_CHAR:
        *(char *)p = (char)(n | 0x81);
        break;
    case KIND_U16:
        *(uint16_t *)p = (uint16_t)(0xff00u | n);
        break;
    case KIND_U32:
        *(uint32_t *)p = 0xfffff000u | n;
        break;
    case KIND_ENUM:
        *(uint32_t *)p = f->max - 1;
        break;
    case KIND_U64:
        *(uint64_t *)p = UINT64_MAX - n;
        break;
    case KIND_I64:
        *(int64_t *)p = INT64_MIN + n;
        break;
    case KIND_STR:
        *(char **)p = word(m, seed);
        break;
    case KIND_RAW:
        *(char **)p = wire_str(m, "\xff raw \x80");
        break;
    case KIND_BYTES:
        *(wire_bytes *)p = wire_copy(m, "a\0\xff", 3);
        break;
    case KIND_STRINGS:
        for (unsigned i = 0; i <= n % 5; i++) {
            wire_strings_add(m, p, word(m, seed));
        }
        break;
    case KIND_U64S:
        *(uint64_t **)p = wire_array(m, uint64_t, 2);
        (*(uint64_t **)p)[1] = n;
        *(size_t *)wire_at(base, f->count) = 2;
        break;
    case KIND_STRUCT:
        fill(m, f->table, p, seed);
        break;
    case KIND_LIST:
        fill_list(m, f, base, seed);
        break;
    }
}

static void fill(wire_message *m, const struct wire_table *table, void *base, unsigned *seed) {
    for (size_t i = 0; i < table->n; i++) {
        fill_field(m, &table->fields[i], base, seed);
    }
}

static size_t size_of(const struct wire_field *f) {
    switch ((enum wire_kind)f->kind) {
    case KIND_BOOL:
    case KIND_CHAR:
        return 1;
    case KIND_U16:
        return 2;
    case KIND_U32:
    case KIND_ENUM:
        return 4;
    case KIND_BYTES:
        return sizeof(wire_bytes);
    case KIND_STRINGS:
        return sizeof(wire_strings);
    case KIND_STRUCT:
        return f->table->size;
    default:
        return 8;
    }
}

static void compare(const struct wire_table *table, const void *a, const void *b);

static void compare_field(const struct wire_field *f, const void *a, const void *b) {
    const void *p = wire_at(a, f->offset), *q = wire_at(b, f->offset);
    size_t n = 0;

    if (f->count) {
        n = *(size_t *)wire_at(a, f->count);
        assert_int_equal(*(size_t *)wire_at(b, f->count), n);
    }
    switch ((enum wire_kind)f->kind) {
    case KIND_STR:
    case KIND_RAW:
        assert_non_null(*(char *const *)q);
        assert_string_equal(*(char *const *)p, *(char *const *)q);
        break;
    case KIND_BYTES:
        assert_int_equal(((const wire_bytes *)p)->len, ((const wire_bytes *)q)->len);
        assert_memory_equal(((const wire_bytes *)p)->data, ((const wire_bytes *)q)->data, ((const wire_bytes *)p)->len);
        break;
    case KIND_STRINGS:
        assert_int_equal(((const wire_strings *)p)->n, ((const wire_strings *)q)->n);
        for (size_t i = 0; i < ((const wire_strings *)p)->n; i++) {
            assert_string_equal(((const wire_strings *)p)->v[i], ((const wire_strings *)q)->v[i]);
        }
        break;
    case KIND_U64S:
        assert_memory_equal(*(void *const *)p, *(void *const *)q, n * 8);
        break;
    case KIND_STRUCT:
        compare(f->table, p, q);
        break;
    case KIND_LIST:
        for (size_t i = 0; i < n; i++) {
            compare(f->table, *(char *const *)p + i * f->table->size, *(char *const *)q + i * f->table->size);
        }
        break;
    default:
        assert_memory_equal(p, q, size_of(f));
    }
}

static void compare(const struct wire_table *table, const void *a, const void *b) {
    for (size_t i = 0; i < table->n; i++) {
        compare_field(&table->fields[i], a, b);
    }
}

/* --- helpers ----------------------------------------------------------------------------------------------------- */

static wire_message *full(enum wire_type type) {
    wire_message *m = wire_message_new(type);
    unsigned seed = 1;

    fill(m, &wire_schema[type], &m->u, &seed);
    return m;
}

static GByteArray *encoded(const wire_message *m) {
    GByteArray *out = g_byte_array_new();

    assert_null(wire_encode(m, out));
    return out;
}

static enum wire_result decode_all(const void *data, size_t len, wire_message **m, error **err) {
    wire_decoder *d = wire_decoder_new();

    wire_decoder_feed(d, data, len);
    enum wire_result r = wire_decoder_next(d, m, err);
    wire_decoder_free(d);
    return r;
}

/* A frame around hand-written MessagePack. */
static GByteArray *framed(const char *body, size_t len) {
    GByteArray *frame = g_byte_array_new();
    uint32_t n = GUINT32_TO_BE((uint32_t)len);

    g_byte_array_append(frame, (const uint8_t *)&n, 4);
    g_byte_array_append(frame, (const uint8_t *)body, (guint)len);
    return frame;
}

static void feed_cancel(wire_decoder *d) {
    static const char body[] = "\x82\xa1t\xa6" "cancel\xa3job\x05";
    GByteArray *frame = framed(body, sizeof body - 1);

    wire_decoder_feed(d, frame->data, frame->len);
    g_byte_array_free(frame, TRUE);
}

static void assert_refused(const char *body, size_t len, enum error_code code) {
    GByteArray *frame = framed(body, len);
    wire_message *m = NULL;
    error *err = NULL;

    assert_int_equal(decode_all(frame->data, frame->len, &m, &err), WIRE_BAD);
    assert_int_equal(err->code, code);
    error_free(err);
    g_byte_array_free(frame, TRUE);
}
#define REFUSED(body) assert_refused(body, sizeof body - 1, ERROR_PROTOCOL)

/* --- tests ------------------------------------------------------------------------------------------------------- */

static void every_field_of_every_type_survives_the_way(void **state) {
    (void)state;
    for (int t = 0; t < WIRE_TYPES; t++) {
        wire_message *a = full((enum wire_type)t), *b = NULL;
        GByteArray *bytes = encoded(a);
        error *err = NULL;
        assert_int_equal(decode_all(bytes->data, bytes->len, &b, &err), WIRE_HAVE);
        assert_int_equal(b->type, t);
        compare(&wire_schema[t], &a->u, &b->u);
        GByteArray *again = encoded(b);
        assert_int_equal(again->len, bytes->len);
        assert_memory_equal(again->data, bytes->data, bytes->len);
        g_byte_array_free(again, TRUE);
        g_byte_array_free(bytes, TRUE);
        wire_message_free(a);
        wire_message_free(b);
    }
}

#if defined(__GNUC__) && !defined(__clang__)
static void mark(const struct wire_table *table, uint8_t *bytes, size_t base) {
    for (size_t i = 0; i < table->n; i++) {
        const struct wire_field *f = &table->fields[i];
        memset(bytes + base + f->offset, 0, size_of(f));
        if (f->count) {
            memset(bytes + base + f->count, 0, sizeof(size_t));
        }
    }
}

/* Only gcc can say which bytes of a struct are padding. */
#define COVERED(type, member)                                                                                          \
    do {                                                                                                               \
        wire_##member value;                                                                                           \
        memset(&value, 0xff, sizeof value);                                                                            \
        __builtin_clear_padding(&value);                                                                               \
        mark(&wire_schema[type], (uint8_t *)&value, 0);                                                                \
        for (size_t i = 0; i < sizeof value; i++) {                                                                    \
            if (((uint8_t *)&value)[i]) {                                                                              \
                fail_msg("wire_%s has no field at offset %zu in the schema", #member, i);                              \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

static void the_schema_covers_every_byte_of_every_message(void **state) {
    (void)state;
    COVERED(WIRE_LOAD, load);
    COVERED(WIRE_CONFIG, config);
    COVERED(WIRE_SCOPE, scope);
    COVERED(WIRE_SCOPE_REPLY, scope_reply);
    COVERED(WIRE_EVAL, eval);
    COVERED(WIRE_NEED, need);
    COVERED(WIRE_ANSWER, answer);
    COVERED(WIRE_PLAN, plan);
    COVERED(WIRE_FAIL, fail);
    COVERED(WIRE_CANCEL, cancel);
    COVERED(WIRE_LOG, log);
    COVERED(WIRE_READY, ready);
}

static const struct wire_table *table_of(enum wire_type type, const char *key) {
    for (size_t i = 0; i < wire_schema[type].n; i++) {
        if (strcmp(wire_schema[type].fields[i].key, key) == 0) {
            return wire_schema[type].fields[i].table;
        }
    }
    return NULL;
}

#define COVERED_IN(type, key, item)                                                                                    \
    do {                                                                                                               \
        item value;                                                                                                    \
        const struct wire_table *table = table_of(type, key);                                                          \
        memset(&value, 0xff, sizeof value);                                                                            \
        __builtin_clear_padding(&value);                                                                               \
        assert_non_null(table);                                                                                        \
        mark(table, (uint8_t *)&value, 0);                                                                             \
        for (size_t i = 0; i < sizeof value; i++) {                                                                    \
            if (((uint8_t *)&value)[i]) {                                                                              \
                fail_msg("%s has no field at offset %zu in the schema", #item, i);                                     \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

static void the_schema_covers_every_byte_of_what_messages_hold(void **state) {
    (void)state;
    COVERED_IN(WIRE_CONFIG, "limits", struct limits);
    COVERED_IN(WIRE_CONFIG, "accounts", wire_account);
    COVERED_IN(WIRE_CONFIG, "webhooks", wire_webhook);
    COVERED_IN(WIRE_CONFIG, "rules", wire_rule);
    COVERED_IN(WIRE_CONFIG, "mistakes", wire_mistake);
    COVERED_IN(WIRE_EVAL, "parts", wire_part);
    COVERED_IN(WIRE_NEED, "http.headers", wire_header);
    COVERED_IN(WIRE_ANSWER, "part_data", wire_part_data);
    COVERED_IN(WIRE_PLAN, "steps", wire_step);
    COVERED_IN(WIRE_PLAN, "errors", wire_rule_error);
    COVERED_IN(WIRE_PLAN, "rules", wire_rule_trace);
    COVERED_IN(WIRE_LOG, "place", wire_place);
}
#endif

static void an_empty_message_stays_empty(void **state) {
    wire_message *a = wire_message_new(WIRE_PLAN), *b = NULL;
    error *err = NULL;

    (void)state;
    a->u.plan.job = 7;
    GByteArray *bytes = encoded(a);
    assert_int_equal(decode_all(bytes->data, bytes->len, &b, &err), WIRE_HAVE);
    assert_int_equal(b->u.plan.job, 7);
    assert_null(b->u.plan.identity);
    assert_null(b->u.plan.steps);
    assert_int_equal(b->u.plan.n_steps, 0);
    g_byte_array_free(bytes, TRUE);
    wire_message_free(a);
    wire_message_free(b);
}

static void empty_bytes_differ_from_absent_ones(void **state) {
    wire_message *a = wire_message_new(WIRE_ANSWER), *b = NULL;
    error *err = NULL;

    (void)state;
    a->u.answer.data = wire_copy(a, "", 0);
    a->u.answer.failure = wire_str(a, "");
    GByteArray *bytes = encoded(a);
    assert_int_equal(decode_all(bytes->data, bytes->len, &b, &err), WIRE_HAVE);
    assert_non_null(b->u.answer.data.data);
    assert_int_equal(b->u.answer.data.len, 0);
    assert_string_equal(b->u.answer.failure, "");
    g_byte_array_free(bytes, TRUE);
    wire_message_free(a);
    wire_message_free(b);
}

static void invalid_utf8_is_mended_by_the_sender_but_a_servers_strings_are_kept(void **state) {
    wire_message *a = wire_message_new(WIRE_EVAL), *b = NULL;
    error *err = NULL;

    (void)state;
    a->u.eval.account = a->u.eval.folder = wire_str(a, "caf\xe9");
    a->u.eval.parts = wire_array(a, wire_part, 1);
    a->u.eval.n_parts = 1;
    a->u.eval.parts->section = wire_str(a, "1");
    a->u.eval.parts->type = wire_str(a, "t\xe9xt");
    GByteArray *bytes = encoded(a);
    assert_int_equal(decode_all(bytes->data, bytes->len, &b, &err), WIRE_HAVE);
    assert_string_equal(b->u.eval.folder, "caf\xef\xbf\xbd");
    assert_string_equal(b->u.eval.parts->type, "t\xe9xt");
    g_byte_array_free(bytes, TRUE);
    wire_message_free(a);
    wire_message_free(b);
}

static void frames_may_come_one_byte_at_a_time(void **state) {
    wire_decoder *d = wire_decoder_new();
    wire_message *m = NULL;
    error *err = NULL;

    (void)state;
    for (int t = 0; t < WIRE_TYPES; t++) {
        wire_message *a = full((enum wire_type)t);
        GByteArray *bytes = encoded(a);
        for (guint i = 0; i < bytes->len; i++) {
            assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_MORE);
            wire_decoder_feed(d, bytes->data + i, 1);
        }
        assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_HAVE);
        compare(&wire_schema[t], &a->u, &m->u);
        wire_message_free(m);
        wire_message_free(a);
        g_byte_array_free(bytes, TRUE);
    }
    wire_decoder_free(d);
}

static void many_frames_may_come_at_once_and_keep_their_order(void **state) {
    wire_decoder *d = wire_decoder_new();
    GByteArray *bytes = g_byte_array_new();
    wire_message *m = wire_message_new(WIRE_CANCEL), *got = NULL;
    error *err = NULL;

    (void)state;
    for (m->u.cancel.job = 0; m->u.cancel.job < 1000; m->u.cancel.job++) {
        assert_null(wire_encode(m, bytes));
    }
    wire_decoder_feed(d, bytes->data, bytes->len);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(wire_decoder_next(d, &got, &err), WIRE_HAVE);
        assert_int_equal(got->u.cancel.job, i);
        wire_message_free(got);
    }
    assert_int_equal(wire_decoder_next(d, &got, &err), WIRE_MORE);
    wire_message_free(m);
    g_byte_array_free(bytes, TRUE);
    wire_decoder_free(d);
}

static void a_body_cut_at_any_byte_is_refused(void **state) {
    (void)state;
    for (int t = 0; t < WIRE_TYPES; t++) {
        wire_message *a = full((enum wire_type)t);
        GByteArray *bytes = encoded(a);
        for (guint len = 1; len < bytes->len - 4; len++) {
            assert_refused((const char *)bytes->data + 4, len, ERROR_PROTOCOL);
        }
        g_byte_array_free(bytes, TRUE);
        wire_message_free(a);
    }
}

static void counts_that_the_frame_cannot_hold_are_refused(void **state) {
    (void)state;
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa5steps\xdd\xff\xff\xff\xff");
    REFUSED("\xdf\xff\xff\xff\xff\xa1t\xa4plan\xa3job\x01");
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa8identity\xdb\xff\xff\xff\xff");
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa7unknown\xdd\xff\xff\xff\xff");
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa7unknown\xc9\xff\xff\xff\xff\x01");
}

static void what_is_not_a_message_is_refused(void **state) {
    (void)state;
    REFUSED("\xc1");
    REFUSED("\x80");
    REFUSED("\x93\xa1t\xa4plan\x01");
    REFUSED("\x81\xa1t\xa5" "plans");
    REFUSED("\x81\xa1t\x01");
    REFUSED("\x81\xa1t\xa4plan");                        /* job missing */
    REFUSED("\x82\xa1t\xa4plan\xa3job\xa1" "1");         /* wrong type */
    REFUSED("\x82\xa1t\xa4plan\xa3job\xff");             /* negative */
    REFUSED("\x82\xa1t\xa4plan\xa3job\xc0");             /* nil */
    REFUSED("\x82\xa1t\xa4plan\xa3job\x01\x01");         /* trailing byte */
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa3job\x01");  /* twice */
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\x01\x01");     /* key is a number */
    REFUSED("\x83\xa1t\xa4need\xa3job\x01\xa4kind\x07"); /* outside the enum */
}

static void strings_with_nul_or_invalid_utf8_are_refused(void **state) {
    (void)state;
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa8identity\xa3" "a\0b");
    REFUSED("\x83\xa1t\xa4plan\xa3job\x01\xa8identity\xa2" "a\xff");
    REFUSED("\x84\xa1t\xa3log\xa3job\x01\xa5level\x01\xa4text\xa2\xc3(");
    REFUSED("\x84\xa1t\xa4" "eval\xa3job\x01\xa5parts\x91\x82\xa7section\xa1" "1\xa4type\xc4\x02" "a\0");
}

static void unknown_keys_are_passed_over_but_not_without_end(void **state) {
    static const char fine[] = "\x83\xa1t\xa6" "cancel\xa6" "future\x81\xa1k\x92\xc3\xd6\x01""abcd\xa3job\x05";
    wire_message *m = NULL;
    error *err = NULL;
    GByteArray *deep = g_byte_array_new();

    (void)state;
    GByteArray *frame = framed(fine, sizeof fine - 1);
    assert_int_equal(decode_all(frame->data, frame->len, &m, &err), WIRE_HAVE);
    assert_int_equal(m->u.cancel.job, 5);
    wire_message_free(m);
    g_byte_array_free(frame, TRUE);

    g_byte_array_append(deep, (const uint8_t *)"\x82\xa1t\xa6" "cancel\xa1x", 12);
    for (int i = 0; i < 100000; i++) {
        g_byte_array_append(deep, (const uint8_t *)"\x91", 1);
    }
    g_byte_array_append(deep, (const uint8_t *)"\xc0", 1);
    assert_refused((const char *)deep->data, deep->len, ERROR_PROTOCOL);
    g_byte_array_free(deep, TRUE);
}

static void lists_may_not_take_more_memory_than_their_bound(void **state) {
    GByteArray *body = g_byte_array_new();
    size_t n = LIMIT_FRAME_LISTS / sizeof(wire_step) + 1;
    uint32_t count = GUINT32_TO_BE((uint32_t)n);

    (void)state;
    g_byte_array_append(body, (const uint8_t *)"\x83\xa1t\xa4plan\xa3job\x01\xa5steps\xdd", 20);
    g_byte_array_append(body, (const uint8_t *)&count, 4);
    g_byte_array_set_size(body, (guint)(body->len + n));
    assert_refused((const char *)body->data, body->len, ERROR_LIMIT);
    g_byte_array_free(body, TRUE);
}

static void a_length_beyond_the_limit_ends_the_stream(void **state) {
    wire_decoder *d = wire_decoder_new();
    wire_message *m = NULL;
    error *err = NULL;

    (void)state;
    feed_cancel(d);
    wire_decoder_feed(d, "\xff\xff\xff\xff", 4);
    feed_cancel(d);
    assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_HAVE);
    wire_message_free(m);
    assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_BAD);
    assert_int_equal(err->code, ERROR_LIMIT);
    error_free(err);
    assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_BAD);
    error_free(err);
    wire_decoder_free(d);
}

static void after_a_bad_frame_the_good_ones_behind_it_are_not_read(void **state) {
    wire_decoder *d = wire_decoder_new();
    wire_message *m = NULL;
    error *err = NULL;

    (void)state;
    wire_decoder_feed(d, "\0\0\0\x01\xc1", 5);
    feed_cancel(d);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wire_decoder_next(d, &m, &err), WIRE_BAD);
        error_free(err);
    }
    wire_decoder_free(d);
}

static void a_message_too_large_for_a_frame_leaves_the_output_as_it_was(void **state) {
    wire_message *m = wire_message_new(WIRE_ANSWER);
    GByteArray *out = g_byte_array_new();
    char *large = g_malloc0(LIMIT_FRAME);

    (void)state;
    g_byte_array_append(out, (const uint8_t *)"before", 6);
    m->u.answer.data = (wire_bytes){(const uint8_t *)large, LIMIT_FRAME};
    error *err = wire_encode(m, out);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_LIMIT);
    assert_int_equal(out->len, 6);
    error_free(err);
    g_free(large);
    g_byte_array_free(out, TRUE);
    wire_message_free(m);
}

static void any_messagepack_writer_is_understood(void **state) {
    msgpack_sbuffer b;
    msgpack_packer pk;
    wire_message *m = NULL;
    error *err = NULL;

    (void)state;
    msgpack_sbuffer_init(&b);
    msgpack_packer_init(&pk, &b, msgpack_sbuffer_write);
    msgpack_sbuffer_write(&b, "\0\0\0\x2e", 4);
    msgpack_pack_map(&pk, 4);
    msgpack_pack_str_with_body(&pk, "t", 1);
    msgpack_pack_str_with_body(&pk, "answer", 6);
    msgpack_pack_str_with_body(&pk, "kv_number", 9);
    msgpack_pack_fix_int64(&pk, -3);
    msgpack_pack_str_with_body(&pk, "kind", 4);
    msgpack_pack_fix_uint32(&pk, WIRE_NEED_KV);
    msgpack_pack_str_with_body(&pk, "job", 3);
    msgpack_pack_fix_int16(&pk, 300);
    b.data[3] = (char)(b.size - 4);
    assert_int_equal(decode_all(b.data, b.size, &m, &err), WIRE_HAVE);
    assert_int_equal(m->u.answer.kv_number, -3);
    assert_int_equal(m->u.answer.kind, WIRE_NEED_KV);
    assert_int_equal(m->u.answer.job, 300);
    wire_message_free(m);
    msgpack_sbuffer_destroy(&b);
}

static void lists_grow_in_turn(void **state) {
    wire_message *m = wire_message_new(WIRE_EVAL);
    static const char *const three[] = {"x", "y", "z"};
    wire_strings a = wire_strv(m, three, 3), b = {NULL, 0};

    (void)state;
    for (int i = 0; i < 50; i++) {
        g_autofree char *s = g_strdup_printf("%d", i);
        wire_strings_add(m, &a, s);
        wire_strings_add(m, &b, s);
    }
    wire_strings_add(m, &a, NULL);
    assert_int_equal(a.n, 53);
    assert_int_equal(b.n, 50);
    assert_string_equal(a.v[2], "z");
    assert_string_equal(a.v[3], "0");
    assert_string_equal(a.v[52], "49");
    assert_string_equal(b.v[49], "49");
    wire_message_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_every_type_survives_the_way),
#if defined(__GNUC__) && !defined(__clang__)
        cmocka_unit_test(the_schema_covers_every_byte_of_every_message),
        cmocka_unit_test(the_schema_covers_every_byte_of_what_messages_hold),
#endif
        cmocka_unit_test(an_empty_message_stays_empty),
        cmocka_unit_test(empty_bytes_differ_from_absent_ones),
        cmocka_unit_test(invalid_utf8_is_mended_by_the_sender_but_a_servers_strings_are_kept),
        cmocka_unit_test(frames_may_come_one_byte_at_a_time),
        cmocka_unit_test(many_frames_may_come_at_once_and_keep_their_order),
        cmocka_unit_test(a_body_cut_at_any_byte_is_refused),
        cmocka_unit_test(counts_that_the_frame_cannot_hold_are_refused),
        cmocka_unit_test(what_is_not_a_message_is_refused),
        cmocka_unit_test(strings_with_nul_or_invalid_utf8_are_refused),
        cmocka_unit_test(unknown_keys_are_passed_over_but_not_without_end),
        cmocka_unit_test(lists_may_not_take_more_memory_than_their_bound),
        cmocka_unit_test(a_length_beyond_the_limit_ends_the_stream),
        cmocka_unit_test(after_a_bad_frame_the_good_ones_behind_it_are_not_read),
        cmocka_unit_test(a_message_too_large_for_a_frame_leaves_the_output_as_it_was),
        cmocka_unit_test(any_messagepack_writer_is_understood),
        cmocka_unit_test(lists_grow_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
