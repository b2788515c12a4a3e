#include "daemon_priv.h"

#include "imap/mailbox.h"
#include "wire/frame.h"

#include <string.h>

/* With --once: what is due again so soon is waited for, such as another look for a copy (action/lost_copy.c). */
#define ONCE_WAITS_MS 8000

struct account *account_new(struct keeper *keeper, const wire_account *config) {
    struct account *a = g_new0(struct account, 1);

    a->keeper = keeper;
    a->config = config;
    a->name = g_strdup(config->name);
    a->log = keeper->log;
    a->log.group = "imap";
    a->log.account = a->name;
    a->boxes = mailboxes_new(&a->log);
    session_pace_init(&a->pace, &keeper->random);
    a->watchers = g_ptr_array_new();
    a->folders = g_ptr_array_new();
    a->round = round_new(a);
    a->wants_changes = changes_wanted(keeper, config);
    return a;
}

void account_free(struct account *a) {
    if (!a) {
        return;
    }
    /* Connections first: they answer for their commands into folders and messages, which then go one by one. */
    for (guint i = 0; i < a->watchers->len; i++) {
        watcher_hang_up(a->watchers->pdata[i]);
    }
    round_free(a->round);
    while (a->folders->len) {
        folder_free(g_ptr_array_steal_index(a->folders, a->folders->len - 1));
    }
    for (guint i = 0; i < a->watchers->len; i++) {
        watcher_free(a->watchers->pdata[i]);
    }
    g_ptr_array_free(a->watchers, TRUE);
    g_ptr_array_free(a->folders, TRUE);
    mailboxes_free(a->boxes);
    state_cancel(a->keeper->state, a);
    g_free(a->trouble);
    g_free(a->name);
    g_free(a);
}

/* The first connection lists the folders; layout_make() makes the others. */
void account_start(struct account *a) {
    if (!a->watchers->len) {
        g_ptr_array_add(a->watchers, watcher_new(a, 0));
    }
    for (guint i = 0; i < a->watchers->len; i++) {
        watcher_connect(a->watchers->pdata[i]);
    }
}

void account_reconfigured(struct account *a) {
    a->parked = false;
    a->no_push_until = 0;
    a->wants_changes = changes_wanted(a->keeper, a->config);
    for (guint i = 0; i < a->folders->len; i++) {
        folder_rescope(a->folders->pdata[i]);
    }
}

void account_stop(struct account *a, bool now) {
    for (guint i = 0; i < a->watchers->len; i++) {
        watcher_stop(a->watchers->pdata[i], now);
    }
}

struct folder *account_folder(const struct account *a, const char *name) {
    for (guint i = 0; i < a->folders->len; i++) {
        struct folder *f = a->folders->pdata[i];
        if (imap_mailbox_equal(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

bool account_has_room(const struct account *a) {
    return a->in_flight < keeper_config(a->keeper)->limits.in_flight && pool_has_room(a->keeper->pool);
}

void account_drained(struct account *a) {
    if (a->in_flight > keeper_config(a->keeper)->limits.in_flight / 2) {
        return;
    }
    for (guint i = 0; i < a->folders->len; i++) {
        struct folder *f = a->folders->pdata[i];
        if (f->starved) {
            look_continue(f);
        }
    }
}

void account_set_trouble(struct account *a, const error *err) {
    g_free(a->trouble);
    a->trouble = err ? g_strdup(err->text) : NULL;
}

bool account_settled(const struct account *a) {
    if (a->gave_up) {
        return true;
    }
    if (a->in_flight || round_under_way(a->round) || !a->listed) {
        return false;
    }
    for (guint i = 0; i < a->folders->len; i++) {
        const struct folder *f = a->folders->pdata[i];
        if (!f->missing && (!f->seen_once || f->look || f->starved || roll_busy(f) || f->resuming ||
                            (loop_timer_active(f->resume) && loop_timer_left(f->resume) < ONCE_WAITS_MS))) {
            return false;
        }
    }
    return true;
}

/* Compared as bytes on the wire, with their places in the file left out. */
static GByteArray *account_bytes(const wire_account *config) {
    wire_message *m = wire_message_new(WIRE_CONFIG);
    wire_account copy = *config;
    GByteArray *bytes = g_byte_array_new();

    copy.place = copy.password.place = copy.oauth2.client_secret.place = copy.oauth2.refresh_token.place =
        (wire_place){NULL, 0};
    m->u.config.accounts = &copy;
    m->u.config.n_accounts = 1;
    error_free(wire_encode(m, bytes));
    wire_message_free(m);
    return bytes;
}

bool account_same(const wire_account *a, const wire_account *b) {
    GByteArray *x = account_bytes(a), *y = account_bytes(b);
    bool same = x->len && x->len == y->len && memcmp(x->data, y->data, x->len) == 0;

    g_byte_array_unref(x);
    g_byte_array_unref(y);
    return same;
}
