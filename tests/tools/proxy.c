/*
 * proxy - a TCP proxy on loopback that delays, holds and cuts; for tests of what happens between two lines of a
 * protocol, and for counting round trips.
 *
 *     proxy [-p PORTFILE] [-d MS] [-l LOGFILE] [-h RULE]... [-c RULE]... [-b FILE] TARGET_PORT
 *
 * Listens on a port that the kernel chooses, writes it to PORTFILE (else standard output), and connects each client to
 * 127.0.0.1:TARGET_PORT. Ends with SIGTERM.
 *
 *     -d MS     every byte is forwarded so many milliseconds after it came, in each direction
 *     -l FILE   one line a chunk as it comes: SECONDS.MICROS CONNECTION DIRECTION LENGTH TEXT; C = from the client, S =
 *               from the server, + = connected, - = closed, ! = cut. TEXT: at most 300 characters, what is not
 *               printable escaped
 *     -h RULE   hold. RULE is D:PATTERN:FILE with D = C or S. While FILE.arm exists, the first chunk of that direction
 *               with PATTERN in it is forwarded up to PATTERN and no further; FILE.arm is removed, FILE.held made. When
 *               FILE.go appears both are removed and the stream goes on.
 *     -c RULE   cut. While FILE.arm exists, a connection on which PATTERN comes is reset, PATTERN not forwarded;
 *               FILE.cuts gets a line each time. D as above; with D = c or s PATTERN is forwarded first.
 *     -b FILE   black hole: while FILE exists nothing is forwarded and nobody is told
 *
 * PATTERN is looked for within one chunk (what one read(2) gave), and holds no colon.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 2048, RULES = 32, CHUNK = 65536, QUEUE_MAX = 16 << 20, STEP_MS = 10 };

struct rule {
    char direction; /* C or S; for cuts also c or s */
    const char *pattern;
    char *file;
};

struct chunk {
    struct chunk *next;
    long long due;     /* microseconds */
    struct rule *hold; /* not before FILE.go exists */
    struct rule *cut;  /* reset when this one's turn comes */
    size_t len, at;
    char data[];
};

struct half {
    struct chunk *first, **last;
    size_t queued;
    int ended; /* the source has closed */
    int told;  /* and the target knows */
};

struct connection {
    int fd[2]; /* client, server */
    int number;
    int connecting;
    struct half half[2]; /* from the client, from the server */
};

static struct {
    struct rule holds[RULES], cuts[RULES];
    int n_holds, n_cuts, n, count;
    const char *black_hole;
    struct connection *list[CONNECTIONS];
    long long delay;
    FILE *log;
    int listener, target;
} proxy;

static long long now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void note(const struct connection *c, char what, const char *data, size_t len) {
    long long t = now_us();

    if (!proxy.log) {
        return;
    }
    fprintf(proxy.log, "%lld.%06lld %d %c %zu ", t / 1000000, t % 1000000, c->number, what, len);
    for (size_t i = 0; i < len && i < 300; i++) {
        unsigned char b = (unsigned char)data[i];
        if (b == '\r') {
            fputs("\\r", proxy.log);
        } else if (b == '\n') {
            fputs("\\n", proxy.log);
        } else if (b == '\\' || !isprint(b)) {
            fprintf(proxy.log, "\\x%02x", b);
        } else {
            fputc(b, proxy.log);
        }
    }
    fputc('\n', proxy.log);
    fflush(proxy.log);
}

/* --- files that steer --------------------------------------------------------------------------------------------- */

static const char *path(const struct rule *r, const char *suffix) {
    static char text[4096];

    snprintf(text, sizeof text, "%s.%s", r->file, suffix);
    return text;
}

static int there(const struct rule *r, const char *suffix) {
    return access(path(r, suffix), F_OK) == 0;
}

