/* Commands about folders: LIST, STATUS, CREATE, SELECT. */
#include "tests/soak/imap_priv.h"

#include <string.h>

/* In a pattern "*" is anything, "%" anything within a level. */
static bool fits(const char *pattern, const char *name) {
    g_autofree char *glob = g_strdelimit(g_strdup(pattern), "%", '*');

    return g_pattern_match_simple(glob, name) && (!strchr(pattern, '%') || strchr(pattern, '*') || !strchr(name, '/'));
}

/* One of several patterns (RFC 5258), from behind "(". */
static bool is_listed(const words *w, guint at, const char *name) {
    for (; at < w->at->len && strcmp(word(w, at), ")") != 0; at++) {
        if (fits(word(w, at), name)) {
            return true;
        }
    }
    return false;
}

/* LIST-STATUS: the items behind RETURN (STATUS (...; 0 if it is not asked for. */
static guint status_items(const words *w, guint *end_out) {
    for (guint i = 2; i + 1 < w->at->len; i++) {
        if (g_ascii_strcasecmp(word(w, i), "STATUS") == 0 && strcmp(word(w, i + 1), "(") == 0) {
            for (*end_out = i + 2; *end_out < w->at->len && strcmp(word(w, *end_out), ")") != 0; ++*end_out) {
            }
            return i + 2;
        }
    }
    return 0;
}

void do_list(peer *p, const char *tag, const words *w) {
    guint at = 2, end = 0, items = status_items(w, &end);

    while (strcmp(word(w, 2), "(") == 0 && at < w->at->len && strcmp(word(w, at++), ")") != 0) {
    }
    bool several = strcmp(word(w, at + 1), "(") == 0;
    const char *pattern = word(w, at + 1);
    if (!*pattern) {
        peer_say(p, "* LIST (\\Noselect) \"/\" \"\"\r\n");
    }
    for (guint i = 0; i < p->account->folders->len && *pattern; i++) {
        const folder *f = p->account->folders->pdata[i];
        if (several ? !is_listed(w, at + 2, f->name) : !fits(pattern, f->name)) {
            continue;
        }
        peer_say(p, "* LIST (\\HasNoChildren%s%s) \"/\" \"%s\"\r\n", f->role ? " " : "", f->role ? f->role : "",
                 f->name);
        if (items) {
            imap_status(p, f, (const char *const *)w->at->pdata + items, end - items);
        }
    }
    peer_say(p, "%s OK done\r\n", tag);
}

void imap_status(peer *p, const folder *f, const char *const *items, unsigned n) {
    peer_say(p, "* STATUS \"%s\" (", f->name);
    for (unsigned i = 0; i < n; i++) {
        const char *item = items[i];
        unsigned long long value = g_ascii_strcasecmp(item, "MESSAGES") == 0        ? f->entries->len
                                   : g_ascii_strcasecmp(item, "UIDNEXT") == 0       ? f->uidnext
                                   : g_ascii_strcasecmp(item, "UIDVALIDITY") == 0   ? f->uidvalidity
                                   : g_ascii_strcasecmp(item, "HIGHESTMODSEQ") == 0 ? f->modseq
                                                                                    : 0;
        peer_say(p, "%s%s %llu", i ? " " : "", item, value);
    }
    peer_say(p, ")\r\n");
}

void do_status(peer *p, const char *tag, const words *w) {
    const folder *f = folder_find(p->account, word(w, 2));

    if (!f) {
        peer_say(p, "%s NO [NONEXISTENT] no such folder\r\n", tag);
        return;
    }
    imap_status(p, f, (const char *const *)w->at->pdata + 4, w->at->len > 5 ? w->at->len - 5 : 0);
    peer_say(p, "%s OK done\r\n", tag);
}

void do_create(peer *p, const char *tag, const words *w) {
    if (folder_find(p->account, word(w, 2))) {
        peer_say(p, "%s NO [ALREADYEXISTS] it is there\r\n", tag);
        return;
    }
    notify_named(folder_make(p->account, word(w, 2), NULL));
    peer_say(p, "%s OK done\r\n", tag);
}

/* QRESYNC: what went and what changed since the client was here (RFC 7162 section 3.2.5). */
static void catch_up(peer *p, const words *w) {
    const folder *f = p->selected;
    uint64_t since = g_ascii_strtoull(word(w, 7), NULL, 10);

    if (g_ascii_strcasecmp(word(w, 4), "QRESYNC") != 0 || g_ascii_strtoull(word(w, 6), NULL, 10) != f->uidvalidity) {
        return;
    }
    imap_tell_vanished(p, since);
    for (guint i = 0; i < f->entries->len; i++) {
        const entry *e = &g_array_index(f->entries, entry, i);
        if (e->modseq > since) {
            imap_fetch_entry(p, e, flag_items, FLAG_ITEMS);
        }
    }
}

void do_select(peer *p, const char *tag, const words *w) {
    folder *f = folder_find(p->account, word(w, 2));

    p->selected = NULL;
    g_array_set_size(p->view, 0);
    if (!f) {
        peer_say(p, "%s NO [NONEXISTENT] no such folder\r\n", tag);
        return;
    }
    p->selected = f;
    p->select_refused = false;
    p->read_only = g_ascii_strcasecmp(word(w, 1), "EXAMINE") == 0;
    for (guint i = 0; i < f->entries->len; i++) {
        g_array_append_val(p->view, g_array_index(f->entries, entry, i).uid);
    }
    p->seen = f->modseq;
    peer_say(p,
             "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Soaked)\r\n"
             "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] x\r\n"
             "* %u EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %u] x\r\n* OK [UIDNEXT %u] x\r\n",
             f->entries->len, f->uidvalidity, f->uidnext);
    if (p->server->provider->condstore) {
        peer_say(p, "* OK [HIGHESTMODSEQ %" G_GUINT64_FORMAT "] x\r\n", f->modseq);
        catch_up(p, w);
    }
    peer_say(p, "%s OK [%s] selected\r\n", tag, p->read_only ? "READ-ONLY" : "READ-WRITE");
}

void do_unselect(peer *p, const char *tag, const words *w) {
    (void)w;
    p->selected = NULL;
    peer_say(p, "%s OK done\r\n", tag);
}

