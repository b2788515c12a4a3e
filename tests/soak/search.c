#include "tests/soak/soak.h"

#include <string.h>
#include <time.h>

struct query {
    peer *p;
    const words *w;
    guint at;
    bool bad;
};

static const char *take(struct query *q) {
    if (q->at >= q->w->at->len) {
        q->bad = true;
        return "";
    }
    return q->w->at->pdata[q->at++];
}

static int64_t day_of(const char *text) {
    struct tm tm = {0};

    return strptime(text, "%d-%b-%Y", &tm) ? (int64_t)timegm(&tm) * 1000 : 0;
}

static bool header_holds(const soak *s, const letter *l, const char *name, const char *value) {
    g_autoptr(GString) head = g_string_new(NULL);
    size_t len = strlen(name);

    letter_part(s, l, "HEADER", head);
    for (char *line = head->str, *end; *line && (end = strstr(line, "\r\n")); line = end + 2) {
        *end = '\0';
        if (g_ascii_strncasecmp(line, name, len) == 0 && line[len] == ':' && strstr(line + len, value)) {
            return true;
        }
    }
    return false;
}

/* Keep of the UIDs those for which the criterion holds. */
static void keep(GArray *uids, const folder *f, bool (*holds)(const entry *e, const void *what), const void *what) {
    guint kept = 0;

    for (guint i = 0; i < uids->len; i++) {
        uint32_t uid = g_array_index(uids, uint32_t, i);
        if (holds(folder_entry(f, uid), what)) {
            g_array_index(uids, uint32_t, kept++) = uid;
        }
    }
    g_array_set_size(uids, kept);
}

struct header {
    const soak *soak;
    const char *name, *value;
};

static bool has_header(const entry *e, const void *what) {
    const struct header *h = what;

    return header_holds(h->soak, e->letter, h->name, h->value);
}

static bool is_since(const entry *e, const void *what) {
    const int64_t *day = what;

    return e->letter->to->soak->wall + e->letter->at >= *day;
}

static bool is_before(const entry *e, const void *what) {
    return !is_since(e, what);
}

static bool is_changed(const entry *e, const void *what) {
    return e->modseq >= *(const uint64_t *)what;
}

static bool is_message(const entry *e, const void *what) {
    return 1000000 + e->letter->id == *(const uint64_t *)what;
}

static bool has_flags(const entry *e, const void *what) {
    const uint32_t *flags = what;

    return (e->flags & *flags) == *flags;
}

static bool lacks_flags(const entry *e, const void *what) {
    return !(e->flags & *(const uint32_t *)what);
}

static bool is_in(const entry *e, const void *what) {
    const GArray *uids = what;

    for (guint i = 0; i < uids->len; i++) {
        if (g_array_index(uids, uint32_t, i) == e->uid) {
            return true;
        }
    }
    return false;
}

static void keep_set(struct query *q, GArray *uids) {
    g_autoptr(GArray) set = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    q->bad |= !imap_read_set(q->p, take(q), set);
    keep(uids, q->p->selected, is_in, set);
}

static void keep_flags(struct query *q, GArray *uids, const char *key) {
    bool none = g_ascii_strncasecmp(key, "UN", 2) == 0;
    bool keyword = g_ascii_strcasecmp(none ? key + 2 : key, "KEYWORD") == 0;
    g_autofree char *name = keyword ? g_strdup(take(q)) : g_strdup_printf("\\%s", none ? key + 2 : key);
    uint32_t flag = imap_flag(name);

    q->bad |= !flag && !keyword;
    keep(uids, q->p->selected, none ? lacks_flags : has_flags, &flag);
}

static void criterion(struct query *q, GArray *uids) {
    const folder *f = q->p->selected;
    const char *key = take(q);

    if (g_ascii_strcasecmp(key, "ALL") == 0) {
        return;
    }
    if (g_ascii_strcasecmp(key, "UID") == 0) {
        keep_set(q, uids);
    } else if (g_ascii_strcasecmp(key, "HEADER") == 0) {
        struct header h = {.soak = q->p->soak};
        h.name = take(q);
        h.value = take(q);
        keep(uids, f, has_header, &h);
    } else if (g_ascii_strcasecmp(key, "SINCE") == 0 || g_ascii_strcasecmp(key, "BEFORE") == 0) {
        int64_t day = day_of(take(q));
        keep(uids, f, g_ascii_strcasecmp(key, "SINCE") == 0 ? is_since : is_before, &day);
    } else if (g_ascii_strcasecmp(key, "MODSEQ") == 0 || g_ascii_strcasecmp(key, "X-GM-MSGID") == 0) {
        uint64_t number = g_ascii_strtoull(take(q), NULL, 10);
        keep(uids, f, g_ascii_strcasecmp(key, "MODSEQ") == 0 ? is_changed : is_message, &number);
    } else {
        keep_flags(q, uids, key);
    }
}

static void add_ranges(const GArray *uids, GString *out) {
    for (guint i = 0, j; i < uids->len; i = j) {
        uint32_t from = g_array_index(uids, uint32_t, i);
        for (j = i + 1; j < uids->len && g_array_index(uids, uint32_t, j) == from + (j - i); j++) {
        }
        g_string_append_printf(out, "%s%u", i ? "," : "", from);
        if (j - i > 1) {
            g_string_append_printf(out, ":%u", from + (j - i) - 1);
        }
    }
}

static void tell(struct query *q, const char *tag, const GArray *uids, bool extended, const char *returns) {
    peer *p = q->p;

    if (!extended) {
        peer_say(p, "* SEARCH");
        for (guint i = 0; i < uids->len; i++) {
            peer_say(p, " %u", g_array_index(uids, uint32_t, i));
        }
        peer_say(p, "\r\n");
        return;
    }
    peer_say(p, "* ESEARCH (TAG \"%s\") UID", tag);
    if (uids->len) {
        if (strstr(returns, "MIN")) {
            peer_say(p, " MIN %u", g_array_index(uids, uint32_t, 0));
        }
        if (strstr(returns, "MAX")) {
            peer_say(p, " MAX %u", g_array_index(uids, uint32_t, uids->len - 1));
        }
        if (strstr(returns, "ALL") || !*returns) {
            peer_say(p, " ALL ");
            add_ranges(uids, p->saying);
        }
    }
    if (strstr(returns, "COUNT")) {
        peer_say(p, " COUNT %u", uids->len);
    }
    peer_say(p, "\r\n");
}

void imap_search(peer *p, const char *tag, const words *w) {
    struct query q = {p, w, 3, false};
    g_autoptr(GArray) uids = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autoptr(GString) returns = g_string_new(NULL);
    bool extended = w->at->len > 4 && g_ascii_strcasecmp(w->at->pdata[3], "RETURN") == 0;

    if (extended) {
        for (q.at = 5; q.at < w->at->len && strcmp(w->at->pdata[q.at], ")") != 0; q.at++) {
            g_string_append_printf(returns, " %s", (char *)w->at->pdata[q.at]);
        }
        q.at++;
    }
    imap_read_set(p, "1:*", uids);
    while (q.at < w->at->len && !q.bad) {
        criterion(&q, uids);
    }
    if (q.bad || (extended && !p->server->provider->esearch)) {
        soak_fail(p->soak, "a search that this server cannot do");
        peer_say(p, "%s BAD cannot\r\n", tag);
        return;
    }
    tell(&q, tag, uids, extended, returns->str);
    peer_say(p, "%s OK done\r\n", tag);
}
