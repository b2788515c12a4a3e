/*
 * lmtp - deliver messages to a mailbox over LMTP (RFC 2033).
 *
 *     lmtp PORT RECIPIENT FILE...     one message a file; "-" reads standard input
 *     lmtp -n COUNT PORT RECIPIENT FILE   the same file COUNT times, "@N@" in it replaced by 1, 2, 3, ...
 *
 * Exit status 0 when every message was accepted for the recipient.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static FILE *server;

static void fail(const char *what, const char *line) {
    fprintf(stderr, "lmtp: %s: %s\n", what, line);
    exit(1);
}

/* Reads one reply, all its lines; the code's first digit must be `want`. */
static void expect(char want) {
    char line[1024];

    do {
        if (!fgets(line, sizeof line, server)) {
            fail("connection lost", "");
        }
    } while (strlen(line) > 3 && line[3] == '-');
    if (line[0] != want) {
        fail("refused", line);
    }
}

static char *read_file(const char *name) {
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    size_t room = 65536, len = 0, n;
    char *text = malloc(room);

    if (!f || !text) {
        fail("cannot read", name);
    }
    while ((n = fread(text + len, 1, room - len - 1, f)) > 0) {
        len += n;
        if (room - len < 2 && !(text = realloc(text, room *= 2))) {
            fail("out of memory", name);
        }
    }
    text[len] = '\0';
    if (f != stdin) {
        fclose(f);
    }
    return text;
}

/* Lines end in CRLF, a leading dot is doubled, @N@ becomes n. */
static void send_text(const char *text, int n) {
    int start = 1;

    for (const char *p = text; *p; p++) {
        if (start && *p == '.') {
            fputc('.', server);
        }
        start = *p == '\n';
        if (*p == '\r' && p[1] == '\n') {
            continue;
        }
        if (strncmp(p, "@N@", 3) == 0) {
            fprintf(server, "%d", n);
            p += 2;
        } else if (*p == '\n') {
            fputs("\r\n", server);
        } else {
            fputc(*p, server);
        }
    }
    fputs(start ? ".\r\n" : "\r\n.\r\n", server);
}

static void deliver(const char *recipient, const char *text, int n) {
    fprintf(server, "MAIL FROM:<sender@example.org>\r\nRCPT TO:<%s>\r\nDATA\r\n", recipient);
    fflush(server);
    expect('2');
    expect('2');
    expect('3');
    send_text(text, n);
    fflush(server);
    expect('2');
}

int main(int argc, char **argv) {
    int count = 1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};

    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        count = atoi(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 4) {
        fputs("usage: lmtp [-n COUNT] PORT RECIPIENT FILE...\n", stderr);
        return 2;
    }
    addr.sin_port = htons((unsigned short)atoi(argv[1]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || !(server = fdopen(fd, "r+"))) {
        perror("lmtp: connect");
        return 1;
    }
    expect('2');
    fputs("LHLO localhost\r\n", server);
    fflush(server);
    expect('2');
    for (int i = 3; i < argc; i++) {
        char *text = read_file(argv[i]);
        for (int n = 1; n <= count; n++) {
            deliver(argv[2], text, n);
        }
        free(text);
    }
    fputs("QUIT\r\n", server);
    fflush(server);
    fclose(server);
    return 0;
}
