/*
 * What the files of the session layer share.
 *
 *     session.c   life cycle, state, deadlines, the transport's callbacks
 *     queue.c     exchanges: made, sent (who may go along with whom), finished
 *     answer.c    responses to where they belong
 *     selected.c  what is known of the selected folder
 *     types.c     the kinds of command: what each claims of the answers, what it hands out
 *     command.c   the public functions that make them
 *     login.c     from the greeting to ready
 *     sasl.c      mechanisms: which, and what to say
 *     idle.c      watching
 *     refusal.c   the server's NO, BAD and BYE to error values
 *     quirks.c    what servers do otherwise: a table
 *     pace.c      how fast an account may go on
 *     limited.c   MESSAGELIMIT and PARTIAL: the rest of what a server did in part
 */
#ifndef SESSION_PRIV_H
#define SESSION_PRIV_H

#include "session/session.h"

#include "base/text.h"
#include "imap/mailbox.h"
#include "imap/parser.h"

#define SESSION_TIMEOUT_MS 60000
#define SESSION_IDLE_RENEW_MS 540000
/* A server that keeps talking but never answers is given this many times the silence allowed. */
#define SESSION_PATIENCE 30
#define SESSION_BYTES_IN_FLIGHT (16 * 1024)
#define SESSION_TEXT_MAX 500 /* of the server's words that are kept */

/* The selected folder, or the one being selected. */
typedef struct selected {
    session_folder pub;
    char *name;
    GStrv permanent;
    bool permanent_told;
    bool examined; /* EXAMINE, not SELECT */
} selected;

/* A command and the answers that belong to it. */
typedef struct exchange exchange;

/* A kind of command. Functions may be NULL. */
typedef struct exchange_type {
    const char *name;
    bool barrier;     /* nothing else is in flight with it */
    bool in_folder;   /* needs the selected folder */
    bool moves_on;    /* another folder, or none, is selected afterwards */
    bool unpaced;     /* leaves during a pause, too */
    bool limit_final; /* [LIMIT]: this message cannot have more, rather than the server now */
    uint32_t alone;   /* kinds of untagged data (1 << enum imap_kind) that could not be told from another's */
    /* An untagged response; true if it was for this one. */
    bool (*claim)(session *s, exchange *x, const imap_response *r);
    /* "+" when all segments are sent. */
    void (*challenge)(session *s, exchange *x, const imap_response *r);
    /* The tagged answer came: fill the result in; result->err is set already if it was not OK. */
    void (*finish)(session *s, exchange *x, const imap_response *r, session_result *result);
    /* OK was said, but to a part only: x has another command now, for the rest (true), or that was all. */
    bool (*go_on)(session *s, exchange *x, const imap_response *r);
} exchange_type;

/* One section that a FETCH asked for. */
typedef struct section_asked {
    enum imap_section_kind kind;
    bool binary, partial;
    char *part;
} section_asked;

struct exchange {
    const exchange_type *type;
    imap_command *command;
    session_call call;
    size_t sent;         /* segments */
    uint32_t generation; /* of the folder it is about */
    error *refused;      /* why it is not to be sent */
    bool done_sent;      /* IDLE: we have ended it */

    imap_set asked;      /* UIDs still to come (FETCH), or all that were asked */
    bool open_ended;     /* from:* */
    uint32_t items;      /* FETCH: what was asked. STATUS, LIST: enum imap_status_have. SEARCH: returns */
    section_asked *sections;
    size_t section_count;
    uint32_t data_kinds; /* session_run() */
    char *mailbox;

    imap_set got;        /* SEARCH found, STORE modified */
    bool got_any, got_damaged;
    uint32_t count;
    imap_status status;
    char *mailbox_id;
    GArray *pairs;       /* session_pair; NULL until needed */
    uint32_t target_validity, appended;
    selected *folder;    /* SELECT: the one being built */
    struct again *again; /* FETCH, SEARCH: what was wanted, where it may be done in parts; else NULL */
};

enum idle_state { IDLE_OFF, IDLE_ASKED, IDLE_ON };

struct session {
    event_loop *loop;
    transport_pool *pool;
    random_source *random;
    session_events events;
    void *user;
    log_ctx log;
    session_config config; /* strings in `strings`, lists below */
    GStringChunk *strings;
    GStrv disabled, enable;
    struct limits limits;

    enum session_state state;
    unsigned depth; /* callbacks of the loop under way; freed memory waits for 0 */
    bool freed, closing;
    error *failure; /* with closing; NULL = closed on request */
    transport *transport;
    imap_parser *parser;
    imap_writer writer;
    loop_timer *soon, *deadline;

    imap_capabilities offered, caps, enabled; /* caps: offered, less what is not to be believed */
    session_quirks quirks;
    session_pace *pace, own_pace;
    bool counted; /* in pace->open */
    session_info info;
    bool informed; /* info is valid */
    char *prefix, *server, *tls, *peer;
    char *greeting, *id_vendor, *id_version;

    const struct sasl_mechanism *mechanism;
    secret *secret; /* while the login runs */
    bool token_refused, challenge_answered;
    char *challenge_words; /* what an OAuth2 server says is wrong, escaped */
    error *login_refused;  /* while another token is tried */
    unsigned setup_left;
    bool delimiter_told;
    bool compress_asked;

    GQueue queue;  /* exchange: not sent */
    GQueue flight; /* exchange: sent, in order */
    GQueue failed; /* exchange: refused locally, to be told */
    uint64_t head_since; /* when the oldest in flight became the oldest */
    uint64_t quiet_before; /* ms of silence before the bytes that are being looked at */
    uint64_t probe_until; /* something must have come by then; with LOGOUT: the end. 0 = none */
    uint32_t probe_ms;    /* silence allowed until the probe is answered: what comes first may have been said before */

