#include "base/limits.h"
#include "imap/set.h"
#include "tests/unit/unit.h"

static void expect_set(const imap_set *set, const char *expected) {
    GString *text = g_string_new(NULL);

    imap_set_format(set, text);
    assert_string_equal(text->str, expected);
    g_string_free(text, TRUE);
}

static void parse(imap_set *set, const char *text) {
    assert_null(imap_set_parse(set, imap_str_of(text), LIMIT_IMAP_SET_RANGES));
}

static void ranges_are_kept_ascending_and_merged(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;

    (void)state;
    imap_set_add(&set, 7);
    imap_set_add(&set, 5);
    imap_set_add_range(&set, 12, 9);
    expect_set(&set, "5,7,9:12");
    imap_set_add(&set, 6);
    expect_set(&set, "5:7,9:12");
    imap_set_add(&set, 8);
    expect_set(&set, "5:12");
    imap_set_add(&set, 0);
    imap_set_add_range(&set, 0, 2);
    expect_set(&set, "1:2,5:12");
    imap_set_add_range(&set, 1, UINT32_MAX);
    expect_set(&set, "1:4294967295");
    assert_int_equal(set.count, 1);
    assert_true(imap_set_size(&set) == UINT32_MAX);
}

static void removing_and_clipping_split_ranges(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;

    (void)state;
    parse(&set, "1:4294967295");
    imap_set_remove_range(&set, 20, 10);
    expect_set(&set, "1:9,21:4294967295");
    imap_set_clip(&set, 5, 30);
    expect_set(&set, "5:9,21:30");
    imap_set_remove_range(&set, 1, 5);
    imap_set_remove_range(&set, 30, UINT32_MAX);
    imap_set_remove_range(&set, 15, 16);
    expect_set(&set, "6:9,21:29");
    imap_set_clip(&set, 10, 20);
    expect_set(&set, "");
    assert_true(imap_set_is_empty(&set));
    parse(&set, "4,6");
    imap_set_clip(&set, 9, 3);
    expect_set(&set, "");
}

/* Against a plain array of bits, with a fixed sequence of pseudo-random operations. */
static void it_does_what_an_array_of_bits_does(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;
    bool bits[128] = {false};
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t low = 1 + (seed >> 8) % 126, high = low + (seed >> 20) % 6;
        bool add = seed >> 31;
        high = MIN(high, 127u);
        if (add) {
            imap_set_add_range(&set, low, high);
        } else {
            imap_set_remove_range(&set, low, high);
        }
        for (uint32_t i = low; i <= high; i++) {
            bits[i] = add;
        }
        uint32_t uid = 0;
        uint64_t n = 0;
        for (uint32_t i = 1; i < 128; i++) {
            assert_int_equal(imap_set_contains(&set, i), bits[i]);
            if (bits[i]) {
                uid = imap_set_next(&set, uid);
                assert_int_equal(uid, i);
                n++;
            }
        }
        assert_int_equal(imap_set_next(&set, uid), 0);
        assert_true(imap_set_size(&set) == n);
        for (size_t i = 1; i < set.count; i++) {
            assert_true(set.ranges[i].low > set.ranges[i - 1].high + 1);
        }
    }
}

static void iteration_ends_at_the_last_uid_there_is(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;

    (void)state;
    parse(&set, "3,4294967294:4294967295");
    assert_int_equal(imap_set_next(&set, 0), 3);
    assert_int_equal(imap_set_next(&set, 3), 4294967294);
    assert_int_equal(imap_set_next(&set, 4294967294), 4294967295);
    assert_int_equal(imap_set_next(&set, 4294967295), 0);
    assert_int_equal(imap_set_min(&set), 3);
    assert_int_equal(imap_set_max(&set), 4294967295);
}

