/*
 * What an idle IMAP connection over TLS weighs, and what a connect and a line each way cost. The server is a forked
 * process, so that only the client's memory and CPU are counted.
 * usage: transport [connections]
 */
#include "net/transport.h"
#include "tests/unit/net/peer.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define AT_ONCE 20

typedef struct bench {
    transport_pool *pool;
    transport_options options;
    transport **connections;
    int wanted, started, connected, lines, failed;
} bench;

/* --- server: one process, no TLS state shared with the client ----------------------------------------------------- */

typedef struct conversation {
    SSL *ssl;
    bool accepted;
} conversation;

static void answer(conversation *c) {
    char line[512], text[600];
    int n;

    if (!c->accepted) {
        if (SSL_accept(c->ssl) != 1) {
            return;
        }
        c->accepted = true;
        SSL_write(c->ssl, "* OK ready\r\n", 12);
    }
    while ((n = SSL_read(c->ssl, line, sizeof line - 1)) > 0) {
        line[n] = '\0';
        if (strstr(line, "CAPABILITY")) {
            n = snprintf(text, sizeof text, "* CAPABILITY IMAP4rev1 IDLE\r\n%.4s OK done\r\n", line);
        } else {
            n = snprintf(text, sizeof text, "* OK still here\r\n");
        }
        SSL_write(c->ssl, text, n);
    }
}

static void serve(int listen_fd, const identity *id, const identity *ca) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, ready[64];

    SSL_CTX_use_certificate(ctx, id->cert);
    SSL_CTX_use_PrivateKey(ctx, id->key);
    SSL_CTX_add1_chain_cert(ctx, ca->cert);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listen_fd, &event);
    for (;;) {
        int count = epoll_wait(epoll, ready, 64, -1);

        for (int i = 0; i < count; i++) {
            conversation *c = ready[i].data.ptr;

            if (c) {
                answer(c);
                continue;
            }
            int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK);
            c = calloc(1, sizeof *c);
            c->ssl = SSL_new(ctx);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
            event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.ptr = c};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}

/* --- client ------------------------------------------------------------------------------------------------------ */

static void connected(void *user, const transport_greeting *greeting) {
    (void)greeting;
    ((bench *)user)->connected++;
}

static void data(void *user, const uint8_t *bytes, size_t len) {
    (void)bytes, (void)len;
    ((bench *)user)->lines++;
}

static void closed(void *user, error *err) {
    fprintf(stderr, "closed: %s\n", err ? err->text : "by the server");
    error_free(err);
    ((bench *)user)->failed++;
}

static long rss_kb(void) {
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (fscanf(file, "%ld %ld", &total, &resident) != 2) {
        resident = 0;
    }
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static double cpu_ms(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void connect_all(bench *b, event_loop *loop) {
    static const transport_events events = {connected, data, NULL, closed};

    while (b->connected < b->wanted && !b->failed) {
        while (b->started < b->wanted && b->started - b->connected < AT_ONCE) {
            error *err = transport_open(b->pool, &b->options, &events, b, NULL, &b->connections[b->started++]);

            if (err) {
                fprintf(stderr, "%s\n", err->text);
                exit(1);
            }
        }
        loop_turn(loop, true);
    }
}

static void ping_all(bench *b, event_loop *loop) {
    b->lines = 0;
    for (int i = 0; i < b->wanted; i++) {
        transport_send(b->connections[i], "x NOOP\r\n", 8);
    }
    while (b->lines < b->wanted && !b->failed) {
        loop_turn(loop, true);
    }
}

int main(int argc, char **argv) {
    bench b = {.wanted = argc > 1 ? atoi(argv[1]) : 1000};
    identity ca = identity_new(NULL, "Bench CA", NULL, -1, 10);
    identity id = identity_new(&ca, "localhost", "IP:127.0.0.1", -1, 10);
    g_autofree char *dir = g_dir_make_tmp("mailruled-bench-XXXXXX", NULL);
    g_autofree char *ca_file = g_build_filename(dir, "ca.pem", NULL);
    server s;
    struct rlimit files;
    clock_source clock;
    event_loop *loop;
    tls_trust *trust = tls_trust_new();

    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    identity_write(&ca, ca_file);
    server_start(&s, NULL, NULL, NULL, 0);
    pthread_join(s.thread, NULL);
    listen(s.fd, 1024);
    pid_t pid = fork();
    if (pid == 0) {
        serve(s.fd, &id, &ca);
    }
    clock_init_real(&clock);
    error_free(loop_new(&clock, &loop));
    b.pool = transport_pool_new(loop, trust);
    b.options = (transport_options){.host = "127.0.0.1", .port = s.port, .tls_ca = ca_file};
    b.connections = g_new0(transport *, b.wanted);
    int wanted = b.wanted;
    b.wanted = 1; /* what is loaded once is not a connection's */
    connect_all(&b, loop);
    b.wanted = wanted;
    long rss = rss_kb();
    size_t heap = mallinfo2().uordblks;
    double cpu = cpu_ms();
    connect_all(&b, loop);
    double count = wanted - 1;
    printf("%d connections: heap %.1f KB, resident %.1f KB, %.2f ms CPU a connect\n", b.connected,
           (double)(mallinfo2().uordblks - heap) / 1024 / count, (double)(rss_kb() - rss) / count,
           (cpu_ms() - cpu) / count);
    cpu = cpu_ms();
    for (int i = 0; i < 5; i++) {
        ping_all(&b, loop);
    }
    printf("%.1f us CPU a line sent and one received\n", (cpu_ms() - cpu) * 1000 / 5 / wanted);
    printf("after traffic: heap %.1f KB, resident %.1f KB\n", (double)(mallinfo2().uordblks - heap) / 1024 / count,
           (double)(rss_kb() - rss) / count);
    for (int i = 0; i < wanted; i++) {
        transport_free(b.connections[i]);
    }
    transport_pool_free(b.pool);
    tls_trust_free(trust);
    loop_free(loop);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    g_unlink(ca_file);
    g_rmdir(dir);
    return b.failed != 0;
}
