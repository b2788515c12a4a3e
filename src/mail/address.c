/*
 * Address lists, read in one pass without recursion: a group's name or a nested group costs no stack, and every scan
 * ahead that fails once is not tried again, so a hostile list takes linear time.
 */
#include "view_priv.h"

#include "charset_priv.h"

#include <string.h>

struct reader {
    mail_arena *a;
    GArray *list;
    const char *p;
    GString *phrase;  /* what was read of this mailbox outside angle brackets, quotes removed */
    GString *comment; /* the last comment: the name of "user@host (Name)" */
    GString *spec;    /* the same as phrase, but with quotes and without comments: may turn out to be the address */
    bool after_angle; /* an address in brackets has just ended */
    bool in_literal;  /* inside [IPv6:...] */
    bool no_quote, no_angle; /* none closes in what is left */
    bool full;
};

char *mail_domain_normalize(const char *domain) {
    bool valid = g_utf8_validate(domain, -1, NULL); /* else g_hostname_to_ascii() reads past the end */
    char *lower = valid ? g_utf8_strdown(domain, -1) : g_ascii_strdown(domain, -1), *ascii;
    size_t n;

    for (n = strlen(lower); n && lower[n - 1] == '.'; n--) {
        lower[n - 1] = '\0';
    }
    if (!valid || n > 255 || !g_hostname_is_non_ascii(lower)) {
        return lower;
    }
    ascii = g_hostname_to_ascii(lower);
    if (ascii) {
        g_free(lower);
    }
    return ascii ? ascii : lower;
}

static const char *keep_utf8(struct reader *r, const char *s, size_t len) {
    GString *clean = g_string_sized_new(len + 1);
    const char *kept;

    charset_append(clean, NULL, s, len);
    kept = mail_arena_strndup(r->a, clean->str, clean->len);
    g_string_free(clean, TRUE);
    return kept;
}

/* Splits at the last @ outside quotes and takes out white space, comments, the route and quotes. */
static void split_spec(const char *spec, GString *local, GString *domain) {
    bool in_quotes = false;
    unsigned comment = 0;
    GString *to = local;

    for (const char *p = spec; *p; p++) {
        if (in_quotes && *p == '\\' && p[1]) {
            g_string_append_c(to, *++p);
        } else if (*p == '"') {
            in_quotes = !in_quotes;
        } else if (in_quotes) {
            g_string_append_c(to, *p);
        } else if (*p == '(' || (comment && *p == ')')) {
            comment += *p == '(' ? 1 : -1;
        } else if (comment || *p == '>') {
            continue;
        } else if (*p == '@') {
            if (domain->len) { /* a further one: what looked like the domain belongs to the local part */
                g_string_append_c(local, '@');
                g_string_append_len(local, domain->str, (gssize)domain->len);
            }
            g_string_truncate(domain, 0);
            to = domain;
        } else if (!g_ascii_isspace(*p) && !g_ascii_iscntrl(*p)) {
            g_string_append_c(to, *p);
        }
    }
}

static char *read_name(struct reader *r, GString *raw) {
    char *decoded = charset_decode_header(raw->str, raw->len);
    size_t n = 0;

    for (char *p = decoded; *p; p++) { /* runs of white space to one space */
        bool space = g_ascii_isspace(*p);
        if (!space || (n && decoded[n - 1] != ' ')) {
            decoded[n++] = space ? ' ' : *p;
        }
    }
    decoded[n] = '\0';
    char *kept = mail_arena_strdup(r->a, decoded);
    g_free(decoded);
    return kept;
}

/* local@domain with the local part in quotes where it must be, so that it can never be read as more than one
 * address. */
static const char *join_spec(mail_arena *a, const char *local, const char *domain) {
    bool quote = !*local || strpbrk(local, " \t\"\\()<>[]:;@,");
    GString *spec = g_string_new(quote ? "\"" : "");

    for (const char *p = local; *p; p++) {
        if (*p == '"' || *p == '\\') {
            g_string_append_c(spec, '\\');
        }
        g_string_append_c(spec, *p);
    }
    g_string_append_printf(spec, "%s@%s", quote ? "\"" : "", domain);
    const char *kept = mail_arena_strndup(a, spec->str, spec->len);
    g_string_free(spec, TRUE);
    return kept;
}

static void add(struct reader *r, GString *name, const char *spec) {
    GString *local = g_string_new(NULL), *domain = g_string_new(NULL);
    mail_address address = {0};

    if (g_ascii_strncasecmp(spec, "mailto:", 7) == 0) {
        spec += 7;
    }
    split_spec(spec, local, domain);
    char *normal = mail_domain_normalize(domain->str);
    address.name = read_name(r, name);
    address.local = keep_utf8(r, local->str, local->len);
    address.domain = keep_utf8(r, normal, strlen(normal));
    address.address = *address.domain ? join_spec(r->a, address.local, address.domain) : address.local;
    g_free(normal);
    g_string_free(local, TRUE);
    g_string_free(domain, TRUE);
    if (r->list->len >= LIMIT_MIME_ADDRESSES) {
        r->full = true;
        return;
    }
    g_array_append_val(r->list, address);
}

static void clear(struct reader *r) {
    g_string_truncate(r->phrase, 0);
    g_string_truncate(r->comment, 0);
    g_string_truncate(r->spec, 0);
    r->after_angle = r->in_literal = false;
}

static bool is_blank(const GString *s) {
    return s->str[strspn(s->str, " \t")] == '\0';
}

