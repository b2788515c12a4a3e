/* What a locked-down process can and cannot do, each tried in a child of its own. */
#include "src/evaluator/lockdown_priv.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY (256u << 20)

/* The child's answer is its exit status; 100 and above mean that it could not be locked down. */
static int in_jail(int (*attempt)(void)) {
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        error *err = lockdown_early();
        if (!err) {
            err = lockdown_final(MEMORY);
        }
        if (err) {
            fprintf(stderr, "%s\n", err->text);
            _exit(100);
        }
        _exit(attempt());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_gives(int (*attempt)(void), int value) {
    int status = in_jail(attempt);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), value);
}

static void assert_dies(int (*attempt)(void), int signum) {
    int status = in_jail(attempt);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signum);
}

static int to_status(long result) {
    return result >= 0 ? 0 : errno;
}

static int open_file(void) {
    return to_status(open("/etc/passwd", O_RDONLY));
}
static int open_self(void) {
    return to_status(open("/proc/self/environ", O_RDONLY | O_CLOEXEC));
}
static int stat_file(void) {
    struct stat st;
    return to_status(stat("/etc/passwd", &st));
}
static int open_new_file(void) {
    return to_status(open("/tmp/never", O_WRONLY | O_CREAT, 0600));
}
static int open_to_append(void) {
    return to_status(open("/dev/null", O_RDWR | O_APPEND));
}
static int make_socket(void) {
    return to_status(socket(AF_INET, SOCK_STREAM, 0));
}
static int make_unix_socket(void) {
    return to_status(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int run_program(void) {
    return to_status(execl("/bin/true", "true", (char *)NULL));
}
static int fork_child(void) {
    return to_status(fork());
}
static int trace(void) {
    return to_status(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int kill_parent(void) {
    return to_status(kill(getppid(), SIGTERM));
}
static int map_code(void) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? errno
               : 0;
}
static int make_code(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? 1 : to_status(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}
static int raise_limit(void) {
    struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY};
    return to_status(setrlimit(RLIMIT_AS, &l));
}
static int abort_self(void) {
    abort();
}
static int too_much_memory(void) {
    return mmap(NULL, 2 * (size_t)MEMORY, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int compute(void) {
    struct timespec t, ms = {0, 1000000};
    struct stat st;
    int pipe_open = fstat(0, &st) == 0 || errno == EBADF;
    char *memory = malloc(8 << 20);

    memset(memory, 1, 8 << 20);
    memory = realloc(memory, 16 << 20);
    bool fine = memory && pipe_open && clock_gettime(CLOCK_MONOTONIC, &t) == 0 && nanosleep(&ms, NULL) == 0 &&
                write(2, "", 0) == 0 && getpid() > 0;
    free(memory);
    return fine ? 0 : 1;
}

static void files_are_not_there(void **state) {
    (void)state;
    assert_gives(open_file, EACCES);
    assert_gives(open_self, EACCES);
    assert_gives(stat_file, EACCES);
}

static void writing_a_file_kills(void **state) {
    (void)state;
    assert_dies(open_new_file, SIGSYS);
    assert_dies(open_to_append, SIGSYS);
}

static void reaching_out_kills(void **state) {
    (void)state;
    assert_dies(make_socket, SIGSYS);
    assert_dies(make_unix_socket, SIGSYS);
}

static void starting_or_touching_processes_kills(void **state) {
    (void)state;
    assert_dies(run_program, SIGSYS);
    assert_dies(fork_child, SIGSYS);
    assert_dies(trace, SIGSYS);
    assert_dies(kill_parent, SIGSYS);
}

static void no_new_code_can_be_made(void **state) {
    (void)state;
    assert_gives(map_code, EPERM);
    assert_gives(make_code, EPERM);
}

static void limits_hold_and_stay(void **state) {
    (void)state;
    assert_gives(raise_limit, EPERM);
    if (!UNDER_ASAN) {
        assert_gives(too_much_memory, ENOMEM);
    }
}

static void computing_goes_on(void **state) {
    (void)state;
    assert_gives(compute, 0);
    if (!UNDER_ASAN) {
        assert_dies(abort_self, SIGABRT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_not_there),
        cmocka_unit_test(writing_a_file_kills),
        cmocka_unit_test(reaching_out_kills),
        cmocka_unit_test(starting_or_touching_processes_kills),
        cmocka_unit_test(no_new_code_can_be_made),
        cmocka_unit_test(limits_hold_and_stay),
        cmocka_unit_test(computing_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
