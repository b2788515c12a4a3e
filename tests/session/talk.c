#include "tests/session/talk.h"

#include <stdlib.h>
#include <string.h>

/* ---- the owner ---- */

static void on_secret(void *user, bool refused) {
    talk *t = user;

    (void)refused;
    session_give_secret(t->session, secret_new("password", 8), NULL);
}

static void on_ready(void *user, const session_info *info) {
    talk *t = user;

    (void)info;
    t->ready = true;
}

static void on_watching(void *user) {
    talk *t = user;

    t->idling = true;
}

static void on_poll_needed(void *user) {
    talk *t = user;

    t->polling = true;
}

static void on_closed(void *user, error *err) {
    talk *t = user;

    t->closed = true;
    t->end = err;
}

static const session_events events = {.secret = on_secret, .ready = on_ready, .watching = on_watching,
                                      .poll_needed = on_poll_needed, .closed = on_closed};

static void on_done(void *user, const session_result *result) {
    talk *t = user;

    t->answered = true;
    t->last_sent = result->sent;
    g_free(t->last);
    t->last = result->err ? g_strdup(result->err->text) : NULL;
}

static void on_data(void *user, const imap_response *response) {
    talk *t = user;

    if (response->kind == IMAP_LIST) {
        g_autofree char *name = NULL;
        t->listed += session_decode_name(t->session, response->list.name, response->list.delimiter, &name);
        t->special |= response->list.attrs & IMAP_ATTR_SPECIAL_USE;
    }
    t->fetched += response->kind == IMAP_FETCH;
}

/* ---- life ---- */

char *talk_directory(void) {
    const char *corpus = g_getenv("CORPUS_DIR");
    char *path = g_build_filename(corpus ? corpus : "../shared/corpus", "imap", "MailKit", NULL);

    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        print_message("needs the recordings: %s is absent\n", path);
        g_free(path);
        skip();
    }
    return path;
}

/* The mechanism that was recorded; whichever the session likes if nobody logged in. */
static enum session_auth recorded_auth(const recording *r) {
    for (guint i = 1; i < r->steps->len; i++) {
        const char *command = ((recorded_step *)r->steps->pdata[i])->command;
        if (g_str_has_prefix(command, "AUTHENTICATE PLAIN")) {
            return SESSION_AUTH_PLAIN;
        }
        if (g_str_has_prefix(command, "LOGIN ") || g_str_has_prefix(command, "AUTHENTICATE LOGIN")) {
            return SESSION_AUTH_LOGIN;
        }
    }
    return SESSION_AUTH_AUTO;
}

void talk_turn_until(talk *t, const bool *flag) {
    int64_t until = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    while (!*flag && !t->closed) {
        loop_turn(t->loop, true);
        if (g_get_monotonic_time() > until) {
            fail_msg("%s: nothing more came, state %s", t->recording->name, session_state_name(t->session));
        }
    }
}

void talk_begin(talk *t, const char *dir, const char *name, const char *host, enum session_auth auth) {
    static const log_ctx log = {.group = "imap"};
    static clock_source clock;
    const replay_options options = {0};
    char *why = NULL;

    *t = (talk){0};
    t->recording = recording_load(dir, name, &why);
    t->server = t->recording ? replay_new(t->recording, &options, &why) : NULL;
    if (!t->server) {
        fail_msg("%s", why);
    }
    clock_init_real(&clock);
    random_init_seeded(&t->random, 1);
    assert_null(loop_new(&clock, &t->loop));
    t->trust = tls_trust_new();
    t->pool = transport_pool_new(t->loop, t->trust);
    const session_config config = {.host = "127.0.0.1",
                                   .behaves_like = host,
                                   .port = replay_port(t->server),
                                   .tls = TRANSPORT_TLS_NONE,
                                   .user = "username",
                                   .auth = auth == SESSION_AUTH_AUTO ? recorded_auth(t->recording) : auth,
                                   .client_name = "mailruled",
                                   .allow_expunge = true,
                                   .timeout_ms = 5000};
    replay_start(t->server);
    t->session = session_new(t->loop, t->pool, &t->random, &config, &events, t, &log);
    assert_null(session_open(t->session));
    talk_turn_until(t, &t->ready);
}

void talk_end(talk *t) {
    session_free(t->session);
    replay_free(t->server);
    transport_pool_free(t->pool);
    tls_trust_free(t->trust);
    loop_free(t->loop);
    recording_free(t->recording);
    error_free(t->end);
    g_free(t->last);
}

