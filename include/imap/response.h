/*
 * imap/response.h - what a server can say, typed (RFC 9051 section 7; 3501, 4315, 4731, 5161, 5465, 5819, 6154, 6851,
 * 7162, 8474, 9394, 9586; Gmail's X-GM-*).
 *
 * Every view points into the parser that made the response and is valid until the next call of imap_parser_next() or
 * imap_parser_feed(). Whoever keeps something copies it.
 *
 * A number that is missing, malformed or out of its range (0 where the RFC wants nz-number, "9.3736e+06", "-1", 2^64)
 * is absent: its field is 0 and its `have` bit is not set. Absent is never a value.
 */
#ifndef IMAP_RESPONSE_H
#define IMAP_RESPONSE_H

#include "imap/capability.h"
#include "imap/set.h"
#include "imap/str.h"

enum imap_kind {
    IMAP_UNKNOWN,      /* untagged and not known or not understood (see `reason`): ignore it */
    IMAP_TAGGED,       /* tag, condition (OK, NO, BAD), code, text */
    IMAP_CONDITION,    /* untagged condition (OK, NO, BAD, PREAUTH, BYE), code, text */
    IMAP_CONTINUATION, /* "+": text */
    IMAP_CAPABILITY,   /* caps */
    IMAP_ENABLED,      /* caps */
    IMAP_FLAGS,        /* flags */
    IMAP_EXISTS,       /* number */
    IMAP_RECENT,       /* number */
    IMAP_EXPUNGE,      /* number: a sequence number */
    IMAP_VANISHED,     /* vanished */
    IMAP_FETCH,        /* fetch; UIDFETCH too, with fetch.seq 0 */
    IMAP_LIST,         /* list */
    IMAP_LSUB,         /* list */
    IMAP_STATUS,       /* status */
    IMAP_SEARCH,       /* search */
    IMAP_ESEARCH,      /* search */
    IMAP_ID,           /* pairs: at[2i] is a name, at[2i+1] its value (may be NIL) */
    IMAP_NAMESPACE,    /* namespaces */
    IMAP_QUOTA,        /* raw */
    IMAP_QUOTAROOT,    /* raw */
    IMAP_KINDS
};

enum imap_condition { IMAP_OK, IMAP_NO, IMAP_BAD_COMMAND, IMAP_PREAUTH, IMAP_BYE };

/* Response codes (RFC 9051 section 7.1, RFC 5530). Names stand in one table in code.c. */
enum imap_code_name {
    IMAP_CODE_NONE,
    IMAP_CODE_OTHER, /* see `word` */
    IMAP_CODE_ALERT,
    IMAP_CODE_ALREADYEXISTS,
    IMAP_CODE_APPENDUID, /* uids.validity, uids.target */
    IMAP_CODE_AUTHENTICATIONFAILED,
    IMAP_CODE_AUTHORIZATIONFAILED,
    IMAP_CODE_BADCHARSET,
    IMAP_CODE_BADEVENT,
    IMAP_CODE_CANNOT,
    IMAP_CODE_CAPABILITY, /* caps */
    IMAP_CODE_CLIENTBUG,
    IMAP_CODE_CLOSED,
    IMAP_CODE_COMPRESSIONACTIVE,
    IMAP_CODE_CONTACTADMIN,
    IMAP_CODE_COPYUID, /* uids.validity, .source, .target; use imap_copyuid_target() */
    IMAP_CODE_CORRUPTION,
    IMAP_CODE_EXPIRED,
    IMAP_CODE_EXPUNGEISSUED,
    IMAP_CODE_HASCHILDREN,
    IMAP_CODE_HIGHESTMODSEQ, /* number */
    IMAP_CODE_INPROGRESS,
    IMAP_CODE_INUSE,
    IMAP_CODE_LIMIT,
    IMAP_CODE_MAILBOXID,    /* argument, without parentheses */
    IMAP_CODE_MESSAGELIMIT, /* number; a UID may follow in `argument` */
    IMAP_CODE_MODIFIED,     /* set: UIDs or sequence numbers, as the command was */
    IMAP_CODE_NOMODSEQ,
    IMAP_CODE_NONEXISTENT,
    IMAP_CODE_NOPERM,
    IMAP_CODE_NOPRIVATE,
    IMAP_CODE_NOTIFICATIONOVERFLOW,
    IMAP_CODE_NOTSAVED,
    IMAP_CODE_OVERQUOTA,
    IMAP_CODE_PARSE,
    IMAP_CODE_PERMANENTFLAGS, /* flags; flags.any for \* */
    IMAP_CODE_PRIVACYREQUIRED,
    IMAP_CODE_READ_ONLY,
    IMAP_CODE_READ_WRITE,
    IMAP_CODE_REFERRAL,
    IMAP_CODE_SERVERBUG,
    IMAP_CODE_THROTTLED,
    IMAP_CODE_TOOBIG,
    IMAP_CODE_TRYCREATE,
    IMAP_CODE_UIDNEXT, /* number */
    IMAP_CODE_UIDNOTSTICKY,
    IMAP_CODE_UIDREQUIRED,
    IMAP_CODE_UIDVALIDITY, /* number */
    IMAP_CODE_UNAVAILABLE,
    IMAP_CODE_UNKNOWN_CTE,
    IMAP_CODE_UNSEEN, /* number: a sequence number */
    IMAP_CODE_USEATTR,
    IMAP_CODES
};

