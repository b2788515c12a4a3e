/*
 * net/multi_priv.h - a libcurl multi handle driven by the loop.
 */
#ifndef NET_MULTI_PRIV_H
#define NET_MULTI_PRIV_H

#include "net/loop.h"

#include <curl/curl.h>

typedef struct multi {
    event_loop *loop;
    CURLM *handle;
    loop_timer *timer;
    /* A transfer ended. It may be removed and freed here, and others added. */
    void (*ended)(void *user, CURL *easy, CURLcode code);
    /* libcurl worked on an easy handle's socket; may be NULL. Nothing is freed here. */
    void (*worked)(void *user, CURL *easy);
    void *user;
} multi;

/* ended, worked and user are the caller's to set. */
void multi_init(multi *m, event_loop *loop);
/* After all of its easy handles were removed. Not from inside `ended`. */
void multi_release(multi *m);
/* ERROR_NETWORK: libcurl would not take it. Calls nobody. */
error *multi_add(multi *m, CURL *easy);

#endif
