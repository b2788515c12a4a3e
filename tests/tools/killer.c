/*
 * killer - ends the daemon with SIGKILL at its N-th call that leaves the process: a shared object for LD_PRELOAD.
 *
 *     KILLER_AT=N KILLER_MODE=before|after KILLER_OUT=FILE LD_PRELOAD=.../killer.so mailruled run --once
 *
 * Counts write, writev, pwrite, pwrite64, send, sendto, sendmsg, fsync, fdatasync, ftruncate, rename and unlink on
 * files and sockets; what goes to the log (descriptor 2), pipes and event counters is not counted. Without KILLER_AT
 * nothing is killed. FILE gets the count at an orderly end, or "N CALL" when the process dies. Only the process it was
 * loaded into first counts: children start without it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    pid_t pid; /* 0: not set up yet */
    long at;   /* 0: never */
    bool after;
    char out[4096];
    atomic_long count;
} killer;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("KILLER_AT"), *mode = getenv("KILLER_MODE"), *out = getenv("KILLER_OUT");

    unsetenv("LD_PRELOAD");
    killer.at = at ? atol(at) : 0;
    killer.after = mode && strcmp(mode, "after") == 0;
    snprintf(killer.out, sizeof killer.out, "%s", out ? out : "");
    killer.pid = getpid();
}

/* Past the wrappers below. */
static void tell(long n, const char *call) {
    char line[128];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, killer.out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int len = call ? snprintf(line, sizeof line, "%ld %s\n", n, call) : snprintf(line, sizeof line, "%ld\n", n);

    if (fd >= 0) {
        syscall(SYS_write, fd, line, len);
        syscall(SYS_close, fd);
    }
}

__attribute__((destructor)) static void end(void) {
    if (killer.pid == getpid() && killer.out[0]) {
        tell(atomic_load(&killer.count), NULL);
    }
}

static bool leaves_the_process(int fd) {
    struct stat st;

    return fd != STDERR_FILENO && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode));
}

static void die(long n, const char *call) {
    tell(n, call);
    syscall(SYS_kill, getpid(), SIGKILL);
}

/* Counts a call; its number, or 0 if it does not count. */
static long enter(bool counts, const char *call) {
    if (!counts || !killer.pid || killer.pid != getpid()) {
        return 0;
    }
    long n = atomic_fetch_add(&killer.count, 1) + 1;
    if (n == killer.at && !killer.after) {
        die(n, call);
    }
    return n;
}

static void leave(long n, const char *call) {
    if (n && n == killer.at && killer.after) {
        die(n, call);
    }
}

/* dlsym() gives an object pointer; POSIX makes the two interchangeable. */
#define WRAP(type, name, params, args, counts)                                                                         \
    type name params {                                                                                                 \
        static type (*real) params;                                                                                    \
        if (!real) {                                                                                                   \
            *(void **)(void *)&real = dlsym(RTLD_NEXT, #name);                                                         \
        }                                                                                                              \
        long n = enter(counts, #name);                                                                                 \
        type result = real args;                                                                                       \
        leave(n, #name);                                                                                               \
        return result;                                                                                                 \
    }
#define ON_FD leaves_the_process(fd)

WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len), ON_FD)
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n_v), (fd, v, n_v), ON_FD)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at), ON_FD)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t len, off64_t at), (fd, data, len, at), ON_FD)
WRAP(ssize_t, send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags), ON_FD)
WRAP(ssize_t, sendto, (int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len),
     (fd, data, len, flags, to, to_len), ON_FD)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), ON_FD)
WRAP(int, fsync, (int fd), (fd), true)
WRAP(int, fdatasync, (int fd), (fd), true)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len), ON_FD)
WRAP(int, ftruncate64, (int fd, off64_t len), (fd, len), ON_FD)
WRAP(int, rename, (const char *from, const char *to), (from, to), true)
WRAP(int, unlink, (const char *path), (path), true)
