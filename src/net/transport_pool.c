#include "loop_priv.h"
#include "transport_priv.h"

/*
 * curl_easy_send() and _recv() search their multi handle's connections from the start, and each multi handle weighs
 * 30 KB: so a few dozen connections share one.
 */
#define GROUP_SIZE 64

struct transport_group {
    transport_pool *pool;
    CURLM *multi;
    loop_timer *timer;
    unsigned count;
};

struct transport_pool {
    event_loop *loop;
    tls_trust *trust;
    GPtrArray *groups;
};

/* A descriptor that libcurl wants to hear of, while connecting. */
typedef struct group_socket {
    transport_group *group;
    transport *transport;
    loop_watch *watch;
    curl_socket_t fd;
} group_socket;

static void take_results(transport_group *group) {
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(group->multi, &left))) {
        CURLcode code = message->data.result;
        transport *t = NULL;

        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
            transport_connect_done(t, code);
        }
    }
}

static void socket_ready(void *user, int events) {
    group_socket *s = user;
    transport_group *group = s->group;
    transport *t = s->transport;
    int mask = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0);
    int running;

    curl_multi_socket_action(group->multi, s->fd, mask, &running); /* may free s, never t */
    transport_setup_progress(t);
    take_results(group);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_data) {
    transport_group *group = user;
    group_socket *s = socket_data;

    if (what == CURL_POLL_REMOVE) {
        if (s) {
            loop_watch_free(s->watch);
            g_free(s);
            curl_multi_assign(group->multi, fd, NULL);
        }
        return 0;
    }
    if (!s) {
        s = g_new0(group_socket, 1);
        *s = (group_socket){.group = group, .fd = fd};
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &s->transport);
        error *err = loop_watch_new(group->pool->loop, fd, socket_ready, s, &s->watch);
        if (err) {
            error_free(err);
            g_free(s);
            return -1;
        }
        curl_multi_assign(group->multi, fd, s);
    }
    loop_watch_set(s->watch, (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
    return 0;
}

static int want_timer(CURLM *multi, long timeout_ms, void *user) {
    transport_group *group = user;

    (void)multi;
    if (timeout_ms < 0) {
        loop_timer_stop(group->timer);
    } else {
        loop_timer_start(group->timer, (uint64_t)timeout_ms);
    }
    return 0;
}

static void timer_fired(void *user) {
    transport_group *group = user;
    int running;

    curl_multi_socket_action(group->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_results(group);
}

static transport_group *group_new(transport_pool *pool) {
    transport_group *group = g_new0(transport_group, 1);

    group->pool = pool;
    group->multi = curl_multi_init();
    group->timer = loop_timer_new(pool->loop, timer_fired, group);
    curl_multi_setopt(group->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(group->multi, CURLMOPT_SOCKETDATA, group);
    curl_multi_setopt(group->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(group->multi, CURLMOPT_TIMERDATA, group);
    g_ptr_array_add(pool->groups, group);
    return group;
}

static void group_free(void *data) {
    transport_group *group = data;

    curl_multi_cleanup(group->multi);
    loop_timer_free(group->timer);
    g_free(group);
}

error *transport_group_join(transport *t) {
    transport_group *group = NULL;
    CURLMcode code;

    for (guint i = 0; i < t->pool->groups->len && !group; i++) {
        transport_group *candidate = t->pool->groups->pdata[i];

        group = candidate->count < GROUP_SIZE ? candidate : NULL;
    }
    group = group ? group : group_new(t->pool);
    code = curl_multi_add_handle(group->multi, t->easy);
    if (code != CURLM_OK) {
        return error_new(ERROR_NETWORK, "libcurl: %s", curl_multi_strerror(code));
    }
    group->count++;
    t->group = group;
    return NULL;
}

void transport_group_leave(transport *t) {
    if (t->group) {
        curl_multi_remove_handle(t->group->multi, t->easy);
        t->group->count--;
        t->group = NULL;
    }
}

transport_pool *transport_pool_new(event_loop *loop, tls_trust *trust) {
    transport_pool *pool = g_new0(transport_pool, 1);

    curl_global_init(CURL_GLOBAL_DEFAULT);
    *pool = (transport_pool){.loop = loop, .trust = trust, .groups = g_ptr_array_new_with_free_func(group_free)};
    return pool;
}

void transport_pool_free(transport_pool *pool) {
    if (pool) {
        g_ptr_array_free(pool->groups, TRUE);
        curl_global_cleanup();
        g_free(pool);
    }
}

event_loop *transport_pool_loop(transport_pool *pool) {
    return pool->loop;
}

tls_trust *transport_pool_trust(transport_pool *pool) {
    return pool->trust;
}
