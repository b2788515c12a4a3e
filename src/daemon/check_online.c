/* The part of `check` that needs the network: can each account log in, and are the folders there that it watches? */
#include "check_priv.h"
#include "visit_priv.h"

#include "action/mailboxes.h"
#include "imap/mailbox.h"

#include <stdio.h>
#include <string.h>

struct listing {
    bool done;
    error *err;
};

static void listed(void *user, const error *err) {
    struct listing *l = user;

    l->err = error_copy(err);
    l->done = true;
}

static bool folder_is_there(const mailboxes *boxes, const wire_account *account, const char *watch) {
    g_autofree char *name = NULL;
    g_autoptr(error) err = NULL;

    if (*watch != '\\' && strpbrk(watch, "*%?")) {
        return true; /* a pattern may match nothing yet */
    }
    err = mailboxes_resolve(boxes, watch, &name);
    if (err || !mailboxes_find(boxes, name)) {
        fprintf(stderr, "%s:%u: account \"%s\" watches \"%s\", which is not there%s%s\n", account->place.file,
                account->place.line, account->name, watch, err ? ": " : "", err ? err->text : "");
        return false;
    }
    return true;
}

/* No mistake, but not as it is written. */
static void tell_bound(const struct visit *v) {
    g_autofree char *text = connect_bound(v->account, session_info_get(v->session)->quirks);

    if (text) {
        printf("account \"%s\": %s\n", v->account->name, text);
    }
}

static error *check_folders(struct visit *v, bool *good) {
    struct listing l = {0};
    mailboxes *boxes = mailboxes_new(&v->log);
    error *err;

    mailboxes_refresh(boxes, v->session, listed, &l);
    err = visit_wait(v, &l.done);
    if (!err) {
        err = g_steal_pointer(&l.err);
    }
    for (size_t i = 0; !err && i < v->account->watch.n; i++) {
        *good &= folder_is_there(boxes, v->account, v->account->watch.v[i]);
    }
    session_free(g_steal_pointer(&v->session)); /* nothing answers into this frame any more */
    error_free(l.err);
    mailboxes_free(boxes);
    return err;
}

bool check_online(struct offline *o) {
    const wire_config *c = &o->config->u.config;
    bool all_good = true;

    for (size_t i = 0; i < c->n_accounts; i++) {
        struct visit v;
        bool good = true;
        error *err = visit_begin(&v, o, &c->accounts[i]);
        if (!err) {
            tell_bound(&v);
            err = check_folders(&v, &good);
        }
        visit_end(&v);
        if (err) {
            g_autofree char *text = error_format(err);
            fprintf(stderr, "%s:%u: %s\n", c->accounts[i].place.file, c->accounts[i].place.line, text);
            error_free(err);
            good = false;
        } else if (good) {
            printf("account \"%s\": logged in, %zu folder(s) to watch\n", c->accounts[i].name, c->accounts[i].watch.n);
        }
        all_good &= good;
    }
    return all_good;
}
