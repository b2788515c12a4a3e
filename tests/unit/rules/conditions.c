#include "bench.h"

static const char invoice[] =
    "From: \"M\xc3\xbcller & S\xc3\xb6hne\" <Billing@Example.COM>\r\n"
    "To: Support <support@example.org>, sales@sub.example.org\r\n"
    "Cc: boss@example.net\r\n"
    "Delivered-To: inbox@example.org\r\n"
    "Subject: =?utf-8?q?Your_INVOICE_=234711_f=C3=BCr_Mai?=\r\n"
    "Message-ID: <1@example.com>\r\n"
    "Date: Tue, 14 Nov 2023 10:00:00 +0100\r\n"
    "List-Id: News <news.example.com>\r\n"
    "X-Spam-Flag: YES\r\n"
    "X-Multi: one\r\nX-Multi: two\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    "--c\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Sehr geehrte Damen, der Betrag f=FCr Mai ist 12 Euro.\r\n"
    "--c\r\nContent-Type: text/html\r\n\r\n<p>Sehr <a href=\"http://evil.example/x\">geehrte</a></p>\r\n--c--\r\n"
    "--b\r\nContent-Type: application/pdf; name=\"Rechnung.PDF\"\r\n"
    "Content-Disposition: attachment; filename=\"Rechnung.PDF\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
    "--b--\r\n";

struct expectation {
    const char *condition;
    bool holds;
};

static void expect(void **state, const char *message, const struct expectation *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (bench_holds(*state, list[i].condition, message) != list[i].holds) {
            fail_msg("%s: expected %s", list[i].condition, list[i].holds ? "yes" : "no");
        }
    }
}

static void each_test_of_an_address_field(void **state) {
    static const struct expectation list[] = {
        {"from:is 'billing@example.com'", true},
        {"from:is 'example.com'", false},
        {"from:address 'BILLING@example.com'", true},
        {"from:address 'ling@example.com'", false},
        {"from:is('billing@example.com', { case = true })", false},
        {"from:is('Billing@example.com', { case = true })", true},
        {"from:contains 'm\xc3\x9cller'", true},
        {"from:contains '<billing@'", true},
        {"from:contains 'nobody'", false},
        {"from:starts 'm\xc3\xbcller'", true},
        {"from:starts 'billing@'", true},
        {"from:ends '@example.com'", true},
        {"from:ends 's\xc3\xb6hne'", true},
        {"from:ends '@example.co'", false},
        {"from:glob '*@example.com'", true},
        {"from:glob 'bill?ng@*'", true},
        {"from:glob '*@example.c'", false},
        {"from:regex [[^billing@]]", false},
        {"from:regex [[^Billing@]]", true},
        {"from:regex [[(?i)^billing@]]", true},
        {"from:regex('^billing@', { case = false })", true},
        {"from:regex [[^M.ller .* <Billing]]", true},
        {"from:exists()", true},
        {"bcc:exists()", false},
        {"~bcc:exists()", true},
        {"from:domain 'example.com'", true},
        {"from:domain '@EXAMPLE.com'", true},
        {"from:domain 'ample.com'", false},
        {"to:domain 'example.org'", true},
        {"to:domain '*.example.org'", true},
        {"from:domain '*.example.com'", false},
        {"to:domain 'sub.ex*'", true},
        {"to:address 'sales@sub.example.org'", true},
        {"cc:address 'boss@example.net'", true},
        {"recipient:address 'inbox@example.org'", true},
        {"recipient:address 'boss@example.net'", true},
        {"to:address 'boss@example.net'", false},
        {"from:any_of { 'a@b.c', 'billing@example.com' }", true},
        {"from:any_of { 'a@b.c', '@example.com' }", true},
        {"from:any_of { 'example.com' }", true},
        {"from:any_of { 'a@b.c', 'b@b.c' }", false},
        {"from:contains { 'nobody', 's\xc3\xb6hne' }", true},
    };

    expect(state, invoice, list, G_N_ELEMENTS(list));
}

