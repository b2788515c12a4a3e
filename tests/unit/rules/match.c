#include "src/rules/match_priv.h"
#include "src/rules/regex_priv.h"

#include "tests/unit/unit.h"

#include <string.h>

static void folding_ignores_case_in_any_script(void **state) {
    static const char *const pairs[][2] = {{"ABC", "abc"},
                                           {"\xc3\x9c" "BER", "\xc3\xbc" "ber"},
                                           {"u\xcc\x88" "ber", "\xc3\xbc" "ber"},
                                           {"STRASSE", "stra\xc3\x9f" "e"},
                                           {"\xce\xa3", "\xcf\x83"}};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        size_t a, b;
        g_autofree char *x = match_fold(pairs[i][0], strlen(pairs[i][0]), &a);
        g_autofree char *y = match_fold(pairs[i][1], strlen(pairs[i][1]), &b);
        assert_string_equal(x, y);
        assert_int_equal(a, strlen(x));
        assert_int_equal(b, strlen(y));
    }
}

struct glob_case {
    const char *pattern, *text;
    bool holds;
};

static void globs(void **state) {
    static const struct glob_case list[] = {
        {"", "", true},         {"*", "", true},          {"*", "abc", true},          {"a*c", "abbbc", true},
        {"a*c", "abcb", false}, {"*a*b*", "xaxbx", true}, {"a?c", "a\xc3\xbc" "c", true}, {"a?c", "ac", false},
        {"[a-c]x", "bx", true}, {"[!a-c]x", "bx", false}, {"[]x]", "]", true},         {"[a\\]]", "]", true},
        {"a\\*b", "a*b", true}, {"a\\*b", "axb", false},  {"*.pdf", "x.pdf.exe", false}, {"**", "x", true},
        {"*aab", "aaaab", true}, {"[\xc3\xa0-\xc3\xbf]", "\xc3\xbc", true},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        if (match_glob(list[i].pattern, list[i].text) != list[i].holds) {
            fail_msg("%s on %s: expected %s", list[i].pattern, list[i].text, list[i].holds ? "yes" : "no");
        }
    }
}

static void a_percent_sign_stays_within_a_level(void **state) {
    static const struct glob_case list[] = {
        {"Work/*", "Work/a/b", true}, {"Work/%", "Work/a/b", false}, {"Work/%", "Work/a", true},
        {"%/b", "a/b", true},         {"%/b", "x/a/b", false},       {"*/b", "x/a/b", true},
        {"*/%c", "a/b/xc", true},     {"a?b", "a/b", false},         {"*a%b", "xa/ya/zab", true},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        if (match_folder_glob(list[i].pattern, list[i].text) != list[i].holds) {
            fail_msg("%s on %s: expected %s", list[i].pattern, list[i].text, list[i].holds ? "yes" : "no");
        }
    }
}

static void a_broken_glob_is_told(void **state) {
    (void)state;
    assert_null(match_glob_mistake("a*[b-c]\\["));
    assert_non_null(match_glob_mistake("a[b"));
    assert_non_null(match_glob_mistake("a\\"));
}

static void a_glob_that_backtracks_ends(void **state) {
    char text[20001], pattern[101];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 98; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    strcpy(pattern + 98, "b");
    assert_false(match_glob(pattern, text));
}

/* --- many needles ------------------------------------------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* From few letters, so that much is alike. */
static void random_text(uint32_t *seed, char *out, size_t len) {
    for (size_t i = 0; i < len; i++) {
        out[i] = "abcd"[next_random(seed) % 4];
    }
    out[len] = 0;
}

static void mark(void *user, unsigned id) {
    ((bool *)user)[id] = true;
}

