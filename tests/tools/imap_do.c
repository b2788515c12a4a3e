/*
 * imap_do - another client of the mailbox: logs in on loopback without TLS, sends commands one after the other, and
 * prints what the server said to each.
 *
 *     imap_do PORT USER PASSWORD COMMAND...
 *
 * A COMMAND is what stands behind the tag: "SELECT INBOX", "UID STORE 3 +FLAGS (\Deleted)". What stands in the file
 * FILE is appended to a folder with "APPEND folder @FILE". Exit status 0 when each was answered OK; 1 at the first that
 * was not (its answer is the last line printed). Literals are printed as they come.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static FILE *server, *to_server;

/* Prints lines until the one with the tag (or, tag NULL, the greeting). Returns whether it said OK. */
static int answered(const char *tag, int quiet) {
    static char line[1 << 20];
    size_t n = tag ? strlen(tag) : 0;

    while (fgets(line, sizeof line, server)) {
        int last = !tag || (strncmp(line, tag, n) == 0 && line[n] == ' ');
        const char *status = tag ? line + n + 1 : line + 2;
        int good = last && strncmp(status, "OK", 2) == 0;
        if (!quiet || (last && !good)) {
            fputs(line, stdout);
        }
        if (last) {
            return good;
        }
    }
    printf("connection lost\n");
    return 0;
}

/* The literal at the end of an APPEND: announced, awaited, sent with CRLF as line ends. */
static int send_file(const char *name) {
    char line[4096], *text = NULL;
    size_t size = 0;
    FILE *from = fopen(name, "r"), *to = open_memstream(&text, &size);

    if (!from || !to) {
        perror(name);
        return 0;
    }
    while (fgets(line, sizeof line, from)) {
        size_t len = strcspn(line, "\r\n");
        fprintf(to, "%.*s%s", (int)len, line, line[len] ? "\r\n" : "");
    }
    fclose(from);
    fclose(to);
    fprintf(to_server, "{%zu}\r\n", size);
    fflush(to_server);
    int asked = fgets(line, sizeof line, server) && line[0] == '+';
    if (asked) {
        fwrite(text, 1, size, to_server);
    } else {
        fputs(line, stdout);
    }
    free(text);
    return asked;
}

static int run(int number, const char *command, int quiet) {
    const char *file = strncmp(command, "APPEND ", 7) == 0 ? strstr(command, " @") : NULL;
    char tag[16];

    snprintf(tag, sizeof tag, "x%d", number);
    fprintf(to_server, "%s %.*s", tag, (int)(file ? file + 1 - command : (long)strlen(command)), command);
    if (file && !send_file(file + 2)) {
        return 0;
    }
    fprintf(to_server, "\r\n");
    fflush(to_server);
    return answered(tag, quiet);
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 20};
    char login[512];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc < 5) {
        fprintf(stderr, "usage: imap_do PORT USER PASSWORD COMMAND...\n");
        return 2;
    }
    at.sin_port = htons((unsigned short)atoi(argv[1]));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || !(server = fdopen(fd, "r")) ||
        !(to_server = fdopen(dup(fd), "w"))) {
        perror("imap_do");
        return 1;
    }
    snprintf(login, sizeof login, "LOGIN %s %s", argv[2], argv[3]);
    if (!answered(NULL, 1) || !run(0, login, 1)) {
        return 1;
    }
    for (int i = 4; i < argc; i++) {
        if (!run(i, argv[i], 0)) {
            return 1;
        }
    }
    run(argc, "LOGOUT", 1);
    return 0;
}
