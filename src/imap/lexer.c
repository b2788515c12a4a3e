#include "lexer_priv.h"

#include "base/limits.h"

/* 1: belongs to a token. */
static const uint8_t token_char[256] = {
    ['!'] = 1,          ['#' ... '\''] = 1, ['*' ... 'Z'] = 1,   ['['] = 1,
    ['\\' ... 'z'] = 1, ['|' ... '~'] = 1,  [0x80 ... 0xff] = 1,
};

void *vec_add(lexer *lex, vec *v, size_t item_size, size_t max) {
    char *item;

    if (v->count >= max) {
        lex_fail(lex, "too many items in a list");
        return NULL;
    }
    if (v->count == v->room) {
        size_t room = v->room ? v->room * 2 : 4;
        v->items = imap_arena_grow(lex->arena, v->items, v->room * item_size, room * item_size);
        v->room = room;
    }
    item = (char *)v->items + v->count++ * item_size;
    memset(item, 0, item_size);
    return item;
}

imap_str lex_token(lexer *lex) {
    const char *start = lex->at;

    while (lex->at < lex->end && token_char[(uint8_t)*lex->at]) {
        lex->at++;
    }
    return (imap_str){start, (size_t)(lex->at - start)};
}

imap_str lex_item(lexer *lex) {
    const char *start = lex->at;

    while (lex->at < lex->end && token_char[(uint8_t)*lex->at] && *lex->at != '[') {
        lex->at++;
    }
    return (imap_str){start, (size_t)(lex->at - start)};
}

bool lex_is_string(const lexer *lex) {
    const char *p = lex->at;

    return p < lex->end && (*p == '"' || *p == '{' || (*p == '~' && p + 1 < lex->end && p[1] == '{'));
}

/* p stands behind the opening quote; the first `plain` bytes have no backslash. The string is copied. */
static bool unescape(lexer *lex, const char *p, size_t plain, imap_str *out) {
    char *copy, *to;
    const char *close = p + plain;

    while (close < lex->end && *close != '"' && *close != '\r' && *close != '\n') {
        close += *close == '\\' && close + 1 < lex->end ? 2 : 1;
    }
    if (close >= lex->end || *close != '"') {
        return lex_fail(lex, "quoted string not closed");
    }
    copy = to = imap_arena_alloc(lex->arena, (size_t)(close - p));
    while (p < close) {
        p += *p == '\\';
        *to++ = *p++;
    }
    lex->at = close + 1;
    *out = (imap_str){copy, (size_t)(to - copy)};
    return true;
}

static bool lex_quoted(lexer *lex, imap_str *out) {
    const char *start = lex->at + 1, *p = start;

    while (p < lex->end && *p != '"' && *p != '\\' && *p != '\r' && *p != '\n') {
        p++;
    }
    if (p < lex->end && *p == '\\') {
        return unescape(lex, start, (size_t)(p - start), out);
    }
    if (p == lex->end || *p != '"') {
        return lex_fail(lex, "quoted string not closed");
    }
    *out = (imap_str){start, (size_t)(p - start)};
    lex->at = p + 1;
    return true;
}

/* The framing has made sure that a literal at the end of a line is there in full; this trusts nothing all the same. */
static bool lex_literal(lexer *lex, imap_str *out) {
    const char *p = lex->at + (*lex->at == '~') + 1, *digits = p;
    uint64_t size;

    while (p < lex->end && g_ascii_isdigit(*p)) {
        p++;
    }
    if (!number_parse((imap_str){digits, (size_t)(p - digits)}, 0, SIZE_MAX / 2, &size) || p == lex->end || *p != '}') {
        return lex_fail(lex, "malformed literal");
    }
    p++;
    p += p < lex->end && *p == '\r';
    if (p == lex->end || *p != '\n' || (uint64_t)(lex->end - p - 1) < size) {
        return lex_fail(lex, "malformed literal");
    }
    *out = (imap_str){p + 1, (size_t)size};
    lex->at = p + 1 + size;
    return true;
}

bool lex_string(lexer *lex, imap_str *out) {
    if (!lex_is_string(lex)) {
        return lex_fail(lex, "a string was expected");
    }
    return *lex->at == '"' ? lex_quoted(lex, out) : lex_literal(lex, out);
}

bool lex_nil(lexer *lex) {
    const char *before = lex->at;

    if (imap_str_is(lex_token(lex), "NIL")) {
        return true;
    }
    lex->at = before;
    return false;
}

bool lex_nstring(lexer *lex, imap_str *out) {
    *out = (imap_str){NULL, 0};
    return lex_nil(lex) || lex_string(lex, out);
}

bool lex_astring(lexer *lex, imap_str *out) {
    if (lex_is_string(lex)) {
        return lex_string(lex, out);
    }
    *out = lex_token(lex);
    return out->len > 0 || lex_fail(lex, "a word was expected");
}

