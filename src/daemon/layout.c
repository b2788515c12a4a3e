/*
 * Which connection watches which folder.
 *
 *     NOTIFY offered          all on the first connection
 *     as many connections     one each, IDLE
 *     too few of them         IDLE on the first folders; the rest are asked for in rounds (round.c), and the last
 *                             connection is a worker: there only while one of them has work
 *     one connection          IDLE on the first folder; it visits the others where the rounds find news
 *
 * With NOTIFY too the second connection is a worker, for when the first is kept busy in one folder.
 */
#include "daemon_priv.h"

#include "imap/mailbox.h"

#include <string.h>

/* --- which folders ------------------------------------------------------------------------------------------------ */

struct wanted {
    GPtrArray *names;
    GArray *by_pattern; /* bool, by index in names */
};

static void want(struct wanted *list, const char *name, bool by_pattern) {
    for (guint i = 0; i < list->names->len; i++) {
        if (imap_mailbox_equal(list->names->pdata[i], name)) {
            g_array_index(list->by_pattern, bool, i) &= by_pattern;
            return;
        }
    }
    g_ptr_array_add(list->names, g_strdup(name));
    g_array_append_val(list->by_pattern, by_pattern);
}

static bool is_pattern(const char *name) {
    return *name != '\\' && strpbrk(name, "*%?");
}

bool layout_has_patterns(const struct account *a) {
    for (size_t i = 0; i < a->config->watch.n; i++) {
        const char *name = a->config->watch.v[i];
        if (is_pattern(name) ||
            (*name == '\\' && mailboxes_known(a->boxes) && !mailboxes_role(a->boxes, imap_special_use_parse(name)))) {
            return true;
        }
    }
    return false;
}

/* As in LIST and in a rule's `folder`: "*" is anything, "%" anything within a level. */
static bool matches(const char *pattern, const char *name, char delimiter) {
    GString *text = g_string_new(NULL);

    for (const char *p = pattern; *p; p++) {
        if (*p == '*' || *p == '%') {
            g_string_append(text, *p == '*' ? "**" : "*");
        } else {
            g_string_append_c(text, *p);
        }
    }
    bool match = imap_mailbox_match(text->str, name, delimiter);
    g_string_free(text, TRUE);
    return match;
}

/* As the server writes it, or the user: without the prefix of his namespace, "/" between levels. */
static bool fits(const mailboxes *boxes, const char *pattern, const char *name) {
    g_autofree char *written = mailboxes_written(boxes, name);

    return matches(pattern, name, mailboxes_delimiter(boxes)) || matches(pattern, written, '/');
}

static void expand_pattern(const struct account *a, const char *pattern, bool inbox, struct wanted *list) {
    for (size_t i = 0; i < mailboxes_count(a->boxes); i++) {
        const mailbox *box = mailboxes_at(a->boxes, i);
        if (imap_mailbox_is_inbox(box->name) == inbox && !(box->attrs & IMAP_ATTR_NOSELECT) &&
            fits(a->boxes, pattern, box->name)) {
            want(list, box->name, true);
        }
    }
}

static void expand(const struct account *a, const char *pattern, struct wanted *list) {
    char *name = NULL;

    if (is_pattern(pattern)) {
        expand_pattern(a, pattern, true, list); /* INBOX first: what comes first is watched best */
        expand_pattern(a, pattern, false, list);
        return;
    }
    g_autoptr(error) err = mailboxes_resolve(a->boxes, pattern, &name);
    if (err) {
        log_warn(&a->log, "watch \"%s\": %s", pattern, err->text);
        return;
    }
    want(list, name, false);
    g_free(name);
}

/* --- on which connection ------------------------------------------------------------------------------------------ */

static guint index_for(const struct account *a, guint at, guint total) {
    if (push_offered(a)) {
        return 0;
    }
    return MIN(at, MIN(pace_connections(a), total) - 1);
}

static struct watcher *watcher_at(struct account *a, guint index) {
    while (a->watchers->len <= index) {
        g_ptr_array_add(a->watchers, watcher_new(a, a->watchers->len));
    }
    return a->watchers->pdata[index];
}

