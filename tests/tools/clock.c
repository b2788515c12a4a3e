/*
 * clock - gives the daemon the time of a simulation: a shared object for LD_PRELOAD, see tests/soak/page.h.
 *
 *     SOAK_PAGE=FILE LD_PRELOAD=.../clock.so ASAN_OPTIONS=verify_asan_link_order=0 mailruled run
 *
 * clock_gettime, gettimeofday and time answer from the page; CPU clocks are the real ones. timerfd_create gives the
 * FIFO of the page. getrandom, in the process that has the timer, gives numbers that follow from the page's seed, so
 * that pauses with jitter are the same ones again; keys of TLS do not come from there. Programs that the process starts
 * get page and LD_PRELOAD, whatever environment they were meant to have. Without SOAK_PAGE nothing is changed.
 */
#include "tests/soak/page.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HEAP_EVERY_MS 60000
#define ENVIRONMENT_MAX 1024

static struct {
    struct page *page;
    struct page_slot *slot; /* of this process; NULL: it is not the daemon */
    int timer;              /* -1: none */
    uint64_t random;
    int64_t heap_at; /* when `heap` was said last */
    char timer_path[4096], page_variable[4096], preload_variable[4096];
} here = {.timer = -1};

/* There with ASan only. */
extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
/* Its cache is filled and stays: it is told apart. */
extern long long sqlite3_memory_used(void) __attribute__((weak));

/* --- life --------------------------------------------------------------------------------------------------------- */

static void take_slot(void) {
    int pid = getpid();

    here.slot = NULL;
    for (int i = 0; here.page && i < PAGE_SLOTS; i++) {
        int none = 0;
        if (atomic_load(&here.page->slots[i].pid) == pid ||
            atomic_compare_exchange_strong(&here.page->slots[i].pid, &none, pid)) {
            here.slot = &here.page->slots[i];
            atomic_store(&here.slot->heap, 0);
            return;
        }
    }
}

/* And not the helper that it asks for a token. */
static bool is_the_daemon(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    path[n > 0 ? n : 0] = '\0';
    return strstr(path, "/mailruled") != NULL;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv(PAGE_ENV), *preload = getenv("LD_PRELOAD");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page = MAP_FAILED;

    if (fd < 0) {
        return;
    }
    page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) {
        return;
    }
    here.page = page;
    snprintf(here.timer_path, sizeof here.timer_path, "%s" PAGE_TIMER, path);
    snprintf(here.page_variable, sizeof here.page_variable, PAGE_ENV "=%s", path);
    snprintf(here.preload_variable, sizeof here.preload_variable, "LD_PRELOAD=%s", preload ? preload : "");
    if (is_the_daemon()) {
        take_slot();
        pthread_atfork(NULL, NULL, take_slot);
    }
}

/* --- what time it is ---------------------------------------------------------------------------------------------- */

static void tell_heap(int64_t now) {
    struct page_slot *slot = here.slot;

    if (!slot || (now < here.heap_at + HEAP_EVERY_MS && here.heap_at)) {
        return;
    }
    here.heap_at = now;
    atomic_store(&slot->cache, sqlite3_memory_used ? (unsigned long long)sqlite3_memory_used() : 0);
    if (__sanitizer_get_current_allocated_bytes) {
        atomic_store(&slot->heap, __sanitizer_get_current_allocated_bytes());
    } else {
        struct mallinfo2 info = mallinfo2();
        atomic_store(&slot->heap, info.uordblks + info.hblkhd);
    }
}

/* Nanoseconds since the page's time was set, less than a millisecond: who asks twice sees that time goes on. */
static int64_t flow(void) {
    struct timespec now;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - atomic_load(&here.page->since);
    return ns < 0 ? 0 : ns < 999999 ? ns : 999999;
}

int clock_gettime(clockid_t id, struct timespec *time_out) {
    int64_t ms;

    switch (here.page ? id : -1) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        ms = atomic_load(&here.page->wall);
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        ms = atomic_load(&here.page->elapsed);
        tell_heap(ms);
        break;
    default:
        return (int)syscall(SYS_clock_gettime, id, time_out);
    }
    time_out->tv_sec = ms / 1000;
    time_out->tv_nsec = ms % 1000 * 1000000 + flow();
    return 0;
}

int gettimeofday(struct timeval *restrict time_out, void *restrict zone) {
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    time_out->tv_sec = now.tv_sec;
    time_out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *time_out) {
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (time_out) {
        *time_out = now.tv_sec;
    }
    return now.tv_sec;
}

/* --- the timer ---------------------------------------------------------------------------------------------------- */

int timerfd_create(int clock, int flags) {
    if (!here.page) {
        return (int)syscall(SYS_timerfd_create, clock, flags);
    }
    if (here.timer >= 0) {
        fputs("clock.so: a second timer is not provided for\n", stderr);
        abort();
    }

    here.random = atomic_load(&here.page->seed);
    here.timer = open(here.timer_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return here.timer;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new_value, struct itimerspec *old_value) {
    int64_t ms = (int64_t)new_value->it_value.tv_sec * 1000 + new_value->it_value.tv_nsec / 1000000;
    uint64_t old;

    if (!here.page) {
        return (int)syscall(SYS_timerfd_settime, fd, flags, new_value, old_value);
    }
    atomic_store(&here.page->deadline, 0);
    while (read(fd, &old, sizeof old) > 0) {
    }
    if (ms || new_value->it_value.tv_nsec) {
        atomic_store(&here.page->deadline, (flags & TFD_TIMER_ABSTIME ? 0 : atomic_load(&here.page->elapsed)) + ms);
    }
    return 0;
}

/* --- chance ------------------------------------------------------------------------------------------------------- */

/* splitmix64. */
static uint64_t next_random(void) {
    uint64_t z = here.random += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

ssize_t getrandom(void *out, size_t len, unsigned flags) {
    uint8_t *p = out;

    if (here.timer < 0 || !here.slot || atomic_load(&here.slot->pid) != getpid()) {
        return syscall(SYS_getrandom, out, len, flags);
    }
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)next_random();
    }
    return (ssize_t)len;
}

/* --- children ----------------------------------------------------------------------------------------------------- */

static bool is_ours(const char *variable) {
    return strncmp(variable, "LD_PRELOAD=", 11) == 0 || strncmp(variable, PAGE_ENV "=", sizeof PAGE_ENV) == 0;
}

/* Between fork and exec: nothing is allocated. */
int execvp(const char *file, char *const argv[]) {
    char *list[ENVIRONMENT_MAX + 3];
    int n = 0;

    for (char **p = environ; here.page && p && *p && n < ENVIRONMENT_MAX; p++) {
        if (!is_ours(*p)) {
            list[n++] = *p;
        }
    }
    if (here.page) {
        list[n++] = here.page_variable;
        list[n++] = here.preload_variable;
    }
    list[n] = NULL;
    return execvpe(file, argv, here.page ? list : environ);
}
