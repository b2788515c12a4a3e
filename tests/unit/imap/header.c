/* The Message-ID in a header block, as rules see it too (tests/unit/mail/header.c). */
#include "imap/header.h"
#include "tests/unit/imap/expect.h"

static void expect_id(const char *block, const char *expected) {
    g_autofree char *id = imap_header_message_id((imap_str){block, strlen(block)});

    if (g_strcmp0(id, expected) != 0) {
        fail_msg("of \"%s\" got %s, expected %s", block, id ? id : "none", expected ? expected : "none");
    }
}

static void it_stands_in_brackets(void **state) {
    expect_id("Message-ID: <a@x>\r\n\r\n", "a@x");
    expect_id("Subject: <s@x>\r\nMESSAGE-id:<a@x>\r\nMessage-ID: <b@x>\r\n\r\n", "a@x");
    expect_id("Message-ID \t: (no comment) <a@x> <b@x>\n", "a@x");
    expect_id("Message-ID: <> <b@x>", "b@x");
    expect_id("Message-ID: <a@x", "a@x");
}

static void it_may_be_folded(void **state) {
    expect_id("Message-ID:\r\n <a@x>\r\nSubject: s\r\n\r\n", "a@x");
    expect_id("Message-ID: <a-long\r\n\t-one@x>\r\n", "a-long-one@x");
    expect_id("Subject: one\r\n Message-ID: <s@x>\r\n\r\n", NULL);
}

static void what_is_not_printable_is_left_out(void **state) {
    expect_id("Message-ID: <a b@x>\r\n", "ab@x");
    expect_id("Message-ID: <a\x1b\x7f\xc3\xa4@x>\r\n", "a@x");
    g_autofree char *id = imap_header_message_id((imap_str){"Message-ID: <a\0b@x>", 19});
    assert_string_equal(id, "ab@x");
}

static void without_brackets_it_is_the_first_word(void **state) {
    expect_id("Message-ID:  a@x> b\r\nTo: <t@x>\r\n", "a@x");
    expect_id("Message-ID:\r\nTo: <t@x>\r\n\r\n", NULL);
    expect_id("Message-ID: <\xe4>\r\n", NULL);
}

static void it_stands_in_the_header_only(void **state) {
    expect_id("Subject: s\r\n\r\nMessage-ID: <a@x>\r\n", NULL);
    expect_id("\nMessage-ID: <a@x>\n", NULL);
    expect_id("X-Message-ID: <a@x>\r\nMessage-IDs: <b@x>\r\nMessage", NULL);
    expect_id("", NULL);
    assert_null(imap_header_message_id((imap_str){NULL, 0}));
}

static void expect_fetched(const char *fetch, const char *expected) {
    imap_parser *parser;
    const imap_response *r = parse_one(&parser, fetch);
    g_autofree char *id = imap_fetch_message_id(&r->fetch);

    if (g_strcmp0(id, expected) != 0) {
        fail_msg("of \"%s\" got %s, expected %s", fetch, id ? id : "none", expected ? expected : "none");
    }
    imap_parser_free(parser);
}

static void a_fetch_brings_it_with_fields_or_the_whole_header(void **state) {
    expect_fetched("* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@x>\r\n\r\n)\r\n", "a@x");
    expect_fetched("* 1 FETCH (BODY[HEADER] {30}\r\nTo: t@x\r\nMessage-ID: <a@x>\r\n\r\n UID 2)\r\n", "a@x");
    expect_fetched("* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)\r\n", "");
    expect_fetched("* 1 FETCH (BODY[HEADER.FIELDS (MESSAGE-ID)] NIL)\r\n", NULL);
    expect_fetched("* 1 FETCH (BODY[2.HEADER] {21}\r\nMessage-ID: <a@x>\r\n\r\n)\r\n", NULL);
    expect_fetched("* 1 FETCH (FLAGS () UID 3)\r\n", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stands_in_brackets),
        cmocka_unit_test(it_may_be_folded),
        cmocka_unit_test(what_is_not_printable_is_left_out),
        cmocka_unit_test(without_brackets_it_is_the_first_word),
        cmocka_unit_test(it_stands_in_the_header_only),
        cmocka_unit_test(a_fetch_brings_it_with_fields_or_the_whole_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
