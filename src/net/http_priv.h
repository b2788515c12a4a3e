/*
 * net/http_priv.h - the two files of the HTTP client: http_request.c (what may be asked, how libcurl is told) and
 * http.c (calls, limits, results).
 */
#ifndef NET_HTTP_PRIV_H
#define NET_HTTP_PRIV_H

#include "multi_priv.h"
#include "net/http.h"
#include "tls_priv.h"

/* Calls that may share connections: same allow_private, same CA file. */
typedef struct http_group {
    multi multi;
    http_client *client;
} http_group;

struct http_client {
    event_loop *loop;
    tls_trust *trust;
    GHashTable *groups; /* key -> http_group */
    GQueue calls;
};

struct http_call {
    http_client *client;
    http_group *group;
    GList link; /* in client->calls */
    CURL *easy;
    struct curl_slist *headers;
    GBytes *body;
    X509_STORE *store;
    tls_verdict verdict;
    loop_timer *deadline;
    char *host;              /* for messages */
    bool allow_private;
    bool finished;           /* done is running or has run */
    unsigned opened;         /* sockets */
    char *refused;           /* an address that was not connected to, and why */
    bool too_large;
    GByteArray *response;
    size_t max_response, header_bytes;
    GPtrArray *response_headers; /* name, value, ... */
    uint64_t started, timeout_ms;
    http_done_fn done;
    void *user;
    char errbuf[CURL_ERROR_SIZE];
};

/* http_request.c: check the request and tell call->easy all that follows from it. Fills headers, body and host. */
error *http_apply(http_call *call, const http_request *request);

#endif
