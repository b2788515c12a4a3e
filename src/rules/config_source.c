/*
 * Lua tells at which line a call began, not where in its table a key stands. For mistakes the line of the key is what
 * helps, so it is looked up in the source: not parsed, only tokenised as far as brackets, strings and comments go.
 */
#include "config_priv.h"

#include <string.h>

struct scanner {
    const char *p;
    uint32_t line;
};

/* p stands on "[": the level of a long bracket, or -1. */
static int long_bracket(const char *p) {
    int level = 0;

    while (p[1 + level] == '=') {
        level++;
    }
    return p[1 + level] == '[' ? level : -1;
}

static void skip_to(struct scanner *s, const char *end) {
    for (; s->p < end; s->p++) {
        s->line += *s->p == '\n';
    }
}

static void skip_long(struct scanner *s, int level) {
    char close[64];

    g_snprintf(close, sizeof close, "]%.*s]", MIN(level, 40), "========================================");
    const char *end = strstr(s->p, close);
    skip_to(s, end ? end + strlen(close) : s->p + strlen(s->p));
}

static void skip_quoted(struct scanner *s) {
    char quote = *s->p++;

    while (*s->p && *s->p != quote && *s->p != '\n') {
        if (*s->p == '\\' && s->p[1]) {
            s->line += s->p[1] == '\n';
            s->p++;
        }
        s->p++;
    }
    s->p += *s->p == quote;
}

/* Skips what holds no tokens; false: there is a token here. */
static bool skip_inert(struct scanner *s) {
    if (s->p[0] == '-' && s->p[1] == '-') {
        int level = s->p[2] == '[' ? long_bracket(s->p + 2) : -1;
        if (level >= 0) {
            skip_long(s, level);
        } else {
            s->p += strcspn(s->p, "\n");
        }
        return true;
    }
    if (*s->p == '"' || *s->p == '\'') {
        skip_quoted(s);
        return true;
    }
    if (*s->p == '[' && long_bracket(s->p) >= 0) {
        skip_long(s, long_bracket(s->p));
        return true;
    }
    return false;
}

static bool is_word(char c) {
    return g_ascii_isalnum(c) || c == '_';
}

/* `key =` here, but not `key ==`? */
static bool is_key(const char *p, const char *key, size_t len) {
    if (strncmp(p, key, len) != 0 || is_word(p[len])) {
        return false;
    }
    p += len + strspn(p + len, " \t\r\n");
    return p[0] == '=' && p[1] != '=';
}

static void skip_word(struct scanner *s) {
    while (is_word(*s->p)) {
        s->p++;
    }
}

static void track_brackets(char c, int *depth) {
    *depth += strchr("{([", c) ? 1 : strchr("})]", c) ? -1 : 0;
}

/* Moves s to `key =` in the first table after its line; false if there is none. */
static bool find_key(struct scanner *s, const char *key) {
    size_t len = strlen(key);
    int depth = 0;
    bool inside = false;

    while (s->p && *s->p && (depth > 0 || !inside)) {
        if (skip_inert(s)) {
            continue;
        }
        if (is_word(*s->p)) {
            if (inside && is_key(s->p, key, len)) {
                return true;
            }
            skip_word(s);
            continue;
        }
        inside |= *s->p == '{';
        track_brackets(*s->p, &depth);
        s->line += *s->p++ == '\n';
    }
    return false;
}

/* At which line does `key =` stand? start: where `line` starts. */
static uint32_t key_line(const char *start, uint32_t line, const char *key) {
    struct scanner s = {start, line};

    return find_key(&s, key) ? s.line : line;
}

/* At which line of that key's value is one of Lua's own operators? 0: there is none. */
static uint32_t logic_line(const char *start, uint32_t line, const char *key) {
    static const char *const words[] = {"and", "or", "not"};
    struct scanner s = {start, line};
    int depth = 0;

    if (!find_key(&s, key)) {
        return 0;
    }
    while (*s.p && depth >= 0 && (depth > 0 || !strchr(",;", *s.p))) {
        if (skip_inert(&s)) {
            continue;
        }
        if (!is_word(*s.p)) {
            track_brackets(*s.p, &depth);
            s.line += *s.p++ == '\n';
            continue;
        }
        const char *word = s.p;
        skip_word(&s);
        if (s.p - word == 8 && strncmp(word, "function", 8) == 0) {
            return 0;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
            if ((size_t)(s.p - word) == strlen(words[i]) && strncmp(word, words[i], strlen(words[i])) == 0) {
                return s.line;
            }
        }
    }
    return 0;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

struct source {
    char *text;
    GPtrArray *lines; /* where each starts */
};

void config_source_free(void *data) {
    struct source *source = data;

    g_free(source->text);
    g_ptr_array_unref(source->lines);
    g_free(source);
}

static struct source *read_source(struct loader *loader, const char *file) {
    struct source *source = g_new0(struct source, 1);
    g_autofree char *path = g_build_filename(loader->folder, file, NULL);

    if (!g_file_get_contents(*file == '/' ? file : path, &source->text, NULL, NULL)) {
        source->text = g_strdup("");
    }
    source->lines = g_ptr_array_new();
    for (char *p = source->text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
        g_ptr_array_add(source->lines, p);
    }
    return source;
}

/* Where the line of a place starts; NULL if that is not known. */
static const char *find_line(struct loader *loader, const wire_place *place) {
    struct source *source = place->file ? g_hash_table_lookup(loader->sources, place->file) : NULL;

    if (place->file && !source) {
        source = read_source(loader, place->file);
        g_hash_table_insert(loader->sources, g_strdup(place->file), source);
    }
    return source && place->line && place->line <= source->lines->len ? source->lines->pdata[place->line - 1] : NULL;
}

uint32_t loader_logic_line(struct loader *loader, const wire_place *call, const char *key) {
    const char *start = find_line(loader, call);

    return start ? logic_line(start, call->line, key) : 0;
}

wire_place loader_key_place(struct loader *loader, const wire_place *call, const char *key) {
    const char *start = find_line(loader, call);

    return (wire_place){call->file, start ? key_line(start, call->line, key) : call->line};
}
