/*
 * BODYSTRUCTURE (RFC 9051 section 7.5.2) as a flat list.
 *
 * Servers leave fields out, send NIL for what has none, and multiparts without parts (Gmail, Exchange, QQ). What can be
 * told apart by looking ahead is taken; anything else makes the whole structure unusable. There is no backtracking.
 */
#include "lexer_priv.h"

#include "base/limits.h"

typedef struct structuring {
    lexer *lex;
    vec parts;
} structuring;

static bool parse_body(structuring *s, int parent, unsigned depth, imap_str section);

static imap_part *part_at(structuring *s, int index) {
    return (imap_part *)s->parts.items + index;
}

/* "1.2" + 3 -> "1.2.3". */
static imap_str child_section(structuring *s, imap_str parent, unsigned number) {
    char digits[16];
    size_t n = (size_t)g_snprintf(digits, sizeof digits, "%s%u", parent.len ? "." : "", number);
    char *out = imap_arena_alloc(s->lex->arena, parent.len + n);

    if (parent.len) {
        memcpy(out, parent.data, parent.len);
    }
    memcpy(out + parent.len, digits, n);
    return (imap_str){out, parent.len + n};
}

/* ---- fields ---- */

/* A string or NIL, if that is what comes next; anything else is stepped over and counts as NIL. */
static bool take_nstring(lexer *lex, imap_str *out) {
    *out = (imap_str){NULL, 0};
    if (!lex_more(lex) || lex_nil(lex)) {
        return true;
    }
    return lex_is_string(lex) ? lex_string(lex, out) : lex_skip(lex);
}

