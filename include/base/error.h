/*
 * base/error.h - the one error type.
 *
 * Every public function that can fail returns `error *`: NULL is success, anything else is owned by the caller, who
 * frees it (error_free), hands it on, or hangs it into a result. Only main.c turns an error into an exit status.
 *
 * An error says three things: what happened (code), what it costs (class: the smallest thing that stops working) and
 * when to try again (retry). Class and retry follow from the code unless error_set_scope() says otherwise. The text is
 * for people, names no secret and no message body, and is complete once account, folder, uid and rule are added:
 * error_format() puts them in front.
 *
 * Limits: a text is cut at ERROR_TEXT_MAX bytes; control characters are escaped when it is formatted.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define ERROR_TEXT_MAX 1024

enum error_class {
    ERROR_CLASS_MESSAGE, /* park this message */
    ERROR_CLASS_FOLDER,  /* retry this folder */
    ERROR_CLASS_ACCOUNT, /* back off with this account */
    ERROR_CLASS_PROCESS, /* exit non-zero */
};

enum error_retry { ERROR_RETRY_NOW, ERROR_RETRY_LATER, ERROR_RETRY_NEVER };

/* Each code's class, retry and name stand in one table in error.c. */
enum error_code {
    ERROR_NETWORK,     /* connect, reset, timeout, dead peer */
    ERROR_TLS,         /* certificate, handshake, downgrade */
    ERROR_AUTH,        /* credentials refused */
    ERROR_BUSY,        /* server says later: UNAVAILABLE, INUSE, throttled, LIMIT */
    ERROR_PROTOCOL,    /* the server broke the protocol; close the connection */
    ERROR_REFUSED,     /* tagged NO or BAD without a better code */
    ERROR_GONE,        /* message or folder is no longer there */
    ERROR_NO_FOLDER,   /* mailbox does not exist (NONEXISTENT, TRYCREATE) */
    ERROR_PERMISSION,  /* NOPERM, CANNOT, read-only */
    ERROR_QUOTA,       /* OVERQUOTA */
    ERROR_LIMIT,       /* one of our own limits (base/limits.h) was reached */
    ERROR_INVALID,     /* an argument or a stranger's bytes that cannot be used */
    ERROR_CONFIG,      /* the config or a rule is wrong: exit 78 */
    ERROR_RULE,        /* a rule raised an error at run time */
    ERROR_DEADLINE,    /* an evaluator missed its deadline or died */
    ERROR_STATE,       /* journal: damaged, locked, newer schema */
    ERROR_IO,          /* local file system: ENOSPC, EIO, EROFS */
    ERROR_CANCELLED,   /* shut down or dropped by the user */
    ERROR_INTERNAL,    /* a bug of ours */
    ERROR_CODES
};

typedef struct error {
    enum error_code code;
    enum error_class class_;
    enum error_retry retry;
    uint64_t retry_after_ms; /* a hint from the server, capped by the reader; 0 = none */
    char *account;           /* NULL if not known, likewise below */
    char *folder;
    char *rule;
    uint32_t uid; /* 0 = none */
    char *text;
} error;

error *error_new(enum error_code code, const char *format, ...) G_GNUC_PRINTF(2, 3) G_GNUC_WARN_UNUSED_RESULT;
void error_free(error *err); /* accepts NULL */

/* Put a phrase in front of the text ("opening state: ..."). NULL stays NULL; returns err. */
error *error_prefix(error *err, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Say where it happened; what is already known (innermost) is kept, NULL and 0 are passed over. Returns err. */
error *error_at(error *err, const char *account, const char *folder, uint32_t uid, const char *rule);
error *error_set_scope(error *err, enum error_class class_, enum error_retry retry);
error *error_copy(const error *err); /* NULL for NULL */

/* "account/folder/uid rule NAME: text", newly allocated (g_free), control characters escaped. "ok" for NULL. */
char *error_format(const error *err);
const char *error_code_name(enum error_code code); /* static, e.g. "auth" */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(error, error_free)

#endif
