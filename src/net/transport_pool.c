#include "multi_priv.h"
#include "transport_priv.h"

/*
 * curl_easy_send() and _recv() search their multi handle's connections from the start, and each multi handle weighs
 * 30 KB: so a few dozen connections share one.
 */
#define GROUP_SIZE 64

struct transport_group {
    multi multi;
    unsigned count;
};

struct transport_pool {
    event_loop *loop;
    tls_trust *trust;
    GPtrArray *groups;
};

static transport *owner_of(CURL *easy) {
    transport *t = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
    return t;
}

static void connect_ended(void *user, CURL *easy, CURLcode code) {
    (void)user;
    transport_connect_done(owner_of(easy), code);
}

static void connect_worked(void *user, CURL *easy) {
    (void)user;
    transport_setup_progress(owner_of(easy));
}

static transport_group *group_new(transport_pool *pool) {
    transport_group *group = g_new0(transport_group, 1);

    multi_init(&group->multi, pool->loop);
    group->multi.ended = connect_ended;
    group->multi.worked = connect_worked;
    g_ptr_array_add(pool->groups, group);
    return group;
}

static void group_free(void *data) {
    transport_group *group = data;

    multi_release(&group->multi);
    g_free(group);
}

error *transport_group_join(transport *t) {
    transport_group *group = NULL;
    error *err;

    for (guint i = 0; i < t->pool->groups->len && !group; i++) {
        transport_group *candidate = t->pool->groups->pdata[i];

        group = candidate->count < GROUP_SIZE ? candidate : NULL;
    }
    group = group ? group : group_new(t->pool);
    err = multi_add(&group->multi, t->easy);
    if (err) {
        return err;
    }
    group->count++;
    t->group = group;
    return NULL;
}

void transport_group_leave(transport *t) {
    if (t->group) {
        curl_multi_remove_handle(t->group->multi.handle, t->easy);
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
