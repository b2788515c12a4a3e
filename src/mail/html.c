#include "html_priv.h"

#include <string.h>

#define QUOTE_MAX 10
#define LINK_MAX 2000

struct writer {
    const char *p, *end;
    GString *out;
    gsize start; /* of this document in out */
    size_t limit;
    unsigned newlines; /* to write before the next character */
    bool space;        /* likewise */
    unsigned quote, line_quote; /* depth now, and of the line last written */
    unsigned pre;
    unsigned lists;
    char *link; /* of the open <a>, NULL = none worth showing */
    gsize link_start;
};

struct tag {
    char name[16]; /* lower case; "" if longer */
    bool closes;
    const char *href, *alt; /* into the source, NULL = absent */
    size_t href_len, alt_len;
};

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void start_line(struct writer *w) {
    for (unsigned i = 0; i < w->quote; i++) {
        g_string_append_c(w->out, '>');
    }
    if (w->quote) {
        g_string_append_c(w->out, ' ');
    }
    w->line_quote = w->quote;
}

/* Takes back a line that holds nothing but hard spaces. True if there was one: it stands for an empty line. */
static bool trim_line(struct writer *w) {
    gsize n = w->out->len;

    while (n > w->start && w->out->str[n - 1] == ' ') {
        n--;
    }
    bool empty = n < w->out->len && (n == w->start || w->out->str[n - 1] == '\n');
    while (empty && n > w->start && w->out->str[n - 1] == '\n') {
        n--;
    }
    g_string_truncate(w->out, n);
    return empty;
}

static void write_newlines(struct writer *w) {
    unsigned common = MIN(w->quote, w->line_quote);

    if (trim_line(w)) {
        w->newlines = MAX(w->newlines, 2);
    }
    for (unsigned i = 0; w->out->len > w->start && i < w->newlines; i++) {
        g_string_append_c(w->out, '\n');
        for (unsigned q = 0; i + 1 < w->newlines && q < common; q++) {
            g_string_append_c(w->out, '>');
        }
    }
    w->newlines = 0;
}

/* Writes what is due before a character. */
static void settle(struct writer *w) {
    if (w->out->len == w->start || w->newlines) {
        write_newlines(w);
        start_line(w);
    } else if (w->space) {
        g_string_append_c(w->out, ' ');
    }
    w->newlines = 0;
    w->space = false;
}

static void break_line(struct writer *w, unsigned newlines) {
    w->newlines = MAX(w->newlines, newlines);
    w->space = false;
}

static void one_more_line(struct writer *w) {
    w->newlines = MIN(w->newlines + 1, 3);
    w->space = false;
}

static bool is_invisible(gunichar c) {
    return c == 0xad || c == 0x34f || c == 0x200b || c == 0x2060 || c == 0xfeff;
}

static void write_char(struct writer *w, gunichar c) {
    if (c == '\n' && w->pre) {
        one_more_line(w);
    } else if (c < 0x80 && g_ascii_isspace((char)c) && !w->pre) {
        w->space = true;
    } else if (!is_invisible(c)) {
        settle(w);
        g_string_append_unichar(w->out, c == 0xa0 ? ' ' : c);
    }
}

/* --- character references ----------------------------------------------------------------------------------------- */

static gunichar sane(gint64 code) {
    static const guint16 windows[32] = {
        0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
    };

    if (code >= 0x80 && code < 0xa0) {
        return windows[code - 0x80];
    }
    return code > 0 && code <= 0x10ffff && g_unichar_validate((gunichar)code) ? (gunichar)code : 0xfffd;
}

static gunichar read_number(const char *p, const char *end, const char **after_out) {
    unsigned base = p < end && (*p == 'x' || *p == 'X') ? 16 : 10;
    gint64 code = 0;
    const char *digits = p + (base == 16);

    for (p = digits; p < end && g_ascii_isxdigit(*p) && (base == 16 || g_ascii_isdigit(*p)); p++) {
        code = MIN(code * base + g_ascii_xdigit_value(*p), 0x110000);
    }
    if (p == digits) {
        return 0;
    }
    *after_out = p + (p < end && *p == ';');
    return sane(code);
}

