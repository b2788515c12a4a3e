/* The commands that ask the running daemon: each sends its words over the control socket and prints what comes back. */
#include "daemon_priv.h"
#include "offline_priv.h"

#include "net/stream.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool send_all(int fd, const char *bytes, size_t len) {
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static char *read_all(int fd) {
    GString *text = g_string_new(NULL);
    char buffer[4096];
    ssize_t n;

    while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            g_string_append_len(text, buffer, n);
        }
    }
    return g_string_free(text, FALSE);
}

static int converse(const char *path, const GString *request) {
    int fd = -1;
    g_autoptr(error) err = stream_connect_unix(path, &fd);

    if (err) {
        fprintf(stderr, "mailruled: no daemon answers at %s (%s): is `mailruled run` up?\n", path, err->text);
        return COMMAND_TEMPFAIL;
    }
    g_autofree char *answer = send_all(fd, request->str, request->len) ? read_all(fd) : g_strdup("");
    close(fd);
    char *text = strchr(answer, '\n');
    if (!text) {
        fprintf(stderr, "mailruled: the daemon hung up\n");
        return COMMAND_TEMPFAIL;
    }
    int status = atoi(answer);
    fputs(text + 1, status == COMMAND_OK || status == COMMAND_FAILED ? stdout : stderr);
    return status;
}

static int ask(const command *cmd, int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
                                            {"all", no_argument, NULL, 'a'},          {NULL, 0, NULL, 0}};
    const char *file = NULL;
    struct offline o;
    GString *request = g_string_new(cmd->name);
    int option;

    g_string_append_c(request, '\0');
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
        } else if (option == 'j' || option == 'a') {
            g_string_append(request, option == 'j' ? "--json" : "--all");
            g_string_append_c(request, '\0');
        } else {
            g_string_free(request, TRUE);
            return command_usage(cmd, "bad option");
        }
    }
    for (; optind < argc; optind++) {
        g_string_append(request, argv[optind]);
        g_string_append_c(request, '\0');
    }
    g_string_append_c(request, '\0');
    g_autofree char *path = command_config(file);
    int status = path ? offline_init(&o, path, false) : COMMAND_CONFIG;
    if (status == COMMAND_OK) {
        g_autofree char *socket = control_path_of(&o.config->u.config);
        status = converse(socket, request);
    }
    if (path) {
        offline_release(&o);
    }
    g_string_free(request, TRUE);
    return status;
}

#define COMMAND_OPTIONS "  -c, --config FILE   the config the daemon runs with: it says where its socket is\n"
#define CLIENT(word, text_synopsis, text_summary, text_help)                                                           \
    static int run_##word(int argc, char **argv) {                                                                     \
        return ask(&command_##word, argc, argv);                                                                       \
    }                                                                                                                  \
    const command command_##word = {.name = #word, .synopsis = text_synopsis, .summary = text_summary,                \
                                    .help = text_help COMMAND_OPTIONS, .run = run_##word}

CLIENT(status, "[-c FILE] [--json]", "Show what is watched, how, and what is wrong",
       "For each folder: how it is watched and when it was last known to be complete.\n\n");
CLIENT(queue, "[-c FILE] [--json]", "List what is parked, what waits for a retry, what waits for a webhook",
       "The number in front is what `retry` and `drop` take.\n\n");
CLIENT(retry, "[-c FILE] NUMBER... | --all", "Try parked messages and dead webhooks again",
       "--all takes everything that is parked.\n\n");
CLIENT(drop, "[-c FILE] NUMBER...", "Forget messages of the queue",
       "The mail itself stays where it is; what its rules had still to do is not done.\n\n");
CLIENT(pause, "[-c FILE] [ACCOUNT]", "Disconnect an account, or all, until `resume`",
       "Mail that arrives meanwhile is found afterwards.\n\n");
CLIENT(resume, "[-c FILE] [ACCOUNT]", "Connect again, also an account whose credentials were refused", "");
CLIENT(reload, "[-c FILE]", "Read the config again; the old one stays if the new one has mistakes", "");
