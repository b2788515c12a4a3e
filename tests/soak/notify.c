/* NOTIFY (RFC 5465): what is told of the selected folder, and of others. */
#include "tests/soak/imap_priv.h"

#include <string.h>

void notify_forget(peer *p) {
    g_clear_pointer(&p->pushed, g_ptr_array_unref);
    g_clear_pointer(&p->told_of, g_ptr_array_unref);
    p->told_of_all = p->told_names = false;
}

bool imap_in_list(const GPtrArray *names, const char *name) {
    for (guint i = 0; names && i < names->len; i++) {
        if (strcmp(names->pdata[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* From the word behind "(" to its ")", words on that level and below it into list_out, which may be NULL; where ")"
 * is. */
static guint take_list(const words *w, guint at, GPtrArray *list_out) {
    int depth = 1;

    for (; at < w->at->len; at++) {
        const char *one = word(w, at);
        depth += (strcmp(one, "(") == 0) - (strcmp(one, ")") == 0);
        if (!depth) {
            break;
        }
        if (list_out && *one != '(' && *one != ')') {
            g_ptr_array_add(list_out, g_strdup(one));
        }
    }
    return at;
}

static bool has_event(const words *w, guint from, guint to, const char *event) {
    for (guint i = from; i < to; i++) {
        if (g_ascii_strcasecmp(word(w, i), event) == 0) {
            return true;
        }
    }
    return false;
}

/* One "(WHICH ... (EVENTS))", from behind its "("; where its ")" is. */
static guint take_group(peer *p, const words *w, guint at) {
    const char *which = word(w, at);
    guint end = take_list(w, at, NULL);

    if (g_ascii_strncasecmp(which, "selected", 8) == 0) {
        g_clear_pointer(&p->pushed, g_ptr_array_unref);
        p->pushed = g_ptr_array_new_with_free_func(g_free);
        if (strcmp(word(w, at + 3), "(") == 0) { /* SELECTED ( MessageNew ( items */
            take_list(w, at + 4, p->pushed);
        }
    } else if (g_ascii_strcasecmp(which, "personal") == 0) {
        p->told_of_all |= has_event(w, at, end, "MessageNew");
    } else if (g_ascii_strcasecmp(which, "mailboxes") == 0) {
        p->told_of = p->told_of ? p->told_of : g_ptr_array_new_with_free_func(g_free);
        if (strcmp(word(w, at + 1), "(") == 0) {
            take_list(w, at + 2, p->told_of);
        } else {
            g_ptr_array_add(p->told_of, g_strdup(word(w, at + 1)));
        }
    }
    p->told_names |= has_event(w, at, end, "MailboxName");
    return end;
}

static const char *const items[] = {"MESSAGES", "UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ"};

static bool is_told_of(const peer *p, const folder *f) {
    return f != p->selected && (p->told_of_all || imap_in_list(p->told_of, f->name));
}

static void say_status(peer *p, const folder *f) {
    imap_status(p, f, items, G_N_ELEMENTS(items) - !p->server->provider->condstore);
}

void notify_tell(peer *p, const folder *f) {
    if (is_told_of(p, f) && !p->silent && !p->closing) {
        say_status(p, f);
        peer_send(p);
    }
}

void notify_named(const folder *f) {
    g_autoptr(GPtrArray) list = peers_of(f->account->soak, NULL, f->account);

    for (guint i = 0; i < list->len; i++) {
        peer *p = list->pdata[i];
        if (p->told_names && !p->silent && !p->closing) {
            peer_say(p, "* LIST () \"/\" \"%s\"\r\n", f->name);
            if (p->idle_tag) { /* else it goes out with the answer */
                peer_send(p);
            }
        }
    }
}

void imap_notify(peer *p, const char *tag, const words *w) {
    bool status = g_ascii_strcasecmp(word(w, 3), "STATUS") == 0;

    if (!p->server->provider->notify) {
        peer_say(p, "%s BAD what is that\r\n", tag);
        return;
    }
    notify_forget(p);
    for (guint i = status ? 4 : 3; i < w->at->len; i++) {
        if (strcmp(word(w, i), "(") == 0) {
            i = take_group(p, w, i + 1);
        }
    }
    for (guint i = 0; status && i < p->account->folders->len; i++) {
        if (is_told_of(p, p->account->folders->pdata[i])) {
            say_status(p, p->account->folders->pdata[i]);
        }
    }
    peer_say(p, "%s OK done\r\n", tag);
}
