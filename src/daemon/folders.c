#include "action/mailboxes.h"
#include "visit_priv.h"

#include "base/text.h"
#include "imap/mailbox.h"

#include <getopt.h>
#include <stdio.h>

struct listing {
    struct visit *visit;
    mailboxes *boxes;
    size_t pending;
    bool listed, done;
    error *err;
    imap_status *statuses; /* by index in boxes */
    size_t *numbers;
};

struct question {
    struct listing *listing;
    size_t index;
};

static void answered(void *user, const session_result *result) {
    struct question *q = user;
    struct listing *l = q->listing;

    if (!result->err && result->status) {
        l->statuses[q->index] = *result->status;
    }
    l->done = --l->pending == 0;
    g_free(q);
}

static void listed(void *user, const error *err) {
    struct listing *l = user;
    size_t n = mailboxes_count(l->boxes);

    l->err = error_copy(err);
    l->statuses = g_new0(imap_status, n + 1);
    for (size_t i = 0; !err && i < n; i++) {
        const mailbox *box = mailboxes_at(l->boxes, i);
        if (box->attrs & IMAP_ATTR_NOSELECT) {
            continue;
        }
        struct question *q = g_new0(struct question, 1);
        *q = (struct question){l, i};
        l->pending++;
        session_status(l->visit->session, box->name, IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN | IMAP_STATUS_UIDNEXT,
                       &(session_call){.done = answered, .user = q});
    }
    l->done = !l->pending;
}

static void print(const struct listing *l) {
    printf("%8s %8s  %-10s %s\n", "messages", "unseen", "use", "folder");
    for (size_t i = 0; i < mailboxes_count(l->boxes); i++) {
        const mailbox *box = mailboxes_at(l->boxes, i);
        const imap_status *s = &l->statuses[i];
        const char *use = "";
        for (uint32_t bit = 1; bit && !*use; bit <<= 1) {
            use = (box->attrs & bit & IMAP_ATTR_SPECIAL_USE) && imap_special_use_name(bit) ? imap_special_use_name(bit)
                                                                                           : "";
        }
        g_autofree char *name = text_escape(box->name, -1);
        if (box->attrs & IMAP_ATTR_NOSELECT) {
            printf("%8s %8s  %-10s %s\n", "-", "-", use, name);
        } else {
            printf("%8u %8u  %-10s %s\n", s->messages, s->unseen, use, name);
        }
    }
}

static error *list(struct visit *v) {
    struct listing l = {.visit = v, .boxes = mailboxes_new(&v->log)};
    error *err;

    mailboxes_refresh(l.boxes, v->session, listed, &l);
    err = visit_wait(v, &l.done);
    if (!err && l.err) {
        err = g_steal_pointer(&l.err);
    }
    if (!err) {
        print(&l);
    }
    /* What is still under way would answer into this frame. */
    session_free(g_steal_pointer(&v->session));
    error_free(l.err);
    g_free(l.statuses);
    mailboxes_free(l.boxes);
    return err;
}

static int list_account(struct offline *o, const char *name) {
    const wire_account *account = visit_find_account(&o->config->u.config, name);
    struct visit v;
    error *err;
    int status = COMMAND_OK;

    if (!account) {
        fprintf(stderr, "mailruled folders: the config has no account \"%s\"\n", name);
        return COMMAND_FAILED;
    }
    err = visit_begin(&v, o, account);
    if (!err) {
        err = list(&v);
    }
    visit_end(&v);
    if (err) {
        g_autofree char *text = error_format(err);
        fprintf(stderr, "mailruled folders: %s\n", text);
        bool again = err->retry != ERROR_RETRY_NEVER && err->code != ERROR_AUTH;
        status = err->code == ERROR_CONFIG ? COMMAND_CONFIG : again ? COMMAND_TEMPFAIL : COMMAND_FAILED;
        error_free(err);
    }
    return status;
}

static int run(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    const char *file = NULL;
    struct offline o;
    int option;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c') {
            return command_usage(&command_folders, "bad option");
        }
        file = optarg;
    }
    if (optind != argc - 1) {
        return command_usage(&command_folders, "name one account");
    }
    g_autofree char *path = command_config(file);
    if (!path) {
        return COMMAND_CONFIG;
    }
    int status = offline_init(&o, path, false);
    if (status == COMMAND_OK) {
        status = list_account(&o, argv[optind]);
    }
    offline_release(&o);
    return status;
}

const command command_folders = {
    .name = "folders",
    .synopsis = "[-c FILE] ACCOUNT",
    .summary = "List the folders of an account, what they are for, and how many messages they hold",
    .help = "Connects as `run` would and changes nothing.\n\n  -c, --config FILE   the config to read\n",
    .run = run,
};
