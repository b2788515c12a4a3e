/* Killed around every commit: what was reported is there, what was begun is there wholly or not at all. */
#include "scenario.h"

#include <signal.h>

struct killer {
    int countdown;
};

static void kill_at(void *user, const char *name) {
    struct killer *k = user;

    if (--k->countdown == 0) {
        kill(getpid(), SIGKILL);
    }
}

/* In the child: the steps from `from` on, each reported by a byte once it was answered. */
static void run_child(struct fixture *f, int from, int kill_after, int report) {
    struct killer k = {.countdown = kill_after};

    if (try_open(f)) {
        _exit(1);
    }
    state_set_step_hook(f->st, kill_at, &k);
    for (int i = from; i < SCENARIO_STEPS; i++) {
        if (!scenario_step(f, i) || write(report, "x", 1) != 1) {
            _exit(1);
        }
    }
    state_close(f->st);
    _exit(0);
}

/* Returns how many steps were reported; *killed_out whether the child died of it. */
static int run_and_kill(struct fixture *f, int from, int kill_after, bool *killed_out) {
    int pipe_fds[2], status, reported = 0;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    if (pid == 0) {
        close(pipe_fds[0]);
        run_child(f, from, kill_after, pipe_fds[1]);
    }
    close(pipe_fds[1]);
    while (read(pipe_fds[0], &byte, 1) == 1) {
        reported++;
    }
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *killed_out = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    assert_true(*killed_out || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return reported;
}

static void fault_53_killed_around_any_commit_it_resumes_where_it_was(void **state_in) {
    struct fixture *whole = fixture_new();
    char *expected[SCENARIO_STEPS + 1];

    must_open(whole);
    scenario_expect(whole, expected);
    fixture_free(whole); /* its thread must not be there when this process forks */
    for (int kill_after = 1; kill_after <= 2 * SCENARIO_STEPS; kill_after++) {
        struct fixture *f = fixture_new();
        bool killed;
        int done = run_and_kill(f, 0, kill_after, &killed);
        assert_true(killed);
        must_open(f);
        assert_false(state_was_clean(f->st));
        g_autofree char *after = scenario_snapshot(f);
        /* odd: killed before the commit of the next step; even: after it, before it was reported */
        int durable = done + (kill_after % 2 == 0);
        assert_int_equal(durable, kill_after / 2);
        assert_string_equal(after, expected[durable]);
        state_close(f->st);
        f->st = NULL;
        run_and_kill(f, durable, 1000, &killed);
        assert_false(killed);
        must_open(f);
        assert_true(state_was_clean(f->st));
        g_autofree char *end = scenario_snapshot(f);
        assert_string_equal(end, expected[SCENARIO_STEPS]);
        fixture_free(f);
    }
    scenario_free(expected);
}

/* --- two instances ------------------------------------------------------------------------------------------------ */

static void fault_56_a_second_instance_is_refused_and_told_who_has_it(void **state_in) {
    struct fixture *f = fixture_new();
    int ready[2];
    char byte, pid_text[32];
    error *err;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        if (!try_open(f) && write(ready[1], "x", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    err = try_open(f);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_STATE);
    g_snprintf(pid_text, sizeof pid_text, "process %d", (int)pid);
    assert_non_null(strstr(err->text, pid_text));
    assert_null(f->st);
    error_free(err);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    must_open(f); /* the lock died with it */
    close(ready[0]);
    close(ready[1]);
    fixture_free(f);
}

static void files_are_for_their_owner_only(void **state_in) {
    static const char *const names[] = {"journal.db", "journal.db-wal", "lock"};
    struct fixture *f = fixture_new();
    struct stat st;
    mode_t before = umask(0);

    rmdir(f->dir);
    must_open(f);
    umask(before);
    assert_int_equal(stat(f->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(f->dir, names[i], NULL);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_53_killed_around_any_commit_it_resumes_where_it_was),
        cmocka_unit_test(fault_56_a_second_instance_is_refused_and_told_who_has_it),
        cmocka_unit_test(files_are_for_their_owner_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
