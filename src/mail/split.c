/*
 * Splits a raw message into its parts in one pass: every line that starts with two dashes is compared with the open
 * boundaries, the innermost first. Nothing is copied, so memory follows the number of parts (LIMIT_MIME_PARTS), and
 * time the length of the message. What cannot be split is one part.
 */
#include "view_priv.h"

#include <string.h>

struct open_boundary {
    size_t part;
    const char *boundary;
    size_t len;
};

struct splitter {
    mail_view *view;
    GArray *parts; /* struct part */
    struct open_boundary open[LIMIT_MIME_DEPTH + 1];
    size_t depth; /* of open */
    const char *p, *end;
    int current; /* the innermost part whose body is not over */
};

struct delimiter {
    const char *start, *next; /* the line, and what follows it */
    size_t level;             /* in open */
    bool closes;
};

static struct part *part_at(struct splitter *s, int i) {
    return &g_array_index(s->parts, struct part, i);
}

static bool match_line(const struct splitter *s, const char *line, struct delimiter *out) {
    const char *lf = memchr(line, '\n', (size_t)(s->end - line));
    const char *next = lf ? lf + 1 : s->end, *stop = next;

    while (stop > line && g_ascii_isspace(stop[-1])) {
        stop--;
    }
    for (size_t i = s->depth; i-- > 0;) {
        const struct open_boundary *b = &s->open[i];
        size_t rest = stop > line + 2 ? (size_t)(stop - line) : 0;
        if (rest < b->len + 2 || line[2] != *b->boundary || memcmp(line + 2, b->boundary, b->len) != 0) {
            continue;
        }
        rest -= b->len + 2;
        bool closes = rest == 2 && memcmp(stop - 2, "--", 2) == 0;
        if (rest == 0 || closes) {
            *out = (struct delimiter){.start = line, .next = next, .level = i, .closes = closes};
            return true;
        }
    }
    return false;
}

static bool find_delimiter(const struct splitter *s, const char *from, struct delimiter *out) {
    const char *line = from;

    if (!s->depth) {
        return false;
    }
    while (line && s->end - line >= 2) {
        if (line[0] == '-' && line[1] == '-' && match_line(s, line, out)) {
            return true;
        }
        line = memmem(line, (size_t)(s->end - line), "\n--", 3);
        line = line ? line + 1 : NULL;
    }
    return false;
}

/* The end of a part's header, which a delimiter may cut short. */
static const char *entity_header_end(const struct splitter *s) {
    const char *line = s->p;
    struct delimiter d;

    while (line < s->end && !line_is_blank(line, s->end)) {
        if (s->depth && s->end - line >= 2 && line[0] == '-' && line[1] == '-' && match_line(s, line, &d)) {
            return line;
        }
        line = line_next(line, s->end);
    }
    return line_next(line, s->end);
}

static bool is_identity(const char *encoding) {
    return strcmp(encoding, "base64") != 0 && strcmp(encoding, "quoted-printable") != 0 &&
           !strstr(encoding, "uuencode");
}

static size_t add_part(struct splitter *s, struct part *part) {
    part->body = s->p;
    part->has_body = true;
    part->parent = s->current;
    part->pub.depth = s->current < 0 ? 0 : part_at(s, s->current)->pub.depth + 1;
    g_array_append_val(s->parts, *part);
    s->current = (int)s->parts->len - 1;
    return s->parts->len - 1;
}

static bool has_room(struct splitter *s) {
    if (s->parts->len < LIMIT_MIME_PARTS && part_at(s, s->current)->pub.depth < LIMIT_MIME_DEPTH) {
        return true;
    }
    s->view->problems |= MAIL_TOO_COMPLEX;
    return false;
}

static void push_boundary(struct splitter *s, size_t i) {
    const struct part *part = part_at(s, (int)i);
    const char *boundary = NULL;
    size_t len;

    for (size_t k = 0; k < part->pub.param_count && !boundary; k++) {
        boundary = strcmp(part->pub.params[k].name, "boundary") == 0 ? part->pub.params[k].value : NULL;
    }
    if (!boundary) {
        boundary = params_get(&s->view->memory, part->pub.params, part->pub.param_count, "boundary");
    }
    len = boundary ? strlen(boundary) : 0;
    while (len && g_ascii_isspace(boundary[len - 1])) {
        len--;
    }
    if (len && has_room(s)) {
        s->open[s->depth++] = (struct open_boundary){i, boundary, len};
    }
}