/* At an ampersand: the character it stands for, or 0 if it is only an ampersand. */
static gunichar read_reference(const char *p, const char *end, const char **after_out) {
    const char *name = ++p;
    gunichar c;

    if (p < end && *p == '#') {
        return read_number(p + 1, end, after_out);
    }
    while (p < end && g_ascii_isalnum(*p) && p - name < 10) {
        p++;
    }
    c = html_entity(name, (size_t)(p - name));
    *after_out = p + (p < end && *p == ';');
    return c;
}

/* Appends html with its character references replaced. */
static void append_unescaped(GString *out, const char *html, size_t len) {
    const char *end = html + len;

    while (html < end) {
        const char *ampersand = memchr(html, '&', (size_t)(end - html)), *after;
        gunichar c;
        g_string_append_len(out, html, (ampersand ? ampersand : end) - html);
        if (!ampersand) {
            return;
        }
        c = read_reference(ampersand, end, &after);
        html = c ? after : ampersand + 1;
        g_string_append_unichar(out, c ? c : '&');
    }
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

static const char *skip_space(const char *p, const char *end) {
    while (p < end && (g_ascii_isspace(*p) || *p == '/')) {
        p++;
    }
    return p;
}

/* Reads name[=value] and stores href and alt; an open quote swallows the rest, as browsers have it. */
static const char *read_attribute(const char *p, const char *end, struct tag *tag) {
    const char *name = p, *value = NULL;
    size_t name_len, len = 0;

    while (p < end && !g_ascii_isspace(*p) && *p != '=' && *p != '>' && *p != '/') {
        p++;
    }
    p += p == name; /* a stray "=" is a name of its own */
    name_len = (size_t)(p - name);
    while (p < end && g_ascii_isspace(*p)) {
        p++;
    }
    if (p < end && *p == '=') {
        for (p++; p < end && g_ascii_isspace(*p); p++) {
        }
        if (p < end && (*p == '"' || *p == '\'')) {
            value = p + 1;
            p = memchr(value, *p, (size_t)(end - value));
            len = (size_t)((p ? p : end) - value);
            p = p ? p + 1 : end;
        } else {
            for (value = p; p < end && !g_ascii_isspace(*p) && *p != '>'; p++) {
            }
            len = (size_t)(p - value);
        }
    }
    if (value && name_len == 4 && g_ascii_strncasecmp(name, "href", 4) == 0) {
        tag->href = value;
        tag->href_len = len;
    } else if (value && name_len == 3 && g_ascii_strncasecmp(name, "alt", 3) == 0) {
        tag->alt = value;
        tag->alt_len = len;
    }
    return p;
}

/* At "<": false if this is no tag. Moves p behind it. */
static bool read_tag(struct writer *w, struct tag *tag) {
    const char *p = w->p + 1;
    size_t n = 0;

    *tag = (struct tag){0};
    tag->closes = p < w->end && *p == '/';
    p += tag->closes;
    if (p == w->end || !g_ascii_isalpha(*p)) {
        return false;
    }
    while (p < w->end && !g_ascii_isspace(*p) && *p != '>' && *p != '/') {
        if (n + 1 < sizeof tag->name) {
            tag->name[n] = g_ascii_tolower(*p);
        }
        n++;
        p++;
    }
    tag->name[n < sizeof tag->name ? n : 0] = '\0';
    for (p = skip_space(p, w->end); p < w->end && *p != '>'; p = skip_space(p, w->end)) {
        p = read_attribute(p, w->end, tag);
    }
    w->p = p < w->end ? p + 1 : p;
    return true;
}

/* <!-- -->, <!doctype>, <![if]>, <?xml ?> */
static bool skip_declaration(struct writer *w) {
    const char *p = w->p + 1, *close;
    size_t left = (size_t)(w->end - w->p);

    if (left < 2 || (*p != '!' && *p != '?')) {
        return false;
    }
    if (left >= 4 && memcmp(p, "!--", 3) == 0) {
        close = memmem(p + 1, left - 2, "-->", 3);
        w->p = close ? close + 3 : w->end;
    } else {
        close = memchr(p, '>', left - 1);
        w->p = close ? close + 1 : w->end;
    }
    return true;
}

/* Behind an opening tag whose content is no text: moves p to its closing tag. */
static void skip_content(struct writer *w, const char *name) {
    size_t n = strlen(name);
    const char *p = w->p;

    while ((p = memchr(p, '<', (size_t)(w->end - p)))) {
        if ((size_t)(w->end - p) > n + 1 && p[1] == '/' && g_ascii_strncasecmp(p + 2, name, n) == 0) {
            w->p = p;
            return;
        }
        p++;
    }
    w->p = w->end;
}

/* --- elements ----------------------------------------------------------------------------------------------------- */

enum kind { INLINE, LINE, PARAGRAPH, CELL, BREAK, RULE, ITEM, LISTS, QUOTE, PRE, LINK, IMAGE, DROPPED };

static enum kind kind_of(const char *name) {
    static const struct {
        const char *name;
        enum kind kind;
    } kinds[] = {
        {"div", LINE},       {"br", BREAK},          {"p", PARAGRAPH},     {"a", LINK},          {"td", CELL},
        {"tr", LINE},        {"table", LINE},        {"li", ITEM},         {"ul", LISTS},        {"ol", LISTS},
        {"img", IMAGE},      {"blockquote", QUOTE},  {"pre", PRE},         {"hr", RULE},         {"h1", PARAGRAPH},
        {"h2", PARAGRAPH},   {"h3", PARAGRAPH},      {"h4", PARAGRAPH},    {"h5", PARAGRAPH},    {"h6", PARAGRAPH},
        {"style", DROPPED},  {"script", DROPPED},    {"title", DROPPED},   {"th", CELL},         {"caption", LINE},
        {"section", LINE},   {"article", LINE},      {"header", LINE},     {"footer", LINE},     {"nav", LINE},
        {"main", LINE},      {"aside", LINE},        {"address", LINE},    {"center", LINE},     {"form", LINE},
        {"fieldset", LINE},  {"legend", LINE},       {"figure", LINE},     {"figcaption", LINE}, {"dl", PARAGRAPH},
        {"dt", LINE},        {"dd", LINE},           {"option", LINE},     {"details", LINE},    {"summary", LINE},
        {"template", DROPPED}, {"noembed", DROPPED}, {"noframes", DROPPED}, {"iframe", DROPPED}, {"textarea", LINE},
        {"body", LINE},      {"listing", PRE},       {"xmp", PRE},         {"marquee", LINE},    {"tbody", LINE},
        {"thead", LINE},     {"tfoot", LINE},        {"menu", LISTS},      {"dir", LISTS},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            return kinds[i].kind;
        }
    }
    return INLINE;
}

