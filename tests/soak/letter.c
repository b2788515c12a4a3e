#include "tests/soak/soak.h"

#include <string.h>
#include <time.h>

#define BOUNDARY "=-soak-boundary"

static const char *const names[KINDS] = {
    "move", "flag", "copy", "hook", "body", "attachment", "lua", "junk", "delete", "none", "list",
};

const char *kind_name(enum kind kind) {
    return names[kind];
}

letter *letter_new(soak *s, account *to, enum kind kind) {
    letter *l = g_new0(letter, 1);

    l->kind = kind;
    l->to = to;
    l->at = s->now;
    g_ptr_array_add(s->letters, l);
    l->id = s->letters->len;
    return l;
}

/* --- what shall become of it -------------------------------------------------------------------------------------- */

const char *letter_home(const letter *l, uint32_t *flags_out, const char **second_out) {
    static const struct {
        const char *folder, *second;
        uint32_t flags;
    } homes[KINDS] = {
        [KIND_MOVE] = {"Moved", NULL, 0},
        [KIND_FLAG] = {"INBOX", NULL, FLAG_FLAGGED | FLAG_KEYWORD},
        [KIND_COPY] = {"INBOX", "Copies", FLAG_SEEN},
        [KIND_HOOK] = {"Tickets", NULL, 0},
        [KIND_BODY] = {"Body", NULL, FLAG_FLAGGED},
        [KIND_ATTACHMENT] = {"Invoices", NULL, 0},
        [KIND_JUNK] = {"Spam", NULL, 0},
        [KIND_DELETE] = {"Bin", NULL, 0},
        [KIND_NONE] = {"INBOX", NULL, 0},
        [KIND_LIST] = {"Lists-Done", NULL, FLAG_SEEN},
    };
    static const char *const lua[] = {"Lua/0", "Lua/1", "Lua/2"};

    bool roles = l->to->server->provider->roles;

    *second_out = homes[l->kind].second;
    *flags_out = homes[l->kind].flags;
    if (l->kind == KIND_LUA) {
        return lua[l->id % G_N_ELEMENTS(lua)];
    }
    if (!roles && l->kind == KIND_DELETE) {
        return NULL; /* without a folder for that it is removed for good */
    }
    return !roles && l->kind == KIND_JUNK ? "Junk" : homes[l->kind].folder;
}

/* --- what it is --------------------------------------------------------------------------------------------------- */

struct part {
    const char *type, *subtype, *encoding, *name;
    GString *content;
};

struct form {
    const char *multipart; /* NULL: a single part */
    struct part parts[2];
    unsigned n;
};

static bool holds_needle(const letter *l) {
    return l->kind == KIND_BODY;
}

static GString *make_text(const letter *l, bool html) {
    GString *text = g_string_new(html ? "<html><body><p>" : "");

    g_string_append_printf(text, "Letter %u.\r\n", l->id);
    for (unsigned i = 0; i < l->id * 7 % 23; i++) {
        g_string_append_printf(text, "Line %u says secret-of-the-body and nothing else that matters to anybody.\r\n",
                               i);
    }
    g_string_append(text, holds_needle(l) ? "Here is the needle.\r\n" : "Here is hay.\r\n");
    g_string_append(text, html ? "</p></body></html>\r\n" : "");
    return text;
}

static void add_part(struct form *f, const char *type, const char *subtype, const char *encoding, GString *content) {
    f->parts[f->n++] = (struct part){type, subtype, encoding, NULL, content};
}

static GString *make_document(const letter *l) {
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < 20 + l->id % 40; i++) {
        g_string_append(text, "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSPj4KJVBERi0xLjQK\r\n");
    }
    return text;
}

static void form_init(struct form *f, const letter *l) {
    *f = (struct form){0};
    add_part(f, "text", "plain", "7bit", make_text(l, false));
    if (l->kind == KIND_ATTACHMENT) {
        f->multipart = "mixed";
        add_part(f, "application", "pdf", "base64", make_document(l));
        f->parts[1].name = "bill.pdf";
    } else if (l->id % 3 == 0) {
        f->multipart = "alternative";
        add_part(f, "text", "html", "7bit", make_text(l, true));
    }
}

static void form_release(struct form *f) {
    for (unsigned i = 0; i < f->n; i++) {
        g_string_free(f->parts[i].content, TRUE);
    }
}

