/*
 * imap_floor - what a server needs at least for a list of commands: sends them all at once, reads the answers, keeps
 * nothing.
 *
 *     imap_floor PORT USER PASSWORD FILE
 *
 * FILE has one command a line, without tag; a line longer than the server takes is its trouble.
 *
 * Logs in first and out at the end. Exit status 0 when every command was answered with OK.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

static const char tag[] = "floor"; /* begins no line of the mail that is fetched */
static char *out;
static size_t out_len, out_at;

static void add(int number, const char *text) {
    size_t len = strlen(text) + 32;

    out = realloc(out, out_len + len);
    if (!out) {
        abort();
    }
    out_len += (size_t)snprintf(out + out_len, len, "%s%d %s\r\n", tag, number, text);
}

static int load(char **argv) {
    char line[1024], *text = NULL;
    size_t room = 0;
    int n = 0;
    FILE *f = fopen(argv[4], "r");

    if (!f) {
        perror(argv[4]);
        exit(2);
    }
    snprintf(line, sizeof line, "LOGIN %s %s", argv[2], argv[3]);
    add(++n, line);
    while (getline(&text, &room, f) > 0) {
        text[strcspn(text, "\r\n")] = '\0';
        add(++n, text);
    }
    add(++n, "LOGOUT");
    free(text);
    fclose(f);
    return n;
}

static int connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("imap_floor");
        exit(1);
    }
    return fd;
}

/* One line without its end. Returns 1 if it is a tagged answer. */
static int judge(const char *line) {
    const char *space = strncmp(line, tag, sizeof tag - 1) == 0 ? strchr(line, ' ') : NULL;

    if (space && strncmp(space, " OK", 3) != 0) {
        fprintf(stderr, "imap_floor: %s\n", line);
        exit(1);
    }
    return space != NULL;
}

/* Cuts what came into lines; only their beginnings matter. */
static int digest(const char *data, size_t len) {
    static char line[256];
    static size_t at;
    int answers = 0;

    while (len) {
        const char *end = memchr(data, '\n', len);
        size_t n = end ? (size_t)(end - data) + 1 : len, room = sizeof line - 1 - at, take = n < room ? n : room;
        memcpy(line + at, data, take);
        at += take;
        if (end) {
            line[at] = '\0';
            answers += judge(line);
            at = 0;
        }
        data += n;
        len -= n;
    }
    return answers;
}

int main(int argc, char **argv) {
    static char in[CHUNK];
    int fd, want;

    if (argc != 5) {
        fprintf(stderr, "usage: imap_floor PORT USER PASSWORD FILE\n");
        return 2;
    }
    want = load(argv);
    fd = connect_to(atoi(argv[1]));
    while (want > 0) {
        struct pollfd p = {.fd = fd, .events = (short)(POLLIN | (out_at < out_len ? POLLOUT : 0))};
        poll(&p, 1, -1);
        if (p.revents & POLLOUT) {
            ssize_t sent = send(fd, out + out_at, out_len - out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
            out_at += sent > 0 ? (size_t)sent : 0;
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t got = read(fd, in, sizeof in);
            if (got <= 0) {
                fprintf(stderr, "imap_floor: connection lost, %d answers missing\n", want);
                return 1;
            }
            want -= digest(in, (size_t)got);
        }
    }
    free(out);
    return 0;
}