static const char *without_scheme(const char *url) {
    const char *colon = strstr(url, "://");

    return colon ? colon + 3 : url;
}

static bool same_address(const char *text, const char *url) {
    size_t n = strlen(without_scheme(url));
    const char *bare = without_scheme(url);

    while (*text == ' ') {
        text++;
    }
    text = without_scheme(text);
    n -= n && bare[n - 1] == '/';
    return strncmp(text, bare, n) == 0 && strspn(text + n, "/ ") == strlen(text + n);
}

static void close_link(struct writer *w) {
    if (w->link && w->out->len > w->link_start && !same_address(w->out->str + w->link_start, w->link)) {
        g_string_append_printf(w->out, " <%s>", w->link);
    }
    g_clear_pointer(&w->link, g_free);
}

static void open_link(struct writer *w, const struct tag *tag) {
    static const char *const schemes[] = {"http://", "https://", "ftp://"};
    GString *url;

    close_link(w);
    if (!tag->href || tag->href_len > LINK_MAX) {
        return;
    }
    url = g_string_new(NULL);
    append_unescaped(url, tag->href, tag->href_len);
    g_strstrip(url->str);
    for (char *p = url->str; *p; p++) {
        *p = g_ascii_iscntrl(*p) || *p == ' ' ? '_' : *p;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(schemes) && !w->link; i++) {
        if (g_ascii_strncasecmp(url->str, schemes[i], strlen(schemes[i])) == 0) {
            w->link = g_strdup(url->str);
        }
    }
    g_string_free(url, TRUE);
    w->link_start = w->out->len;
}

