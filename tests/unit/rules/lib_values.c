/* The libraries that only compute: re, json, time, log. */
#include "tests/unit/rules/job_harness.h"

static void expect(struct harness *h, const char *source, const char *expected) {
    const char *got = harness_load(h, source);

    if (strcmp(got, expected) != 0) {
        fail_msg("%s\n gives    %s\n expected %s", source, got, expected);
    }
}

static void re_matches_as_string_does_but_with_pcre(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "return re.match([[(\\d+)-(\\d+)]], 'a 12-34 b')", "12");
    expect(&h, "return select(2, re.match([[(\\d+)-(\\d+)]], 'a 12-34 b'))", "34");
    expect(&h, "return re.match('b+', 'abbc')", "bb");
    expect(&h, "return re.match('x', 'abc')", "nil");
    expect(&h, "return re.match('(a)|(b)', 'b')", "false");
    expect(&h, "return table.concat({re.find('b+', 'abbc')}, ',')", "2,3");
    expect(&h, "return table.concat({re.find('b', 'abcb', 3)}, ',')", "4,4");
    expect(&h, "return table.concat({re.find('b', 'abcb', -1)}, ',')", "4,4");
    expect(&h, "return re.test('^\xc3\xbc$', '\xc3\xbc')", "true");
    expect(&h, "return re.compile('GR\xc3\x9cN', 'i'):test('gr\xc3\xbcn')", "true");
    expect(&h, "return re.captures([[(?<year>\\d{4})-(\\d\\d)]], 'on 2024-05').year", "2024");
    expect(&h, "local c = re.captures([[(?<year>\\d{4})-(\\d\\d)]], 'on 2024-05') return c[0] .. c[1] .. c[2]",
           "2024-05202405");
    expect(&h, "return re.escape 'a.b*c'", "a\\.b\\*c");
    expect(&h, "return re.test(re.escape 'a.b (c) #d', 'xa.b (c) #dx')", "true");
    harness_release(&h);
}

static void re_goes_on_after_a_match_and_after_an_empty_one(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "local t = {} for w in re.gmatch([[\\w+]], 'one two') do t[#t + 1] = w end return table.concat(t, '|')",
           "one|two");
    expect(&h, "local n = 0 for w in re.gmatch('x*', 'a\xc3\xbc') do n = n + 1 end return n", "3");
    expect(&h,
           "local t = {} for k, v in re.gmatch([[(\\w)=(\\w)]], 'a=1 b=2') do t[#t + 1] = v .. k end return "
           "table.concat(t)",
           "1a2b");
    expect(&h, "return re.gsub('(b)(c)', 'abcbc', '[$2$1$0$$]')", "a[cbbc$][cbbc$]");
    expect(&h, "return re.gsub('(?<x>b)', 'abc', '<${x}>')", "a<b>c");
    expect(&h, "return select(2, re.gsub('b', 'abcb', 'x'))", "2");
    expect(&h, "return re.gsub('b', 'abcb', 'x', 1)", "axcb");
    expect(&h, "return re.gsub('[bc]', 'abcb', {b = 'x'})", "axcx");
    expect(&h, "return re.gsub('[bc]', 'abc', function(s) return re.match('c', s) and s:upper() end)", "abC");
    expect(&h, "return re.gsub('', 'a\xc3\xbc', '-')", "-a-\xc3\xbc-");
    expect(&h, "return re.gsub('a', 'a', '$3')",
           "config.lua:1: the replacement names a group that the pattern does not have; a plain $ is $$");
    expect(&h, "return re.gsub('a', 'a', '${nope}')",
           "config.lua:1: the replacement names a group that the pattern does not have; a plain $ is $$");
    harness_release(&h);
}

static void re_says_what_is_wrong_with_a_pattern(void **state) {
    struct harness h;

    harness_init(&h);
    assert_non_null(strstr(harness_load(&h, "\nreturn re.test('(', 'x')"), "config.lua:2: "));
    assert_non_null(strstr(h.err.text, "parenthes"));
    expect(&h, "return re.compile('x', 'q')",
           "config.lua:1: unknown flag 'q': 'i' ignores case, others are written in the pattern, \"(?s)\"");
    expect(&h, "for i = 1, 1000 do assert(re.test('^' .. i .. '$', tostring(i))) end return 'ok'", "ok");
    harness_release(&h);
}

static void fault_62_an_exploding_pattern_in_a_function_is_an_error(void **state) {
    struct harness h;

    harness_init(&h);
    h.limits.regex_match = 5000;
    assert_int_equal(harness_rule(&h, NULL, "return function()\n return re.test('(a+)+$', ('a'):rep(200) .. 'b') end"),
                     VM_ERROR);
    assert_int_equal(h.err.line, 2);
    assert_int_equal(harness_rule(&h, NULL,
                                  "return function() local ok, e = pcall(re.test, '(*LIMIT_MATCH=1)x', 'x')\n"
                                  "assert(not ok) end"),
                     VM_DONE);
    harness_release(&h);
}

