/*
 * imap_script [-a CA_FILE] DIALOGUE: plays one dialogue to whoever connects.
 *
 * Prints the port, then plays. Exit status 0: followed to its end; 1: not (what was expected and what came is on
 * stderr); 2: usage, or a dialogue that cannot be read. -a: where to write the certificate that clients are to trust.
 */
#include "tests/script/imap_script.h"

#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
    imap_script_options options = {0};
    char *why = NULL;
    int c;

    while ((c = getopt(argc, argv, "a:")) != -1) {
        if (c != 'a') {
            return 2;
        }
        options.ca_file = optarg;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: imap_script [-a CA_FILE] DIALOGUE\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    imap_script *script = imap_script_new(argv[optind], &options, &why);
    if (!script) {
        fprintf(stderr, "%s\n", why);
        g_free(why);
        return 2;
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
