/*
 * What every match of a pattern contains, so that texts without it need not be matched. Only what is seen at once: runs
 * of plain ASCII characters outside groups. Whatever is not surely understood gives no literal, never a wrong one.
 */
#include "match_priv.h"

#include <string.h>

enum { LITERAL_MIN = 3 };

/* The longest run so far, and the one being read. */
struct runs {
    GString *best, *now;
    bool caseless;
};

static void runs_init(struct runs *runs, bool caseless) {
    *runs = (struct runs){g_string_new(NULL), g_string_new(NULL), caseless};
}

/* Folded text has combining marks composed, so the last character of a run may be another one there. */
static void end_run(struct runs *runs) {
    if (runs->caseless && runs->now->len) {
        g_string_truncate(runs->now, runs->now->len - 1);
    }
    if (runs->now->len > runs->best->len) {
        g_string_assign(runs->best, runs->now->str);
    }
    g_string_truncate(runs->now, 0);
}

static char *finish(struct runs *runs, bool understood) {
    end_run(runs);
    bool enough = understood && runs->best->len >= LITERAL_MIN;
    g_string_free(runs->now, TRUE);
    return g_string_free(runs->best, !enough);
}

char *match_glob_literal(const char *pattern) {
    struct runs runs;

    runs_init(&runs, false);
    for (const char *p = pattern; *p && *p != '['; p++) {
        if (*p == '*' || *p == '?' || *p == '\\') {
            end_run(&runs);
            p += *p == '\\' && p[1];
        } else {
            g_string_append_c(runs.now, *p);
        }
    }
    return finish(&runs, true);
}

/* --- regular expressions ----------------------------------------------------------------------------------------- */

enum token { TOKEN_END, TOKEN_CHAR, TOKEN_ITEM, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_BAR, TOKEN_REPEAT, TOKEN_OBSCURE };

static enum token read_escape(const char **p, char *c_out) {
    char c = (*p)[1];

    *p += c ? 2 : 1;
    *c_out = c;
    if (c > ' ' && c < 0x7f && !g_ascii_isalnum(c)) {
        return TOKEN_CHAR;
    }
    return c && strchr("bBAzZGdDwWsShHvVRX", c) ? TOKEN_ITEM : TOKEN_OBSCURE;
}

static enum token read_class(const char **p) {
    const char *s = *p + 1;

    s += *s == '^';
    s += *s == ']';
    for (; *s && *s != ']'; s++) {
        if (*s == '[' || (*s == '\\' && (!s[1] || strchr("QEpPxcoN", s[1])))) {
            return TOKEN_OBSCURE;
        }
        s += *s == '\\';
    }
    *p = *s ? s + 1 : s;
    return *s ? TOKEN_ITEM : TOKEN_OBSCURE;
}

static enum token read_open(const char **p) {
    static const char *const kinds[] = {"?:", "?=", "?!", "?<=", "?<!", "?>"};
    const char *s = *p + 1;

    *p = s;
    if (*s != '?' && *s != '*') {
        return TOKEN_OPEN;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_has_prefix(s, kinds[i])) {
            *p = s + strlen(kinds[i]);
            return TOKEN_OPEN;
        }
    }
    s += g_str_has_prefix(s, "?P<") ? 3 : g_str_has_prefix(s, "?<") ? 2 : 0;
    const char *end = s == *p ? NULL : s + strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    if (!end || *end != '>') {
        return TOKEN_OBSCURE;
    }
    *p = end + 1;
    return TOKEN_OPEN;
}

static enum token read_braces(const char **p, char *c_out) {
    const char *end = *p + 1 + strspn(*p + 1, "0123456789,");

    *c_out = '{';
    if (*end != '}' || !g_ascii_isdigit((*p)[1])) {
        return TOKEN_OBSCURE;
    }
    *p = end + 1;
    return TOKEN_REPEAT;
}

static enum token next_token(const char **p, char *c_out) {
    char c = **p;

    *c_out = c;
    switch (c) {
    case 0:
        return TOKEN_END;
    case '\\':
        return read_escape(p, c_out);
    case '[':
        return read_class(p);
    case '(':
        return read_open(p);
    case '{':
        return read_braces(p, c_out);
    default:
        *p = g_utf8_next_char(*p);
    }
    if (strchr(".^$", c) || (unsigned char)c >= 0x80) {
        return TOKEN_ITEM;
    }
    return c == ')' ? TOKEN_CLOSE : c == '|' ? TOKEN_BAR : strchr("*+?", c) ? TOKEN_REPEAT : TOKEN_CHAR;
}

/* "(?ims)" at the start; false if it changes how the rest is to be read. */
static bool read_flags(const char **p, bool *caseless) {
    const char *s = *p;
    size_t n = g_str_has_prefix(s, "(?") ? strspn(s + 2, "imsnJU") : 0;

    if (n && s[2 + n] == ')') {
        *caseless |= memchr(s + 2, 'i', n) != NULL;
        *p = s + 2 + n + 1;
        return true;
    }
    return n == 0;
}

/* A repeated character need not be there, unless it is by "+". */
static void end_repeated(struct runs *runs, enum token before, char sign) {
    if (before == TOKEN_CHAR && sign != '+' && runs->now->len) {
        g_string_truncate(runs->now, runs->now->len - 1);
    }
    end_run(runs);
}

static bool read_pattern(const char *p, struct runs *runs) {
    enum token token = TOKEN_ITEM, before;
    int depth = 0;
    char c;

    do {
        before = token;
        token = next_token(&p, &c);
        if (token == TOKEN_OBSCURE || (token == TOKEN_BAR && depth == 0) || (token == TOKEN_CLOSE && depth == 0)) {
            return false;
        }
        if (token == TOKEN_CHAR && depth == 0) {
            g_string_append_c(runs->now, runs->caseless ? g_ascii_tolower(c) : c);
        } else if (token == TOKEN_REPEAT && depth == 0) {
            end_repeated(runs, before, c);
        } else {
            end_run(runs);
        }
        depth += token == TOKEN_OPEN ? 1 : token == TOKEN_CLOSE ? -1 : 0;
    } while (token != TOKEN_END);
    return true;
}

char *match_regex_literal(const char *pattern, bool *caseless) {
    struct runs runs;
    bool understood = read_flags(&pattern, caseless);

    runs_init(&runs, *caseless);
    return finish(&runs, understood && read_pattern(pattern, &runs));
}
