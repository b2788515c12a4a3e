/* The lines of the fault catalogue that the parser answers for. */
#include "base/limits.h"
#include "tests/unit/imap/expect.h"

#include <malloc.h>

static size_t heap_in_use(void) {
    return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* Feeds `unit` over and over, `step` bytes at a time, until `total` bytes went in or the parser gives up. */
static char *flood(const char *start, char unit, size_t total, size_t *peak_out) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    const imap_response *r;
    error *err = NULL;
    char block[65536], *text = NULL;
    size_t before = heap_in_use();
    enum imap_got got = IMAP_MORE;

    memset(block, unit, sizeof block);
    imap_parser_feed(parser, start, strlen(start));
    *peak_out = 0;
    for (size_t fed = 0; fed < total && got == IMAP_MORE; fed += sizeof block) {
        imap_parser_feed(parser, block, sizeof block);
        got = imap_parser_next(parser, &r, &err);
        *peak_out = MAX(*peak_out, heap_in_use() - before);
    }
    if (got == IMAP_BAD) {
        text = g_strdup(err->text);
    }
    error_free(err);
    imap_parser_free(parser);
    return text;
}

static void fault_16_literals_out_of_bounds_end_the_connection(void **state) {
    static const char *const bad[] = {
        "{4294967296}", "{99999999999999999999}", "{-1}", "{10+}", "{}", "{67108865}", "{18446744073709551616}", "{1-}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const struct limits limits = LIMITS_DEFAULT;
        imap_parser *parser = imap_parser_new(&limits);
        char *line = g_strdup_printf("* 1 FETCH (BODY[] %s\r\n", bad[i]);
        const imap_response *r;
        error *err = NULL;
        size_t before = heap_in_use();

        imap_parser_feed(parser, line, strlen(line));
        assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_BAD);
        assert_true(err->code == ERROR_PROTOCOL || err->code == ERROR_LIMIT);
        assert_int_equal(err->class_, ERROR_CLASS_ACCOUNT);
        assert_true(heap_in_use() < before + 100000);
        error_free(err);
        imap_parser_feed(parser, "* 1 EXISTS\r\n", 12);
        assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_BAD);
        error_free(err);
        imap_parser_free(parser);
        g_free(line);
    }
}

static void fault_16_an_announced_literal_takes_no_memory_before_it_comes(void **state) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    const imap_response *r;
    error *err = NULL;
    size_t before = heap_in_use();

    (void)state;
    imap_parser_feed(parser, "* 1 FETCH (BODY[] {67108864}\r\nonly this", 39);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_MORE);
    assert_true(heap_in_use() < before + 100000);
    imap_parser_free(parser);
}

static void fault_16_many_literals_in_one_response_are_bounded_together(void **state) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    char *block = g_malloc0(1 << 20);
    enum imap_got got = IMAP_MORE;
    const imap_response *r;
    error *err = NULL;
    size_t fed = 0;

    (void)state;
    imap_parser_feed(parser, "* 1 FETCH (", 11);
    while (got == IMAP_MORE && fed < 2 * (size_t)LIMIT_IMAP_RESPONSE) {
        imap_parser_feed(parser, "X {1048576}\r\n", 13);
        imap_parser_feed(parser, block, 1 << 20);
        got = imap_parser_next(parser, &r, &err);
        fed += 1 << 20;
    }
    assert_int_equal(got, IMAP_BAD);
    assert_int_equal(err->code, ERROR_LIMIT);
    assert_true(fed <= LIMIT_IMAP_RESPONSE);
    error_free(err);
    imap_parser_free(parser);
    g_free(block);
}

static void fault_17_lines_without_end_are_cut_off(void **state) {
    size_t peak;
    g_autofree char *text = flood("* OK ", 'x', 100u << 20, &peak);

    (void)state;
    assert_string_equal(text, "server broke the protocol: a line is too long");
    assert_true(peak < 4 * LIMIT_IMAP_LINE);
    g_autofree char *tagged = flood("a1 OK ", 'x', 100u << 20, &peak);
    assert_non_null(tagged);
    assert_true(peak < 4 * LIMIT_IMAP_LINE);
    g_autofree char *data = flood("* SEARCH ", '1', 100u << 20, &peak);
    assert_non_null(data);
    assert_true(peak < 3 * LIMIT_IMAP_DATA_LINE);
    g_autofree char *nothing = flood("", 'x', 100u << 20, &peak);
    assert_non_null(nothing);
    assert_true(peak < 4 * LIMIT_IMAP_LINE);
}

