/*
 * When an account's folders were listed last, kept over restarts: a folder that is there now, was never watched, and is
 * named by the same `watch` as then, has come since, so the mail in it is new although it is the folder's first.
 *
 * Kept once every folder of the list has been seen: one whose first sight was cut short was there, it has not come.
 */
#include "daemon_priv.h"

#include "imap/mailbox.h"

#include <inttypes.h>
#include <string.h>

/* Lists come in swarms. What is kept may be older than the last: a folder that was in that one has a cursor by then. */
#define KEEP_S 60
#define SPACE "\001folders" /* rules cannot be expected to use it by accident */

/* INBOX has always been there. */
static bool may_come(const wire_account *c) {
    return c->watch.n > 1 || (c->watch.n == 1 && !imap_mailbox_is_inbox(c->watch.v[0]));
}

/* Whose folders, and which of them. */
static void append_what(GString *out, const wire_account *c) {
    g_string_append_printf(out, "%s\n%s\n", c->host, c->user ? c->user : "");
    for (size_t i = 0; i < c->watch.n; i++) {
        g_string_append_printf(out, "%s\n", c->watch.v[i]);
    }
}

static void make_layout(struct account *a, int64_t before) {
    a->listed_before = before;
    a->listed = clock_wall_ms(a->keeper->clock) / 1000;
    layout_make(a);
}

/* "seconds\n" and what was watched. */
static void recalled(void *user, const error *err, const void *value, size_t len) {
    struct account *a = user;
    g_autofree char *text = !err && value ? g_strndup(value, len) : g_strdup("");
    char *what = strchr(text, '\n');
    GString *now = g_string_new(NULL);

    append_what(now, a->config);
    bool same = what && strcmp(what + 1, now->str) == 0;
    g_string_free(now, TRUE);
    make_layout(a, same ? g_ascii_strtoll(text, NULL, 10) : 0);
    round_now(a->round);
}

void recall_listed(struct account *a) {
    if (a->listed || !may_come(a->config)) {
        make_layout(a, a->listed);
    } else {
        state_kv_get(a->keeper->state, SPACE, a->name, recalled, a);
    }
}

void recall_keep(struct account *a) {
    if (!may_come(a->config) || ABS(a->listed - a->kept) < KEEP_S) { /* the clock may have gone back */
        return;
    }
    for (guint i = 0; i < a->folders->len; i++) {
        const struct folder *f = a->folders->pdata[i];
        if (!f->missing && (!f->cursor_known || !f->cursor.uidvalidity || f->settling)) {
            return;
        }
    }
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%" PRId64 "\n", a->listed);
    append_what(text, a->config);
    state_kv_set(a->keeper->state, SPACE, a->name, text->str, text->len, 0, NULL, NULL);
    a->kept = a->listed;
    g_string_free(text, TRUE);
}
