/*
 * base/log.h - structured log lines on one descriptor.
 *
 * A logger is created by main.c and passed down inside a log_ctx, which says who speaks (group) and about what
 * (account, folder, uid, rule, webhook, request id). A log_ctx borrows its strings; it is copied freely and lives as
 * long as they do. One line a call, written with one write(2); lines are cut at LOG_LINE_MAX.
 * Values are escaped (base/text.h). Secrets and message bodies are never passed in: subjects only at debug level.
 *
 * Formats: logfmt (`time=... level=info group=imap account=work msg="..."`), json (one object a line), journal
 * (`<6>` prefix, systemd's sd-daemon(3), no time). A NULL logger is allowed everywhere and drops the line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_MAX 8192

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

typedef struct logger {
    int fd;
    enum log_level level;
    enum log_format format;
} logger;

typedef struct log_ctx {
    const logger *logger; /* NULL = silent */
    const char *group;    /* "imap", "rules", "journal", "webhook", ... */
    const char *account;  /* NULL = absent, likewise below */
    const char *folder;
    const char *rule;
    const char *webhook;
    const char *id; /* connection or request id */
    uint32_t uid;   /* 0 = absent */
} log_ctx;

void log_write(const log_ctx *ctx, enum log_level level, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Logs err's text with its own account, folder, uid and rule where ctx has none. Does not free err. */
void log_error_value(const log_ctx *ctx, enum log_level level, const error *err);

#define log_error(ctx, ...) log_write((ctx), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(ctx, ...) log_write((ctx), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(ctx, ...) log_write((ctx), LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(ctx, ...) log_write((ctx), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(ctx, ...)                                                                                            \
    do {                                                                                                               \
        if (log_enabled((ctx), LOG_LEVEL_DEBUG)) {                                                                     \
            log_write((ctx), LOG_LEVEL_DEBUG, __VA_ARGS__);                                                            \
        }                                                                                                              \
    } while (0)

static inline bool log_enabled(const log_ctx *ctx, enum log_level level) {
    return ctx->logger && level <= ctx->logger->level;
}

bool log_level_parse(const char *name, enum log_level *level_out);
bool log_format_parse(const char *name, enum log_format *format_out);

#endif
