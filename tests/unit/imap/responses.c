/* What servers say, but for FETCH: each sample fed whole and in pieces. */
#include "tests/unit/imap/expect.h"

static void a_tagged_line_has_condition_code_and_text(void **state) {
    (void)state;
    EXPECT("x7 OK [READ-WRITE] SELECT completed\r\n", "tagged OK tag=\"x7\" [READ-WRITE] text=\"SELECT completed\"\n");
    EXPECT("x8 NO [TRYCREATE] no such mailbox\r\n", "tagged NO tag=\"x8\" [TRYCREATE] text=\"no such mailbox\"\n");
    EXPECT("x9 bad What?\r\n", "tagged BAD tag=\"x9\" text=\"What?\"\n");
    EXPECT("x9 OK\r\n", "tagged OK tag=\"x9\" text=\"\"\n");
    EXPECT("x9 OK \r\n", "tagged OK tag=\"x9\" text=\"\"\n");
    EXPECT("x9 OK[ALERT]hot\r\n", "tagged OK tag=\"x9\" [ALERT] text=\"hot\"\n");
}

static void greetings_and_farewells(void **state) {
    (void)state;
    EXPECT(
        "* OK [CAPABILITY IMAP4rev1 idle AUTH=PLAIN] hi\r\n",
        "condition OK [CAPABILITY arg=\"IMAP4rev1 idle AUTH=PLAIN\" caps=(IMAP4rev1 IDLE AUTH=PLAIN)] text=\"hi\"\n");
    EXPECT("* PREAUTH welcome\r\n", "condition PREAUTH text=\"welcome\"\n");
    EXPECT("* BYE\r\n* bye Session expired\r\n", "condition BYE text=\"\"\ncondition BYE text=\"Session expired\"\n");
}

static void a_continuation_may_be_bare(void **state) {
    (void)state;
    EXPECT("+\r\n+ \r\n+ idling\r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\n",
           "+ text=\"\"\n+ text=\"\"\n+ text=\"idling\"\n+ text=\"eyJzdGF0dXMiOiI0MDAifQ==\"\n");
}

static void text_that_ends_like_a_literal_is_text(void **state) {
    (void)state;
    EXPECT("* OK quota {5}\r\n+ go on {3}\r\nx1 NO {7}\r\n* OK\r\n",
           "condition OK text=\"quota {5}\"\n+ text=\"go on {3}\"\ntagged NO tag=\"x1\" text=\"{7}\"\ncondition OK "
           "text=\"\"\n");
}

static void codes_with_numbers(void **state) {
    (void)state;
    EXPECT("* OK [UIDNEXT 4392] next\r\n* OK [UIDVALIDITY 1] v\r\n* OK [HIGHESTMODSEQ 715194045007] m\r\n* OK [UNSEEN "
           "3]\r\n",
           "condition OK [UIDNEXT arg=\"4392\" n=4392] text=\"next\"\n"
           "condition OK [UIDVALIDITY arg=\"1\" n=1] text=\"v\"\n"
           "condition OK [HIGHESTMODSEQ arg=\"715194045007\" n=715194045007] text=\"m\"\n"
           "condition OK [UNSEEN arg=\"3\" n=3] text=\"\"\n");
    EXPECT("* OK [PERMANENTFLAGS (\\Deleted $Junk \\*)] flags\r\n",
           "condition OK [PERMANENTFLAGS arg=\"(\\Deleted $Junk \\*)\" flags=(\\Deleted $Junk) any] text=\"flags\"\n");
    EXPECT("x1 OK [MODIFIED 7,9:12] done\r\n",
           "tagged OK tag=\"x1\" [MODIFIED arg=\"7,9:12\" set=7,9:12] text=\"done\"\n");
    EXPECT("x1 OK [APPENDUID 38505 3955] done\r\n",
           "tagged OK tag=\"x1\" [APPENDUID arg=\"38505 3955\" validity=38505 source= target=3955] text=\"done\"\n");
    EXPECT("x1 OK [MAILBOXID (F2212ea87-6097-4256)] done\r\n",
           "tagged OK tag=\"x1\" [MAILBOXID arg=\"F2212ea87-6097-4256\"] text=\"done\"\n");
}

