/* Whatever a rule's function does: it ends, and nothing in Lua can stop that. */
#include "tests/unit/rules/vm_harness.h"

static void expect_blown(const char *source, enum vm_blown blown) {
    struct harness h;
    const char *expected = blown == VM_BLOWN_MEMORY ? "memory budget exceeded" : "instruction budget exceeded";

    harness_init(&h);
    enum vm_status status = harness_rule(&h, NULL, source);
    if (status != VM_ERROR || h.err.blown != blown) {
        fail_msg("expected '%s', got status %d, '%s' for: %s", expected, status, h.err.text, source);
    }
    assert_string_equal(h.err.text, expected);
    assert_int_equal(harness_rule(&h, NULL, "return function() local t = {} for i = 1, 100 do t[i] = i end end"),
                     VM_DONE);
    harness_release(&h);
}

static void fault_61_an_endless_loop_ends_with_its_file_and_line(void **state) {
    struct harness h;

    harness_init(&h);
    assert_int_equal(harness_rule(&h, NULL, "return function()\n  local i = 0\n  while true do i = i + 1 end\nend"),
                     VM_ERROR);
    assert_string_equal(h.err.file, "config.lua");
    assert_int_equal(h.err.line, 3);
    assert_string_equal(h.err.text, "instruction budget exceeded");
    assert_non_null(strstr(h.err.traceback, "config.lua:3:"));
    harness_release(&h);
}

static void fault_61_an_endless_loop_ends_while_the_config_loads(void **state) {
    struct harness h;

    harness_init(&h);
    assert_string_equal(harness_load(&h, "local x\nwhile true do x = pcall(function() while true do end end) end"),
                        "config.lua:2: instruction budget exceeded");
    harness_release(&h);
}

static void fault_61_pcall_does_not_swallow_the_budget(void **state) {
    expect_blown("return function() while true do pcall(function() while true do end end) end end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() pcall(function() while true do end end) return 'went on' end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() pcall(pcall, function() while true do end end) return 'went on' end",
                 VM_BLOWN_INSTRUCTIONS);
}

static void fault_61_an_xpcall_handler_does_not_run_on(void **state) {
    expect_blown("return function() xpcall(function() while true do end end, function() while true do end end) end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() xpcall(error, function() while true do end end) return 'went on' end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() xpcall(function() while true do end end, function(e) return e end) return 1 end",
                 VM_BLOWN_INSTRUCTIONS);
}

static void fault_61_a_coroutine_has_no_budget_of_its_own(void **state) {
    expect_blown("return function() while true do local co = coroutine.create(function() while true do end end)\n"
                 "coroutine.resume(co) end end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() pcall(coroutine.wrap(function() while true do end end)) return 'went on' end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() while true do coroutine.wrap(function() for i = 1, 50 do end end)() end end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown(
        "local co\nreturn function() co = coroutine.create(function() local x <close> = setmetatable({}, {__close ="
        "function() while true do end end}) while true do end end)\n"
        "pcall(coroutine.resume, co) coroutine.close(co) return 'went on' end",
        VM_BLOWN_INSTRUCTIONS);
}

static void fault_61_a_close_handler_does_not_run_on(void **state) {
    expect_blown("return function() local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
                 "while true do end end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() pcall(function() local x <close> = setmetatable({}, {__close = function()\n"
                 "while true do end end}) while true do end end) return 'went on' end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown(
        "return function() coroutine.wrap(function() local x <close> = setmetatable({}, {__close = function()\n"
        "while true do end end}) error('x') end)() end",
        VM_BLOWN_INSTRUCTIONS);
}

static void fault_61_a_finalizer_cannot_be_set(void **state) {
    struct harness h;

    harness_init(&h);
    assert_int_equal(harness_rule(&h, NULL,
                                  "return function()\n"
                                  "setmetatable({}, {__gc = function() while true do end end}) end"),
                     VM_ERROR);
    assert_string_equal(h.err.text, "__gc is not available to rules");
    assert_int_equal(h.err.line, 2);
    /* added later it is never called: Lua looks once, when the metatable is set */
    assert_int_equal(harness_rule(&h, NULL,
                                  "return function() local mt = {} local t = setmetatable({}, mt)\n"
                                  "mt.__gc = function() while true do end end t = nil\n"
                                  "for i = 1, 20000 do local x = {{}, {}} end end"),
                     VM_DONE);
    harness_release(&h);
}

