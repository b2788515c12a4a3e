#include "src/rules/regex_priv.h"

#include "tests/unit/unit.h"

#include <string.h>

/* A clock that moves by itself: a millisecond each time it is read. */
static uint64_t ticking(const clock_source *self) {
    return ((clock_source *)(uintptr_t)self)->fake_elapsed++;
}

struct bench {
    struct limits limits;
    clock_source clock;
    struct regex_matcher *matcher;
};

static int set_up(void **state) {
    struct bench *b = g_new0(struct bench, 1);

    b->limits = (struct limits)LIMITS_DEFAULT;
    b->clock = (clock_source){.elapsed = ticking};
    b->matcher = regex_matcher_new(&b->limits, &b->clock);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;

    regex_matcher_free(b->matcher);
    g_free(b);
    return 0;
}

static enum regex_status match(struct bench *b, const char *pattern, const char *subject, struct regex_match *out) {
    struct regex *regex;
    error *err = regex_compile(pattern, strlen(pattern), 0, &regex);
    error *failure = NULL;

    assert_null(err);
    enum regex_status status = regex_match(b->matcher, regex, subject, strlen(subject), 0, out, &failure);
    assert_true((status == REGEX_FAILED) == (failure != NULL));
    error_free(failure);
    regex_free(regex);
    return status;
}

static void assert_refused(const char *pattern, size_t len, const char *why) {
    struct regex *regex = NULL;
    error *err = regex_compile(pattern, len, 0, &regex);

    assert_non_null(err);
    assert_null(regex);
    assert_int_equal(err->code, ERROR_CONFIG);
    if (!strstr(err->text, why)) {
        fail_msg("expected \"%s\" in \"%s\"", why, err->text);
    }
    error_free(err);
}

static void groups_are_found_by_number_and_name(void **state) {
    struct regex_match m;
    struct regex *regex;
    error *err = NULL;
    const char *subject = "Your INVOICE #4711 of May";
    const char *pattern = "(?i)\\binvoice\\s+#?(?<number>\\d+)(x)?";

    assert_null(regex_compile(pattern, strlen(pattern), 0, &regex));
    assert_int_equal(regex_match(((struct bench *)*state)->matcher, regex, subject, strlen(subject), 0, &m, &err),
                     REGEX_MATCH);
    assert_int_equal(regex_groups(regex), 2);
    assert_string_equal(regex_group_name(regex, 1), "number");
    assert_null(regex_group_name(regex, 2));
    assert_int_equal(m.n, 2);
    assert_memory_equal(subject + m.from[2], "4711", 4);
    assert_int_equal(m.from[3] - m.from[2], 4);
    regex_free(regex);
}

static void letters_of_any_script_are_letters(void **state) {
    assert_int_equal(match(*state, "(?i)^\xc3\xbc\\w+$",
                           "\xc3\x9c"
                           "BER\xc3\x84",
                           NULL),
                     REGEX_MATCH);
}

static void broken_octets_are_never_matched(void **state) {
    struct bench *b = *state;
    struct regex *regex;
    error *err = NULL;

    assert_null(regex_compile("a.b", 3, REGEX_ANY_BYTES, &regex));
    assert_int_equal(regex_match(b->matcher, regex,
                                 "a\xff"
                                 "b a.b",
                                 7, 0, NULL, &err),
                     REGEX_MATCH);
    assert_int_equal(regex_match(b->matcher, regex,
                                 "a\xff"
                                 "b",
                                 3, 0, NULL, &err),
                     REGEX_NO_MATCH);
    regex_free(regex);
}

static void an_error_shows_where_in_the_pattern(void **state) {
    (void)state;
    assert_refused("invoice (\\d+", 12, "missing closing parenthesis at invoice (\\d+>>>");
    assert_refused("\xff", 1, "not UTF-8");
}

static void a_subject_is_cut_at_the_text_limit_between_characters(void **state) {
    struct bench *b = *state;

    b->limits.text = 4;
    assert_int_equal(match(b, "x", "abcdx", NULL), REGEX_NO_MATCH);
    assert_int_equal(match(b, "^abc$", "abc\xc3\xbc", NULL), REGEX_MATCH);
}

static void fault_62_a_pattern_that_explodes_hits_the_deadline(void **state) {
    static const char *const patterns[] = {"(a+)+$", "a*a*[bc]", "(?:a|a)*b", "(a|aa)+$", "^(.*?,){11}P", "(.*)*x"};
    char subject[4001];

    memset(subject, 'a', sizeof subject - 2);
    strcpy(subject + sizeof subject - 2, "!");
    for (size_t i = 0; i < G_N_ELEMENTS(patterns); i++) {
        enum regex_status status = match(*state, patterns[i], subject, NULL);
        assert_true(status == REGEX_FAILED || status == REGEX_NO_MATCH);
    }
    assert_int_equal(match(*state, "(a+)+$", subject, NULL), REGEX_FAILED);
}

static void fault_62_the_deadline_is_named(void **state) {
    struct bench *b = *state;
    struct regex *regex;
    error *err = NULL;
    char subject[3001];

    b->limits.regex_match = 1000000000;
    b->limits.regex_deadline = 5;
    regex_matcher_free(b->matcher);
    b->matcher = regex_matcher_new(&b->limits, &b->clock);
    memset(subject, 'a', sizeof subject - 1);
    subject[3000] = 0;
    assert_null(regex_compile("a*a*a*[bc]", 10, 0, &regex));
    assert_int_equal(regex_match(b->matcher, regex, subject, 3000, 0, NULL, &err), REGEX_FAILED);
    assert_int_equal(err->code, ERROR_LIMIT);
    assert_non_null(strstr(err->text, "regex_deadline"));
    assert_true(b->clock.fake_elapsed < 100);
    error_free(err);
    regex_free(regex);
}

static void fault_62_a_pattern_cannot_change_its_limits(void **state) {
    char *huge = g_malloc(1 << 20);

    (void)state;
    memset(huge, 'a', 1 << 20);
    assert_refused("(*LIMIT_MATCH=4294967295)a", 26, "(*LIMIT_MATCH=4294967295)");
    assert_refused("(*UTF)(*LIMIT_DEPTH=1)a", 23, "(*LIMIT_DEPTH=1)");
    assert_refused("(*NO_JIT)a", 10, "(*NO_JIT)");
    assert_refused("(*NO_START_OPT)a", 16, "(*NO_START_OPT)");
    assert_refused("a\\Cb", 4, "\\C");
    assert_refused(huge, 1 << 20, "longer than");
    g_free(huge);
}

static void verbs_that_belong_to_the_pattern_are_kept(void **state) {
    assert_int_equal(match(*state, "(*UCP)(*ANYCRLF)^b$", "a\rb", NULL), REGEX_NO_MATCH);
    assert_int_equal(match(*state, "(*FAIL)|a", "a", NULL), REGEX_MATCH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups_are_found_by_number_and_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(letters_of_any_script_are_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_octets_are_never_matched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_shows_where_in_the_pattern, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subject_is_cut_at_the_text_limit_between_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_62_a_pattern_that_explodes_hits_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_62_the_deadline_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_62_a_pattern_cannot_change_its_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verbs_that_belong_to_the_pattern_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