static void write_escaped(struct writer *w, const char *text, size_t len) {
    GString *plain = g_string_new(NULL);

    append_unescaped(plain, text, len);
    for (const char *p = plain->str; *p; p = g_utf8_next_char(p)) {
        write_char(w, g_utf8_get_char(p));
    }
    g_string_free(plain, TRUE);
}

static void change(unsigned *depth, bool closes, unsigned max) {
    if (closes) {
        *depth -= *depth > 0;
    } else {
        *depth += *depth < max;
    }
}

static void handle_tag(struct writer *w, const struct tag *tag) {
    switch (kind_of(tag->name)) {
    case LINE:
        break_line(w, 1);
        break;
    case PARAGRAPH:
        break_line(w, 2);
        break;
    case CELL:
        w->space = true;
        break;
    case BREAK:
        one_more_line(w);
        break;
    case RULE:
        break_line(w, 1);
        settle(w);
        g_string_append(w->out, "--------------------");
        break_line(w, 1);
        break;
    case ITEM:
        break_line(w, 1);
        if (!tag->closes) {
            settle(w);
            g_string_append(w->out, "* ");
        }
        break;
    case LISTS:
        change(&w->lists, tag->closes, QUOTE_MAX);
        break_line(w, w->lists + tag->closes > 1 ? 1 : 2);
        break;
    case QUOTE:
        break_line(w, 2);
        change(&w->quote, tag->closes, QUOTE_MAX);
        break;
    case PRE:
        break_line(w, 1);
        change(&w->pre, tag->closes, QUOTE_MAX);
        break;
    case LINK:
        if (tag->closes) {
            close_link(w);
        } else {
            open_link(w, tag);
        }
        break;
    case IMAGE:
        if (tag->alt) {
            write_escaped(w, tag->alt, tag->alt_len);
        }
        break;
    case DROPPED:
        if (!tag->closes) {
            skip_content(w, tag->name);
        }
        break;
    case INLINE:
        break;
    }
}

static void write_text(struct writer *w) {
    const char *after;
    gunichar c;

    if (*w->p == '&' && (c = read_reference(w->p, w->end, &after))) {
        write_char(w, c);
        w->p = after;
        return;
    }
    c = g_utf8_get_char_validated(w->p, w->end - w->p);
    if (c == 0 || c >= (gunichar)-2) {
        w->p++;
        c = 0xfffd;
    } else {
        w->p = g_utf8_next_char(w->p);
    }
    write_char(w, c);
}

bool html_to_text(const char *html, size_t len, size_t limit, GString *out) {
    struct writer w = {.p = html, .end = html + len, .out = out, .start = out->len, .limit = limit};
    struct tag tag;

    while (w.p < w.end && out->len < limit) {
        if (*w.p != '<') {
            write_text(&w);
        } else if (read_tag(&w, &tag)) {
            handle_tag(&w, &tag);
        } else if (!skip_declaration(&w)) {
            write_text(&w);
        }
    }
    close_link(&w);
    trim_line(&w);
    if (out->len > w.start) {
        g_string_append_c(out, '\n');
    }
    return w.p == w.end;
}
