/*
 * idle_server - an IMAP server over TLS for thousands of accounts that mostly idle.
 *
 *     idle_server [-p PORTFILE] [-l PORT] [-u UIDNEXT] [-m serve|hang|close] CERTIFICATE KEY
 *     idle_server -a PORTFILE COMMAND [ARGUMENT...]
 *
 * Listens on PORT of loopback (0: one that the kernel chooses) and writes it to PORTFILE. Any password will do; a user
 * is known by the number that ends its name. Each has an INBOX, which holds at most one message, and a folder Target.
 * With -m hang connections are taken and never answered, with close they are closed at once. UIDNEXT is where INBOXes
 * start: a server that is started again has to go on behind what was there. One process, one thread. Ends with SIGTERM.
 *
 * The second form asks the server of PORTFILE:
 *
 *     count          "CONNECTIONS IDLING"
 *     deliver N...   a message for each of these users; forgets what `acted` knows of earlier ones
 *     acted          "ACTED OF MEDIAN WORST ROUNDS": how many of those were moved, milliseconds from EXISTS to MOVE,
 *                    and the most reads that it took (2: DONE with FETCH, MOVE)
 *     storm          "ACCEPTED A_SECOND AT_ONCE TOOK" since the last `storm`: connections taken, the most of them in
 *                    one second, the most that were not greeted yet, milliseconds from the first to the last login
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 2048, EVENTS = 256, USERS = 100000 };
enum mode { SERVE, HANG, CLOSE };

struct peer {
    SSL *ssl;
    int fd, greeted, idling;
    unsigned user; /* USERS: not logged in */
    char idle_tag[64];
    size_t len;
    char line[LINE];
};

struct user {
    struct peer *peer;
    unsigned uidnext, uid; /* uid: of the message that is there; 0 = none */
    unsigned reads;        /* since it was announced */
    double announced, moved; /* 0 = not yet */
};

static struct {
    SSL_CTX *tls;
    int epoll, listener, control, peers, idling, greeting;
    enum mode mode;
    unsigned uidnext;
    const char *port_file;
    unsigned *delivered, n_delivered;
    struct {
        int accepted, a_second, at_once, this_second;
        time_t second;
        double first, last;
    } storm;
    struct user users[USERS];
} server;