static void add_head(const soak *s, const letter *l, const struct form *f, GString *out) {
    time_t at = (time_t)((s->wall + l->at) / 1000);
    char date[64];
    struct tm tm;

    gmtime_r(&at, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    g_string_append_printf(out,
                           "Received: from relay.example.net by mx.example.com with ESMTPS id s%u; %s\r\n"
                           "From: \"Sender %u\" <sender%u@example.net>\r\nTo: %s@example.com\r\n"
                           "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= number %u\r\nMessage-ID: <%u@soak>\r\nDate: %s\r\n"
                           "X-Soak: %s\r\nMIME-Version: 1.0\r\n",
                           l->id, date, l->id % 50, l->id % 50, l->to->name, l->id, l->id, date, names[l->kind]);
    if (f->multipart) {
        g_string_append_printf(out, "Content-Type: multipart/%s; boundary=\"" BOUNDARY "\"\r\n\r\n", f->multipart);
    } else {
        g_string_append(out, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    }
}

static void add_body(const struct form *f, GString *out) {
    for (unsigned i = 0; i < f->n; i++) {
        const struct part *p = &f->parts[i];
        if (f->multipart) {
            g_string_append_printf(out, "--" BOUNDARY "\r\nContent-Type: %s/%s%s\r\nContent-Transfer-Encoding: %s\r\n",
                                   p->type, p->subtype, strcmp(p->type, "text") == 0 ? "; charset=utf-8" : "",
                                   p->encoding);
            if (p->name) {
                g_string_append_printf(out, "Content-Disposition: attachment; filename=\"%s\"\r\n", p->name);
            }
            g_string_append(out, "\r\n");
        }
        g_string_append_len(out, p->content->str, (gssize)p->content->len);
        g_string_append(out, f->multipart ? "\r\n" : "");
    }
    g_string_append(out, f->multipart ? "--" BOUNDARY "--\r\n" : "");
}

void letter_raw(const soak *s, const letter *l, GString *out) {
    struct form f;

    form_init(&f, l);
    add_head(s, l, &f, out);
    add_body(&f, out);
    form_release(&f);
}

bool letter_part(const soak *s, const letter *l, const char *section, GString *out) {
    unsigned number = (unsigned)strtoul(section, NULL, 10);
    struct form f;
    bool found = true;

    form_init(&f, l);
    if (strcmp(section, "HEADER") == 0) {
        add_head(s, l, &f, out);
    } else if (strcmp(section, "TEXT") == 0) {
        add_body(&f, out);
    } else if (!*section) {
        add_head(s, l, &f, out);
        add_body(&f, out);
    } else if (number >= 1 && number <= f.n && !strchr(section, '.')) {
        g_string_append_len(out, f.parts[number - 1].content->str, (gssize)f.parts[number - 1].content->len);
    } else {
        found = false;
    }
    form_release(&f);
    return found;
}

static void add_structure(const struct part *p, GString *out) {
    unsigned lines = 0;

    for (const char *c = p->content->str; (c = strchr(c, '\n')); c++) {
        lines++;
    }
    g_string_append_printf(out, "(\"%s\" \"%s\" ", p->type, p->subtype);
    g_string_append(out, strcmp(p->type, "text") == 0 ? "(\"charset\" \"utf-8\")" : "NIL");
    g_string_append_printf(out, " NIL NIL \"%s\" %zu", p->encoding, (size_t)p->content->len);
    if (strcmp(p->type, "text") == 0) {
        g_string_append_printf(out, " %u", lines);
    }
    if (p->name) {
        g_string_append_printf(out, " NIL (\"attachment\" (\"filename\" \"%s\")) NIL NIL)", p->name);
    } else {
        g_string_append(out, " NIL NIL NIL NIL)");
    }
}

void letter_structure(const soak *s, const letter *l, GString *out) {
    struct form f;

    (void)s;
    form_init(&f, l);
    if (f.multipart) {
        g_string_append_c(out, '(');
    }
    for (unsigned i = 0; i < f.n; i++) {
        add_structure(&f.parts[i], out);
    }
    if (f.multipart) {
        g_string_append_printf(out, " \"%s\" (\"boundary\" \"" BOUNDARY "\") NIL NIL NIL)", f.multipart);
    }
    form_release(&f);
}