    selected *folder;
    uint32_t generation;  /* of `folder` */
    uint32_t generations; /* SELECTs and UNSELECTs made */

    bool watch, idle_supported, poll_told;
    unsigned holds;
    enum idle_state idle;
    exchange *idling; /* in flight, while idle is not IDLE_OFF */
    bool idle_due;   /* to be renewed */
    uint64_t idle_since, idle_renew_at;
    unsigned idle_short; /* IDLEs in a row that the server ended at once */

    session_stats stats;
};

/* session.c */
void session_enter(session *s);
void session_leave(session *s); /* may free s */
void session_go(session *s, enum session_state state);
/* Lose the connection; the owner hears of it from the loop. Takes err (NULL: on request). First call counts. */
void session_fail(session *s, error *err);
void session_soon(session *s); /* session_flush() and what is to be told, next turn */
void session_arm(session *s);  /* the deadline timer, after anything it depends on changed */
uint64_t session_now(const session *s);
/* A callback of the owner's, unless it has freed the session meanwhile or gave none. */
#define session_tell(s, event, ...)                                                                                    \
    do {                                                                                                               \
        if (!(s)->freed && (s)->events.event) {                                                                        \
            (s)->events.event((s)->user, ##__VA_ARGS__);                                                               \
        }                                                                                                              \
    } while (0)
static inline bool session_alive(const session *s) {
    return !s->freed && s->state != SESSION_CLOSED;
}

/* queue.c */
exchange *exchange_new(const exchange_type *type, const session_call *call);
void exchange_free(exchange *x);
/* err, if any, is taken and becomes its refusal. */
void exchange_queue(session *s, exchange *x, imap_command *command, error *err);
/* Before all that waits: for IDLE, while the pace holds the others up. */
void exchange_queue_first(session *s, exchange *x, imap_command *command);
void exchange_answered(session *s, exchange *x, const imap_response *r); /* tagged */
void exchange_continue(session *s, const imap_response *r);             /* "+" */
/* Everything that was made and is not finished: err is copied. */
void exchanges_fail(session *s, const error *err);
void exchanges_tell_refused(session *s);
void session_flush(session *s);
exchange *exchange_by_tag(session *s, imap_str tag);
/* How long the first in the queue has to wait for its turn in the account; 0 = not. */
uint64_t session_pace_holds(session *s);
/* Could an IDLE follow what is in flight? */
bool flight_lets_idle(const session *s);
void session_write(session *s, const char *bytes, size_t len);

/* answer.c */
void session_answer(session *s, const imap_response *r);

/* types.c */
extern const exchange_type exchange_plain, exchange_select, exchange_unselect, exchange_fetch, exchange_store,
    exchange_copy, exchange_move, exchange_expunge, exchange_search, exchange_list, exchange_status, exchange_append,
    exchange_notify, exchange_other, exchange_probe;

/* folder.c */
selected *selected_new(const char *name);
void selected_free(selected *f);
/* FLAGS, EXISTS, and the codes of untagged OKs; true if it was one of them. */
bool selected_learn(selected *f, const imap_response *r);

/* login.c */
void login_greeted(session *s, const transport_greeting *greeting);

/* sasl.c */
typedef struct sasl_mechanism {
    enum session_auth auth;
    const char *name; /* NULL: the LOGIN command */
    int offered_as;   /* enum imap_auth; -1: LOGIN */
    bool token, needs_secret;
    /* Raw initial response. NULL: the server speaks first. */
    GString *(*initial)(const session *s);
    /* Raw answer to a challenge. NULL: there is none to give. */
    GString *(*reply)(const session *s, const char *challenge, size_t len);
} sasl_mechanism;
/* ERROR_AUTH: none in common. */
error *sasl_choose(const session *s, const sasl_mechanism **mechanism_out);

/* idle.c */
extern const exchange_type exchange_idle;
bool idle_wanted(const session *s);      /* now, given an empty queue */
bool idle_must_end(session *s);
void idle_append_done(session *s, GString *out);
void idle_start(session *s); /* makes the IDLE, before all that waits */
void idle_tell_poll(session *s); /* the owner, if IDLE is wanted and cannot be */
void idle_hung_up(session *s, uint64_t silence_ms); /* the connection did not survive this silence: learn */

/* refusal.c */
/* NO or BAD to a command; login: to a login. Escaped words. */
error *refusal_error(const imap_response *r, bool login);
error *bye_error(const imap_response *r, bool login);
bool refusal_is_not_connected(const imap_response *r);
bool refusal_is_throttle(imap_str text);
char *refusal_words(imap_str text); /* escaped, cut; g_free */
/* Zimbra: the folder is selected read-only all of a sudden; another SELECT cures it. */
bool refusal_needs_select(const imap_response *r);
/* What err says of the account's pace, if anything. */
void refusal_sets_pace(session *s, const error *err);

/* limited.c */
void again_fetch(session *s, exchange *x, const imap_fetch_want *want);
void again_search(session *s, exchange *x, const imap_search_want *want);
void again_free(struct again *again);
bool again_fetch_goes_on(session *s, exchange *x, const imap_response *r);
bool again_search_goes_on(session *s, exchange *x, const imap_response *r);
/* The server said MESSAGELIMIT: remember it. */
void limit_learn(session *s, const imap_code *code);

#endif
