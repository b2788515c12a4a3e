#include "tests/unit/mail/mail_test.h"

static void assert_header(const char *message, const char *name, const char *expected) {
    mail_view *view = view_of(message);
    mail_strings values;
    mail_need need;

    assert_int_equal(mail_view_header(view, name, &values, &need), MAIL_OK);
    char *joined = g_strjoinv("|", (char **)values.items);
    assert_string_equal(joined, expected);
    g_free(joined);
    mail_view_free(view);
}

static void a_header_is_found_in_any_case_and_every_occurrence_is_given(void **state) {
    (void)state;
    assert_header("x-a: 1\nX-B: 2\nX-A : 3\n\n", "X-a", "1|3");
}

static void folded_lines_are_joined(void **state) {
    (void)state;
    assert_header("Subject: one\r\n two\r\n\tthree\r\n\r\n", "Subject", "one two three");
}

static void encoded_words_are_decoded_and_joined(void **state) {
    (void)state;
    assert_header("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?UTF-8?b?4oKs?= x\n\n", "Subject", "Grüße€ x");
    assert_header("Subject: a =?iso-8859-1?q?b=E9?= c\n\n", "Subject", "a bé c");
}

static void a_character_split_between_two_encoded_words_is_whole_again(void **state) {
    (void)state;
    assert_header("Subject: =?utf-8?Q?=E2=82?=\r\n =?utf-8?Q?=AC?=\n\n", "Subject", "€");
}

static void encoded_words_are_read_leniently(void **state) {
    (void)state;
    assert_header("Subject: \"=?utf-8?Q?a_b c?=\"\n\n", "Subject", "\"a b c\"");     /* quoted, a space inside */
    assert_header("Subject: x=?utf-8?B?w6k?=y\n\n", "Subject", "xéy");              /* glued, no padding */
    assert_header("Subject: =?utf-8*de?Q?=C3=BC?=\n\n", "Subject", "ü");            /* with a language */
    assert_header("Subject: =?gb2312?B?xOO6ww==?=\n\n", "Subject", "你好");
    assert_header("Subject: =?utf-8?x?a?= =? ?=\n\n", "Subject", "=?utf-8?x?a?= =? ?="); /* none */
    assert_header("Subject: =?no-such?Q?caf=E9?=\n\n", "Subject", "café");
}

static void undeclared_bytes_are_utf8_or_else_windows_1252(void **state) {
    (void)state;
    assert_header("Subject: caf\xc3\xa9\n\n", "Subject", "café");
    assert_header("Subject: caf\xe9 \x80\n\n", "Subject", "café €");
}

static void an_encoded_line_break_cannot_start_a_new_line(void **state) {
    (void)state;
    assert_header("Subject: =?utf-8?Q?a=0D=0ABcc:_x?=\n\n", "Subject", "a  Bcc: x");
    assert_header("Subject: =?utf-8?Q?a=00b?=\n\n", "Subject", "a\xef\xbf\xbd" "b");
}

static void raw_values_are_unfolded_but_not_decoded(void **state) {
    mail_view *view = view_of("Subject: =?utf-8?q?a?=\r\n b\xe9\r\n\r\n");
    mail_strings values;
    mail_need need;

    (void)state;
    assert_int_equal(mail_view_header_raw(view, "subject", &values, &need), MAIL_OK);
    assert_string_equal(values.items[0], "=?utf-8?q?a?= b\xe9");
    mail_view_free(view);
}

static void all_fields_are_listed_in_order(void **state) {
    mail_view *view = view_of("From x@y Mon Jan  1 2001\nA: 1\nthis is no field\nB: 2\n\nC: 3\n");
    const mail_header_field *fields;
    mail_need need;
    size_t count;

    (void)state;
    assert_int_equal(mail_view_headers(view, &fields, &count, &need), MAIL_OK);
    assert_int_equal(count, 2);
    assert_string_equal(fields[0].name, "A");
    assert_string_equal(fields[1].value, "2");
    assert_int_equal(mail_view_problems(view), MAIL_UNPARSABLE);
    assert_int_equal(mail_view_has_header(view, "C", &need), MAIL_ABSENT);
    mail_view_free(view);
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static void assert_addresses(const char *value, const char *expected) {
    char *message = g_strconcat("To: ", value, "\n\n", NULL);
    mail_view *view = view_of(message);
    const mail_address *list;
    size_t n = addresses_of(view, MAIL_TO, &list);
    GString *got = g_string_new(NULL);

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(got, "%s%s <%s>", i ? " | " : "", list[i].name, list[i].address);
    }
    assert_string_equal(got->str, expected);
    g_string_free(got, TRUE);
    mail_view_free(view);
    g_free(message);
}

