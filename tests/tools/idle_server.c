/*
 * idle_server - an IMAP server over TLS for thousands of connections that only idle: takes any login, has one empty folder.
 *
 *     idle_server [-p PORTFILE] CERTIFICATE KEY
 *
 * Listens on a port of loopback that the kernel chooses and writes it to PORTFILE (else standard output). One process, one
 * thread. SIGUSR1 writes "CONNECTIONS IDLING" to PORTFILE.count. Ends with SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 8192, EVENTS = 256 };

struct peer {
    SSL *ssl;
    int fd, greeted, idling;
    char idle_tag[64];
    size_t len;
    char line[LINE];
};

static struct {
    SSL_CTX *tls;
    int epoll, listener, peers, idling;
    const char *port_file;
} server;
static volatile sig_atomic_t asked;

static void ask(int signal_number) {
    (void)signal_number;
    asked = 1;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void write_file(const char *suffix, const char *text) {
    char path[4096], temporary[4200];
    FILE *f;

    if (!server.port_file) {
        puts(text);
        fflush(stdout);
        return;
    }
    snprintf(path, sizeof path, "%s%s", server.port_file, suffix);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    f = fopen(temporary, "w");
    if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) != 0 || rename(temporary, path) != 0) {
        fail(path);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

#define CAPABILITIES "IMAP4rev1 SASL-IR AUTH=PLAIN IDLE UIDPLUS MOVE ESEARCH ENABLE NAMESPACE LITERAL+ ID"

static const struct {
    const char *command, *data, *ok;
} answers[] = {
    {"CAPABILITY", "* CAPABILITY " CAPABILITIES "\r\n", "OK done"},
    {"LOGIN", "", "OK [CAPABILITY " CAPABILITIES "] logged in"},
    {"AUTHENTICATE", "", "OK [CAPABILITY " CAPABILITIES "] logged in"},
    {"NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", "OK done"},
    {"ID", "* ID NIL\r\n", "OK done"},
    {"LIST", "* LIST (\\HasNoChildren) \"/\" INBOX\r\n", "OK done"},
    {"SELECT",
     "* 0 EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n* OK [PERMANENTFLAGS (\\Seen \\Deleted \\*)] x\r\n"
     "* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 1] x\r\n",
     "OK [READ-WRITE] selected"},
    {"LOGOUT", "* BYE bye\r\n", "OK bye"},
};

static void say(struct peer *p, const char *text) {
    size_t len = strlen(text);

    if (len) {
        SSL_write(p->ssl, text, (int)len); /* a few octets to an empty socket */
    }
}

static void set_idling(struct peer *p, int on) {
    server.idling += on - p->idling;
    p->idling = on;
}

static void answer(struct peer *p, char *line) {
    char out[1024];
    char *rest = strchr(line, ' '), *word;

    if (p->idling) {
        set_idling(p, 0);
        snprintf(out, sizeof out, "%s OK idled\r\n", p->idle_tag);
        say(p, out);
        return;
    }
    if (!rest) {
        return;
    }
    *rest++ = '\0';
    word = strtok(rest, " ");
    if (word && strcasecmp(word, "IDLE") == 0) {
        snprintf(p->idle_tag, sizeof p->idle_tag, "%.63s", line);
        set_idling(p, 1);
        say(p, "+ idling\r\n");
        return;
    }
    for (size_t i = 0; word && i < sizeof answers / sizeof *answers; i++) {
        if (strcasecmp(word, answers[i].command) == 0) {
            snprintf(out, sizeof out, "%s%.64s %s\r\n", answers[i].data, line, answers[i].ok);
            say(p, out);
            return;
        }
    }
    snprintf(out, sizeof out, "%.64s OK done\r\n", line);
    say(p, out);
}

/* --- connections --------------------------------------------------------------------------------------------------------- */

static void drop(struct peer *p) {
    set_idling(p, 0);
    server.peers--;
    SSL_free(p->ssl);
    close(p->fd);
    free(p);
}

static void take_lines(struct peer *p) {
    char *end;

    while ((end = memchr(p->line, '\n', p->len))) {
        size_t n = (size_t)(end - p->line) + 1;
        *end = '\0';
        p->line[strcspn(p->line, "\r")] = '\0';
        answer(p, p->line);
        memmove(p->line, p->line + n, p->len - n);
        p->len -= n;
    }
}

static void serve(struct peer *p) {
    int n;

    if (!p->greeted) {
        n = SSL_accept(p->ssl);
        if (n != 1) {
            n = SSL_get_error(p->ssl, n);
            if (n != SSL_ERROR_WANT_READ && n != SSL_ERROR_WANT_WRITE) {
                drop(p);
            }
            return;
        }
        p->greeted = 1;
        say(p, "* OK [CAPABILITY " CAPABILITIES "] ready\r\n");
    }
    while (p->len < LINE && (n = SSL_read(p->ssl, p->line + p->len, (int)(LINE - p->len))) > 0) {
        p->len += (size_t)n;
        take_lines(p);
    }
    if (p->len == LINE || SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ) {
        drop(p);
    }
}

static void accept_all(void) {
    int fd;

    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p = calloc(1, sizeof *p);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
        if (!p || !(p->ssl = SSL_new(server.tls)) || !SSL_set_fd(p->ssl, fd) ||
            epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            fail("accept");
        }
        p->fd = fd;
        SSL_set_accept_state(p->ssl);
        server.peers++;
    }
}

/* --- starting ------------------------------------------------------------------------------------------------------------ */

static int start_listening(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t len = sizeof at;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&at, len) != 0 || listen(server.listener, 4096) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&at, &len) != 0 ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &event) != 0) {
        fail("listen");
    }
    return ntohs(at.sin_port);
}

static void run(void) {
    struct epoll_event events[EVENTS];
    char text[64];

    for (;;) {
        int n = epoll_wait(server.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                serve(events[i].data.ptr);
            } else {
                accept_all();
            }
        }
        if (asked) {
            asked = 0;
            snprintf(text, sizeof text, "%d %d", server.peers, server.idling);
            write_file(".count", text);
        }
    }
}

int main(int argc, char **argv) {
    struct sigaction on_ask = {.sa_handler = ask};
    struct rlimit files;
    char text[32];
    int c;

    while ((c = getopt(argc, argv, "p:")) != -1) {
        if (c != 'p') {
            return 2;
        }
        server.port_file = optarg;
    }
    if (optind + 2 != argc) {
        fprintf(stderr, "usage: idle_server [-p PORTFILE] CERTIFICATE KEY\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGUSR1, &on_ask, NULL);
    server.tls = SSL_CTX_new(TLS_server_method());
    if (!server.tls || SSL_CTX_use_certificate_file(server.tls, argv[optind], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, argv[optind + 1], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "idle_server: certificate or key cannot be used\n");
        return 1;
    }
    snprintf(text, sizeof text, "%d", start_listening());
    write_file("", text);
    run();
}
