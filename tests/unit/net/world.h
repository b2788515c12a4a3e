/*
 * tests/unit/net/world.h - what tests of connections share: a loop on a clock that is told the time, an authority in a
 * CA file of its own, and a certificate for localhost that it has signed.
 */
#ifndef TESTS_UNIT_NET_WORLD_H
#define TESTS_UNIT_NET_WORLD_H

#include "net/http.h"
#include "net/transport.h"
#include "tests/unit/net/peer.h"
#include "tests/unit/unit.h"

typedef struct world {
    clock_source clock;
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    http_client *http;
    loop_async *nudge; /* the server's thread wakes the loop after it changed something */
    char *dir, *ca_file;
    identity ca, good;
} world;

static inline void wake_nothing(void *user) {
    (void)user;
}

static inline int set_up(void **state) {
    world *w = g_new0(world, 1);

    clock_init_fake(&w->clock, 1700000000000);
    assert_null(loop_new(&w->clock, &w->loop));
    assert_null(loop_async_new(w->loop, wake_nothing, NULL, &w->nudge));
    w->trust = tls_trust_new();
    w->pool = transport_pool_new(w->loop, w->trust);
    assert_null(http_client_new(w->loop, w->trust, &w->http));
    w->dir = g_dir_make_tmp("mailruled-net-XXXXXX", NULL);
    w->ca_file = g_build_filename(w->dir, "ca.pem", NULL);
    w->ca = identity_new(NULL, "Test CA", NULL, -1, 10);
    w->good = identity_new(&w->ca, "localhost", "DNS:localhost,IP:127.0.0.1", -1, 10);
    identity_write(&w->ca, w->ca_file);
    *state = w;
    return 0;
}

static inline int tear_down(void **state) {
    world *w = *state;

    http_client_free(w->http);
    transport_pool_free(w->pool);
    tls_trust_free(w->trust);
    loop_async_free(w->nudge);
    loop_free(w->loop);
    g_unlink(w->ca_file);
    g_rmdir(w->dir);
    g_free(w->dir);
    g_free(w->ca_file);
    identity_release(&w->ca);
    identity_release(&w->good);
    g_free(w);
    return 0;
}

#define until(world, condition)                                                                                        \
    while (!(condition)) {                                                                                             \
        loop_turn((world)->loop, true);                                                                                \
    }

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
