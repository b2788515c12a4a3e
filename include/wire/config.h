/*
 * wire/config.h - what a config file says, as data.
 *
 * The evaluator reads the Lua file and sends this; the keeper never sees Lua. Everything is owned by the wire_message
 * that carries it (wire/message.h) and lives exactly as long. Strings are valid UTF-8 without NUL; lists are counted;
 * an absent string is NULL. Times are milliseconds, sizes bytes.
 */
#ifndef WIRE_CONFIG_H
#define WIRE_CONFIG_H

#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wire_strings {
    char **v;
    size_t n;
} wire_strings;

/* Where something stands in the config: file as the user wrote it, line from 1. */
typedef struct wire_place {
    char *file;
    uint32_t line;
} wire_place;

enum wire_secret_kind {
    WIRE_SECRET_NONE,
    WIRE_SECRET_LITERAL,    /* value = the secret itself (the file is readable by its owner alone) */
    WIRE_SECRET_FILE,       /* value = absolute path */
    WIRE_SECRET_ENV,        /* value = variable name */
    WIRE_SECRET_COMMAND,    /* argv */
    WIRE_SECRET_CREDENTIAL, /* value = name under $CREDENTIALS_DIRECTORY */
};

/* A description of a secret; only the keeper resolves it. */
typedef struct wire_secret {
    enum wire_secret_kind kind;
    char *value;
    wire_strings argv;
    wire_place place;
} wire_secret;

enum wire_tls { WIRE_TLS_IMPLICIT, WIRE_TLS_STARTTLS, WIRE_TLS_NONE };
enum wire_auth {
    WIRE_AUTH_AUTO,
    WIRE_AUTH_PLAIN,
    WIRE_AUTH_LOGIN,
    WIRE_AUTH_CRAM_MD5,
    WIRE_AUTH_XOAUTH2,
    WIRE_AUTH_OAUTHBEARER,
    WIRE_AUTH_EXTERNAL
};
enum wire_backlog { WIRE_BACKLOG_NONE, WIRE_BACKLOG_ALL, WIRE_BACKLOG_SINCE };

typedef struct wire_account {
    char *name;
    wire_place place;
    char *host;
    uint16_t port; /* filled in: 993, or 143 for starttls and none */
    enum wire_tls tls;
    char *tls_ca; /* absolute path or NULL = the system's */
    char *user;
    wire_secret password;
    enum wire_auth auth;
    bool has_oauth2;
    struct {
        char *provider; /* "google", "microsoft", "yahoo" or NULL with the two URLs set */
        char *token_url, *device_url, *scope;
        char *client_id;
        wire_secret client_secret, refresh_token;
    } oauth2;
    char *proxy;
    wire_strings watch; /* names, globs, special-use ("\\Junk"); default { "INBOX" } */
    enum wire_backlog backlog;
    uint64_t backlog_ms;    /* with WIRE_BACKLOG_SINCE */
    uint32_t connections;   /* budget, default 4 */
    uint64_t idle_renew_ms; /* default 9 min */
    uint64_t poll_ms;       /* where IDLE is missing: default 60 s */
    /* The file says so, if only the default: then what is known of the server's customs does not count. */
    bool connections_stated, idle_renew_stated, poll_stated;
    uint64_t reconcile_ms;  /* default 15 min */
    uint64_t timeout_ms;    /* connect and command deadline, default 60 s */
    bool compress;
    bool allow_expunge;
    wire_strings disable_extensions; /* capability names never to be used */
    char *behaves_like; /* host whose customs to expect, where `host` is a tunnel to it; NULL = host */
} wire_account;

typedef struct wire_header {
    char *name, *value;
} wire_header;

enum { WIRE_INCLUDE_TEXT = 1, WIRE_INCLUDE_HTML = 2, WIRE_INCLUDE_ATTACHMENTS = 4, WIRE_INCLUDE_RAW = 8 };

typedef struct wire_webhook {
    char *name;
    wire_place place;
    char *url;
    char *method; /* default "POST" */
    wire_header *headers;
    size_t n_headers;
    wire_secret *secrets; /* none = unsigned; two while rotating */
    size_t n_secrets;
    uint64_t timeout_ms; /* default 20 s */
    uint64_t *retries;   /* delay before each further attempt */
    size_t n_retries;
    uint32_t concurrency; /* default 4 */
    uint32_t include;     /* WIRE_INCLUDE_ bits */
    uint64_t max_size;    /* of a body, default 10 MiB: attachments' content is left out first */
    bool allow_private;
} wire_webhook;

enum wire_event { WIRE_EVENT_NEW, WIRE_EVENT_FLAGS, WIRE_EVENT_GONE, WIRE_EVENT_TIMER };

typedef struct wire_rule {
    char *name;
    wire_place place;
    wire_strings accounts; /* empty = every account */
    wire_strings folders;  /* empty = every watched folder */
    enum wire_event on;
    uint64_t every_ms; /* WIRE_EVENT_TIMER */
    bool dry_run;
    bool own;       /* also for messages this daemon put into the folder */
    uint32_t limit; /* messages moved or deleted an hour before the rule pauses itself; 0 = none */
} wire_rule;

/* One mistake in the config. */
typedef struct wire_mistake {
    wire_place place;
    char *text;
} wire_mistake;

typedef struct wire_config {
    char *path;             /* absolute */
    char *state_dir;        /* NULL = default */
    char *control;          /* socket path, NULL = default */
    char *metrics;          /* "host:port" or NULL; kept for later */
    char *quarantine_flag;  /* keyword set on parked messages, or NULL */
    struct limits limits;
    wire_account *accounts;
    size_t n_accounts;
    wire_webhook *webhooks;
    size_t n_webhooks;
    wire_rule *rules; /* in file order; a rule's index is its number everywhere */
    size_t n_rules;
    wire_mistake *mistakes; /* not empty: nothing else may be used */
    size_t n_mistakes;
} wire_config;

#endif
