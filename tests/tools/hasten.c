/*
 * hasten - runs the daemon with a clock that goes faster than the real one, for tests that would wait for its pauses.
 *
 *     hasten FACTOR CLOCK.so mailruled run ...
 *
 * Wall clock and elapsed time go on FACTOR times as fast from now on; all pauses and deadlines of the daemon are as long
 * as they are, on that clock. Answers of a server therefore seem FACTOR times as slow: 10 is harmless on loopback. See
 * tests/soak/page.h. Signals to end go on to the daemon; ends as it did.
 */
#include "tests/soak/page.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal) {
    stop = signal;
}

static int64_t now_ns(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(126);
}

/* The page and its timer, in a directory of their own. */
static struct page *make_page(const char *dir, char path[], size_t room, int *timer_out) {
    char timer[4096];

    snprintf(path, room, "%s/page", dir);
    snprintf(timer, sizeof timer, "%s" PAGE_TIMER, path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct page)) != 0 || mkfifo(timer, 0600) != 0) {
        fail(path);
    }
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    *timer_out = open(timer, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (page == MAP_FAILED || *timer_out < 0) {
        fail(path);
    }
    close(fd);
    return page;
}

static void remove_page(const char *dir, const char *path) {
    char timer[4096];

    snprintf(timer, sizeof timer, "%s" PAGE_TIMER, path);
    unlink(timer);
    unlink(path);
    rmdir(dir);
}

static void go_on(struct page *page, int timer, int64_t wall, int64_t elapsed) {
    const uint64_t one = 1;
    long long due;

    atomic_store(&page->since, now_ns(CLOCK_MONOTONIC));
    atomic_store(&page->wall, wall);
    atomic_store(&page->elapsed, elapsed);
    due = atomic_load(&page->deadline);
    if (due && due <= elapsed && atomic_compare_exchange_strong(&page->deadline, &due, 0) &&
        write(timer, &one, sizeof one) != sizeof one) {
        fail("timer");
    }
}

int main(int argc, char **argv) {
    char dir[] = "/tmp/hasten.XXXXXX", path[64];
    int factor = argc > 3 ? atoi(argv[1]) : 0, timer, status = 0;
    struct sigaction action = {.sa_handler = on_signal};
    uint64_t seed = 0;

    if (factor < 1) {
        fputs("usage: hasten FACTOR CLOCK.so PROGRAM ...\n", stderr);
        return 2;
    }
    if (!mkdtemp(dir) || getrandom(&seed, sizeof seed, 0) != sizeof seed) {
        fail(dir);
    }
    struct page *page = make_page(dir, path, sizeof path, &timer);
    atomic_store(&page->seed, seed);
    int64_t wall = now_ns(CLOCK_REALTIME) / 1000000, elapsed = now_ns(CLOCK_BOOTTIME) / 1000000;
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    go_on(page, timer, wall, elapsed);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
    pid_t pid = fork();
    if (!pid) {
        setenv("LD_PRELOAD", argv[2], 1);
        setenv(PAGE_ENV, path, 1);
        execv(argv[3], argv + 3);
        fail(argv[3]);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        int64_t gone = (now_ns(CLOCK_MONOTONIC) - begin) / 1000000 * factor;
        go_on(page, timer, wall + gone, elapsed + gone);
        if (stop) {
            kill(pid, stop);
            stop = 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    remove_page(dir, path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