static _Noreturn void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_ms(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static void write_port(int port) {
    char temporary[4200];
    FILE *f;

    if (!server.port_file) {
        printf("%d\n", port);
        fflush(stdout);
        return;
    }
    snprintf(temporary, sizeof temporary, "%s.new", server.port_file);
    f = fopen(temporary, "w");
    if (!f || fprintf(f, "%d\n", port) < 0 || fclose(f) != 0 || rename(temporary, server.port_file) != 0) {
        fail(server.port_file);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

#define CAPABILITIES "IMAP4rev1 SASL-IR IDLE UIDPLUS MOVE ENABLE NAMESPACE LITERAL+ ID"
#define HEADER "From: Sender <sender@example.net>\r\nSubject: one of many\r\nMessage-ID: <%u-%u@example.net>\r\n\r\n"

static void say(struct peer *p, const char *text) {
    size_t len = strlen(text);

    if (len) {
        SSL_write(p->ssl, text, (int)len); /* a few octets to an empty socket */
    }
}

static void announce(struct user *u) {
    u->announced = now_ms();
    u->reads = 0;
    say(u->peer, "* 1 EXISTS\r\n");
}

static struct user *user_of(const struct peer *p) {
    static struct user nobody;

    return p->user < USERS ? &server.users[p->user] : &nobody;
}

static void take_user(struct peer *p, const char *name) {
    size_t len = strlen(name);
    unsigned number;

    while (len && strchr("0123456789", name[len - 1])) {
        len--;
    }
    number = (unsigned)strtoul(name + len, NULL, 10);
    p->user = number < USERS ? number : USERS;
    user_of(p)->peer = p;
    if (!user_of(p)->uidnext) {
        user_of(p)->uidnext = server.uidnext;
    }
    server.storm.last = now_ms();
}

static void say_selected(struct peer *p) {
    const struct user *u = user_of(p);
    char out[512];

    snprintf(out, sizeof out,
             "* %d EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen \\Deleted)\r\n"
             "* OK [PERMANENTFLAGS (\\Seen \\Deleted \\*)] x\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT %u] x\r\n",
             u->uid != 0, u->uidnext);
    say(p, out);
}

/* Is the message in "7:*" or "7:9" or "7"? */
static int within(const struct user *u, const char *uids) {
    char *end;
    unsigned long low = strtoul(uids, &end, 10), high = low;

    if (*end == ':') {
        high = end[1] == '*' ? UINT32_MAX : strtoul(end + 1, NULL, 10);
    }
    return u->uid && u->uid >= low && u->uid <= high;
}

/* rest: "7:* (UID FLAGS ... BODY.PEEK[HEADER.FIELDS (...)])" */
static void say_fetch(struct peer *p, const char *rest) {
    const struct user *u = user_of(p);
    const char *section = strstr(rest, "BODY.PEEK["), *end = section ? strchr(section, ']') : NULL;
    char header[256], out[1024];
    int n;

    if (!within(u, rest) || !section || !end) {
        return;
    }
    section += strlen("BODY.PEEK");
    n = snprintf(header, sizeof header, HEADER, p->user, u->uid);
    snprintf(out, sizeof out,
             "* 1 FETCH (UID %u FLAGS () INTERNALDATE \"26-Nov-2026 10:00:00 +0000\" RFC822.SIZE %d "
             "BODY%.*s {%d}\r\n%s)\r\n",
             u->uid, n, (int)(end + 1 - section), section, n, header);
    say(p, out);
}

/* rest: "UID 7:*" */
static void say_found(struct peer *p, const char *rest) {
    const struct user *u = user_of(p);
    const char *uids = strstr(rest, "UID ");
    char out[64];

    if (uids ? within(u, uids + 4) : u->uid != 0) {
        snprintf(out, sizeof out, "* SEARCH %u\r\n", u->uid);
        say(p, out);
    } else {
        say(p, "* SEARCH\r\n");
    }
}

static void say_moved(struct peer *p) {
    struct user *u = user_of(p);
    char out[128];

    if (u->uid) {
        u->moved = now_ms();
        snprintf(out, sizeof out, "* OK [COPYUID 1 %u %u] x\r\n* 1 EXPUNGE\r\n", u->uid, u->uid);
        u->uid = 0;
        say(p, out);
    }
}

static void answer_uid(struct peer *p, char *rest) {
    char *word = strtok_r(rest, " ", &rest);

    if (word && strcasecmp(word, "FETCH") == 0) {
        say_fetch(p, rest);
    } else if (word && strcasecmp(word, "MOVE") == 0) {
        say_moved(p);
    } else if (word && strcasecmp(word, "SEARCH") == 0) {
        say_found(p, rest);
    }
}

static const struct {
    const char *command, *data, *ok;
} answers[] = {
    {"CAPABILITY", "* CAPABILITY " CAPABILITIES "\r\n", "done"},
    {"LOGIN", "", "[CAPABILITY " CAPABILITIES "] logged in"},
    {"NAMESPACE", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", "done"},
    {"ID", "* ID NIL\r\n", "done"},
    {"LIST", "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\HasNoChildren) \"/\" Target\r\n", "done"},
    {"SELECT", "", "[READ-WRITE] selected"},
    {"UID", "", "done"},
    {"LOGOUT", "* BYE bye\r\n", "bye"},
};

static void answer(struct peer *p, const char *tag, char *rest) {
    char *word = strtok_r(rest, " ", &rest), out[512];
    const char *ok = "done";

    for (size_t i = 0; word && i < sizeof answers / sizeof *answers; i++) {
        if (strcasecmp(word, answers[i].command) == 0) {
            say(p, answers[i].data);
            ok = answers[i].ok;
        }
    }
    if (word && strcasecmp(word, "LOGIN") == 0) {
        word = strtok_r(rest, " \"", &rest);
        take_user(p, word ? word : "");
    } else if (word && strcasecmp(word, "SELECT") == 0) {
        say_selected(p);
    } else if (word && strcasecmp(word, "UID") == 0) {
        answer_uid(p, rest);
    }
    snprintf(out, sizeof out, "%.64s OK %s\r\n", tag, ok);
    say(p, out);
}

static void set_idling(struct peer *p, int on) {
    server.idling += on - p->idling;
    p->idling = on;
}

static void take_line(struct peer *p, char *line) {
    char *rest = strchr(line, ' '), out[128];

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
    if (strcasecmp(rest, "IDLE") != 0) {
        answer(p, line, rest);
        return;
    }
    snprintf(p->idle_tag, sizeof p->idle_tag, "%.63s", line);
    set_idling(p, 1);
    say(p, "+ idling\r\n");
    if (user_of(p)->uid && user_of(p)->announced == 0) {
        announce(user_of(p));
    }
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void drop(struct peer *p) {
    set_idling(p, 0);
    if (user_of(p)->peer == p) {
        user_of(p)->peer = NULL;
    }
    server.peers--;
    server.greeting -= !p->greeted;
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
        take_line(p, p->line);
        memmove(p->line, p->line + n, p->len - n);
        p->len -= n;
    }
}

static void serve(struct peer *p) {
    int n = 0;

    if (server.mode == HANG) {
        if (recv(p->fd, p->line, LINE, 0) <= 0) {
            drop(p);
        }
        return;
    }
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
        server.greeting--;
        say(p, "* OK [CAPABILITY " CAPABILITIES "] ready\r\n");
    }
    user_of(p)->reads++;
    while (p->len < LINE && (n = SSL_read(p->ssl, p->line + p->len, (int)(LINE - p->len))) > 0) {
        p->len += (size_t)n;
        take_lines(p);
    }
    if (p->len == LINE || SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ) {
        drop(p);
    }
}

static void count_accept(void) {
    time_t second = time(NULL);

    server.storm.this_second = second == server.storm.second ? server.storm.this_second + 1 : 1;
    server.storm.second = second;
    if (server.storm.this_second > server.storm.a_second) {
        server.storm.a_second = server.storm.this_second;
    }
    if (server.greeting > server.storm.at_once) {
        server.storm.at_once = server.greeting;
    }
    if (!server.storm.accepted++) {
        server.storm.first = now_ms();
    }
}

static void accept_all(void) {
    int fd;

    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *p;
        struct epoll_event event = {.events = EPOLLIN};
        int yes = 1;

        server.greeting += server.mode != CLOSE;
        count_accept();
        if (server.mode == CLOSE) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        event.data.ptr = p = calloc(1, sizeof *p);
        if (!p || !(p->ssl = SSL_new(server.tls)) || !SSL_set_fd(p->ssl, fd) ||
            epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            fail("accept");
        }
        p->fd = fd;
        p->user = USERS;
        SSL_set_accept_state(p->ssl);
        server.peers++;
    }
}

/* --- what the test asks ------------------------------------------------------------------------------------------- */

static void deliver(char *rest) {
    char *word;

    server.n_delivered = 0;
    while ((word = strtok_r(rest, " ", &rest))) {
        unsigned number = (unsigned)strtoul(word, NULL, 10);
        struct user *u = &server.users[number < USERS ? number : USERS - 1];

        u->uid = u->uidnext ? u->uidnext++ : 0;
        u->announced = u->moved = 0;
        server.delivered = realloc(server.delivered, (server.n_delivered + 1) * sizeof *server.delivered);
        server.delivered[server.n_delivered++] = number;
        if (u->uid && u->peer && u->peer->idling) {
            announce(u);
        }
    }
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void say_acted(FILE *out) {
    double *took = calloc(server.n_delivered + 1, sizeof *took);
    unsigned n = 0, rounds = 0;

    for (unsigned i = 0; i < server.n_delivered; i++) {
        const struct user *u = &server.users[server.delivered[i]];
        if (u->moved > 0) {
            took[n++] = u->moved - u->announced;
            rounds = u->reads > rounds ? u->reads : rounds;
        }
    }
    qsort(took, n, sizeof *took, by_value);
    fprintf(out, "%u %u %.1f %.1f %u\n", n, server.n_delivered, n ? took[n / 2] : 0, n ? took[n - 1] : 0, rounds);
    free(took);
}

static void control(void) {
    int fd = accept4(server.control, NULL, NULL, SOCK_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(fd, "r+") : NULL;
    char *line = NULL;
    size_t size = 0;

    if (f && getline(&line, &size, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        fseek(f, 0, SEEK_CUR);
        if (strncmp(line, "deliver ", 8) == 0) {
            deliver(line + 8);
        } else if (strcmp(line, "acted") == 0) {
            say_acted(f);
        } else if (strcmp(line, "storm") == 0) {
            fprintf(f, "%d %d %d %.0f\n", server.storm.accepted, server.storm.a_second, server.storm.at_once,
                    server.storm.last - server.storm.first);
            memset(&server.storm, 0, sizeof server.storm);
        } else {
            fprintf(f, "%d %d\n", server.peers, server.idling);
        }
    }
    free(line);
    if (f) {
        fclose(f);
    }
}

static struct sockaddr_un control_address(const char *port_file) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if ((size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s.control", port_file) >= sizeof at.sun_path) {
        fprintf(stderr, "idle_server: %s: too long\n", port_file);
        exit(2);
    }
    return at;
}

static int ask(const char *port_file, char **words) {
    struct sockaddr_un at = control_address(port_file);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *f = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0 ? fdopen(fd, "r+") : NULL;
    int c;

    if (!f) {
        fail(at.sun_path);
    }
    for (; *words; words++) {
        fprintf(f, "%s%s", *words, words[1] ? " " : "\n");
    }
    fflush(f);
    while ((c = getc(f)) != EOF) {
        putchar(c);
    }
    fclose(f);
    return 0;
}

/* --- starting ----------------------------------------------------------------------------------------------------- */

static void watch(int fd, void *what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    if (fd < 0 || listen(fd, 4096) != 0 || epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("listen");
    }
}

static int start_listening(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof at;
    int yes = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server.listener, (struct sockaddr *)&at, len) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&at, &len) != 0) {
        fail("bind");
    }
    watch(server.listener, &server.listener);
    if (server.port_file) {
        struct sockaddr_un control_at = control_address(server.port_file);

        unlink(control_at.sun_path);
        server.control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind(server.control, (struct sockaddr *)&control_at, sizeof control_at) != 0) {
            fail(control_at.sun_path);
        }
        watch(server.control, &server.control);
    }
    return ntohs(at.sin_port);
}

static _Noreturn void run(void) {
    struct epoll_event events[EVENTS];

    for (;;) {
        int n = epoll_wait(server.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &server.listener) {
                accept_all();
            } else if (events[i].data.ptr == &server.control) {
                control();
            } else {
                serve(events[i].data.ptr);
            }
        }
    }
}

