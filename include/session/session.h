/*
 * session/session.h - one IMAP connection: log in, run typed commands, watch the selected folder (RFC 9051, 2177, 4315,
 * 5465, 6851, 7162).
 *
 * One session is one connection: new, open, (ready), ..., closed, free. It never reconnects and keeps no memory of
 * other connections: back-off, budgets and what was done before are the owner's.
 *
 *     session_new -> session_open -> events.secret -> session_give_secret -> events.ready
 *     session_select(s, "INBOX", ...); session_watch(s, true);      IDLE comes and goes by itself
 *     events.exists -> session_fetch_from(s, cursor + 1, ...)       DONE and UID FETCH leave in one write
 *     ... session_hold / session_release around work that is to go out with the next IDLE in one write
 *     events.closed(err) -> session_free
 *
 * Rules for all of it
 * - Nothing calls back from inside a session_*() function, but for session_free() and session_close(..._NOW), which
 *   end the commands under way. Every other callback comes from the loop.
 * - Every command's `done` is called exactly once, whatever happens: answered, refused before it was sent, connection
 *   lost, session freed. So a context allocated for a command is freed in `done` and nowhere else.
 * - Every function here may be called from every callback, session_free() too: what is left of the callback's caller
 *   notices. After session_free() only the `done` of the commands under way are called, from inside it.
 * - Arguments are checked when the command is made; a refusal (ERROR_INVALID, ERROR_LIMIT) reaches `done` as a NO does.
 * - Mailbox names are decoded UTF-8 throughout (imap/mailbox.h). UIDs only; sequence numbers never leave this layer.
 * - Views (imap_str, const pointers) handed to a callback are valid until it returns.
 * - Secrets pass through in one call, are wiped, and never reach a log or an error.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "imap/command.h"
#include "imap/response.h"
#include "net/crypto.h"
#include "net/loop.h"
#include "net/secret.h"
#include "net/tls.h"
#include "net/transport.h"
#include "session/pace.h"
#include "session/quirks.h"

typedef struct session session;

/* ---- configuration ---- */

enum session_auth {
    SESSION_AUTH_AUTO, /* password: PLAIN, LOGIN, CRAM-MD5; token: XOAUTH2, OAUTHBEARER: the first that is offered */
    SESSION_AUTH_PLAIN,
    SESSION_AUTH_LOGIN, /* the LOGIN command */
    SESSION_AUTH_CRAM_MD5,
    SESSION_AUTH_XOAUTH2,
    SESSION_AUTH_OAUTHBEARER,
    SESSION_AUTH_EXTERNAL, /* needs no secret */
};

/* What an account's connections have learned about how long its server, or a NAT before it, bears an IDLE. Two hang-ups
 * after a like silence lower it; zero it to forget. Shared by the sessions of one account. */
typedef struct session_idle_memory {
    uint32_t last_hangup_ms; /* silence before the last hang-up */
    uint32_t learned_ms;     /* renew after this at the latest; 0 = nothing learned */
} session_idle_memory;

/* Copied, strings and all. 0 in a number means the default. */
typedef struct session_config {
    const char *host;
    const char *behaves_like; /* host whose quirks to expect, where `host` is a tunnel to it; NULL = host */
    uint16_t port; /* by tls */
    enum transport_tls tls; /* none: loopback only */
    const char *tls_ca, *proxy; /* NULL = none */
    const char *user;
    enum session_auth auth;
    bool token;               /* the secret is an OAuth2 access token, not a password; for auth = AUTO */
    uint32_t connect_ms;      /* TCP, and again TLS with greeting: 30,000 */
    uint32_t timeout_ms;      /* silence of the server while it owes an answer: 60,000 */
    uint32_t idle_renew_ms;   /* an IDLE is renewed at the latest after this, less up to 20 %: 540,000, or what the
                                 server is known to bear (session/quirks.h) */
    session_idle_memory *idle_memory; /* borrowed, outlives the session; NULL = learn nothing */
    session_pace *pace;       /* of the account: borrowed, outlives the session; NULL = one of its own */
    const char *const *disabled; /* capability words not to be believed ("MOVE"), NULL-terminated; NULL = none */
    const char *const *enable;   /* ENABLE these where offered ("CONDSTORE", "QRESYNC"), NULL-terminated; NULL = none */
    bool allow_expunge;       /* session_expunge() (bare EXPUNGE) may be used */
    bool compress;            /* COMPRESS=DEFLATE where it is offered (some 60 KB of memory a connection) */
    const char *client_name, *client_version; /* sent with ID; NULL = no ID */
    const struct limits *limits;              /* NULL = LIMITS_DEFAULT */
} session_config;

