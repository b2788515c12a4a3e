#include "base/text.h"

#include <string.h>

static bool is_hidden(gunichar c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff;
}

static void append_hidden(GString *out, gunichar c) {
    switch (c) {
    case '\n':
        g_string_append(out, "\\n");
        break;
    case '\r':
        g_string_append(out, "\\r");
        break;
    case '\t':
        g_string_append(out, "\\t");
        break;
    default:
        g_string_append_printf(out, c < 0x100 ? "\\x%02x" : "\\u{%04x}", c);
    }
}

void text_append_escaped(GString *out, const char *s, gssize len) {
    const char *end;

    if (!s) {
        return;
    }
    end = s + (len < 0 ? (gssize)strlen(s) : len);
    while (s < end) {
        gunichar c = g_utf8_get_char_validated(s, end - s);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (unsigned char)*s++);
            continue;
        }
        const char *next = c ? g_utf8_next_char(s) : s + 1;
        if (is_hidden(c)) {
            append_hidden(out, c);
        } else {
            g_string_append_len(out, s, next - s);
        }
        s = next;
    }
}

char *text_escape(const char *s, gssize len) {
    GString *out = g_string_new(NULL);

    text_append_escaped(out, s, len);
    return g_string_free(out, FALSE);
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_with_units(const char *s, const struct unit *units, uint64_t bare, uint64_t max, uint64_t *out) {
    char *end;
    guint64 n;

    if (!s || !g_ascii_isdigit(*s)) {
        return false;
    }
    n = g_ascii_strtoull(s, &end, 10);
    while (*end == ' ') {
        end++;
    }
    uint64_t factor = *end ? 0 : bare;
    for (const struct unit *u = units; *end && u->name; u++) {
        if (g_ascii_strcasecmp(end, u->name) == 0) {
            factor = u->factor;
        }
    }
    if (!factor || n > max / factor) {
        return false;
    }
    *out = n * factor;
    return true;
}

bool text_parse_duration(const char *s, uint64_t *ms_out) {
    static const struct unit units[] = {{"ms", 1},          {"s", 1000},          {"m", 60000},     {"min", 60000},
                                        {"h", 3600000},     {"d", 86400000},      {"w", 604800000}, {NULL, 0}};

    return parse_with_units(s, units, 1000, UINT64_C(3155760000000), ms_out);
}

bool text_parse_size(const char *s, uint64_t *bytes_out) {
    static const struct unit units[] = {{"b", 1},          {"k", 1 << 10},    {"kb", 1 << 10}, {"kib", 1 << 10},
                                        {"m", 1 << 20},    {"mb", 1 << 20},   {"mib", 1 << 20}, {"g", 1 << 30},
                                        {"gb", 1 << 30},   {"gib", 1 << 30},  {NULL, 0}};

    return parse_with_units(s, units, 1, UINT64_C(1) << 50, bytes_out);
}

char *text_format_duration(uint64_t ms) {
    uint64_t s = ms / 1000;

    if (ms < 1000) {
        return g_strdup_printf("%ums", (unsigned)ms);
    }
    if (s < 10 && ms % 1000) {
        return g_strdup_printf("%u.%us", (unsigned)s, (unsigned)(ms % 1000 / 100));
    }
    if (s < 60) {
        return g_strdup_printf("%us", (unsigned)s);
    }
    if (s < 3600) {
        return s % 60 ? g_strdup_printf("%um%us", (unsigned)(s / 60), (unsigned)(s % 60))
                      : g_strdup_printf("%um", (unsigned)(s / 60));
    }
    if (s < 86400) {
        return s % 3600 >= 60 ? g_strdup_printf("%uh%um", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60))
                              : g_strdup_printf("%uh", (unsigned)(s / 3600));
    }
    return s % 86400 >= 3600 ? g_strdup_printf("%" G_GUINT64_FORMAT "d%uh", s / 86400, (unsigned)(s % 86400 / 3600))
                             : g_strdup_printf("%" G_GUINT64_FORMAT "d", s / 86400);
}

static void append_json_char(GString *out, gunichar c, const char *s, gsize n) {
    static const char short_names[] = "\b\t\n\f\r\"\\";
    static const char letters[] = "btnfr\"\\";
    const char *hit = c && c < 0x80 ? strchr(short_names, (int)c) : NULL;

    if (hit) {
        g_string_append_c(out, '\\');
        g_string_append_c(out, letters[hit - short_names]);
    } else if (c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029) {
        g_string_append_printf(out, "\\u%04x", c);
    } else {
        g_string_append_len(out, s, (gssize)n);
    }
}

void text_append_json(GString *out, const char *s, gssize len) {
    const char *end = s ? s + (len < 0 ? (gssize)strlen(s) : len) : NULL;

    g_string_append_c(out, '"');
    while (s < end) {
        gunichar c = g_utf8_get_char_validated(s, end - s);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append(out, "\xef\xbf\xbd");
            s++;
            continue;
        }
        const char *next = c ? g_utf8_next_char(s) : s + 1;
        append_json_char(out, c, s, (gsize)(next - s));
        s = next;
    }
    g_string_append_c(out, '"');
}

static unsigned edit_distance(const char *a, const char *b) {
    enum { MAX = 64 };
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[MAX + 1];

    if (la > MAX || lb > MAX) {
        return MAX;
    }
    for (size_t j = 0; j <= lb; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned above = row[j];
            unsigned change = diagonal + (g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[j - 1]));
            row[j] = MIN(change, MIN(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[lb];
}

const char *text_nearest(const char *word, const char *const *list) {
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 1;

    for (; *list; list++) {
        unsigned d = edit_distance(word, *list);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = *list;
            best_distance = d;
        }
    }
    return best;
}