enum imap_flag {
    IMAP_FLAG_SEEN = 1 << 0,
    IMAP_FLAG_ANSWERED = 1 << 1,
    IMAP_FLAG_FLAGGED = 1 << 2,
    IMAP_FLAG_DELETED = 1 << 3,
    IMAP_FLAG_DRAFT = 1 << 4,
    IMAP_FLAG_RECENT = 1 << 5,
};

typedef struct imap_flags {
    uint32_t system; /* enum imap_flag */
    bool any;        /* \* was among them */
    imap_strs all;   /* as sent, system flags and keywords, \* left out */
} imap_flags;

typedef struct imap_code {
    enum imap_code_name name;
    bool valid;        /* its argument was understood; where it has none, true */
    imap_str word;     /* the name as sent */
    imap_str argument; /* what follows the name, raw; NIL if nothing */
    union {
        uint64_t number;
        imap_flags flags;
        imap_capabilities caps;
        imap_ranges set;
        struct {
            uint32_t validity;
            imap_ranges source, target; /* in the order sent */
        } uids;
    };
} imap_code;

/* ---- FETCH ---- */

enum imap_have {
    IMAP_HAVE_FLAGS = 1 << 0,
    IMAP_HAVE_DATE = 1 << 1,
    IMAP_HAVE_SIZE = 1 << 2,
    IMAP_HAVE_MODSEQ = 1 << 3,
    IMAP_HAVE_EMAIL_ID = 1 << 4,
    IMAP_HAVE_THREAD_ID = 1 << 5,
    IMAP_HAVE_GM_MSGID = 1 << 6,
    IMAP_HAVE_GM_THRID = 1 << 7,
    IMAP_HAVE_GM_LABELS = 1 << 8,
    IMAP_HAVE_ENVELOPE = 1 << 9,
    IMAP_HAVE_STRUCTURE = 1 << 10,
    IMAP_HAVE_SAVE_DATE = 1 << 11,
};

enum imap_section_kind {
    IMAP_SECTION_ALL, /* BODY[], BODY[1.2], RFC822 */
    IMAP_SECTION_HEADER,
    IMAP_SECTION_FIELDS,     /* HEADER.FIELDS (...) */
    IMAP_SECTION_FIELDS_NOT, /* HEADER.FIELDS.NOT (...) */
    IMAP_SECTION_TEXT,
    IMAP_SECTION_MIME,
    IMAP_SECTION_OTHER,
};

