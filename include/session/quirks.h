/*
 * session/quirks.h - what servers of the field do otherwise than the RFCs, as data.
 *
 * One table (quirks.c) of rows. A row says by what a server is known: host, greeting, ID, capability words; and what
 * follows from it. All rows that fit add up; where two say different things the more careful one counts. Nothing else
 * in the program asks who the server is: code reads these fields. What any server may do wrong needs no row, it is
 * borne from all of them (docs/providers.md lists both kinds, with their tests).
 *
 * The user's word is worth more: `disable_extensions` takes away, and stated values of `connections`, `idle_renew` and
 * `poll` replace the table's advice, but for connections_most.
 */
#ifndef SESSION_QUIRKS_H
#define SESSION_QUIRKS_H

#include "imap/capability.h"

#include <stddef.h>

#define SESSION_QUIRKS_NAMES 160

/* How to ask for news where IDLE does not work. */
enum session_poll_how {
    SESSION_POLL_NOOP,
    SESSION_POLL_STATUS, /* of the selected folder: NOOP keeps nothing alive there */
    SESSION_POLL_SELECT, /* again: nothing else shows what is new */
};

typedef struct session_quirks {
    char names[SESSION_QUIRKS_NAMES]; /* of the rows that fit: "yahoo, aol"; "" = none */
    uint64_t disbelieve;              /* 1 << enum imap_capability: offered, but not to be used */
    uint32_t command_octets;          /* a command's first line at most, with its CRLF; never 0 */
    uint32_t batch;                   /* messages in one command at most; never 0 */
    uint32_t connections_plan;        /* an account should hold no more unless the user says so; 0 = not known */
    uint32_t connections_most;        /* the server has no more; 0 = not known */
    uint32_t idle_ms;                 /* an IDLE is renewed after this at the latest; 0 = not known */
    uint32_t poll_ms;                 /* without IDLE something is sent so often; 0 = not known */
    enum session_poll_how poll;
    uint32_t settle_ms;      /* with NOTIFY: a NOOP so long after each SELECT tells what was lost in it; never 0 */
    bool plain_list;         /* LIST without RETURN: with it nothing comes */
    bool silent_enable;      /* ENABLE is obeyed without an ENABLED */
    bool search_by_sequence; /* the numbers of SEARCH UID are read as sequence numbers: ask for all */
    bool check_identity;     /* UIDs may mean another message tomorrow: compare the Message-ID before what destroys.
                                Nor do sizes last */
} session_quirks;

/* What is known of a server so far. Each may be NULL; caps too, while they have not been told after the login. */
typedef struct session_server {
    const char *host;
    const char *greeting; /* after "* " */
    const char *id_name, *id_vendor, *id_version;
    const imap_capabilities *caps;
} session_server;

/* Of all rows that fit. With none: no quirk, LIMIT_IMAP_COMMAND_LINE, LIMIT_IMAP_BATCH, and 2 s to settle. */
void session_quirks_find(const session_server *server, session_quirks *quirks_out);
/* Connections an account may hold at a time: what the config says, where the user stated it or not. Never 0. */
uint32_t session_quirks_connections(const session_quirks *quirks, uint32_t configured, bool stated);

/* The rows one by one, for tests and documentation: name and where it was learned (static); NULL behind the last. */
const char *session_quirks_row(size_t i, const char **source_out);

#endif
