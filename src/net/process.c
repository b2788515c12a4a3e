#include "loop_priv.h"
#include "net/crypto.h"
#include "net/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct process {
    uv_process_t uv;
    process_exit_fn fn;
    void *user;
    bool exited;
    bool given_up; /* freed by its owner while it ran: the handle stays until it is reaped */
};

static void free_process(uv_handle_t *handle) {
    g_free(handle->data);
}

static void process_exited(uv_process_t *handle, int64_t status, int signum) {
    process *p = handle->data;

    p->exited = true;
    if (p->given_up) {
        uv_close((uv_handle_t *)&p->uv, free_process);
        return;
    }
    p->fn(p->user, signum ? -1 : (int)status, signum);
}

static void set_stdio(uv_stdio_container_t *slot, int fd) {
    *slot = (uv_stdio_container_t){.flags = fd > 0 ? UV_INHERIT_FD : UV_IGNORE, .data.fd = fd};
}

error *process_spawn(event_loop *loop, const process_options *options, process_exit_fn on_exit, void *user,
                     process **process_out) {
    uv_stdio_container_t stdio[3 + PROCESS_FDS_MAX];
    uv_process_options_t uv = {0};
    process *p;
    int status;

    *process_out = NULL;
    if (!options->argv || !options->argv[0] || options->fd_count > PROCESS_FDS_MAX) {
        return error_new(ERROR_INVALID, "nothing to run");
    }
    set_stdio(&stdio[0], 0);
    set_stdio(&stdio[1], options->out);
    set_stdio(&stdio[2], options->err);
    for (size_t i = 0; i < options->fd_count; i++) {
        set_stdio(&stdio[3 + i], options->fds[i]);
    }
    uv.exit_cb = process_exited;
    uv.file = options->argv[0];
    uv.args = (char **)(uintptr_t)options->argv;
    uv.env = (char **)(uintptr_t)options->env;
    uv.cwd = options->cwd;
    uv.stdio = stdio;
    uv.stdio_count = (int)(3 + options->fd_count);
    p = g_new0(process, 1);
    p->fn = on_exit;
    p->user = user;
    status = uv_spawn(loop_uv(loop), &p->uv, &uv);
    p->uv.data = p;
    if (status < 0) {
        uv_close((uv_handle_t *)&p->uv, free_process);
        return loop_uv_error(status, options->argv[0]);
    }
    *process_out = p;
    return NULL;
}

pid_t process_pid(const process *p) {
    return p->uv.pid;
}

void process_kill(process *p, int signum) {
    if (!p->exited) {
        uv_process_kill(&p->uv, signum);
    }
}

void process_free(process *p) {
    if (!p) {
        return;
    }
    if (p->exited) {
        uv_close((uv_handle_t *)&p->uv, free_process);
    } else {
        p->given_up = true;
        process_kill(p, SIGKILL);
    }
}

/* --- capture ---------------------------------------------------------------------------------------------------- */

struct process_capture {
    event_loop *loop;
    process *child;
    char *name;
    loop_watch *watch;
    loop_timer *timer;
    uint64_t timeout_ms;
    int fd;
    char *out; /* max + 1 bytes: never reallocated, so that no copy of a secret is left behind */
    size_t len, max;
    bool ended, exited;
    int status, signum;
    error *err;
    process_capture_fn fn;
    void *user;
};

static void capture_free(process_capture *c) {
    process_free(c->child);
    loop_watch_free(c->watch);
    loop_timer_free(c->timer);
    if (c->fd >= 0) {
        close(c->fd);
    }
    if (c->out) {
        crypto_wipe(c->out, c->max + 1);
    }
    g_free(c->out);
    g_free(c->name);
    error_free(c->err);
    g_free(c);
}

static void capture_done(process_capture *c) {
    error *err = g_steal_pointer(&c->err);

    if (!err && c->signum) {
        err = error_new(ERROR_IO, "%s: killed by signal %d", c->name, c->signum);
    } else if (!err && c->status) {
        err = error_new(ERROR_IO, "%s: exit status %d", c->name, c->status);
    }
    c->fn(c->user, err ? NULL : c->out, err ? 0 : c->len, err);
    capture_free(c);
}

static void capture_fail(process_capture *c, error *err) {
    c->err = err;
    capture_done(c);
}

static void capture_timeout(void *user) {
    process_capture *c = user;

    capture_fail(c, error_new(ERROR_IO, "%s: not done after %" G_GUINT64_FORMAT " ms", c->name, c->timeout_ms));
}

static void capture_exited(void *user, int status, int signum) {
    process_capture *c = user;

    c->exited = true;
    c->status = status;
    c->signum = signum;
    /* What it started in the background may hold the pipe open: a failure needs no output. */
    if (c->ended || status || signum) {
        capture_done(c);
    }
}

static void capture_readable(void *user, int events) {
    process_capture *c = user;
    ssize_t n = read(c->fd, c->out + c->len, c->max + 1 - c->len);

    (void)events;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            capture_fail(c, error_new(ERROR_IO, "%s: %s", c->name, strerror(errno)));
        }
        return;
    }
    c->len += (size_t)n;
    if (c->len > c->max) {
        capture_fail(c, error_new(ERROR_IO, "%s: more than %zu bytes of output", c->name, c->max));
    } else if (n == 0) {
        c->ended = true;
        loop_watch_set(c->watch, 0);
        if (c->exited) {
            capture_done(c);
        }
    }
}

error *process_capture_start(event_loop *loop, const char *const *argv, uint64_t timeout_ms, size_t max_output,
                             process_capture_fn fn, void *user, process_capture **capture_out) {
    process_capture *c;
    int pipes[2];
    error *err;

    *capture_out = NULL;
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        return error_new(ERROR_IO, "pipe: %s", strerror(errno));
    }
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    c = g_new0(process_capture, 1);
    *c = (process_capture){.loop = loop, .fd = pipes[0], .max = max_output, .timeout_ms = timeout_ms, .fn = fn,
                           .user = user};
    c->out = g_malloc0(max_output + 1);
    c->name = g_strdup(argv[0] ? argv[0] : "");
    err = process_spawn(loop, &(process_options){.argv = argv, .out = pipes[1]}, capture_exited, c, &c->child);
    close(pipes[1]);
    if (!err) {
        err = loop_watch_new(loop, c->fd, capture_readable, c, &c->watch);
    }
    if (err) {
        capture_free(c);
        return err;
    }
    loop_watch_set(c->watch, LOOP_READABLE);
    c->timer = loop_timer_new(loop, capture_timeout, c);
    loop_timer_start(c->timer, timeout_ms);
    *capture_out = c;
    return NULL;
}

void process_capture_cancel(process_capture *capture) {
    if (capture) {
        capture_free(capture);
    }
}