typedef struct imap_section {
    enum imap_section_kind kind;
    bool binary;     /* BINARY[...]: transfer encoding taken off by the server */
    bool has_origin; /* ...<origin>: the answer to a partial fetch */
    bool is_size;    /* BINARY.SIZE[...]: `origin` holds the size, data is NIL */
    uint64_t origin; /* octets */
    imap_str part;   /* "1.2"; empty for the message itself */
    imap_str spec;   /* all between [ and ], as sent */
    imap_str data;   /* NIL is not the empty string */
} imap_section;

typedef struct imap_param {
    imap_str name, value; /* as sent: RFC 2231 and 2047 are still in there */
} imap_param;

typedef struct imap_params {
    const imap_param *at;
    size_t count;
} imap_params;

/* One node of a BODYSTRUCTURE; absent strings are NIL. */
typedef struct imap_part {
    imap_str section; /* what BODY[...] takes: "1", "2.1"; empty for a multipart at the top */
    int parent;       /* index of the part around it, -1 at the top */
    unsigned depth;   /* 0 at the top */
    bool multipart;   /* a container: nothing of its own to fetch */
    bool message;     /* message/rfc822 or /global: its inner part follows, with this one as parent */
    imap_str type, subtype, id, description, encoding, disposition;
    imap_params params, disposition_params;
    uint64_t size; /* encoded octets; 0 also if unknown */
    bool has_size;
} imap_part;

/* In the order of the message, containers before their children; at most LIMIT_MIME_PARTS and LIMIT_MIME_DEPTH. */
typedef struct imap_structure {
    bool usable;        /* false: the server sent something that cannot be understood, or too much. Fetch BODY[] */
    const char *reason; /* static; why not usable */
    const imap_part *parts;
    size_t count;
} imap_structure;

typedef struct imap_fetch {
    uint32_t seq;  /* 0 for UIDFETCH */
    uint32_t uid;  /* 0 = absent: then it must not be attributed to any message of ours */
    uint32_t have; /* enum imap_have */
    imap_flags flags;
    int64_t date;      /* INTERNALDATE, seconds since 1970 */
    int64_t save_date; /* SAVEDATE, the same */
    uint64_t size, modseq, gm_msgid, gm_thrid;
    imap_str email_id, thread_id;
    imap_strs gm_labels; /* modified UTF-7, or UTF-8 once enabled */
    imap_str envelope;   /* raw, with its parentheses */
    imap_structure structure;
    const imap_section *sections;
    size_t section_count;
} imap_fetch;

/* ---- mailbox data ---- */

enum imap_attr {
    IMAP_ATTR_NOSELECT = 1 << 0, /* also for \NonExistent */
    IMAP_ATTR_NONEXISTENT = 1 << 1,
    IMAP_ATTR_NOINFERIORS = 1 << 2,
    IMAP_ATTR_HASCHILDREN = 1 << 3,
    IMAP_ATTR_HASNOCHILDREN = 1 << 4,
    IMAP_ATTR_MARKED = 1 << 5,
    IMAP_ATTR_UNMARKED = 1 << 6,
    IMAP_ATTR_SUBSCRIBED = 1 << 7,
    IMAP_ATTR_REMOTE = 1 << 8,
    IMAP_ATTR_ALL = 1 << 9, /* special use (RFC 6154, 8457) from here on; Gmail's \AllMail too */
    IMAP_ATTR_ARCHIVE = 1 << 10,
    IMAP_ATTR_DRAFTS = 1 << 11,
    IMAP_ATTR_FLAGGED = 1 << 12,
    IMAP_ATTR_IMPORTANT = 1 << 13,
    IMAP_ATTR_JUNK = 1 << 14, /* also \Spam */
    IMAP_ATTR_SENT = 1 << 15,
    IMAP_ATTR_TRASH = 1 << 16,
    IMAP_ATTR_INBOX = 1 << 17, /* XLIST's \Inbox */
};
#define IMAP_ATTR_SPECIAL_USE 0x1fe00u