/* ---- what happens without having been asked for ---- */

enum session_notice {
    SESSION_NOTICE_ALERT,           /* [ALERT]: to be shown to the user */
    SESSION_NOTICE_NOTIFY_OVERFLOW, /* NOTIFY is off, nothing more comes from it: look at every folder again */
    SESSION_NOTICE_THROTTLED,       /* [THROTTLED] and the like on an OK: the pace has become slower */
};

typedef struct session_info {
    const imap_capabilities *caps; /* after login, less what is disabled */
    const imap_capabilities *enabled;
    char delimiter;     /* of the personal namespace; '\0' = no hierarchy */
    const char *prefix; /* of the personal namespace, decoded: "" or "INBOX." */
    const char *server; /* "Dovecot" and the like from ID, escaped; NULL = did not say */
    const char *tls;    /* "TLSv1.3 ..."; NULL without TLS */
    const char *peer;   /* address */
    bool compressed;    /* COMPRESS=DEFLATE is on */
    const session_quirks *quirks; /* what this server does otherwise; never NULL */
} session_info;

/* Each may be NULL except secret (unless EXTERNAL) and closed. "The folder" is the selected one, or while a SELECT is
 * under way the one being selected; of the one before it nothing more is told. Data are told in the order they came,
 * whatever else is going on: before IDLE's "+", between DONE and its OK, inside answers to commands. */
typedef struct session_events {
    /* A password or token is needed: answer with session_give_secret(), now or later. refused: the server has just
     * refused the last one in a way that a fresh one may cure (OAuth2): get a new one or give up. Once at most. */
    void (*secret)(void *user, bool refused);
    /* Logged in; commands may be made from now on. */
    void (*ready)(void *user, const session_info *info);
    /* The folder holds `count` messages; grew: more than before. Only a hint to look above the cursor. Not told during
     * SELECT: its result says it. */
    void (*exists)(void *user, uint32_t count, bool grew);
    /* Messages went, by our own commands too. uids: which (VANISHED), or count 0 where the server told sequence
     * numbers or nonsense: something went, ask if it matters. earlier: VANISHED (EARLIER), the answer to QRESYNC. */
    void (*gone)(void *user, imap_ranges uids, bool earlier);
    /* A FETCH that nobody asked for: new flags, or with NOTIFY a new message's data. uid 0: of some message. */
    void (*fetch)(void *user, const imap_fetch *fetch);
    /* STATUS and LIST that nobody asked for (NOTIFY). name: decoded; NULL where it cannot be used as a name. */
    void (*status)(void *user, const char *name, const imap_status *status);
    void (*list)(void *user, const char *name, const imap_list *list);
    void (*notice)(void *user, enum session_notice notice, const char *text); /* text: the server's words, escaped */
    /* IDLE runs: the server has answered all that was asked, so the connection is proven alive. */
    void (*watching)(void *user);
    /* IDLE does not work here (not offered, NO, BAD, OK without "+", ended at once again and again): poll. Told once,
     * after session_watch(). */
    void (*poll_needed)(void *user);
    /* The end; nothing comes after it. err (the callee's): NULL after session_close(), else
     * ERROR_NETWORK  connect, reset, end of file, silence, BYE without a better class
     * ERROR_TLS      certificate, handshake, STARTTLS missing
     * ERROR_AUTH     credentials refused, no mechanism in common, "authenticated but not connected"
     * ERROR_BUSY     UNAVAILABLE, INUSE, LIMIT, throttled, too many connections; retry_after_ms where the server says
     * ERROR_PROTOCOL, ERROR_LIMIT  not IMAP, or too much of it
     * ERROR_CONFIG   what secret resolution and the CA file say
     * with the server's own words where it had any. */
    void (*closed)(void *user, error *err);
} session_events;

