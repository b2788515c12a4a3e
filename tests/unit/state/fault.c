/* Disks that are full, broken or read-only at any point: nothing half done, nothing lost, and it goes on. */
#include "scenario.h"

#include "faulty_vfs.h"

#include <signal.h>
#include <sys/resource.h>

static const int codes[] = {SQLITE_FULL, SQLITE_READONLY, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};

/* In the child: runs until the first step that fails and leaves at once, as if killed there. */
static void run_until_failure(struct fixture *f, struct faulty *v, int at, int code) {
    int step = 0;

    faulty_install(v);
    if (try_open(f)) {
        _exit(99);
    }
    faulty_arm(v, at, code, true);
    while (step < SCENARIO_STEPS && scenario_step(f, step)) {
        step++;
    }
    if (step < SCENARIO_STEPS && f->a.code != ERROR_IO) {
        _exit(98);
    }
    _exit(step);
}

/* How many steps succeeded until the at-th write failed. */
static int fail_in_child(struct fixture *f, int at, int code) {
    struct faulty v;
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        run_until_failure(f, &v, at, code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void fault_54_a_write_that_fails_and_then_a_crash_leave_what_was_before_or_after(void **state_in) {
    char *expected[SCENARIO_STEPS + 1];
    struct fixture *whole = fixture_new();

    must_open(whole);
    scenario_expect(whole, expected);
    fixture_free(whole); /* its thread must not be there when this process forks */
    for (size_t c = 0; c < G_N_ELEMENTS(codes); c += 2) { /* what the code is makes no difference to a crash */
        int done = 0;
        for (int at = 1; done < SCENARIO_STEPS; at += 2 + (at > 20 ? 7 : 0)) {
            struct fixture *f = fixture_new();
            done = fail_in_child(f, at, codes[c]);
            assert_in_range(done, 0, SCENARIO_STEPS);
            must_open(f);
            g_autofree char *found = scenario_snapshot(f);
            bool before = strcmp(found, expected[done]) == 0;
            bool after = done < SCENARIO_STEPS && strcmp(found, expected[done + 1]) == 0;
            if (!before && !after) {
                fail_msg("failure %d at write %d: after step %d\n%s", codes[c], at, done, found);
            }
            fixture_free(f);
        }
    }
    scenario_free(expected);
}

static int install(void **state_out) {
    struct faulty *v = g_new0(struct faulty, 1);

    faulty_install(v);
    *state_out = v;
    return 0;
}

static int uninstall(void **state_in) {
    faulty_uninstall(*state_in);
    g_free(*state_in);
    return 0;
}

static void fault_54_when_space_returns_it_goes_on_where_it_was(void **state_in) {
    char *expected[SCENARIO_STEPS + 1];
    struct fixture *whole = fixture_new();
    struct faulty *v = *state_in;
    bool failed = true;

    must_open(whole);
    scenario_expect(whole, expected);
    fixture_free(whole); /* its thread must not be there when this process forks */
    for (size_t c = 0; c < G_N_ELEMENTS(codes); c++, failed = true) {
        for (int at = 1; failed; at += 1 + (at > 12 ? 10 : 0)) {
            struct fixture *f = fixture_new();
            must_open(f);
            faulty_arm(v, at, codes[c], true);
            failed = false;
            for (int step = 0; step < SCENARIO_STEPS; step++) {
                if (!scenario_step(f, step)) {
                    assert_int_equal(f->a.code, ERROR_IO);
                    failed = true;
                    faulty_disarm(v);
                    g_autofree char *found = scenario_snapshot(f);
                    assert_string_equal(found, expected[step]);
                    assert_true(scenario_step(f, step));
                }
            }
            faulty_disarm(v);
            reopen(f);
            g_autofree char *end = scenario_snapshot(f);
            assert_string_equal(end, expected[SCENARIO_STEPS]);
            fixture_free(f);
        }
    }
    scenario_free(expected);
}

static void fault_54_opening_survives_any_failure(void **state_in) {
    struct fixture *f = fixture_new();
    struct faulty *v = *state_in;
    bool failed = true;

    must_open(f);
    assert_true(scenario_step(f, 0));
    g_autofree char *expected = scenario_snapshot(f);
    state_close(f->st);
    for (int at = 1; failed; at++) {
        error *err;
        faulty_arm(v, at, SQLITE_FULL, true);
        err = try_open(f);
        failed = err != NULL;
        faulty_disarm(v);
        if (err) {
            assert_int_equal(err->code, ERROR_IO);
            error_free(err);
            must_open(f);
        }
        g_autofree char *found = scenario_snapshot(f);
        assert_string_equal(found, expected);
        state_close(f->st);
        f->st = NULL;
    }
    fixture_free(f);
}

static void fault_54_a_new_state_that_could_not_be_made_can_be_made_later(void **state_in) {
    struct faulty *v = *state_in;
    bool failed = true;

    for (int at = 1; failed; at += 3) {
        struct fixture *f = fixture_new();
        error *err;
        faulty_arm(v, at, SQLITE_FULL, true);
        err = try_open(f);
        failed = err != NULL;
        faulty_disarm(v);
        if (err) {
            assert_int_equal(err->code, ERROR_IO);
            error_free(err);
            must_open(f);
        }
        assert_true(scenario_step(f, 0));
        fixture_free(f);
    }
}

static void fault_54_closing_on_a_broken_disk_loses_nothing(void **state_in) {
    struct faulty *v = *state_in;

    for (int at = 1; at < 24; at++) { /* each call once failing once, and once for good */
        struct fixture *f = fixture_new();
        must_open(f);
        assert_true(scenario_step(f, 0));
        g_autofree char *expected = scenario_snapshot(f);
        faulty_arm(v, at / 2 + 1, SQLITE_IOERR_WRITE, at % 2);
        state_close(f->st);
        faulty_disarm(v);
        must_open(f);
        g_autofree char *found = scenario_snapshot(f);
        assert_string_equal(found, expected);
        fixture_free(f);
    }
}

static void a_failed_transaction_fails_its_whole_batch(void **state_in) {
    struct fixture *f = fixture_new();
    struct state_stats stats;
    struct faulty *v = *state_in;

    must_open(f);
    faulty_arm(v, 1, SQLITE_FULL, true);
    ASK(f, state_kv_set(f->st, "r", "a", "v", 1, 0, on_done, f));
    assert_int_equal(f->a.code, ERROR_IO);
    assert_non_null(strstr(f->a.text, "full"));
    state_get_stats(f->st, &stats);
    assert_true(stats.failing);
    assert_int_equal(stats.failed_commits, 1);
    MUST(f, state_kv_get(f->st, "r", "a", on_value, f)); /* reading needs no space */
    assert_false(f->a.found);
    state_get_stats(f->st, &stats);
    assert_true(stats.failing);
    faulty_disarm(v);
    MUST(f, state_kv_set(f->st, "r", "b", "v", 1, 0, on_done, f));
    state_get_stats(f->st, &stats);
    assert_false(stats.failing);
    fixture_free(f);
}

/* In the child: a whole life, from opening to closing, each step reported by a byte. */
static void live(struct fixture *f, int kill_at, int report) {
    struct faulty v;

    faulty_install(&v);
    faulty_arm(&v, kill_at, FAULTY_KILL, false);
    if (try_open(f)) {
        _exit(1);
    }
    for (int i = 0; i < SCENARIO_STEPS; i++) {
        if (!scenario_step(f, i) || write(report, "x", 1) != 1) {
            _exit(1);
        }
    }
    state_close(f->st);
    _exit(0);
}

/* How many steps were reported before it died; false if it did not. */
static bool live_and_die(struct fixture *f, int kill_at, int *done_out) {
    int report[2], status;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(report), 0);
    pid = fork();
    if (pid == 0) {
        live(f, kill_at, report[1]);
    }
    close(report[1]);
    for (*done_out = 0; read(report[0], &byte, 1) == 1; ++*done_out) {
    }
    close(report[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

static void fault_54_killed_at_any_write_also_while_opening_and_folding_the_log_in(void **state_in) {
    char *expected[SCENARIO_STEPS + 1];
    struct fixture *whole = fixture_new();
    bool killed = true;

    must_open(whole);
    scenario_expect(whole, expected);
    fixture_free(whole); /* its thread must not be there when this process forks */
    for (int at = 1; killed; at += 1 + (at > 24 ? 4 : 0)) {
        struct fixture *f = fixture_new();
        int done;
        must_open(f);
        state_close(f->st);
        f->st = NULL;
        killed = live_and_die(f, at, &done);
        must_open(f);
        g_autofree char *found = scenario_snapshot(f);
        if (strcmp(found, expected[done]) != 0 && strcmp(found, expected[MIN(done + 1, SCENARIO_STEPS)]) != 0) {
            fail_msg("killed at write %d, after step %d:\n%s", at, done, found);
        }
        fixture_free(f);
    }
    scenario_free(expected);
}

/* A real limit: the kernel refuses the write. */
static void fault_54_a_file_size_limit_is_an_error_and_no_more(void **state_in) {
    struct fixture *f = fixture_new();
    struct rlimit before, small;
    bool failed = false;

    must_open(f);
    g_autofree char *value = g_malloc0(1 << 20);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 8 && !failed; i++) {
        char key[8];
        g_snprintf(key, sizeof key, "k%d", i);
        ASK(f, state_kv_set(f->st, "r", key, value, 1 << 20, 0, on_done, f));
        failed = f->a.code == ERROR_IO;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(failed);
    MUST(f, state_kv_set(f->st, "r", "after", "v", 1, 0, on_done, f));
    reopen(f);
    MUST(f, state_kv_get(f->st, "r", "after", on_value, f));
    assert_true(f->a.found);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_54_a_write_that_fails_and_then_a_crash_leave_what_was_before_or_after),
        cmocka_unit_test_setup_teardown(fault_54_when_space_returns_it_goes_on_where_it_was, install, uninstall),
        cmocka_unit_test_setup_teardown(fault_54_opening_survives_any_failure, install, uninstall),
        cmocka_unit_test_setup_teardown(fault_54_a_new_state_that_could_not_be_made_can_be_made_later, install,
                                        uninstall),
        cmocka_unit_test_setup_teardown(fault_54_closing_on_a_broken_disk_loses_nothing, install, uninstall),
        cmocka_unit_test_setup_teardown(a_failed_transaction_fails_its_whole_batch, install, uninstall),
        cmocka_unit_test(fault_54_killed_at_any_write_also_while_opening_and_folding_the_log_in),
        cmocka_unit_test(fault_54_a_file_size_limit_is_an_error_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
