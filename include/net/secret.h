/*
 * net/secret.h - secrets: what the config says about them, and the bytes themselves.
 *
 * A secret_spec is a description and may be shown; a secret is the value: wiped when freed, never logged, never part
 * of an error's text. One trailing newline (LF or CRLF) is cut from files, credentials and command output. At most
 * SECRET_MAX bytes; empty is an error; NUL bytes are an error.
 */
#ifndef NET_SECRET_H
#define NET_SECRET_H

#include "base/error.h"
#include "net/loop.h"

#include <stddef.h>

#define SECRET_MAX (64 * 1024)
#define SECRET_COMMAND_MS 10000

typedef struct secret {
    size_t len;
    char *bytes; /* NUL-terminated for convenience */
} secret;

secret *secret_new(const void *bytes, size_t len); /* copies */
void secret_free(secret *s); /* wipes; accepts NULL */

enum secret_kind { SECRET_LITERAL, SECRET_FILE, SECRET_ENV, SECRET_COMMAND, SECRET_CREDENTIAL };

/* Borrowed strings. */
typedef struct secret_spec {
    enum secret_kind kind;
    const char *value;       /* the literal, path, variable or credential's name; unused by a command */
    const char *const *argv; /* command: NULL-terminated, run without a shell */
} secret_spec;

typedef struct secret_request secret_request;
/* s (the callee's, secret_free) or err (the callee's). Called once, never from inside secret_resolve(). */
typedef void (*secret_fn)(void *user, secret *s, error *err);

/*
 * Resolve. Errors, all ERROR_CONFIG unless it says otherwise, reach fn:
 * file        unreadable; not a regular file; readable or writable by group or others; owned neither by us nor by root
 * env         not set
 * command     cannot be started, failed, slower than 10 s, too much output: all ERROR_IO, try later
 * credential  $CREDENTIALS_DIRECTORY not set, name with a '/', unreadable (systemd.exec(5) LoadCredential=)
 */
secret_request *secret_resolve(event_loop *loop, const secret_spec *spec, secret_fn fn, void *user);
void secret_cancel(secret_request *request); /* only before fn was called; accepts NULL */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(secret, secret_free)

#endif
