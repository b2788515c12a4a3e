#include "net/secret.h"

#include "net/crypto.h"
#include "net/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct secret_request {
    loop_timer *turn; /* delivers what was known at once */
    process_capture *command;
    secret *value;
    error *err;
    secret_fn fn;
    void *user;
};

secret *secret_new(const void *bytes, size_t len) {
    secret *s = g_new0(secret, 1);

    s->bytes = g_malloc(len + 1);
    if (len) {
        memcpy(s->bytes, bytes, len);
    }
    s->bytes[len] = '\0';
    s->len = len;
    return s;
}

void secret_free(secret *s) {
    if (s) {
        crypto_wipe(s->bytes, s->len);
        g_free(s->bytes);
        g_free(s);
    }
}

/* --- the kinds -------------------------------------------------------------------------------------------------- */

static error *accept_bytes(const char *bytes, size_t len, bool cut_newline, secret **secret_out) {
    if (cut_newline && len && bytes[len - 1] == '\n') {
        len -= len > 1 && bytes[len - 2] == '\r' ? 2 : 1;
    }
    if (!len) {
        return error_new(ERROR_CONFIG, "is empty");
    }
    if (len > SECRET_MAX) {
        return error_new(ERROR_CONFIG, "is longer than %d bytes", SECRET_MAX);
    }
    if (memchr(bytes, '\0', len)) {
        return error_new(ERROR_CONFIG, "holds a NUL byte");
    }
    *secret_out = secret_new(bytes, len);
    return NULL;
}

static error *read_all(int fd, secret **secret_out) {
    char *buffer = g_malloc(SECRET_MAX + 3);
    size_t len = 0;
    ssize_t n;
    error *err;

    do {
        n = read(fd, buffer + len, SECRET_MAX + 3 - len);
        len += n > 0 ? (size_t)n : 0;
    } while ((n > 0 && len < SECRET_MAX + 3) || (n < 0 && errno == EINTR));
    err = n < 0 ? error_new(ERROR_CONFIG, "%s", strerror(errno)) : accept_bytes(buffer, len, true, secret_out);
    crypto_wipe(buffer, len);
    g_free(buffer);
    return err;
}

static error *check_file(int fd, bool private_) {
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return error_new(ERROR_CONFIG, "%s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return error_new(ERROR_CONFIG, "is not a regular file");
    }
    if (private_ && st.st_mode & (S_IRWXG | S_IRWXO)) {
        return error_new(ERROR_CONFIG, "is open to group or others (mode %04o): chmod 600", st.st_mode & 07777);
    }
    if (private_ && st.st_uid != geteuid() && st.st_uid != 0) {
        return error_new(ERROR_CONFIG, "belongs to another user (uid %u)", st.st_uid);
    }
    return NULL;
}

/* private_: check owner and mode. systemd sets those of credentials itself, and not the same ones in every version. */
static error *read_file(const char *path, bool private_, secret **secret_out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    error *err;

    if (fd < 0) {
        return error_new(ERROR_CONFIG, "secret file %s: %s", path, strerror(errno));
    }
    err = check_file(fd, private_);
    err = err ? err : read_all(fd, secret_out);
    close(fd);
    return error_prefix(err, "secret file %s", path);
}

static error *read_env(const char *name, secret **secret_out) {
    const char *value = getenv(name);

    if (!value) {
        return error_new(ERROR_CONFIG, "secret: environment variable %s is not set", name);
    }
    return error_prefix(accept_bytes(value, strlen(value), false, secret_out), "secret: environment variable %s", name);
}

static error *read_credential(const char *name, secret **secret_out) {
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char *path;
    error *err;

    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return error_new(ERROR_CONFIG, "secret: not a credential's name: %s", name);
    }
    if (!dir) {
        return error_new(ERROR_CONFIG, "secret: credential %s: CREDENTIALS_DIRECTORY is not set", name);
    }
    path = g_build_filename(dir, name, NULL);
    err = read_file(path, false, secret_out);
    g_free(path);
    return err;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void request_free(secret_request *request) {
    loop_timer_free(request->turn);
    process_capture_cancel(request->command);
    secret_free(request->value);
    error_free(request->err);
    g_free(request);
}

static void deliver(void *user) {
    secret_request *request = user;

    request->fn(request->user, g_steal_pointer(&request->value), g_steal_pointer(&request->err));
    request_free(request);
}

static void command_done(void *user, const char *out, size_t len, error *err) {
    secret_request *request = user;

    request->command = NULL;
    if (!err) {
        err = accept_bytes(out, len, true, &request->value);
    }
    request->err = error_prefix(err, "secret command");
    deliver(request);
}

static error *resolve_now(event_loop *loop, const secret_spec *spec, secret_request *request) {
    switch (spec->kind) {
    case SECRET_LITERAL:
        return error_prefix(accept_bytes(spec->value, strlen(spec->value), false, &request->value), "secret");
    case SECRET_FILE:
        return read_file(spec->value, true, &request->value);
    case SECRET_ENV:
        return read_env(spec->value, &request->value);
    case SECRET_CREDENTIAL:
        return read_credential(spec->value, &request->value);
    case SECRET_COMMAND:
        return error_prefix(process_capture_start(loop, spec->argv, SECRET_COMMAND_MS, SECRET_MAX + 2, command_done,
                                                  request, &request->command),
                            "secret command");
    }
    return error_new(ERROR_INTERNAL, "secret of unknown kind");
}

secret_request *secret_resolve(event_loop *loop, const secret_spec *spec, secret_fn fn, void *user) {
    secret_request *request = g_new0(secret_request, 1);

    request->fn = fn;
    request->user = user;
    request->turn = loop_timer_new(loop, deliver, request);
    request->err = resolve_now(loop, spec, request);
    if (!request->command) {
        loop_timer_start(request->turn, 0);
    }
    return request;
}

void secret_cancel(secret_request *request) {
    if (request) {
        request_free(request);
    }
}