static void a_code_may_hold_brackets_in_quotes(void **state) {
    (void)state;
    EXPECT("x1 NO [BADCHARSET (\"a]b\" UTF-8)] no\r\n",
           "tagged NO tag=\"x1\" [BADCHARSET arg=\"(\"a]b\" UTF-8)\"] text=\"no\"\n");
    EXPECT("x1 NO [ALERT say \"hi] there\r\n", "tagged NO tag=\"x1\" [ALERT arg=\"say \"hi\"] text=\"there\"\n");
    EXPECT("x1 NO [never closed\r\n", "tagged NO tag=\"x1\" text=\"[never closed\"\n");
}

static void every_code_of_the_table_is_found_again(void **state) {
    (void)state;
    for (int i = IMAP_CODE_ALERT; i < IMAP_CODES; i++) {
        char *line = g_strdup_printf("* NO [%s] text\r\n", imap_code_text((enum imap_code_name)i));
        imap_parser *parser;
        const imap_response *r = parse_one(&parser, line);
        assert_int_equal(r->code.name, i);
        imap_parser_free(parser);
        g_free(line);
    }
}

static void mailbox_data(void **state) {
    (void)state;
    EXPECT("* LIST (\\HasNoChildren \\Junk) \"/\" \"[Gmail]/Spam\"\r\n",
           "LIST attrs=4010 delimiter=/ name=\"[Gmail]/Spam\"\n");
    EXPECT("* LIST () NIL {5}\r\na \"b \r\n* LSUB (\\Subscribed) \"\\\\\" INBOX\r\n",
           "LIST attrs=0 delimiter=0 name=\"a \"b \"\nLSUB attrs=80 delimiter=\\ name=\"INBOX\"\n");
    EXPECT("* LIST () \"/\" new (\"OLDNAME\" (\"old \\\"one\\\"\") \"CHILDINFO\" (\"SUBSCRIBED\"))\r\n",
           "LIST attrs=0 delimiter=/ name=\"new\" old=\"old \"one\"\"\n");
    EXPECT("* LIST (\\NonExistent) \".\" \"a.b\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n",
           "LIST attrs=3 delimiter=. name=\"a.b\"\n");
    EXPECT("* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 7 UNSEEN 0 HIGHESTMODSEQ 7011 SIZE 99)\r\n",
           "STATUS name=\"blurdybloop\" messages=231 uidnext=44292 uidvalidity=7 unseen=0 modseq=7011 size=99\n");
    EXPECT("* STATUS {3}\r\na b (MAILBOXID (M1) X-NEW (1 (2)) RECENT 1)\r\n",
           "STATUS name=\"a b\" recent=1 id=\"M1\"\n");
    EXPECT("* FLAGS (\\Answered \\Seen $Forwarded)\r\n* 172 EXISTS\r\n* 0 RECENT\r\n* 44 EXPUNGE\r\n",
           "FLAGS flags=(\\Answered \\Seen $Forwarded)\nEXISTS n=172\nRECENT n=0\nEXPUNGE n=44\n");
    EXPECT("* NAMESPACE ((\"\" \"/\")(\"#mh/\" \"/\" \"X-PARAM\" (\"FLAG1\"))) NIL ((\"Public\" NIL))\r\n",
           "NAMESPACE 0:/ prefix=\"\" 0:/ prefix=\"#mh/\" 2:0 prefix=\"Public\"\n");
    EXPECT("* ID (\"name\" \"Dovecot\" \"os\" NIL)\r\n* ID NIL\r\n", "ID pairs=(name Dovecot os NIL)\nID pairs=()\n");
    EXPECT("* ENABLED CONDSTORE QRESYNC\r\n* ENABLED\r\n", "ENABLED caps=(CONDSTORE QRESYNC)\nENABLED caps=()\n");
    EXPECT("* QUOTA \"\" (STORAGE 10 512)\r\n", "QUOTA raw=\"QUOTA \"\" (STORAGE 10 512)\"\n");
}

static void search_results_of_both_kinds(void **state) {
    (void)state;
    EXPECT("* SEARCH\r\n* SEARCH 2 3 6 \r\n* SEARCH 9 5 4 (MODSEQ 917162500)\r\n",
           "SEARCH found=\nSEARCH found=2:3,6\nSEARCH found=9,5,4 modseq=917162500\n");
    EXPECT("* ESEARCH (TAG \"A282\") UID MIN 2 MAX 99 COUNT 3 ALL 2,10:11\r\n",
           "ESEARCH tag=\"A282\" uid found=2,10:11 min=2 max=99 count=3\n");
    EXPECT("* ESEARCH (TAG \"h\") UID PARTIAL (1:100 200,250:252) MODSEQ 12 NEWTHING (a b)\r\n",
           "ESEARCH tag=\"h\" uid found=200,250:252 modseq=12\n");
    EXPECT("* ESEARCH (TAG \"h\")\r\n* ESEARCH UID COUNT 0\r\n* ESEARCH (TAG x) UID PARTIAL (1:9 NIL)\r\n",
           "ESEARCH tag=\"h\" found=\nESEARCH uid found= count=0\nESEARCH tag=\"x\" uid found=\n");
}