/* loop, pool, random, and log's strings outlive the session; events is copied. random is for jitter only. */
session *session_new(event_loop *loop, transport_pool *pool, random_source *random, const session_config *config,
                     const session_events *events, void *user, const log_ctx *log);
/* Starts connecting. ERROR_CONFIG as transport_open(); the session is then closed and `closed` is not called. */
error *session_open(session *s);
/* s or err, as secret_fn gives them; takes over both. An err ends the connection with it. Ignored when none is due. */
void session_give_secret(session *s, secret *value, error *err);

enum session_close_how {
    SESSION_CLOSE_LOGOUT, /* cancel what was not sent, await what was, LOGOUT, at most timeout_ms */
    SESSION_CLOSE_NOW,
};
/* `closed` follows from the loop with err NULL. Without effect on a session that is closed. */
void session_close(session *s, enum session_close_how how);
/* At once; `closed` is not called. Accepts NULL. */
void session_free(session *s);

/* ---- commands ---- */

typedef struct session_pair {
    uint32_t source, target; /* UIDs */
} session_pair;

typedef struct session_folder {
    const char *name;
    uint32_t uidvalidity;   /* 0 = the server keeps none: store nothing about this folder */
    uint32_t uidnext;       /* 0 = not told: ask with UID FETCH * or SEARCH. Updated when the server tells */
    uint32_t exists;        /* kept up to date */
    uint64_t highestmodseq; /* 0 = none */
    bool read_only;
    bool any_keyword;             /* PERMANENTFLAGS has \*, or was not sent at all */
    const char *const *permanent; /* PERMANENTFLAGS, else FLAGS; NULL-terminated */
} session_folder;

/* How a command ended. err is NULL only if the server said OK and nothing else is wrong; else it is borrowed, and:
 *     sent = false                  it certainly had no effect
 *     sent = true, answered = true  the server said NO or BAD (`condition`, `code`)
 *     sent = true, answered = false the answer never came: it may have been done or not
 * err of a NO or BAD: ERROR_NO_FOLDER (TRYCREATE, NONEXISTENT), ERROR_PERMISSION (NOPERM, CANNOT, READ-ONLY),
 * ERROR_QUOTA (OVERQUOTA), ERROR_LIMIT (TOOBIG), ERROR_BUSY (LIMIT, INUSE, UNAVAILABLE, throttling; retry_after_ms
 * where told), ERROR_AUTH (AUTHORIZATIONFAILED, EXPIRED, ...), ERROR_REFUSED (else; EXPUNGEISSUED with retry NOW: look
 * again; LIMIT of a STORE: ERROR_LIMIT, a flag too many). Only throttling has class account; the others have message,
 * or folder for a command on one. */
typedef struct session_result {
    error *err;
    bool sent, answered;
    enum imap_condition condition; /* OK, NO or BAD_COMMAND; with answered */
    const imap_code *code;         /* of the tagged answer; never NULL */
    const char *text;              /* the server's words, escaped; never NULL */
    const session_folder *folder;  /* SELECT that was OK */
    const imap_set *missing;       /* FETCH of a set: asked for and not (wholly) delivered: gone or not, never empty */
    const imap_set *found;         /* SEARCH, ascending; only such that were asked for */
    bool found_whole;              /* false: the answer was damaged or absent; do not rely on what is not in there */
    uint32_t found_count;          /* SEARCH with RETURN (COUNT), else the size of found */
    const imap_status *status;     /* STATUS of the mailbox asked for; NULL = the server sent none. Test its `have` */
    uint32_t target_validity;      /* COPY, MOVE, APPEND: UIDVALIDITY over there; 0 = not told */
    const session_pair *pairs;     /* COPY, MOVE: where each went, source ascending, each once; 0 = not told */
    size_t pair_count;
    uint32_t appended;             /* APPEND: the UID it got; 0 = not told */
    const imap_set *modified;      /* STORE with unchanged_since: these were refused ([MODIFIED]); NULL = none */
} session_result;

