/*
 * imap/command.h - typed commands in, bytes out (RFC 9051 section 6 and the extensions named in response.h).
 *
 * One encoder writes every argument, so a command is exactly one command on the wire or a refusal (ERROR_INVALID): a
 * string with NUL, CR or LF is refused; atoms are checked; anything else goes out as atom, quoted string or literal as
 * fits; sets are formatted from integers.
 *
 * A command is a list of segments. Send the first; each further one only after the server's "+". A tagged NO or BAD
 * instead of "+" means that the rest must not be sent. With LITERAL+ (any size) or LITERAL- (up to 4096 octets) there
 * is one segment.
 *
 * Mailbox names are given decoded (mailbox.h) and encoded here. Strings are copied. Every constructor returns NULL and
 * sets *command_out, or returns an error and leaves it alone.
 */
#ifndef IMAP_COMMAND_H
#define IMAP_COMMAND_H

#include "base/error.h"
#include "imap/capability.h"
#include "imap/response.h"
#include "imap/set.h"

#define IMAP_TAG_MAX 32

/* ---- tags ---- */

/* "k7f3qz1": a random prefix, then a counter. Who has not seen the connection cannot name a tag of it. */
typedef struct imap_tags {
    char prefix[16];
    uint32_t next;
} imap_tags;

/* random: 8 bytes from a secure source, fresh for each connection. */
void imap_tags_init(imap_tags *tags, const uint8_t random[8]);
/* Was this tag ever issued here? Its number (0, 1, 2 in the order of construction) if so. */
bool imap_tags_issued(const imap_tags *tags, imap_str tag, uint32_t *number_out);

/* ---- the connection's way of writing ---- */

typedef struct imap_writer {
    imap_tags tags;
    bool literal_plus, literal_minus;
    bool utf8;    /* UTF8=ACCEPT was enabled: names and quoted strings may be UTF-8 */
    bool sasl_ir; /* AUTHENTICATE takes an initial response */
} imap_writer;

void imap_writer_init(imap_writer *writer, const uint8_t random[8]); /* plain IMAP4rev1 until told more */
/* Takes over LITERAL+, LITERAL- and SASL-IR; utf8 stays as it is: set it after ENABLED says UTF8=ACCEPT. */
void imap_writer_learn(imap_writer *writer, const imap_capabilities *caps);

/* ---- a command ---- */

typedef struct imap_command imap_command;

void imap_command_free(imap_command *command);             /* wipes it: it may hold a password */
const char *imap_command_tag(const imap_command *command); /* "" for DONE and continuation lines */
size_t imap_command_segments(const imap_command *command); /* at least 1 */
const char *imap_command_segment(const imap_command *command, size_t i, size_t *len_out);
size_t imap_command_size(const imap_command *command); /* octets of all segments */
/* For logs: without tag and CRLF, control characters escaped, secrets as "***", long arguments and literals as "{n}".
 * Lives as long as the command. */
const char *imap_command_describe(const imap_command *command);
/* The first word or two, for metrics and logs: "UID MOVE". Static. */
const char *imap_command_verb(const imap_command *command);

/* ---- any state ---- */

error *imap_command_capability(imap_writer *w, imap_command **command_out);
error *imap_command_noop(imap_writer *w, imap_command **command_out);
error *imap_command_logout(imap_writer *w, imap_command **command_out);
error *imap_command_starttls(imap_writer *w, imap_command **command_out);
error *imap_command_compress(imap_writer *w, imap_command **command_out); /* DEFLATE (RFC 4978) */
/* pairs: name, value, name, value, ..., NULL; NULL for ID NIL. At most 30 pairs, names 30 octets, values 1024. */
error *imap_command_id(imap_writer *w, const char *const *pairs, imap_command **command_out);

/* ---- login ---- */

error *imap_command_login(imap_writer *w, const char *user, const char *password, imap_command **command_out);
/* mechanism: an atom. initial: raw bytes (BASE64 is done here), data NULL = none. With SASL-IR it is on the first line
 * (empty as "="), else in a second segment. */
error *imap_command_authenticate(imap_writer *w, const char *mechanism, imap_str initial, imap_command **command_out);
/* One answer to a challenge: BASE64 of raw bytes and CRLF, secret, without tag. Empty gives the empty line. */
error *imap_command_sasl_reply(imap_str raw, imap_command **command_out);
error *imap_command_sasl_cancel(imap_command **command_out); /* "*" */
/* words: NULL-terminated atoms. */
error *imap_command_enable(imap_writer *w, const char *const *words, imap_command **command_out);