static void vanished_messages(void **state) {
    (void)state;
    EXPECT("* VANISHED (EARLIER) 41,43:116,118\r\n* VANISHED 405,407\r\n* VANISHED 9:7\r\n",
           "VANISHED earlier uids=41,43:116,118\nVANISHED uids=405,407\nVANISHED uids=7:9\n");
}

static void blanks_too_many_do_no_harm(void **state) {
    (void)state;
    EXPECT("*  OK  hi\r\n*  CAPABILITY  IMAP4rev1  IDLE \r\n* STATUS x  ( MESSAGES  1 ) \r\n* FLAGS ( \\Seen  a )\r\n",
           "condition OK text=\"hi\"\nCAPABILITY caps=(IMAP4rev1 IDLE)\nSTATUS name=\"x\" messages=1\nFLAGS "
           "flags=(\\Seen a)\n");
}

static void a_response_dies_with_the_next_call_and_an_idle_parser_has_nothing_pending(void **state) {
    const struct limits limits = LIMITS_DEFAULT;
    imap_parser *parser = imap_parser_new(&limits);
    const imap_response *r;
    error *err = NULL;

    (void)state;
    imap_parser_feed(parser, "* 1 EXISTS\r\n* 2 EXI", 19);
    assert_int_equal(imap_parser_pending(parser), 19);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_HAVE);
    assert_int_equal(r->number, 1);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_MORE);
    assert_int_equal(imap_parser_pending(parser), 7);
    imap_parser_feed(parser, "STS\r\n", 5);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_HAVE);
    assert_int_equal(r->number, 2);
    assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_MORE);
    assert_int_equal(imap_parser_pending(parser), 0);
    assert_int_equal(imap_parser_total(parser), 24);
    imap_parser_free(parser);
}

/* What stands behind a response is no IMAP, whatever it looks like: NULs, line ends, half a literal. */
static void the_rest_can_be_taken_away(void **state) {
    static const char all[] = "x1 OK go\r\n\0\r\n* 1 FETCH (BODY[] {9}\r\nabc";
    const struct limits limits = LIMITS_DEFAULT;

    (void)state;
    for (size_t rest = 0; rest <= sizeof all - 11; rest++) {
        imap_parser *parser = imap_parser_new(&limits);
        const imap_response *r;
        error *err = NULL;
        size_t len;

        imap_parser_feed(parser, all, 10 + rest);
        assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_HAVE);
        const char *taken = imap_parser_take(parser, &len);
        assert_int_equal(len, rest);
        assert_memory_equal(taken, all + 10, rest);
        assert_true(imap_str_is(r->tag, "x1") && imap_str_is(r->text, "go")); /* still there */
        assert_int_equal(imap_parser_pending(parser), 0);
        assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_MORE);
        imap_parser_feed(parser, "* 2 EXISTS\r\n", 12);
        assert_int_equal(imap_parser_next(parser, &r, &err), IMAP_HAVE);
        assert_int_equal(r->number, 2);
        imap_parser_free(parser);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tagged_line_has_condition_code_and_text),
        cmocka_unit_test(greetings_and_farewells),
        cmocka_unit_test(a_continuation_may_be_bare),
        cmocka_unit_test(text_that_ends_like_a_literal_is_text),
        cmocka_unit_test(codes_with_numbers),
        cmocka_unit_test(a_code_may_hold_brackets_in_quotes),
        cmocka_unit_test(every_code_of_the_table_is_found_again),
        cmocka_unit_test(mailbox_data),
        cmocka_unit_test(search_results_of_both_kinds),
        cmocka_unit_test(vanished_messages),
        cmocka_unit_test(blanks_too_many_do_no_harm),
        cmocka_unit_test(the_rest_can_be_taken_away),
        cmocka_unit_test(a_response_dies_with_the_next_call_and_an_idle_parser_has_nothing_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
