#include "imap/parser.h"

#include "base/text.h"

#include "frame_priv.h"
#include "lexer_priv.h"

struct imap_parser {
    frame frame;
    imap_arena arena;
    uint64_t total;
    error *failed; /* set once: the stream is lost */
    imap_response response;
};

imap_parser *imap_parser_new(const struct limits *limits) {
    imap_parser *parser = g_new0(imap_parser, 1);

    frame_init(&parser->frame, limits->literal);
    return parser;
}

void imap_parser_free(imap_parser *parser) {
    if (!parser) {
        return;
    }
    frame_release(&parser->frame);
    imap_arena_release(&parser->arena);
    error_free(parser->failed);
    g_free(parser);
}

void imap_parser_feed(imap_parser *parser, const char *bytes, size_t len) {
    if (!parser->failed) {
        parser->total += len;
        frame_feed(&parser->frame, bytes, len);
    }
}

size_t imap_parser_pending(const imap_parser *parser) {
    return frame_pending(&parser->frame);
}

const char *imap_parser_take(imap_parser *parser, size_t *len_out) {
    return frame_take(&parser->frame, len_out);
}

uint64_t imap_parser_total(const imap_parser *parser) {
    return parser->total;
}

/* ---- untagged ---- */

static bool parse_capabilities(lexer *lex, imap_response *out) {
    imap_capabilities_parse(&out->caps, lex_rest(lex));
    return true;
}

static bool parse_flags(lexer *lex, imap_response *out) {
    return lex_flags(lex, &out->flags);
}

static bool parse_raw(lexer *lex, imap_response *out) {
    (void)lex, (void)out;
    return true;
}

/* Words that come first on an untagged line. IMAP_CONDITION's `condition` is the last column. */
static const struct word {
    const char *name;
    enum imap_kind kind;
    bool (*parse)(lexer *lex, imap_response *out);
    enum imap_condition condition;
} words[] = {
    {"OK", IMAP_CONDITION, parse_condition, IMAP_OK},
    {"NO", IMAP_CONDITION, parse_condition, IMAP_NO},
    {"BAD", IMAP_CONDITION, parse_condition, IMAP_BAD_COMMAND},
    {"BYE", IMAP_CONDITION, parse_condition, IMAP_BYE},
    {"PREAUTH", IMAP_CONDITION, parse_condition, IMAP_PREAUTH},
    {"STATUS", IMAP_STATUS, parse_status, 0},
    {"LIST", IMAP_LIST, parse_list, 0},
    {"SEARCH", IMAP_SEARCH, parse_search, 0},
    {"ESEARCH", IMAP_ESEARCH, parse_esearch, 0},
    {"VANISHED", IMAP_VANISHED, parse_vanished, 0},
    {"FLAGS", IMAP_FLAGS, parse_flags, 0},
    {"CAPABILITY", IMAP_CAPABILITY, parse_capabilities, 0},
    {"ENABLED", IMAP_ENABLED, parse_capabilities, 0},
    {"ID", IMAP_ID, parse_id, 0},
    {"NAMESPACE", IMAP_NAMESPACE, parse_namespace, 0},
    {"LSUB", IMAP_LSUB, parse_list, 0},
    {"XLIST", IMAP_LIST, parse_list, 0},
    {"QUOTA", IMAP_QUOTA, parse_raw, 0},
    {"QUOTAROOT", IMAP_QUOTAROOT, parse_raw, 0},
};

static const struct {
    const char *name;
    enum imap_kind kind;
} numbered[] = {
    {"FETCH", IMAP_FETCH},     {"UIDFETCH", IMAP_FETCH}, {"EXISTS", IMAP_EXISTS},
    {"EXPUNGE", IMAP_EXPUNGE}, {"RECENT", IMAP_RECENT},
};

/* "* 12 WORD ...". A number that is none makes the response unknown, but for FETCH, whose UID stands elsewhere. */
static bool parse_numbered(lexer *lex, imap_response *out) {
    uint64_t n = 0;
    bool good = lex_number(lex, 0, UINT32_MAX, &n);
    imap_str word;

    lex_blanks(lex);
    word = lex_token(lex);
    for (size_t i = 0; i < G_N_ELEMENTS(numbered); i++) {
        if (!imap_str_is(word, numbered[i].name)) {
            continue;
        }
        out->kind = numbered[i].kind;
        if (out->kind != IMAP_FETCH) {
            out->number = (uint32_t)n;
            return (good && (n || out->kind != IMAP_EXPUNGE)) || lex_fail(lex, "not a number");
        }
        lex_blanks(lex);
        if (!parse_fetch(lex, &out->fetch)) {
            return false;
        }
        if (i == 1) {
            out->fetch.uid = good ? (uint32_t)n : 0;
        } else {
            out->fetch.seq = good ? (uint32_t)n : 0;
        }
        return true;
    }
    return lex_fail(lex, NULL);
}

