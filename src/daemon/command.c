#include "daemon/command.h"

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

int command_usage(const command *cmd, const char *format, ...) {
    va_list args;

    fprintf(stderr, "mailruled %s: ", cmd->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nUsage: mailruled %s %s\n", cmd->name, cmd->synopsis);
    return COMMAND_USAGE;
}

char *command_config(const char *option) {
    const char *named = option ? option : g_getenv("MAILRULED_CONFIG");

    if (named && *named) {
        return g_strdup(named);
    }
    g_autofree char *own = g_build_filename(g_get_user_config_dir(), "mailruled", "config.lua", NULL);
    const char *const places[] = {own, "/etc/mailruled/config.lua"};
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (access(places[i], F_OK) == 0) {
            return g_strdup(places[i]);
        }
    }
    fprintf(stderr, "mailruled: no config: neither %s nor %s exists; name one with -c FILE or MAILRULED_CONFIG\n",
            places[0], places[1]);
    return NULL;
}
