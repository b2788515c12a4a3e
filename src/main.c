#include "daemon/command.h"
#include "evaluator/evaluator.h"
#include "wire/nursery.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* In the order in which they are listed. */
static const command *const commands[] = {
    &command_run,   &command_check, &command_explain, &command_folders, &command_status, &command_queue,
    &command_retry, &command_drop,  &command_pause,   &command_resume,  &command_reload,
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int help(FILE *out) {
    fprintf(out, "mailruled watches IMAP folders and runs your rules over every new message.\n\n"
                 "Usage: mailruled COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "\nThe config is -c FILE, else $MAILRULED_CONFIG, else $XDG_CONFIG_HOME/mailruled/config.lua,\n"
                 "else /etc/mailruled/config.lua. `mailruled COMMAND --help` tells more, so does mailruled(1).\n");
    return out == stdout ? COMMAND_OK : COMMAND_USAGE;
}

static int help_command(const command *cmd) {
    printf("Usage: mailruled %s %s\n\n%s.\n\n%s", cmd->name, cmd->synopsis, cmd->summary, cmd->help);
    return COMMAND_OK;
}

/* Before "--" only: what follows it is an operand. */
static bool wants_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int run_command(int argc, char **argv) {
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[0], commands[i]->name) == 0) {
            return wants_help(argc, argv) ? help_command(commands[i]) : commands[i]->run(argc, argv);
        }
    }
    fprintf(stderr, "mailruled: there is no command '%s'; `mailruled --help` lists them\n", argv[0]);
    return COMMAND_USAGE;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        return help(stderr);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("mailruled %s\n", MAILRULED_VERSION);
        return COMMAND_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        return help(stdout);
    }
    if (strcmp(argv[1], "evaluator") == 0) { /* how the pool starts its processes */
        return evaluator_main(WIRE_FD, WIRE_NURSERY_FD);
    }
    return run_command(argc - 1, argv + 1);
}
