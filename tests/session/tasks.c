#include "tests/session/dialog_run.h"

typedef struct pending {
    run *run;
    char *verb;
    GString *rest;
} pending;

static char *format_set(const imap_set *set) {
    GString *out = g_string_new(NULL);

    if (set) {
        imap_set_format(set, out);
    }
    return g_string_free(out, FALSE);
}

static void describe_folder(GString *out, const session_folder *f) {
    g_string_append_printf(out, " uidvalidity=%u uidnext=%u exists=%u modseq=%" G_GUINT64_FORMAT "%s%s", f->uidvalidity,
                           f->uidnext, f->exists, f->highestmodseq, f->read_only ? " read-only" : "",
                           f->any_keyword ? " any-keyword" : "");
}

static void describe_set(GString *out, const char *name, const imap_set *set) {
    g_autofree char *text = format_set(set);

    if (*text) {
        g_string_append_printf(out, " %s=%s", name, text);
    }
}

static void describe_result(GString *out, const session_result *result) {
    const imap_status *status = result->status;

    if (result->folder) {
        describe_folder(out, result->folder);
    }
    describe_set(out, "missing", result->missing);
    describe_set(out, "found", result->found);
    describe_set(out, "modified", result->modified);
    if (result->found) {
        g_string_append(out, result->found_whole ? " whole" : " damaged");
    }
    if (status) {
        g_string_append_printf(out, " have=%x messages=%u uidnext=%u uidvalidity=%u", status->have, status->messages,
                               status->uidnext, status->uidvalidity);
    }
    for (size_t i = 0; i < result->pair_count; i++) {
        g_string_append_printf(out, " %u->%u", result->pairs[i].source, result->pairs[i].target);
    }
    if (result->target_validity) {
        g_string_append_printf(out, " target=%u", result->target_validity);
    }
    if (result->appended) {
        g_string_append_printf(out, " appended=%u", result->appended);
    }
}

static const char *retry_name(const error *err) {
    static const char *const names[] = {"now", "later", "never"};

    return names[err->retry];
}

static void on_done(void *user, const session_result *result) {
    pending *p = user;
    run *r = p->run;
    g_autoptr(GString) out = g_string_new(p->verb);

    if (result->err) {
        g_string_append_printf(out, " %s %s", error_code_name(result->err->code), retry_name(result->err));
        g_string_append(out, !result->sent ? " not-sent" : result->answered ? "" : " unanswered");
        if (result->err->retry_after_ms) {
            g_string_append_printf(out, " after=%" G_GUINT64_FORMAT, result->err->retry_after_ms);
        }
    } else {
        g_string_append(out, " ok");
    }
    describe_result(out, result);
    run_hear(r, "%s", out->str);
    g_free(p->verb);
    g_free(p);
    if (--r->pending == 0 && r->session && !r->closed) {
        run_next_tasks(r);
    }
}

static void hear_fetch(pending *p, const imap_fetch *fetch) {
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(out, "%s: uid=%u", p->verb, fetch->uid);
    for (size_t i = 0; i < fetch->section_count; i++) {
        g_string_append_printf(out, " [%.*s]=%zu", (int)fetch->sections[i].spec.len, fetch->sections[i].spec.data,
                               fetch->sections[i].data.len);
    }
    run_hear(p->run, "%s", out->str);
}

static void on_piece(void *user, const imap_response *response) {
    pending *p = user;
    g_autofree char *name = NULL;

    if (response->kind == IMAP_FETCH) {
        hear_fetch(p, &response->fetch);
    } else if (response->kind == IMAP_LIST) {
        bool ok = session_decode_name(p->run->session, response->list.name, response->list.delimiter, &name);
        run_hear(p->run, "%s: %s%s", p->verb, ok ? "" : "unusable ", name);
    } else {
        run_hear(p->run, "%s: %s", p->verb, imap_kind_name(response->kind));
    }
}

static void read_set(const char *text, imap_set *set_out) {
    imap_set_init(set_out);
    error_free(imap_set_parse(set_out, imap_str_of(text), 100));
}