/* Not while it is in there: the next layout does it. */
static void give(struct folder *f, struct watcher *to) {
    struct watcher *from = f->watcher;

    if (from == to || (from && from->at == f)) {
        return;
    }
    if (from) {
        g_ptr_array_remove(from->folders, f);
    }
    f->watcher = to;
    g_ptr_array_add(to->folders, f);
}

static void add_or_give(struct account *a, const char *name, bool by_pattern, struct watcher *w) {
    const mailbox *box = mailboxes_find(a->boxes, name);
    struct folder *f = account_folder(a, name);

    if (!f) {
        f = folder_new(a, w, name, box ? box->attrs : 0);
        f->by_pattern = by_pattern;
        f->appeared = box ? a->listed_before : 0;
        f->dirty = true;
        a->folder_changes++;
        g_ptr_array_add(a->folders, f);
        g_ptr_array_add(w->folders, f);
    } else {
        give(f, w);
    }
    if (f->missing ? box != NULL : !box && f->watcher->at != f) {
        f->missing = false;
        f->dirty = true; /* see whether it is there */
    }
}

static bool is_wanted(const struct wanted *list, const char *name) {
    for (guint i = 0; i < list->names->len; i++) {
        if (imap_mailbox_equal(list->names->pdata[i], name)) {
            return true;
        }
    }
    return false;
}

/* What a pattern had found and that is not there any more. The journal keeps its cursor, should it come back. */
static void forget_missing(struct account *a, const struct wanted *list) {
    for (guint i = a->folders->len; i-- > 0;) {
        struct folder *f = a->folders->pdata[i];
        if (f->by_pattern && !is_wanted(list, f->name) && f->watcher->at != f && !folder_engaged(f)) {
            log_info(&f->log, "is gone: not watched any more");
            g_ptr_array_remove(f->watcher->folders, f);
            g_ptr_array_remove_index(a->folders, i);
            folder_free(f);
            a->folder_changes++;
        }
    }
}

static void set_going(struct account *a) {
    guint budget = pace_connections(a);

    for (guint i = 0; i < a->watchers->len; i++) {
        struct watcher *w = a->watchers->pdata[i];
        w->on_demand = i > 0 && (push_offered(a) || (i + 1 == budget && a->folders->len > budget));
        if (!w->session && !w->on_demand && w->folders->len && !loop_timer_active(w->retry)) {
            watcher_connect(w);
        }
        watcher_nudge(w);
    }
}

void layout_make(struct account *a) {
    struct wanted list = {g_ptr_array_new_with_free_func(g_free), g_array_new(FALSE, FALSE, sizeof(bool))};

    for (size_t i = 0; i < a->config->watch.n; i++) {
        expand(a, a->config->watch.v[i], &list);
    }
    forget_missing(a, &list);
    for (guint i = 0; i < list.names->len; i++) {
        add_or_give(a, list.names->pdata[i], g_array_index(list.by_pattern, bool, i),
                    watcher_at(a, index_for(a, i, list.names->len)));
    }
    if (!a->folders->len) {
        log_warn(&a->log, "nothing to watch: no folder matches");
    }
    g_ptr_array_free(list.names, TRUE);
    g_array_free(list.by_pattern, TRUE);
    set_going(a);
}

bool layout_relieve(struct watcher *w) {
    struct account *a = w->account;
    guint budget = pace_connections(a);
    struct watcher *worker;
    bool any = false;

    if (w->on_demand || budget < 2) {
        return false;
    }
    worker = watcher_at(a, push_offered(a) ? 1 : budget - 1);
    if (worker == w || (!push_offered(a) && !worker->on_demand)) {
        return false;
    }
    worker->on_demand = true;
    for (guint i = w->folders->len; i-- > 0;) {
        struct folder *f = w->folders->pdata[i];
        if (f != w->at && f->dirty && !f->missing) {
            give(f, worker);
            any = true;
        }
    }
    if (any) {
        log_info(&w->log, "is kept busy in %s: another connection takes the folders that wait", w->at->name);
        watcher_nudge(worker);
    }
    return any;
}
