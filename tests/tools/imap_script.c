/*
 * imap_script [-a CA_FILE] DIALOGUE: plays one dialogue to whoever connects.
 * imap_script --mailkit NAME [-d DIR]: plays a recorded server ("gmail") or conversation to all who connect, until
 * killed.
 * imap_script --mailkit list [-d DIR]: the names of the conversations.
 *
 * Prints the port, then plays. Exit status 0: followed to its end; 1: not (what was expected and what came is on
 * stderr); 2: usage, or a dialogue that cannot be read. -a: where to write the certificate that clients are to trust.
 * DIR: $CORPUS_DIR/imap/MailKit, or ../shared/corpus/imap/MailKit.
 */
#include "tests/script/imap_script.h"
#include "tests/script/recording.h"

#include <getopt.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int usage(void) {
    fprintf(stderr, "usage: imap_script [-a CA_FILE] DIALOGUE\n"
                    "       imap_script --mailkit SERVER|CONVERSATION|list [-d DIR]\n");
    return 2;
}

static int complain(char *why) {
    fprintf(stderr, "%s\n", why);
    g_free(why);
    return 2;
}

static int play_dialogue(const char *path, const char *ca_file) {
    const imap_script_options options = {.ca_file = ca_file};
    char *why = NULL;
    imap_script *script = imap_script_new(path, &options, &why);

    if (!script) {
        return complain(why);
    }
    printf("%u\n", imap_script_port(script));
    fflush(stdout);
    bool ok = imap_script_run(script);
    if (!ok) {
        fprintf(stderr, "%s", imap_script_report(script) ? imap_script_report(script) : "not followed\n");
    }
    imap_script_free(script);
    return ok ? 0 : 1;
}

static int list_conversations(const char *dir) {
    g_autoptr(GPtrArray) names = recording_names(dir);

    for (guint i = 0; names && i < names->len; i++) {
        printf("%s\n", (char *)names->pdata[i]);
    }
    return names ? 0 : complain(g_strdup_printf("%s: no conversations.tsv", dir));
}

static int play_recording(const char *dir, const char *name) {
    const replay_options options = {.again = true};
    char *why = NULL;

    if (strcmp(name, "list") == 0) {
        return list_conversations(dir);
    }
    recording *r = recording_load(dir, name, &why);
    replay *server = r ? replay_new(r, &options, &why) : NULL;
    if (!server) {
        recording_free(r);
        return complain(why);
    }
    printf("%u\n", replay_port(server));
    fflush(stdout);
    replay_run(server);
    replay_free(server);
    recording_free(r);
    return 0;
}

int main(int argc, char **argv) {
    static const struct option long_options[] = {{"mailkit", required_argument, NULL, 'm'}, {0}};
    const char *corpus = g_getenv("CORPUS_DIR");
    g_autofree char *usual = g_build_filename(corpus ? corpus : "../shared/corpus", "imap", "MailKit", NULL);
    const char *ca_file = NULL, *dir = usual, *name = NULL;
    int c;

    signal(SIGPIPE, SIG_IGN);
    while ((c = getopt_long(argc, argv, "a:d:", long_options, NULL)) != -1) {
        switch (c) {
        case 'a':
            ca_file = optarg;
            break;
        case 'd':
            dir = optarg;
            break;
        case 'm':
            name = optarg;
            break;
        default:
            return usage();
        }
    }
    if (name && optind == argc) {
        return play_recording(dir, name);
    }
    return !name && optind + 1 == argc ? play_dialogue(argv[optind], ca_file) : usage();
}
