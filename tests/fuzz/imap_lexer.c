/*
 * The words of a response, each kind of value on any bytes: nothing is read outside of them, a refusal has its reason
 * and moves nothing past the end, and what was taken means what it says.
 */
#include "base/limits.h"
#include "src/imap/lexer_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool so) {
    if (!so) {
        abort();
    }
}

static void check_token(lexer *lex) {
    const char *before = lex->at;
    imap_str token = lex_token(lex);

    insist(token.data == before && lex->at == before + token.len);
    for (size_t i = 0; i < token.len; i++) {
        insist(!memchr(" (){\"", token.data[i], 5) && (uint8_t)token.data[i] > ' ' && token.data[i] != 0x7f);
    }
    lex->at = before;
    insist(lex_item(lex).len <= token.len && !memchr(before, '[', (size_t)(lex->at - before)));
}

/* What was read as a string, written down again in both forms, is read as the same. */
static void check_again(lexer *lex, imap_str value) {
    g_autoptr(GString) text = g_string_new("\"");
    imap_str again;

    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '\r' || value.data[i] == '\n') {
            g_string_truncate(text, 0);
            break;
        }
        if (strchr("\"\\", value.data[i]) && value.data[i]) {
            g_string_append_c(text, '\\');
        }
        g_string_append_c(text, value.data[i]);
    }
    if (text->len) {
        g_string_append_c(text, '"');
    } else {
        g_string_append_printf(text, "{%zu}\r\n", value.len);
        g_string_append_len(text, value.data, (gssize)value.len);
    }
    lexer second = {.at = text->str, .end = text->str + text->len, .arena = lex->arena};
    insist(lex_string(&second, &again) && second.at == second.end && again.len == value.len);
    insist(value.len == 0 || memcmp(again.data, value.data, value.len) == 0);
}

static void check_string(lexer *lex) {
    bool begins = lex_is_string(lex);
    imap_str value = {0};

    if (lex_string(lex, &value)) {
        insist(begins && value.data);
        check_again(lex, value);
    }
}

static void check_nstring(lexer *lex) {
    imap_str value;

    lex_nstring(lex, &value);
}

static void check_astring(lexer *lex) {
    imap_str value;
    bool quoted = lex_is_string(lex);

    insist(!lex_astring(lex, &value) || quoted || value.len > 0);
}

static void check_skip(lexer *lex) {
    const char *before = lex->at;

    insist(!lex_skip(lex) || lex->at > before);
}

static void check_number(lexer *lex) {
    const uint64_t min = 1, max = MODSEQ_MAX;
    const char *before = lex->at;
    uint64_t n = 0;

    if (lex_number(lex, min, max, &n)) {
        insist(n >= min && n <= max);
        for (const char *p = before; p < lex->at; p++) {
            insist(g_ascii_isdigit(*p));
        }
        g_autofree char *digits = g_strndup(before, (size_t)(lex->at - before));
        insist(n == g_ascii_strtoull(digits, NULL, 10));
    }
}

static void check_flags(lexer *lex) {
    imap_flags flags;

    if (lex_flags(lex, &flags)) {
        insist(flags.all.count <= VEC_MAX);
        insist(!(flags.system & IMAP_FLAG_SEEN) || imap_flags_have(&flags, "\\Seen"));
    }
}

static void check_strings(lexer *lex) {
    imap_strs strs;

    insist(!lex_strings(lex, &strs) || strs.count <= VEC_MAX);
}

static void check_ranges(lexer *lex) {
    enum { MOST = 50 };
    imap_ranges ranges;

    if (lex_ranges(lex, MOST, false, &ranges)) {
        insist(ranges.count > 0 && ranges.count <= MOST);
        for (size_t i = 0; i < ranges.count; i++) {
            insist(ranges.at[i].low > 0 && ranges.at[i].low <= ranges.at[i].high);
        }
    } else {
        insist(ranges.count == 0);
    }
}

/* A date within the years that can be written is written as it was meant. */
static void check_date(lexer *lex) {
    imap_str text = lex_rest(lex);
    int64_t seconds, again;
    char written[32];

    text.len = MIN(text.len, (size_t)40);
    if (date_parse(text, &seconds)) {
        date_format(seconds, written);
        if (seconds >= -62135596800 && seconds <= 253402300799) {
            insist(date_parse(imap_str_of(written), &again) && again == seconds);
        }
        date_format_day(seconds, written);
    }
}

static void (*const checks[])(lexer *lex) = {check_token,  check_string, check_nstring, check_astring, check_skip,
                                             check_number, check_flags,  check_strings, check_ranges,  check_date};

/* The first byte says which; it then reads value after value, as the parsers do. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    imap_arena arena = {0};

    if (size < 1) {
        return 0;
    }
    lexer lex = {.at = (const char *)data + 1, .end = (const char *)data + size, .arena = &arena};
    for (unsigned which = data[0]; lex.at < lex.end; which++) {
        const char *before = lex.at;
        lex.why = NULL;
        checks[which % G_N_ELEMENTS(checks)](&lex);
        insist(lex.at >= before && lex.at <= lex.end);
        if (lex.at == before) {
            lex.at++;
        }
    }
    imap_arena_release(&arena);
    return 0;
}
