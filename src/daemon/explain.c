#include "explain_priv.h"
#include "offline_priv.h"
#include "remains_priv.h"
#include "source_priv.h"

#include "imap/header.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IN_FLIGHT 16

struct request {
    const char *config, *account, *folder, *flags, *event, *added, *removed;
    bool json;
};

struct explain {
    struct offline offline;
    struct request request;
    const char *account, *folder;
    char **flags; /* of --flags, NULL = the files' own */
    enum wire_event event;
    source *source;
    GQueue items; /* struct item, in the order of output */
    unsigned printed, failed;
    bool colour;
};

struct item {
    struct explain *x;
    uint64_t job;
    source_message message;
    GString *text; /* NULL = not known yet */
};

/* --- results ------------------------------------------------------------------------------------------------------ */

static void finish(struct item *item, struct explanation *e) {
    struct explain *x = item->x;

    e->source = item->message.name;
    item->text = g_string_new(NULL);
    if (x->request.json) {
        explain_json(item->text, e);
    } else {
        explain_text(item->text, e, x->colour);
    }
    x->failed += e->error != NULL;
}

static void on_plan(void *user, wire_message *m) {
    const wire_plan *p = &m->u.plan;
    struct explanation e = {
        .message_id = p->message_id, .subject = p->subject, .rules = p->rules, .n_rules = p->n_rules, .plan = p};

    finish(user, &e);
    wire_message_free(m);
}

static char *describe(const char *rule, const wire_place *place, const char *text) {
    GString *s = g_string_new(NULL);

    if (place->file && !g_str_has_prefix(text, place->file)) {
        g_string_append_printf(s, "%s:%u: ", place->file, place->line);
    }
    if (rule) {
        g_string_append_printf(s, "rule %s: ", rule);
    }
    g_string_append(s, text);
    return g_string_free(s, FALSE);
}

static void on_fail(void *user, wire_message *m) {
    const wire_fail *f = &m->u.fail;
    g_autofree char *text = describe(f->error.rule, &f->error.place, f->error.text);
    struct explanation e = {
        .message_id = f->message_id, .subject = f->subject, .rules = f->rules, .n_rules = f->n_rules, .error = text};

    finish(user, &e);
    wire_message_free(m);
}

static void on_died(void *user, const pool_death *death) {
    g_autofree char *what = g_strdup_printf("the evaluator %s%s", death->reason,
                                            death->rule ? "" : " while it read the message");
    g_autofree char *text = describe(death->rule, &death->place, what);
    struct explanation e = {.error = text};

    finish(user, &e);
}

/* The message was given whole: what else a rule needs is not at hand. */
static void on_need(void *user, wire_message *m) {
    struct item *item = user;
    wire_message *answer = wire_message_new(WIRE_ANSWER);

    answer->u.answer.failure = wire_str(answer, "offline");
    pool_answer(item->x->offline.pool, item->job, answer);
    wire_message_free(m);
}

static const pool_job_events job_events = {on_need, on_plan, on_fail, on_died};

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void add_list(wire_message *m, wire_strings *out, const char *list) {
    g_auto(GStrv) words = list ? g_strsplit_set(list, ", ", -1) : NULL;

    for (size_t i = 0; words && words[i]; i++) {
        if (*words[i]) {
            wire_strings_add(m, out, words[i]);
        }
    }
}

/* What happened to it; of a message that is gone only its Message-ID is left. */
static void set_event(const struct explain *x, wire_message *m) {
    wire_eval *e = &m->u.eval;

    e->event = x->event;
    add_list(m, &e->flags_added, x->request.added);
    add_list(m, &e->flags_removed, x->request.removed);
    if (e->event == WIRE_EVENT_GONE) {
        g_autofree char *id = imap_header_message_id((imap_str){(const char *)e->data.data, e->data.len});
        g_autofree char *left = remains_of(id);
        e->data = wire_copy(m, left, strlen(left));
        e->size = 0;
        e->truncated = false;
    }
}