static void what_is_no_set_is_refused_and_changes_nothing(void **state) {
    static const char *const bad[] = {"",
                                      "0",
                                      "1:",
                                      ":1",
                                      "1,",
                                      ",1",
                                      "*",
                                      "1:*",
                                      "4294967296",
                                      "-1",
                                      "1 2",
                                      "1:2:3",
                                      "a",
                                      "0:5",
                                      "1,(",
                                      "$",
                                      "9999999999999999999999"};
    g_auto(imap_set) set = IMAP_SET_INIT;

    (void)state;
    parse(&set, "8");
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        error *err = imap_set_parse(&set, imap_str_of(bad[i]), 10);
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
        error_free(err);
    }
    error *err = imap_set_parse(&set, imap_str_of("1,3,5,7,9"), 4);
    assert_int_equal(err->code, ERROR_LIMIT);
    error_free(err);
    expect_set(&set, "8");
    parse(&set, "20:18,7,1:3,2");
    expect_set(&set, "1:3,7:8,18:20");
}

static void chunks_keep_to_counts_and_octets(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;
    g_auto(imap_set) chunk = IMAP_SET_INIT;

    (void)state;
    parse(&set, "1:5,7,100:102,4000000000");
    assert_true(imap_set_take(&set, 4, 1000, &chunk));
    expect_set(&chunk, "1:4");
    assert_true(imap_set_take(&set, 4, 1000, &chunk));
    expect_set(&chunk, "5,7,100:101");
    assert_true(imap_set_take(&set, 4, 3, &chunk));
    expect_set(&chunk, "102");
    assert_true(imap_set_take(&set, 4, 3, &chunk)); /* one at least */
    expect_set(&chunk, "4000000000");
    assert_false(imap_set_take(&set, 4, 3, &chunk));
    expect_set(&chunk, "");

    parse(&set, "1:4294967295");
    assert_true(imap_set_take(&set, SIZE_MAX, 1000, &chunk));
    expect_set(&chunk, "1:4294967295");
    assert_true(imap_set_is_empty(&set));
}

static void chunks_cover_the_set_without_overlap(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;
    g_auto(imap_set) chunk = IMAP_SET_INIT;
    g_auto(imap_set) all = IMAP_SET_INIT;
    uint64_t total = 0;

    (void)state;
    for (uint32_t i = 1; i < 5000; i += 1 + i % 3) {
        imap_set_add(&set, i * 1000);
    }
    uint64_t before = imap_set_size(&set);
    while (imap_set_take(&set, LIMIT_IMAP_BATCH, 300, &chunk)) {
        GString *text = g_string_new(NULL);
        imap_set_format(&chunk, text);
        assert_true(text->len <= 300);
        assert_true(imap_set_size(&chunk) <= LIMIT_IMAP_BATCH);
        g_string_free(text, TRUE);
        total += imap_set_size(&chunk);
        imap_set_add_ranges(&all, (imap_ranges){chunk.ranges, chunk.count});
    }
    assert_true(total == before);
    assert_true(imap_set_size(&all) == before);
}

static void descending_ranges_of_a_server_are_sorted_in_one_go(void **state) {
    g_auto(imap_set) set = IMAP_SET_INIT;
    imap_range *ranges = g_new(imap_range, 200000);

    (void)state;
    for (uint32_t i = 0; i < 200000; i++) {
        ranges[i] = (imap_range){2 * (200000 - i), 2 * (200000 - i)};
    }
    imap_set_add_ranges(&set, (imap_ranges){ranges, 200000});
    assert_int_equal(set.count, 200000);
    assert_int_equal(imap_set_min(&set), 2);
    assert_true(imap_ranges_contain((imap_ranges){ranges, 200000}, 4));
    assert_false(imap_ranges_contain((imap_ranges){ranges, 200000}, 5));
    g_free(ranges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_kept_ascending_and_merged),
        cmocka_unit_test(removing_and_clipping_split_ranges),
        cmocka_unit_test(it_does_what_an_array_of_bits_does),
        cmocka_unit_test(iteration_ends_at_the_last_uid_there_is),
        cmocka_unit_test(what_is_no_set_is_refused_and_changes_nothing),
        cmocka_unit_test(chunks_keep_to_counts_and_octets),
        cmocka_unit_test(chunks_cover_the_set_without_overlap),
        cmocka_unit_test(descending_ranges_of_a_server_are_sorted_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