static void addresses_are_read_as_rfc_5322_has_them(void **state) {
    (void)state;
    assert_addresses("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete <pete@silly.test>");
    assert_addresses("\"Joe Q. Public\" <john.q.public@example.com>, Mary <m@x.test>",
                     "Joe Q. Public <john.q.public@example.com> | Mary <m@x.test>");
    assert_addresses("\"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
                     "Giant; \"Big\" Box <sysservices@example.net>");
    assert_addresses("<@relay1,@relay2:user@Host.Example>", " <user@host.example>");
    assert_addresses("john @ example . com", " <john@example.com>");
    assert_addresses("\"odd local\"@example.com", " <\"odd local\"@example.com>");
    assert_addresses("\"a@b, \\\"c\"@example.com", " <\"a@b, \\\"c\"@example.com>");
    assert_addresses("user@host.example (The Name)", "The Name <user@host.example>");
}

static void groups_are_flattened_and_an_empty_one_names_nobody(void **state) {
    (void)state;
    assert_addresses("A Group:Ed <e@x>,joe@where.test;, b@c", "Ed <e@x> |  <joe@where.test> |  <b@c>");
    assert_addresses("Undisclosed recipients:;", "");
    assert_addresses("", "");
}

static void broken_addresses_are_read_for_what_was_meant(void **state) {
    (void)state;
    assert_addresses("Doe, John <j@x>, Roe, Jane <r@x>", "Doe, John <j@x> | Roe, Jane <r@x>");
    assert_addresses("<a@b", " <a@b>");
    assert_addresses("a@b>", " <a@b>");
    assert_addresses("<<a@b>>, c@d", " <a@b> |  <c@d>");
    assert_addresses("\"unclosed <a@b>, c@d", "\"unclosed <a@b> |  <c@d>");
    assert_addresses("a@b; c@d", " <a@b> |  <c@d>");
    assert_addresses("<mailto:a@b>", " <a@b>");
    assert_addresses("a@b c@d", " <a@b> |  <c@d>");
    assert_addresses("<Undisclosed-Recipient:@x;>", "");
    assert_addresses("x@y <a@b>", "x@y <a@b>");
    assert_addresses("John Doe", "John Doe <>");
    assert_addresses("root", " <root>");
    assert_addresses("user@[IPv6:2001:db8::1]", " <user@[ipv6:2001:db8::1]>");
}

static void names_are_decoded_also_inside_quotes(void **state) {
    (void)state;
    assert_addresses("=?utf-8?q?J=C3=B6rg?= <j@x>", "Jörg <j@x>");
    assert_addresses("\"=?utf-8?q?J=C3=B6rg,_K?=\" <j@x>", "Jörg, K <j@x>");
    assert_addresses("J\xf6rg <j@x>", "Jörg <j@x>");
}

static void an_encoded_name_cannot_become_an_address(void **state) {
    (void)state;
    assert_addresses("=?utf-8?q?boss=40bank.example_=3Cboss=40bank.example=3E?= <evil@example.net>",
                     "boss@bank.example <boss@bank.example> <evil@example.net>");
    assert_addresses("=?utf-8?q?boss=40bank.example?=", "boss@bank.example <>");
}