static wire_message *make_eval(const struct explain *x, const source_message *s) {
    wire_message *m = wire_message_new(WIRE_EVAL);
    wire_eval *e = &m->u.eval;
    char **flags = x->flags ? x->flags : s->flags;
    gsize len;

    e->account = wire_str(m, s->account && !x->request.account ? s->account : x->account);
    e->folder = wire_str(m, s->folder && !x->request.folder ? s->folder : x->folder);
    if (e->folder[0] == '\\') {
        wire_strings_add(m, &e->roles, e->folder);
    }
    e->delimiter = '/';
    e->trace = e->offline = e->dry_run = true;
    for (size_t i = 0; flags && flags[i]; i++) {
        wire_strings_add(m, &e->flags, *flags[i] ? flags[i] : NULL);
    }
    e->internaldate = s->internaldate;
    e->level = WIRE_LEVEL_RAW;
    e->data.data = g_bytes_get_data(s->raw, &len);
    e->data.data = e->data.data ? e->data.data : (const uint8_t *)"";
    e->data.len = e->size = len;
    e->truncated = s->truncated;
    set_event(x, m);
    return m;
}

/* False: there are no more messages. */
static bool submit_next(struct explain *x) {
    struct item *item = g_new0(struct item, 1);
    struct explanation e = {0};

    if (!source_next(x->source, &item->message)) {
        g_free(item);
        return false;
    }
    item->x = x;
    g_queue_push_tail(&x->items, item);
    if (item->message.error) {
        e.error = item->message.error;
        finish(item, &e);
        return true;
    }
    error *err = pool_submit(x->offline.pool, make_eval(x, &item->message), 1, &job_events, item, &item->job);
    g_clear_pointer(&item->message.raw, g_bytes_unref); /* the pool has its own */
    if (err) {
        e.error = err->text;
        finish(item, &e);
        error_free(err);
    }
    return true;
}

static void free_item(void *data, void *user) {
    struct item *item = data;

    (void)user;
    source_message_clear(&item->message);
    if (item->text) {
        g_string_free(item->text, TRUE);
    }
    g_free(item);
}

/* What is known, in the order of the messages. */
static void print_ready(struct explain *x) {
    struct item *item;

    while ((item = g_queue_peek_head(&x->items)) && item->text) {
        const char *between = x->request.json ? ",\n " : "\n";
        fputs(x->printed++ ? between : x->request.json ? "[" : "", stdout);
        fwrite(item->text->str, 1, item->text->len, stdout);
        g_queue_pop_head(&x->items);
        free_item(item, NULL);
    }
}

static void explain_all(struct explain *x) {
    bool more = true;

    do {
        while (more && x->items.length < IN_FLIGHT && pool_has_room(x->offline.pool)) {
            more = submit_next(x);
        }
        print_ready(x);
        if (!g_queue_is_empty(&x->items)) {
            loop_turn(x->offline.loop, true);
        }
    } while ((more || !g_queue_is_empty(&x->items)) && !x->offline.lost && !ferror(stdout));
    if (x->request.json) {
        puts(x->printed ? "]" : "[]");
    }
    x->failed += x->offline.lost || fflush(stdout) != 0;
    g_queue_foreach(&x->items, free_item, NULL);
    g_queue_clear(&x->items);
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int parse(int argc, char **argv, struct request *r) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
        {"account", required_argument, NULL, 'a'}, {"folder", required_argument, NULL, 'f'},
        {"flags", required_argument, NULL, 'g'}, {"event", required_argument, NULL, 'e'},
        {"added", required_argument, NULL, '+'}, {"removed", required_argument, NULL, '-'}, {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            r->config = optarg;
            break;
        case 'j':
            r->json = true;
            break;
        case 'a':
            r->account = optarg;
            break;
        case 'f':
            r->folder = optarg;
            break;
        case 'g':
            r->flags = optarg;
            break;
        case 'e':
            r->event = optarg;
            break;
        case '+':
            r->added = optarg;
            break;
        case '-':
            r->removed = optarg;
            break;
        default:
            return command_usage(&command_explain, "bad option");
        }
    }
    return optind == argc ? command_usage(&command_explain, "no message named") : COMMAND_OK;
}

