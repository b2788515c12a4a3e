/*
 * http_sink - a webhook receiver for tests, benches and the demo: HTTP/1.1 on a loopback port that the kernel chooses.
 *
 *     http_sink -o FILE [-p PORTFILE] [-k SECRET] [-s STATUS]... [-d MS] [-x] [-r SECONDS] [-l URL]
 *
 * Writes its port to PORTFILE (else standard output), then one line a request to FILE:
 *     STATUS ID SIGNATURE RULE SUBJECT
 * SIGNATURE is "good", "bad" or "unchecked" (no -k). Answers the given statuses in turn, the last one for ever (default
 * 200). -d delays each answer; -x closes the connection instead of answering once the request was read and written
 * down; -r adds Retry-After, -l Location. A STATUS below 100 is a fault instead of an answer: 0 says nothing, 1 closes
 * the connection, 2 begins a status line and stops, 3 answers 200 with a body that does not end. A second file
 * FILE.bodies gets each body on a line. HTTP_SINK_PORT in the environment is the port to use. Ends with SIGTERM.
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 256, REQUEST_MAX = 64 << 20 };

struct client {
    int fd;
    char *data;
    size_t len, room;
};

static struct {
    FILE *log, *bodies;
    unsigned char key[256];
    int key_len;
    int statuses[64];
    int n_statuses, served;
    int delay_ms, retry_after;
    int cut;
    const char *location;
} sink = {.statuses = {200}};

static char *header_value(const char *head, const char *name, char *out, size_t room) {
    size_t n = strlen(name);

    out[0] = '\0';
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            const char *value = line + 3 + n + strspn(line + 3 + n, " ");
            size_t len = strcspn(value, "\r");
            len = len < room ? len : room - 1;
            memcpy(out, value, len);
            out[len] = '\0';
        }
    }
    return out;
}

static const char *check_signature(const char *head, const char *body, size_t len) {
    char id[256], stamp[64], given[1024], want[128] = "v1,";
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;

    if (!sink.key_len) {
        return "unchecked";
    }
    header_value(head, "webhook-id", id, sizeof id);
    header_value(head, "webhook-timestamp", stamp, sizeof stamp);
    header_value(head, "webhook-signature", given, sizeof given);
    size_t front = strlen(id) + strlen(stamp) + 2;
    char *all = malloc(front + len + 1);
    sprintf(all, "%s.%s.", id, stamp);
    memcpy(all + front, body, len);
    HMAC(EVP_sha256(), sink.key, sink.key_len, (unsigned char *)all, front + len, mac, &mac_len);
    free(all);
    EVP_EncodeBlock((unsigned char *)want + 3, mac, (int)mac_len);
    return strstr(given, want) ? "good" : "bad";
}

/* The value of the first "key": "..." in a JSON text, for the log line only. */
static void json_peek(const char *body, const char *key, char *out, size_t room) {
    char pattern[64];

    snprintf(pattern, sizeof pattern, "\"%s\":", key);
    const char *p = strstr(body, pattern);
    size_t n = 0;
    if (p) {
        p += strlen(pattern) + strspn(p + strlen(pattern), " \"");
        while (*p && *p != '"' && *p != ',' && n + 1 < room) {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
}

enum fault { FAULT_SILENCE, FAULT_CUT, FAULT_HALF_A_LINE, FAULT_ENDLESS, FAULTS };

static void drop(struct client *c) {
    close(c->fd);
    c->fd = -1;
}

static void misbehave(struct client *c, enum fault fault) {
    static const char junk[65536];

    if (fault == FAULT_CUT) {
        drop(c);
    } else if (fault == FAULT_HALF_A_LINE) {
        (void)!send(c->fd, "HTTP/1.", 7, MSG_NOSIGNAL);
    } else if (fault == FAULT_ENDLESS) {
        const char *head = "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n";
        (void)!send(c->fd, head, strlen(head), MSG_NOSIGNAL);
        while (send(c->fd, junk, sizeof junk, MSG_NOSIGNAL) > 0 && send(c->fd, "\r\n10000\r\n", 9, MSG_NOSIGNAL) > 0) {
        }
        drop(c);
    }
}

static void answer(struct client *c, char *head, char *body, size_t len) {
    char id[256], rule[128], subject[256], reply[2048], extra[1024] = "";
    int status =
        sink.statuses[sink.served < sink.n_statuses ? sink.served : (sink.n_statuses ? sink.n_statuses - 1 : 0)];

    sink.served++;
    json_peek(body, "rule", rule, sizeof rule);
    json_peek(body, "subject", subject, sizeof subject);
    fprintf(sink.log, "%d %s %s %s %s\n", status, header_value(head, "webhook-id", id, sizeof id),
            check_signature(head, body, len), rule, subject);
    fflush(sink.log);
    fwrite(body, 1, len, sink.bodies);
    fputc('\n', sink.bodies);
    fflush(sink.bodies);
    if (sink.delay_ms) {
        poll(NULL, 0, sink.delay_ms);
    }
    if (sink.cut || status < FAULTS) {
        misbehave(c, sink.cut ? FAULT_CUT : (enum fault)status);
        return;
    }
    if (sink.retry_after) {
        snprintf(extra, sizeof extra, "Retry-After: %d\r\n", sink.retry_after);
    } else if (sink.location) {
        snprintf(extra, sizeof extra, "Location: %s\r\n", sink.location);
    }
    int n = snprintf(reply, sizeof reply, "HTTP/1.1 %d x\r\n%sContent-Length: 2\r\n\r\nok", status, extra);
    if (send(c->fd, reply, (size_t)n, MSG_NOSIGNAL) != n) {
        drop(c);
    }
}

/* Handles every whole request in the buffer. */
static void consume(struct client *c) {
    char *end, number[32];

    while (c->fd >= 0 && (end = strstr(c->data, "\r\n\r\n"))) {
        size_t head = (size_t)(end - c->data) + 4;
        end[2] = '\0';
        size_t body = strtoul(header_value(c->data, "content-length", number, sizeof number), NULL, 10);
        if (c->len < head + body) {
            end[2] = '\r';
            return;
        }
        char saved = c->data[head + body];
        c->data[head + body] = '\0';
        answer(c, c->data, c->data + head, body);
        c->data[head + body] = saved;
        memmove(c->data, c->data + head + body, c->len - head - body);
        c->len -= head + body;
        c->data[c->len] = '\0';
    }
}

static void readable(struct client *c) {
    if (c->room - c->len < 65536) {
        c->data = realloc(c->data, c->room = c->room * 2 + 131072);
    }
    ssize_t n = recv(c->fd, c->data + c->len, c->room - c->len - 1, 0);
    if (n <= 0 || c->len > REQUEST_MAX) {
        close(c->fd);
        c->fd = -1;
        c->len = 0;
        return;
    }
    c->len += (size_t)n;
    c->data[c->len] = '\0';
    consume(c);
}

static void serve(int listening) {
    static struct client clients[CLIENTS];
    struct pollfd p[CLIENTS + 1];

    for (int i = 0; i < CLIENTS; i++) {
        clients[i].fd = -1;
    }
    for (;;) {
        p[0] = (struct pollfd){listening, POLLIN, 0};
        for (int i = 0; i < CLIENTS; i++) {
            p[i + 1] = (struct pollfd){clients[i].fd, POLLIN, 0};
        }
        poll(p, CLIENTS + 1, -1);
        for (int i = 0; i < CLIENTS; i++) {
            if (clients[i].fd >= 0 && p[i + 1].revents) {
                readable(&clients[i]);
            }
        }
        for (int i = 0; p[0].revents && i < CLIENTS; i++) {
            if (clients[i].fd < 0) {
                clients[i].fd = accept(listening, NULL, NULL);
                clients[i].len = 0;
                break;
            }
        }
    }
}

static void set_key(const char *secret) {
    if (strncmp(secret, "whsec_", 6) == 0) {
        secret += 6;
    }
    size_t len = strlen(secret);
    sink.key_len = EVP_DecodeBlock(sink.key, (const unsigned char *)secret, (int)len);
    while (len && secret[--len] == '=') {
        sink.key_len--;
    }
}

int main(int argc, char **argv) {
    const char *out = NULL, *port_file = NULL;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof addr;
    char name[4096];
    int option;

    while ((option = getopt(argc, argv, "o:p:k:s:d:r:l:x")) != -1) {
        switch (option) {
        case 'o': out = optarg; break;
        case 'p': port_file = optarg; break;
        case 'k': set_key(optarg); break;
        case 's': sink.statuses[sink.n_statuses++ % 64] = atoi(optarg); break;
        case 'd': sink.delay_ms = atoi(optarg); break;
        case 'r': sink.retry_after = atoi(optarg); break;
        case 'l': sink.location = optarg; break;
        case 'x': sink.cut = 1; break;
        default: return 2;
        }
    }
    if (!out) {
        fputs("usage: http_sink -o FILE [-p PORTFILE] [-k SECRET] [-s STATUS]... [-d MS] [-x] [-r SECONDS] [-l URL]\n",
              stderr);
        return 2;
    }
    sink.log = fopen(out, "a");
    snprintf(name, sizeof name, "%s.bodies", out);
    sink.bodies = fopen(name, "a");
    const char *fixed = getenv("HTTP_SINK_PORT");
    addr.sin_port = htons((unsigned short)(fixed ? atoi(fixed) : 0));
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!sink.log || !sink.bodies || bind(fd, (struct sockaddr *)&addr, size) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &size) != 0) {
        perror("http_sink");
        return 1;
    }
    FILE *f = port_file ? fopen(port_file, "w") : stdout;
    fprintf(f, "%d\n", ntohs(addr.sin_port));
    fflush(f);
    if (port_file) {
        fclose(f);
    }
    serve(fd);
}
