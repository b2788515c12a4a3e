/*
 * mail/view.h - one message as rules see it.
 *
 * A view starts empty and is filled piecemeal with what a server sent, in any order; every query answers from what is
 * there, or says what it needs. The caller fetches that, sets it, and asks again; it may always set more than was asked
 * (for a small message the whole of it saves round trips). Once the raw message is set nothing is ever needed.
 * The same message gives the same answers however it arrived (sizes of attachments excepted: see mail_attachment).
 *
 * Answers
 *   MAIL_OK      the value is in the out-parameter
 *   MAIL_ABSENT  the message does not have it (or has it unreadably: a broken Date); out-parameters are zeroed
 *   MAIL_NEED    *need_out says what to fetch
 * A class (is_list, ...) is MAIL_OK with its reasons when it holds and MAIL_ABSENT when it does not.
 *
 * Lifetimes. Every pointer that a query returns belongs to the view and stays valid until mail_view_free(), also when
 * more is set later; what a mail_need points to, only until the next query. Setters copy bytes and strings; a GBytes is
 * referenced. Text is always valid UTF-8 without NUL (NUL and broken bytes become U+FFFD) unless "raw" is in the name.
 *
 * Bounds. Nothing a message contains makes a query fail, recurse without bound or take more than linear time: header
 * blocks are cut at limits.header and LIMIT_MIME_HEADERS fields, address fields at LIMIT_MIME_ADDRESSES, text and HTML
 * at limits.text, contents at limits.attachment, structure at LIMIT_MIME_PARTS and LIMIT_MIME_DEPTH.
 * mail_view_problems() tells which of them cut something. A view serves one thread; it never logs, opens a file or
 * blocks.
 *
 * RFC 5322, 2045-2047, 2231, 6532 (syntax, read leniently), 3676 (flowed text), 3834 (automatic mail), 2919 and 2369
 * (lists), 6522 and 3464 (reports), 2183 (disposition), 3501 section 6.4.5 (section numbers).
 */
#ifndef MAIL_VIEW_H
#define MAIL_VIEW_H

#include "base/limits.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mail_view mail_view;

enum mail_status { MAIL_OK, MAIL_ABSENT, MAIL_NEED };

enum mail_need_kind {
    MAIL_NEED_NOTHING,
    MAIL_NEED_FIELDS,    /* BODY.PEEK[HEADER.FIELDS (...)]: mail_view_set_fields */
    MAIL_NEED_HEADER,    /* BODY.PEEK[HEADER]: mail_view_set_header */
    MAIL_NEED_STRUCTURE, /* BODYSTRUCTURE: mail_view_set_structure */
    MAIL_NEED_PARTS,     /* BODY.PEEK[section]<0.limit> each: mail_view_set_part */
    MAIL_NEED_RAW,       /* BODY.PEEK[]: mail_view_set_raw */
};

typedef struct mail_need {
    enum mail_need_kind kind;
    const char *const *names; /* NULL-terminated: field names (FIELDS) or sections (PARTS); else NULL */
    uint64_t limit;           /* PARTS and RAW: so many octets from the start suffice */
} mail_need;

/* What can be asked; the numbers are stable within one build only. */
enum mail_query {
    /* address lists: mail_view_addresses */
    MAIL_FROM,
    MAIL_TO,
    MAIL_CC,
    MAIL_BCC,
    MAIL_REPLY_TO,
    MAIL_SENDER,
    MAIL_RECIPIENT, /* To, Cc, Bcc, and what servers note on delivery: Delivered-To, X-Original-To, ... */
    /* single values */
    MAIL_SUBJECT,
    MAIL_DATE,
    MAIL_MESSAGE_ID,
    MAIL_IN_REPLY_TO,
    MAIL_REFERENCES,
    MAIL_LIST_ID,
    MAIL_THREAD_KEY,
    MAIL_IDENTITY,
    /* classes: mail_view_class */
    MAIL_IS_AUTO,
    MAIL_IS_BOUNCE,
    MAIL_IS_LIST,
    MAIL_IS_REPLY,
    MAIL_IS_ENCRYPTED,
    MAIL_IS_SIGNED,
    /* from here on header fields do not suffice */
    MAIL_HEADERS, /* all of them */
    MAIL_TEXT,
    MAIL_HTML,
    MAIL_REPLY_TEXT,
    MAIL_ATTACHMENTS,
    MAIL_STRUCTURE,
    MAIL_RAW,
    MAIL_QUERIES
};