/* ---- mailboxes ---- */

enum imap_list_return {
    IMAP_RETURN_SPECIAL_USE = 1 << 0,
    IMAP_RETURN_SUBSCRIBED = 1 << 1,
    IMAP_RETURN_CHILDREN = 1 << 2,
};

typedef struct imap_list_options {
    bool extended;           /* send RETURN at all: LIST-EXTENDED, SPECIAL-USE or LIST-STATUS is there */
    uint32_t returns;        /* enum imap_list_return */
    uint32_t status;         /* enum imap_status_have: RETURN (STATUS (...)), 0 = none */
    bool select_special_use; /* LIST (SPECIAL-USE) ... */
    bool select_subscribed;
    const char *const *names; /* these instead of `pattern` (LIST-EXTENDED); NULL-terminated, at least one, decoded, no
                                 wildcards in them */
} imap_list_options;

/* pattern: with IMAP's own wildcards * and %, else a decoded name. options may be NULL. */
error *imap_command_list(imap_writer *w, const char *reference, const char *pattern, const imap_list_options *options,
                         imap_command **command_out);
error *imap_command_namespace(imap_writer *w, imap_command **command_out);
error *imap_command_status(imap_writer *w, const char *mailbox, uint32_t items, imap_command **command_out);

typedef struct imap_select_options {
    bool condstore;
    uint32_t qresync_uidvalidity;  /* 0 = no QRESYNC */
    uint64_t qresync_modseq;       /* nonzero with QRESYNC */
    const imap_set *qresync_known; /* may be NULL */
} imap_select_options;

error *imap_command_select(imap_writer *w, const char *mailbox, const imap_select_options *options,
                           imap_command **command_out);
error *imap_command_examine(imap_writer *w, const char *mailbox, const imap_select_options *options,
                            imap_command **command_out);
error *imap_command_unselect(imap_writer *w, imap_command **command_out);
/* special_use: one of IMAP_ATTR_*'s special uses, or 0 (CREATE-SPECIAL-USE is needed otherwise). */
error *imap_command_create(imap_writer *w, const char *mailbox, uint32_t special_use, imap_command **command_out);
error *imap_command_delete(imap_writer *w, const char *mailbox, imap_command **command_out);
error *imap_command_subscribe(imap_writer *w, const char *mailbox, imap_command **command_out);

/* ---- messages ---- */

enum imap_want {
    IMAP_WANT_FLAGS = 1 << 0,
    IMAP_WANT_DATE = 1 << 1,
    IMAP_WANT_SIZE = 1 << 2,
    IMAP_WANT_MODSEQ = 1 << 3,
    IMAP_WANT_EMAIL_ID = 1 << 4,
    IMAP_WANT_THREAD_ID = 1 << 5,
    IMAP_WANT_GM_MSGID = 1 << 6,
    IMAP_WANT_GM_THRID = 1 << 7,
    IMAP_WANT_GM_LABELS = 1 << 8,
    IMAP_WANT_ENVELOPE = 1 << 9,
    IMAP_WANT_STRUCTURE = 1 << 10,
    IMAP_WANT_SAVE_DATE = 1 << 11,
};

typedef struct imap_section_want {
    enum imap_section_kind kind; /* not IMAP_SECTION_OTHER */
    const char *part;            /* "1.2"; NULL or "" for the message; MIME needs one */
    const char *const *fields;   /* with FIELDS and FIELDS_NOT: header names, NULL-terminated, at least one */
    bool binary;                 /* BINARY.PEEK[part], kind ALL only */
    uint64_t offset, length;     /* length 0 = whole */
} imap_section_want;

/* What a FETCH asks for. UID always comes along. Never sets \Seen: BODY.PEEK throughout. */
typedef struct imap_fetch_want {
    uint32_t items; /* enum imap_want */
    const imap_section_want *sections;
    size_t section_count;
    uint64_t changed_since; /* 0 = none (CONDSTORE) */
    bool vanished;          /* with changed_since (QRESYNC) */
} imap_fetch_want;

/* An empty set is refused, as for all commands below. */
error *imap_command_uid_fetch(imap_writer *w, const imap_set *uids, const imap_fetch_want *want,
                              imap_command **command_out);
/* from:* ; the server also sends the last message when all are below `from`: drop those. */
error *imap_command_uid_fetch_from(imap_writer *w, uint32_t from, const imap_fetch_want *want,
                                   imap_command **command_out);

