/*
 * net/transport.h - one byte stream to an IMAP server: name look-up, TCP, proxy, TLS or STARTTLS, greeting.
 *
 * When it is connected, the greeting has been read and CAPABILITY was asked once (under TLS, unless tls is none); what
 * comes then is the session's: no credential passes through here but as opaque bytes of transport_send(). The commands
 * sent before used tags of one letter and three digits (A001): a session uses others.
 *
 * Security (RFC 9051 section 7.1.4 and 11.1, RFC 8314):
 * - TLS 1.2 at least, chain and host name verified, no way to switch that off. Never downgraded: with starttls, a
 *   server that does not offer it, refuses it, or greets with PREAUTH ends in an error and nothing more is sent.
 * - Bytes that follow the OK of STARTTLS in clear end the connection and are never delivered.
 * - tls none connects to loopback addresses only, checked on the address that is connected to.
 * - Proxies come from the options only: environment, .netrc and .curlrc are not read.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include "base/error.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct transport transport;

/* What the connections of a process share: certificates, and a few libcurl handles. */
typedef struct transport_pool transport_pool;
/* Loop and trust are borrowed and outlive the pool. */
transport_pool *transport_pool_new(event_loop *loop, tls_trust *trust);
void transport_pool_free(transport_pool *pool); /* after its transports. Accepts NULL */

enum transport_tls { TRANSPORT_TLS_IMPLICIT, TRANSPORT_TLS_STARTTLS, TRANSPORT_TLS_NONE };

/* Strings are copied. 0 in a number means the default. */
typedef struct transport_options {
    const char *host;         /* name or address, without brackets */
    uint16_t port;            /* 993 implicit, else 143 */
    enum transport_tls tls;
    const char *tls_ca;       /* file of trusted certificates instead of the system's; NULL */
    const char *proxy;        /* "socks5h://host:1080", "http://user:pass@host:3128"; NULL = direct */
    uint32_t connect_ms;      /* until TCP is through: 30,000 */
    uint32_t handshake_ms;    /* from there until proxy, TLS, greeting and CAPABILITY are: 30,000 */
    uint32_t keepalive_s;     /* TCP keepalive: idle time before the first probe: 60; probes every 15 */
    /* Unacknowledged data or probes kill the connection after (TCP_USER_TIMEOUT): three probes, 105,000. A shorter one
     * lets a single lost probe end an idle connection. */
    uint32_t user_timeout_ms;
} transport_options;

/* Valid during the callback; the session copies what it keeps. Text of the server: not trusted, no CRLF at its end. */
typedef struct transport_greeting {
    const char *text;       /* after "* ", e.g. "OK [CAPABILITY IMAP4rev1 ...] Dovecot ready." */
    bool preauth;           /* "* PREAUTH": only ever true under TLS from the first byte, or with tls none */
    const char *capability; /* the list after "* CAPABILITY ", read under TLS where TLS is asked for; NULL if none */
    const char *tls;        /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; NULL with tls none */
    const char *peer;       /* "192.0.2.1 port 993" */
} transport_greeting;

/* The transport may be freed inside any of these. closed is the last call and comes once, connected before it or not.
 * Nothing is called from inside transport_open() or transport_send(). */
typedef struct transport_events {
    void (*connected)(void *user, const transport_greeting *greeting);
    void (*data)(void *user, const uint8_t *bytes, size_t len); /* bytes valid during the call only */
    void (*drained)(void *user); /* the send queue became empty after it could not be sent at once; may be NULL */
    /* err is the callee's; NULL: the server closed in order. ERROR_NETWORK: look-up, connect, reset, timeout, early
     * EOF. ERROR_TLS: certificate ("certificate expired on ...", "host name ... does not match ...", "unknown issuer
     * ..."), handshake, STARTTLS missing or refused, "preauth without TLS". ERROR_BUSY: greeted with BYE; the text
     * holds the server's words. ERROR_PROTOCOL: not an IMAP greeting. ERROR_CONFIG: a CA file that cannot be used.
     * ERROR_LIMIT: the process has no descriptor left. */
    void (*closed)(void *user, error *err);
} transport_events;

/* Starts connecting. ERROR_CONFIG: bad host, port or proxy, tls none to what is not loopback. log is copied; its
 * strings outlive the transport. */
error *transport_open(transport_pool *pool, const transport_options *options, const transport_events *events,
                      void *user, const log_ctx *log, transport **transport_out);
/* Closes at once, with a TLS close_notify if it can be sent without waiting. closed is not called. Accepts NULL. */
void transport_free(transport *t);
/* Copy bytes and send them as the server takes them; wiped from memory once sent. Before connected and after closed
 * they are dropped. */
void transport_send(transport *t, const void *bytes, size_t len);
size_t transport_queued(const transport *t); /* bytes not yet handed to the kernel */
/* Stop and go on reading (backpressure). */
void transport_pause(transport *t, bool paused);
/* From here on both directions are raw DEFLATE (RFC 4978); TLS never compresses here. `rest`: what `data` has given
 * already and is the beginning of what the server compressed (what stood behind its OK). To be called inside that call
 * of `data`, once. What is sent in one call leaves in one flush. Data that are damaged, or end in the middle of a
 * block, end the connection with ERROR_PROTOCOL; a server that ends its stream has closed. `data` is given at most
 * 64 KB at a time, and more is inflated only when it has returned. Costs DEFLATE_PAIR_MEMORY (net/deflate.h). */
void transport_compress(transport *t, const uint8_t *rest, size_t len);
/* Octets that went over the wire since it was connected, under TLS: as they are there, compressed or not. */
void transport_traffic(const transport *t, uint64_t *in_out, uint64_t *out_out);
/* Is the host a loopback address or "localhost"? What tls none is allowed for. */
bool transport_host_is_loopback(const char *host);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(transport, transport_free)

#endif
