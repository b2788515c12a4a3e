/*
 * imap_do - another client of the mailbox: logs in on loopback without TLS, sends commands one after the other, and prints
 * what the server said to each.
 *
 *     imap_do PORT USER PASSWORD COMMAND...
 *
 * A COMMAND is what stands behind the tag: "SELECT INBOX", "UID STORE 3 +FLAGS (\Deleted)". Exit status 0 when each was
 * answered OK; 1 at the first that was not (its answer is the last line printed). Literals are printed as they come.
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

static int run(int number, const char *command, int quiet) {
    char tag[16];

    snprintf(tag, sizeof tag, "x%d", number);
    fprintf(to_server, "%s %s\r\n", tag, command);
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
