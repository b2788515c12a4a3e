#include "loop_priv.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct event_loop {
    uv_loop_t uv;
    const clock_source *clock;
    timer_heap timers;
    int timer_fd;       /* CLOCK_BOOTTIME, unlike libuv's own timers: it also wakes up after a suspend */
    uint64_t armed;     /* the deadline that timer_fd stands for; UINT64_MAX = none */
    uv_poll_t timer_poll;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* runs while a timer is due, so that polling does not block */
    uint8_t *read_buffer;
};

error *loop_uv_error(int status, const char *what) {
    return error_new(ERROR_IO, "%s: %s", what, uv_strerror(status));
}

uv_loop_t *loop_uv(event_loop *loop) {
    return &loop->uv;
}

timer_heap *loop_timers(event_loop *loop) {
    return &loop->timers;
}

uint8_t *loop_read_buffer(event_loop *loop) {
    if (!loop->read_buffer) {
        loop->read_buffer = g_malloc(LOOP_READ_BUFFER);
    }
    return loop->read_buffer;
}

const clock_source *loop_clock(const event_loop *loop) {
    return loop->clock;
}

uint64_t loop_now(const event_loop *loop) {
    return clock_elapsed_ms(loop->clock);
}

/* --- timers in the turn ----------------------------------------------------------------------------------------- */

static void arm(event_loop *loop, uint64_t deadline, uint64_t now) {
    struct itimerspec spec = {0};

    if (deadline != UINT64_MAX) {
        spec.it_value.tv_sec = (time_t)MIN((deadline - now) / 1000, (uint64_t)INT32_MAX);
        spec.it_value.tv_nsec = (long)((deadline - now) % 1000) * 1000000;
    }
    timerfd_settime(loop->timer_fd, 0, &spec, NULL);
    loop->armed = deadline;
}

static void idle_nothing(uv_idle_t *handle) {
    (void)handle;
}

static void before_poll(uv_prepare_t *handle) {
    event_loop *loop = handle->data;
    uint64_t next = timer_heap_next(&loop->timers);
    uint64_t now = loop_now(loop);

    if (next == UINT64_MAX) {
        uv_unref((uv_handle_t *)&loop->timer_poll);
    } else {
        uv_ref((uv_handle_t *)&loop->timer_poll);
    }
    if (next <= now) {
        uv_idle_start(&loop->idle, idle_nothing);
    } else if (next != loop->armed) {
        arm(loop, next, now);
    }
}

static void after_poll(uv_check_t *handle) {
    event_loop *loop = handle->data;

    uv_idle_stop(&loop->idle);
    timer_heap_fire(&loop->timers, loop_now(loop));
    /* A timer started just now must count when libuv asks whether anything is left to wait for. */
    if (timer_heap_next(&loop->timers) != UINT64_MAX) {
        uv_ref((uv_handle_t *)&loop->timer_poll);
    } else {
        uv_unref((uv_handle_t *)&loop->timer_poll);
    }
}

static void timer_fd_ready(uv_poll_t *handle, int status, int events) {
    event_loop *loop = handle->data;
    uint64_t expirations;

    (void)status, (void)events;
    if (read(loop->timer_fd, &expirations, sizeof expirations) == sizeof expirations) {
        loop->armed = UINT64_MAX;
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void init_handle(event_loop *loop, uv_handle_t *handle) {
    handle->data = loop;
    uv_unref(handle);
}

error *loop_new(const clock_source *clock, event_loop **loop_out) {
    event_loop *loop = g_new0(event_loop, 1);
    int status = uv_loop_init(&loop->uv);

    *loop_out = NULL;
    if (status < 0) {
        g_free(loop);
        return loop_uv_error(status, "event loop");
    }
    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->timer_fd < 0) {
        status = -errno;
        uv_loop_close(&loop->uv);
        g_free(loop);
        return loop_uv_error(status, "timerfd");
    }
    signal(SIGPIPE, SIG_IGN);
    loop->clock = clock;
    loop->armed = UINT64_MAX;
    timer_heap_init(&loop->timers);
    uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_poll_start(&loop->timer_poll, UV_READABLE, timer_fd_ready);
    uv_prepare_start(&loop->prepare, before_poll);
    uv_check_start(&loop->check, after_poll);
    init_handle(loop, (uv_handle_t *)&loop->timer_poll);
    init_handle(loop, (uv_handle_t *)&loop->prepare);
    init_handle(loop, (uv_handle_t *)&loop->check);
    init_handle(loop, (uv_handle_t *)&loop->idle);
    *loop_out = loop;
    return NULL;
}

void loop_free(event_loop *loop) {
    if (!loop) {
        return;
    }
    uv_close((uv_handle_t *)&loop->timer_poll, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    /* Handles of freed objects close here, and children that were given up are reaped. */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop->uv) != 0) {
        g_critical("an object outlived its loop");
        return; /* leaking beats handing freed memory to the callbacks of whatever is left */
    }
    close(loop->timer_fd);
    timer_heap_release(&loop->timers);
    g_free(loop->read_buffer);
    g_free(loop);
}

