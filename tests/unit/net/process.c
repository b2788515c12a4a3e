#include "net/process.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct world {
    clock_source clock;
    event_loop *loop;
    process *child;
    bool exited;
    int status, signum;
    bool captured;
    char *out;
    size_t len;
    error *err;
} world;

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    alarm(60);
    clock_init_fake(&w->clock, 0);
    assert_null(loop_new(&w->clock, &w->loop));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;

    process_free(w->child);
    loop_free(w->loop);
    g_free(w->out);
    error_free(w->err);
    g_free(w);
    return 0;
}

static void on_exit_(void *user, int status, int signum) {
    world *w = user;

    w->exited = true;
    w->status = status;
    w->signum = signum;
    g_clear_pointer(&w->child, process_free);
}

static void spawn(world *w, const process_options *options) {
    assert_null(process_spawn(w->loop, options, on_exit_, w, &w->child));
    assert_true(process_pid(w->child) > 0);
}

static void wait_exit(world *w) {
    while (!w->exited) {
        loop_turn(w->loop, true);
    }
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void the_exit_status_is_reported(void **state) {
    world *w = *state;

    spawn(w, &(process_options){.argv = SH("exit 7")});
    wait_exit(w);
    assert_int_equal(w->status, 7);
    assert_int_equal(w->signum, 0);
}

static void a_killed_child_reports_its_signal(void **state) {
    world *w = *state;

    spawn(w, &(process_options){.argv = SH("exec sleep 1000")});
    process_kill(w->child, SIGTERM);
    wait_exit(w);
    assert_int_equal(w->status, -1);
    assert_int_equal(w->signum, SIGTERM);
}

static void descriptors_are_handed_over_in_order_and_no_others(void **state) {
    world *w = *state;
    int a[2], b[2], stray;
    char text[64] = "";
    const char *const env[] = {"PATH=/usr/bin:/bin", "ONLY=this", NULL};

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    stray = open("/dev/null", O_RDONLY | O_CLOEXEC);
    spawn(w, &(process_options){
                 .argv = SH("echo \"$ONLY$HOME\" >&3; echo four >&4; "
                            "for f in 5 6 7 8 9; do test -e /dev/fd/$f && exit 1; done; read x && exit 2; exit 0"),
                 .env = env, .fds = {a[1], b[1]}, .fd_count = 2});
    close(a[1]);
    close(b[1]);
    wait_exit(w);
    assert_int_equal(w->status, 0);
    assert_int_equal(read(a[0], text, sizeof text), 5);
    assert_memory_equal(text, "this\n", 5);
    assert_int_equal(read(b[0], text, sizeof text), 5);
    assert_memory_equal(text, "four\n", 5);
    close(a[0]);
    close(b[0]);
    close(stray);
}

static void what_cannot_be_run_is_an_error_at_once(void **state) {
    world *w = *state;
    const char *const argv[] = {"/nonexistent/program", NULL};
    g_autoptr(error) err = process_spawn(w->loop, &(process_options){.argv = argv}, on_exit_, w, &w->child);

    assert_non_null(err);
    assert_int_equal(err->code, ERROR_IO);
    assert_non_null(strstr(err->text, "/nonexistent/program"));
    assert_null(w->child);
}

static void freeing_a_running_child_kills_and_reaps_it(void **state) {
    world *w = *state;
    pid_t pid;

    spawn(w, &(process_options){.argv = SH("exec sleep 1000")});
    pid = process_pid(w->child);
    g_clear_pointer(&w->child, process_free);
    while (loop_turn(w->loop, true)) {
    }
    assert_false(w->exited);
    assert_int_equal(kill(pid, 0), -1);
}

/* --- capture ---------------------------------------------------------------------------------------------------- */

static void on_captured(void *user, const char *out, size_t len, error *err) {
    world *w = user;

    w->captured = true;
    w->out = out ? g_memdup2(out, len + 1) : NULL;
    w->len = len;
    w->err = err;
}

static void capture(world *w, const char *script, size_t max) {
    process_capture *c;

    assert_null(process_capture_start(w->loop, SH(script), 10000, max, on_captured, w, &c));
    assert_false(w->captured);
    while (!w->captured) {
        loop_turn(w->loop, true);
    }
}

static void output_is_handed_over_exactly(void **state) {
    world *w = *state;

    capture(w, "printf 'a\\0b\\n'; echo noise >&2", 100);
    assert_null(w->err);
    assert_int_equal(w->len, 4);
    assert_memory_equal(w->out, "a\0b\n", 4);
}

static void a_failing_command_gives_no_output(void **state) {
    world *w = *state;

    capture(w, "echo secret; exit 3", 100);
    assert_null(w->out);
    assert_non_null(strstr(w->err->text, "exit status 3"));
    assert_null(strstr(w->err->text, "secret"));
}

static void too_much_output_ends_the_command(void **state) {
    world *w = *state;

    capture(w, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", 1000);
    assert_non_null(strstr(w->err->text, "more than 1000 bytes"));
}

static void a_command_that_hangs_is_killed_at_its_deadline(void **state) {
    world *w = *state;
    process_capture *c;

    assert_null(process_capture_start(w->loop, SH("exec sleep 1000"), 10000, 100, on_captured, w, &c));
    clock_fake_advance(&w->clock, 9999);
    loop_turn(w->loop, false);
    assert_false(w->captured);
    clock_fake_advance(&w->clock, 1);
    loop_turn(w->loop, false);
    assert_true(w->captured);
    assert_non_null(strstr(w->err->text, "not done after 10000 ms"));
}

static void a_cancelled_capture_says_nothing(void **state) {
    world *w = *state;
    process_capture *c;

    assert_null(process_capture_start(w->loop, SH("echo x"), 10000, 100, on_captured, w, &c));
    process_capture_cancel(c);
    while (loop_turn(w->loop, true)) {
    }
    assert_false(w->captured);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_exit_status_is_reported),
        T(a_killed_child_reports_its_signal),
        T(descriptors_are_handed_over_in_order_and_no_others),
        T(what_cannot_be_run_is_an_error_at_once),
        T(freeing_a_running_child_kills_and_reaps_it),
        T(output_is_handed_over_exactly),
        T(a_failing_command_gives_no_output),
        T(too_much_output_ends_the_command),
        T(a_command_that_hangs_is_killed_at_its_deadline),
        T(a_cancelled_capture_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
