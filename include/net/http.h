/*
 * net/http.h - HTTP requests to places that users and rules name: webhooks, http.get/post of rules, OAuth2.
 *
 * One attempt a request; who wants retries starts another. Safe to point at a hostile server and, unless the request
 * says allow_private, from a hostile URL: only http and https, redirects not followed, no proxy from the environment,
 * no cookies, no .netrc, certificates verified; addresses of private and special networks are refused at the moment of
 * connecting, whatever name or spelling led there (net/address.h). Header, body, decoded body and time are bounded.
 * Connections are kept and reused (HTTP/2 where offered), never between requests with and without allow_private.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "base/error.h"
#include "net/loop.h"
#include "net/tls.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_URL_MAX 8192
#define HTTP_HEADERS_MAX 100                   /* header fields of a request */
#define HTTP_RESPONSE_HEADER_MAX (64 * 1024)   /* bytes of a response's header block */
#define HTTP_RETRY_AFTER_MAX_MS (24 * 3600 * 1000ull)

typedef struct http_client http_client;
typedef struct http_call http_call;

/* Copied when the call starts; zero means default. */
typedef struct http_request {
    const char *method;          /* "GET" if NULL; an RFC 9110 token */
    const char *url;             /* without user:password@ */
    const char *const *headers;  /* name, value, name, value, ..., NULL. CR, LF or NUL inside: ERROR_INVALID */
    GBytes *body;                /* referenced; NULL = none */
    const char *tls_ca;          /* NULL = the system's */
    uint64_t timeout_ms;         /* the whole call: 30,000 */
    uint64_t connect_ms;         /* 10,000 */
    size_t max_response;         /* body bytes after decoding: 1 MiB; more is HTTP_TOO_LARGE */
    bool allow_private;          /* loopback and private addresses are fine */
    bool compressed;             /* offer gzip and deflate for the response */
} http_request;

enum http_outcome {
    HTTP_ANSWERED,  /* there is a status, of whatever kind */
    HTTP_NETWORK,   /* look-up, connect, reset, protocol */
    HTTP_TIMEOUT,   /* of the call or of the connect */
    HTTP_TLS,
    HTTP_REFUSED,   /* the address is not allowed; the error names it */
    HTTP_TOO_LARGE, /* header or body over its cap */
    HTTP_OUTCOMES
};

/* Valid during the callback. */
typedef struct http_result {
    enum http_outcome outcome;
    int status;                   /* 200, ...; 0 if there was none; also when the rest was too large */
    const char *const *headers;   /* name (lower case), value, ..., NULL: of the final response */
    const uint8_t *body;          /* never NULL */
    size_t body_len;
    uint64_t retry_after_ms;      /* Retry-After as a delay, capped at HTTP_RETRY_AFTER_MAX_MS; 0 = none */
    const error *err;             /* NULL if answered. Code NETWORK, TLS, PERMISSION (refused), LIMIT (too large) */
    uint64_t took_ms;
} http_result;

typedef void (*http_done_fn)(void *user, const http_result *result);

error *http_client_new(event_loop *loop, tls_trust *trust, http_client **client_out);
void http_client_free(http_client *client); /* calls under way end without a callback. Not from a
                                              callback of its own. Accepts NULL */

/* done is called once, never from inside http_start(), unless the call is cancelled. *call_out (may be NULL) is valid
 * until done returns. ERROR_INVALID: URL, method or header that cannot be sent. ERROR_CONFIG: CA file. */
error *http_start(http_client *client, const http_request *request, http_done_fn done, void *user,
                  http_call **call_out);
void http_cancel(http_call *call); /* done is not called */

/* First value of a header by its lower-case name, or NULL. */
const char *http_header(const http_result *result, const char *name);
/* Retry-After (RFC 9110 section 10.2.3): seconds or an HTTP-date against wall_ms. 0 if absent, past or malformed;
 * capped at HTTP_RETRY_AFTER_MAX_MS. */
uint64_t http_parse_retry_after(const char *value, int64_t wall_ms);
const char *http_outcome_name(enum http_outcome outcome); /* static, e.g. "timeout" */

#endif
