#include "net/notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct notify {
    int fd; /* -1: nobody to tell */
    struct sockaddr_un addr;
    socklen_t addr_len;
    uint64_t watchdog_ms;
};

static uint64_t watchdog_ms(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    guint64 value;

    if (pid && atoll(pid) != getpid()) {
        return 0;
    }
    return usec && g_ascii_string_to_unsigned(usec, 10, 1, UINT64_MAX, &value, NULL) ? MAX(value / 2000, 1) : 0;
}

static error *set_address(notify *n, const char *name) {
    size_t len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof n->addr.sun_path) {
        return error_new(ERROR_CONFIG, "NOTIFY_SOCKET: neither a path nor an abstract name: %s", name);
    }
    n->addr.sun_family = AF_UNIX;
    memcpy(n->addr.sun_path, name, len);
    if (name[0] == '@') {
        n->addr.sun_path[0] = '\0';
    }
    /* An abstract name is exactly its bytes; a path may be followed by its NUL. */
    n->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    return NULL;
}

error *notify_new(notify **notify_out) {
    const char *name = getenv("NOTIFY_SOCKET");
    notify *n = g_new0(notify, 1);
    error *err = NULL;

    n->fd = -1;
    if (name && *name) {
        err = set_address(n, name);
        n->watchdog_ms = watchdog_ms();
    }
    if (!err && n->addr_len) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (err) {
        g_clear_pointer(&n, notify_free);
    }
    *notify_out = n;
    return err;
}

void notify_free(notify *n) {
    if (n) {
        if (n->fd >= 0) {
            close(n->fd);
        }
        g_free(n);
    }
}

static void send_message(const notify *n, const char *message) {
    if (n && n->fd >= 0) {
        sendto(n->fd, message, strlen(message), MSG_NOSIGNAL, (const struct sockaddr *)&n->addr, n->addr_len);
    }
}

static void send_status(const notify *n, const char *front, const char *format, va_list args)
    G_GNUC_PRINTF(3, 0);

static void send_status(const notify *n, const char *front, const char *format, va_list args) {
    char *status = g_strdup_vprintf(format, args);
    char *message = g_strconcat(front, "STATUS=", g_strdelimit(status, "\r\n", ' '), "\n", NULL);

    send_message(n, message);
    g_free(message);
    g_free(status);
}

void notify_ready(notify *n, const char *status_format, ...) {
    va_list args;

    va_start(args, status_format);
    send_status(n, "READY=1\n", status_format, args);
    va_end(args);
}

void notify_status(notify *n, const char *status_format, ...) {
    va_list args;

    va_start(args, status_format);
    send_status(n, "", status_format, args);
    va_end(args);
}

void notify_reloading(notify *n) {
    struct timespec now;
    char message[80];

    clock_gettime(CLOCK_MONOTONIC, &now);
    g_snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
               (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    send_message(n, message);
}

void notify_stopping(notify *n) {
    send_message(n, "STOPPING=1\n");
}

void notify_watchdog(notify *n) {
    send_message(n, "WATCHDOG=1\n");
}

uint64_t notify_watchdog_interval(const notify *n) {
    return n ? n->watchdog_ms : 0;
}