bool lex_skip(lexer *lex) {
    unsigned depth = 0;
    imap_str ignored;

    do {
        lex_blanks(lex);
        if (lex_take(lex, '(')) {
            if (++depth > LIMIT_IMAP_NESTING) {
                return lex_fail(lex, "nested too deep");
            }
        } else if (depth && lex_take(lex, ')')) {
            depth--;
        } else if (!lex_astring(lex, &ignored)) {
            return false;
        }
    } while (depth);
    return true;
}

bool number_parse(imap_str digits, uint64_t min, uint64_t max, uint64_t *out) {
    uint64_t n = 0;

    if (digits.len == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        unsigned d = (unsigned)(uint8_t)digits.data[i] - '0';
        if (d > 9 || n > (max - d) / 10) {
            return false;
        }
        n = n * 10 + d;
    }
    *out = n;
    return n >= min;
}

bool lex_number(lexer *lex, uint64_t min, uint64_t max, uint64_t *out) {
    return number_parse(lex_token(lex), min, max, out);
}

static const struct {
    const char *name;
    enum imap_flag flag;
} system_flags[] = {
    {"\\Seen", IMAP_FLAG_SEEN},       {"\\Answered", IMAP_FLAG_ANSWERED}, {"\\Flagged", IMAP_FLAG_FLAGGED},
    {"\\Deleted", IMAP_FLAG_DELETED}, {"\\Draft", IMAP_FLAG_DRAFT},       {"\\Recent", IMAP_FLAG_RECENT},
};

static uint32_t system_flag(imap_str name) {
    if (name.len && name.data[0] == '\\') {
        for (size_t i = 0; i < G_N_ELEMENTS(system_flags); i++) {
            if (imap_str_is(name, system_flags[i].name)) {
                return system_flags[i].flag;
            }
        }
    }
    return 0;
}

bool lex_flags(lexer *lex, imap_flags *out) {
    vec all = {0};

    *out = (imap_flags){0};
    if (!lex_take(lex, '(')) {
        return lex_fail(lex, "a list of flags was expected");
    }
    while (lex_more(lex)) {
        imap_str name;
        imap_str *item;
        if (!lex_astring(lex, &name)) {
            return false;
        }
        if (imap_str_equal(name, "\\*")) {
            out->any = true;
            continue;
        }
        if (!(item = vec_add(lex, &all, sizeof *item, VEC_MAX))) {
            return false;
        }
        *item = name;
        out->system |= system_flag(name);
    }
    out->all = (imap_strs){all.items, all.count};
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

bool lex_strings(lexer *lex, imap_strs *out) {
    vec all = {0};

    *out = (imap_strs){0};
    if (!lex_take(lex, '(')) {
        return lex_fail(lex, "a list was expected");
    }
    while (lex_more(lex)) {
        imap_str *item = vec_add(lex, &all, sizeof *item, VEC_MAX);
        if (!item || !lex_astring(lex, item)) {
            return false;
        }
    }
    *out = (imap_strs){all.items, all.count};
    return lex_take(lex, ')') || lex_fail(lex, "list not closed");
}

bool imap_flags_have(const imap_flags *flags, const char *name) {
    uint32_t bit = system_flag(imap_str_of(name));

    if (bit) {
        return flags->system & bit;
    }
    for (size_t i = 0; i < flags->all.count; i++) {
        if (imap_str_is(flags->all.at[i], name)) {
            return true;
        }
    }
    return false;
}

/* Takes "12" or "12:20" off the front of text. */
static bool take_range(imap_str *text, uint64_t *low, uint64_t *high) {
    size_t n = 0, colon = 0;

    while (n < text->len && text->data[n] != ',') {
        colon = text->data[n] == ':' && !colon ? n : colon;
        n++;
    }
    if (!number_parse((imap_str){text->data, colon ? colon : n}, 1, UINT32_MAX, low)) {
        return false;
    }
    *high = *low;
    if (colon && !number_parse((imap_str){text->data + colon + 1, n - colon - 1}, 1, UINT32_MAX, high)) {
        return false;
    }
    text->data += n;
    text->len -= n;
    return true;
}

bool ranges_push(lexer *lex, vec *v, size_t max, uint32_t low, uint32_t high) {
    imap_range *last = v->count ? (imap_range *)v->items + v->count - 1 : NULL;

    if (last && low == (uint64_t)last->high + 1) {
        last->high = high;
        return true;
    }
    last = vec_add(lex, v, sizeof *last, max);
    if (last) {
        *last = (imap_range){low, high};
    }
    return last != NULL;
}

bool lex_ranges(lexer *lex, size_t max, bool ordered, imap_ranges *out) {
    imap_str text = lex_token(lex);
    vec ranges = {0};
    uint64_t low, high;

    *out = (imap_ranges){0};
    for (;;) {
        if (!take_range(&text, &low, &high) || (ordered && low > high)) {
            return lex_fail(lex, "malformed set");
        }
        if (!ranges_push(lex, &ranges, max, (uint32_t)MIN(low, high), (uint32_t)MAX(low, high))) {
            return false;
        }
        if (text.len == 0) {
            *out = (imap_ranges){ranges.items, ranges.count};
            return true;
        }
        text.data++; /* the comma; a closing one leaves an empty range, which is refused */
        text.len--;
    }
}
