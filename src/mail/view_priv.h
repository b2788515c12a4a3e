/* What the files of the mail layer share: the view's insides, header fields, the part tree. */
#ifndef MAIL_VIEW_PRIV_H
#define MAIL_VIEW_PRIV_H

#include "mail/view.h"

#include "arena_priv.h"

/* --- header fields (header.c) ------------------------------------------------------------------------------------- */

struct field {
    const char *name; /* not terminated, likewise raw */
    size_t name_len;
    const char *raw; /* behind the colon, still folded */
    size_t raw_len;
    const char *unfolded; /* NULL until asked for, likewise decoded */
    const char *decoded;
};

const char *line_next(const char *p, const char *end); /* behind the line's LF */
bool line_is_blank(const char *p, const char *end);

struct field_iter {
    const char *p, *end;
    bool first;
    bool junk; /* set once a line was passed over that is no field */
};

void field_iter_init(struct field_iter *it, const char *bytes, size_t len);
bool field_iter_next(struct field_iter *it, struct field *field_out);
/* Where the body starts: behind the first empty line; len if there is none. */
size_t header_end(const char *bytes, size_t len);
bool field_is(const struct field *field, const char *name);
const char *field_unfolded(mail_view *view, struct field *field);
const char *field_decoded(mail_view *view, struct field *field);

/* The next field called name from *at on (start with 0), or NULL. */
struct field *view_field(mail_view *view, const char *name, size_t *at);
/* The first one's values, or NULL. */
const char *view_field_unfolded(mail_view *view, const char *name);
const char *view_field_decoded(mail_view *view, const char *name);
/* True if all names are covered; else fills need_out with those that are not. */
bool view_covers(mail_view *view, const char *const *names, mail_need *need_out);

/* --- parts (tree.c, split.c) -------------------------------------------------------------------------------------- */

struct part {
    mail_part pub; /* type, subtype, encoding, disposition (lower case) and id are never NULL, but "" */
    int parent;    /* -1 for the first */
    const char *body;
    size_t body_len;
    bool has_body;
    bool truncated;
};

struct tree {
    struct part *parts; /* document order */
    size_t count;
    bool from_raw;
};

bool part_is(const struct part *part, const char *type, const char *subtype); /* NULL = any */
/* The index behind the last part inside parts[i]. */
size_t tree_skip(const struct tree *tree, size_t i);

/* Splits a message into parts that point into body; fills view->tree. */
void split_message(mail_view *view, const char *body, size_t len);
/* Reads type, encoding, disposition and id out of a MIME header into *part. digest: the default type inside one. */
void part_read_header(mail_view *view, struct part *part, const char *bytes, size_t len, bool digest);
/* Makes sure the tree is there, from raw, or asks for the structure. */
bool view_tree(mail_view *view, mail_need *need_out);

/* --- parameters (params.c) ---------------------------------------------------------------------------------------- */

struct params {
    char *head; /* what stands before the first semicolon, lower case, without comments and white space */
    mail_param *list;
    size_t count;
};

/* "type/subtype; a=b; c*0=d" (unfolded). At most 256 parameters; bytes as they are. */
void params_parse(mail_arena *a, const char *value, struct params *out);
/* The value of name after RFC 2231 (charset, continuation) and, as many wrongly do, RFC 2047; NULL if absent. */
const char *params_get(mail_arena *a, const mail_param *list, size_t count, const char *name);

/* --- addresses (address.c) ---------------------------------------------------------------------------------------- */

/* Appends mail_address elements to list. False if there were more than LIMIT_MIME_ADDRESSES in it. */
bool addresses_parse(mail_arena *a, const char *value, GArray *list);

/* --- transfer encodings (encoding.c) ------------------------------------------------------------------------------ */

/* Appends the decoded bytes, stopping soon after limit. True if all went in. */
bool encoding_decode(const char *encoding, const char *in, size_t len, uint64_t limit, GByteArray *out);
/* An upper bound of the encoded octets that hold limit decoded ones. */
uint64_t encoding_encoded_size(const char *encoding, uint64_t limit);
/* The decoded size of a whole body, exact for sane base64 and quoted-printable. */
uint64_t encoding_decoded_size(const char *encoding, const char *in, size_t len);

/* --- bodies (body.c, flowed.c) ------------------------------------------------------------------------------------ */

/* Part of what mail_view_text() gives (unless in an enclosed message). */
bool part_is_body_text(const struct part *part);
/* RFC 3676: appends text (LF) with its flowed lines joined. */
void flowed_join(GString *out, const char *text, size_t len, bool delsp);

/* --- the view ----------------------------------------------------------------------------------------------------- */

struct address_cache {
    const mail_address *list; /* NULL = not asked yet */
    size_t count;
};

struct class_cache {
    bool done;
    mail_strings reasons;
};

struct content {
    GBytes *bytes; /* NULL = not decoded; belongs to view->kept */
    bool truncated;
};

struct mail_view {
    const struct limits *limits;
    mail_arena memory;
    mail_meta meta;
    unsigned problems;

    GArray *fields;     /* struct field */
    GPtrArray *covered; /* char *, in memory */
    bool header_whole;
    GHashTable *values; /* "name" or "name\1raw" -> mail_strings *, in memory; made on first use */
    const mail_header_field *all_fields;

    GBytes *raw;
    bool raw_truncated;
    bool has_tree;
    struct tree tree;
    const mail_part *public_parts;

    struct address_cache addresses[MAIL_RECIPIENT + 1];
    struct class_cache classes[MAIL_IS_SIGNED - MAIL_IS_AUTO + 1];
    const mail_text *text, *html, *reply;
    const mail_attachment *attachments;
    size_t *attachment_parts; /* index in tree.parts of each */
    size_t attachment_count;
    struct content *contents; /* by attachment */
    GPtrArray *kept;          /* every GBytes that a query may have handed out */
    GPtrArray *need_names;
};

/* Forgets what was computed from bodies or from the header, after more of it has come. */
void view_forget_header(mail_view *view);
void view_forget_bodies(mail_view *view);
/* Likewise after the body of tree.parts[part]; the list of attachments stays as it was told. */
void view_forget_part(mail_view *view, size_t part);
enum mail_status view_need(mail_need *need_out, enum mail_need_kind kind);

#endif