static void do_fetch(run *r, char **words, const session_call *call) {
    static const char *const fields[] = {"SUBJECT", NULL};
    const imap_section_want section = {.kind = IMAP_SECTION_FIELDS, .fields = fields};
    const imap_section_want body = {.kind = IMAP_SECTION_ALL};
    const bool whole = strcmp(words[0], "body") == 0, size = strcmp(words[0], "size") == 0;
    const imap_fetch_want want = {
        .items = IMAP_WANT_FLAGS | (size ? IMAP_WANT_SIZE : 0),
                                  .sections = whole ? &body : &section,
                                  .section_count = size ? 0 : 1};

    if (strcmp(words[0], "from") == 0) {
        session_fetch_from(r->session, (uint32_t)strtoul(words[1], NULL, 10), &want, call);
        return;
    }
    g_auto(imap_set) set;
    read_set(words[1], &set);
    session_fetch(r->session, &set, &want, call);
}

static void do_on_set(run *r, char **words, const session_call *call) {
    const char *names[] = {words[2], NULL};
    const imap_store store = {.how = IMAP_STORE_ADD, .silent = true, .names = names};
    g_auto(imap_set) set;

    read_set(words[1], &set);
    if (strcmp(words[0], "copy") == 0) {
        session_copy(r->session, &set, words[2], call);
    } else if (strcmp(words[0], "move") == 0) {
        session_move(r->session, &set, words[2], call);
    } else if (strcmp(words[0], "expunge") == 0) {
        session_expunge_uids(r->session, &set, call);
    } else {
        session_store(r->session, &set, &store, call);
    }
}

static void do_select(run *r, char **words, const session_call *call) {
    session_select(r->session, words[1], strcmp(words[0], "examine") == 0, NULL, call);
}

static void do_search(run *r, char **words, const session_call *call) {
    const imap_search_want want = {
        .uid_from = (uint32_t)strtoul(words[1], NULL, 10), .returns = IMAP_SEARCH_FOUND | IMAP_SEARCH_COUNT};

    session_search(r->session, &want, call);
}

/* uids UID: all from there on, in whatever way the server tells it best. */
static void do_uids(run *r, char **words, const session_call *call) {
    session_search(r->session, &(imap_search_want){.uid_from = (uint32_t)strtoul(words[1], NULL, 10)}, call);
}

static void do_poll(run *r, char **words, const session_call *call) {
    (void)words;
    session_poll(r->session, call);
}

static void do_list(run *r, char **words, const session_call *call) {
    session_list(r->session, "", words[1], NULL, call);
}

static void do_status(run *r, char **words, const session_call *call) {
    session_status(r->session, words[1], IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY, call);
}

static void do_create(run *r, char **words, const session_call *call) {
    session_create(r->session, words[1], 0, call);
}

static void do_append(run *r, char **words, const session_call *call) {
    const imap_append append = {.mailbox = words[1], .message = imap_str_of("Subject: hi\r\n\r\nhello\r\n")};

    session_append(r->session, &append, call);
}

/* store-since SET FLAG MODSEQ: where it has not changed since. */
static void do_store_since(run *r, char **words, const session_call *call) {
    const char *names[] = {words[2], NULL};
    const imap_store store = {.how = IMAP_STORE_ADD, .names = names, .unchanged_since = strtoull(words[3], NULL, 10)};
    g_auto(imap_set) set;

    read_set(words[1], &set);
    session_store(r->session, &set, &store, call);
}

static void do_plain(run *r, char **words, const session_call *call) {
    if (strcmp(words[0], "expunge-all") == 0) {
        session_expunge(r->session, call);
    } else if (strcmp(words[0], "unselect") == 0) {
        session_unselect(r->session, call);
    } else if (strcmp(words[0], "notify-none") == 0) {
        session_notify(r->session, NULL, call);
    } else {
        session_subscribe(r->session, words[1], call);
    }
}

/* run: a LIST and a SELECT by hand. */
static void do_run(run *r, char **words, const session_call *call) {
    imap_command *command = NULL;
    error *err = strcmp(words[1], "select") == 0
                     ? imap_command_select(session_writer(r->session), "INBOX", NULL, &command)
                     : imap_command_list(session_writer(r->session), "", words[1], NULL, &command);

    assert_null(err);
    session_run(r->session, command, 1u << IMAP_LIST, call);
}

static void do_noop(run *r, char **words, const session_call *call) {
    (void)words;
    session_noop(r->session, call);
}