/* Timers live outside of libuv: it has to know of them before it decides that nothing is left. */
static void count_timers(event_loop *loop) {
    if (loop->timers.timers->len) {
        uv_ref((uv_handle_t *)&loop->timer_poll);
    }
}

void loop_run(event_loop *loop) {
    count_timers(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(event_loop *loop) {
    uv_stop(&loop->uv);
}

bool loop_turn(event_loop *loop, bool wait) {
    count_timers(loop);
    return uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT) != 0;
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

struct loop_watch {
    uv_poll_t poll;
    loop_watch_fn fn;
    void *user;
    int events;
    bool freed; /* memory goes when libuv has closed the handle */
};

static void free_handle(uv_handle_t *handle) {
    g_free(handle->data);
}

static void watch_ready(uv_poll_t *handle, int status, int events) {
    loop_watch *watch = handle->data;

    if (status >= 0) {
        watch->fn(watch->user, events & watch->events);
        return;
    }
    /* libuv stopped the handle because of an error condition; ours is level triggered and goes on. */
    int asked = watch->events;
    watch->events = 0;
    loop_watch_set(watch, asked);
    watch->fn(watch->user, asked);
}

error *loop_watch_new(event_loop *loop, int fd, loop_watch_fn fn, void *user, loop_watch **watch_out) {
    loop_watch *watch = g_new0(loop_watch, 1);
    int status = uv_poll_init(&loop->uv, &watch->poll, fd);

    *watch_out = NULL;
    if (status < 0) {
        g_free(watch);
        return loop_uv_error(status, "watching a descriptor");
    }
    watch->fn = fn;
    watch->user = user;
    watch->poll.data = watch;
    *watch_out = watch;
    return NULL;
}

void loop_watch_set(loop_watch *watch, int events) {
    if (watch->freed || events == watch->events) {
        return;
    }
    watch->events = events;
    if (events) {
        uv_poll_start(&watch->poll, events, watch_ready);
    } else {
        uv_poll_stop(&watch->poll);
    }
}

void loop_watch_free(loop_watch *watch) {
    if (watch) {
        watch->freed = true;
        uv_close((uv_handle_t *)&watch->poll, free_handle);
    }
}

/* --- wake-ups and signals --------------------------------------------------------------------------------------- */

struct loop_async {
    uv_async_t async;
    loop_fn fn;
    void *user;
};

static void async_woken(uv_async_t *handle) {
    loop_async *async = handle->data;

    async->fn(async->user);
}

error *loop_async_new(event_loop *loop, loop_fn fn, void *user, loop_async **async_out) {
    loop_async *async = g_new0(loop_async, 1);
    int status = uv_async_init(&loop->uv, &async->async, async_woken);

    *async_out = NULL;
    if (status < 0) {
        g_free(async);
        return loop_uv_error(status, "wake-up");
    }
    async->fn = fn;
    async->user = user;
    async->async.data = async;
    *async_out = async;
    return NULL;
}

void loop_async_wake(loop_async *async) {
    uv_async_send(&async->async);
}

void loop_async_free(loop_async *async) {
    if (async) {
        uv_close((uv_handle_t *)&async->async, free_handle);
    }
}

struct loop_signal {
    uv_signal_t signal;
    loop_fn fn;
    void *user;
};

static void signal_came(uv_signal_t *handle, int signum) {
    loop_signal *sig = handle->data;

    (void)signum;
    sig->fn(sig->user);
}

error *loop_signal_new(event_loop *loop, int signum, loop_fn fn, void *user, loop_signal **signal_out) {
    loop_signal *sig = g_new0(loop_signal, 1);
    int status = uv_signal_init(&loop->uv, &sig->signal);

    *signal_out = NULL;
    if (status < 0) {
        g_free(sig);
        return loop_uv_error(status, "signal");
    }
    sig->fn = fn;
    sig->user = user;
    sig->signal.data = sig;
    uv_unref((uv_handle_t *)&sig->signal);
    status = uv_signal_start(&sig->signal, signal_came, signum);
    if (status < 0) {
        loop_signal_free(sig);
        return loop_uv_error(status, strsignal(signum));
    }
    *signal_out = sig;
    return NULL;
}

void loop_signal_free(loop_signal *sig) {
    if (sig) {
        uv_close((uv_handle_t *)&sig->signal, free_handle);
    }
}
