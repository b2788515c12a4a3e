/* What a script can reach, and what it cannot spoil for the next one. */
#include "tests/unit/rules/vm_harness.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

static void expect(struct harness *h, const char *source, const char *expected) {
    const char *got = harness_load(h, source);

    if (strcmp(got, expected) != 0) {
        fail_msg("%s\n gives    %s\n expected %s", source, got, expected);
    }
}

static void what_reaches_the_system_is_absent(void **state) {
    static const char *const names[] = {"io",       "os",   "package",    "debug", "dofile",
                                        "loadfile", "load", "loadstring", "arg"};
    struct harness h;

    harness_init(&h);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *source = g_strdup_printf("return (pcall(function() return %s end))", names[i]);
        expect(&h, source, "false");
    }
    expect(&h, "return string.dump", "nil");
    expect(&h, "return collectgarbage('count') > 0", "true");
    expect(&h, "return (pcall(collectgarbage, 'stop'))", "false");
    harness_release(&h);
}

static void an_unknown_global_is_an_error_with_the_nearest_name(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "\nreturn prnt", "config.lua:2: unknown name 'prnt'; did you mean 'print'?");
    expect(&h, "subject_prefix = 1 return subject_prefx",
           "config.lua:1: unknown name 'subject_prefx'; did you mean 'subject_prefix'?");
    harness_release(&h);
}

static void fault_61_shared_tables_cannot_be_poisoned(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "string.format = 1", "config.lua:1: string cannot be changed");
    expect(&h, "json.encode = 1", "config.lua:1: json cannot be changed");
    expect(&h, "return (pcall(rawset, string, 'format', 1))", "false");
    expect(&h, "return (pcall(table.insert, table, 1))", "false");
    expect(&h, "return (pcall(setmetatable, string, {}))", "false");
    expect(&h, "return getmetatable('')", "false");
    expect(&h, "return getmetatable(string)", "false");
    expect(&h, "return getmetatable(_G)", "false");
    expect(&h, "return (pcall(rawset, _G, 'print', 1))", "false");
    expect(&h, "print = 1", "config.lua:1: 'print' belongs to mailruled and cannot be replaced: use another name");
    expect(&h, "_G.print = 1", "config.lua:1: 'print' belongs to mailruled and cannot be replaced: use another name");
    expect(&h, "local f, t = pairs(string) return type(t)", "nil");
    expect(&h, "local f, t = pairs(string) f.x = 1", "config.lua:1: attempt to index a function value (local 'f')");
    expect(&h, "return ('x'):rep(3)", "xxx");
    expect(&h, "local n = 0 for k in pairs(string) do n = n + 1 end return n", "16");
    harness_release(&h);
}

static void a_type_of_ours_shows_no_metatable(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "return getmetatable(time.now())", "false");
    expect(&h, "return getmetatable(re.compile 'x')", "false");
    expect(&h, "return getmetatable(json.null)", "false");
    expect(&h, "return getmetatable(kv.space 'x')", "false");
    expect(&h, "return getmetatable(json.decode '[]')", "false");
    harness_release(&h);
}

static void globals_are_for_the_config_only(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "answer = 42 return answer", "42");
    assert_int_equal(harness_rule(&h, NULL, "return function() return answer end"), VM_DONE);
    vm_seal(h.vm);
    assert_int_equal(harness_rule(&h, NULL, "return function() answer = 43 end"), VM_ERROR);
    assert_string_equal(h.err.text,
                        "global 'answer' cannot be set while a rule runs: use a local, or kv to remember something");
    harness_release(&h);
}

static void pcall_and_xpcall_are_lua_s_for_ordinary_errors(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "return select('#', pcall(function() return 1, nil, nil end))", "4");
    expect(&h, "local ok, e = pcall(error, {code = 7}) return e.code", "7");
    expect(&h, "local ok, e = pcall(error) return tostring(ok) .. tostring(e)", "falsenil");
    expect(&h, "local ok, e = xpcall(function() error('x', 0) end, function(m) return m .. '!' end) return e", "x!");
    expect(&h, "return select('#', xpcall(function(...) return ... end, print, 1, 2, 3))", "4");
    expect(&h, "return (xpcall(function() local x = nil; x() end, function(m) error('again') end))", "false");
    expect(&h, "local t = {} setmetatable(t, {__index = function(_, k) return k .. 1 end}) return t.a", "a1");
    harness_release(&h);
}

static void coroutines_are_lua_s(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h,
           "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)\n"
           "return co(1) .. ' ' .. co(21)",
           "2 42");
    expect(&h,
           "local co = coroutine.create(function() error('x', 0) end)\n"
           "local ok, e = coroutine.resume(co) return tostring(ok) .. e .. coroutine.status(co)",
           "falsexdead");
    expect(&h,
           "local co = coroutine.create(function() end) coroutine.resume(co)\n"
           "local ok, e = coroutine.resume(co) return e",
           "cannot resume dead coroutine");
    expect(&h,
           "local co co = coroutine.create(function() return coroutine.resume(co) end)\n"
           "local _, ok, e = coroutine.resume(co) return e",
           "cannot resume non-suspended coroutine");
    expect(&h,
           "local closed = 0 local co = coroutine.create(function() local x <close> = setmetatable({}, {__close =\n"
           "function() closed = 1 end}) coroutine.yield() end) coroutine.resume(co) coroutine.close(co) return closed",
           "1");
    expect(&h, "return coroutine.yield(1)", "config.lua:1: attempt to yield from outside a coroutine");
    assert_int_equal(harness_rule(&h, NULL, "return function() coroutine.yield(1) end"), VM_ERROR);
    assert_string_equal(h.err.text, "attempt to yield from outside a coroutine");
    harness_release(&h);
}

