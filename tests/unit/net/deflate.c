/* Raw DEFLATE both ways: the same octets however they are cut, bounds on what a few octets may become, and no way to be
 * led astray by a stream that is cut, damaged or ended. */
#include "net/deflate.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ROOM = 64 * 1024 };

/* A server's side, in any manner that RFC 1951 allows. */
typedef struct manner {
    int level, window_bits, flush;
} manner;

static GByteArray *packed_by_server(const manner *how, const void *bytes, size_t len, size_t piece) {
    GByteArray *out = g_byte_array_new();
    z_stream z = {0};
    const uint8_t *at = bytes;

    assert_int_equal(deflateInit2(&z, how->level, Z_DEFLATED, -how->window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    while (len) {
        uint8_t chunk[ROOM];
        size_t n = MIN(piece, len);
        z.next_in = (Bytef *)(uintptr_t)at;
        z.avail_in = (uInt)n;
        do {
            z.next_out = chunk;
            z.avail_out = sizeof chunk;
            deflate(&z, how->flush);
            g_byte_array_append(out, chunk, (guint)(sizeof chunk - z.avail_out));
        } while (z.avail_out == 0);
        at += n;
        len -= n;
    }
    deflateEnd(&z);
    return out;
}

/* What d makes of these octets, fed `piece` at a time and asked for `room` at a time. */
static GString *unpacked(deflate_pair *d, const uint8_t *bytes, size_t len, size_t piece, size_t room,
                         error **err_out) {
    GString *text = g_string_new(NULL);
    g_autofree uint8_t *to = g_malloc(room);

    while (len && !*err_out) {
        size_t n = MIN(piece, len), got;
        deflate_pair_feed(d, bytes, n);
        bytes += n;
        len -= n;
        while ((got = deflate_pair_unpack(d, to, room, err_out)) > 0) {
            assert_true(got <= room);
            g_string_append_len(text, (const char *)to, (gssize)got);
        }
    }
    return text;
}

/* Lines such as a server says them; no two alike. */
static GString *some_text(size_t len) {
    GString *text = g_string_sized_new(len + 200);
    GRand *rand = g_rand_new_with_seed(1);

    for (unsigned uid = 1; text->len < len; uid++) {
        g_string_append_printf(text, "* %u FETCH (UID %u FLAGS (\\Seen) RFC822.SIZE %u)\r\n", uid, uid * 3,
                               g_rand_int(rand));
    }
    g_rand_free(rand);
    return text;
}

static void what_is_packed_is_unpacked(void **state) {
    g_autoptr(deflate_pair) here = deflate_pair_new(), there = deflate_pair_new();
    g_autoptr(GByteArray) wire = g_byte_array_new();
    error *err = NULL;

    (void)state;
    for (unsigned i = 1; i < 300; i++) {
        g_autofree char *line = g_strdup_printf("q%u UID FETCH %u:* (FLAGS)\r\n", i, i * 7);
        g_byte_array_set_size(wire, 0);
        deflate_pair_pack(here, line, strlen(line), wire);
        /* Each write can be read at once. */
        GString *text = unpacked(there, wire->data, wire->len, wire->len, ROOM, &err);
        assert_null(err);
        assert_string_equal(text->str, line);
        g_string_free(text, TRUE);
    }
    assert_true(deflate_pair_at_rest(there));
    assert_true(wire->len < 30);
}

static void the_same_octets_however_they_are_cut(void **state) {
    static const manner manners[] = {
        {6, 15, Z_SYNC_FLUSH}, {9, 9, Z_SYNC_FLUSH}, {0, 15, Z_SYNC_FLUSH}, {6, 15, Z_PARTIAL_FLUSH},
        {6, 15, Z_FULL_FLUSH}, {1, 12, Z_SYNC_FLUSH},
    };
    static const size_t pieces[] = {1, 7, 1000, SIZE_MAX}, rooms[] = {1, 1000, ROOM};
    GString *said = some_text(100000);

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(manners) * G_N_ELEMENTS(pieces) * G_N_ELEMENTS(rooms); i++) {
        const manner *how = &manners[i / G_N_ELEMENTS(pieces) / G_N_ELEMENTS(rooms)];
        size_t piece = pieces[i / G_N_ELEMENTS(rooms) % G_N_ELEMENTS(pieces)], room = rooms[i % G_N_ELEMENTS(rooms)];
        g_autoptr(deflate_pair) d = deflate_pair_new();
        g_autoptr(GByteArray) wire = packed_by_server(how, said->str, said->len, 3000);
        error *err = NULL;
        GString *heard = unpacked(d, wire->data, wire->len, piece, room, &err);
        assert_null(err);
        assert_int_equal(heard->len, said->len);
        assert_memory_equal(heard->str, said->str, said->len);
        assert_true(deflate_pair_at_rest(d) || how->flush == Z_PARTIAL_FLUSH);
        assert_false(deflate_pair_ended(d));
        g_string_free(heard, TRUE);
    }
    g_string_free(said, TRUE);
}

static void a_large_write_is_packed_whole(void **state) {
    g_autoptr(deflate_pair) here = deflate_pair_new(), there = deflate_pair_new();
    g_autoptr(GByteArray) wire = g_byte_array_new();
    GString *said = some_text(5000000);
    error *err = NULL;

    (void)state;
    deflate_pair_pack(here, said->str, said->len, wire);
    assert_true(wire->len < said->len / 2);
    GString *heard = unpacked(there, wire->data, wire->len, 16384, ROOM, &err);
    assert_null(err);
    assert_int_equal(heard->len, said->len);
    assert_memory_equal(heard->str, said->str, said->len);
    g_string_free(heard, TRUE);
    g_string_free(said, TRUE);
}

/* 200 MB of zeros are 200 KB of wire: they cost the room of who asks, not a byte ahead of it. */
static void a_bomb_is_inflated_only_as_it_is_asked_for(void **state) {
    enum { BOMB = 200 * 1000 * 1000 };
    static const manner how = {9, 15, Z_SYNC_FLUSH};
    g_autofree uint8_t *zeros = g_malloc0(BOMB), *to = g_malloc(ROOM);
    g_autoptr(GByteArray) wire = packed_by_server(&how, zeros, BOMB, BOMB);
    g_autoptr(deflate_pair) d = deflate_pair_new();
    error *err = NULL;
    size_t sum = 0, n;

    (void)state;
    assert_true(wire->len < 250000);
    deflate_pair_feed(d, wire->data, wire->len);
    while ((n = deflate_pair_unpack(d, to, ROOM, &err)) > 0) {
        sum += n;
        assert_true(deflate_pair_memory(d) <= DEFLATE_PAIR_MEMORY + wire->len);
    }
    assert_null(err);
    assert_int_equal(sum, BOMB);
    assert_true(deflate_pair_memory(d) <= DEFLATE_PAIR_MEMORY);
}

static void memory_is_as_promised(void **state) {
    static const manner how = {6, 15, Z_SYNC_FLUSH};
    g_autoptr(deflate_pair) d = deflate_pair_new();
    g_autoptr(GByteArray) out = g_byte_array_new();
    GString *said = some_text(300000);
    g_autoptr(GByteArray) wire = packed_by_server(&how, said->str, said->len, said->len);
    error *err = NULL;

    (void)state;
    size_t fresh = deflate_pair_memory(d);
    deflate_pair_pack(d, said->str, said->len, out);
    g_string_free(unpacked(d, wire->data, wire->len, 16384, ROOM, &err), TRUE);
    assert_null(err);
    print_message("a pair: %zu octets at first, %zu once both ways were used\n", fresh, deflate_pair_memory(d));
    assert_true(deflate_pair_memory(d) <= DEFLATE_PAIR_MEMORY);
    g_string_free(said, TRUE);
}

static void a_cut_is_seen_unless_it_is_between_blocks(void **state) {
    static const manner how = {6, 15, Z_SYNC_FLUSH};
    GString *said = some_text(2000);
    g_autoptr(GByteArray) wire = packed_by_server(&how, said->str, said->len, said->len);

    (void)state;
    for (guint len = 0; len <= wire->len; len++) {
        g_autoptr(deflate_pair) d = deflate_pair_new();
        error *err = NULL;
        GString *heard = unpacked(d, wire->data, len, len, ROOM, &err);
        assert_null(err);
        assert_true(heard->len <= said->len);
        assert_memory_equal(heard->str, said->str, heard->len);
        /* The flush is an empty block of 5 octets: in its midst nothing of the text is missing, but it is a cut. */
        if (deflate_pair_at_rest(d) && len != 0 && len != wire->len && len != wire->len - 5) {
            fail_msg("cut at %u of %u and not seen", len, wire->len);
        }
        assert_true(deflate_pair_at_rest(d) || len < wire->len);
        g_string_free(heard, TRUE);
    }
    g_string_free(said, TRUE);
}

static void assert_damaged(deflate_pair *d, const void *bytes, size_t len, const char *heard_first) {
    error *err = NULL;
    uint8_t to[100];
    GString *heard = unpacked(d, bytes, len, len, ROOM, &err);

    assert_non_null(err);
    assert_int_equal(err->code, ERROR_PROTOCOL);
    assert_int_equal(err->class_, ERROR_CLASS_ACCOUNT);
    if (heard_first) {
        assert_string_equal(heard->str, heard_first);
    }
    g_clear_pointer(&err, error_free);
    /* And it stays so. */
    deflate_pair_feed(d, "x", 1);
    assert_int_equal(deflate_pair_unpack(d, to, sizeof to, &err), 0);
    assert_non_null(err);
    error_free(err);
    g_string_free(heard, TRUE);
}

static void damage_is_an_error_behind_what_was_good(void **state) {
    static const manner how = {6, 15, Z_SYNC_FLUSH};
    g_autoptr(GByteArray) wire = packed_by_server(&how, "* OK good\r\n", 11, 11);
    g_autoptr(deflate_pair) first = deflate_pair_new(), second = deflate_pair_new(), third = deflate_pair_new();

    (void)state;
    g_byte_array_append(wire, (const guint8 *)"\x07", 1); /* a block of the fourth kind: there are three */
    assert_damaged(first, wire->data, wire->len, "* OK good\r\n");
    assert_damaged(second, "* OK this is no DEFLATE at all\r\n", 32, NULL);
    /* A distance back to before the beginning. */
    assert_damaged(third, "\x03\x02\x00", 3, "");
}

static void nothing_may_stand_behind_the_end(void **state) {
    static const manner how = {6, 15, Z_FINISH};
    g_autoptr(GByteArray) wire = packed_by_server(&how, "* BYE\r\n", 7, 7);
    g_autoptr(deflate_pair) d = deflate_pair_new(), more = deflate_pair_new();
    error *err = NULL;
    GString *heard = unpacked(d, wire->data, wire->len, 1, ROOM, &err);

    (void)state;
    assert_null(err);
    assert_string_equal(heard->str, "* BYE\r\n");
    assert_true(deflate_pair_ended(d) && deflate_pair_at_rest(d));
    g_string_free(heard, TRUE);
    g_byte_array_append(wire, (const guint8 *)"x", 1);
    assert_damaged(more, wire->data, wire->len, "* BYE\r\n");
}

static void any_single_octet_may_be_wrong(void **state) {
    static const manner how = {6, 15, Z_SYNC_FLUSH};
    GString *said = some_text(300);
    g_autoptr(GByteArray) wire = packed_by_server(&how, said->str, said->len, 100);

    (void)state;
    for (guint at = 0; at < wire->len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            g_autoptr(deflate_pair) d = deflate_pair_new();
            g_autoptr(error) err = NULL;
            uint8_t was = wire->data[at];
            wire->data[at] = (uint8_t)value;
            GString *heard = unpacked(d, wire->data, wire->len, wire->len, 4096, &err);
            wire->data[at] = was;
            assert_true(heard->len <= wire->len * 1032u);
            g_string_free(heard, TRUE);
        }
    }
    g_string_free(said, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_is_unpacked),
        cmocka_unit_test(the_same_octets_however_they_are_cut),
        cmocka_unit_test(a_large_write_is_packed_whole),
        cmocka_unit_test(a_bomb_is_inflated_only_as_it_is_asked_for),
        cmocka_unit_test(memory_is_as_promised),
        cmocka_unit_test(a_cut_is_seen_unless_it_is_between_blocks),
        cmocka_unit_test(damage_is_an_error_behind_what_was_good),
        cmocka_unit_test(nothing_may_stand_behind_the_end),
        cmocka_unit_test(any_single_octet_may_be_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
