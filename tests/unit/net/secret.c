#include "net/secret.h"

#include "net/notify.h"
#include "tests/unit/unit.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct world {
    clock_source clock;
    event_loop *loop;
    char *dir, *path;
    bool done;
    secret *value;
    error *err;
} world;

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    alarm(60);
    clock_init_fake(&w->clock, 0);
    assert_null(loop_new(&w->clock, &w->loop));
    w->dir = g_dir_make_tmp("mailruled-net-XXXXXX", NULL);
    w->path = g_build_filename(w->dir, "key", NULL);
    *state = w;
    return 0;
}

static void forget(world *w) {
    w->done = false;
    g_clear_pointer(&w->value, secret_free);
    g_clear_pointer(&w->err, error_free);
}

static int tear_down(void **state) {
    world *w = *state;

    forget(w);
    loop_free(w->loop);
    g_unlink(w->path);
    g_rmdir(w->dir);
    g_free(w->path);
    g_free(w->dir);
    g_free(w);
    return 0;
}

static void on_secret(void *user, secret *value, error *err) {
    world *w = user;

    w->done = true;
    w->value = value;
    w->err = err;
}

static void resolve(world *w, enum secret_kind kind, const char *value, const char *const *argv) {
    forget(w);
    secret_resolve(w->loop, &(secret_spec){.kind = kind, .value = value, .argv = argv}, on_secret, w);
    assert_false(w->done);
    while (!w->done) {
        loop_turn(w->loop, true);
    }
    assert_true((w->value != NULL) != (w->err != NULL));
}

static void assert_secret(world *w, const char *expected) {
    if (w->err) {
        print_error("%s\n", w->err->text);
    }
    assert_non_null(w->value);
    assert_string_equal(w->value->bytes, expected);
    assert_int_equal(w->value->len, strlen(expected));
}

static void assert_refused(world *w, const char *part) {
    assert_non_null(w->err);
    if (!strstr(w->err->text, part)) {
        print_error("expected \"%s\" in \"%s\"\n", part, w->err->text);
        fail();
    }
    assert_null(strstr(w->err->text, "hunter2"));
}

static void write_file(world *w, const char *text, int mode) {
    g_file_set_contents(w->path, text, -1, NULL);
    g_chmod(w->path, mode);
}

static void a_private_file_is_read_without_its_last_newline(void **state) {
    world *w = *state;

    write_file(w, "hunter2\n", 0600);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_secret(w, "hunter2");
    write_file(w, " two\nlines \r\n", 0400);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_secret(w, " two\nlines ");
}

static void a_file_that_others_can_open_is_refused(void **state) {
    static const int modes[] = {0640, 0604, 0620, 0602, 0610};
    world *w = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        write_file(w, "hunter2\n", modes[i]);
        resolve(w, SECRET_FILE, w->path, NULL);
        assert_refused(w, "is open to group or others");
        assert_int_equal(w->err->code, ERROR_CONFIG);
    }
}

static void files_that_cannot_be_secrets_are_refused(void **state) {
    world *w = *state;

    resolve(w, SECRET_FILE, w->path, NULL);
    assert_refused(w, "No such file");
    resolve(w, SECRET_FILE, w->dir, NULL);
    assert_refused(w, "is not a regular file");
    resolve(w, SECRET_FILE, "/dev/null", NULL);
    assert_refused(w, "is not a regular file");
    write_file(w, "\n", 0600);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_refused(w, "is empty");
    g_autofree char *large = g_strnfill(SECRET_MAX + 1, 'x');
    write_file(w, large, 0600);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_refused(w, "is longer than");
    g_file_set_contents(w->path, "a\0b", 3, NULL);
    g_chmod(w->path, 0600);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_refused(w, "NUL");
}

static void the_longest_secret_is_accepted(void **state) {
    world *w = *state;
    g_autofree char *large = g_strnfill(SECRET_MAX, 'x');
    g_autofree char *text = g_strconcat(large, "\r\n", NULL);

    write_file(w, text, 0600);
    resolve(w, SECRET_FILE, w->path, NULL);
    assert_secret(w, large);
}

static void literals_and_variables_are_taken_as_they_are(void **state) {
    world *w = *state;

    resolve(w, SECRET_LITERAL, "hunter2\n", NULL);
    assert_secret(w, "hunter2\n");
    setenv("MAILRULED_TEST_SECRET", "hunter2", 1);
    resolve(w, SECRET_ENV, "MAILRULED_TEST_SECRET", NULL);
    assert_secret(w, "hunter2");
    unsetenv("MAILRULED_TEST_SECRET");
    resolve(w, SECRET_ENV, "MAILRULED_TEST_SECRET", NULL);
    assert_refused(w, "MAILRULED_TEST_SECRET is not set");
}