static void json_keeps_what_it_reads(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "return json.encode {b = 1, a = {1, 2.5, 'x', true, json.null}}",
           "{\"a\":[1,2.5,\"x\",true,null],\"b\":1}");
    expect(&h, "return json.encode(json.decode '{\"e\":[],\"o\":{},\"n\":null,\"i\":9007199254740993}')",
           "{\"e\":[],\"i\":9007199254740993,\"n\":null,\"o\":{}}");
    expect(&h, "return json.encode {}", "{}");
    expect(&h, "return json.encode(json.array())", "[]");
    expect(&h, "return json.encode(json.array {})", "[]");
    expect(&h, "return json.encode(0.1)", "0.1");
    expect(&h, "return json.encode('\\255\\0')", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    expect(&h, "return json.decode('\"a\\\\u0000b\"') == 'a\\0b'", "true");
    expect(&h, "return json.decode('null') == json.null", "true");
    expect(&h, "return tostring(json.null)", "null");
    harness_release(&h);
}

static void json_says_what_it_cannot_write_or_read(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "return json.encode {1, 2, x = 3}",
           "config.lua:1: the value cannot be JSON: it has a table that mixes a list with names, or a list with holes");
    expect(&h, "return json.encode {[3] = 1}",
           "config.lua:1: the value cannot be JSON: it has a table that mixes a list with names, or a list with holes");
    expect(&h, "return json.encode(print)",
           "config.lua:1: the value cannot be JSON: it has a value that is neither text, number, boolean nor table");
    expect(&h, "return json.encode(1/0)", "config.lua:1: the value cannot be JSON: it has a number that is not finite");
    expect(&h, "local t = {} t.t = t return json.encode(t)",
           "config.lua:1: the value cannot be JSON: it has nested deeper than 64 levels, or it contains itself");
    expect(&h, "local t = {} for i = 1, 60 do t = {t, t} end return json.encode(t)",
           "config.lua:1: the value cannot be JSON: it has more than 200,000 values");
    expect(&h, "local v, e = json.decode '{' return tostring(v) .. (e:match '^no valid JSON at line 1' or e)",
           "nilno valid JSON at line 1");
    expect(&h, "return (pcall(json.decode, ('['):rep(100) .. (']'):rep(100)))", "false");
    harness_release(&h);
}

static void dates_are_as_written_and_can_be_compared(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "local d = time.parse '2024-05-06T07:08:09+02:00' return d:year() .. d:month() .. d:day() .. d:hour()",
           "2024567");
    expect(&h, "return time.parse('2024-05-06T07:08:09+02:00'):utc()", "2024-05-06T05:08:09Z");
    expect(&h, "return time.parse('2024-05-06T07:08:09+02:00')", "2024-05-06T07:08:09+02:00");
    expect(&h, "return time.parse('2024-05-06').epoch", "1714953600");
    expect(&h, "local d, e = time.parse 'tomorrow' return tostring(d) .. e",
           "nilno date: RFC 3339 such as 2024-05-06T07:08:09Z, or 2024-05-06");
    expect(&h, "return time.parse('2024-05-06') < time.parse('2024-05-07')", "true");
    expect(&h, "return time.parse('2024-05-07') - time.parse('2024-05-06')", "86400");
    expect(&h, "return time.parse('2024-05-07') - '1d' + 60", "2024-05-06T00:01:00Z");
    expect(&h, "return time.parse('2024-05-06'):format '%G-W%V %d.%m.%y %%'", "2024-W19 06.05.24 %");
    expect(&h, "return time.format(0, '%Y')", "1970");
    expect(&h, "return time.duration '2h' + time.duration(5)", "7205.0");
    expect(&h, "return time.now().epoch", "1700000000");
    expect(&h, "return time.now():weekday()", "2");
    expect(&h, "return (pcall(time.format, 0, '%Q'))", "false");
    expect(&h, "return (pcall(time.format, 0, 'x%'))", "false");
    expect(&h, "return time.parse('2024-05-06').yeer", "config.lua:1: a date has no 'yeer'");
    harness_release(&h);
}

static void log_and_print_join_their_arguments(void **state) {
    struct harness h;

    harness_init(&h);
    harness_load(&h, "print('a', 1, nil) log.warn('b', true) log.error 'c' log.debug 'd' log.info 'e'");
    assert_string_equal(h.log->str, "3 a\t1\tnil\n1 b true\n0 c\n4 d\n3 e\n");
    harness_release(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(re_matches_as_string_does_but_with_pcre),
        cmocka_unit_test(re_goes_on_after_a_match_and_after_an_empty_one),
        cmocka_unit_test(re_says_what_is_wrong_with_a_pattern),
        cmocka_unit_test(fault_62_an_exploding_pattern_in_a_function_is_an_error),
        cmocka_unit_test(json_keeps_what_it_reads),
        cmocka_unit_test(json_says_what_it_cannot_write_or_read),
        cmocka_unit_test(dates_are_as_written_and_can_be_compared),
        cmocka_unit_test(log_and_print_join_their_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
