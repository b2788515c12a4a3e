#include "daemon/command.h"
#include "daemon/keeper.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static enum log_format default_format(void) {
    return g_getenv("JOURNAL_STREAM") ? LOG_FORMAT_JOURNAL : LOG_FORMAT_LOGFMT;
}

static int report(const error *err) {
    g_autofree char *text = error_format(err);

    fprintf(stderr, "mailruled run: %s\n", text);
    switch (err->code) {
    case ERROR_CONFIG:
        return COMMAND_CONFIG;
    case ERROR_NETWORK:
    case ERROR_BUSY:
        return COMMAND_TEMPFAIL;
    default:
        return COMMAND_FAILED;
    }
}

/* Secrets are in this process: no core dump, no ptrace by others of the same user. */
static void shield(void) {
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGXFSZ, SIG_IGN); /* a file at its size limit is an error of write(), not the end */
}

static int run(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"once", no_argument, NULL, 'o'},
        {"dry-run", no_argument, NULL, 'n'},       {"log-format", required_argument, NULL, 'f'},
        {"log-level", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0}};
    logger log = {STDERR_FILENO, LOG_LEVEL_INFO, default_format()};
    keeper_options keeper = {.logger = &log};
    const char *file = NULL;
    unsigned failures = 0;
    bool good = true;
    int option;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c': file = optarg; break;
        case 'o': keeper.once = true; break;
        case 'n': keeper.dry_run = true; break;
        case 'f': good &= log_format_parse(optarg, &log.format); break;
        case 'l': good &= log_level_parse(optarg, &log.level); break;
        default: return command_usage(&command_run, "bad option");
        }
    }
    if (!good) {
        return command_usage(&command_run,
                             "log formats are logfmt, json, journal; levels error, warn, notice, info, debug");
    }
    if (optind < argc) {
        return command_usage(&command_run, "unexpected '%s'", argv[optind]);
    }
    g_autofree char *path = command_config(file);
    if (!path) {
        return COMMAND_CONFIG;
    }
    keeper.config = path;
    shield();
    g_autoptr(error) err = keeper_run(&keeper, &failures);
    if (err) {
        return report(err);
    }
    return keeper.once && failures ? COMMAND_FAILED : COMMAND_OK;
}

const command command_run = {
    .name = "run",
    .synopsis = "[-c FILE] [--once] [--dry-run] [--log-format logfmt|json|journal] [--log-level LEVEL]",
    .summary = "Watch the accounts and run the rules",
    .help = "Runs in the foreground and logs on stderr. TERM and INT finish what is under way and stop;\n"
            "HUP reads the config again and keeps the old one if it has mistakes.\n"
            "\n"
            "  -c, --config FILE     the config to use\n"
            "      --once            process what is there, then stop; 1 if something failed\n"
            "      --dry-run         decide and log, change neither mail nor the journal, send nothing\n"
            "      --log-format F    logfmt, json, journal\n"
            "      --log-level L     error, warn, notice, info, debug\n",
    .run = run,
};