/* Those that are done when they are called. */
static bool do_at_once(run *r, char **words) {
    const char *verb = words[0];

    if (strcmp(verb, "watch") == 0) {
        session_watch(r->session, true);
    } else if (strcmp(verb, "unwatch") == 0) {
        session_watch(r->session, false);
    } else if (strcmp(verb, "hold") == 0) {
        session_hold(r->session);
    } else if (strcmp(verb, "release") == 0) {
        session_release(r->session);
    } else if (strcmp(verb, "probe") == 0) {
        session_probe(r->session, (uint32_t)strtoul(words[1], NULL, 10));
    } else if (strcmp(verb, "logout") == 0) {
        session_close(r->session, SESSION_CLOSE_LOGOUT);
    } else if (strcmp(verb, "can") == 0) {
        imap_capabilities one = {0};
        imap_capabilities_add(&one, imap_str_of(words[1]));
        run_hear(r, "can %s %s", words[1],
                 (session_info_get(r->session)->caps->bits & one.bits) == one.bits ? "yes" : "no");
    } else if (strcmp(verb, "enabled") == 0) {
        imap_capabilities one = {0};
        imap_capabilities_add(&one, imap_str_of(words[1]));
        run_hear(r, "enabled %s %s", words[1], session_info_get(r->session)->enabled->bits & one.bits ? "yes" : "no");
    } else if (strcmp(verb, "quirks") == 0) {
        run_hear(r, "quirks: %s", session_info_get(r->session)->quirks->names);
    } else if (strcmp(verb, "compressed") == 0) {
        run_hear(r, "compressed %s", session_info_get(r->session)->compressed ? "yes" : "no");
    } else if (strcmp(verb, "batch") == 0) {
        run_hear(r, "batch %zu", session_batch(r->session));
    } else {
        return false;
    }
    return true;
}

static const struct {
    const char *verb;
    void (*run)(run *r, char **words, const session_call *call);
} verbs[] = {
    {"select", do_select},   {"examine", do_select},    {"fetch", do_fetch},       {"body", do_fetch},
    {"size", do_fetch},      {"from", do_fetch},        {"copy", do_on_set},       {"move", do_on_set},
    {"store", do_on_set},    {"expunge", do_on_set},    {"search", do_search},     {"uids", do_uids},
    {"poll", do_poll},       {"list", do_list},         {"status", do_status},     {"create", do_create},
    {"append", do_append},   {"noop", do_noop},         {"run", do_run},           {"unselect", do_plain},
    {"subscribe", do_plain}, {"expunge-all", do_plain}, {"notify-none", do_plain}, {"store-since", do_store_since},
};

/* "urgent", "ahead N" and "if-uidvalidity N" may stand before a verb; ahead of a SELECT whose UIDVALIDITY must be N. */
static void start(run *r, char **words) {
    pending *p = g_new0(pending, 1);
    session_call call = {.done = on_done, .data = on_piece, .user = p};

    if (strcmp(words[0], "urgent") == 0) {
        call.urgent = true;
        words++;
    } else if (strcmp(words[0], "if-uidvalidity") == 0 || strcmp(words[0], "ahead") == 0) {
        call.ahead = *words[0] == 'a';
        call.uidvalidity = (uint32_t)strtoul(words[1], NULL, 10);
        words += 2;
    }
    p->run = r;
    p->verb = g_strdup(words[0]);
    r->pending++;
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].verb, words[0]) == 0) {
            verbs[i].run(r, words, &call);
            return;
        }
    }
    fail_msg("no such task: %s", words[0]);
}

static void do_task(run *r, const char *text) {
    g_auto(GStrv) split = g_strsplit(text, " ", -1);
    char none[] = "", *words[] = {none, none, none, none, none, none}; /* what a task leaves out is empty */

    if (!r->session) {
        return;
    }
    for (size_t i = 0; split[i] && i < G_N_ELEMENTS(words); i++) {
        char *plain = g_strcompress(split[i]);
        g_free(split[i]);
        split[i] = words[i] = plain;
    }
    if (!do_at_once(r, words)) {
        start(r, words);
    }
}

void run_next_tasks(run *r) {
    while (r->pending == 0 && r->session && !r->closed) {
        const char *line = imap_script_header(r->script, "task", r->task);
        if (!line) {
            return;
        }
        if (strncmp(line, "wait ", 5) == 0 && !run_heard(r, line + 5)) {
            r->waiting = line + 5;
            return;
        }
        r->waiting = NULL;
        r->task++;
        if (strncmp(line, "wait ", 5) == 0) {
            continue;
        }
        g_auto(GStrv) tasks = g_strsplit(line, "; ", -1);
        for (char **task = tasks; *task; task++) {
            do_task(r, *task);
        }
    }
}
