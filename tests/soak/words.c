/* A command from its octets: where it ends, and its words. */
#include "tests/soak/imap_priv.h"

#include <string.h>

static size_t literal_at(const char *line, size_t len, bool *waits_out) {
    size_t digits = len;
    bool plus = len >= 2 && line[len - 1] == '}' && (line[len - 2] == '+' || line[len - 2] == '-');

    if (len < 3 || line[len - 1] != '}') {
        return SIZE_MAX;
    }
    digits = len - (plus ? 2 : 1);
    while (digits && g_ascii_isdigit(line[digits - 1])) {
        digits--;
    }
    if (!digits || line[digits - 1] != '{') {
        return SIZE_MAX;
    }
    *waits_out = !plus;
    return strtoul(line + digits, NULL, 10);
}

/* Octets of the first command in `in`, 0: not all of it is there. */
size_t words_complete(peer *p) {
    size_t from = 0, size;
    bool waits = false;

    for (;;) {
        const char *end = p->in->len > from ? strstr(p->in->str + from, "\r\n") : NULL;
        if (!end) {
            return 0;
        }
        size_t line_end = (size_t)(end - p->in->str);
        size = literal_at(p->in->str + from, line_end - from, &waits);
        if (size == SIZE_MAX) {
            return line_end + 2;
        }
        if (waits && p->literal_told < line_end) {
            p->literal_told = line_end;
            peer_say(p, "+ go ahead\r\n");
            peer_send(p);
        }
        from = line_end + 2 + size;
        if (p->in->len < from) {
            return 0;
        }
    }
}

static const char *take_quoted(const char *at, GString *word) {
    for (at++; *at && *at != '"'; at++) {
        at += *at == '\\' && at[1];
        g_string_append_c(word, *at);
    }
    return *at ? at + 1 : at;
}

static const char *take_atom(const char *at, GString *word) {
    int depth = 0;

    for (; *at && (depth || !strchr(" ()\r\n", *at)); at++) {
        depth += (*at == '[') - (*at == ']');
        g_string_append_c(word, *at);
    }
    return at;
}

words *words_split(const char *at, const char *end) {
    words *w = g_new0(words, 1);
    bool waits;

    w->at = g_ptr_array_new_with_free_func(g_free);
    while (at < end && *at != '\r') {
        GString *word = g_string_new(NULL);
        if (*at == '(' || *at == ')') {
            g_string_append_c(word, *at++);
        } else if (*at == '"') {
            at = take_quoted(at, word);
        } else if (*at == '{') {
            const char *line_end = strstr(at, "\r\n");
            size_t size = literal_at(at, (size_t)(line_end - at), &waits);
            g_string_append_len(word, line_end + 2, (gssize)size);
            at = line_end + 2 + size;
        } else {
            at = take_atom(at, word);
        }
        g_ptr_array_add(w->at, g_string_free(word, FALSE));
        at += *at == ' ';
    }
    return w;
}

const char *word(const words *w, guint i) {
    return i < w->at->len ? w->at->pdata[i] : "";
}

void words_free(words *w) {
    g_ptr_array_free(w->at, TRUE);
    g_free(w);
}