static bool parse_worded(lexer *lex, imap_response *out) {
    imap_str word = lex_item(lex);

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (imap_str_is(word, words[i].name)) {
            out->kind = words[i].kind;
            out->condition = words[i].condition;
            lex_blanks(lex);
            return words[i].parse(lex, out);
        }
    }
    return lex_fail(lex, NULL);
}

/* Up to one of the characters in stop. */
static imap_str cut(const char *p, const char *end, const char *stop) {
    const char *q = p;

    while (q < end && (*q == '\0' || !strchr(stop, *q))) {
        q++;
    }
    return (imap_str){p, (size_t)(q - p)};
}

static void parse_untagged(lexer *lex, imap_response *out) {
    const char *start;
    bool good;

    if (lex_take(lex, '*')) {
        lex_blanks(lex);
    }
    start = lex->at;
    if (lex->at < lex->end && g_ascii_isdigit(*lex->at)) {
        good = parse_numbered(lex, out);
    } else if (lex_is(lex, '[')) { /* Exchange leaves the OK out, and the asterisk, too */
        out->kind = IMAP_CONDITION;
        good = parse_condition(lex, out);
    } else {
        good = parse_worded(lex, out);
    }
    if (!good) {
        *out = (imap_response){.kind = IMAP_UNKNOWN, .reason = lex->why, .raw = cut(start, lex->end, "(\"{~\r\n")};
    } else if (out->kind == IMAP_QUOTA || out->kind == IMAP_QUOTAROOT) {
        out->raw = cut(start, lex->end, "\r\n");
    }
}

/* ---- tagged ---- */

/* Shown only as long as it cannot be part of a message: the framing may be lost because of a wrong literal. */
static error *refuse_line(imap_str line, bool show) {
    char *shown = show ? text_escape(line.data, (gssize)MIN(line.len, (size_t)200))
                       : g_strdup_printf("a line of %zu octets", line.len);
    error *err = error_new(ERROR_PROTOCOL, "server sent what is no response: %s", shown);

    g_free(shown);
    return error_set_scope(err, ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER);
}

/* False: the line is no response at all. */
static bool parse_tagged(lexer *lex, imap_response *out) {
    imap_str word;

    out->tag = lex_token(lex);
    if (out->tag.len && lex_is(lex, ' ')) {
        lex_blanks(lex);
        word = lex_item(lex);
        for (size_t i = 0; i < 3; i++) {
            if (imap_str_is(word, words[i].name)) {
                out->kind = IMAP_TAGGED;
                out->condition = words[i].condition;
                lex_blanks(lex);
                return parse_condition(lex, out);
            }
        }
    }
    return false;
}

static error *parse(imap_parser *parser, imap_str bytes) {
    imap_response *out = &parser->response;
    lexer lex = {.at = bytes.data, .end = bytes.data + bytes.len, .arena = &parser->arena};

    memset(out, 0, sizeof *out);
    if (lex_is(&lex, '*') || lex_is(&lex, '[')) {
        parse_untagged(&lex, out);
        return NULL;
    }
    if (lex_take(&lex, '+')) {
        lex_take(&lex, ' ');
        out->kind = IMAP_CONTINUATION;
        out->text = lex_rest(&lex);
        return NULL;
    }
    return parse_tagged(&lex, out) ? NULL : refuse_line(bytes, !parser->frame.had_literal);
}

enum imap_got imap_parser_next(imap_parser *parser, const imap_response **response_out, error **err_out) {
    imap_str bytes;
    enum imap_got got;

    imap_arena_reset(&parser->arena);
    if (!parser->failed) {
        got = frame_next(&parser->frame, &bytes, &parser->failed);
        if (got == IMAP_HAVE) {
            parser->failed = parse(parser, bytes);
        }
        if (got == IMAP_MORE && frame_pending(&parser->frame) == 0) {
            imap_arena_release(&parser->arena);
        }
        if (got == IMAP_HAVE && !parser->failed) {
            *response_out = &parser->response;
        }
        if (!parser->failed) {
            return got;
        }
        frame_release(&parser->frame);
        imap_arena_release(&parser->arena);
    }
    *err_out = error_copy(parser->failed);
    return IMAP_BAD;
}