static void a_domain_is_lower_case_with_a_labels(void **state) {
    mail_view *view = view_of("From: A <User@M\xc3\xbcller.DE.>\n\n");
    const mail_address *list;

    (void)state;
    assert_int_equal(addresses_of(view, MAIL_FROM, &list), 1);
    assert_string_equal(list[0].local, "User");
    assert_string_equal(list[0].domain, "xn--mller-kva.de");
    assert_string_equal(list[0].address, "User@xn--mller-kva.de");
    char *normal = mail_domain_normalize("Müller.de");
    assert_string_equal(normal, "xn--mller-kva.de");
    g_free(normal);
    normal = mail_domain_normalize("a\xf0zz"); /* not UTF-8: left as it is, and not read past its end */
    assert_string_equal(normal, "a\xf0zz");
    g_free(normal);
    mail_view_free(view);
}

static void recipients_are_collected_from_all_fields_once_each(void **state) {
    mail_view *view = view_of("To: a@x, b@x\nCc: A@X\nDelivered-To: c@x\nOriginal-Recipient: rfc822;d@x\n"
                              "X-Original-To: b@x\n\n");
    const mail_address *list;
    GString *got = g_string_new(NULL);

    (void)state;
    size_t n = addresses_of(view, MAIL_RECIPIENT, &list);
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(got, "%s ", list[i].address);
    }
    assert_string_equal(got->str, "a@x b@x c@x d@x ");
    g_string_free(got, TRUE);
    mail_view_free(view);
}

/* --- single values ------------------------------------------------------------------------------------------------ */

static void assert_date(const char *value, bool ok, int64_t epoch, int32_t offset) {
    char *message = g_strconcat("Date: ", value, "\n\n", NULL);
    mail_view *view = view_of(message);
    mail_date date;
    mail_need need;

    assert_int_equal(mail_view_date(view, &date, &need), ok ? MAIL_OK : MAIL_ABSENT);
    assert_int_equal(date.epoch, epoch);
    assert_int_equal(date.offset, offset);
    mail_view_free(view);
    g_free(message);
}

static void a_date_has_its_zone_and_a_broken_one_is_absent(void **state) {
    (void)state;
    assert_date("Mon, 2 Apr 2012 18:22:10 +0400", true, 1333376530, 4 * 3600);
    assert_date("2 Apr 2012 14:22:10 GMT", true, 1333376530, 0);
    assert_date("Mon, 2 Apr 2012 09:22:10 -0500 (EST)", true, 1333376530, -5 * 3600);
    assert_date("Whenever", false, 0, 0);
    assert_date("", false, 0, 0);
}

static void message_ids_are_given_without_brackets(void **state) {
    mail_view *view = view_of("Message-ID: <a b@x>\nIn-Reply-To: Your mail of Monday <r@x> (x)\n"
                              "References: <1@x> <2@x>junk <3@x\n\n");
    const char *value;
    mail_strings refs;
    mail_need need;

    (void)state;
    assert_int_equal(mail_view_message_id(view, &value, &need), MAIL_OK);
    assert_string_equal(value, "ab@x");
    assert_int_equal(mail_view_in_reply_to(view, &value, &need), MAIL_OK);
    assert_string_equal(value, "r@x");
    assert_int_equal(mail_view_references(view, &refs, &need), MAIL_OK);
    assert_int_equal(refs.count, 3);
    assert_string_equal(refs.items[2], "3@x");
    assert_int_equal(mail_view_thread_key(view, &value, &need), MAIL_OK);
    assert_string_equal(value, "1@x");
    mail_view_free(view);
}

static void the_thread_key_falls_back_to_in_reply_to_and_message_id(void **state) {
    mail_view *view = view_of("Message-ID: <a@x>\nIn-Reply-To: <r@x>\nReferences:\n\n");
    mail_view *first = view_of("Message-ID: <a@x>\n\n"), *none = view_of("Subject: x\n\n");
    const char *value;
    mail_need need;

    (void)state;
    assert_int_equal(mail_view_thread_key(view, &value, &need), MAIL_OK);
    assert_string_equal(value, "r@x");
    assert_int_equal(mail_view_thread_key(first, &value, &need), MAIL_OK);
    assert_string_equal(value, "a@x");
    assert_int_equal(mail_view_thread_key(none, &value, &need), MAIL_ABSENT);
    mail_view_free(view);
    mail_view_free(first);
    mail_view_free(none);
}

