#include "net/loop.h"
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define ACCEPTS_A_TURN 32

struct listener {
    loop_watch *watch;
    int fd;
    int reserve; /* given up for a moment when descriptors run out, so that the backlog can be turned away */
    char *path;  /* Unix-domain only */
    dev_t dev;
    ino_t ino;
    listener_fn fn;
    void *user;
    bool busy, freed;
};

static error *os_error(const char *what) {
    return error_new(ERROR_IO, "%s: %s", what, strerror(errno));
}

static int open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void turn_one_away(listener *l) {
    close(l->reserve);
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    l->reserve = open_reserve();
}

static void connection_waits(void *user, int events) {
    listener *l = user;

    (void)events;
    l->busy = true;
    for (int i = 0; i < ACCEPTS_A_TURN && !l->freed; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0) {
            l->fn(l->user, fd);
        } else if ((errno == EMFILE || errno == ENFILE) && l->reserve >= 0) {
            turn_one_away(l);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            break;
        }
    }
    l->busy = false;
    if (l->freed) {
        g_free(l);
    }
}

/* Takes fd. */
static error *start(event_loop *loop, int fd, listener_fn fn, void *user, listener **listener_out) {
    listener *l;
    error *err;

    if (listen(fd, BACKLOG) < 0) {
        err = os_error("listen");
        close(fd);
        return err;
    }
    l = g_new0(listener, 1);
    *l = (listener){.fd = fd, .reserve = open_reserve(), .fn = fn, .user = user};
    err = loop_watch_new(loop, fd, connection_waits, l, &l->watch);
    if (err) {
        listener_free(l);
        return err;
    }
    loop_watch_set(l->watch, LOOP_READABLE);
    *listener_out = l;
    return NULL;
}

void listener_free(listener *l) {
    struct stat st;

    if (!l || l->freed) {
        return;
    }
    l->freed = true;
    loop_watch_free(l->watch);
    close(l->fd);
    if (l->reserve >= 0) {
        close(l->reserve);
    }
    if (l->path && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino) {
        unlink(l->path);
    }
    g_free(l->path);
    if (!l->busy) {
        g_free(l);
    }
}

/* --- Unix domain ------------------------------------------------------------------------------------------------ */

static error *unix_address(const char *path, struct sockaddr_un *addr_out) {
    *addr_out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof addr_out->sun_path) {
        return error_new(ERROR_INVALID, "socket path has to be 1 to %zu bytes: %s", sizeof addr_out->sun_path - 1,
                         path);
    }
    memcpy(addr_out->sun_path, path, strlen(path));
    return NULL;
}

error *stream_connect_unix(const char *path, int *fd_out) {
    struct sockaddr_un addr;
    error *err = unix_address(path, &addr);

    *fd_out = -1;
    if (err) {
        return err;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return os_error("socket");
    }
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        err = os_error(path);
        close(fd);
        return err;
    }
    *fd_out = fd;
    return NULL;
}

/* A socket file left behind by a process that died is removed. */
static error *clear_path(const char *path, const struct sockaddr_un *addr) {
    struct stat st;
    error *err = NULL;

    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? NULL : os_error(path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return error_new(ERROR_IO, "%s: is in the way and no socket", path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return os_error("socket");
    }
    if (connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 || errno != ECONNREFUSED) {
        err = error_new(ERROR_IO, "%s: already in use", path);
    } else if (unlink(path) < 0) {
        err = os_error(path);
    }
    close(fd);
    return err;
}

error *listener_new_unix(event_loop *loop, const char *path, mode_t mode, listener_fn fn, void *user,
                         listener **listener_out) {
    struct sockaddr_un addr;
    struct stat st;
    error *err = unix_address(path, &addr);
    int fd;

    *listener_out = NULL;
    err = err ? err : clear_path(path, &addr);
    if (err) {
        return err;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return os_error("socket");
    }
    /* Linux gives the file the socket's mode, less the umask; nobody can connect before listen(). */
    fchmod(fd, mode);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || chmod(path, mode) < 0 || lstat(path, &st) < 0) {
        err = os_error(path);
        close(fd);
        return err;
    }
    listener *l = NULL;
    err = start(loop, fd, fn, user, &l);
    if (err || !l) {
        unlink(path);
        return error_prefix(err, "%s", path);
    }
    l->path = g_strdup(path);
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    *listener_out = l;
    return NULL;
}

/* --- TCP -------------------------------------------------------------------------------------------------------- */

static socklen_t tcp_address(const char *host, uint16_t port, struct sockaddr_storage *addr_out) {
    struct sockaddr_in *four = (struct sockaddr_in *)addr_out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)addr_out;

    memset(addr_out, 0, sizeof *addr_out);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        return sizeof *six;
    }
    return 0;
}

error *listener_new_tcp(event_loop *loop, const char *host, uint16_t port, listener_fn fn, void *user,
                        listener **listener_out) {
    struct sockaddr_storage addr;
    socklen_t len = tcp_address(host, port, &addr);
    int yes = 1, fd;
    error *err;

    *listener_out = NULL;
    if (!len) {
        return error_new(ERROR_INVALID, "not a numeric address: %s", host);
    }
    fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return os_error("socket");
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&addr, len) < 0) {
        err = error_new(ERROR_IO, "%s port %u: %s", host, port, strerror(errno));
        close(fd);
        return err;
    }
    return start(loop, fd, fn, user, listener_out);
}

uint16_t listener_port(const listener *l) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;

    if (getsockname(l->fd, (struct sockaddr *)&addr, &len) < 0) {
        return 0;
    }
    if (addr.ss_family == AF_INET) {
        return ntohs(((struct sockaddr_in *)&addr)->sin_port);
    }
    return addr.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&addr)->sin6_port) : 0;
}