static void fault_17_a_megabyte_of_parentheses_is_no_recursion(void **state) {
    static const char *const starts[] = {"* 1 FETCH ",    "* 1 FETCH (BODYSTRUCTURE ",
                                         "* 1 FETCH (X ", "* STATUS a ",
                                         "* LIST (",      "* ESEARCH ",
                                         "* NAMESPACE ",  "* X "};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
        const struct limits limits = LIMITS_DEFAULT;
        GString *bytes = g_string_new(starts[i]), *out = g_string_new(NULL);
        size_t n = bytes->len;

        g_string_set_size(bytes, n + (1 << 20));
        memset(bytes->str + n, '(', 1 << 20);
        g_string_append(bytes, "\r\n* 7 EXISTS\r\n");
        dump_stream(out, bytes->str, bytes->len, 0, &limits);
        assert_true(g_str_has_prefix(out->str, "unknown"));
        assert_true(g_str_has_suffix(out->str, "\nEXISTS n=7\n"));
        g_string_free(bytes, TRUE);
        g_string_free(out, TRUE);
    }
}

static void fault_17_padding_of_nuls_and_bare_line_feeds_are_tolerated(void **state) {
    (void)state;
    EXPECT("\0\0\0* 1 EXISTS\r\n\0\0\r\n\r\n* 2 EXISTS\n* OK a\rb\0c\n\n+ go\n",
           "EXISTS n=1\nEXISTS n=2\ncondition OK text=\"a\\rb\\x00c\"\n+ text=\"go\"\n");
    EXPECT("* 1 FETCH (BODY[] {3}\nabc UID 4)\n",
           "FETCH seq=1 uid=4 section kind=0 part=\"\" spec=\"\" data=\"abc\"\n");
    size_t peak;
    g_autofree char *text = flood("", '\0', 100u << 20, &peak);
    assert_null(text);
    assert_true(peak < 1 << 20);
}

static void fault_17_garbage_instead_of_a_response_ends_the_connection(void **state) {
    (void)state;
    EXPECT("Server Unavailable.\r\n", "BAD protocol: server sent what is no response: Server Unavailable.\n");
    EXPECT("a1 MAYBE\r\n", "BAD protocol: server sent what is no response: a1 MAYBE\n");
    EXPECT("* 1 EXISTS\r\n)\x1b[2J\r\n* 2 EXISTS\r\n",
           "EXISTS n=1\nBAD protocol: server sent what is no response: )\\x1b[2J\n");
}

static void fault_17_bytes_of_a_message_are_never_shown(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (BODY[] {4}\r\nDear Sir,\r\nmy PIN is 1234\r\n",
           "unknown raw=\"1 FETCH \" reason: list not closed\n"
           "BAD protocol: server sent what is no response: a line of 14 octets\n");
}

static void fault_17_memory_of_a_large_message_is_given_back(void **state) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    char *body = g_strnfill(20 << 20, 'x');
    size_t before = heap_in_use();
    const imap_response *r;
    error *err = NULL;

    (void)state;
    imap_parser_feed(parser, "* 1 FETCH (BODY[] {20971520}\r\n", 30);
    imap_parser_feed(parser, body, 20 << 20);
    imap_parser_feed(parser, ")\r\n* 2 EXI", 10);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_HAVE);
    assert_int_equal(r->fetch.sections[0].data.len, 20 << 20);
    for (int i = 0; i < 10; i++) { /* never at the end of a response */
        assert_int_equal(imap_parser_next(parser, &r, &err), i ? IMAP_HAVE : IMAP_MORE);
        imap_parser_feed(parser, "STS\r\n* 2 EXI", 12);
    }
    assert_true(heap_in_use() < before + (1 << 20));
    assert_int_equal(imap_parser_pending(parser), 12 + 7);
    imap_parser_free(parser);
    g_free(body);
}