static void the_list_id_is_what_stands_in_brackets(void **state) {
    mail_view *view = view_of("List-Id: \"An <odd> list\" <Announce.Example.ORG>\n\n");
    mail_view *bare = view_of("List-ID: Announce.example.org\n\n");
    const char *value;
    mail_need need;

    (void)state;
    assert_int_equal(mail_view_list_id(view, &value, &need), MAIL_OK);
    assert_string_equal(value, "announce.example.org");
    assert_int_equal(mail_view_list_id(bare, &value, &need), MAIL_OK);
    assert_string_equal(value, "announce.example.org");
    mail_view_free(view);
    mail_view_free(bare);
}

/* --- identity and needs ------------------------------------------------------------------------------------------- */

#define MESSAGE                                                                                                        \
    "Message-ID: <a@x>\r\nDate: d\r\nFrom: f@x\r\nTo: t@x\r\nSubject: one\r\n two\r\nX-Other: y\r\n\r\nbody\r\n"

static void identity_is_the_same_however_the_message_was_fetched(void **state) {
    static const char fields[] =
        "Subject: one\r\n\ttwo\r\nFrom: f@x\r\nTo: t@x\r\nDate: d\r\nMessage-ID: <a@x>\r\n\r\n";
    mail_view *raw = view_of(MESSAGE), *pieces = mail_view_new(&test_limits);
    mail_meta meta = {.uid = 7, .folder = "INBOX", .size = strlen(MESSAGE)};
    char a[MAIL_IDENTITY_SIZE], b[MAIL_IDENTITY_SIZE];
    mail_need need;

    (void)state;
    mail_view_set_meta(pieces, &meta);
    assert_int_equal(mail_view_identity(pieces, b, &need), MAIL_NEED);
    mail_view_set_fields(pieces, fields, sizeof fields - 1, mail_query_fields(MAIL_IDENTITY));
    assert_int_equal(mail_view_identity(raw, a, &need), MAIL_OK);
    assert_int_equal(mail_view_identity(pieces, b, &need), MAIL_OK);
    assert_string_equal(a, b);
    meta.size++;
    mail_view_set_meta(pieces, &meta);
    assert_int_equal(mail_view_identity(pieces, b, &need), MAIL_OK);
    assert_string_not_equal(a, b);
    mail_view_free(raw);
    mail_view_free(pieces);
}

static void a_need_names_just_the_fields_that_are_not_covered(void **state) {
    static const char *const covered[] = {"to", "CC", NULL};
    static const char fields[] = "To: a@x\r\nSubject: not asked for\r\n\r\n";
    mail_view *view = mail_view_new(&test_limits);
    const mail_address *list;
    const char *subject;
    mail_need need;
    size_t count;

    (void)state;
    mail_view_set_fields(view, fields, sizeof fields - 1, covered);
    assert_int_equal(mail_view_addresses(view, MAIL_TO, &list, &count, &need), MAIL_OK);
    assert_int_equal(mail_view_addresses(view, MAIL_CC, &list, &count, &need), MAIL_ABSENT);
    assert_int_equal(mail_view_subject(view, &subject, &need), MAIL_NEED);
    assert_int_equal(mail_view_addresses(view, MAIL_RECIPIENT, &list, &count, &need), MAIL_NEED);
    assert_int_equal(need.kind, MAIL_NEED_FIELDS);
    char *names = g_strjoinv(" ", (char **)need.names);
    assert_string_equal(names, "Bcc Delivered-To X-Original-To Envelope-To X-Envelope-To Original-Recipient "
                               "Apparently-To");
    g_free(names);
    mail_view_free(view);
}

