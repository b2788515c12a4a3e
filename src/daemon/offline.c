#include "offline_priv.h"

#include "base/text.h"

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

static void print_mistakes(const wire_config *config) {
    for (size_t i = 0; i < config->n_mistakes; i++) {
        const wire_mistake *m = &config->mistakes[i];
        g_autofree char *text = text_escape(m->text, -1);
        if (m->place.line) {
            fprintf(stderr, "%s:%u: %s\n", m->place.file, m->place.line, text);
        } else {
            fprintf(stderr, "%s: %s\n", m->place.file ? m->place.file : "config", text);
        }
    }
}

static void on_refused(void *user, wire_message *config, error *err) {
    struct offline *o = user;

    if (config) {
        print_mistakes(&config->u.config);
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
