/*
 * daemon/command.h - the sub-commands of mailruled.
 *
 * One file in src/daemon a command, which defines its `const command command_NAME`; main.c lists them. A command parses
 * its own options (getopt_long; argv[0] is its name), writes what it found to stdout and complaints to stderr, and
 * returns an exit status. main.c itself answers `COMMAND --help` from synopsis and help.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

enum command_status {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,    /* it ran and something failed */
    COMMAND_USAGE = 2,
    COMMAND_TEMPFAIL = 75, /* try later */
    COMMAND_CONFIG = 78,   /* bad config */
};

typedef struct command {
    const char *name;
    const char *synopsis; /* behind the name: "[-c FILE] MESSAGE..." */
    const char *summary;  /* half a line, for `mailruled --help` */
    const char *help;     /* the rest of `COMMAND --help`; lines end in LF */
    int (*run)(int argc, char **argv);
} command;

extern const command command_run, command_check, command_explain, command_folders, command_status, command_queue,
    command_retry, command_drop, command_pause, command_resume, command_reload;

/* "mailruled NAME: TEXT; see ..." on stderr. Returns COMMAND_USAGE. */
int command_usage(const command *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The config file to read: option (-c, may be NULL), else $MAILRULED_CONFIG, else the first that exists of
 * $XDG_CONFIG_HOME/mailruled/config.lua (~/.config where that is unset) and /etc/mailruled/config.lua. g_free. NULL
 * after saying on stderr where it was looked for.
 */
char *command_config(const char *option);

#endif
