/* The message as a rule's function sees it. */
#include "tests/unit/rules/job_harness.h"

static const char mail[] = "From: =?utf-8?q?Ren=C3=A9?= <Rene@Example.ORG>\n"
                           "To: a@x.example, Bee <b@y.example>\n"
                           "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
                           "Date: Tue, 14 Nov 2023 23:13:20 +0200\n"
                           "Message-ID: <one@example.org>\n"
                           "References: <a@r> <b@r>\n"
                           "List-Id: News <news.example.org>\n"
                           "Received: first\nReceived: second\n"
                           "MIME-Version: 1.0\n"
                           "Content-Type: multipart/mixed; boundary=b\n\n"
                           "--b\nContent-Type: text/plain\n\nHello\n> quoted\n"
                           "--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=t.csv\n\n1,2\n"
                           "--b--\n";

static void attributes_are_the_decoded_message(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return msg.subject",
               "Gr\xc3\xbc\xc3\x9f"
               "e");
    job_expect(
        &j, "return msg.from.name .. '|' .. msg.from.address .. '|' .. msg.from.local_part .. '|' .. msg.from.domain",
        "Ren\xc3\xa9|Rene@example.org|Rene|example.org");
    job_expect(&j, "return tostring(msg.to[2]) .. #msg.to .. #msg.cc .. #msg.reply_to", "Bee <b@y.example>200");
    job_expect(&j, "return msg.date:year() .. ' ' .. msg.date:format '%H:%M' .. ' ' .. msg.date.epoch",
               "2023 23:13 1699996400");
    job_expect(&j, "return msg.age", "1000");
    job_expect(&j, "return msg.message_id .. table.concat(msg.references, ',') .. msg.thread_key",
               "one@example.orga@r,b@ra@r");
    job_expect(&j, "return msg.list_id", "news.example.org");
    job_expect(&j, "return msg.in_reply_to", "nil");
    job_expect(&j, "return msg.account .. msg.folder .. msg.uid .. ' ' .. msg.rule", "workINBOX42 test");
    job_expect(&j, "return tostring(msg.is_list) .. tostring(msg.is_auto) .. tostring(msg.is_encrypted)",
               "truefalsefalse");
    job_expect(&j, "return tostring(msg.flags['\\\\Seen']) .. tostring(msg.flags.Other)", "truenil");
    job_expect(&j, "return tostring(msg:has_flag 'invoice') .. tostring(msg:has_flag 'x')", "truefalse");
    job_expect(&j, "return msg", "message work/INBOX/42");
    job_release(&j);
}

static void data_that_is_not_at_hand_is_waited_for(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return msg.subject",
               "Gr\xc3\xbc\xc3\x9f"
               "e");
    assert_string_equal(j.asked->str, "fields ");
    job_expect(&j, "return msg.text", "Hello\n> quoted");
    assert_string_equal(j.asked->str, "fields structure ");
    job_expect(&j, "return msg.reply_text", "Hello\n");
    job_release(&j);
}

static void waiting_goes_through_pcall_and_coroutines(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "local ok, s = pcall(function() return msg.subject end) return s",
               "Gr\xc3\xbc\xc3\x9f"
               "e");
    assert_string_equal(j.asked->str, "fields ");
    job_release(&j);
    job_init(&j, mail);
    job_expect(&j,
               "local f = coroutine.wrap(function() coroutine.yield('first') coroutine.yield(msg.subject) end)\n"
               "return f() .. f()",
               "firstGr\xc3\xbc\xc3\x9f"
               "e");
    job_release(&j);
    job_init(&j, mail);
    job_expect(
        &j,
        "local co = coroutine.create(function() return (select(2, pcall(function() return #msg.text end))) end)\n"
        "local ok, n = coroutine.resume(co) return n",
        "14");
    job_release(&j);
    job_init(&j, mail);
    job_expect(&j, "local a, b, c = pairs(msg.headers) return type(a) .. type(b) .. type(c)", "functiontablenil");
    job_expect(&j,
               "local names = {} for k in pairs(msg.headers) do names[#names + 1] = k end table.sort(names)\n"
               "return names[1] .. #names",
               "content-type10");
    job_release(&j);
}

