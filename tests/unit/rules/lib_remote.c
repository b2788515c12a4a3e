/* The libraries that ask the keeper: kv and http. */
#include "tests/unit/rules/job_harness.h"

static const char mail[] = "From: a@b.example\nSubject: x\n\ntext\n";

static void kv_keeps_values_under_a_space(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return kv.get 'seen'", "nil");
    job_expect(&j, "return kv.set('seen', {n = 1}, '7d')", "true");
    assert_int_equal(j.last.kv.ttl_ms, 7 * 86400000);
    job_expect(&j, "return kv.get('seen').n", "1");
    job_expect(&j, "return kv.incr 'count' + kv.incr('count', 5)", "7");
    job_expect(&j, "return kv.get 'count'", "6");
    job_expect(&j, "return kv.delete 'seen'", "true");
    job_expect(&j, "return kv.get 'seen'", "nil");
    job_expect(&j, "local k = kv.space 'mine' k:set('a', false) return k:get 'a'", "false");
    assert_string_equal(g_hash_table_lookup(j.kv, "mine/a"), "false");
    assert_string_equal(g_hash_table_lookup(j.kv, "default/count"), "6");
    job_release(&j);
}

static void kv_refuses_what_cannot_be_kept(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "return (pcall(kv.set, '', 1))", "false");
    job_expect(&j, "return (pcall(kv.set, ('x'):rep(1025), 1))", "false");
    job_expect(&j, "return (pcall(kv.set, 'a\\0b', 1))", "false");
    job_expect(&j, "return (pcall(kv.set, 'a', print))", "false");
    job_expect(&j, "return (pcall(kv.set, 'a', nil))", "false");
    job_expect(&j, "return (pcall(kv.set, 'a', 'b', 'soon'))", "false");
    job_expect(&j, "return (pcall(kv.space, 'a/b'))", "false");
    assert_string_equal(j.asked->str, "");
    assert_string_equal(harness_load(&j.h, "kv.get 'x'"), "config.lua:1: kv.get works only while a rule runs");
    job_release(&j);
}

static void a_dry_run_reads_and_does_not_write(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    g_hash_table_insert(j.kv, g_strdup("default/n"), g_strdup("5"));
    j.job.eval->u.eval.dry_run = true;
    job_expect(&j, "return tostring(kv.set('a', 1)) .. tostring(kv.delete 'n') .. kv.incr 'n' .. kv.get 'n'",
               "truetrue65");
    assert_string_equal(j.asked->str, "kv:get:default/n kv:get:default/n ");
    job_expect(&j, "return select(2, http.get 'https://x.example/')", "dry run");
    j.job.eval->u.eval.dry_run = false;
    j.wire_rule.dry_run = true;
    job_expect(&j, "return tostring(kv.set('a', 1))", "true");
    assert_string_equal(j.asked->str, "kv:get:default/n kv:get:default/n ");
    job_release(&j);
}

static void offline_there_is_an_answer_and_it_says_so(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    j.job.eval->u.eval.offline = true;
    job_expect(&j, "return select(2, kv.get 'a') .. select(2, kv.set('a', 1)) .. select(2, kv.incr 'a')",
               "offlineofflineoffline");
    job_expect(&j, "local r, e = http.get 'https://x.example/' return tostring(r) .. e", "niloffline");
    assert_string_equal(j.asked->str, "");
    job_release(&j);
}

static void http_waits_and_gives_the_answer(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    j.http = "{\"ok\":true}";
    job_expect(&j,
               "local r = http.get('https://x.example/a', {headers = {Accept = 'x'}, timeout = '2s'})\n"
               "return r.status .. tostring(r:json().ok) .. r.headers.vary .. tostring(r.truncated)",
               "200truea, bfalse");
    assert_string_equal(j.asked->str, "GET:https://x.example/a ");
    assert_int_equal(j.last.http.timeout_ms, 2000);
    assert_int_equal(j.last.limit, 1 << 20);
    assert_string_equal(j.last.http.headers[0].name, "Accept");
    job_expect(&j, "return http.post('https://x.example/b', {a = 1}).status", "200");
    assert_int_equal(j.last.http.body.len, 7);
    assert_memory_equal(j.last.http.body.data, "{\"a\":1}", 7);
    assert_string_equal(j.last.http.headers[0].value, "application/json");
    assert_string_equal(j.last.http.method, "POST");
    job_expect(&j, "return http.post('https://x.example/b', 'plain').status", "200");
    assert_int_equal(j.last.http.n_headers, 0);
    j.http = NULL;
    job_expect(&j, "local r, e = http.get 'https://x.example/' return tostring(r) .. e", "nilconnection refused");
    job_release(&j);
}

static void fault_70_http_refuses_what_would_change_the_request(void **state) {
    struct job_harness j;

    job_init(&j, mail);
    job_expect(&j, "http.get('https://x.example/', {headers = {['X-Subject'] = 'a\\r\\nHost: b'}})",
               "the value of header 'X-Subject' has a control character or is too long");
    job_expect(&j, "http.get('https://x.example/', {headers = {['X: y'] = 'a'}})",
               "header name 'X: y' is no HTTP token");
    job_expect(&j, "http.get('file:///etc/passwd')",
               "bad argument #1 to 'get' (a URL starts with https:// or http://)");
    job_expect(&j, "return (pcall(http.get, 'https://x.example/ HTTP/1.0\\r\\n'))", "false");
    job_expect(&j, "http.get('https://x.example/', {header = {}})",
               "unknown option of http 'header'; did you mean 'headers'?");
    assert_string_equal(j.asked->str, "");
    job_release(&j);
}

static void a_function_that_waits_too_long_is_ended(void **state) {
    struct job_harness j;
    struct vm_thread *thread;

    job_init(&j, mail);
    thread = harness_thread(&j.h, &j.job, "return function() kv.get 'a'\nwhile true do pcall(kv.get, 'b') end end");
    assert_int_equal(vm_thread_resume(thread, 0, &j.h.err), VM_YIELD);
    job_answer(&j);
    clock_fake_advance(&j.h.clock, j.h.limits.rule_wait - 1);
    assert_int_equal(vm_thread_resume(thread, 0, &j.h.err), VM_YIELD);
    job_answer(&j);
    clock_fake_advance(&j.h.clock, 2);
    assert_int_equal(vm_thread_resume(thread, 0, &j.h.err), VM_ERROR);
    assert_string_equal(j.h.err.text, "time budget exceeded, waits included");
    assert_int_equal(j.h.err.line, 2);
    vm_thread_free(thread);
    job_release(&j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kv_keeps_values_under_a_space),
        cmocka_unit_test(kv_refuses_what_cannot_be_kept),
        cmocka_unit_test(a_dry_run_reads_and_does_not_write),
        cmocka_unit_test(offline_there_is_an_answer_and_it_says_so),
        cmocka_unit_test(http_waits_and_gives_the_answer),
        cmocka_unit_test(fault_70_http_refuses_what_would_change_the_request),
        cmocka_unit_test(a_function_that_waits_too_long_is_ended),
    };
    return cmocka_run_group_tests(tests, job_group_init, job_group_release);
}
