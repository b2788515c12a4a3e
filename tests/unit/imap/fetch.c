/* FETCH: items, sections, structures. */
#include "tests/unit/imap/expect.h"

#include <malloc.h>

static void the_items_that_rules_need(void **state) {
    (void)state;
    EXPECT("* 12 FETCH (FLAGS (\\Seen $Junk) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 UID 77 "
           "MODSEQ (65402))\r\n",
           "FETCH seq=12 uid=77 flags=(\\Seen $Junk) date=837596665 size=4286 modseq=65402\n");
    EXPECT("* 1 FETCH (UID 1 X-GM-MSGID 1278455344230334865 X-GM-THRID 1266894439832287888 "
           "X-GM-LABELS (\\Inbox \"\\\\Sent\" Important \"Muy Importante\" {3}\r\n&-x))\r\n",
           "FETCH seq=1 uid=1 msgid=1278455344230334865 thrid=1266894439832287888 "
           "labels=(\\Inbox \\Sent Important Muy Importante &-x)\n");
    EXPECT(
        "* 3 FETCH (EMAILID (M6d99ac3275bb4e) THREADID (T64b478a75b7ea9) UID 4)\r\n* 4 FETCH (THREADID NIL UID 5)\r\n",
        "FETCH seq=3 uid=4 emailid=\"M6d99ac3275bb4e\" threadid=\"T64b478a75b7ea9\"\nFETCH seq=4 uid=5\n");
    EXPECT("* 25996 UIDFETCH (FLAGS (\\Seen))\r\n", "FETCH uid=25996 flags=(\\Seen)\n");
    EXPECT("* 1 FETCH (SAVEDATE \"01-Jan-1970 00:00:01 +0000\" UID 2)\r\n* 1 FETCH (SAVEDATE NIL UID 2)\r\n",
           "FETCH seq=1 uid=2 saved=1\nFETCH seq=1 uid=2\n");
}

static void sections_keep_nil_and_empty_apart(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (UID 1 BODY[] NIL BODY[TEXT] \"\" BODY[1.2] {0}\r\n)\r\n",
           "FETCH seq=1 uid=1 section kind=0 part=\"\" spec=\"\" section kind=4 part=\"\" spec=\"TEXT\" data=\"\" "
           "section kind=0 part=\"1.2\" spec=\"1.2\" data=\"\"\n");
}