typedef void (*session_done_fn)(void *user, const session_result *result);
/* One piece of data that belongs to the command: a FETCH with a UID that was asked for and all sections that were asked
 * for; each LIST, or STATUS of LIST-STATUS; for session_run() also anything else its `data_kinds` name. */
typedef void (*session_data_fn)(void *user, const imap_response *response);

/* How a command is to be run. Copied. Everything may be 0 or NULL. */
typedef struct session_call {
    session_done_fn done;
    session_data_fn data;
    void *user;
    bool urgent;          /* before what waits and is not; never across a SELECT */
    bool ahead;           /* FETCH only: may leave before its SELECT is answered. Give uidvalidity too: if the folder
                             turns out to have another, nothing is delivered and it ends with ERROR_GONE */
    uint32_t timeout_ms;  /* silence, instead of the config's */
    uint32_t uidvalidity; /* nonzero: unless the selected folder has just this one, ERROR_GONE and not sent */
} session_call;

/*
 * Order and pipelining: commands leave in the order they were made, several at once (at most SESSION_IN_FLIGHT), all
 * that were made within one turn of the loop in one write. A SELECT waits for what is before it (but leaves together
 * with the DONE that ends an IDLE, and with NOTIFY) and holds up what is after it (but NOTIFY, and a FETCH sent
 * `ahead`); a command with synchronizing literals holds up what is after it; commands whose untagged answers could be
 * mistaken for each other's wait for each other. A command on UIDs belongs to the folder that was selected, or about to
 * be, when it was made: if that SELECT fails or another was selected since, it fails with ERROR_NO_FOLDER, not sent.
 *
 * Sets: cut them with imap_set_take() by session_batch() and the room that the rest of the command leaves. A command
 * whose first line is longer than the server is known to take (quirks.command_octets) fails with ERROR_LIMIT, not sent.
 *
 * MESSAGELIMIT (RFC 9738): where the server did only a part of a FETCH or SEARCH the session asks for the rest by
 * itself, before `done`. STORE, COPY, MOVE and EXPUNGE of more than it does at a time end with ERROR_LIMIT and retry
 * NOW, and session_batch() has become smaller; the code is MESSAGELIMIT, and with condition OK a part was done.
 */
#define SESSION_IN_FLIGHT 16

/* Messages that one command should name at most. */
size_t session_batch(const session *s);
/* Octets that a set may take beside so many others in the command's line. */
size_t session_set_room(const session *s, size_t others);
size_t session_fetch_room(const session *s, const imap_fetch_want *want); /* the same for a FETCH of that */

/* options may be NULL. A failed SELECT leaves no folder selected. */
void session_select(session *s, const char *folder, bool read_only, const imap_select_options *options,
                    const session_call *call);
/* Never CLOSE, which expunges. What the server does not offer (UNSELECT; MOVE, UIDPLUS, NOTIFY below) or the config
 * does not allow (session_expunge) fails with ERROR_PERMISSION and is not sent. */
