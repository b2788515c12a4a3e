#include "match_priv.h"

#include <string.h>

static bool is_ascii(const char *s, size_t len) {
    unsigned char all = 0;

    for (size_t i = 0; i < len; i++) {
        all |= (unsigned char)s[i];
    }
    return all < 0x80;
}

/* U+0300..U+036F in UTF-8. */
static bool has_combining_mark(const char *s, size_t len) {
    return memchr(s, 0xcc, len) || memchr(s, 0xcd, len);
}

char *match_fold(const char *s, size_t len, size_t *len_out) {
    char *folded;

    if (is_ascii(s, len)) {
        folded = g_ascii_strdown(s, (gssize)len);
        *len_out = len;
        return folded;
    }
    g_autofree char *composed = has_combining_mark(s, len) ? g_utf8_normalize(s, (gssize)len, G_NORMALIZE_NFC) : NULL;
    folded = composed ? g_utf8_casefold(composed, -1) : g_utf8_casefold(s, (gssize)len);
    *len_out = strlen(folded);
    return folded;
}

/* The set that starts after "[": does it hold c, and where does it end? NULL if it never ends. */
static const char *match_set(const char *p, gunichar c, bool *holds_out) {
    bool negated = *p == '!' || *p == '^';
    bool holds = false;

    p += negated;
    for (bool first = true; *p != ']' || first; first = false) {
        if (!*p) {
            return NULL;
        }
        if (*p == '\\' && p[1]) {
            p++;
        }
        gunichar from = g_utf8_get_char(p), to = from;
        p = g_utf8_next_char(p);
        if (*p == '-' && p[1] && p[1] != ']') {
            to = g_utf8_get_char(p + 1);
            p = g_utf8_next_char(p + 1);
        }
        holds |= c >= from && c <= to;
    }
    *holds_out = holds != negated;
    return p + 1;
}

/* One character of s against one item of the pattern: the pattern after the item, or NULL. */
static const char *match_one(const char *p, gunichar c) {
    bool holds = false;

    if (*p == '?') {
        return p + 1;
    }
    if (*p == '[') {
        const char *end = match_set(p + 1, c, &holds);
        return end && holds ? end : NULL;
    }
    if (*p == '\\' && p[1]) {
        p++;
    }
    return *p && g_utf8_get_char(p) == c ? g_utf8_next_char(p) : NULL;
}

/* Where to go on after a mismatch: the pattern after a star, and the text that the star has not taken yet. Only the
 * last star of a kind is ever gone back to: a longer run of an earlier one cannot help where the later one fails. */
struct star {
    const char *pattern;
    const char *s;
};

static bool take_more(struct star *star, const char **p, const char **s, char stop) {
    if (!star->pattern || !*star->s || (stop && *star->s == stop)) {
        return false;
    }
    star->s = g_utf8_next_char(star->s);
    *p = star->pattern;
    *s = star->s;
    return true;
}

/* separator 0: `*` is the only star. Else `%` is one that stays within a level. */
static bool glob(const char *p, const char *s, char separator) {
    struct star any = {NULL, NULL}, level = {NULL, NULL};

    for (;;) {
        if (*p == '*') {
            any = (struct star){++p, s};
            level.pattern = NULL;
        } else if (separator && *p == '%') {
            level = (struct star){++p, s};
        } else if (!*s && !*p) {
            return true;
        } else {
            bool wild = *p == '?' || *p == '[';
            const char *next = *s && !(wild && separator && *s == separator) ? match_one(p, g_utf8_get_char(s)) : NULL;
            if (next) {
                p = next;
                s = g_utf8_next_char(s);
            } else if (take_more(&level, &p, &s, separator)) {
                continue;
            } else if (!take_more(&any, &p, &s, 0)) {
                return false;
            } else {
                level.pattern = NULL;
            }
        }
    }
}

bool match_glob(const char *pattern, const char *s) {
    return glob(pattern, s, 0);
}

bool match_folder_glob(const char *pattern, const char *name) {
    return glob(pattern, name, '/');
}

bool match_is_glob(const char *s) {
    for (; *s; s++) {
        if (strchr("*?[", *s)) {
            return true;
        }
        if (*s == '\\' && s[1]) {
            s++;
        }
    }
    return false;
}

const char *match_glob_mistake(const char *pattern) {
    bool holds;

    for (const char *p = pattern; *p;) {
        if (*p == '\\') {
            if (!p[1]) {
                return "a backslash at the end";
            }
            p += 2;
        } else if (*p == '[') {
            p = match_set(p + 1, 0, &holds);
            if (!p) {
                return "\"[\" without \"]\"";
            }
        } else {
            p++;
        }
    }
    return NULL;
}