/* NIL or a list of names and values. */
static bool take_params(lexer *lex, imap_params *out) {
    vec all = {0};

    if (!lex_more(lex) || lex_nil(lex)) {
        return true;
    }
    if (!lex_take(lex, '(')) {
        return lex_skip(lex);
    }
    while (lex_more(lex)) {
        imap_param *param = vec_add(lex, &all, sizeof *param, LIMIT_MIME_HEADERS);
        if (!param || !take_nstring(lex, &param->name) || !take_nstring(lex, &param->value)) {
            return false;
        }
    }
    *out = (imap_params){all.items, all.count};
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

/* NIL, ("attachment" (params)), or, from Exchange, a bare string. */
static bool take_disposition(lexer *lex, imap_part *part) {
    if (!lex_more(lex) || lex_nil(lex)) {
        return true;
    }
    if (lex_is_string(lex)) {
        return lex_string(lex, &part->disposition);
    }
    if (!lex_take(lex, '(')) {
        return lex_skip(lex);
    }
    if (!take_nstring(lex, &part->disposition) || !take_params(lex, &part->disposition_params)) {
        return false;
    }
    lex_blanks(lex);
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

/* Language, location and whatever else, up to the end of the body. */
static bool skip_to_close(lexer *lex) {
    while (lex_more(lex)) {
        if (!lex_skip(lex)) {
            return false;
        }
    }
    return lex_take(lex, ')') || lex_fail(lex, "body not closed");
}

/* ---- multipart ---- */

static bool finish_multipart(structuring *s, int self) {
    imap_part *part = part_at(s, self);

    part->multipart = true;
    part->type = (imap_str){"multipart", 9};
    return take_params(s->lex, &part->params) && take_disposition(s->lex, part) && skip_to_close(s->lex);
}

static bool parse_multipart(structuring *s, int self, unsigned depth, imap_str section) {
    imap_str subtype;
    unsigned number = 0;

    while (lex_more(s->lex) && lex_is(s->lex, '(')) {
        if (!parse_body(s, self, depth + 1, child_section(s, section, ++number))) {
            return false;
        }
    }
    if (!take_nstring(s->lex, &subtype)) {
        return false;
    }
    part_at(s, self)->subtype = subtype;
    return finish_multipart(s, self);
}

/* ---- single parts ---- */

static bool is_multipart_subtype(imap_str word) {
    static const char *const names[] = {"mixed",  "alternative", "related",  "report",    "signed",
                                        "digest", "encrypted",   "parallel", "form-data", "appledouble"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (imap_str_is(word, names[i])) {
            return true;
        }
    }
    return false;
}

/* What begins here, "(", is a body and not a disposition: ("text" "plain" ...) or (("text" ...; not ("inline" NIL). */
static bool body_here(const lexer *lex) {
    lexer ahead = *lex;
    imap_str ignored;

    if (!lex_take(&ahead, '(')) {
        return false;
    }
    if (lex_is(&ahead, '(')) {
        return true;
    }
    if (!lex_is_string(&ahead) || !lex_string(&ahead, &ignored)) {
        return false;
    }
    lex_blanks(&ahead);
    return lex_is_string(&ahead);
}

/* message/rfc822: envelope, body, lines. Where a server leaves them out, the part is like any other. */
static bool parse_embedded(structuring *s, int self, unsigned depth, imap_str section) {
    lexer *lex = s->lex, ahead;

    lex_blanks(lex);
    ahead = *lex;
    if (!lex_nil(&ahead) && !(lex_is(&ahead, '(') && lex_skip(&ahead))) {
        return true;
    }
    lex_blanks(&ahead);
    if (!body_here(&ahead)) {
        return true;
    }
    lex->at = ahead.at;
    part_at(s, self)->message = true;
    return parse_body(s, self, depth + 1, section);
}

static bool skip_number(lexer *lex) {
    lex_blanks(lex);
    return lex->at == lex->end || !g_ascii_isdigit(*lex->at) || lex_token(lex).len;
}

static bool take_size(lexer *lex, imap_part *part) {
    lex_blanks(lex);
    if (!lex_more(lex) || lex_is_string(lex) || lex_is(lex, '(')) {
        return true;
    }
    part->has_size = lex_number(lex, 0, INT64_MAX, &part->size);
    part->size = part->has_size ? part->size : 0;
    return true;
}

/* MD5 is a string or NIL, a disposition a list or NIL. */
static bool finish_single(structuring *s, int self) {
    imap_str md5;

    lex_blanks(s->lex);
    if (!lex_is(s->lex, '(') && !take_nstring(s->lex, &md5)) {
        return false;
    }
    return take_disposition(s->lex, part_at(s, self)) && skip_to_close(s->lex);
}

/* type and subtype were read. */
static bool parse_single(structuring *s, int self, unsigned depth, imap_str section) {
    lexer *lex = s->lex;
    imap_part *part = part_at(s, self);

    if (!take_params(lex, &part->params) || !take_nstring(lex, &part->id) || !take_nstring(lex, &part->description) ||
        !take_nstring(lex, &part->encoding) || !take_size(lex, part)) {
        return false;
    }
    if (imap_str_is(part->type, "message") &&
        (imap_str_is(part->subtype, "rfc822") || imap_str_is(part->subtype, "global")) &&
        !parse_embedded(s, self, depth, section)) {
        return false;
    }
    return skip_number(lex) && finish_single(s, self);
}

static bool parse_typed(structuring *s, int self, unsigned depth, imap_str section) {
    lexer *lex = s->lex;
    imap_part *part = part_at(s, self);

    if (!take_nstring(lex, &part->type)) {
        return false;
    }
    lex_blanks(lex);
    if (part->type.data && is_multipart_subtype(part->type) && !lex_is_string(lex)) {
        part->subtype = part->type; /* ("MIXED" ("boundary" ...) NIL): a multipart without parts */
        return finish_multipart(s, self);
    }
    if (!take_nstring(lex, &part->subtype)) {
        return false;
    }
    if (imap_str_is(part->type, "multipart") || (!part->type.data && is_multipart_subtype(part->subtype))) {
        return finish_multipart(s, self);
    }
    return parse_single(s, self, depth, section);
}

/* ---- the tree ---- */

/* section: the number of this part; for the body inside a message/rfc822, that of the message. */
static bool parse_body(structuring *s, int parent, unsigned depth, imap_str section) {
    imap_part *part;
    imap_str mine;
    int self = (int)s->parts.count;
    bool whole = parent < 0 || part_at(s, parent)->message;

    if (depth > LIMIT_MIME_DEPTH) {
        return lex_fail(s->lex, "parts are nested too deep");
    }
    if (s->parts.count >= LIMIT_MIME_PARTS) {
        return lex_fail(s->lex, "too many parts");
    }
    part = vec_add(s->lex, &s->parts, sizeof *part, LIMIT_MIME_PARTS);
    if (!part || !lex_take(s->lex, '(')) {
        return lex_fail(s->lex, "a body was expected");
    }
    part->parent = parent;
    part->depth = depth;
    part->section = section;
    lex_blanks(s->lex);
    if (lex_is(s->lex, '(')) {
        return parse_multipart(s, self, depth, section);
    }
    mine = whole ? child_section(s, section, 1) : section;
    if (!parse_typed(s, self, depth, mine)) {
        return false;
    }
    part = part_at(s, self);
    part->section = part->multipart ? section : mine;
    return true;
}

bool parse_structure(lexer *lex, imap_structure *out) {
    structuring s = {.lex = lex};

    if (!parse_body(&s, -1, 0, (imap_str){"", 0})) {
        *out = (imap_structure){.reason = lex->why ? lex->why : "malformed"};
        return false;
    }
    *out = (imap_structure){.usable = true, .parts = s.parts.items, .count = s.parts.count};
    return true;
}
