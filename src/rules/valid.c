#include "lib_priv.h"

#include <string.h>

#define KEYWORD_MAX 100

static const char *check_level(const char *level, size_t len) {
    if (len == 0) {
        return "has an empty level";
    }
    if ((len == 1 && level[0] == '.') || (len == 2 && memcmp(level, "..", 2) == 0)) {
        return "has a level \".\" or \"..\"";
    }
    return NULL;
}

static const char *check_levels(const char *s, size_t len) {
    const char *why = NULL, *end = s + len;

    while (!why) {
        const char *slash = memchr(s, '/', (size_t)(end - s));
        why = check_level(s, (size_t)((slash ? slash : end) - s));
        if (!slash) {
            break;
        }
        s = slash + 1;
    }
    return why;
}

const char *valid_folder(const char *s, size_t len) {
    if (len == 0) {
        return "is empty";
    }
    if (len > LIMIT_IMAP_MAILBOX_NAME) {
        return "is longer than 1000 octets";
    }
    if (memchr(s, 0, len) || !g_utf8_validate(s, (gssize)len, NULL)) {
        return memchr(s, 0, len) ? "contains a control character" : "is not UTF-8";
    }
    for (const char *p = s; p < s + len; p = g_utf8_next_char(p)) {
        if (g_unichar_iscntrl(g_utf8_get_char(p))) {
            return "contains a control character";
        }
        if (*p == '*' || *p == '%') {
            return "contains a wildcard, which names many folders";
        }
    }
    return check_levels(s, len);
}

const char *valid_flag(const char *s, size_t len) {
    static const char *const system_flags[] = {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"};

    if (len == 0) {
        return "is empty";
    }
    if (len > KEYWORD_MAX) {
        return "is longer than 100 octets";
    }
    if (*s == '\\') {
        for (size_t i = 0; i < G_N_ELEMENTS(system_flags); i++) {
            if (strlen(system_flags[i]) == len && g_ascii_strncasecmp(s, system_flags[i], len) == 0) {
                return NULL;
            }
        }
        return "is none of \\Seen \\Answered \\Flagged \\Deleted \\Draft";
    }
    for (size_t i = 0; i < len; i++) {
        if (s[i] <= 0x20 || s[i] >= 0x7f || strchr("(){%*\"\\]", s[i])) {
            return "contains what a keyword may not: space, control, non-ASCII, or one of (){%*\"\\]";
        }
    }
    return NULL;
}