static void sections_of_all_kinds(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (BODY[HEADER.FIELDS (FROM \"X-]Odd\" {2}\r\nTo)] {6}\r\nA: b\r\n UID 3)\r\n",
           "FETCH seq=1 uid=3 section kind=2 part=\"\" spec=\"HEADER.FIELDS (FROM \"X-]Odd\" {2}\\r\\nTo)\" "
           "data=\"A: b\\r\\n\"\n");
    EXPECT("* 1 FETCH (BODY[2.1.MIME]<10> \"x\" BODY[3.HEADER] \"h\" BODY[HEADER.FIELDS.NOT (A)] \"n\")\r\n",
           "FETCH seq=1 section kind=5 part=\"2.1\" spec=\"2.1.MIME\" origin=10 data=\"x\" section kind=1 part=\"3\" "
           "spec=\"3.HEADER\" data=\"h\" section kind=3 part=\"\" spec=\"HEADER.FIELDS.NOT (A)\" data=\"n\"\n");
    EXPECT(
        "* 1 FETCH (BINARY[1] ~{3}\r\na\0b BINARY.SIZE[2] 7 RFC822 {1}\r\nm RFC822.HEADER \"h\" RFC822.TEXT NIL)\r\n",
        "FETCH seq=1 section kind=0 binary part=\"1\" spec=\"1\" data=\"a\\x00b\" section kind=0 binary is_size "
        "part=\"2\" spec=\"2\" origin=7 section kind=0 part=\"\" spec=\"\" data=\"m\" section kind=1 part=\"\" "
        "spec=\"\" "
        "data=\"h\" section kind=4 part=\"\" spec=\"\"\n");
}

static void a_section_is_found_by_part_and_kind(void **state) {
    imap_parser *parser;
    const imap_response *r = parse_one(&parser, "* 1 FETCH (BODY[1.MIME] \"m\" BODY[1] \"b\" BODY[] NIL)\r\n");

    (void)state;
    assert_true(imap_str_equal(imap_fetch_section(&r->fetch, "1", IMAP_SECTION_ALL)->data, "b"));
    assert_true(imap_str_equal(imap_fetch_section(&r->fetch, "1", IMAP_SECTION_MIME)->data, "m"));
    assert_null(imap_fetch_section(&r->fetch, "", IMAP_SECTION_ALL)->data.data);
    assert_null(imap_fetch_section(&r->fetch, "2", IMAP_SECTION_ALL));
    imap_parser_free(parser);
}

static void literals_may_hold_anything(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (BODY[] {26}\r\n* 2 EXISTS\r\nx OK {9}\r\n)\"\0( UID 9)\r\n* 3 EXISTS\r\n",
           "FETCH seq=1 uid=9 section kind=0 part=\"\" spec=\"\" "
           "data=\"* 2 EXISTS\\r\\nx OK {9}\\r\\n)\"\\x00(\"\nEXISTS n=3\n");
}

static void an_item_without_a_value_is_absent(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (UID 5 MODSEQ FLAGS () RFC822.SIZE BODY[HEADER])\r\n", "FETCH seq=1 uid=5 flags=()\n");
    EXPECT("* 1 FETCH (BODYSTRUCTURE UID 5 INTERNALDATE)\r\n", "FETCH seq=1 uid=5\n");
    EXPECT("* 1 FETCH ()\r\n* 1 FETCH (UID)\r\n", "FETCH seq=1\nFETCH seq=1\n");
}

static void items_that_nobody_knows_are_stepped_over(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (X-NEW (a (\"b)\" {2}\r\n)() ) PREVIEW \"hey\" ANNOTATION (/c (value NIL)) UID 6)\r\n",
           "FETCH seq=1 uid=6\n");
}

static void dates_of_all_zones_and_impossible_ones(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (INTERNALDATE \" 1-Jan-2000 00:00:00 +0100\")\r\n", "FETCH seq=1 date=946681200\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"1-Jan-2000 00:00:00 +0000\")\r\n", "FETCH seq=1 date=946684800\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"29-feb-2024 23:59:60 -0000\")\r\n", "FETCH seq=1 date=1709251200\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"01-Jan-0001 00:00:00 +0000\")\r\n", "FETCH seq=1 date=-62135596800\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"00-Jan-0000 00:00:00 +0000\")\r\n", "FETCH seq=1\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"17-Foo-1996 02:44:25 -0700\")\r\n", "FETCH seq=1\n");
    EXPECT("* 1 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25\")\r\n", "FETCH seq=1\n");
    EXPECT("* 1 FETCH (INTERNALDATE NIL INTERNALDATE \"\")\r\n", "FETCH seq=1\n");
}

static void a_broken_fetch_costs_itself_only(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (UID 5 FLAGS (\\Seen\r\n* 2 FETCH (UID 6)\r\n",
           "unknown raw=\"1 FETCH \" reason: list not closed\nFETCH seq=2 uid=6\n");
    EXPECT("* 1 FETCH (BODY[] \"x\r\n* 2 FETCH (UID 6)\r\n",
           "unknown raw=\"1 FETCH \" reason: quoted string not closed\nFETCH seq=2 uid=6\n");
    EXPECT("* 1 FETCH UID 7\r\n", "unknown raw=\"1 FETCH UID 7\" reason: a list of items was expected\n");
}

static void only_the_first_of_repeated_lists_counts(void **state) {
    GString *line = g_string_new("* 1 FETCH (UID 5");
    imap_parser *parser;

    (void)state;
    EXPECT("* 1 FETCH (FLAGS (a) FLAGS (b) X-GM-LABELS (c) X-GM-LABELS (d) UID 2)\r\n",
           "FETCH seq=1 uid=2 flags=(a) labels=(c)\n");
    for (int i = 0; i < 200; i++) {
        g_string_append(line, " BODYSTRUCTURE (");
        for (int k = 0; k < LIMIT_MIME_PARTS - 2; k++) {
            g_string_append(line, "()");
        }
        g_string_append(line, ")");
    }
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    const imap_response *r = parse_one(&parser, g_string_append(line, ")\r\n")->str);
    assert_true(r->fetch.structure.usable);
    assert_true(mallinfo2().uordblks + mallinfo2().hblkhd < before + 4 * line->len);
    imap_parser_free(parser);
    g_string_free(line, TRUE);
}

static void a_structure_becomes_a_list_of_parts(void **state) {
    (void)state;
    EXPECT(
        "* 1 FETCH (UID 1 BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)"
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \"<id@x>\" \"Compiler diff\" \"BASE64\" "
        "4554 "
        "73 NIL (\"attachment\" (\"filename\" \"cc.diff\")) NIL) \"MIXED\" (\"boundary\" \"b1\") NIL NIL))\r\n",
        "FETCH seq=1 uid=1\n"
        "    part 0 of -1 depth 0 multipart section=\"\" type=\"multipart\" subtype=\"MIXED\" param name=\"boundary\" "
        "value=\"b1\"\n"
        "    part 1 of 0 depth 1 section=\"1\" type=\"TEXT\" subtype=\"PLAIN\" param name=\"CHARSET\" "
        "value=\"US-ASCII\" encoding=\"7BIT\" size=1152\n"
        "    part 2 of 0 depth 1 section=\"2\" type=\"TEXT\" subtype=\"PLAIN\" param name=\"CHARSET\" "
        "value=\"US-ASCII\" param name=\"NAME\" value=\"cc.diff\" id=\"<id@x>\" description=\"Compiler diff\" "
        "encoding=\"BASE64\" size=4554 disposition=\"attachment\" dparam name=\"filename\" value=\"cc.diff\"\n");
}

static void a_message_inside_numbers_its_parts_within_its_own(void **state) {
    (void)state;
    EXPECT(
        "* 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)"
        "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 400 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
        "((\"text\" \"html\" NIL NIL NIL \"7bit\" 2 1)(\"image\" \"png\" NIL NIL NIL \"base64\" 3) \"related\") 9 "
        "NIL (\"inline\" NIL) NIL NIL)"
        "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 40 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
        "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 5 1) 2) \"mixed\"))\r\n",
        "FETCH seq=1\n"
        "    part 0 of -1 depth 0 multipart section=\"\" type=\"multipart\" subtype=\"mixed\"\n"
        "    part 1 of 0 depth 1 section=\"1\" type=\"text\" subtype=\"plain\" encoding=\"7bit\" size=1\n"
        "    part 2 of 0 depth 1 message section=\"2\" type=\"message\" subtype=\"rfc822\" encoding=\"7bit\" size=400 "
        "disposition=\"inline\"\n"
        "    part 3 of 2 depth 2 multipart section=\"2\" type=\"multipart\" subtype=\"related\"\n"
        "    part 4 of 3 depth 3 section=\"2.1\" type=\"text\" subtype=\"html\" encoding=\"7bit\" size=2\n"
        "    part 5 of 3 depth 3 section=\"2.2\" type=\"image\" subtype=\"png\" encoding=\"base64\" size=3\n"
        "    part 6 of 0 depth 1 message section=\"3\" type=\"message\" subtype=\"rfc822\" encoding=\"7bit\" size=40\n"
        "    part 7 of 6 depth 2 section=\"3.1\" type=\"text\" subtype=\"plain\" encoding=\"7bit\" size=5\n");
}

static void odd_structures_of_real_servers_are_understood(void **state) {
    (void)state;
    /* a message/rfc822 without envelope and body */
    EXPECT("* 1 FETCH (BODYSTRUCTURE (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 40 NIL (\"attachment\" (\"a\" "
           "\"b\")) NIL))"
           "\r\n",
           "FETCH seq=1\n    part 0 of -1 depth 0 section=\"1\" type=\"message\" subtype=\"rfc822\" encoding=\"7bit\" "
           "size=40 disposition=\"attachment\" dparam name=\"a\" value=\"b\"\n");
    /* multiparts without parts, in three spellings */
    EXPECT("* 1 FETCH (BODYSTRUCTURE (\"MIXED\" (\"boundary\" \"x\") NIL NIL))\r\n",
           "FETCH seq=1\n    part 0 of -1 depth 0 multipart section=\"\" type=\"multipart\" subtype=\"MIXED\" "
           "param name=\"boundary\" value=\"x\"\n");
    EXPECT("* 1 FETCH (BODYSTRUCTURE ((NIL \"alternative\" (\"boundary\" \"x\") NIL NIL)"
           "(\"multipart\" \"related\" NIL NIL NIL NIL 0) \"mixed\"))\r\n",
           "FETCH seq=1\n    part 0 of -1 depth 0 multipart section=\"\" type=\"multipart\" subtype=\"mixed\"\n"
           "    part 1 of 0 depth 1 multipart section=\"1\" type=\"multipart\" subtype=\"alternative\" "
           "param name=\"boundary\" value=\"x\"\n"
           "    part 2 of 0 depth 1 multipart section=\"2\" type=\"multipart\" subtype=\"related\"\n");
    /* no size, a bare disposition, NIL for everything */
    EXPECT("* 1 FETCH (BODYSTRUCTURE (\"application\" \"pdf\" NIL NIL NIL NIL NIL NIL \"attachment\" NIL))\r\n",
           "FETCH seq=1\n    part 0 of -1 depth 0 section=\"1\" type=\"application\" subtype=\"pdf\" "
           "disposition=\"attachment\"\n");
    EXPECT("* 1 FETCH (BODYSTRUCTURE (NIL NIL NIL NIL NIL NIL -1))\r\n",
           "FETCH seq=1\n    part 0 of -1 depth 0 section=\"1\"\n");
}

static void words_where_a_structure_has_fields_count_as_nil(void **state) {
    (void)state;
    EXPECT("* 1 FETCH (BODYSTRUCTURE ((\"text\" \"plain\" garbage (a b) here \"7bit\" 9.3e+06 12) (X) X) UID 8)\r\n",
           "FETCH seq=1 uid=8\n    part 0 of -1 depth 0 multipart section=\"\" type=\"multipart\"\n"
           "    part 1 of 0 depth 1 section=\"1\" type=\"text\" subtype=\"plain\" encoding=\"7bit\"\n"
           "    part 2 of 0 depth 1 section=\"2\"\n");
    EXPECT("* 1 FETCH (BODYSTRUCTURE () UID 8)\r\n", "FETCH seq=1 uid=8\n    part 0 of -1 depth 0 section=\"1\"\n");
}

static GString *nested(unsigned depth) {
    GString *out = g_string_new("* 1 FETCH (BODYSTRUCTURE ");

    for (unsigned i = 0; i < depth; i++) {
        g_string_append_c(out, '(');
    }
    g_string_append(out, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)");
    for (unsigned i = 0; i < depth; i++) {
        g_string_append(out, " \"mixed\")");
    }
    return out;
}

static void a_structure_is_bounded_in_depth_and_parts(void **state) {
    imap_parser *parser;
    GString *text = nested(LIMIT_MIME_DEPTH);
    const imap_response *r = parse_one(&parser, g_string_append(text, " UID 8)\r\n")->str);

    (void)state;
    assert_true(r->fetch.structure.usable);
    imap_parser_free(parser);
    g_string_free(text, TRUE);

    text = nested(LIMIT_MIME_DEPTH + 1);
    r = parse_one(&parser, g_string_append(text, " UID 8)\r\n")->str);
    assert_false(r->fetch.structure.usable);
    assert_string_equal(r->fetch.structure.reason, "parts are nested too deep");
    assert_int_equal(r->fetch.uid, 8);
    imap_parser_free(parser);

    g_string_assign(text, "* 1 FETCH (BODYSTRUCTURE (");
    for (int i = 0; i < LIMIT_MIME_PARTS; i++) {
        g_string_append(text, "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)");
    }
    r = parse_one(&parser, g_string_append(text, " \"mixed\") UID 8)\r\n")->str);
    assert_false(r->fetch.structure.usable);
    assert_string_equal(r->fetch.structure.reason, "too many parts");
    assert_int_equal(r->fetch.uid, 8);
    imap_parser_free(parser);
    g_string_free(text, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_items_that_rules_need),
        cmocka_unit_test(sections_keep_nil_and_empty_apart),
        cmocka_unit_test(sections_of_all_kinds),
        cmocka_unit_test(a_section_is_found_by_part_and_kind),
        cmocka_unit_test(literals_may_hold_anything),
        cmocka_unit_test(an_item_without_a_value_is_absent),
        cmocka_unit_test(items_that_nobody_knows_are_stepped_over),
        cmocka_unit_test(dates_of_all_zones_and_impossible_ones),
        cmocka_unit_test(a_broken_fetch_costs_itself_only),
        cmocka_unit_test(only_the_first_of_repeated_lists_counts),
        cmocka_unit_test(a_structure_becomes_a_list_of_parts),
        cmocka_unit_test(a_message_inside_numbers_its_parts_within_its_own),
        cmocka_unit_test(odd_structures_of_real_servers_are_understood),
        cmocka_unit_test(words_where_a_structure_has_fields_count_as_nil),
        cmocka_unit_test(a_structure_is_bounded_in_depth_and_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