/* The least a query will need from an empty view: FIELDS up to MAIL_IS_SIGNED, then HEADER, STRUCTURE or RAW. */
enum mail_need_kind mail_query_need(enum mail_query query);
/* The header fields that answer it, NULL-terminated and static; an empty list where fields do not suffice. A header
 * query by name needs just that name. Every fetch plan includes those of MAIL_IDENTITY. */
const char *const *mail_query_fields(enum mail_query query);

/* --- making and filling ------------------------------------------------------------------------------------------- */

/* limits is borrowed and outlives the view. */
mail_view *mail_view_new(const struct limits *limits);
void mail_view_free(mail_view *view); /* accepts NULL */

/* What is known of the message apart from its bytes. Copied whole; setting it again replaces it. */
typedef struct mail_meta {
    const char *account; /* NULL if unknown, likewise below */
    const char *folder;
    const char *const *flags; /* NULL-terminated; NULL = unknown */
    uint32_t uid;             /* 0 = unknown, likewise below */
    uint32_t uidvalidity;
    uint64_t size;        /* RFC822.SIZE */
    int64_t internaldate; /* seconds since 1970 */
} mail_meta;

void mail_view_set_meta(mail_view *view, const mail_meta *meta);
const mail_meta *mail_view_meta(const mail_view *view);

/* A header block that holds the fields called names (NULL-terminated) and covers them: a name that is not in the bytes
 * is absent from the message. Names already covered keep their values; fields that names does not list are ignored. */
void mail_view_set_fields(mail_view *view, const char *bytes, size_t len, const char *const *names);
/* The whole header block, with or without its closing empty line. */
void mail_view_set_header(mail_view *view, const char *bytes, size_t len);

typedef struct mail_param {
    const char *name;
    const char *value;
} mail_param;

/* One body part as BODYSTRUCTURE tells it (RFC 3501 section 7.4.2); strings as they were sent, undecoded. The list is
 * in document order, a multipart or message/rfc822 right before what it contains, depth 0 for the first. section is
 * what BODY[section] takes: "1" for a message that is one part; "" for the top multipart; a multipart directly inside
 * the message/rfc822 "2" is "2.TEXT" (or "2" again) and its children are "2.1", "2.2". */
typedef struct mail_part {
    const char *section;
    unsigned depth;
    const char *type; /* "multipart", "text", ... in any case */
    const char *subtype;
    const mail_param *params;
    size_t param_count;
    const char *encoding;    /* NULL = 7bit */
    const char *id;          /* Content-ID, NULL if none */
    const char *disposition; /* NULL if none */
    const mail_param *disposition_params;
    size_t disposition_param_count;
    uint64_t size; /* octets as transferred, encoded */
} mail_part;

void mail_view_set_structure(mail_view *view, const mail_part *parts, size_t count);

/* A part's body as transferred; NULL body = the server has none: the part reads as empty. mime_header (NULL if not
 * fetched) replaces what the structure said of type, encoding and disposition. truncated: more follows on the server.
 * A section that the structure does not have is ignored. Setting a part again replaces a truncated body. */
void mail_view_set_part(mail_view *view, const char *section, const char *mime_header, size_t mime_header_len,
                        GBytes *body, bool truncated);
/* The whole message. Everything set before except the meta is superseded. */
void mail_view_set_raw(mail_view *view, GBytes *raw, bool truncated);
bool mail_view_has_raw(const mail_view *view);

/* --- header ------------------------------------------------------------------------------------------------------- */

typedef struct mail_strings {
    const char *const *items; /* NULL-terminated as well */
    size_t count;
} mail_strings;

/* Values of every occurrence in order: unfolded, RFC 2047 and charset decoded (undeclared 8-bit: UTF-8, else
 * Windows-1252), white space at the ends removed. */
