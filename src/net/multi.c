#include "multi_priv.h"

/* A descriptor that libcurl wants to hear of. */
typedef struct multi_socket {
    multi *owner;
    CURL *easy;
    loop_watch *watch;
    curl_socket_t fd;
} multi_socket;

static void take_results(multi *m) {
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(m->handle, &left))) {
        if (message->msg == CURLMSG_DONE) {
            m->ended(m->user, message->easy_handle, message->data.result);
        }
    }
}

static void socket_ready(void *user, int events) {
    multi_socket *s = user;
    multi *m = s->owner;
    CURL *easy = s->easy;
    int mask = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0);
    int running;

    curl_multi_socket_action(m->handle, s->fd, mask, &running); /* may free s */
    if (m->worked) {
        m->worked(m->user, easy);
    }
    take_results(m);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_data) {
    multi *m = user;
    multi_socket *s = socket_data;
    error *err;

    if (what == CURL_POLL_REMOVE) {
        if (s) {
            loop_watch_free(s->watch);
            g_free(s);
            curl_multi_assign(m->handle, fd, NULL);
        }
        return 0;
    }
    if (!s) {
        s = g_new0(multi_socket, 1);
        *s = (multi_socket){.owner = m, .easy = easy, .fd = fd};
        err = loop_watch_new(m->loop, fd, socket_ready, s, &s->watch);
        if (err) {
            error_free(err);
            g_free(s);
            return -1;
        }
        curl_multi_assign(m->handle, fd, s);
    }
    loop_watch_set(s->watch, (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
    return 0;
}

static int want_timer(CURLM *handle, long timeout_ms, void *user) {
    multi *m = user;

    (void)handle;
    if (timeout_ms < 0) {
        loop_timer_stop(m->timer);
    } else {
        loop_timer_start(m->timer, (uint64_t)timeout_ms);
    }
    return 0;
}

static void timer_fired(void *user) {
    multi *m = user;
    int running;

    curl_multi_socket_action(m->handle, CURL_SOCKET_TIMEOUT, 0, &running);
    take_results(m);
}

void multi_init(multi *m, event_loop *loop) {
    *m = (multi){.loop = loop, .handle = curl_multi_init()};
    m->timer = loop_timer_new(loop, timer_fired, m);
    curl_multi_setopt(m->handle, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(m->handle, CURLMOPT_SOCKETDATA, m);
    curl_multi_setopt(m->handle, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(m->handle, CURLMOPT_TIMERDATA, m);
}

void multi_release(multi *m) {
    curl_multi_cleanup(m->handle);
    loop_timer_free(m->timer);
}

error *multi_add(multi *m, CURL *easy) {
    CURLMcode code = curl_multi_add_handle(m->handle, easy);

    return code == CURLM_OK ? NULL : error_new(ERROR_NETWORK, "libcurl: %s", curl_multi_strerror(code));
}
