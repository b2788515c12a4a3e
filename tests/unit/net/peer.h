/*
 * tests/unit/net/peer.h - the other end of a connection: certificates made on the spot, and a scripted server on
 * loopback that runs in a thread of its own. Its script is a function that reads and writes as it likes.
 */
#ifndef TESTS_UNIT_NET_PEER_H
#define TESTS_UNIT_NET_PEER_H

#include <arpa/inet.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A test that hangs is a test that failed. */
static inline void peer_watchdog(void) {
    signal(SIGPIPE, SIG_IGN);
    alarm(100);
}

/* --- certificates ----------------------------------------------------------------------------------------------- */

typedef struct identity {
    X509 *cert;
    EVP_PKEY *key;
} identity;

static inline void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* names: subjectAltName, e.g. "DNS:localhost,IP:127.0.0.1"; NULL for an authority. Valid from..to days from now. */
static inline identity identity_new(const identity *issuer, const char *cn, const char *names, int from, int to) {
    static long serial = 1;
    identity id = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_NAME *name = X509_get_subject_name(id.cert);

    X509_set_version(id.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to * 86400L);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
    X509_set_issuer_name(id.cert, issuer ? X509_get_subject_name(issuer->cert) : name);
    add_extension(id.cert, issuer ? issuer->cert : id.cert, NID_basic_constraints,
                  names ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (names) {
        add_extension(id.cert, id.cert, NID_subject_alt_name, names);
    }
    X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256());
    return id;
}

static inline void identity_release(identity *id) {
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
}

static inline void identity_write(const identity *id, const char *path) {
    FILE *file = fopen(path, "w");

    PEM_write_X509(file, id->cert);
    fclose(file);
}

/* --- server ----------------------------------------------------------------------------------------------------- */

typedef struct peer peer;
typedef void (*peer_script)(peer *p);

struct peer {
    peer_script script;
    int fd;
    SSL *ssl;
    const identity *identity;
    void *user;
    int connection;   /* 0, 1, ... */
    char line[65536]; /* the last line read, without CRLF */
};

typedef struct server {
    int fd;
    uint16_t port;
    pthread_t thread;
    peer_script script;
    const identity *identity;
    void *user;
    int connections;
} server;

static inline bool peer_start_tls(peer *p) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok;

    SSL_CTX_use_certificate(ctx, p->identity->cert);
    SSL_CTX_use_PrivateKey(ctx, p->identity->key);
    p->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(p->ssl, p->fd);
    ok = SSL_accept(p->ssl) == 1;
    if (!ok) {
        g_clear_pointer(&p->ssl, SSL_free);
    }
    return ok;
}

static inline ssize_t peer_read(peer *p, void *buffer, size_t len) {
    return p->ssl ? SSL_read(p->ssl, buffer, (int)len) : recv(p->fd, buffer, len, 0);
}

static inline bool peer_write(peer *p, const void *bytes, size_t len) {
    size_t sent = 0;

    while (sent < len) {
        int part = (int)MIN(len - sent, 1u << 20);
        ssize_t n = p->ssl ? SSL_write(p->ssl, (const char *)bytes + sent, part)
                           : send(p->fd, (const char *)bytes + sent, (size_t)part, MSG_NOSIGNAL);

        if (n <= 0) {
            return false;
        }
        sent += (size_t)n;
    }
    return true;
}

static inline bool peer_say(peer *p, const char *text) {
    return peer_write(p, text, strlen(text));
}

/* False at the end of the stream. */
static inline bool peer_read_line(peer *p) {
    size_t len = 0;

    while (len < sizeof p->line - 1 && peer_read(p, p->line + len, 1) == 1) {
        if (p->line[len++] == '\n') {
            p->line[len] = '\0';
            g_strchomp(p->line);
            return true;
        }
    }
    p->line[len] = '\0';
    return false;
}

/* Read until the other side hangs up; how many bytes came. */
static inline size_t peer_read_out(peer *p) {
    char buffer[16384];
    size_t sum = 0;
    ssize_t n;

    while ((n = peer_read(p, buffer, sizeof buffer)) > 0) {
        sum += (size_t)n;
    }
    return sum;
}

/* Close with a reset instead of in order. */
static inline void peer_reset(peer *p) {
    struct linger linger = {.l_onoff = 1};

    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static inline void *peer_thread(void *data) {
    peer *p = data;

    p->script(p);
    if (p->ssl) {
        SSL_shutdown(p->ssl);
        SSL_free(p->ssl);
    }
    close(p->fd);
    g_free(p);
    return NULL;
}

static inline void *server_thread(void *data) {
    server *s = data;
    pthread_t *threads = g_new(pthread_t, s->connections);
    struct timeval limit = {.tv_sec = 60};
    int count = 0, fd;

    while (count < s->connections && (fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        peer *p = g_new0(peer, 1);

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        *p = (peer){.fd = fd, .identity = s->identity, .user = s->user, .connection = count, .script = s->script};
        pthread_create(&threads[count++], NULL, peer_thread, p);
    }
    while (count) {
        pthread_join(threads[--count], NULL);
    }
    g_free(threads);
    return NULL;
}

/* Serve so many connections, each in a thread. */
static inline void server_start(server *s, peer_script script, const identity *id, void *user, int connections) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;

    *s = (server){.script = script, .identity = id, .user = user, .connections = connections};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bind(s->fd, (struct sockaddr *)&addr, sizeof addr);
    listen(s->fd, 16);
    getsockname(s->fd, (struct sockaddr *)&addr, &len);
    s->port = ntohs(addr.sin_port);
    pthread_create(&s->thread, NULL, server_thread, s);
}

/* Wait until all connections were served; what never came is given up. */
static inline void server_stop(server *s) {
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* A port that nobody listens on. */
static inline uint16_t free_port(void) {
    server s;

    server_start(&s, NULL, NULL, NULL, 0);
    server_stop(&s);
    return s.port;
}

#endif
