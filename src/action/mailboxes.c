#include "action/mailboxes.h"

#include "imap/mailbox.h"

#include <string.h>

struct mailboxes {
    log_ctx log;
    GPtrArray *list;     /* mailbox, sorted by name */
    GPtrArray *incoming; /* during a refresh */
    bool known;
    char delimiter;
    char *prefix;
    GPtrArray *creating; /* struct creation */
};

struct waiter {
    mailboxes_fn done;
    void *user;
};

struct creation {
    mailboxes *owner;
    char *name;
    GArray *waiters; /* struct waiter */
};

struct refresh {
    mailboxes *owner;
    session *session;
    struct waiter waiter;
    bool extended; /* LIST with RETURN */
};

static void mailbox_free(gpointer data) {
    mailbox *m = data;

    g_free(m->name);
    g_free(m);
}

static void creation_free(gpointer data) {
    struct creation *c = data;

    g_free(c->name);
    g_array_free(c->waiters, TRUE);
    g_free(c);
}

mailboxes *mailboxes_new(const log_ctx *log) {
    mailboxes *m = g_new0(mailboxes, 1);

    m->log = *log;
    m->list = g_ptr_array_new_with_free_func(mailbox_free);
    m->creating = g_ptr_array_new_with_free_func(creation_free);
    m->prefix = g_strdup("");
    return m;
}

void mailboxes_free(mailboxes *m) {
    if (!m) {
        return;
    }
    g_ptr_array_free(m->list, TRUE);
    if (m->incoming) {
        g_ptr_array_free(m->incoming, TRUE);
    }
    g_ptr_array_free(m->creating, TRUE);
    g_free(m->prefix);
    g_free(m);
}