enum mail_status mail_view_header(mail_view *view, const char *name, mail_strings *values_out, mail_need *need_out);
/* Unfolded only, any bytes but NUL. */
enum mail_status mail_view_header_raw(mail_view *view, const char *name, mail_strings *values_out, mail_need *need_out);
enum mail_status mail_view_has_header(mail_view *view, const char *name, mail_need *need_out);

typedef struct mail_header_field {
    const char *name; /* as written */
    const char *value;
} mail_header_field;

/* All fields in order, decoded. */
enum mail_status mail_view_headers(mail_view *view, const mail_header_field **fields_out, size_t *count_out,
                                   mail_need *need_out);

typedef struct mail_address {
    const char *name;    /* display name, decoded; "" if none */
    const char *address; /* local@domain, the local part quoted if it must be; without domain just that; "" for <> */
    const char *local;   /* unquoted, case kept */
    const char *domain;  /* lower case, A-labels (RFC 5890); "" if none */
} mail_address;

/* MAIL_FROM .. MAIL_RECIPIENT. Groups are flattened, an empty group adds nobody; MAIL_RECIPIENT has each address once.
 * ABSENT if the field is missing or names nobody. */
enum mail_status mail_view_addresses(mail_view *view, enum mail_query which, const mail_address **list_out,
                                     size_t *count_out, mail_need *need_out);
/* A domain as mail_address.domain has it, for comparing: "Müller.DE" -> "xn--mller-kva.de". g_free. */
char *mail_domain_normalize(const char *domain);

enum mail_status mail_view_subject(mail_view *view, const char **value_out, mail_need *need_out);

typedef struct mail_date {
    int64_t epoch;  /* seconds since 1970, UTC */
    int32_t offset; /* seconds east of UTC, as written */
} mail_date;

enum mail_status mail_view_date(mail_view *view, mail_date *date_out, mail_need *need_out);

/* Without angle brackets, comments and inner white space. */
enum mail_status mail_view_message_id(mail_view *view, const char **value_out, mail_need *need_out);
enum mail_status mail_view_in_reply_to(mail_view *view, const char **value_out, mail_need *need_out);
enum mail_status mail_view_references(mail_view *view, mail_strings *values_out, mail_need *need_out);
/* RFC 2919: what stands in the brackets, lower case ("announce.example.org"); a value without brackets as it is. */
enum mail_status mail_view_list_id(mail_view *view, const char **value_out, mail_need *need_out);
/* The same for all mails of a conversation: the first Message-ID of References, else In-Reply-To, else Message-ID. */
enum mail_status mail_view_thread_key(mail_view *view, const char **value_out, mail_need *need_out);

#define MAIL_IDENTITY_SIZE 65
/*
 * The message's identity across UIDs, folders and UIDVALIDITY: SHA-256, 64 hex digits and NUL, over Message-ID, Date,
 * From, To and Subject (all occurrences' raw values, white space runs reduced to one space) and RFC822.SIZE.
 * Independent of what was fetched (save for headers above the limits). Needs the meta's size, or the raw message
 * untruncated; without either the size counts as 0. Two mails that differ in none of these are one.
 */
enum mail_status mail_view_identity(mail_view *view, char hex_out[MAIL_IDENTITY_SIZE], mail_need *need_out);

/*
 * MAIL_IS_AUTO .. MAIL_IS_SIGNED, from header fields alone. Reasons are the fields that tell, decoded and cut to 200
 * characters: "Auto-Submitted: auto-replied", "Return-Path: <>", "List-Id", "Precedence: bulk",
 * "multipart/report; report-type=delivery-status", "In-Reply-To", "Subject: Re:".
 *   is_auto       sent by a program, so nothing may answer it: RFC 3834, bounces, and the habits of the field
 *   is_bounce     a delivery report (RFC 3464 and its forerunners); not a read receipt, which is is_auto
 *   is_list       came through a mailing list or a bulk mailer
 *   is_reply      answers a message
 *   is_encrypted, is_signed    RFC 1847, 3156, 8551, by the top level's content type
 */