static void where_lua_cannot_wait_the_error_says_what_to_do(void **state) {
    static const char expected[] =
        "msg.subject has to be fetched, which cannot be done inside a callback of string.gsub "
        "or table.sort: read it into a local variable before";
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return (('x'):gsub('x', function() return msg.subject end))", expected);
    job_expect(&j, "local t = {1, 2, 3} table.sort(t, function(a, b) return #msg.subject > a end)", expected);
    assert_null(j.job.need);
    job_expect(&j, "return (pcall(string.gsub, 'x', 'x', coroutine.wrap(function() return msg.subject end)))", "false");
    job_expect(&j, "local s = msg.subject return (('x'):gsub('x', function() return msg.subject end)) == s", "true");
    job_release(&j);
}

static void what_the_message_does_not_have_is_empty_not_an_error(void **state) {
    struct job_harness j;

    job_init(&j, "X-Nothing: 1\n\n");
    job_expect(&j, "return #msg.subject + #msg.text + #msg.html + #msg.reply_text + #msg.to + #msg.attachments", "0");
    job_expect(&j, "return msg.from.address .. msg.from.domain", "");
    job_expect(&j, "return msg.message_id", "nil");
    job_expect(&j, "return msg.date.epoch", "1699999000");
    job_expect(&j, "return msg:header 'subject'", "nil");
    job_expect(&j, "return #msg.references", "0");
    job_release(&j);
}

static void headers_are_one_or_all_values_in_any_case(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return msg:header 'RECEIVED'", "first");
    job_expect(&j, "return table.concat(msg:headers 'received', ',') .. #msg:headers 'x-none'", "first,second0");
    job_expect(&j, "return msg.headers['list-id'][1] .. tostring(msg.headers.nothing)", "News <news.example.org>nil");
    job_release(&j);
}

static void attachments_give_their_content_on_demand(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "local a = msg.attachments[1] return #msg.attachments .. a.name .. a.type .. a.size .. a.content",
               "1t.csvtext/csv31,2");
    job_expect(&j, "return msg.attachments[1].sha256:sub(1, 8)", "17f8af97");
    job_expect(&j, "return msg.attachments[1].filename", "unknown attribute of an attachment: 'filename'");
    job_release(&j);
}

static void captures_are_those_of_the_rule(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_add_capture(&j, "1", "4711");
    job_add_capture(&j, "number", "4711");
    job_expect(&j, "return msg:capture(1) .. msg:capture 'number' .. msg.captures.number .. tostring(msg:capture 'x')",
               "471147114711nil");
    job_release(&j);
}

static void an_unknown_name_suggests_the_nearest(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return msg.subjet", "unknown attribute or method of a message: 'subjet'; did you mean 'subject'?");
    job_expect(&j, "msg:mov 'x'", "unknown attribute or method of a message: 'mov'; did you mean 'move'?");
    job_expect(&j, "return msg.from.adress", "unknown attribute of an address: 'adress'; did you mean 'address'?");
    job_expect(&j, "msg.subject = 'x'", "msg.subject cannot be set: use an action, such as msg:flag or msg:move");
    job_release(&j);
}

static void a_message_is_invalid_after_its_job(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    harness_load(&j.h, "kept = {}");
    job_expect(&j, "kept.msg, kept.a, kept.h, kept.f = msg, msg.attachments[1], msg.headers, msg.from", "nothing");
    lib_msg_invalidate(&j.job);
    job_expect(&j, "return kept.msg.subject", "message is no longer valid: it must not be kept after its rule has run");
    job_expect(&j, "return kept.a.content", "message is no longer valid: it must not be kept after its rule has run");
    job_expect(&j, "return kept.h.subject", "message is no longer valid: it must not be kept after its rule has run");
    job_expect(&j, "kept.msg:flag 'x'", "message is no longer valid: it must not be kept after its rule has run");
    job_expect(&j, "return kept.f.domain", "example.org");
    job_expect(&j, "return kept.msg", "message (no longer valid)");
    job_release(&j);
}

static void a_fetch_that_failed_is_an_error_of_the_rule(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    j.fetch_fails = true;
    job_expect(&j, "return msg.text", "the message could not be fetched: connection lost");
    job_release(&j);
}

static const wire_step *step(struct job_harness *j, guint i) {
    assert_true(i < j->job.steps->len);
    return &g_array_index(j->job.steps, wire_step, i);
}