static int by_name(const void *a, const void *b) {
    const mailbox *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static void listed(void *user, const imap_response *response) {
    struct refresh *r = user;
    mailboxes *m = r->owner;
    mailbox *box;
    char *name;

    if (response->kind != IMAP_LIST || !m->incoming) {
        return;
    }
    if (!session_decode_name(r->session, response->list.name, response->list.delimiter, &name)) {
        log_info(&m->log, "folder with an unusable name passed over: %s", name);
        g_free(name);
        return;
    }
    if (response->list.delimiter) {
        m->delimiter = response->list.delimiter;
    }
    box = g_new0(mailbox, 1);
    box->name = name;
    box->attrs = response->list.attrs;
    g_ptr_array_add(m->incoming, box);
}

static void refreshed(void *user, const session_result *result);

/* Roles by usual names, but only where the server names none of that kind. */
static void guess_roles(GPtrArray *list, char delimiter) {
    uint32_t told = 0;

    for (guint i = 0; i < list->len; i++) {
        told |= ((mailbox *)list->pdata[i])->attrs & IMAP_ATTR_SPECIAL_USE;
    }
    for (guint i = 0; i < list->len; i++) {
        mailbox *box = list->pdata[i];
        uint32_t guess = imap_special_use_guess(box->name, delimiter);
        if (guess && !(told & guess)) {
            box->attrs |= guess;
            told |= guess;
        }
    }
}

/* Some servers say OK to LIST with RETURN, and nothing else (not even INBOX: that cannot be), or BAD. */
static bool list_plainly(struct refresh *r, const session_result *result) {
    bool in_vain = result->err ? result->answered : r->owner->incoming && !r->owner->incoming->len;
    bool again = r->extended && r->owner->incoming && in_vain;

    if (again) {
        r->extended = false;
        session_list(r->session, "", "*", NULL, &(session_call){.done = refreshed, .data = listed, .user = r});
    }
    return again;
}

static void refreshed(void *user, const session_result *result) {
    struct refresh *r = user;
    mailboxes *m = r->owner;

    if (list_plainly(r, result)) {
        return;
    }
    if (result->err || !m->incoming) {
        r->waiter.done(r->waiter.user, result->err);
        g_free(r);
        return;
    }
    g_ptr_array_sort(m->incoming, by_name);
    guess_roles(m->incoming, m->delimiter);
    g_ptr_array_free(m->list, TRUE);
    m->list = m->incoming;
    m->incoming = NULL;
    m->known = true;
    r->waiter.done(r->waiter.user, NULL);
    g_free(r);
}

void mailboxes_refresh(mailboxes *m, session *s, mailboxes_fn done, void *user) {
    const session_info *info = session_info_get(s);
    struct refresh *r = g_new0(struct refresh, 1);
    imap_list_options options = {0};

    *r = (struct refresh){.owner = m, .session = s, .waiter = {done, user}};
    if (info) {
        m->delimiter = info->delimiter;
        g_free(m->prefix);
        m->prefix = g_strdup(info->prefix ? info->prefix : "");
        options.extended = imap_can(info->caps, IMAP_CAP_SPECIAL_USE) && imap_can(info->caps, IMAP_CAP_LIST_EXTENDED) &&
                           !info->quirks->plain_list;
        options.returns = options.extended ? IMAP_RETURN_SPECIAL_USE : 0;
        r->extended = options.extended;
    }
    if (m->incoming) {
        g_ptr_array_free(m->incoming, TRUE);
    }
    m->incoming = g_ptr_array_new_with_free_func(mailbox_free);
    session_list(s, "", "*", &options, &(session_call){.done = refreshed, .data = listed, .user = r});
}

bool mailboxes_known(const mailboxes *m) {
    return m->known;
}

size_t mailboxes_count(const mailboxes *m) {
    return m->list->len;
}

const mailbox *mailboxes_at(const mailboxes *m, size_t i) {
    return i < m->list->len ? m->list->pdata[i] : NULL;
}

const mailbox *mailboxes_find(const mailboxes *m, const char *name) {
    for (guint i = 0; i < m->list->len; i++) {
        mailbox *box = m->list->pdata[i];
        if (imap_mailbox_equal(box->name, name)) {
            return box;
        }
    }
    return NULL;
}

const mailbox *mailboxes_role(const mailboxes *m, uint32_t attr) {
    for (guint i = 0; i < m->list->len; i++) {
        mailbox *box = m->list->pdata[i];
        if ((box->attrs & attr) && !(box->attrs & IMAP_ATTR_NOSELECT)) {
            return box;
        }
    }
    return NULL;
}

char mailboxes_delimiter(const mailboxes *m) {
    return m->delimiter;
}

error *mailboxes_resolve(const mailboxes *m, const char *name, char **name_out) {
    uint32_t role = *name == '\\' ? imap_special_use_parse(name) : 0;
    g_autofree char *local = NULL, *prefixed = NULL;

    if (role) {
        const mailbox *box = mailboxes_role(m, role);
        if (!box) {
            return error_new(ERROR_NO_FOLDER, "the account has no folder for %s", name);
        }
        *name_out = g_strdup(box->name);
        return NULL;
    }
    local = imap_mailbox_localize(name, m->delimiter);
    error *err = imap_mailbox_check(local, m->delimiter);
    if (err) {
        return err;
    }
    prefixed = g_strconcat(m->prefix, local, NULL);
    bool bare = !*m->prefix || g_str_has_prefix(local, m->prefix) || imap_mailbox_is_inbox(local) ||
                mailboxes_find(m, local);
    *name_out = g_strdup(bare ? local : prefixed);
    return NULL;
}

char *mailboxes_written(const mailboxes *m, const char *name) {
    size_t prefix = strlen(m->prefix);
    bool below = prefix && g_str_has_prefix(name, m->prefix) && name[prefix];
    char *out = g_strdup(below ? name + prefix : name);

    for (char *p = out; m->delimiter && m->delimiter != '/' && *p; p++) {
        *p = *p == m->delimiter ? '/' : *p;
    }
    return out;
}

static void add(mailboxes *m, const char *name) {
    mailbox *box;

    if (mailboxes_find(m, name)) {
        return;
    }
    box = g_new0(mailbox, 1);
    box->name = g_strdup(name);
    g_ptr_array_add(m->list, box);
    g_ptr_array_sort(m->list, by_name);
}

void mailboxes_forget(mailboxes *m, const char *name) {
    for (guint i = 0; i < m->list->len; i++) {
        if (imap_mailbox_equal(((mailbox *)m->list->pdata[i])->name, name)) {
            g_ptr_array_remove_index(m->list, i);
            return;
        }
    }
}

/* Those that know no response code for it say it in words: Courier, Cyrus, GNU Mailutils. */
static bool exists_already(const session_result *result) {
    return result->answered &&
           (result->code->name == IMAP_CODE_ALREADYEXISTS || strcasestr(result->text, "already exists"));
}

static void created(void *user, const session_result *result) {
    struct creation *c = user;
    mailboxes *m = c->owner;
    const error *err = result->err && exists_already(result) ? NULL : result->err;

    if (!err) {
        add(m, c->name);
        log_notice(&m->log, "folder \"%s\" created", c->name);
    }
    guint at = 0;
    if (g_ptr_array_find(m->creating, c, &at)) {
        g_ptr_array_steal_index(m->creating, at);
    }
    for (guint i = 0; i < c->waiters->len; i++) {
        struct waiter *w = &g_array_index(c->waiters, struct waiter, i);
        w->done(w->user, err);
    }
    creation_free(c);
}

static struct creation *find_creation(mailboxes *m, const char *name) {
    for (guint i = 0; i < m->creating->len; i++) {
        struct creation *c = m->creating->pdata[i];
        if (imap_mailbox_equal(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

void mailboxes_create(mailboxes *m, session *s, const char *name, mailboxes_fn done, void *user) {
    struct creation *c = find_creation(m, name);
    struct waiter waiter = {done, user};

    if (c) {
        g_array_append_val(c->waiters, waiter);
        return;
    }
    c = g_new0(struct creation, 1);
    c->owner = m;
    c->name = g_strdup(name);
    c->waiters = g_array_new(FALSE, FALSE, sizeof(struct waiter));
    g_array_append_val(c->waiters, waiter);
    g_ptr_array_add(m->creating, c);
    session_create(s, name, 0, &(session_call){.done = created, .user = c});
    session_subscribe(s, name, &(session_call){0});
}
