/*
 * wire/message.h - the conversation between the keeper and one evaluator, as typed data.
 *
 *   keeper                          evaluator
 *   LOAD {path}                ->
 *                              <-   CONFIG {everything, or the mistakes}
 *
 * and then with each process that is forked from that one (wire/nursery.h):
 *
 *                              <-   READY {}; the evaluator is locked down from here on
 *   SCOPE {account, folder}    ->                                           once for each watched folder
 *                              <-   SCOPE_REPLY {what to fetch at least}
 *   EVAL {job, message}        ->
 *                              <-   NEED {job, what}                        any number of times
 *   ANSWER {job, what}         ->
 *                              <-   PLAN {job, steps}   or   FAIL {job, error}
 *   CANCEL {job}               ->                                           no answer
 *                              <-   LOG {level, text}                       at any time
 *
 * Frames (wire/frame.h) are length-prefixed MessagePack maps with short string keys; unknown keys are ignored, so that
 * either side may be newer; a missing mandatory key or a wrong type makes the frame invalid, and the reader drops the
 * peer. Jobs of one evaluator run interleaved only while one waits for an ANSWER; replies carry the job, not an order.
 *
 * Ownership: a wire_message is built by the sender in an arena (wire_message_new, wire_str, ...) or decoded from a
 * frame; everything it points to belongs to it, and wire_message_free frees all of it. Bytes fields of a decoded
 * message are views into its frame.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/error.h"
#include "base/log.h"
#include "wire/config.h"

#define WIRE_VERSION 1

enum wire_type {
    WIRE_LOAD,
    WIRE_CONFIG,
    WIRE_SCOPE,
    WIRE_SCOPE_REPLY,
    WIRE_EVAL,
    WIRE_NEED,
    WIRE_ANSWER,
    WIRE_PLAN,
    WIRE_FAIL,
    WIRE_CANCEL,
    WIRE_LOG,
    WIRE_READY,
    WIRE_TYPES
};

typedef struct wire_bytes {
    const uint8_t *data; /* NULL = absent, which differs from empty */
    size_t len;
} wire_bytes;

typedef struct wire_load {
    uint32_t version;
    char *path;
    bool check_only; /* more mistakes are looked for, nothing will be evaluated */
} wire_load;

/* How much of a message is at hand or wanted; each level includes the ones before it. */
enum wire_level { WIRE_LEVEL_NOTHING, WIRE_LEVEL_FIELDS, WIRE_LEVEL_HEADER, WIRE_LEVEL_STRUCTURE, WIRE_LEVEL_RAW };

typedef struct wire_scope {
    uint64_t job;
    char *account;
    char *folder; /* decoded UTF-8 name, as the user would write it: "/" between levels, no prefix of a namespace */
    char *server_folder; /* as the server has it, "INBOX.Lists.One"; NULL = the same */
    wire_strings roles; /* special-use attributes of the folder: "\\Junk" */
    enum wire_event event;
} wire_scope;

typedef struct wire_scope_reply {
    uint64_t job;
    uint32_t rules;         /* how many rules apply; 0: messages here need no evaluation */
    bool own;               /* some rule wants messages that this daemon put there */
    enum wire_level level;  /* FIELDS or HEADER or STRUCTURE, what the cheapest first look needs */
    wire_strings fields;    /* header field names, lower case, for FIELDS; identity fields included */
} wire_scope_reply;

/* One body part of BODYSTRUCTURE, flattened in section order. Strings are raw as the server sent them. */
typedef struct wire_part {
    char *section; /* "1.2" */
    char *type, *subtype;
    wire_header *params;
    size_t n_params;
    char *encoding;
    char *id;
    uint64_t size; /* encoded octets */
    char *disposition; /* NULL = none */
    wire_header *disposition_params;
    size_t n_disposition_params;
} wire_part;

typedef struct wire_eval {
    uint64_t job;
    char *account, *folder, *server_folder; /* as in SCOPE */
    wire_strings roles;
    char delimiter; /* hierarchy delimiter of the account, 0 = none */
    uint32_t uid, uidvalidity;
    enum wire_event event;
    bool own;     /* put here by this daemon */
    bool trace;   /* PLAN carries why each rule did or did not match */
    bool offline; /* no NEED but for the message's own data: http and kv answer "offline" */
    bool dry_run; /* nothing with an effect outside (http, kv writes) */
    wire_strings flags;   /* FLAGS: after the change; GONE: as last known */
    wire_strings flags_added, flags_removed; /* FLAGS: what changed */
    char *event_id; /* FLAGS, GONE: the same at every attempt, of no other event; NULL with NEW */
    uint64_t size;        /* RFC822.SIZE */
    int64_t internaldate; /* seconds since the epoch, 0 = unknown */
    char *object_id;      /* EMAILID or X-GM-MSGID, or NULL */
    enum wire_level level;
    wire_strings fields; /* with FIELDS: the field names that `data` covers, lower case */
    wire_bytes data;     /* FIELDS, HEADER, STRUCTURE: a header block; RAW: the whole message */
    bool truncated;
    wire_part *parts; /* with STRUCTURE */
    size_t n_parts;
} wire_eval;

enum wire_need_kind {
    WIRE_NEED_FIELDS,    /* names */
    WIRE_NEED_HEADER,
    WIRE_NEED_STRUCTURE,
    WIRE_NEED_PARTS,     /* sections, each with its MIME header, up to `limit` octets each */
    WIRE_NEED_RAW,       /* up to `limit` octets */
    WIRE_NEED_HTTP,
    WIRE_NEED_KV,
};

enum wire_kv_op { WIRE_KV_GET, WIRE_KV_SET, WIRE_KV_DELETE, WIRE_KV_INCR };