static void each_test_of_a_string_field(void **state) {
    static const struct expectation list[] = {
        {"subject:is 'your invoice #4711 f\xc3\xbcr mai'", true},
        {"subject:is 'invoice'", false},
        {"subject:contains 'F\xc3\x9cR'", true},
        {"subject:contains 'fu\xcc\x88r'", true}, /* the same letter, decomposed */
        {"subject:contains('invoice', { case = true })", false},
        {"subject:starts 'your'", true},
        {"subject:starts 'invoice'", false},
        {"subject:ends 'MAI'", true},
        {"subject:ends 'ma'", false},
        {"subject:glob '*invoice*'", true},
        {"subject:glob 'your*mai'", true},
        {"subject:glob 'your*may'", false},
        {"subject:glob '*#[0-9][0-9]11*'", true},
        {"subject:glob '*#[!4]*'", false},
        {"subject:regex [[(?i)\\binvoice\\s+#?(?<number>\\d+)]]", true},
        {"subject:regex [[\\binvoice]]", false},
        {"subject:exists()", true},
        {"subject:any_of { 'x', 'Your Invoice #4711 f\xc3\xbcr Mai' }", true},
        {"header 'x-spam-flag':is 'yes'", true},
        {"header 'X-Spam-Flag':is 'no'", false},
        {"header 'X-Multi':is 'two'", true},
        {"header 'X-Multi':contains 'thr'", false},
        {"header 'X-None':exists()", false},
        {"header 'X-None':is ''", false},
        {"list_id:is 'news.example.com'", true},
        {"list_id:exists()", true},
        {"text:contains 'betrag f\xc3\xbcr mai'", true},
        {"text:contains 'evil.example'", false},
        {"body:contains 'evil.example'", true},
        {"body:contains 'betrag'", true},
        {"text:regex [[(\\d+) Euro]]", true},
        {"text:exists()", true},
        {"attachment.name:glob '*.pdf'", true},
        {"attachment.name:glob '*.exe'", false},
        {"attachment.name:is 'rechnung.pdf'", true},
        {"attachment.type:is 'application/pdf'", true},
        {"attachment.type:glob 'image/*'", false},
        {"attachment.type:any_of { 'image/png', 'application/pdf' }", true},
        {"attachment:exists()", true},
    };

    expect(state, invoice, list, G_N_ELEMENTS(list));
}

static void numbers_flags_and_classes(void **state) {
    static const struct expectation list[] = {
        {"size:over '100'", true},  {"size:over '1MB'", false},
        {"size:under '1MB'", true}, {"size:under(10)", false},
        {"age:over '7d'", true},    {"age:under '7d'", false},
        {"age:over(60)", true},     {"is_list", true},
        {"is_list()", true},        {"is_auto", false},
        {"is_bounce", false},       {"is_reply", false},
        {"is_encrypted", false},    {"has_flag '\\\\Seen'", false},
        {"~has_flag 'Done'", true},
    };

    expect(state, invoice, list, G_N_ELEMENTS(list));
}

static void flags_are_compared_in_any_case(void **state) {
    struct bench *b = *state;
    wire_message *eval;

    bench_load(b, "rule 'a' { when = has_flag '\\\\seen', actions = { flag 'one' } }\n"
                  "rule 'b' { when = has_flag 'DONE', actions = { flag 'two' } }\n"
                  "rule 'c' { when = has_flag 'other', actions = { flag 'three' } }");
    eval = bench_raw(b, invoice);
    wire_strings_add(eval, &eval->u.eval.flags, "\\Seen");
    wire_strings_add(eval, &eval->u.eval.flags, "Done");
    wire_message *reply = bench_run(b, eval);
    g_autofree char *plan = bench_reply(reply);
    assert_string_equal(plan, "flag one; flag two");
    wire_message_free(reply);
}

static void operators_combine(void **state) {
    static const struct expectation list[] = {
        {"is_list & attachment:exists()", true},
        {"is_list & is_bounce", false},
        {"is_bounce | is_list", true},
        {"is_bounce | is_reply", false},
        {"~is_bounce", true},
        {"~~is_list", true},
        {"~(is_list & is_bounce)", true},
        {"is_list & ~is_bounce & subject:contains 'invoice'", true},
        {"all { is_list, subject:contains 'invoice', ~is_bounce }", true},
        {"all { is_list, is_bounce }", false},
        {"any { is_bounce, is_list }", true},
        {"none { is_bounce, is_reply }", true},
        {"none { is_bounce, is_list }", false},
        {"(is_bounce | is_list) & (is_reply | subject:exists())", true},
    };

    expect(state, invoice, list, G_N_ELEMENTS(list));
}

static void many_substrings_of_one_field_are_each_found(void **state) {
    static const struct {
        const char *needle;
        bool found;
    } needles[] = {{"you", true},
                   {"your inv", true},
                   {"4711", true},
                   {"mai", true},
                   {"ice #", true},
                   {"y", true},
                   {"zz", false},
                   {"yours", false},
                   {"4712", false},
                   {"\xc3\xbcr m", true},
                   {"our invoice #4711 f\xc3\xbcr mai", true}};
    struct bench *b = *state;
    GString *config = g_string_new(NULL), *expected = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(needles); i++) {
        g_string_append_printf(config, "rule 'r%zu' { when = subject:contains '%s', actions = { flag 'f%zu' } }\n", i,
                               needles[i].needle, i);
        if (needles[i].found) {
            g_string_append_printf(expected, "%sflag f%zu", expected->len ? "; " : "", i);
        }
    }
    bench_load(b, config->str);
    assert_plan(b, invoice, expected->str);
    g_string_free(config, TRUE);
    g_string_free(expected, TRUE);
}