/* Reads the entity that starts at p, and the enclosed message's header if it is one, and its, and so on. */
static void read_entity(struct splitter *s) {
    for (;;) {
        bool digest = s->current >= 0 && part_is(part_at(s, s->current), "multipart", "digest");
        const char *body = entity_header_end(s);
        struct part part = {0};

        part_read_header(s->view, &part, s->p, (size_t)(body - s->p), digest);
        s->p = body;
        size_t i = add_part(s, &part);
        if (part_is(&part, "multipart", NULL)) {
            push_boundary(s, i);
            return;
        }
        if (!part_is(&part, "message", "rfc822") || !is_identity(part.pub.encoding) || !has_room(s)) {
            return;
        }
    }
}

static void read_root(struct splitter *s, const char *body) {
    mail_view *view = s->view;
    struct part part = {0};

    if (!view->fields->len) {
        part_read_header(view, &part, "", 0, false);
        s->p = body;
        add_part(s, &part);
        return;
    }
    s->p = body;
    read_entity(s);
}

/* Everything open inside parts[outer] (-1: all) ends at end. */
static void close_parts(struct splitter *s, int outer, const char *end, bool truncated) {
    while (s->current != outer) {
        struct part *part = part_at(s, s->current);
        part->body_len = end > part->body ? (size_t)(end - part->body) : 0;
        part->pub.size = part->body_len;
        part->truncated = truncated;
        s->current = part->parent;
    }
}

/* The line break before a delimiter belongs to it. */
static const char *before(const char *delimiter, const char *start) {
    if (delimiter > start && delimiter[-1] == '\n') {
        delimiter--;
        if (delimiter > start && delimiter[-1] == '\r') {
            delimiter--;
        }
    }
    return delimiter;
}

static void name_sections(mail_view *view, struct tree *tree) {
    unsigned children[LIMIT_MIME_PARTS] = {0};

    for (size_t i = 0; i < tree->count; i++) {
        struct part *part = &tree->parts[i], *parent = part->parent < 0 ? NULL : &tree->parts[part->parent];
        bool multipart = part_is(part, "multipart", NULL);
        char *name;

        if (!parent) {
            name = g_strdup(multipart ? "" : "1");
        } else if (part_is(parent, "message", "rfc822")) {
            name = g_strconcat(parent->pub.section, multipart ? ".TEXT" : ".1", NULL);
        } else {
            const char *prefix = parent->pub.section;
            size_t n = strlen(prefix) - (g_str_has_suffix(prefix, ".TEXT") ? 5 : 0);
            name = g_strdup_printf("%.*s%s%u", (int)n, prefix, n ? "." : "", ++children[part->parent]);
        }
        part->pub.section = mail_arena_strdup(&view->memory, name);
        g_free(name);
    }
}

void split_message(mail_view *view, const char *bytes, size_t len) {
    struct splitter s = {.view = view, .p = bytes, .end = bytes + len, .current = -1};
    struct delimiter d;
    struct tree *tree = &view->tree;

    s.parts = g_array_new(FALSE, TRUE, sizeof(struct part));
    read_root(&s, bytes);
    while (find_delimiter(&s, s.p, &d)) {
        int multipart = (int)s.open[d.level].part;
        close_parts(&s, multipart, before(d.start, s.p), false);
        s.p = d.next;
        s.depth = d.level + !d.closes;
        if (!d.closes) {
            if (!has_room(&s)) {
                s.end = d.start;
                break;
            }
            read_entity(&s);
        }
    }
    close_parts(&s, -1, s.end, view->raw_truncated);
    *tree = (struct tree){.count = s.parts->len, .from_raw = true};
    tree->parts = mail_arena_alloc(&view->memory, tree->count * sizeof *tree->parts);
    memcpy(tree->parts, s.parts->data, tree->count * sizeof *tree->parts);
    g_array_free(s.parts, TRUE);
    name_sections(view, tree);
}