/* --added and --removed alone mean changed flags. */
static int choose_event(struct explain *x) {
    static const char *const names[] = {"new", "flags", "gone"};
    const char *wanted = x->request.event;

    if (!wanted) {
        x->event = x->request.added || x->request.removed ? WIRE_EVENT_FLAGS : WIRE_EVENT_NEW;
        return COMMAND_OK;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(wanted, names[i]) == 0) {
            x->event = (enum wire_event)i;
            return COMMAND_OK;
        }
    }
    return command_usage(&command_explain, "--event is new, flags or gone, not '%s'", wanted);
}

/* Without --account the first one; without --folder INBOX. */
static int choose_place(struct explain *x) {
    const wire_config *c = &x->offline.config->u.config;

    x->folder = x->request.folder ? x->request.folder : "INBOX";
    x->account = x->request.account ? x->request.account : c->n_accounts ? c->accounts[0].name : "";
    for (size_t i = 0; i < c->n_accounts; i++) {
        if (strcmp(c->accounts[i].name, x->account) == 0) {
            return COMMAND_OK;
        }
    }
    return x->request.account ? command_usage(&command_explain, "the config has no account '%s'", x->request.account)
                              : COMMAND_OK;
}

static void read_servers(struct explain *x, char *const *paths, size_t n) {
    uint64_t max_size = x->offline.config->u.config.limits.message;

    for (size_t i = 0; i < n; i++) {
        if (!g_str_has_prefix(paths[i], "imap:")) {
            continue;
        }
        source_message m;
        error *err = source_from_server(&x->offline, paths[i], max_size, &m);
        if (err) {
            m.error = error_format(err);
            error_free(err);
        }
        source_preload(x->source, &m);
    }
}

static int explain_files(struct explain *x, char *const *paths, size_t n) {
    int status = choose_place(x);

    if (status != COMMAND_OK) {
        return status;
    }
    x->flags = x->request.flags ? g_strsplit_set(x->request.flags, ", ", -1) : NULL;
    x->colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    x->source = source_new(paths, n, x->offline.config->u.config.limits.message);
    read_servers(x, paths, n);
    explain_all(x);
    source_free(x->source);
    g_strfreev(x->flags);
    return x->failed ? COMMAND_FAILED : COMMAND_OK;
}

static int run(int argc, char **argv) {
    struct explain x = {0};
    int status = parse(argc, argv, &x.request);

    status = status == COMMAND_OK ? choose_event(&x) : status;
    if (status != COMMAND_OK) {
        return status;
    }
    g_autofree char *path = command_config(x.request.config);
    if (!path) {
        return COMMAND_CONFIG;
    }
    status = offline_init(&x.offline, path, false);
    if (status == COMMAND_OK) {
        status = explain_files(&x, argv + optind, (size_t)(argc - optind));
    }
    offline_release(&x.offline);
    return status;
}

const command command_explain = {
    .name = "explain",
    .synopsis = "[-c FILE] [--json] [--account A] [--folder F] [--flags LIST] [--event E] MESSAGE...",
    .summary = "Show what the rules would do with a message, and why",
    .help =
        "A MESSAGE is a file, an mbox, a Maildir, a folder of these, - for standard input, or imap:ACCOUNT/FOLDER/UID\n"
        "for one on a server, which is only read. Nothing is done; what a rule would ask the network is answered\n"
        "with \"offline\".\n"
        "\n"
        "  -c, --config FILE   the config with the rules\n"
        "      --json          an array with one object a message\n"
        "      --account A     as if it came to this account (else the first of the config)\n"
        "      --folder F      as if it came into this folder (else INBOX); \\Junk and the like are roles\n"
        "      --flags LIST    as if it had these flags: \"\\Seen,Work\" (else what a Maildir's file name says)\n"
        "      --event E       new (as if not said), flags or gone: what happened to the message\n"
        "      --added LIST, --removed LIST   the flags that were changed (--event flags)\n"
        "\n"
        "Exit status: 0 when every message was explained, 1 when one could not be (its \"error\" says why), 78 when\n"
        "the config has mistakes.\n",
    .run = run,
};