/* ---- a recorded command, as a session words it ---- */

/* The words of a command; a quoted or parenthesised one is a word. */
static GPtrArray *split(const char *text) {
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    while (*text) {
        GString *word = g_string_new(NULL);
        char close = *text == '"' ? '"' : *text == '(' ? ')' : ' ';
        text += close != ' ';
        while (*text && *text != close) {
            text += close == '"' && *text == '\\' && text[1];
            g_string_append_c(word, *text++);
        }
        text += *text && *text == close && close != ' ';
        text += *text == ' ';
        g_ptr_array_add(words, g_string_free(word, FALSE));
    }
    return words;
}

static const char *word_at(const GPtrArray *words, guint i) {
    return i < words->len ? words->pdata[i] : "";
}

typedef struct order {
    const recorded_command *command;
    GPtrArray *words;
    imap_set set; /* of the first word, where that is one */
    session_call call;
} order;

static void do_list(talk *t, order *o) {
    bool selective = *o->command->args == '(';

    session_list(t->session, word_at(o->words, selective), word_at(o->words, 1 + selective), NULL, &o->call);
}

static void do_status(talk *t, order *o) {
    session_status(t->session, word_at(o->words, 0), IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT, &o->call);
}

static void do_select(talk *t, order *o) {
    session_select(t->session, word_at(o->words, 0), strcmp(o->command->verb, "EXAMINE") == 0, NULL, &o->call);
}

static void do_search(talk *t, order *o) {
    const imap_search_want want = {.uid_from = 1,
                                   .returns = strstr(o->command->args, "RETURN") ? IMAP_SEARCH_FOUND : 0};

    session_search(t->session, &want, &o->call);
}

/* The first section of a FETCH. False: none. */
static bool read_section(const char *args, imap_section_want *want_out, char **part_out) {
    const char *open = strchr(args, '['), *close = open ? strchr(open, ']') : NULL;
    static const char *const subject[] = {"SUBJECT", NULL};

    if (!close) {
        return false;
    }
    g_autofree char *spec = g_strndup(open + 1, (size_t)(close - open) - 1);
    size_t digits = strspn(spec, "0123456789.");
    *part_out = g_strndup(spec, digits && spec[digits - 1] == '.' ? digits - 1 : digits);
    *want_out = (imap_section_want){.kind = IMAP_SECTION_ALL, .part = *part_out};
    if (g_str_has_prefix(spec + digits, "HEADER.FIELDS")) {
        want_out->kind = IMAP_SECTION_FIELDS;
        want_out->fields = subject;
    } else if (strcmp(spec + digits, "HEADER") == 0) {
        want_out->kind = IMAP_SECTION_HEADER;
    } else if (strcmp(spec + digits, "TEXT") == 0) {
        want_out->kind = IMAP_SECTION_TEXT;
    } else if (strcmp(spec + digits, "MIME") == 0) {
        want_out->kind = IMAP_SECTION_MIME;
    }
    return true;
}

static void do_fetch(talk *t, order *o) {
    static const struct {
        const char *word;
        uint32_t item;
    } items[] = {
        {"FLAGS", IMAP_WANT_FLAGS},         {"INTERNALDATE", IMAP_WANT_DATE},   {"RFC822.SIZE", IMAP_WANT_SIZE},
        {"MODSEQ", IMAP_WANT_MODSEQ},       {"EMAILID", IMAP_WANT_EMAIL_ID},    {"THREADID", IMAP_WANT_THREAD_ID},
        {"X-GM-MSGID", IMAP_WANT_GM_MSGID}, {"X-GM-THRID", IMAP_WANT_GM_THRID}, {"X-GM-LABELS", IMAP_WANT_GM_LABELS},
        {"ENVELOPE", IMAP_WANT_ENVELOPE},   {"BODYSTRUCTURE", IMAP_WANT_STRUCTURE}, {"SAVEDATE", IMAP_WANT_SAVE_DATE},
    };
    g_autofree char *part = NULL;
    imap_section_want section;
    imap_fetch_want want = {0};

    for (size_t i = 0; i < G_N_ELEMENTS(items); i++) {
        want.items |= strstr(o->command->args, items[i].word) ? items[i].item : 0;
    }
    if (read_section(o->command->args, &section, &part)) {
        want.sections = &section;
        want.section_count = 1;
    }
    if (imap_set_is_empty(&o->set)) {
        session_fetch_from(t->session, 1, &want, &o->call);
    } else {
        session_fetch(t->session, &o->set, &want, &o->call);
    }
}

