/*
 * lexer_priv.h - reads the words of one whole response (RFC 9051 section 4), literals included.
 *
 * A lexer stands somewhere between `at` and `end` (without the closing CRLF). Functions that return bool leave it where
 * it was good last when they say false, and `why` then holds the first reason (static). Nothing recurses.
 */
#ifndef IMAP_LEXER_PRIV_H
#define IMAP_LEXER_PRIV_H

#include "imap/response.h"
#include "arena_priv.h"

typedef struct lexer {
    const char *at, *end;
    imap_arena *arena;
    const char *why;
} lexer;

/* A growing array in the arena. */
typedef struct vec {
    void *items;
    size_t count, room;
} vec;

#define VEC_MAX 20000        /* items of a list, unless a tighter limit is named */
#define MODSEQ_MAX INT64_MAX /* RFC 7162 section 7: 63 bits */

/* A zeroed new item; NULL (and why) if there would be more than max. */
void *vec_add(lexer *lex, vec *v, size_t item_size, size_t max);

static inline bool lex_fail(lexer *lex, const char *why) {
    lex->why = lex->why ? lex->why : why;
    return false;
}
static inline bool lex_is(const lexer *lex, char c) {
    return lex->at < lex->end && *lex->at == c;
}
static inline bool lex_take(lexer *lex, char c) {
    if (!lex_is(lex, c)) {
        return false;
    }
    lex->at++;
    return true;
}
static inline void lex_blanks(lexer *lex) {
    while (lex_is(lex, ' ')) {
        lex->at++;
    }
}
static inline bool lex_at_end(lexer *lex) {
    lex_blanks(lex);
    return lex->at == lex->end;
}
/* The value of a list may begin here: after blanks, not at its end. */
static inline bool lex_more(lexer *lex) {
    lex_blanks(lex);
    return lex->at < lex->end && *lex->at != ')';
}
static inline imap_str lex_rest(const lexer *lex) {
    return (imap_str){lex->at, (size_t)(lex->end - lex->at)};
}

/* Anything up to a blank, a parenthesis, a quote, a brace or a control character; wider than ATOM. Empty if none. */
imap_str lex_token(lexer *lex);
/* The same, ending before '[' as well: the name of a FETCH item. */
imap_str lex_item(lexer *lex);

bool lex_is_string(const lexer *lex);        /* a quoted string or a literal begins here */
bool lex_string(lexer *lex, imap_str *out);  /* quoted, literal or literal8 */
bool lex_nstring(lexer *lex, imap_str *out); /* or NIL */
bool lex_astring(lexer *lex, imap_str *out); /* or a token */
bool lex_nil(lexer *lex);                    /* takes the word NIL, if it is there */
bool lex_skip(lexer *lex);                   /* one value of any kind, nested up to LIMIT_IMAP_NESTING */

/* One token as a number within min..max. False: it was no such number; the token is taken all the same. */
bool lex_number(lexer *lex, uint64_t min, uint64_t max, uint64_t *out);
bool number_parse(imap_str digits, uint64_t min, uint64_t max, uint64_t *out);

/* "(\Seen $Junk)" without recursion. */
bool lex_flags(lexer *lex, imap_flags *out);
/* A parenthesised list of astrings. */
bool lex_strings(lexer *lex, imap_strs *out);

/* A sequence-set token into out, order kept. False if it is none, holds 0 or '*', has more than max ranges, or, where
 * ordered is set, a descending range (which else is turned round). */
bool lex_ranges(lexer *lex, size_t max, bool ordered, imap_ranges *out);
/* One range into v, merged with the last one if it follows directly. */
bool ranges_push(lexer *lex, vec *v, size_t max, uint32_t low, uint32_t high);

/* ---- the parsers of one kind each; false = UNKNOWN with lex->why ---- */

bool parse_condition(lexer *lex, imap_response *out);  /* after the condition's word: code and text */
bool parse_fetch(lexer *lex, imap_fetch *out);         /* the parenthesised items */
bool parse_structure(lexer *lex, imap_structure *out); /* false: lex stands anywhere, out->reason says why */
bool parse_list(lexer *lex, imap_response *out);
bool parse_status(lexer *lex, imap_response *out);
bool parse_search(lexer *lex, imap_response *out);
bool parse_esearch(lexer *lex, imap_response *out);
bool parse_vanished(lexer *lex, imap_response *out);
bool parse_namespace(lexer *lex, imap_response *out);
bool parse_id(lexer *lex, imap_response *out);

/* "17-Jul-1996 02:44:25 -0700" */
bool date_parse(imap_str text, int64_t *seconds_out);
/* The same backwards, in UTC; day only for SEARCH. */
void date_format(int64_t seconds, char out[32]);
void date_format_day(int64_t seconds, char out[32]);

#endif
