#include "base/error.h"
#include "base/text.h"
#include "tests/unit/unit.h"

static void escaping_shows_control_characters_and_invalid_bytes(void **state) {
    (void)state;
    g_autofree char *a = text_escape("a\r\nb\x1b[31m\xff\xe2\x80\xae", -1);
    assert_string_equal(a, "a\\r\\nb\\x1b[31m\\xff\\u{202e}");
}

static void a_duration_needs_a_known_unit(void **state) {
    uint64_t ms = 0;

    (void)state;
    assert_true(text_parse_duration("5m", &ms) && ms == 300000);
    assert_true(text_parse_duration("7 d", &ms) && ms == 604800000);
    assert_true(text_parse_duration("3", &ms) && ms == 3000);
    assert_false(text_parse_duration("-1s", &ms));
    assert_false(text_parse_duration("5 parsecs", &ms));
    assert_false(text_parse_duration("99999999999999999999s", &ms));
    assert_false(text_parse_duration("", &ms));
}

static void a_size_is_in_powers_of_1024(void **state) {
    uint64_t n = 0;

    (void)state;
    assert_true(text_parse_size("20 MB", &n) && n == 20u << 20);
    assert_false(text_parse_size("20 MBit", &n));
}

static void json_strings_are_always_valid_utf8(void **state) {
    GString *s = g_string_new(NULL);

    (void)state;
    text_append_json(s, "a\"\\\n\x01\xc3\xa9\xc3", -1);
    assert_string_equal(s->str, "\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\"");
    g_string_free(s, TRUE);
}

static void the_nearest_word_is_suggested_only_if_it_is_near(void **state) {
    static const char *const keys[] = {"host", "user", "password", "watch", NULL};

    (void)state;
    assert_string_equal(text_nearest("pasword", keys), "password");
    assert_null(text_nearest("xyzzy", keys));
}

static void an_error_says_where_it_happened(void **state) {
    error *err = error_at(error_new(ERROR_GONE, "no\nmore"), "work", "INBOX", 7, "r1");

    (void)state;
    g_autofree char *text = error_format(error_prefix(err, "move"));
    assert_string_equal(text, "work/INBOX/7 rule r1: move: no\\nmore");
    error_free(err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escaping_shows_control_characters_and_invalid_bytes),
        cmocka_unit_test(a_duration_needs_a_known_unit),
        cmocka_unit_test(a_size_is_in_powers_of_1024),
        cmocka_unit_test(json_strings_are_always_valid_utf8),
        cmocka_unit_test(the_nearest_word_is_suggested_only_if_it_is_near),
        cmocka_unit_test(an_error_says_where_it_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
