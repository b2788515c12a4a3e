#include "imap/header.h"

#include <glib.h>
#include <string.h>

#define NAME "message-id"

/* The next line behind at, or the end. */
static const char *next_line(const char *at, const char *end) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));

    return lf ? lf + 1 : end;
}

/* Behind the colon, if the field of the line has that name. */
static const char *value_of(const char *line, const char *end) {
    const char *p = line + strlen(NAME);

    if (end - line < (ptrdiff_t)strlen(NAME) || g_ascii_strncasecmp(line, NAME, strlen(NAME)) != 0) {
        return NULL;
    }
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* The printable ones. NULL: there are none. */
static char *keep(const char *from, size_t len) {
    char *id = g_malloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (from[i] > 32 && from[i] < 127) {
            id[n++] = from[i];
        }
    }
    id[n] = '\0';
    if (!n) {
        g_clear_pointer(&id, g_free);
    }
    return id;
}

static char *read_id(const char *value) {
    const char *open = strchr(value, '<');
    char *id = NULL;

    if (!open) {
        value += strspn(value, " \t");
        return keep(value, strcspn(value, " \t>"));
    }
    for (; open && !id; open = strchr(open, '<')) {
        open++;
        id = keep(open, strcspn(open, "<>"));
    }
    return id;
}

char *imap_header_message_id(imap_str block) {
    const char *end = block.data + block.len, *value = NULL;

    for (const char *line = block.data, *next; line < end && *line != '\n' && *line != '\r' && !value; line = next) {
        next = next_line(line, end);
        value = value_of(line, next);
    }
    if (!value) {
        return NULL;
    }
    /* The line, and those that continue it. */
    GString *text = g_string_new(NULL);
    const char *at = value;
    do {
        const char *next = next_line(at, end);
        for (; at < next; at++) {
            if (*at && *at != '\r' && *at != '\n') {
                g_string_append_c(text, *at);
            }
        }
    } while (at < end && (*at == ' ' || *at == '\t'));
    char *id = read_id(text->str);
    g_string_free(text, TRUE);
    return id;
}

char *imap_fetch_message_id(const imap_fetch *fetch) {
    bool any = false;
    char *id = NULL;

    for (size_t i = 0; i < fetch->section_count && !id; i++) {
        const imap_section *s = &fetch->sections[i];
        if (s->data.data && !s->part.len && (s->kind == IMAP_SECTION_FIELDS || s->kind == IMAP_SECTION_HEADER)) {
            any = true;
            id = imap_header_message_id(s->data);
        }
    }
    return id || !any ? id : g_strdup("");
}
