#include "base/limits.h"
#include "imap/mailbox.h"
#include "tests/unit/unit.h"

static void expect_name(const char *name, const char *wire) {
    char *encoded = NULL, *decoded = NULL;

    assert_null(imap_mailbox_encode(name, false, &encoded));
    assert_string_equal(encoded, wire);
    assert_true(imap_mailbox_decode(imap_str_of(wire), false, '/', &decoded));
    assert_string_equal(decoded, name);
    g_free(encoded);
    g_free(decoded);
}

static void names_go_to_the_wire_and_back(void **state) {
    (void)state;
    expect_name("Work/2024", "Work/2024");
    expect_name("Entwürfe", "Entw&APw-rfe");
    expect_name("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    expect_name("R&D", "R&-D");
    expect_name("&", "&-");
    expect_name("é&é", "&AOk-&-&AOk-");
    expect_name("😀", "&2D3eAA-");
    expect_name("a😀bé", "a&2D3eAA-b&AOk-");
    expect_name("*%\"\\", "*%\"\\");
}

static bool decodes(const char *wire, size_t len, bool utf8) {
    char *name = NULL;
    bool good = imap_mailbox_decode((imap_str){wire, len}, utf8, '/', &name);

    assert_non_null(name);
    for (const char *p = name; !good && *p; p++) {
        assert_true((uint8_t)*p >= 0x20);
    }
    g_free(name);
    return good;
}

static void fault_24_names_that_cannot_be_right_are_refused(void **state) {
    static const char *const bad[] = {
        "&",          "&AOk",        "&AO-",   "&A-",    "&AOkA-", "&AGE-",  "&2D0-", "a&2D0-b",    "&3gA-", "&2D0AYQ-",
        "&AOk-&AOk-", "caf\xc3\xa9", "a\tb",   "a\x7f",  "..",     "a/../b", "/a",    "a/",         "a//b",  "",
        "&AAE-",      "&AAo-",       "&AOk=-", "&AO k-", "a\r\nb", "&AAA-",  "../x",  "&IC4-&AOk-",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        if (decodes(bad[i], strlen(bad[i]), false)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_false(decodes("a\0b", 3, false));
    assert_false(decodes("a\xff", 2, true));
    assert_true(decodes("caf\xc3\xa9", 5, true));
    assert_true(decodes("&AOk-", 5, true));
    assert_true(decodes("a..b", 4, false));
    assert_true(decodes("...", 3, false));
    char *long_name = g_strnfill(10240, 'x');
    assert_false(decodes(long_name, 10240, false));
    assert_true(decodes(long_name, LIMIT_IMAP_MAILBOX_NAME, false));
    assert_false(decodes(long_name, LIMIT_IMAP_MAILBOX_NAME + 1, false));
    g_free(long_name);
}

static void a_name_that_is_refused_says_why(void **state) {
    error *err = imap_mailbox_check("a/../b", '/');

    (void)state;
    assert_string_equal(err->text, "folder name \"a/../b\" has a level \"..\"");
    error_free(err);
    assert_null(imap_mailbox_check("a/../b", '\0'));
    err = imap_mailbox_check("x\x1b[2J", '/');
    assert_string_equal(err->text, "folder name \"x\\x1b[2J\" has control characters");
    error_free(err);
}

static void inbox_is_any_spelling_of_five_letters(void **state) {
    char *name = NULL;

    (void)state;
    assert_true(imap_mailbox_decode(imap_str_of("Inbox"), false, '/', &name));
    assert_string_equal(name, "INBOX");
    g_free(name);
    assert_true(imap_mailbox_equal("inbox", "INBOX"));
    assert_false(imap_mailbox_equal("Trash", "trash"));
    assert_false(imap_mailbox_equal("inbox/a", "INBOX/a"));
}

static void a_users_slash_is_the_servers_delimiter(void **state) {
    g_autofree char *a = imap_mailbox_localize("inbox/Work/2024", '.');
    g_autofree char *b = imap_mailbox_localize("Work/2024", '/');
    g_autofree char *c = imap_mailbox_localize("a/b", '\0');
    g_autofree char *d = imap_mailbox_join("INBOX", '.', "Trash");
    g_autofree char *e = imap_mailbox_join("", '.', "Trash");
    g_autofree char *f = imap_mailbox_localize("inboxes/x", '.');

    (void)state;
    assert_string_equal(a, "INBOX.Work.2024");
    assert_string_equal(b, "Work/2024");
    assert_string_equal(c, "a/b");
    assert_string_equal(d, "INBOX.Trash");
    assert_string_equal(e, "Trash");
    assert_string_equal(f, "inboxes.x");
}

static void patterns_match_by_level(void **state) {
    static const struct {
        const char *pattern, *name;
        char delimiter;
        bool matches;
    } cases[] = {
        {"Work/*", "Work/a", '/', true},
        {"Work/*", "Work/a/b", '/', false},
        {"Work/**", "Work/a/b", '/', true},
        {"Work/*", "Work", '/', false},
        {"*", "Work", '/', true},
        {"*", "Work/a", '/', false},
        {"**", "Work/a", '/', true},
        {"**/a", "x/y/a", '/', true},
        {"W?rk", "Work", '/', true},
        {"W?rk", "W/rk", '/', false},
        {"?", "é", '/', true},
        {"Work/*", "Work.a", '.', true},
        {"Work.*", "Work.a", '.', true},
        {"Work/*", "Work.a.b", '.', false},
        {"inbox", "INBOX", '/', true},
        {"Inbox/*", "INBOX/x", '/', true},
        {"inbox/X", "INBOX/x", '/', false},
        {"work", "Work", '/', false},
        {"", "", '/', true},
        {"", "a", '/', false},
        {"*a*", "bab", '/', true},
        {"**b", "a/b", '/', true},
        {"***", "a/b", '/', true},
        {"a*", "a", '/', true},
        {"*/x/*", "a/x/b", '/', true},
        {"*/x/*", "a/b/x", '/', false},
        {"Entw*", "Entwürfe", '/', true},
        {"a/b", "a/b", '\0', true},
        {"a*", "a/b", '\0', true},
        {"inboxes", "INBOXES", '/', false},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        if (imap_mailbox_match(cases[i].pattern, cases[i].name, cases[i].delimiter) != cases[i].matches) {
            fail_msg("\"%s\" on \"%s\": expected %d", cases[i].pattern, cases[i].name, cases[i].matches);
        }
    }
    assert_true(imap_mailbox_is_pattern("a*"));
    assert_false(imap_mailbox_is_pattern("[Gmail]/Spam"));
}

static void a_pattern_of_stars_takes_no_more_than_its_product(void **state) {
    char *name = g_strnfill(1000, 'a');
    GString *pattern = g_string_new(NULL);

    (void)state;
    for (int i = 0; i < 500; i++) {
        g_string_append(pattern, "*a");
    }
    g_string_append(pattern, "b");
    assert_false(imap_mailbox_match(pattern->str, name, '/'));
    g_string_free(pattern, TRUE);
    g_free(name);
}

static void special_uses_have_names_and_usual_places(void **state) {
    (void)state;
    assert_int_equal(imap_special_use_parse("\\junk"), IMAP_ATTR_JUNK);
    assert_int_equal(imap_special_use_parse("\\Spam"), IMAP_ATTR_JUNK);
    assert_int_equal(imap_special_use_parse("Junk"), 0);
    assert_string_equal(imap_special_use_name(IMAP_ATTR_ALL), "\\All");
    assert_null(imap_special_use_name(0));
    assert_int_equal(imap_special_use_guess("INBOX.Trash", '.'), IMAP_ATTR_TRASH);
    assert_int_equal(imap_special_use_guess("[Gmail]/Spam", '/'), IMAP_ATTR_JUNK);
    assert_int_equal(imap_special_use_guess("GELÖSCHTE ELEMENTE", '/'), IMAP_ATTR_TRASH);
    assert_int_equal(imap_special_use_guess("Sent Items", '\0'), IMAP_ATTR_SENT);
    assert_int_equal(imap_special_use_guess("Trash/2024", '/'), 0);
    assert_int_equal(imap_special_use_guess("Tickets", '/'), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_to_the_wire_and_back),
        cmocka_unit_test(fault_24_names_that_cannot_be_right_are_refused),
        cmocka_unit_test(a_name_that_is_refused_says_why),
        cmocka_unit_test(inbox_is_any_spelling_of_five_letters),
        cmocka_unit_test(a_users_slash_is_the_servers_delimiter),
        cmocka_unit_test(patterns_match_by_level),
        cmocka_unit_test(a_pattern_of_stars_takes_no_more_than_its_product),
        cmocka_unit_test(special_uses_have_names_and_usual_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