static void append(const struct rule *r, const char *suffix) {
    FILE *f = fopen(path(r, suffix), "a");

    if (f) {
        fputs("x\n", f);
        fclose(f);
    }
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void drop(struct connection *c, int reset) {
    struct linger linger = {.l_onoff = 1};

    note(c, reset ? '!' : '-', "", 0);
    for (int i = 0; i < 2; i++) {
        if (reset) {
            setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        }
        close(c->fd[i]);
        while (c->half[i].first) {
            struct chunk *k = c->half[i].first;
            c->half[i].first = k->next;
            free(k);
        }
    }
    for (int i = 0; i < proxy.n; i++) {
        if (proxy.list[i] == c) {
            proxy.list[i] = proxy.list[--proxy.n];
            break;
        }
    }
    free(c);
}

static void accept_client(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)proxy.target)};
    int one = 1, fd = accept4(proxy.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return;
    }
    struct connection *c = calloc(1, sizeof *c);
    if (!c || proxy.n == CONNECTIONS) {
        free(c);
        close(fd);
        return;
    }
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd[0] = fd;
    c->fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    c->number = ++proxy.count;
    for (int i = 0; i < 2; i++) {
        setsockopt(c->fd[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->half[i].last = &c->half[i].first;
    }
    proxy.list[proxy.n++] = c;
    note(c, '+', "", 0);
    c->connecting = 1;
    if (connect(c->fd[1], (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        drop(c, 1);
    }
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static struct chunk *enqueue(struct half *h, const char *data, size_t len) {
    struct chunk *k = malloc(sizeof *k + len);

    if (!k) {
        abort();
    }
    *k = (struct chunk){.due = now_us() + proxy.delay, .len = len};
    memcpy(k->data, data, len);
    *h->last = k;
    h->last = &k->next;
    h->queued += len;
    return k;
}

static struct rule *find(struct rule *rules, int n, char direction, const char *data, size_t len, const char **at) {
    for (int i = 0; i < n; i++) {
        if (toupper((unsigned char)rules[i].direction) == direction) {
            *at = memmem(data, len, rules[i].pattern, strlen(rules[i].pattern));
            if (*at && there(&rules[i], "arm")) {
                return &rules[i];
            }
        }
    }
    return NULL;
}

static void take(struct connection *c, int side, const char *data, size_t len) {
    char direction = side ? 'S' : 'C';
    struct half *h = &c->half[side];
    const char *at;
    struct rule *r = find(proxy.cuts, proxy.n_cuts, direction, data, len, &at);

    note(c, direction, data, len);
    if (r) {
        append(r, "cuts");
        enqueue(h, data, islower((unsigned char)r->direction) ? len : (size_t)(at - data));
        enqueue(h, "", 0)->cut = r;
        return;
    }
    r = find(proxy.holds, proxy.n_holds, direction, data, len, &at);
    if (r) {
        unlink(path(r, "arm"));
        enqueue(h, data, (size_t)(at - data));
        enqueue(h, at, len - (size_t)(at - data))->hold = r;
        return;
    }
    enqueue(h, data, len);
}

/* Returns 0 when the connection is gone. */
static int receive(struct connection *c, int side) {
    static char buffer[CHUNK];
    ssize_t n = read(c->fd[side], buffer, sizeof buffer);

    if (n > 0) {
        take(c, side, buffer, (size_t)n);
    } else if (n == 0) {
        c->half[side].ended = 1;
    } else if (errno != EAGAIN && errno != EINTR) {
        drop(c, 1);
        return 0;
    }
    return 1;
}

static int may_go(struct chunk *k) {
    if (k->due > now_us()) {
        return 0;
    }
    if (!k->hold) {
        return 1;
    }
    if (!there(k->hold, "held")) {
        append(k->hold, "held");
    }
    if (!there(k->hold, "go")) {
        return 0;
    }
    unlink(path(k->hold, "go"));
    unlink(path(k->hold, "held"));
    k->hold = NULL;
    return 1;
}

/* Returns 0 when the connection is gone. */
static int forward(struct connection *c, int side) {
    struct half *h = &c->half[side];

    while (h->first && may_go(h->first)) {
        struct chunk *k = h->first;
        if (k->cut) {
            drop(c, 1);
            return 0;
        }
        ssize_t n = send(c->fd[!side], k->data + k->at, k->len - k->at, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            return 1;
        }
        if (n < 0) {
            drop(c, 1);
            return 0;
        }
        k->at += (size_t)n;
        h->queued -= (size_t)n;
        if (k->at == k->len) {
            h->first = k->next;
            h->last = h->first ? h->last : &h->first;
            free(k);
        }
    }
    if (h->ended && !h->first && !h->told) {
        h->told = 1;
        shutdown(c->fd[!side], SHUT_WR);
    }
    if (c->half[0].told && c->half[1].told) {
        drop(c, 0);
        return 0;
    }
    return 1;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static int connected(struct connection *c) {
    int err = 0;
    socklen_t len = sizeof err;

    getsockopt(c->fd[1], SOL_SOCKET, SO_ERROR, &err, &len);
    c->connecting = 0;
    if (err) {
        drop(c, 1);
        return 0;
    }
    return 1;
}

/* How long to sleep: until the next chunk is due; a step where a file is waited for. */
static int patience(int dark) {
    long long t = now_us(), wait = proxy.black_hole ? STEP_MS * 1000 : 1000000;

    for (int i = 0; i < proxy.n && !dark; i++) {
        for (int side = 0; side < 2; side++) {
            const struct chunk *k = proxy.list[i]->half[side].first;
            if (!k || (k->due <= t && !k->hold)) {
                continue;
            }
            long long left = k->due > t ? k->due - t : STEP_MS * 1000;
            wait = left < wait ? left : wait;
        }
    }
    return (int)((wait + 999) / 1000);
}

static void turn(void) {
    static struct pollfd fds[1 + 2 * CONNECTIONS];
    static struct connection *polled[CONNECTIONS];
    int dark = proxy.black_hole && access(proxy.black_hole, F_OK) == 0, n = proxy.n;

    fds[0] = (struct pollfd){.fd = proxy.listener, .events = POLLIN};
    for (int i = 0; i < n; i++) {
        struct connection *c = polled[i] = proxy.list[i];
        for (int side = 0; side < 2; side++) {
            const struct half *in = &c->half[side], *out = &c->half[!side];
            short events = 0;
            events |= !dark && !c->connecting && !in->ended && in->queued < QUEUE_MAX ? POLLIN : 0;
            events |= !dark && out->first && out->first->at ? POLLOUT : 0; /* in the middle of one: the peer is slow */
            events |= side && c->connecting ? POLLOUT : 0;
            fds[1 + 2 * i + side] = (struct pollfd){.fd = events ? c->fd[side] : -1, .events = events};
        }
    }
    if (poll(fds, (nfds_t)(1 + 2 * n), patience(dark)) < 0) {
        return;
    }
    for (int i = 0; i < n; i++) {
        struct connection *c = polled[i];
        const struct pollfd *p = &fds[1 + 2 * i];
        int alive = !c->connecting || !p[1].revents || connected(c);
        if (dark || !alive || c->connecting) {
            continue;
        }
        for (int side = 0; side < 2 && alive; side++) {
            alive = !(p[side].revents & (POLLIN | POLLHUP | POLLERR)) || receive(c, side);
        }
        for (int side = 0; side < 2 && alive; side++) {
            alive = forward(c, side);
        }
    }
    if (fds[0].revents) {
        accept_client();
    }
}

/* --- starting ----------------------------------------------------------------------------------------------------- */

static int parse_rule(char *text, struct rule *rules, int *n) {
    char *pattern = strchr(text, ':'), *file = pattern ? strchr(pattern + 1, ':') : NULL;

    if (!file || pattern != text + 1 || !strchr("CScs", *text) || *n == RULES) {
        return 0;
    }
    *pattern++ = *file++ = '\0';
    rules[(*n)++] = (struct rule){*text, pattern, file};
    return 1;
}

static int listen_on_loopback(void) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    proxy.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(proxy.listener, (struct sockaddr *)&at, len) != 0 || listen(proxy.listener, 1024) != 0 ||
        getsockname(proxy.listener, (struct sockaddr *)&at, &len) != 0) {
        perror("proxy");
        exit(1);
    }
    return ntohs(at.sin_port);
}

static void write_port(const char *file, int port) {
    char temporary[4096];
    FILE *f;

    if (!file) {
        printf("%d\n", port);
        fflush(stdout);
        return;
    }
    snprintf(temporary, sizeof temporary, "%s.new", file);
    f = fopen(temporary, "w");
    if (!f || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0 || rename(temporary, file) != 0) {
        perror(file);
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *port_file = NULL;
    int c, good = 1;

    while ((c = getopt(argc, argv, "p:d:l:h:c:b:")) != -1) {
        switch (c) {
        case 'p': port_file = optarg; break;
        case 'd': proxy.delay = atoll(optarg) * 1000; break;
        case 'l': good &= (proxy.log = fopen(optarg, "a")) != NULL; break;
        case 'h': good &= parse_rule(optarg, proxy.holds, &proxy.n_holds); break;
        case 'c': good &= parse_rule(optarg, proxy.cuts, &proxy.n_cuts); break;
        case 'b': proxy.black_hole = optarg; break;
        default: good = 0;
        }
    }
    if (!good || optind + 1 != argc || (proxy.target = atoi(argv[optind])) <= 0) {
        fprintf(stderr,
                "usage: proxy [-p PORTFILE] [-d MS] [-l LOGFILE] [-h RULE]... [-c RULE]... [-b FILE] TARGET_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    write_port(port_file, listen_on_loopback());
    for (;;) {
        turn();
    }
}