static void fault_18_ten_thousand_responses_at_once_are_the_same_as_byte_by_byte(void **state) {
    const struct limits limits = LIMITS_DEFAULT;
    GString *bytes = g_string_new(NULL), *whole = g_string_new(NULL), *pieces = g_string_new(NULL);

    (void)state;
    for (int i = 1; i <= 10000; i++) {
        g_string_append_printf(bytes,
                               "* %d FETCH (UID %d FLAGS (\\Seen) BODY[HEADER.FIELDS (FROM)] {%d}\r\nFrom: %d\r\n)\r\n",
                               i, i * 2, 8 + (i > 9) + (i > 99) + (i > 999) + (i > 9999) + 1, i);
    }
    g_string_append(bytes, "x1 OK done\r\n");
    dump_stream(whole, bytes->str, bytes->len, 0, &limits);
    dump_stream(pieces, bytes->str, bytes->len, 1, &limits);
    assert_true(g_str_has_suffix(whole->str, "tagged OK tag=\"x1\" text=\"done\"\n"));
    assert_non_null(strstr(whole->str, "FETCH seq=10000 uid=20000 flags=(\\Seen) section"));
    assert_string_equal(whole->str, pieces->str);
    g_string_free(bytes, TRUE);
    g_string_free(whole, TRUE);
    g_string_free(pieces, TRUE);
}

static void fault_19_ranges_are_never_expanded(void **state) {
    (void)state;
    EXPECT("* VANISHED 1:4294967295\r\n* ESEARCH UID ALL 1:4294967295\r\n",
           "VANISHED uids=1:4294967295\nESEARCH uid found=1:4294967295\n");
    EXPECT("* OK [COPYUID 1 1:4294967295 1:4294967295]\r\n",
           "condition OK [COPYUID arg=\"1 1:4294967295 1:4294967295\" validity=1 source=1:4294967295 "
           "target=1:4294967295] text=\"\"\n");
    EXPECT("* VANISHED 1:*\r\n* VANISHED 0\r\n* VANISHED 1,,2\r\n* VANISHED 4294967296\r\n* VANISHED\r\n* ESEARCH UID "
           "ALL *\r\n",
           "VANISHED invalid uids=\nVANISHED invalid uids=\nVANISHED invalid uids=\nVANISHED invalid uids=\n"
           "VANISHED invalid uids=\nESEARCH uid invalid found=\n");
}

static void fault_19_a_set_with_too_many_ranges_is_flagged(void **state) {
    GString *line = g_string_new("* VANISHED 1");
    imap_parser *parser;

    (void)state;
    for (int i = 1; i < LIMIT_IMAP_SET_RANGES; i++) {
        g_string_append_printf(line, ",%d", 2 * i + 1);
    }
    GString *more = g_string_new(line->str);
    const imap_response *r = parse_one(&parser, g_string_append(line, "\r\n")->str);
    assert_true(r->vanished.valid);
    assert_int_equal(r->vanished.uids.count, LIMIT_IMAP_SET_RANGES);
    imap_parser_free(parser);
    r = parse_one(&parser, g_string_append(more, ",900000\r\n")->str);
    assert_false(r->vanished.valid);
    assert_int_equal(r->vanished.uids.count, 0);
    imap_parser_free(parser);
    g_string_free(line, TRUE);
    g_string_free(more, TRUE);
}

static void fault_20_impossible_numbers_are_absent(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (UID 9.3736e+06 RFC822.SIZE -1 MODSEQ (0) X-GM-MSGID 18446744073709551616)\r\n", "FETCH seq=1\n");
    EXPECT("* 1 FETCH (UID 0)\r\n* 1 FETCH (UID 4294967296)\r\n* 1 FETCH (UID -5)\r\n* 1 FETCH (MODSEQ "
           "(9223372036854775808))\r\n",
           "FETCH seq=1\nFETCH seq=1\nFETCH seq=1\nFETCH seq=1\n");
    EXPECT("* STATUS \"INBOX\" ()\r\n* STATUS \"INBOX\"\r\n* STATUS INBOX (UIDNEXT 0 UIDVALIDITY 0 HIGHESTMODSEQ 0 "
           "MESSAGES -1)\r\n",
           "STATUS name=\"INBOX\"\nSTATUS name=\"INBOX\"\nSTATUS name=\"INBOX\"\n");
    EXPECT("* STATUS INBOX (UIDNEXT 9.3736e+06 MESSAGES 3 HIGHESTMODSEQ -1 UNSEEN NIL UIDVALIDITY "
           "18446744073709551616)\r\n",
           "STATUS name=\"INBOX\" messages=3\n");
    EXPECT("* OK [UIDNEXT 0] a\r\n* OK [UIDVALIDITY 4294967296] b\r\n* OK [HIGHESTMODSEQ -1] c\r\n* OK [UIDNEXT] d\r\n",
           "condition OK [UIDNEXT arg=\"0\" invalid] text=\"a\"\ncondition OK [UIDVALIDITY arg=\"4294967296\" invalid] "
           "text=\"b\"\n"
           "condition OK [HIGHESTMODSEQ arg=\"-1\" invalid] text=\"c\"\ncondition OK [UIDNEXT invalid] text=\"d\"\n");
    EXPECT("* SEARCH 5 0 7 4294967296 x\r\n", "SEARCH invalid found=5,7\n");
    EXPECT("* 4294967296 EXISTS\r\n* 1.5 EXISTS\r\n* 0 EXPUNGE\r\n",
           "unknown raw=\"4294967296 EXISTS\" reason: not a number\nunknown raw=\"1.5 EXISTS\" reason: not a number\n"
           "unknown raw=\"0 EXPUNGE\" reason: not a number\n");
    EXPECT("* ESEARCH (TAG \"x\") UID COUNT -1 MIN 0 MAX 1e9\r\n", "ESEARCH tag=\"x\" uid invalid found=\n");
    EXPECT("* 0 FETCH (UID 0)\r\n* 0 UIDFETCH (FLAGS ())\r\n", "FETCH\nFETCH flags=()\n");
}

