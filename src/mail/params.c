#include "view_priv.h"

#include "charset_priv.h"

#include <string.h>

#define PARAMS_MAX 256

static const char *skip_space(const char *p) {
    while (g_ascii_isspace(*p)) {
        p++;
    }
    return p;
}

/* Behind the comment that starts at p; the end of the value if it is never closed. */
static const char *skip_comment(const char *p) {
    unsigned depth = 0;

    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }
    }
    return p;
}

static const char *skip_filling(const char *p) {
    for (p = skip_space(p); *p == '(' || *p == ';'; p = skip_space(p)) {
        p = *p == '(' ? skip_comment(p) : p + 1;
    }
    return p;
}

static char *read_head(mail_arena *a, const char **at) {
    const char *p = *at;
    char *head = mail_arena_open(a, strlen(p) + 1);
    size_t n = 0;

    while (*p && *p != ';') {
        if (*p == '(') {
            p = skip_comment(p);
            continue;
        }
        if (g_ascii_isspace(*p)) { /* "text/plain charset=utf-8": the semicolon was forgotten */
            const char *next = skip_filling(p);
            if (n && head[n - 1] != '/' && *next != '/') {
                p = next;
                break;
            }
            p = next;
            continue;
        }
        head[n++] = g_ascii_tolower(*p++);
    }
    head[n] = '\0';
    mail_arena_close(a, n + 1);
    *at = p;
    return head;
}

static char *read_quoted(mail_arena *a, const char **at) {
    const char *p = *at + 1;
    char *value = mail_arena_open(a, strlen(p) + 1);
    size_t n = 0;

    while (*p && *p != '"') {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\')) {
            p++;
        }
        value[n++] = *p++;
    }
    value[n] = '\0';
    mail_arena_close(a, n + 1);
    *at = p + (*p == '"');
    return value;
}

/* An unquoted value goes to the semicolon, with the spaces that should have been quoted; a comment behind it is no part
 * of it, save in file names, where brackets are common. */
static char *read_bare(mail_arena *a, const char **at, bool file_name) {
    const char *start = *at, *p = start, *end;

    while (*p && *p != ';') {
        p++;
    }
    for (end = p; end > start && g_ascii_isspace(end[-1]); end--) {
    }
    if (!file_name) {
        for (const char *q = start; q < end; q++) {
            if (*q == '(' || g_ascii_isspace(*q)) {
                end = q;
            }
        }
    }
    *at = p;
    return mail_arena_strndup(a, start, (size_t)(end - start));
}

static bool read_param(mail_arena *a, const char **at, mail_param *out) {
    const char *p = *at, *start = p, *end;

    while (*p && *p != '=' && *p != ';') {
        p++;
    }
    if (*p != '=') {
        *at = p;
        return false;
    }
    for (end = p; end > start && g_ascii_isspace(end[-1]); end--) {
    }
    char *name = mail_arena_strndup(a, start, (size_t)(end - start));
    for (char *c = name; *c; c++) {
        *c = g_ascii_tolower(*c);
    }
    out->name = name;
    p = skip_space(p + 1);
    out->value = *p == '"' ? read_quoted(a, &p) : read_bare(a, &p, strstr(name, "name") != NULL);
    while (*p && *p != ';' && (g_ascii_isspace(*p) || *p == '(')) {
        p = skip_filling(p);
    }
    *at = p;
    return *name != '\0';
}

void params_parse(mail_arena *a, const char *value, struct params *out) {
    const char *p = skip_filling(value);
    size_t max = 1;

    *out = (struct params){.head = read_head(a, &p)};
    p = skip_filling(p);
    for (const char *q = p; *q && max < PARAMS_MAX; q++) {
        max += *q == '=';
    }
    out->list = mail_arena_alloc(a, max * sizeof *out->list);
    for (; *p && out->count < max; p = skip_filling(p)) {
        out->count += read_param(a, &p, &out->list[out->count]);
    }
}

/* --- RFC 2231 ----------------------------------------------------------------------------------------------------- */

static void append_percent(GString *out, const char *s) {
    for (; *s; s++) {
        if (*s == '%' && g_ascii_isxdigit(s[1]) && g_ascii_isxdigit(s[2])) {
            g_string_append_c(out, (char)(g_ascii_xdigit_value(s[1]) * 16 + g_ascii_xdigit_value(s[2])));
            s += 2;
        } else {
            g_string_append_c(out, *s);
        }
    }
}

/* Takes charset'language' off the front of an extended value. */
static const char *take_charset(const char *value, char *charset, size_t size) {
    const char *first = strchr(value, '\''), *second = first ? strchr(first + 1, '\'') : NULL;

    if (!second) {
        return value;
    }
    g_strlcpy(charset, value, MIN(size, (size_t)(first - value) + 1));
    return second + 1;
}

static const mail_param *find(const mail_param *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (g_ascii_strcasecmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

/* The number in "name*12" and "name*12*"; -1 if it is another name. */
static int piece_number(const char *param, const char *name, size_t n, bool *extended_out) {
    char *end;
    guint64 number;

    if (g_ascii_strncasecmp(param, name, n) != 0 || param[n] != '*' || !g_ascii_isdigit(param[n + 1])) {
        return -1;
    }
    number = g_ascii_strtoull(param + n + 1, &end, 10);
    *extended_out = *end == '*';
    return number < PARAMS_MAX ? (int)number : -1;
}

/* name*0, name*1*, ... up to the first gap. False if there is no name*0. */
static bool join_pieces(const mail_param *list, size_t count, const char *name, GString *bytes, char *charset,
                        size_t size) {
    struct {
        const char *value;
        bool extended;
    } pieces[PARAMS_MAX] = {{NULL, false}};
    size_t n = strlen(name);

    for (size_t i = 0; i < count; i++) {
        bool extended;
        int k = piece_number(list[i].name, name, n, &extended);
        if (k >= 0 && !pieces[k].value) {
            pieces[k].value = list[i].value;
            pieces[k].extended = extended;
        }
    }
    for (size_t i = 0; i < PARAMS_MAX && pieces[i].value; i++) {
        if (pieces[i].extended) {
            append_percent(bytes, i ? pieces[i].value : take_charset(pieces[i].value, charset, size));
        } else {
            g_string_append(bytes, pieces[i].value);
        }
    }
    return pieces[0].value != NULL;
}

const char *params_get(mail_arena *a, const mail_param *list, size_t count, const char *name) {
    char charset[64] = "", extended[80];
    GString *bytes = g_string_new(NULL), *text = g_string_new(NULL);
    const mail_param *p;
    char *value = NULL;

    g_snprintf(extended, sizeof extended, "%s*", name);
    count = MIN(count, PARAMS_MAX);
    if ((p = find(list, count, extended))) {
        append_percent(bytes, take_charset(p->value, charset, sizeof charset));
    } else if (!join_pieces(list, count, name, bytes, charset, sizeof charset)) {
        p = find(list, count, name);
        if (p) {
            value = charset_decode_header(p->value, strlen(p->value));
        }
    }
    if (bytes->len && !value) {
        charset_append(text, charset, bytes->str, bytes->len);
        value = strstr(text->str, "=?") ? charset_decode_header(text->str, text->len) : g_strdup(text->str);
    }
    const char *kept = mail_arena_strdup(a, value);
    g_free(value);
    g_string_free(bytes, TRUE);
    g_string_free(text, TRUE);
    return kept;
}
