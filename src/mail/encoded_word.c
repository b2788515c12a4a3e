/*
 * RFC 2047, read leniently: words inside quotes or glued to other text, with spaces in them, or without padding are
 * decoded too; what is not an encoded word stays as it is. One pass, linear. Adjacent words of one charset are joined
 * before they are converted, because many senders split characters between them.
 */
#include "charset_priv.h"

#include <string.h>

struct word {
    char charset[40];
    char encoding; /* 'b' or 'q' */
    const char *text, *text_end, *end;
};

struct decoder {
    GString *out;
    GString *bytes; /* decoded, not yet converted */
    char charset[40];
    bool no_end; /* no "?=" in what is left */
};

/* The first place of the two characters in text, or NULL. */
static const char *find_pair(const char *text, const char *end, char first, char second) {
    while ((text = memchr(text, first, (size_t)(end - text)))) {
        if (text[1] == second) {
            return text;
        }
        text++;
    }
    return NULL;
}

/* At "=?". */
static bool read_word(struct decoder *d, const char *p, const char *end, struct word *word) {
    const char *charset = p + 2, *mark = charset;
    size_t n;

    while (*mark > ' ' && *mark < 127 && *mark != '?' && mark - charset < 60) {
        mark++;
    }
    n = MIN(strcspn(charset, "*?"), (size_t)(mark - charset)); /* RFC 2231 section 5: "*language" behind the charset */
    word->encoding = *mark == '?' ? g_ascii_tolower(mark[1]) : 0;
    if (!n || n >= sizeof word->charset || (word->encoding != 'b' && word->encoding != 'q') || mark[2] != '?') {
        return false;
    }
    memcpy(word->charset, charset, n);
    word->charset[n] = '\0';
    word->text = mark + 3;
    word->text_end = d->no_end ? NULL : find_pair(word->text, end, '?', '=');
    d->no_end = !word->text_end;
    if (d->no_end) {
        return false;
    }
    word->end = word->text_end + 2;
    return true;
}

static void decode_q(GString *out, const char *p, const char *end) {
    for (; p < end; p++) {
        if (*p == '=' && end - p > 2 && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2])) {
            g_string_append_c(out, (char)(g_ascii_xdigit_value(p[1]) * 16 + g_ascii_xdigit_value(p[2])));
            p += 2;
        } else {
            g_string_append_c(out, *p == '_' ? ' ' : *p);
        }
    }
}

static int base64_value(char c) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

static void decode_b(GString *out, const char *p, const char *end) {
    guint32 bits = 0;
    int count = 0;

    for (; p < end; p++) {
        int value = base64_value(*p);
        if (value < 0) {
            continue;
        }
        bits = bits << 6 | (guint32)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            g_string_append_c(out, (char)(bits >> count & 0xff));
        }
    }
}

static void flush(struct decoder *d) {
    if (d->bytes->len) {
        charset_append(d->out, d->charset, d->bytes->str, d->bytes->len);
        g_string_truncate(d->bytes, 0);
    }
}

static void add_word(struct decoder *d, const struct word *word) {
    if (g_ascii_strcasecmp(d->charset, word->charset) != 0) {
        flush(d);
        g_strlcpy(d->charset, word->charset, sizeof d->charset);
    }
    if (word->encoding == 'q') {
        decode_q(d->bytes, word->text, word->text_end);
    } else {
        decode_b(d->bytes, word->text, word->text_end);
    }
}

void encoded_words_decode(GString *out, const char *text) {
    struct decoder d = {.out = out, .bytes = g_string_new(NULL)};
    const char *end = text + strlen(text);
    struct word word;
    bool after_word = false;

    while (text < end) {
        const char *next = find_pair(text, end, '=', '?');
        size_t n = (size_t)((next ? next : end) - text);
        bool is_word = next && read_word(&d, next, end, &word);
        if (!is_word && next) {
            n += 2;
        }
        if (!is_word || !after_word || strspn(text, " \t") < n) { /* white space between words is not text */
            flush(&d);
            g_string_append_len(out, text, (gssize)n);
        }
        if (is_word) {
            add_word(&d, &word);
        }
        after_word = is_word;
        text = is_word ? word.end : text + n;
    }
    flush(&d);
    g_string_free(d.bytes, TRUE);
}
