/* The receiver of webhooks: accepts most of them, and counts; now and then it does what receivers do. */
#include "tests/soak/soak.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LATENCY 150

struct client {
    uint64_t id;
    int fd;
    GString *in;
};

struct reply {
    int status; /* 0: the connection ends instead */
    unsigned retry_after;
};

static void client_free(soak *s, struct client *c) {
    receiver *r = s->hooks;

    g_hash_table_remove(r->clients, GINT_TO_POINTER(c->fd));
    g_hash_table_remove(r->by_id, &c->id);
    close(c->fd);
    g_string_free(c->in, TRUE);
    g_free(c);
}

static char *header_of(const char *head, const char *name) {
    size_t len = strlen(name);

    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (g_ascii_strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *value = line + 3 + len;
            value += strspn(value, " ");
            return g_strndup(value, strcspn(value, "\r"));
        }
    }
    return g_strdup("");
}

static uint64_t hash_of(const char *text) {
    uint64_t hash = 0xcbf29ce484222325;

    for (; *text; text++) {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
    }
    return hash;
}

static letter *letter_of(soak *s, const char *body) {
    const char *id = strstr(body, "@soak>\"");
    const char *start = id;

    while (start && start > body && g_ascii_isdigit(start[-1])) {
        start--;
    }
    unsigned long n = start ? strtoul(start, NULL, 10) : 0;
    return n >= 1 && n <= s->letters->len ? s->letters->pdata[n - 1] : NULL;
}

/* Who was told and when: the same event has the same id and the same body each time. */
static letter *take_note(soak *s, const char *head, const char *body) {
    g_autofree char *id = header_of(head, "webhook-id"), *stamp = header_of(head, "webhook-timestamp");
    int64_t at = strtoll(stamp, NULL, 10) * 1000 - s->wall;
    letter *l = letter_of(s, body);

    if (!l) {
        soak_fail(s, "a webhook about no letter at all");
        return NULL;
    }
    if (at < s->now - 2 * SECOND || at > s->now + 2 * SECOND) {
        soak_fail(s, "webhook of letter %u was signed for another time: %s", l->id, stamp);
    }
    if (!l->hook_id[0]) {
        g_strlcpy(l->hook_id, id, sizeof l->hook_id);
        l->hook_body = hash_of(body);
    } else if (strcmp(l->hook_id, id) != 0) {
        soak_fail(s, "letter %u has two webhooks: %s and %s", l->id, l->hook_id, id);
    } else if (l->hook_body != hash_of(body)) {
        soak_fail(s, "webhook %s of letter %u has another body now", id, l->id);
    }
    return l;
}

static struct reply choose(soak *s) {
    receiver *r = s->hooks;
    static const struct reply faults[] = {{503, 0}, {429, 90}, {0, 0}, {500, 0}};

    if (s->over) {
        return (struct reply){200, 0};
    }
    if (s->now < r->outage) {
        return (struct reply){503, 0};
    }
    return chance_percent(&r->chance, 4) ? faults[chance_below(&r->chance, G_N_ELEMENTS(faults))]
                                         : (struct reply){200, 0};
}

static void answer(soak *s, void *user, uint64_t id) {
    struct client *c = g_hash_table_lookup(s->hooks->by_id, &id);
    char text[256];

    if (!c) {
        return; /* it went away */
    }
    int status = (int)(GPOINTER_TO_INT(user) & 0xfff), after = GPOINTER_TO_INT(user) >> 12;
    if (!status) {
        client_free(s, c);
        return;
    }
    char extra[64] = "";
    if (after) {
        g_snprintf(extra, sizeof extra, "Retry-After: %d\r\n", after);
    }
    int len = g_snprintf(text, sizeof text, "HTTP/1.1 %d x\r\n%sContent-Length: 0\r\n\r\n", status, extra);
    if (send(c->fd, text, (size_t)len, MSG_NOSIGNAL) != len) {
        client_free(s, c);
    }
}

static void take_request(soak *s, struct client *c, const char *head, const char *body) {
    receiver *r = s->hooks;
    letter *l = take_note(s, head, body);
    struct reply reply = choose(s);

    s->count.hooks++;
    s->count.hook_faults += reply.status != 200;
    if (l && reply.status == 200) {
        l->accepted++;
        if (!s->over && chance_percent(&r->chance, 2)) { /* accepted, but not said so */
            l->answers_lost++;
            s->count.hook_faults++;
            reply.status = 0;
        }
    }
    agenda_add(s, s->now + 1 + (int64_t)chance_below(&r->chance, LATENCY), answer,
               GINT_TO_POINTER(reply.status | (int)(reply.retry_after << 12)), c->id);
}

static bool take_one(soak *s, struct client *c) {
    char *end = strstr(c->in->str, "\r\n\r\n");

    if (!end) {
        return false;
    }
    g_autofree char *head = g_strndup(c->in->str, (gsize)(end + 2 - c->in->str));
    g_autofree char *length = header_of(head, "content-length");
    size_t start = (size_t)(end + 4 - c->in->str), len = strtoul(length, NULL, 10);
    if (c->in->len < start + len) {
        return false;
    }
    g_autofree char *body = g_strndup(c->in->str + start, len);
    g_string_erase(c->in, 0, (gssize)(start + len));
    take_request(s, c, head, body);
    return true;
}

static void readable(soak *s, struct client *c) {
    char buffer[65536];
    ssize_t n;

    while ((n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
        g_string_append_len(c->in, buffer, n);
    }
    while (take_one(s, c)) {
    }
    if (n == 0) {
        client_free(s, c);
    }
}

static void accept_client(soak *s) {
    receiver *r = s->hooks;
    struct epoll_event event = {.events = EPOLLIN};
    int fd, on = 1;

    while ((fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct client *c = g_new0(struct client, 1);
        *c = (struct client){++r->ids, fd, g_string_new(NULL)};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        g_hash_table_insert(r->clients, GINT_TO_POINTER(fd), c);
        g_hash_table_insert(r->by_id, &c->id, c);
        event.data.fd = fd;
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

bool hook_turn(soak *s, int fd) {
    struct client *c = g_hash_table_lookup(s->hooks->clients, GINT_TO_POINTER(fd));

    if (c) {
        readable(s, c);
    } else if (fd == s->hooks->listener) {
        accept_client(s);
    }
    return c || fd == s->hooks->listener;
}

void hook_init(soak *s) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t len = sizeof at;
    receiver *r = s->hooks = g_new0(receiver, 1);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    r->clients = g_hash_table_new(NULL, NULL);
    r->by_id = g_hash_table_new(g_int64_hash, g_int64_equal);
    chance_init(&r->chance, s->seed, "receiver", 0);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    event.data.fd = r->listener;
    if (bind(r->listener, (struct sockaddr *)&at, len) != 0 || listen(r->listener, 64) != 0 ||
        getsockname(r->listener, (struct sockaddr *)&at, &len) != 0 ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, r->listener, &event) != 0) {
        perror("receiver");
        exit(1);
    }
    r->port = ntohs(at.sin_port);
}

void hook_release(soak *s) {
    g_autoptr(GList) list = g_hash_table_get_values(s->hooks->clients);

    for (GList *one = list; one; one = one->next) {
        client_free(s, one->data);
    }
    close(s->hooks->listener);
    g_hash_table_destroy(s->hooks->clients);
    g_hash_table_destroy(s->hooks->by_id);
    g_free(s->hooks);
}
