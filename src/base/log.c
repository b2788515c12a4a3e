#include "base/log.h"

#include "base/text.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[LOG_LEVELS] = {"error", "warn", "notice", "info", "debug"};
static const int syslog_levels[LOG_LEVELS] = {3, 4, 5, 6, 7};

bool log_level_parse(const char *name, enum log_level *level_out) {
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *name, enum log_format *format_out) {
    static const char *const names[] = {"logfmt", "json", "journal"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format_out = (enum log_format)i;
            return true;
        }
    }
    return false;
}

static void append_logfmt(GString *line, const char *key, const char *value) {
    bool bare = *value && !strpbrk(value, " \"=\\");

    g_string_append_printf(line, "%s%s=", line->len ? " " : "", key);
    if (!bare) {
        g_string_append_c(line, '"');
    }
    for (const char *p = value; *p; p++) {
        if (*p == '"' || *p == '\\') {
            g_string_append_c(line, '\\');
        }
        g_string_append_c(line, *p);
    }
    if (!bare) {
        g_string_append_c(line, '"');
    }
}

static void append_pair(GString *line, enum log_format format, const char *key, const char *value) {
    if (!value) {
        return;
    }
    if (format == LOG_FORMAT_JSON) {
        g_string_append_printf(line, "%s\"%s\":", line->len ? "," : "{", key);
        text_append_json(line, value, -1);
        return;
    }
    char *safe = text_escape(value, -1);
    append_logfmt(line, key, safe);
    g_free(safe);
}

static void append_time(GString *line, enum log_format format) {
    struct timespec now;
    struct tm tm;
    char text[40], whole[48];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    g_snprintf(whole, sizeof whole, "%s.%03dZ", text, (int)(now.tv_nsec / 1000000));
    append_pair(line, format, "time", whole);
}

static void write_line(const log_ctx *ctx, enum log_level level, const char *message) {
    enum log_format format = ctx->logger->format;
    GString *line = g_string_new(NULL);
    char uid[16];

    if (format != LOG_FORMAT_JOURNAL) {
        append_time(line, format);
        append_pair(line, format, "level", level_names[level]);
    }
    g_snprintf(uid, sizeof uid, "%u", ctx->uid);
    append_pair(line, format, "group", ctx->group);
    append_pair(line, format, "id", ctx->id);
    append_pair(line, format, "account", ctx->account);
    append_pair(line, format, "folder", ctx->folder);
    append_pair(line, format, "uid", ctx->uid ? uid : NULL);
    append_pair(line, format, "rule", ctx->rule);
    append_pair(line, format, "webhook", ctx->webhook);
    append_pair(line, format, "msg", message);
    if (format == LOG_FORMAT_JSON) {
        g_string_append_c(line, '}');
    }
    if (format == LOG_FORMAT_JOURNAL) {
        char prefix[8];
        g_snprintf(prefix, sizeof prefix, "<%d>", syslog_levels[level]);
        g_string_prepend(line, prefix);
    }
    g_string_append_c(line, '\n');
    ssize_t written = write(ctx->logger->fd, line->str, line->len);
    (void)written; /* there is nobody left to tell */
    g_string_free(line, TRUE);
}

void log_write(const log_ctx *ctx, enum log_level level, const char *format, ...) {
    va_list args;
    char *message;

    if (!log_enabled(ctx, level)) {
        return;
    }
    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);
    if (strlen(message) > LOG_LINE_MAX - 1024) {
        message[LOG_LINE_MAX - 1024] = '\0';
    }
    write_line(ctx, level, message);
    g_free(message);
}

void log_error_value(const log_ctx *ctx, enum log_level level, const error *err) {
    log_ctx full = *ctx;

    if (!err || !log_enabled(ctx, level)) {
        return;
    }
    full.account = full.account ? full.account : err->account;
    full.folder = full.folder ? full.folder : err->folder;
    full.rule = full.rule ? full.rule : err->rule;
    full.uid = full.uid ? full.uid : err->uid;
    write_line(&full, level, err->text);
}