static void fault_21_what_is_not_known_is_ignored(void **state) {
    (void)state;
    EXPECT("* XAPPLEPUSHSERVICE aps-version 2\r\n* 7 XNEW 1\r\n* JMAPACCESS {3}\r\na\nb\r\n* \r\n*\r\n* 1\r\n",
           "unknown raw=\"XAPPLEPUSHSERVICE aps-version 2\"\nunknown raw=\"7 XNEW 1\"\nunknown raw=\"JMAPACCESS \"\n"
           "unknown raw=\"\"\nunknown raw=\"\"\nunknown raw=\"1\"\n");
    EXPECT("* OK [XNEW (a b) 7] hi\r\n* NO [] empty\r\n* OK [XNEW]\r\nx1 OK [ALERT]\r\n",
           "condition OK [OTHER word=\"XNEW\" arg=\"(a b) 7\"] text=\"hi\"\ncondition NO [OTHER word=\"\"] "
           "text=\"empty\"\n"
           "condition OK [OTHER word=\"XNEW\"] text=\"\"\ntagged OK tag=\"x1\" [ALERT] text=\"\"\n");
}

static void fault_22_an_unasked_fetch_without_uid_names_no_message(void **state) {
    imap_parser *parser;
    const imap_response *r = parse_one(&parser, "* 5 FETCH (FLAGS (\\Seen))\r\n");

    (void)state;
    assert_int_equal(r->fetch.uid, 0);
    assert_int_equal(r->fetch.seq, 5);
    imap_parser_free(parser);
}

static void fault_23_a_fetch_without_the_body_asked_for_has_no_section(void **state) {
    imap_parser *parser;
    const imap_response *r = parse_one(&parser, "* 5 FETCH (UID 9 FLAGS ())\r\n");

    (void)state;
    assert_null(imap_fetch_section(&r->fetch, "", IMAP_SECTION_ALL));
    imap_parser_free(parser);
    r = parse_one(&parser, "* 5 FETCH (UID 9 BODY[] NIL)\r\n");
    assert_null(imap_fetch_section(&r->fetch, "", IMAP_SECTION_ALL)->data.data);
    imap_parser_free(parser);
}

static void fault_24_odd_mailbox_names_come_through_raw(void **state) {
    (void)state;
    EXPECT("* LIST () \"/\" Calendar\tBirthdays\r\n* LIST () \"/\" \"..\"\r\n* LIST () \"/\" a\x01\xff(b)%*\r\n"
           "* LIST () \"/\" Sent Items\r\n",
           "LIST attrs=0 delimiter=/ name=\"Calendar\\tBirthdays\"\nLIST attrs=0 delimiter=/ name=\"..\"\n"
           "LIST attrs=0 delimiter=/ name=\"a\\x01\\xff(b)%*\"\n"
           "unknown raw=\"LIST \" reason: words after the name\n");
}

static void fault_25_data_before_the_continuation_of_idle_is_data(void **state) {
    (void)state;
    EXPECT("* 8 EXISTS\r\n+ idling\r\n* 9 EXISTS\r\n", "EXISTS n=8\n+ text=\"idling\"\nEXISTS n=9\n");
}