static void needles_are_found_as_one_by_one(void **state) {
    enum { NEEDLES = 300 };
    static char all[NEEDLES][12];
    uint32_t seed = 7;

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct needles *needles = needles_new();
        bool found[NEEDLES] = {false};
        char text[64];
        size_t len = next_random(&seed) % 60;
        for (unsigned i = 0; i < NEEDLES; i++) {
            random_text(&seed, all[i], 1 + next_random(&seed) % 9);
            needles_add(needles, all[i], strlen(all[i]), (enum needle_place)(i % 3), i);
        }
        needles_prepare(needles);
        random_text(&seed, text, len);
        needles_scan(needles, text, len, mark, found);
        for (unsigned i = 0; i < NEEDLES; i++) {
            bool expected = i % 3 == NEEDLE_ANYWHERE   ? strstr(text, all[i]) != NULL
                            : i % 3 == NEEDLE_AT_START ? g_str_has_prefix(text, all[i])
                                                       : g_str_has_suffix(text, all[i]);
            if (found[i] != expected) {
                fail_msg("needle %s (%u) in %s: expected %s", all[i], i % 3, text, expected ? "yes" : "no");
            }
        }
        needles_free(needles);
    }
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

static void literals_of_patterns(void **state) {
    static const char *const list[][2] = {
        {"invoice", "invoice"},    {"invoices? 47", "invoice"}, {"a{3}bcd", "bcd"},        {"abcd|efgh", NULL},
        {"(abcd|efgh)", NULL},     {"x(?:y)zzzz", "zzzz"},      {"\\binvoice\\b", "invoice"}, {"abc\\.def", "abc.def"},
        {"abc\\x41def", NULL},     {"(?x)abc def", NULL},       {"(?i)Invoice", "invoic"}, {"abc[def]ghij", "ghij"},
        {"abc[[:alpha:]]defg", NULL}, {"ab", NULL},             {"(?i:abcd)", NULL},       {"(*UTF)abcd", NULL},
        {"abcd*", "abc"},          {"abcd+", "abcd"},           {"abcd{", NULL},           {"abc)d", NULL},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(list); i++) {
        bool caseless = false;
        g_autofree char *literal = match_regex_literal(list[i][0], &caseless);
        if (g_strcmp0(literal, list[i][1]) != 0) {
            fail_msg("%s: got %s", list[i][0], literal ? literal : "none");
        }
    }
}

static void a_literal_is_in_every_match(void **state) {
    static const char *const pieces[] = {
        "a",   "b", "c", "ab", "bca",     "(",     "(?:", "(?i)", "(?=",  "(?!",   ")",
        "|",   "*", "+", "?",  "{2}",     "{0,1}", "{",   "[ab]", "[^c]", "\\b",   "\\w",
        "\\.", ".", "^", "$",  "\\Qa\\E", "\\x61", "[",   "]",    "C",    "(?<n>", "\\"};
    struct limits limits = LIMITS_DEFAULT;
    struct regex_matcher *matcher = regex_matcher_new(&limits, NULL);
    uint32_t seed = 11;
    unsigned checked = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        GString *pattern = g_string_new(NULL);
        struct regex *regex;
        error *err = NULL;
        char text[24];
        bool caseless = false;
        for (uint32_t n = 1 + next_random(&seed) % 8; n > 0; n--) {
            g_string_append(pattern, pieces[next_random(&seed) % G_N_ELEMENTS(pieces)]);
        }
        err = regex_compile(pattern->str, pattern->len, 0, &regex);
        if (err) {
            error_free(err);
            g_string_free(pattern, TRUE);
            continue;
        }
        g_autofree char *literal = match_regex_literal(pattern->str, &caseless);
        for (int k = 0; literal && k < 20; k++) {
            random_text(&seed, text, next_random(&seed) % 20);
            bool matched = regex_match(matcher, regex, text, strlen(text), 0, NULL, &err) == REGEX_MATCH;
            if (matched && !strstr(text, literal)) {
                fail_msg("%s matches %s, which has no %s", pattern->str, text, literal);
            }
            checked += matched;
        }
        regex_free(regex);
        g_string_free(pattern, TRUE);
    }
    regex_matcher_free(matcher);
    assert_true(checked > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folding_ignores_case_in_any_script),
        cmocka_unit_test(globs),
        cmocka_unit_test(a_percent_sign_stays_within_a_level),
        cmocka_unit_test(a_broken_glob_is_told),
        cmocka_unit_test(a_glob_that_backtracks_ends),
        cmocka_unit_test(needles_are_found_as_one_by_one),
        cmocka_unit_test(literals_of_patterns),
        cmocka_unit_test(a_literal_is_in_every_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