static void an_error_says_where_and_is_one_line(void **state) {
    struct harness h;

    harness_init(&h);
    expect(&h, "local x = 1\nlocal y = x.z.w", "config.lua:2: attempt to index a number value (local 'x')");
    expect(&h, "local function f() error('bad', 2) end\nlocal x\nf()", "config.lua:3: bad");
    expect(&h, "error('a\\nb\\27[1m', 0)", "config.lua:1: a\\nb\\x1b[1m");
    expect(&h, "error({})", "config.lua:1: error with a table value");
    expect(&h, "local x = = 1", "config.lua:1: unexpected symbol near '='");
    expect(&h, "error('elsewhere.lua:12: text', 0)", "elsewhere.lua:12: text");
    harness_release(&h);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static char *make_folder(void) {
    g_autofree char *template = g_strdup("/tmp/mailruled-vm-XXXXXX");
    char *folder = g_mkdtemp(g_steal_pointer(&template));

    assert_non_null(folder);
    return folder;
}

static void write_file(const char *folder, const char *name, const char *data, gssize len) {
    g_autofree char *path = g_build_filename(folder, name, NULL), *parent = g_path_get_dirname(path);

    assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
    assert_true(g_file_set_contents(path, data, len, NULL));
}

static void remove_folder(char *folder) {
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", folder);

    assert_int_equal(system(command), 0);
    g_free(folder);
}

static void require_finds_files_below_the_config_only(void **state) {
    struct harness h;
    char *outer = make_folder();
    g_autofree char *folder = g_build_filename(outer, "config", NULL),
                    *link = g_build_filename(folder, "link.lua", NULL);

    write_file(outer, "outside.lua", "return 1", -1);
    write_file(folder, "lib/tools.lua", "loads = (rawget(_G, 'x') or 0) + 1 return {answer = 42}", -1);
    write_file(folder, "broken.lua", "local x\nx()", -1);
    write_file(folder, "one.lua", "return require 'two'", -1);
    write_file(folder, "two.lua", "return require 'one'", -1);
    write_file(folder, "code.lua", "\x1bLua\x54\x00\x19\x93", 8);
    write_file(folder, "bom.lua", "\xef\xbb\xbf#!/usr/bin/lua\nreturn 7", -1);
    assert_int_equal(symlink("../outside.lua", link), 0);
    harness_init_at(&h, folder);
    expect(&h, "return require('lib.tools').answer", "42");
    expect(&h, "return require 'lib.tools' == require 'lib.tools'", "true");
    expect(&h, "return require 'bom'", "7");
    expect(&h, "\nreturn require 'link'", "config.lua:2: link.lua is outside the folder of the config");
    expect(&h, "return require '../outside'",
           "config.lua:1: '../outside' is no module name: letters, digits, '_', '-', and '.' between folders");
    expect(&h, "return require 'missing'", "config.lua:1: missing.lua: No such file or directory");
    expect(&h, "return require 'broken'", "broken.lua:2: attempt to call a nil value (local 'x')");
    expect(&h, "return require 'one'", "two.lua:1: 'one' requires itself");
    expect(&h, "return require 'code'", "code.lua:0: attempt to load a binary chunk (mode is 't')");
    harness_release(&h);
    remove_folder(outer);
}

static void fault_61_bytecode_is_refused_as_file_and_as_text(void **state) {
    struct harness h;
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "x.luac", NULL);
    struct vm_error err = {0};

    write_file(folder, "x.luac", "\x1bLua\x54\x00\x19\x93\r\n\x1a\n", 12);
    harness_init_at(&h, folder);
    assert_false(vm_run_file(vm_state(h.vm), path, "x.luac", &err));
    assert_non_null(strstr(err.text, "binary chunk"));
    assert_string_equal(err.file, "x.luac");
    vm_error_clear(&err);
    expect(&h, "\x1bLua\x54", "config.lua:0: attempt to load a binary chunk (mode is 't')");
    harness_release(&h);
    remove_folder(folder);
}

static void the_shipped_library_has_a_name_of_its_own(void **state) {
    struct harness h;
    char *folder = make_folder();

    write_file(folder, "extra.lua", "return 'shipped'", -1);
    g_setenv("MAILRULED_LIBDIR", folder, TRUE);
    harness_init_at(&h, "/nonexistent");
    expect(&h, "return require 'mailruled.extra'", "shipped");
    vm_seal(h.vm);
    assert_int_equal(harness_rule(&h, NULL, "return function() return require 'mailruled.extra' end"), VM_DONE);
    assert_int_equal(harness_rule(&h, NULL, "return function() return require 'mailruled.other' end"), VM_ERROR);
    assert_string_equal(h.err.text, "require 'mailruled.other' while a rule runs: do it at the top of the file");
    harness_release(&h);
    g_unsetenv("MAILRULED_LIBDIR");
    remove_folder(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_reaches_the_system_is_absent),
        cmocka_unit_test(an_unknown_global_is_an_error_with_the_nearest_name),
        cmocka_unit_test(fault_61_shared_tables_cannot_be_poisoned),
        cmocka_unit_test(a_type_of_ours_shows_no_metatable),
        cmocka_unit_test(globals_are_for_the_config_only),
        cmocka_unit_test(pcall_and_xpcall_are_lua_s_for_ordinary_errors),
        cmocka_unit_test(coroutines_are_lua_s),
        cmocka_unit_test(an_error_says_where_and_is_one_line),
        cmocka_unit_test(require_finds_files_below_the_config_only),
        cmocka_unit_test(fault_61_bytecode_is_refused_as_file_and_as_text),
        cmocka_unit_test(the_shipped_library_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