static void a_list_comes_from_a_file(void **state) {
    struct bench *b = *state;

    bench_file(b, "lists/people.txt", "# friends\n\n  billing@example.com  \nother@example.com\r\n@sub.example.org\n");
    assert_true(bench_holds(b, "from:in_file 'lists/people.txt'", invoice));
    assert_true(bench_holds(b, "to:in_file 'lists/people.txt'", invoice));
    assert_false(bench_holds(b, "cc:in_file 'lists/people.txt'", invoice));
    assert_false(bench_holds(b, "subject:in_file 'lists/people.txt'", invoice));
}

static void captures_reach_the_actions(void **state) {
    struct bench *b = *state;

    bench_load(
        b, "rule 'r' { when = subject:regex [[(?i)invoice #(?<number>\\d+)]] & from:regex [[(\\w+)@(?<host>\\w+)]],\n"
           "  actions = { flag 'n${number}', copy '${number}/${1}/${host}/${2}' } }");
    /* 1 is the first group of the first pattern as written; 2 there is only in the second */
    assert_plan(b, invoice, "flag n4711; copy 4711/4711/example/example");
}

static void a_negated_pattern_captures_nothing(void **state) {
    g_autofree char *mistakes =
        bench_bad(*state, "rule 'r' {\n when = ~subject:regex [[(x)]],\n actions = { move 'A/${1}' } }");

    assert_has(mistakes, "3: ${1} is no name");
}

static void of_alternatives_the_one_that_held_captures(void **state) {
    struct bench *b = *state;

    bench_load(b,
               "rule 'r' { when = subject:regex [[order (?<id>\\d+)]] | subject:regex [[(?i)invoice #(?<id>\\d+)]],\n"
               "  actions = { flag '${id}' } }");
    assert_plan(b, invoice, "flag 4711");
}

static void a_trace_says_why(void **state) {
    struct bench *b = *state;
    wire_message *eval;

    bench_load(b, "rule 'junk' { folder = 'Junk', when = is_list, actions = { stop } }\n"
                  "rule 'no' { when = from:domain 'example.net' & subject:contains 'x', actions = { stop } }\n"
                  "rule 'yes' { when = is_list & header 'X-Spam-Flag':is 'yes', actions = { move 'A' } }\n"
                  "rule 'late' { actions = { stop } }");
    eval = bench_raw(b, invoice);
    eval->u.eval.trace = true;
    wire_message *reply = bench_run(b, eval);
    const wire_rule_trace *t = reply->u.plan.rules;
    assert_int_equal(reply->u.plan.n_rules, 4);
    assert_true(t[0].skipped);
    assert_string_equal(t[0].why.v[0], "folder is INBOX, rule wants Junk");
    assert_false(t[1].matched);
    assert_int_equal(t[1].why.n, 1);
    assert_string_equal(t[1].why.v[0], "from:domain \"example.net\" -> no (from is \"example.com\")");
    assert_true(t[2].matched);
    assert_string_equal(t[2].why.v[0], "header \"X-Spam-Flag\":is \"yes\" -> yes (header \"x-spam-flag\" is \"YES\")");
    assert_has(t[2].why.v[1], "is_list -> yes (\"List-Id");
    assert_string_equal(t[3].why.v[0], "ended by rule yes");
    assert_string_equal(reply->u.plan.subject, "Your INVOICE #4711 f\xc3\xbcr Mai");
    wire_message_free(reply);
}

static void fault_62_a_pattern_that_explodes_fails_its_rule_only(void **state) {
    struct bench *b = *state;
    GString *message = g_string_new("From: a@b.c\r\nSubject: ");

    for (int i = 0; i < 3000; i++) {
        g_string_append_c(message, 'a');
    }
    g_string_append(message, "!\r\n\r\nx\r\n");
    bench_load(b, "defaults { limits = { regex_match = 10000 } }\n"
                  "rule 'bomb' {\n  when = subject:regex [[(a+)+$]],\n  actions = { stop }, on_error = 'skip' }\n"
                  "rule 'next' { actions = { flag 'seen' } }");
    wire_message *reply = bench_run(b, bench_raw(b, message->str));
    assert_int_equal(reply->type, WIRE_PLAN);
    assert_int_equal(reply->u.plan.n_errors, 1);
    assert_string_equal(reply->u.plan.errors[0].rule, "bomb");
    assert_int_equal(reply->u.plan.errors[0].place.line, 3);
    assert_int_equal(reply->u.plan.n_steps, 1);
    wire_message_free(reply);
    g_string_free(message, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_test_of_an_address_field, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(each_test_of_a_string_field, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(numbers_flags_and_classes, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(flags_are_compared_in_any_case, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(operators_combine, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(many_substrings_of_one_field_are_each_found, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_list_comes_from_a_file, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(captures_reach_the_actions, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_negated_pattern_captures_nothing, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(of_alternatives_the_one_that_held_captures, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_trace_says_why, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(fault_62_a_pattern_that_explodes_fails_its_rule_only, bench_set_up,
                                        bench_tear_down),
    };
    return cmocka_run_group_tests(tests, bench_start, bench_stop);
}