enum mail_status mail_view_class(mail_view *view, enum mail_query which, mail_strings *reasons_out,
                                 mail_need *need_out);

/* --- bodies ------------------------------------------------------------------------------------------------------- */

typedef struct mail_text {
    const char *text; /* lines end in LF */
    size_t len;
    bool truncated; /* cut at limits.text, or more is on the server */
    bool from_html; /* at least in part converted from HTML */
} mail_text;

/* The plain text: of each multipart/alternative the plain part, else HTML as text; several bodies one after the other;
 * attachments and enclosed messages are not part of it. Flowed text is joined. ABSENT if there is no text part. */
enum mail_status mail_view_text(mail_view *view, const mail_text **text_out, mail_need *need_out);
/* The HTML parts, undigested but decoded to UTF-8; a charset that the HTML itself names is only used when the part
 * names none. Never to be shown without a sanitizer. */
enum mail_status mail_view_html(mail_view *view, const mail_text **html_out, mail_need *need_out);
/* mail_view_text without quoted text, the line that introduces it, and the signature. Of a message that is only quote
 * or forward, the empty string. */
enum mail_status mail_view_reply_text(mail_view *view, const mail_text **text_out, mail_need *need_out);

typedef struct mail_attachment {
    const char *section;
    const char *filename;    /* without folders, control or bidi characters; "" if it has none */
    const char *type;        /* "application/pdf", lower case */
    const char *disposition; /* lower case; "" if none */
    const char *content_id;  /* without brackets; "" if none */
    uint64_t size;           /* of the decoded content */
    bool size_estimated;     /* computed from the encoded size: exact for base64 up to its line ends */
    bool is_inline;          /* disposition inline, or part of a multipart/related with a Content-ID */
} mail_attachment;

/* Every part that is neither body text nor a signature: files, inline pictures, enclosed messages (as one each).
 * Known without the parts themselves. ABSENT if there is none. Indices below are into this list. */
enum mail_status mail_view_attachments(mail_view *view, const mail_attachment **list_out, size_t *count_out,
                                       mail_need *need_out);
/* Decoded content; *content_out belongs to the view. Cut at limits.attachment, then *truncated_out (may be NULL). */
enum mail_status mail_view_attachment_content(mail_view *view, size_t index, GBytes **content_out, bool *truncated_out,
                                              mail_need *need_out);
/* SHA-256 of what mail_view_attachment_content() gives; ABSENT if that is truncated. */
enum mail_status mail_view_attachment_sha256(mail_view *view, size_t index, char hex_out[MAIL_IDENTITY_SIZE],
                                             mail_need *need_out);

/* All parts, strings in lower case except values; without params it is the shape that mail_view_set_structure takes. */
enum mail_status mail_view_parts(mail_view *view, const mail_part **parts_out, size_t *count_out, mail_need *need_out);
/* "multipart/mixed(multipart/alternative(text/plain,text/html),application/pdf)" */
enum mail_status mail_view_structure(mail_view *view, const char **summary_out, mail_need *need_out);
/* The bytes that mail_view_set_raw() gave. */
enum mail_status mail_view_raw(mail_view *view, GBytes **raw_out, bool *truncated_out, mail_need *need_out);

/* --- what was wrong with it --------------------------------------------------------------------------------------- */

enum mail_problem {
    MAIL_UNPARSABLE = 1 << 0,   /* no header field at all, or a header line that is none; what could be read is there */
    MAIL_TOO_COMPLEX = 1 << 1,  /* more parts or deeper than the limits: only the first of them are seen */
    MAIL_HEADER_CUT = 1 << 2,   /* header block, fields or addresses above the limits */
    MAIL_TEXT_CUT = 1 << 3,     /* text above limits.text */
    MAIL_RAW_TRUNCATED = 1 << 4, /* the raw message is not the whole one */
    MAIL_BAD_CHARSET = 1 << 5,  /* a charset unknown or not kept to; read as Windows-1252 or with U+FFFD */
};

/* Bits of what the queries so far have come across. */
unsigned mail_view_problems(const mail_view *view);

#endif