static void fault_61_a_gigabyte_string_is_refused_and_pcall_does_not_help(void **state) {
    expect_blown("return function() return ('x'):rep(1000000000) end", VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() return ('0123456789'):rep(10000000) end", VM_BLOWN_MEMORY);
    expect_blown("return function() return ('x'):rep(1000, ('y'):rep(100000)) end", VM_BLOWN_MEMORY);
    expect_blown("return function() local s = 'x' while true do s = s .. s end end", VM_BLOWN_MEMORY);
    expect_blown(
        "return function() while true do pcall(function() local s = 'x' while true do s = s .. s end end) end end",
        VM_BLOWN_MEMORY);
    expect_blown("return function() pcall(function() local s = 'x' while true do s = s .. s end end) return 1 end",
                 VM_BLOWN_MEMORY);
    expect_blown("return function() pcall(string.rep, ('x'):rep(1000000), 1000) return 1 end", VM_BLOWN_MEMORY);
    expect_blown("return function() pcall(table.concat, setmetatable({}, {__len = function() return 100000 end,\n"
                 "__index = function() return ('x'):rep(10000) end})) return 1 end",
                 VM_BLOWN_MEMORY);
}

static void fault_61_a_table_that_grows_for_ever_is_stopped(void **state) {
    expect_blown("return function() local t = {} for i = 1, 1e9 do t[i] = {i} end end", VM_BLOWN_MEMORY);
    expect_blown("return function() local t = {} pcall(function() for i = 1, 1e9 do t[i] = {i} end end) return #t end",
                 VM_BLOWN_MEMORY);
    expect_blown("return function() local t = {} coroutine.wrap(function() for i = 1, 1e9 do t[i] = {i} end end)() end",
                 VM_BLOWN_MEMORY);
    expect_blown("return function() xpcall(function() local t = {} for i = 1, 1e9 do t[i] = {i} end end, print) end",
                 VM_BLOWN_MEMORY);
}

static void fault_61_work_in_c_is_charged(void **state) {
    expect_blown("return function() return (''):rep(1 << 60) end", VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() return table.move({}, 1, 1 << 60, 2) end", VM_BLOWN_INSTRUCTIONS);
}

static void fault_61_deep_recursion_is_an_error_of_its_rule(void **state) {
    struct harness h;

    harness_init(&h);
    h.limits.lua_memory = 256u << 20;
    assert_int_equal(harness_rule(&h, NULL, "local function f(n) return 1 + f(n + 1) end return function() f(1) end"),
                     VM_ERROR);
    assert_non_null(strstr(h.err.text, "stack overflow"));
    assert_int_equal(h.err.blown, VM_BLOWN_NOTHING);
    assert_int_equal(harness_rule(&h, NULL,
                                  "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) "
                                  "return t[k] end return function() return t.x end"),
                     VM_ERROR);
    assert_non_null(strstr(h.err.text, "stack overflow"));
    assert_int_equal(harness_rule(&h, NULL,
                                  "return function() local s = '' for i = 1, 300 do "
                                  "s = 'x' end return pcall(function() local function f() return "
                                  "pcall(f) end f() end) end"),
                     VM_DONE);
    assert_int_equal(harness_rule(&h, NULL, "local function f() coroutine.wrap(f)() end return f"), VM_ERROR);
    harness_release(&h);
}

static void fault_61_callbacks_of_c_functions_are_stopped_too(void **state) {
    expect_blown("return function() pcall(string.gsub, 'x', 'x', function() while true do end end) return 1 end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() local t = {} for i = 1, 100 do t[i] = i end\n"
                 "pcall(table.sort, t, function(a, b) while true do end end) return 1 end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown(
        "return function() return tostring(setmetatable({}, {__tostring = function() while true do end end})) end",
        VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() local co = {} for i = 1, 1e7 do co[i] = coroutine.create(print) end end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("return function() error(setmetatable({}, {__tostring = function() return 'x' end, __close = 1,\n"
                 "__index = function() while true do end end}).x) end",
                 VM_BLOWN_INSTRUCTIONS);
    expect_blown("local f f = function() return xpcall(f, function() while true do end end) end return function() f()\n"
                 "while true do end end",
                 VM_BLOWN_INSTRUCTIONS);
}

static void a_budget_is_one_for_all_slices_of_a_thread(void **state) {
    struct harness h;
    rules_job job = {0};

    harness_init(&h);
    struct vm_thread *one = harness_thread(&h, &job, "return function() for i = 1, 1e9 do end end");
    struct vm_thread *other = harness_thread(&h, &job,
                                             "return function() local n = 0 for i = 1, 1e5 do n = n + i end "
                                             "return n end");
    assert_int_equal(vm_thread_resume(one, 0, &h.err), VM_ERROR);
    vm_error_clear(&h.err);
    assert_int_equal(vm_thread_resume(other, 0, &h.err), VM_DONE);
    assert_int_equal(lua_tointeger(vm_thread_stack(other), -1), 5000050000);
    vm_thread_free(one);
    vm_thread_free(other);
    harness_release(&h);
}

static void hoarding_taints_the_vm_and_garbage_does_not(void **state) {
    struct harness h;

    harness_init(&h);
    harness_load(&h, "hoard = {}");
    vm_seal(h.vm);
    struct vm_thread *thread;
    assert_int_equal(harness_rule(&h, NULL, "return function() for i = 1, 20 do local s = ('x'):rep(500000) end end"),
                     VM_DONE);
    assert_false(vm_tainted(h.vm));
    thread = harness_thread(&h, NULL, "return function() for i = 1, 20 do hoard[i] = ('x'):rep(500000) .. i end end");
    assert_int_equal(vm_thread_resume(thread, 0, &h.err), VM_DONE);
    vm_thread_free(thread);
    assert_true(vm_tainted(h.vm));
    harness_release(&h);
}

static void a_rule_that_logs_without_end_is_cut_short(void **state) {
    struct harness h;
    unsigned lines = 0;

    harness_init(&h);
    assert_int_equal(harness_rule(&h, NULL, "return function() for i = 1, 5000 do print(i) end end"), VM_DONE);
    for (const char *p = strchr(h.log->str, '\n'); p; p = strchr(p + 1, '\n')) {
        lines++;
    }
    assert_int_equal(lines, VM_LOG_LINES + 1);
    assert_non_null(strstr(h.log->str, "1 this rule logs too much"));
    harness_release(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_61_an_endless_loop_ends_with_its_file_and_line),
        cmocka_unit_test(fault_61_an_endless_loop_ends_while_the_config_loads),
        cmocka_unit_test(fault_61_pcall_does_not_swallow_the_budget),
        cmocka_unit_test(fault_61_an_xpcall_handler_does_not_run_on),
        cmocka_unit_test(fault_61_a_coroutine_has_no_budget_of_its_own),
        cmocka_unit_test(fault_61_a_close_handler_does_not_run_on),
        cmocka_unit_test(fault_61_a_finalizer_cannot_be_set),
        cmocka_unit_test(fault_61_a_gigabyte_string_is_refused_and_pcall_does_not_help),
        cmocka_unit_test(fault_61_a_table_that_grows_for_ever_is_stopped),
        cmocka_unit_test(fault_61_work_in_c_is_charged),
        cmocka_unit_test(fault_61_deep_recursion_is_an_error_of_its_rule),
        cmocka_unit_test(fault_61_callbacks_of_c_functions_are_stopped_too),
        cmocka_unit_test(a_budget_is_one_for_all_slices_of_a_thread),
        cmocka_unit_test(hoarding_taints_the_vm_and_garbage_does_not),
        cmocka_unit_test(a_rule_that_logs_without_end_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