typedef struct imap_list {
    uint32_t attrs;
    char delimiter;    /* '\0' = no hierarchy (NIL) */
    imap_str name;     /* as sent: imap_mailbox_decode() it */
    imap_str old_name; /* NOTIFY's OLDNAME after a rename, else NIL */
} imap_list;

enum imap_status_have {
    IMAP_STATUS_MESSAGES = 1 << 0,
    IMAP_STATUS_UIDNEXT = 1 << 1,
    IMAP_STATUS_UIDVALIDITY = 1 << 2,
    IMAP_STATUS_UNSEEN = 1 << 3,
    IMAP_STATUS_RECENT = 1 << 4,
    IMAP_STATUS_HIGHESTMODSEQ = 1 << 5,
    IMAP_STATUS_SIZE = 1 << 6,
    IMAP_STATUS_DELETED = 1 << 7,
    IMAP_STATUS_MAILBOXID = 1 << 8,
    IMAP_STATUS_APPENDLIMIT = 1 << 9,
};

typedef struct imap_status {
    imap_str name; /* as sent */
    uint32_t have; /* enum imap_status_have */
    uint32_t messages, uidnext, uidvalidity, unseen, recent, deleted;
    uint64_t highestmodseq, size, append_limit;
    imap_str mailbox_id;
} imap_status;

typedef struct imap_vanished {
    bool earlier;
    bool valid; /* false: not a set, or more than LIMIT_IMAP_SET_RANGES ranges. Something went; ask again */
    imap_ranges uids;
} imap_vanished;

typedef struct imap_search {
    imap_str tag; /* ESEARCH's correlator, else NIL */
    bool uid;     /* ESEARCH says UID; a plain SEARCH does not say */
    bool valid;   /* false: some of the numbers were unusable or too many ranges; do not rely on absence */
    bool has_count;
    imap_ranges found; /* ALL or PARTIAL or SEARCH's numbers: in the order sent, which need not be ascending */
    uint32_t min, max; /* 0 = absent */
    uint32_t count;
    uint64_t modseq; /* 0 = absent */
} imap_search;

typedef struct imap_namespace {
    int kind; /* 0 personal, 1 other users', 2 shared */
    imap_str prefix;
    char delimiter;
} imap_namespace;

typedef struct imap_response {
    enum imap_kind kind;
    enum imap_condition condition; /* TAGGED, CONDITION */
    imap_str tag;
    imap_code code;
    imap_str text;      /* for people: not trusted, escape before showing */
    const char *reason; /* UNKNOWN: NULL for a name not known, else what was wrong (static) */
    imap_str raw;       /* QUOTA, QUOTAROOT: the line after "* ". UNKNOWN: its words before the first list or string, so
                           nothing of a message; not trusted, escape before showing */
    union {
        imap_capabilities caps;
        imap_flags flags;
        uint32_t number;
        imap_vanished vanished;
        imap_fetch fetch;
        imap_list list;
        imap_status status;
        imap_search search;
        imap_strs pairs;
        struct {
            const imap_namespace *at;
            size_t count;
        } namespaces;
    };
} imap_response;

const char *imap_kind_name(enum imap_kind kind);                /* static: "FETCH" */
const char *imap_condition_name(enum imap_condition condition); /* static: "OK" */
const char *imap_code_text(enum imap_code_name name);           /* static: "TRYCREATE"; "" for NONE */

/* Where COPYUID says that the message `source` went; 0 if it does not say, or if the two sets do not fit each other
 * (unequal length, a descending range, absent): the copy happened all the same, only the mapping is unknown. */
uint32_t imap_copyuid_target(const imap_code *code, uint32_t source);
/* The same question for all: is there a mapping at all? */
bool imap_copyuid_maps(const imap_code *code);

bool imap_flags_have(const imap_flags *flags, const char *name); /* "\\Seen" or a keyword, without regard to case */

/* The section that answers BODY[part + kind], whole (no origin) unless origin is asked. NULL if the server did not send
 * it. part: "" for the message. */
const imap_section *imap_fetch_section(const imap_fetch *fetch, const char *part, enum imap_section_kind kind);

#endif
