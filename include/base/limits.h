/*
 * base/limits.h - every bound in one place.
 *
 * Fixed bounds are constants; those that an administrator may have reason to change stand in `struct limits`, which the
 * config's `defaults { limits = {...} }` fills. Bytes and milliseconds unless the name says otherwise.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

/* IMAP, what a server may send (RFC 9051 sets no bound; these are ours). */
#define LIMIT_IMAP_LINE (64 * 1024)            /* one line without its literals */
#define LIMIT_IMAP_DATA_LINE (8 * 1024 * 1024) /* the same for untagged data: a SEARCH of a million UIDs */
#define LIMIT_IMAP_NESTING 256                 /* parentheses: LIMIT_MIME_DEPTH message/rfc822 with their envelopes */
#define LIMIT_IMAP_RESPONSE (128 * 1024 * 1024) /* one response with its literals */
#define LIMIT_IMAP_SET_RANGES 10000            /* ranges in one sequence-set of a server */
#define LIMIT_IMAP_MAILBOX_NAME 1000           /* octets, decoded */
#define LIMIT_IMAP_COMMAND_LINE 8000           /* octets of a command's first line we send; less for some servers */
#define LIMIT_IMAP_BATCH 100                   /* UIDs in one command; less for some servers (session/quirks.h) */
#define LIMIT_IMAP_SEARCH_PAGE 5000            /* UIDs in one answer to a SEARCH where PARTIAL is offered */

/* What an account has unless the config says otherwise; a server's own customs replace these, not what was stated. */
#define DEFAULT_CONNECTIONS 4
#define DEFAULT_IDLE_RENEW_MS (9 * 60000)
#define DEFAULT_POLL_MS 60000

/* Frames between keeper and evaluator. */
#define LIMIT_FRAME (160 * 1024 * 1024)
#define LIMIT_FRAME_NESTING 32
#define LIMIT_FRAME_LISTS (64 * 1024 * 1024) /* memory that the lists of one decoded frame may take */

/* MIME. */
#define LIMIT_MIME_PARTS 1000
#define LIMIT_MIME_DEPTH 50
#define LIMIT_MIME_ADDRESSES 5000     /* in one header field */
#define LIMIT_MIME_GROUP_DEPTH 4      /* GMime recurses on "g:g:g:" */
#define LIMIT_MIME_HEADERS 2000       /* header fields of one message that are looked at */

/* The journal. */
#define LIMIT_STATE_QUEUE 100000                    /* requests that wait for a transaction */
#define LIMIT_STATE_QUEUE_BYTES (256 * 1024 * 1024) /* what they hold */
#define LIMIT_STATE_PAGE 1000                       /* rows in one answer */
#define LIMIT_STATE_PAGE_BYTES (16 * 1024 * 1024)   /* webhook bodies in one answer */
#define LIMIT_STATE_BATCH 10000                     /* requests in one transaction */
#define LIMIT_KV_KEY 1024
#define LIMIT_KV_VALUE (1024 * 1024)

/* Config and rules. */
#define LIMIT_CONFIG_FILE (8 * 1024 * 1024)  /* one Lua file */
#define LIMIT_CONFIG_LIST (64 * 1024 * 1024) /* one file of :in_file */
#define LIMIT_CONFIG_FILES 1000              /* files included */
#define LIMIT_CONFIG_MISTAKES 1000           /* the rest is not listed */
#define LIMIT_RULES 100000
#define LIMIT_COND_DEPTH 100                 /* nesting of conditions */
#define LIMIT_REGEX_PATTERN (32 * 1024)      /* octets */

struct limits {
    uint64_t literal;          /* one literal from a server: 64 MiB */
    uint64_t message;          /* a whole message that a rule may load: 64 MiB */
    uint64_t header;           /* one header block: 256 KiB, cut there */
    uint64_t text;             /* decoded text or HTML a rule sees: 1 MiB, cut there */
    uint64_t attachment;       /* one attachment's content: 25 MiB */
    uint64_t evaluator_memory; /* RLIMIT_AS of an evaluator: 768 MiB */
    uint64_t lua_memory;       /* Lua heap a message may add: 64 MiB */
    uint64_t lua_instructions; /* a rule function, per message: 10 million */
    uint64_t deadline;         /* CPU a message may hold an evaluator between two frames: 2,000 ms */
    uint64_t rule_wait;        /* wall time of one rule function including its waits: 60,000 ms */
    uint64_t regex_deadline;   /* one match: 250 ms */
    uint32_t regex_match;      /* PCRE2 match limit: 1,000,000 */
    uint32_t regex_depth;      /* PCRE2 depth limit: 10,000 */
    uint32_t regex_heap_kb;    /* PCRE2 heap limit: 20,000 KiB */
    uint32_t in_flight;        /* messages of one account between fetch and done: 1,000 */
    uint32_t attempts;         /* hand-overs of one message before quarantine: 3 */
    uint64_t http_response;    /* body of an HTTP answer: 1 MiB */
};

#define LIMITS_DEFAULT                                                                                                 \
    {                                                                                                                  \
        .literal = 64u << 20, .message = 64u << 20, .header = 256u << 10, .text = 1u << 20, .attachment = 25u << 20,   \
        .evaluator_memory = 768u << 20, .lua_memory = 64u << 20, .lua_instructions = 10000000, .deadline = 2000,       \
        .rule_wait = 60000, .regex_deadline = 250, .regex_match = 1000000, .regex_depth = 10000,                       \
        .regex_heap_kb = 20000, .in_flight = 1000, .attempts = 3, .http_response = 1u << 20                            \
    }

#endif