typedef struct wire_need {
    uint64_t job;
    enum wire_need_kind kind;
    char *rule; /* that asks */
    wire_strings names; /* FIELDS: field names; PARTS: sections */
    uint64_t limit;
    struct {
        char *method, *url;
        wire_header *headers;
        size_t n_headers;
        wire_bytes body;
        uint64_t timeout_ms;
        bool allow_private;
    } http;
    struct {
        enum wire_kv_op op;
        char *space, *key;
        wire_bytes value;
        int64_t delta;
        uint64_t ttl_ms; /* 0 = for ever */
    } kv;
} wire_need;

typedef struct wire_part_data {
    char *section;
    wire_bytes header; /* MIME header of the part; absent for a single-part message's "1" */
    wire_bytes body;   /* absent: the server did not give it */
    bool truncated;
} wire_part_data;

typedef struct wire_answer {
    uint64_t job;
    enum wire_need_kind kind;
    char *failure; /* not NULL: it could not be had, in words; a rule's call returns nil and this text */
    wire_bytes data; /* FIELDS, HEADER, RAW; HTTP body; KV value */
    bool truncated;
    wire_part *parts; /* STRUCTURE; none and no failure: the server's structure is unusable, ask for RAW */
    size_t n_parts;
    wire_part_data *part_data; /* PARTS */
    size_t n_part_data;
    uint32_t http_status;
    wire_header *http_headers;
    size_t n_http_headers;
    bool kv_found;
    int64_t kv_number; /* INCR */
} wire_answer;

enum wire_verb {
    WIRE_VERB_MOVE,
    WIRE_VERB_COPY,
    WIRE_VERB_FLAG,
    WIRE_VERB_UNFLAG,
    WIRE_VERB_DELETE,  /* to \Trash where there is one */
    WIRE_VERB_JUNK,    /* to \Junk */
    WIRE_VERB_ARCHIVE, /* to \Archive or \All */
    WIRE_VERB_POST,
    WIRE_VERB_STOP, /* shown in plans; nothing to carry out */
    WIRE_VERB_LABEL,
    WIRE_VERB_APPEND,
    WIRE_VERBS
};

typedef struct wire_step {
    enum wire_verb verb;
    char *rule;
    bool dry_run; /* the rule is on trial: shown and logged, not done */
    char *folder; /* MOVE COPY APPEND: UTF-8, "/" between levels (the keeper puts the server's delimiter in) */
    bool create;  /* missing folder may be made */
    wire_strings flags; /* FLAG UNFLAG LABEL: system flags with backslash, keywords without */
    char *webhook;      /* POST */
    char *event_id;     /* POST: webhook-id, the same for the same message, rule and webhook */
    wire_bytes body;    /* POST: JSON byte for byte; APPEND: message */
} wire_step;

/* Why a rule did or did not match; filled only with trace. */
typedef struct wire_rule_trace {
    char *name;
    bool matched;
    bool skipped; /* another account or folder, or an earlier rule ended evaluation: said in why */
    wire_strings why;
} wire_rule_trace;

/* A rule that raised an error although the message went on (on_error = "skip"), or the reason to park it. */
typedef struct wire_rule_error {
    char *rule;
    wire_place place;
    char *text; /* one line */
    char *traceback;
} wire_rule_error;

typedef struct wire_plan {
    uint64_t job;
    char *identity;   /* mail's own hash, or NULL when the message has nothing to know it by */
    char *message_id; /* for logs, COPY's search and explain; NULL if none */
    char *subject;    /* only with trace */
    bool unparsable;
    wire_step *steps;
    size_t n_steps;
    wire_rule_error *errors; /* rules that failed and were skipped */
    size_t n_errors;
    wire_rule_trace *rules; /* only with trace */
    size_t n_rules;
} wire_plan;

/* The message is to be parked. */
typedef struct wire_fail {
    uint64_t job;
    wire_rule_error error;
    char *message_id;
    char *subject;          /* only with trace */
    wire_rule_trace *rules; /* only with trace: up to the one that failed */
    size_t n_rules;
} wire_fail;

typedef struct wire_cancel {
    uint64_t job;
} wire_cancel;

typedef struct wire_ready {
    uint32_t pid; /* the evaluator's own */
} wire_ready;

typedef struct wire_log {
    enum log_level level;
    uint64_t job; /* 0 = none */
    char *rule;
    wire_place place;
    char *text;
} wire_log;

typedef struct wire_message {
    enum wire_type type;
    union {
        wire_load load;
        wire_config config;
        wire_scope scope;
        wire_scope_reply scope_reply;
        wire_eval eval;
        wire_need need;
        wire_answer answer;
        wire_plan plan;
        wire_fail fail;
        wire_cancel cancel;
        wire_log log;
        wire_ready ready;
    } u;
    struct wire_arena *arena;
} wire_message;

/* A zeroed message of that type with an empty arena. */
wire_message *wire_message_new(enum wire_type type);
void wire_message_free(wire_message *message); /* accepts NULL */
const char *wire_type_name(enum wire_type type);
const char *wire_verb_name(enum wire_verb verb); /* "move", ... as in explain --json */

/* Arena: freed with the message. All accept NULL and give NULL. */
void *wire_alloc(wire_message *message, size_t size); /* zeroed, aligned for any type */
char *wire_str(wire_message *message, const char *s);
char *wire_strn(wire_message *message, const char *s, size_t len);
wire_bytes wire_copy(wire_message *message, const void *data, size_t len);
wire_strings wire_strv(wire_message *message, const char *const *v, size_t n);
void wire_strings_add(wire_message *message, wire_strings *list, const char *s);
#define wire_array(message, type, n) ((type *)wire_alloc((message), sizeof(type) * (n)))

#endif
