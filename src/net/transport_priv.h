/*
 * net/transport_priv.h - the three files of the transport: transport_pool.c (libcurl's handles and their events),
 * transport_connect.c (everything until it is connected), transport.c (the open stream).
 */
#ifndef NET_TRANSPORT_PRIV_H
#define NET_TRANSPORT_PRIV_H

#include "net/transport.h"
#include "net/deflate.h"
#include "tls_priv.h"

#include <curl/curl.h>

typedef struct transport_group transport_group; /* one multi handle */
typedef struct transport_setup transport_setup; /* what is needed until it is connected */

typedef struct transport_chunk {
    struct transport_chunk *next;
    size_t len, sent;
    uint8_t bytes[];
} transport_chunk;

struct transport {
    transport_pool *pool;
    transport_group *group; /* NULL once closed, like easy */
    CURL *easy;
    transport_setup *setup; /* NULL once connected or closed */
    loop_watch *watch;      /* once connected */
    loop_timer *turn;       /* deadline until connected; then: go on in the next turn */
    transport_events events;
    void *user;
    log_ctx log;
    transport_chunk *first, *last; /* send queue */
    size_t queued;
    uint64_t wire_in, wire_out;
    deflate_pair *deflate; /* NULL: nothing is compressed */
    error *broken; /* a send failed: to be told in the next turn */
    bool waited;   /* something could not be sent at once */
    bool paused;
    bool busy, freed; /* inside a callback; freed meanwhile */
};

/* transport_pool.c */
event_loop *transport_pool_loop(transport_pool *pool);
tls_trust *transport_pool_trust(transport_pool *pool);
/* Hand t->easy to libcurl, or take it back and close its connection. */
error *transport_group_join(transport *t);
void transport_group_leave(transport *t);

/* transport_connect.c */
/* Fills t->setup and t->easy and starts the deadline. */
error *transport_setup_new(transport *t, const transport_options *options);
void transport_setup_free(transport_setup *setup);
/* libcurl did something: the handshake's deadline starts once TCP is through. */
void transport_setup_progress(transport *t);
/* What to say when the deadline passed. */
error *transport_setup_deadline(transport *t);
/* libcurl is done: error, or greeting_out filled from the set-up. */
error *transport_setup_result(transport *t, CURLcode code, transport_greeting *greeting_out);

/* transport.c */
void transport_connect_done(transport *t, CURLcode code);

#endif
