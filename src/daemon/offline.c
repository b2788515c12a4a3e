#include "mistakes_priv.h"
#include "offline_priv.h"

#include <stdio.h>
#include <unistd.h>

static void on_loaded(void *user, wire_message *config) {
    struct offline *o = user;

    /* A second time, when the process that had read it died: what was said of the first stays true. */
    if (o->config) {
        wire_message_free(config);
    } else {
        o->config = config;
    }
    o->answered = true;
}

static void on_refused(void *user, wire_message *config, error *err) {
    struct offline *o = user;

    if (config) {
        g_autoptr(GString) text = g_string_new(NULL);
        mistakes_describe(&config->u.config, text);
        fputs(text->str, stderr);
    } else {
        fprintf(stderr, "mailruled: %s\n", err->text);
    }
    wire_message_free(config);
    error_free(err);
    o->answered = true;
    o->lost = o->config != NULL;
}

static int start(struct offline *o, const char *path, bool check_only) {
    static const pool_events events = {.loaded = on_loaded, .refused = on_refused};
    pool_options options = {.config = path, .check_only = check_only};
    error *err;

    clock_init_real(&o->clock);
    o->logger = (logger){STDERR_FILENO, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT};
    err = loop_new(&o->clock, &o->loop);
    if (!err) {
        options.loop = o->loop;
        options.log.logger = &o->logger;
        err = pool_new(&options, &events, o, &o->pool);
    }
    if (err) {
        fprintf(stderr, "mailruled: %s\n", err->text);
        error_free(err);
        return COMMAND_FAILED;
    }
    return COMMAND_OK;
}

int offline_init(struct offline *o, const char *path, bool check_only) {
    *o = (struct offline){0};
    int status = start(o, path, check_only);

    while (status == COMMAND_OK && !o->answered) {
        loop_turn(o->loop, true);
    }
    return status != COMMAND_OK ? status : o->config ? COMMAND_OK : COMMAND_CONFIG;
}

void offline_release(struct offline *o) {
    pool_free(o->pool);
    wire_message_free(o->config);
    loop_free(o->loop);
}
