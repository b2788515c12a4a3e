#include "imap/capability.h"
#include "tests/unit/unit.h"

static imap_capabilities parsed(const char *list) {
    imap_capabilities caps;

    imap_capabilities_parse(&caps, imap_str_of(list));
    return caps;
}

static void words_are_known_without_regard_to_case(void **state) {
    imap_capabilities caps = parsed("imap4rev1 Idle X-UNKNOWN LITERAL+ auth=xoauth2 AUTH=SCRAM-SHA-256 AUTH=NEW");
    g_autofree char *text = imap_capabilities_format(&caps);

    (void)state;
    assert_string_equal(text, "IMAP4rev1 IDLE LITERAL+ AUTH=XOAUTH2 AUTH=SCRAM-SHA-256");
    assert_true(imap_can(&caps, IMAP_CAP_IDLE));
    assert_false(imap_can(&caps, IMAP_CAP_MOVE));
    assert_true(imap_can_auth(&caps, IMAP_AUTH_XOAUTH2));
    assert_false(imap_can_auth(&caps, IMAP_AUTH_PLAIN));
}

static void limits_are_told_by_value(void **state) {
    imap_capabilities caps = parsed("APPENDLIMIT=26214400 MESSAGELIMIT=1000");

    (void)state;
    assert_true(caps.append_limit == 26214400);
    assert_int_equal(caps.message_limit, 1000);
    caps = parsed("APPENDLIMIT APPENDLIMIT=x MESSAGELIMIT=99999999999");
    assert_true(imap_can(&caps, IMAP_CAP_APPENDLIMIT));
    assert_true(caps.append_limit == 0);
    assert_false(imap_can(&caps, IMAP_CAP_MESSAGELIMIT));
}

static void what_is_implied_is_there(void **state) {
    imap_capabilities caps = parsed("IMAP4rev2");

    (void)state;
    assert_true(imap_can(&caps, IMAP_CAP_MOVE) && imap_can(&caps, IMAP_CAP_IDLE) && imap_can(&caps, IMAP_CAP_UIDPLUS));
    caps = parsed("IMAP4rev1 IMAP4rev2");
    assert_false(imap_can(&caps, IMAP_CAP_MOVE));
    caps = parsed("IMAP4rev1 QRESYNC");
    assert_true(imap_can(&caps, IMAP_CAP_CONDSTORE));
}

static void a_word_can_be_taken_away(void **state) {
    imap_capabilities caps = parsed("IMAP4rev1 MOVE AUTH=PLAIN AUTH=LOGIN");

    (void)state;
    assert_true(imap_capabilities_remove(&caps, imap_str_of("move")));
    assert_true(imap_capabilities_remove(&caps, imap_str_of("AUTH=PLAIN")));
    assert_false(imap_capabilities_remove(&caps, imap_str_of("NO-SUCH-WORD")));
    g_autofree char *text = imap_capabilities_format(&caps);
    assert_string_equal(text, "IMAP4rev1 AUTH=LOGIN");
}

static void every_name_of_the_tables_is_found_again(void **state) {
    (void)state;
    for (int i = 0; i < IMAP_CAPS; i++) {
        imap_capabilities caps = {0};
        assert_true(imap_capabilities_add(&caps, imap_str_of(imap_capability_name((enum imap_capability)i))));
        assert_true(imap_can(&caps, (enum imap_capability)i));
    }
    for (int i = 0; i < IMAP_AUTHS; i++) {
        imap_capabilities caps = {0};
        g_autofree char *word = g_strconcat("AUTH=", imap_auth_name((enum imap_auth)i), NULL);
        assert_true(imap_capabilities_add(&caps, imap_str_of(word)));
        assert_true(imap_can_auth(&caps, (enum imap_auth)i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_known_without_regard_to_case),
        cmocka_unit_test(limits_are_told_by_value),
        cmocka_unit_test(what_is_implied_is_there),
        cmocka_unit_test(a_word_can_be_taken_away),
        cmocka_unit_test(every_name_of_the_tables_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