enum imap_store_how { IMAP_STORE_ADD, IMAP_STORE_REMOVE, IMAP_STORE_SET };

typedef struct imap_store {
    enum imap_store_how how;
    bool silent;
    bool gm_labels;           /* X-GM-LABELS instead of FLAGS: names are labels, decoded, or \Important and the like */
    const char *const *names; /* NULL-terminated: "\\Seen" and keywords; at least one unless SET */
    uint64_t unchanged_since; /* 0 = none (CONDSTORE) */
} imap_store;

error *imap_command_uid_store(imap_writer *w, const imap_set *uids, const imap_store *store,
                              imap_command **command_out);
/* NULL if it may be sent as a flag: a known system flag except \Recent, or a keyword made of ATOM-CHAR, at most 255
 * octets. Else ERROR_INVALID. */
error *imap_flag_check(const char *name);
error *imap_command_uid_copy(imap_writer *w, const imap_set *uids, const char *mailbox, imap_command **command_out);
error *imap_command_uid_move(imap_writer *w, const imap_set *uids, const char *mailbox, imap_command **command_out);
error *imap_command_uid_expunge(imap_writer *w, const imap_set *uids, imap_command **command_out);
error *imap_command_expunge(imap_writer *w, imap_command **command_out);

enum imap_search_return {
    IMAP_SEARCH_MIN = 1 << 0,
    IMAP_SEARCH_MAX = 1 << 1,
    IMAP_SEARCH_COUNT = 1 << 2,
    IMAP_SEARCH_FOUND = 1 << 3, /* ALL */
};

/* Every criterion given must hold; none at all is ALL. */
typedef struct imap_search_want {
    uint32_t returns;     /* enum imap_search_return: RETURN (...), needs ESEARCH. 0 = plain SEARCH */
    uint32_t partial;     /* the lowest so many only: RETURN (PARTIAL 1:n) instead; needs PARTIAL (RFC 9394) */
    const imap_set *uids; /* NULL = all */
    uint32_t uid_from;    /* UID n and above, 0 = none */
    const char *header;   /* HEADER header value, both or none */
    const char *header_value;
    const char *gm_msgid; /* X-GM-MSGID, decimal digits */
    const char *email_id; /* EMAILID (RFC 8474) */
    const char *keyword;  /* KEYWORD */
    const char *unkeyword;
    uint32_t flags;        /* enum imap_flag: all of these set */
    uint32_t not_flags;    /* none of these */
    int64_t since, before; /* SINCE and BEFORE the day of that second (UTC), 0 = none */
    uint64_t larger;       /* LARGER octets, 0 = none */
    uint64_t modseq;       /* MODSEQ, 0 = none */
} imap_search_want;

error *imap_command_uid_search(imap_writer *w, const imap_search_want *want, imap_command **command_out);

typedef struct imap_append {
    const char *mailbox;
    const char *const *flags; /* NULL-terminated or NULL */
    bool has_date;
    int64_t date;     /* seconds since 1970 */
    imap_str message; /* NUL in it is refused */
} imap_append;

error *imap_command_append(imap_writer *w, const imap_append *append, imap_command **command_out);

/* ---- waiting ---- */

error *imap_command_idle(imap_writer *w, imap_command **command_out);
error *imap_command_done(imap_command **command_out); /* ends IDLE; no tag of its own */

/* NOTIFY SET (RFC 5465). New and expunged messages always; MailboxName too where names is set. */
typedef struct imap_notify {
    bool status;                          /* ask for a STATUS of each mailbox now */
    bool selected;                        /* a group for the selected mailbox */
    bool delayed;                         /* selected-delayed: EXPUNGE only where it is safe */
    const imap_fetch_want *selected_want; /* what comes with a new message in the selected one; NULL = nothing */
    bool flag_changes;                    /* FlagChange in the selected mailbox */
    const char *const *mailboxes;         /* decoded names, NULL-terminated, or NULL */
    bool personal;                        /* all of the personal namespace instead of `mailboxes` */
    bool mailbox_flag_changes;            /* FlagChange there, too */
    bool names;                           /* MailboxName in the personal namespace: created, renamed, deleted */
} imap_notify;

error *imap_command_notify(imap_writer *w, const imap_notify *notify, imap_command **command_out);
error *imap_command_notify_none(imap_writer *w, imap_command **command_out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(imap_command, imap_command_free)

#endif
