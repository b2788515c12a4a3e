/*
 * imap/capability.h - what a server says it can do (RFC 9051 section 7.2.2).
 *
 * A plain value: copy it freely. Unknown words are passed over. A list with IMAP4rev2 and without IMAP4rev1 implies
 * what RFC 9051 folded in (IDLE, MOVE, UIDPLUS, ...); QRESYNC implies CONDSTORE. The implied bits are set too.
 */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "imap/str.h"

/* Each name stands in one table in capability.c. */
enum imap_capability {
    IMAP_CAP_IMAP4REV1,
    IMAP_CAP_IMAP4REV2,
    IMAP_CAP_ACL,
    IMAP_CAP_APPENDLIMIT, /* its value: append_limit */
    IMAP_CAP_BINARY,
    IMAP_CAP_CHILDREN,
    IMAP_CAP_COMPRESS_DEFLATE,
    IMAP_CAP_CONDSTORE,
    IMAP_CAP_CREATE_SPECIAL_USE,
    IMAP_CAP_ENABLE,
    IMAP_CAP_ESEARCH,
    IMAP_CAP_ID,
    IMAP_CAP_IDLE,
    IMAP_CAP_INPROGRESS,
    IMAP_CAP_LIST_EXTENDED,
    IMAP_CAP_LIST_STATUS,
    IMAP_CAP_LITERAL_MINUS,
    IMAP_CAP_LITERAL_PLUS,
    IMAP_CAP_LOGINDISABLED,
    IMAP_CAP_MESSAGELIMIT, /* its value: message_limit */
    IMAP_CAP_METADATA,
    IMAP_CAP_MOVE,
    IMAP_CAP_MULTIAPPEND,
    IMAP_CAP_NAMESPACE,
    IMAP_CAP_NOTIFY,
    IMAP_CAP_OBJECTID,
    IMAP_CAP_PARTIAL,
    IMAP_CAP_PREVIEW,
    IMAP_CAP_QRESYNC,
    IMAP_CAP_QUOTA,
    IMAP_CAP_REPLACE,
    IMAP_CAP_SASL_IR,
    IMAP_CAP_SAVEDATE,
    IMAP_CAP_SEARCHRES,
    IMAP_CAP_SORT,
    IMAP_CAP_SPECIAL_USE,
    IMAP_CAP_STARTTLS,
    IMAP_CAP_STATUS_SIZE,
    IMAP_CAP_UIDONLY,
    IMAP_CAP_UIDPLUS,
    IMAP_CAP_UNAUTHENTICATE,
    IMAP_CAP_UNSELECT,
    IMAP_CAP_UTF8_ACCEPT,
    IMAP_CAP_UTF8_ONLY,
    IMAP_CAP_WITHIN,
    IMAP_CAP_X_GM_EXT_1,
    IMAP_CAP_XSTOP,            /* the first Proton Mail Bridge */
    IMAP_CAP_XYMHIGHESTMODSEQ, /* Yahoo */
    IMAP_CAPS /* at most 64 */
};

enum imap_auth {
    IMAP_AUTH_PLAIN,
    IMAP_AUTH_LOGIN,
    IMAP_AUTH_CRAM_MD5,
    IMAP_AUTH_XOAUTH2,
    IMAP_AUTH_OAUTHBEARER,
    IMAP_AUTH_EXTERNAL,
    IMAP_AUTH_SCRAM_SHA_1,
    IMAP_AUTH_SCRAM_SHA_256,
    IMAP_AUTH_SCRAM_SHA_1_PLUS,
    IMAP_AUTH_SCRAM_SHA_256_PLUS,
    IMAP_AUTH_GSSAPI,
    IMAP_AUTHS
};

typedef struct imap_capabilities {
    uint64_t bits;
    uint32_t auths;
    uint32_t message_limit; /* 0 = none told */
    uint64_t append_limit;  /* octets, 0 = none told */
} imap_capabilities;

static inline bool imap_can(const imap_capabilities *caps, enum imap_capability cap) {
    return caps->bits >> cap & 1;
}
static inline bool imap_can_auth(const imap_capabilities *caps, enum imap_auth auth) {
    return caps->auths >> auth & 1;
}

/* Replace caps by what a blank-separated list says; the implied ones come with it. */
void imap_capabilities_parse(imap_capabilities *caps, imap_str list);
/* Add one word ("IDLE", "AUTH=PLAIN", "APPENDLIMIT=1000"), without regard to case. False if unknown. */
bool imap_capabilities_add(imap_capabilities *caps, imap_str word);
/* Take one away, for servers whose word cannot be trusted; false if unknown. "AUTH=PLAIN" works too. */
bool imap_capabilities_remove(imap_capabilities *caps, imap_str word);
/* The words known, blank-separated, for logs; g_free. */
char *imap_capabilities_format(const imap_capabilities *caps);
const char *imap_capability_name(enum imap_capability cap); /* static */
const char *imap_auth_name(enum imap_auth auth);            /* static: "PLAIN" */

#endif
