#include "tests/soak/soak.h"

#include <string.h>
#include <time.h>

static void add_date(const soak *s, int64_t at, GString *out) {
    time_t seconds = (time_t)((s->wall + at) / 1000);
    char text[64];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%d-%b-%Y %H:%M:%S +0000", &tm);
    g_string_append_printf(out, "INTERNALDATE \"%s\"", text);
}

/* The fields of the header block that are named in "(A B)". */
static void pick_fields(const char *head, const char *list, GString *out) {
    g_auto(GStrv) names = g_strsplit_set(list, " ()", -1);

    for (const char *line = head, *end; *line && *line != '\r'; line = end + 2) {
        end = strstr(line, "\r\n");
        for (char **name = names; *name; name++) {
            size_t len = strlen(*name);
            if (len && g_ascii_strncasecmp(line, *name, len) == 0 && line[len] == ':') {
                g_string_append_len(out, line, end + 2 - line);
            }
        }
    }
    g_string_append(out, "\r\n");
}

/* BODY.PEEK[SECTION]<OFFSET.LENGTH> */
static void add_section(peer *p, const letter *l, const char *item) {
    const char *open = strchr(item, '['), *close = strrchr(item, ']');
    g_autofree char *section = g_strndup(open + 1, (gsize)(close - open - 1));
    g_autoptr(GString) data = g_string_new(NULL);
    unsigned long offset = 0, length = G_MAXULONG;
    bool partial = close[1] == '<', found = true;

    if (g_ascii_strncasecmp(section, "HEADER.FIELDS ", 14) == 0) {
        g_autoptr(GString) head = g_string_new(NULL);
        letter_part(p->soak, l, "HEADER", head);
        pick_fields(head->str, section + 14, data);
    } else {
        found = letter_part(p->soak, l, section, data);
    }
    if (partial) {
        sscanf(close + 1, "<%lu.%lu>", &offset, &length);
    }
    offset = MIN(offset, data->len);
    length = MIN(length, data->len - offset);
    peer_say(p, "BODY[%s]", section);
    if (partial) {
        peer_say(p, "<%lu>", offset);
    }
    if (!found) {
        peer_say(p, " NIL");
        return;
    }
    peer_say(p, " {%lu}\r\n", length);
    g_string_append_len(p->saying, data->str + offset, (gssize)length);
}

static bool add_item(peer *p, const entry *e, const char *item) {
    g_autoptr(GString) raw = NULL;

    if (g_ascii_strcasecmp(item, "UID") == 0) {
        peer_say(p, "UID %u", e->uid);
    } else if (g_ascii_strcasecmp(item, "FLAGS") == 0) {
        peer_say(p, "FLAGS (");
        imap_flags_text(e->flags, p->saying);
        peer_say(p, ")");
    } else if (g_ascii_strcasecmp(item, "INTERNALDATE") == 0) {
        add_date(p->soak, e->letter->at, p->saying);
    } else if (g_ascii_strcasecmp(item, "RFC822.SIZE") == 0) {
        raw = g_string_new(NULL);
        letter_raw(p->soak, e->letter, raw);
        peer_say(p, "RFC822.SIZE %zu", (size_t)raw->len);
    } else if (g_ascii_strcasecmp(item, "MODSEQ") == 0) {
        peer_say(p, "MODSEQ (%" G_GUINT64_FORMAT ")", e->modseq);
    } else if (g_ascii_strcasecmp(item, "X-GM-MSGID") == 0 && p->server->provider->gmail) {
        peer_say(p, "X-GM-MSGID %u", 1000000 + e->letter->id);
    } else if (g_ascii_strcasecmp(item, "BODYSTRUCTURE") == 0) {
        peer_say(p, "BODYSTRUCTURE ");
        letter_structure(p->soak, e->letter, p->saying);
    } else if (g_ascii_strncasecmp(item, "BODY.PEEK[", 10) == 0 && strchr(item, ']')) {
        add_section(p, e->letter, item);
    } else {
        return false;
    }
    return true;
}

void imap_fetch_entry(peer *p, const entry *e, const char *const *items, unsigned n) {
    unsigned number = imap_number_of(p, e->uid);

    if (!number) {
        return;
    }
    peer_say(p, "* %u FETCH (", number);
    for (unsigned i = 0; i < n; i++) {
        peer_say(p, i ? " " : "");
        if (!add_item(p, e, items[i])) {
            soak_fail(p->soak, "something is to be pushed that this server does not have: %s", items[i]);
        }
    }
    peer_say(p, ")\r\n");
}

static guint past_list(const words *w, guint from) {
    while (from < w->at->len && strcmp(w->at->pdata[from], ")") != 0) {
        from++;
    }
    return from + 1;
}

/* (CHANGEDSINCE n [VANISHED]) behind the items. */
static uint64_t modifier(const words *w, guint at, bool *vanished_out) {
    *vanished_out = at + 3 < w->at->len && g_ascii_strcasecmp(w->at->pdata[at + 3], "VANISHED") == 0;
    return at + 2 < w->at->len && g_ascii_strcasecmp(w->at->pdata[at + 1], "CHANGEDSINCE") == 0
               ? g_ascii_strtoull(w->at->pdata[at + 2], NULL, 10)
               : 0;
}

void imap_tell_vanished(peer *p, uint64_t since) {
    const folder *f = p->selected;
    const char *gap = "* VANISHED (EARLIER) ";

    for (guint i = 0; i < f->gone->len; i++) {
        const gone *g = &g_array_index(f->gone, gone, i);
        if (g->modseq > since) {
            peer_say(p, "%s%u", gap, g->uid);
            gap = ",";
        }
    }
    peer_say(p, *gap == ',' ? "\r\n" : "");
}

static bool fetch_one(peer *p, const entry *e, const words *w, guint first, guint end, bool modseq) {
    unsigned number = imap_number_of(p, e->uid);
    bool known = true, uid = false;

    if (!number) {
        return true;
    }
    peer_say(p, "* %u FETCH (", number);
    for (guint i = first; i < end; i++) {
        const char *item = w->at->pdata[i];
        uid |= g_ascii_strcasecmp(item, "UID") == 0;
        peer_say(p, i > first ? " " : "");
        known &= add_item(p, e, item);
    }
    if (!uid) {
        peer_say(p, " UID %u", e->uid);
    }
    if (modseq) {
        peer_say(p, " MODSEQ (%" G_GUINT64_FORMAT ")", e->modseq);
    }
    peer_say(p, ")\r\n");
    return known;
}

void imap_fetch(peer *p, const char *tag, const words *w) {
    g_autoptr(GArray) uids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    bool list = w->at->len > 4 && strcmp(w->at->pdata[4], "(") == 0, vanished = false, known = w->at->len > 4;
    guint first = list ? 5 : 4, end = list ? past_list(w, 5) - 1 : 5;
    uint64_t since = modifier(w, end + 1, &vanished);

    if (w->at->len < 5 || !imap_read_set(p, w->at->pdata[3], uids)) {
        peer_say(p, "%s BAD not a set\r\n", tag);
        return;
    }
    if (vanished && p->qresync) {
        imap_tell_vanished(p, since);
    }
    for (guint i = 0; i < uids->len && known; i++) {
        const entry *e = folder_entry(p->selected, g_array_index(uids, uint32_t, i));
        if (e->modseq > since) {
            known = fetch_one(p, e, w, first, end, since > 0);
        }
    }
    if (!known) {
        soak_fail(p->soak, "something is fetched that this server does not have");
    }
    peer_say(p, "%s %s\r\n", tag, known ? "OK done" : "BAD no such item");
}