void session_unselect(session *s, const session_call *call);
void session_fetch(session *s, const imap_set *uids, const imap_fetch_want *want, const session_call *call);
/* from:* ; UIDs below `from` are not delivered. `missing` is NULL. */
void session_fetch_from(session *s, uint32_t from, const imap_fetch_want *want, const session_call *call);
/* names are checked against PERMANENTFLAGS: ERROR_PERMISSION, not sent, if one could not be kept. */
void session_store(session *s, const imap_set *uids, const imap_store *store, const session_call *call);
void session_copy(session *s, const imap_set *uids, const char *folder, const session_call *call);
void session_move(session *s, const imap_set *uids, const char *folder, const session_call *call);
void session_expunge_uids(session *s, const imap_set *uids, const session_call *call);
void session_expunge(session *s, const session_call *call); /* bare EXPUNGE */
void session_search(session *s, const imap_search_want *want, const session_call *call);
void session_list(session *s, const char *reference, const char *pattern, const imap_list_options *options,
                  const session_call *call);
void session_status(session *s, const char *folder, uint32_t items, const session_call *call);
void session_create(session *s, const char *folder, uint32_t special_use, const session_call *call);
void session_subscribe(session *s, const char *folder, const session_call *call);
void session_append(session *s, const imap_append *append, const session_call *call);
void session_noop(session *s, const session_call *call);
/* Is there news in the selected folder? NOOP, or what shows it on this server: STATUS of it, or SELECT again (`done`
 * then gets result->folder, whose UIDVALIDITY may be another one). */
void session_poll(session *s, const session_call *call);
void session_notify(session *s, const imap_notify *notify, const session_call *call); /* NULL = NOTIFY NONE */

/* Any other command, made with session_writer(). Takes it over. data_kinds: bits 1 << enum imap_kind of untagged
 * responses that belong to it and go to `data` instead of the events. Not for commands that change the state of the
 * connection (SELECT, LOGIN, IDLE, LOGOUT, ...): those are refused. */
void session_run(session *s, imap_command *command, uint32_t data_kinds, const session_call *call);
imap_writer *session_writer(session *s);

/* ---- watching ---- */

/* While on: whenever a folder is selected, nothing is queued, and no hold is set, IDLE runs. Off by default. */
void session_watch(session *s, bool on);
/* More commands will follow shortly: no IDLE meanwhile. Counted. A hold does not keep commands back. */
void session_hold(session *s);
void session_release(session *s);
/* Is the other end still there? Asks now (ends IDLE with it); silence for within_ms closes with ERROR_NETWORK. For when
 * the machine has slept or a neighbour connection died. */
void session_probe(session *s, uint32_t within_ms);

/* ---- looking at it ---- */

enum session_state {
    SESSION_NEW,
    SESSION_CONNECTING, /* TCP, TLS, greeting: transport */
    SESSION_GREETED,    /* asking for capabilities */
    SESSION_SECRET,     /* waiting for session_give_secret() */
    SESSION_LOGIN,
    SESSION_SETUP,      /* CAPABILITY again, ID, ENABLE, NAMESPACE, COMPRESS */
    SESSION_READY,
    SESSION_LOGOUT,
    SESSION_CLOSED,
    SESSION_STATES
};

typedef struct session_stats {
    enum session_state state;
    bool idling;
    bool idle_supported;
    uint64_t bytes_in, bytes_out; /* on the wire, under TLS; from the greeting on */
    uint64_t plain_in, plain_out; /* the same before they were compressed: equal without COMPRESS */
    uint64_t responses, commands;
    uint64_t opened, ready, last_heard; /* clock's elapsed ms; 0 = not yet */
    uint64_t idle_since;                /* 0 = not idling */
    unsigned queued, in_flight;
} session_stats;

void session_stats_get(const session *s, session_stats *stats_out);
const char *session_state_name(const session *s); /* static: "connecting", "login", "ready", "busy", "idle", ... */
const session_info *session_info_get(const session *s);     /* NULL before ready */
const session_folder *session_selected(const session *s);   /* NULL if none; as of now */
/* A mailbox name of a LIST or STATUS: decoded, or (false) escaped for showing only; g_free either way. UTF-8 is taken
 * even where UTF8=ACCEPT is not enabled. */
bool session_decode_name(const session *s, imap_str wire, char delimiter, char **name_out);
/* Could this flag be kept in the selected folder? */
bool session_may_keep_flag(const session *s, const char *flag);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(session, session_free)

#endif