static void actions_become_steps_in_order(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j,
               "msg:flag('Invoice', '\\\\Flagged') msg:unflag {'a'} msg:copy('A/B', {create = false}) msg:move 'C'\n"
               "msg:junk() msg:archive() msg:delete() msg:stop()",
               "nothing");
    assert_int_equal(j.job.steps->len, 8);
    assert_int_equal(step(&j, 0)->verb, WIRE_VERB_FLAG);
    assert_int_equal(step(&j, 0)->flags.n, 2);
    assert_string_equal(step(&j, 0)->flags.v[1], "\\Flagged");
    assert_string_equal(step(&j, 1)->flags.v[0], "a");
    assert_string_equal(step(&j, 2)->folder, "A/B");
    assert_false(step(&j, 2)->create);
    assert_string_equal(step(&j, 3)->folder, "C");
    assert_true(step(&j, 3)->create);
    assert_int_equal(step(&j, 4)->verb, WIRE_VERB_JUNK);
    assert_int_equal(step(&j, 5)->verb, WIRE_VERB_ARCHIVE);
    assert_int_equal(step(&j, 6)->verb, WIRE_VERB_DELETE);
    assert_int_equal(step(&j, 7)->verb, WIRE_VERB_STOP);
    assert_true(j.job.stopped);
    job_release(&j);
}

static void fault_49_names_that_could_break_a_command_are_refused(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "msg:move 'x\\r\\nA1 DELETE INBOX'",
               "folder \"x\\r\\nA1 DELETE INBOX\" contains a control character");
    job_expect(&j, "msg:move 'x\\0y'", "folder \"x\\x00y\" contains a control character");
    job_expect(&j, "msg:move 'a*'", "folder \"a*\" contains a wildcard, which names many folders");
    job_expect(&j, "msg:move ''", "folder \"\" is empty");
    job_expect(&j, "msg:move 'a//b'", "folder \"a//b\" has an empty level");
    job_expect(&j, "msg:move '../b'", "folder \"../b\" has a level \".\" or \"..\"");
    job_expect(&j, "msg:move '\\xff'", "folder \"\\xff\" is not UTF-8");
    job_expect(&j, "return pcall(msg.move, msg, ('x'):rep(1001))", "false");
    job_expect(&j, "msg:flag 'a b'",
               "flag \"a b\" contains what a keyword may not: space, control, non-ASCII, or one of "
               "(){%*\"\\]");
    job_expect(&j, "msg:flag 'x{5+}'",
               "flag \"x{5+}\" contains what a keyword may not: space, control, non-ASCII, or one of "
               "(){%*\"\\]");
    job_expect(&j, "msg:flag '\\\\Recent'",
               "flag \"\\Recent\" is none of \\Seen \\Answered \\Flagged \\Deleted \\Draft");
    job_expect(&j, "msg:move('x', {creat = true})", "unknown option 'creat'; did you mean 'create'?");
    assert_int_equal(j.job.steps->len, 0);
    job_release(&j);
}

static void actions_have_a_bound(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "for i = 1, 2000 do msg:flag 'x' end", "more than 1000 actions for one message");
    job_release(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_the_decoded_message),
        cmocka_unit_test(data_that_is_not_at_hand_is_waited_for),
        cmocka_unit_test(waiting_goes_through_pcall_and_coroutines),
        cmocka_unit_test(where_lua_cannot_wait_the_error_says_what_to_do),
        cmocka_unit_test(what_the_message_does_not_have_is_empty_not_an_error),
        cmocka_unit_test(headers_are_one_or_all_values_in_any_case),
        cmocka_unit_test(attachments_give_their_content_on_demand),
        cmocka_unit_test(captures_are_those_of_the_rule),
        cmocka_unit_test(an_unknown_name_suggests_the_nearest),
        cmocka_unit_test(a_message_is_invalid_after_its_job),
        cmocka_unit_test(a_fetch_that_failed_is_an_error_of_the_rule),
        cmocka_unit_test(actions_become_steps_in_order),
        cmocka_unit_test(fault_49_names_that_could_break_a_command_are_refused),
        cmocka_unit_test(actions_have_a_bound),
    };
    return cmocka_run_group_tests(tests, job_group_init, job_group_release);
}