static void a_command_runs_without_a_shell(void **state) {
    world *w = *state;

    resolve(w, SECRET_COMMAND, NULL, (const char *const[]){"printf", "%s\\n", "hunter2; $(echo x)", NULL});
    assert_secret(w, "hunter2; $(echo x)");
    resolve(w, SECRET_COMMAND, NULL, (const char *const[]){"sh", "-c", "echo hunter2; exit 1", NULL});
    assert_refused(w, "exit status 1");
    assert_int_equal(w->err->code, ERROR_IO);
    resolve(w, SECRET_COMMAND, NULL, (const char *const[]){"/nonexistent/program", NULL});
    assert_refused(w, "/nonexistent/program");
    resolve(w, SECRET_COMMAND, NULL, (const char *const[]){NULL});
    assert_non_null(w->err);
}

static void a_cancelled_request_says_nothing(void **state) {
    world *w = *state;
    const char *const argv[] = {"echo", "x", NULL};
    secret_request *request =
        secret_resolve(w->loop, &(secret_spec){.kind = SECRET_COMMAND, .argv = argv}, on_secret, w);

    secret_cancel(request);
    request = secret_resolve(w->loop, &(secret_spec){.kind = SECRET_LITERAL, .value = "x"}, on_secret, w);
    secret_cancel(request);
    while (loop_turn(w->loop, true)) {
    }
    assert_false(w->done);
}

static void a_credential_comes_from_its_directory_only(void **state) {
    world *w = *state;

    unsetenv("CREDENTIALS_DIRECTORY");
    resolve(w, SECRET_CREDENTIAL, "key", NULL);
    assert_refused(w, "CREDENTIALS_DIRECTORY is not set");
    setenv("CREDENTIALS_DIRECTORY", w->dir, 1);
    write_file(w, "hunter2\n", 0440); /* as systemd may leave it */
    resolve(w, SECRET_CREDENTIAL, "key", NULL);
    assert_secret(w, "hunter2");
    static const char *const bad[] = {"../key", "/etc/hostname", "", ".", ".."};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        resolve(w, SECRET_CREDENTIAL, bad[i], NULL);
        assert_refused(w, "not a credential's name");
    }
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* --- the service manager ---------------------------------------------------------------------------------------- */

static int manager_socket(const char *name) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, name, strlen(name));
    if (name[0] == '@') {
        addr.sun_path[0] = '\0';
    }
    assert_int_equal(bind(fd, (struct sockaddr *)&addr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    return fd;
}

static void assert_told(int fd, const char *expected) {
    char text[512];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

    assert_true(n >= 0);
    text[n] = '\0';
    if (!g_str_has_prefix(text, expected)) {
        assert_string_equal(text, expected);
    }
}

static void told_over(const char *name) {
    int fd = manager_socket(name);
    char pid[16];
    notify *n;

    g_snprintf(pid, sizeof pid, "%d", getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "60000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    assert_null(notify_new(&n));
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_int_equal(notify_watchdog_interval(n), 30000);
    notify_ready(n, "%d accounts\nREADY=0", 3);
    assert_told(fd, "READY=1\nSTATUS=3 accounts READY=0\n");
    notify_reloading(n);
    assert_told(fd, "RELOADING=1\nMONOTONIC_USEC=");
    notify_watchdog(n);
    assert_told(fd, "WATCHDOG=1\n");
    notify_status(n, "x");
    assert_told(fd, "STATUS=x\n");
    notify_stopping(n);
    assert_told(fd, "STOPPING=1\n");
    notify_free(n);
    close(fd);
}

static void the_manager_is_told_over_a_path_or_an_abstract_name(void **state) {
    world *w = *state;
    g_autofree char *abstract = g_strdup_printf("@mailruled-test-%d", getpid());

    told_over(w->path);
    told_over(abstract);
}

static void without_a_manager_nothing_happens(void **state) {
    notify *n;

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_null(notify_new(&n));
    notify_ready(n, "x");
    assert_int_equal(notify_watchdog_interval(n), 0);
    notify_free(n);
    setenv("NOTIFY_SOCKET", "relative", 1);
    g_autoptr(error) err = notify_new(&n);
    assert_int_equal(err->code, ERROR_CONFIG);
    assert_null(n);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_private_file_is_read_without_its_last_newline),
        T(a_file_that_others_can_open_is_refused),
        T(files_that_cannot_be_secrets_are_refused),
        T(the_longest_secret_is_accepted),
        T(literals_and_variables_are_taken_as_they_are),
        T(a_command_runs_without_a_shell),
        T(a_cancelled_request_says_nothing),
        T(a_credential_comes_from_its_directory_only),
        T(the_manager_is_told_over_a_path_or_an_abstract_name),
        T(without_a_manager_nothing_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