static void do_store(talk *t, order *o) {
    const char *args = o->command->args, *open = strrchr(args, '(');
    g_autofree char *inner = g_strndup(open ? open + 1 : "", open ? strcspn(open + 1, ")") : 0);
    g_auto(GStrv) names = g_strsplit(open ? inner : "\\Seen", " ", -1);
    const imap_store store = {.how = strstr(args, " +")   ? IMAP_STORE_ADD
                                     : strstr(args, " -") ? IMAP_STORE_REMOVE
                                                          : IMAP_STORE_SET,
                              .silent = strstr(args, ".SILENT") != NULL,
                              .gm_labels = strstr(args, "X-GM-LABELS") != NULL,
                              .names = (const char *const *)names,
                              .unchanged_since = strstr(args, "UNCHANGEDSINCE") ? 5 : 0};

    session_store(t->session, &o->set, &store, &o->call);
}

static void do_copy(talk *t, order *o) {
    session_copy(t->session, &o->set, word_at(o->words, 1), &o->call);
}

static void do_move(talk *t, order *o) {
    session_move(t->session, &o->set, word_at(o->words, 1), &o->call);
}

static void do_expunge(talk *t, order *o) {
    if (o->command->uid) {
        session_expunge_uids(t->session, &o->set, &o->call);
    } else {
        session_expunge(t->session, &o->call);
    }
}

static void do_create(talk *t, order *o) {
    session_create(t->session, word_at(o->words, 0), 0, &o->call);
}

static void do_subscribe(talk *t, order *o) {
    session_subscribe(t->session, word_at(o->words, 0), &o->call);
}

static void do_unselect(talk *t, order *o) {
    session_unselect(t->session, &o->call);
}

static void do_noop(talk *t, order *o) {
    session_noop(t->session, &o->call);
}

static void do_notify(talk *t, order *o) {
    const imap_notify notify = {.selected = true, .names = true, .status = true};

    session_notify(t->session, strstr(o->command->args, "NONE") ? NULL : &notify, &o->call);
}

void talk_watch(talk *t) {
    t->idling = false;
    session_watch(t->session, true);
    while (!t->idling && !t->polling && !t->closed) {
        loop_turn(t->loop, true);
    }
    session_watch(t->session, false);
}

/* The NOOP ends it. */
static void do_idle(talk *t, order *o) {
    talk_watch(t);
    session_noop(t->session, &o->call);
}

static const struct {
    const char *verb;
    void (*run)(talk *t, order *o);
} orders[] = {
    {"LIST", do_list},           {"XLIST", do_list},        {"STATUS", do_status},   {"SELECT", do_select},
    {"EXAMINE", do_select},      {"SEARCH", do_search},     {"FETCH", do_fetch},     {"STORE", do_store},
    {"COPY", do_copy},           {"MOVE", do_move},         {"EXPUNGE", do_expunge}, {"CREATE", do_create},
    {"SUBSCRIBE", do_subscribe}, {"UNSELECT", do_unselect}, {"NOOP", do_noop},       {"NOTIFY", do_notify},
    {"IDLE", do_idle},
};

bool talk_say(talk *t, const recorded_command *command) {
    order o = {
        .command = command, .words = split(command->args), .call = {.done = on_done, .data = on_data, .user = t}};
    bool known = false;

    imap_set_init(&o.set);
    error_free(imap_set_parse(&o.set, imap_str_of(word_at(o.words, 0)), 1000));
    t->answered = false;
    for (size_t i = 0; i < G_N_ELEMENTS(orders) && !known; i++) {
        if (strcmp(orders[i].verb, command->verb) == 0) {
            orders[i].run(t, &o);
            known = true;
        }
    }
    if (known) {
        talk_turn_until(t, &t->answered);
    }
    imap_set_release(&o.set);
    g_ptr_array_free(o.words, TRUE);
    return known;
}

bool talk_say_text(talk *t, const char *text) {
    g_autofree char *line = g_strdup_printf("x %s", text);
    recorded_command command;

    recorded_command_parse(line, &command);
    bool known = talk_say(t, &command);
    recorded_command_release(&command);
    return known;
}