/* "a@x b@y": the comma was forgotten. False if the words are not all addresses. */
static bool add_each(struct reader *r, const char *words) {
    char **list = g_strsplit_set(words, " \t", -1);
    bool all = true;
    guint n = 0;

    for (char **w = list; *w && all; w++) {
        const char *at = strchr(*w, '@');
        all = !**w || (at && at > *w && at[1]);
        n += all && **w;
    }
    for (char **w = list; *w && all && n > 1; w++) {
        if (**w) {
            add(r, r->comment, *w);
        }
    }
    g_strfreev(list);
    return all && n > 1;
}

/* A mailbox without angle brackets ends here: "user@host (Name)", "root", or words that name nobody's address. */
static void end_plain(struct reader *r) {
    if (!is_blank(r->spec) && !(r->after_angle && !strchr(r->spec->str, '@'))) {
        char *trimmed = g_strstrip(g_strdup(r->spec->str));
        bool words = !strchr(trimmed, '@') && strpbrk(trimmed, " \t");
        if (words || strncmp(trimmed, "=?", 2) == 0) {
            add(r, r->phrase, "");
        } else if (!strpbrk(trimmed, " \t") || strchr(trimmed, '"') || !add_each(r, trimmed)) {
            add(r, r->comment, trimmed);
        }
        g_free(trimmed);
    }
    clear(r);
}

static void read_comment(struct reader *r) {
    unsigned depth = 0;

    g_string_truncate(r->comment, 0);
    for (; *r->p; r->p++) {
        if (*r->p == '\\' && r->p[1]) {
            r->p++;
        } else if (*r->p == '(' && depth++ == 0) {
            continue;
        } else if (*r->p == ')' && --depth == 0) {
            r->p++;
            break;
        }
        g_string_append_c(r->comment, *r->p);
    }
    g_string_append_c(r->phrase, ' ');
}

/* A quote that is never closed is a character like any other. */
static void read_quoted(struct reader *r) {
    const char *q = r->p + 1;

    while (!r->no_quote && *q && *q != '"') {
        q += *q == '\\' && q[1] ? 2 : 1;
    }
    if (r->no_quote || !*q) {
        r->no_quote = true;
        g_string_append_c(r->phrase, *r->p++);
        return;
    }
    g_string_append_len(r->spec, r->p, q + 1 - r->p);
    for (const char *c = r->p + 1; c < q; c++) {
        c += *c == '\\';
        g_string_append_c(r->phrase, *c);
    }
    r->p = q + 1;
}

/* One that is never closed goes to the next comma. */
static void read_angle(struct reader *r) {
    const char *start = r->p + 1 + strspn(r->p + 1, "< \t"), *end = r->no_angle ? NULL : strchr(start, '>');

    if (!end) {
        r->no_angle = true;
        end = start + strcspn(start, ",;");
    }
    char *spec = g_strndup(start, (gsize)(end - start));
    char *route = *spec == '@' ? strchr(spec, ':') : NULL; /* "@relay,@relay2:user@host" */
    char *group = strchr(spec, ':');
    if (!group || !strchr(group, ';')) { /* "<Undisclosed-Recipient:;>" is nobody */
        add(r, is_blank(r->phrase) ? r->comment : r->phrase, route ? route + 1 : spec);
    }
    g_free(spec);
    clear(r);
    r->after_angle = true;
    r->p = *end == '>' ? end + 1 : end;
}

/* "Doe, John <j@x>": a comma that should have been quoted, with no address before it and one in brackets behind. */
static bool comma_belongs_to_name(const struct reader *r) {
    const char *next;

    if (r->after_angle || is_blank(r->spec) || strchr(r->spec->str, '@')) {
        return false;
    }
    next = strpbrk(r->p + 1, "<,;:@\"(");
    return next && *next == '<';
}

static void read_char(struct reader *r) {
    r->in_literal = *r->p == '[' || (r->in_literal && *r->p != ']');
    g_string_append_c(r->phrase, *r->p);
    g_string_append_c(r->spec, *r->p);
    r->p++;
}

static bool follows_mailto(const struct reader *r) {
    return r->spec->len >= 6 && g_ascii_strcasecmp(r->spec->str + r->spec->len - 6, "mailto") == 0;
}

static void read_one(struct reader *r) {
    switch (*r->p) {
    case '"':
        read_quoted(r);
        break;
    case '(':
        read_comment(r);
        break;
    case '<':
        read_angle(r);
        break;
    case ',':
        if (comma_belongs_to_name(r)) {
            read_char(r);
            break;
        }
        /* fall through */
    case ';':
        end_plain(r);
        r->p++;
        break;
    case ':': /* a group's name; also in front of what pretends to be one */
        if (r->in_literal || follows_mailto(r)) {
            read_char(r);
            break;
        }
        clear(r);
        r->p++;
        break;
    default:
        read_char(r);
    }
}

bool addresses_parse(mail_arena *a, const char *value, GArray *list) {
    struct reader r = {.a = a, .list = list, .p = value};

    r.phrase = g_string_new(NULL);
    r.comment = g_string_new(NULL);
    r.spec = g_string_new(NULL);
    while (*r.p && !r.full) {
        read_one(&r);
    }
    if (!r.full) {
        end_plain(&r);
    }
    g_string_free(r.phrase, TRUE);
    g_string_free(r.comment, TRUE);
    g_string_free(r.spec, TRUE);
    return !r.full;
}