static void fault_36_an_expunge_between_fetches_shifts_no_uid(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (UID 10 FLAGS ())\r\n* 1 EXPUNGE\r\n* 1 FETCH (UID 11 FLAGS ())\r\n",
           "FETCH seq=1 uid=10 flags=()\nEXPUNGE n=1\nFETCH seq=1 uid=11 flags=()\n");
}

static uint32_t target_of(const char *line, uint32_t source) {
    imap_parser *parser;
    const imap_response *r = parse_one(&parser, line);
    uint32_t target = imap_copyuid_target(&r->code, source);

    assert_int_equal(r->code.name, IMAP_CODE_COPYUID);
    assert_true(target == 0 || imap_copyuid_maps(&r->code));
    imap_parser_free(parser);
    return target;
}

static void fault_48_copyuid_maps_only_when_both_sides_fit(void **state) {
    (void)state;
    assert_int_equal(target_of("x1 OK [COPYUID 7 3:4,7 2:4] done\r\n", 7), 4);
    assert_int_equal(target_of("* OK [COPYUID 7 304,319:320 3956:3958]\r\n", 320), 3958);
    assert_int_equal(target_of("* OK [COPYUID 7 9,3 100:101]\r\n", 9), 100);
    assert_int_equal(target_of("* OK [COPYUID 7 9,3 100:101]\r\n", 3), 101);
    assert_int_equal(target_of("* OK [COPYUID 7 9,3 100:101]\r\n", 4), 0);
    assert_int_equal(target_of("* OK [COPYUID 7 1:4294967295 1:4294967295]\r\n", 4294967295), 4294967295);
    assert_int_equal(target_of("* [COPYUID 55 31 6]\r\n", 31), 6);
    assert_int_equal(target_of("[COPYUID 55 31 6]\r\n", 31), 6);
    assert_int_equal(target_of("x1 OK [COPYUID 7 3:4 9] done\r\n", 3), 0);
    assert_int_equal(target_of("x1 OK [COPYUID 7 12:10 1:3] done\r\n", 12), 0);
    assert_int_equal(target_of("x1 OK [COPYUID 7  ] done\r\n", 1), 0);
    assert_int_equal(target_of("x1 OK [COPYUID] done\r\n", 1), 0);
    assert_int_equal(target_of("x1 OK [COPYUID 0 1 1] done\r\n", 1), 0);
    assert_int_equal(target_of("x1 OK [COPYUID 7 1 *] done\r\n", 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_16_literals_out_of_bounds_end_the_connection),
        cmocka_unit_test(fault_16_an_announced_literal_takes_no_memory_before_it_comes),
        cmocka_unit_test(fault_16_many_literals_in_one_response_are_bounded_together),
        cmocka_unit_test(fault_17_lines_without_end_are_cut_off),
        cmocka_unit_test(fault_17_a_megabyte_of_parentheses_is_no_recursion),
        cmocka_unit_test(fault_17_padding_of_nuls_and_bare_line_feeds_are_tolerated),
        cmocka_unit_test(fault_17_garbage_instead_of_a_response_ends_the_connection),
        cmocka_unit_test(fault_17_bytes_of_a_message_are_never_shown),
        cmocka_unit_test(fault_17_memory_of_a_large_message_is_given_back),
        cmocka_unit_test(fault_18_ten_thousand_responses_at_once_are_the_same_as_byte_by_byte),
        cmocka_unit_test(fault_19_ranges_are_never_expanded),
        cmocka_unit_test(fault_19_a_set_with_too_many_ranges_is_flagged),
        cmocka_unit_test(fault_20_impossible_numbers_are_absent),
        cmocka_unit_test(fault_21_what_is_not_known_is_ignored),
        cmocka_unit_test(fault_22_an_unasked_fetch_without_uid_names_no_message),
        cmocka_unit_test(fault_23_a_fetch_without_the_body_asked_for_has_no_section),
        cmocka_unit_test(fault_24_odd_mailbox_names_come_through_raw),
        cmocka_unit_test(fault_25_data_before_the_continuation_of_idle_is_data),
        cmocka_unit_test(fault_36_an_expunge_between_fetches_shifts_no_uid),
        cmocka_unit_test(fault_48_copyuid_maps_only_when_both_sides_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