static void every_query_says_what_it_needs_and_is_content_with_it(void **state) {
    (void)state;
    for (int q = MAIL_FROM; q <= MAIL_IS_SIGNED; q++) {
        mail_view *view = mail_view_new(&test_limits);
        const char *const *names = mail_query_fields((enum mail_query)q);
        const mail_address *list;
        mail_strings strings;
        mail_need need;
        size_t count;
        assert_int_equal(mail_query_need((enum mail_query)q), MAIL_NEED_FIELDS);
        assert_non_null(names[0]);
        mail_view_set_fields(view, "", 0, names);
        if (q <= MAIL_RECIPIENT) {
            assert_int_equal(mail_view_addresses(view, (enum mail_query)q, &list, &count, &need), MAIL_ABSENT);
        }
        if (q >= MAIL_IS_AUTO) {
            assert_int_equal(mail_view_class(view, (enum mail_query)q, &strings, &need), MAIL_ABSENT);
        }
        mail_view_free(view);
    }
}

static void what_a_query_gave_stays_valid_when_more_is_set(void **state) {
    static const char *const names[] = {"Subject", NULL};
    mail_view *view = mail_view_new(&test_limits);
    GBytes *raw = g_bytes_new(MESSAGE, strlen(MESSAGE));
    const char *before, *after;
    mail_need need;

    (void)state;
    mail_view_set_fields(view, "Subject: one two\r\n\r\n", 20, names);
    assert_int_equal(mail_view_subject(view, &before, &need), MAIL_OK);
    mail_view_set_raw(view, raw, false);
    g_bytes_unref(raw);
    assert_int_equal(mail_view_subject(view, &after, &need), MAIL_OK);
    assert_string_equal(before, after);
    mail_view_free(view);
}

static void the_meta_is_copied(void **state) {
    mail_view *view = mail_view_new(&test_limits);
    char folder[] = "INBOX", flag[] = "\\Seen";
    const char *flags[] = {flag, NULL};
    mail_meta meta = {.folder = folder, .flags = flags, .uid = 3};

    (void)state;
    mail_view_set_meta(view, &meta);
    folder[0] = flag[1] = 'x';
    assert_string_equal(mail_view_meta(view)->folder, "INBOX");
    assert_string_equal(mail_view_meta(view)->flags[0], "\\Seen");
    mail_view_free(view);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found_in_any_case_and_every_occurrence_is_given),
        cmocka_unit_test(folded_lines_are_joined),
        cmocka_unit_test(encoded_words_are_decoded_and_joined),
        cmocka_unit_test(a_character_split_between_two_encoded_words_is_whole_again),
        cmocka_unit_test(encoded_words_are_read_leniently),
        cmocka_unit_test(undeclared_bytes_are_utf8_or_else_windows_1252),
        cmocka_unit_test(an_encoded_line_break_cannot_start_a_new_line),
        cmocka_unit_test(raw_values_are_unfolded_but_not_decoded),
        cmocka_unit_test(all_fields_are_listed_in_order),
        cmocka_unit_test(addresses_are_read_as_rfc_5322_has_them),
        cmocka_unit_test(groups_are_flattened_and_an_empty_one_names_nobody),
        cmocka_unit_test(broken_addresses_are_read_for_what_was_meant),
        cmocka_unit_test(names_are_decoded_also_inside_quotes),
        cmocka_unit_test(an_encoded_name_cannot_become_an_address),
        cmocka_unit_test(a_domain_is_lower_case_with_a_labels),
        cmocka_unit_test(recipients_are_collected_from_all_fields_once_each),
        cmocka_unit_test(a_date_has_its_zone_and_a_broken_one_is_absent),
        cmocka_unit_test(message_ids_are_given_without_brackets),
        cmocka_unit_test(the_thread_key_falls_back_to_in_reply_to_and_message_id),
        cmocka_unit_test(the_list_id_is_what_stands_in_brackets),
        cmocka_unit_test(identity_is_the_same_however_the_message_was_fetched),
        cmocka_unit_test(a_need_names_just_the_fields_that_are_not_covered),
        cmocka_unit_test(every_query_says_what_it_needs_and_is_content_with_it),
        cmocka_unit_test(what_a_query_gave_stays_valid_when_more_is_set),
        cmocka_unit_test(the_meta_is_copied),
    };
    mail_runtime *runtime = mail_runtime_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mail_runtime_free(runtime);
    return failed;
}
