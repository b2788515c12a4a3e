/*
 * redirect - lets a server run whose paths were fixed when it was built: a shared object for LD_PRELOAD that puts other
 * places in their stead.
 *
 *     REDIRECT=/etc/courier=/tmp/x/etc:/run/courier=/tmp/x/run LD_PRELOAD=.../redirect.so PROGRAM
 *
 * A path is changed if it is the left side of a pair or below it, the name of a user (courier=mail) likewise. Only
 * those calls are covered that Courier's login, TLS and authentication make; sockets of the Unix domain are bound and
 * connected to likewise.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ROOM = 4096 };

/* path itself, or what stands for it, written to room. */
static const char *place(const char *path, char room[ROOM]) {
    const char *pair = getenv("REDIRECT");

    while (path && pair && *pair) {
        size_t whole = strcspn(pair, ":"), left = strcspn(pair, "=");
        if (left < whole && strncmp(path, pair, left) == 0 && (path[left] == '/' || path[left] == '\0')) {
            snprintf(room, ROOM, "%.*s%s", (int)(whole - left - 1), pair + left + 1, path + left);
            return room;
        }
        pair += whole + (pair[whole] == ':');
    }
    return path;
}

/* A path that does not fit is cut: binding or connecting to it then fails. */
static const struct sockaddr *address_of(const struct sockaddr *address, socklen_t *len, struct sockaddr_un *other) {
    const struct sockaddr_un *from = (const void *)address;
    char room[ROOM];

    if (address->sa_family != AF_UNIX || *len <= offsetof(struct sockaddr_un, sun_path) || !from->sun_path[0]) {
        return address;
    }
    memset(other, 0, sizeof *other);
    other->sun_family = AF_UNIX;
    snprintf(other->sun_path, sizeof other->sun_path, "%s", place(from->sun_path, room));
    *len = sizeof *other;
    return (const void *)other;
}

/* dlsym() gives an object pointer; POSIX makes the two interchangeable. */
#define WRAP(type, name, params, args)                                                                                 \
    type name params {                                                                                                 \
        static type (*real) params;                                                                                    \
        char room[ROOM];                                                                                               \
        if (!real) {                                                                                                   \
            *(void **)(void *)&real = dlsym(RTLD_NEXT, #name);                                                         \
        }                                                                                                              \
        return real args;                                                                                              \
    }
#define WRAP_ADDRESS(name)                                                                                             \
    int name(int fd, const struct sockaddr *address, socklen_t len) {                                                  \
        static int (*real)(int, const struct sockaddr *, socklen_t);                                                   \
        struct sockaddr_un other;                                                                                      \
        if (!real) {                                                                                                   \
            *(void **)(void *)&real = dlsym(RTLD_NEXT, #name);                                                         \
        }                                                                                                              \
        address = address_of(address, &len, &other);                                                                   \
        return real(fd, address, len);                                                                                 \
    }

WRAP(FILE *, fopen, (const char *path, const char *mode), (place(path, room), mode))
WRAP(FILE *, fopen64, (const char *path, const char *mode), (place(path, room), mode))
WRAP(int, chmod, (const char *path, mode_t mode), (place(path, room), mode))
WRAP(int, mkdir, (const char *path, mode_t mode), (place(path, room), mode))
WRAP(int, stat, (const char *restrict path, struct stat *restrict out), (place(path, room), out))
WRAP(int, lstat, (const char *restrict path, struct stat *restrict out), (place(path, room), out))
WRAP(int, unlink, (const char *path), (place(path, room)))
WRAP(int, chdir, (const char *path), (place(path, room)))
WRAP(struct passwd *, getpwnam, (const char *name), (place(name, room)))
WRAP_ADDRESS(bind)
WRAP_ADDRESS(connect)

int rename(const char *from, const char *to) {
    char room[ROOM], other_room[ROOM];

    return renameat(AT_FDCWD, place(from, room), AT_FDCWD, place(to, other_room));
}

int open(const char *path, int flags, ...) {
    char room[ROOM];
    va_list more;

    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;
    va_end(more);
    return openat(AT_FDCWD, place(path, room), flags, mode);
}