static void prepare(char **files) {
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    server.tls = SSL_CTX_new(TLS_server_method());
    if (!server.tls || SSL_CTX_use_certificate_chain_file(server.tls, files[0]) != 1 ||
        SSL_CTX_use_PrivateKey_file(server.tls, files[1], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "idle_server: certificate or key cannot be used\n");
        exit(1);
    }
    SSL_CTX_set_mode(server.tls, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv) {
    int c, port = 0;

    server.uidnext = 1;
    while ((c = getopt(argc, argv, "+a:p:l:u:m:")) != -1) {
        switch (c) {
        case 'a': return ask(optarg, argv + optind);
        case 'p': server.port_file = optarg; break;
        case 'l': port = atoi(optarg); break;
        case 'u': server.uidnext = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'm': server.mode = *optarg == 'h' ? HANG : *optarg == 'c' ? CLOSE : SERVE; break;
        default: return 2;
        }
    }
    if (optind + 2 != argc) {
        fprintf(stderr,
                "usage: idle_server [-p PORTFILE] [-l PORT] [-u UIDNEXT] [-m serve|hang|close] CERTIFICATE KEY\n"
                "       idle_server -a PORTFILE count | deliver N... | acted | storm\n");
        return 2;
    }
    prepare(argv + optind);
    write_port(start_listening(port));
    run();
}
