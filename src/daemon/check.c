#include "check_priv.h"

#include <getopt.h>
#include <stdio.h>

static void print_count(const char *separator, size_t n, const char *what) {
    printf("%s%zu %s%s", separator, n, what, n == 1 ? "" : "s");
}

static void print_summary(const wire_config *config) {
    print_count("ok: ", config->n_accounts, "account");
    print_count(", ", config->n_webhooks, "webhook");
    print_count(", ", config->n_rules, "rule");
    putchar('\n');
}

static int run(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"offline", no_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
    const char *file = NULL;
    bool offline_only = false;
    struct offline o;
    int option;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'o':
            offline_only = true;
            break;
        default:
            return command_usage(&command_check, "bad option");
        }
    }
    if (optind < argc) {
        return command_usage(&command_check, "unexpected '%s'", argv[optind]);
    }
    g_autofree char *path = command_config(file);
    if (!path) {
        return COMMAND_CONFIG;
    }
    int status = offline_init(&o, path, true);
    if (status == COMMAND_OK && !offline_only && !check_online(&o)) {
        status = COMMAND_FAILED;
    }
    if (status == COMMAND_OK) {
        print_summary(&o.config->u.config);
    }
    offline_release(&o);
    return status;
}

const command command_check = {
    .name = "check",
    .synopsis = "[-c FILE] [--offline]",
    .summary = "Look for mistakes in the config",
    .help =
        "Prints every mistake as FILE:LINE: TEXT on stderr and exits with 78, or says \"ok\" and exits with 0.\n"
        "No rule is run and no mail is touched. A config without mistakes is then tried: can each account log in, are\n"
        "the folders there that it watches? 1 if not.\n"
        "\n"
        "  -c, --config FILE   the config to check\n"
        "      --offline       contact nobody\n",
    .run = run,
};
