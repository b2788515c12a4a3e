/*
 * Plays every dialogue of tests/dialog that says what the session is to do ("task:") and what its owner must then have
 * heard ("expect:"); the format is described in tests/dialog/README.md. Each is played as written; with one byte a
 * segment, where the owner must hear the same; and once for each thing that the owner hears, with the session freed or
 * closed from inside just that callback.
 */
#include "session/session.h"
#include "tests/script/imap_script.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What the owner does when it hears its n-th line. */
enum twist { TWIST_NONE, TWIST_FREE, TWIST_CLOSE };

typedef struct manner {
    size_t split; /* octets a segment; 0 = as written */
    enum twist twist;
    guint at;
} manner;

typedef struct run {
    manner manner;
    imap_script *script;
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    random_source random;
    clock_source clock;
    session *session;
    session_idle_memory idle_memory;
    unsigned task, pending, secrets;
    const char *waiting; /* for a line of `heard` */
    bool closed;

    GMutex lock; /* for what the server's thread looks at */
    GCond changed;
    GPtrArray *heard; /* lines */
    uint64_t turn_by; /* the clock is to be turned */
    bool over;
    loop_async *wake;
} run;

static const char *ca_file;

static const char *header(const run *r, const char *key, const char *otherwise) {
    const char *value = imap_script_header(r->script, key, 0);

    return value ? value : otherwise;
}

static uint32_t header_number(const run *r, const char *key) {
    return (uint32_t)strtoul(header(r, key, "0"), NULL, 10);
}

/* ---- what the owner hears ---- */

G_GNUC_PRINTF(2, 3) static void hear(run *r, const char *format, ...) {
    va_list args;

    va_start(args, format);
    char *line = g_strdup_vprintf(format, args);
    va_end(args);
    g_mutex_lock(&r->lock);
    g_ptr_array_add(r->heard, line);
    bool now = r->heard->len - 1 == r->manner.at;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
    if (now && r->manner.twist == TWIST_FREE) {
        session *s = r->session;
        r->session = NULL;
        session_free(s);
    } else if (now && r->manner.twist == TWIST_CLOSE && r->session) {
        session_close(r->session, SESSION_CLOSE_NOW);
    }
}

static bool heard(run *r, const char *pattern) {
    for (guint i = 0; i < r->heard->len; i++) {
        if (imap_script_match(pattern, r->heard->pdata[i])) {
            return true;
        }
    }
    return false;
}

static char *format_ranges(imap_ranges ranges) {
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < ranges.count; i++) {
        g_string_append_printf(out, i ? ",%u:%u" : "%u:%u", ranges.at[i].low, ranges.at[i].high);
    }
    return g_string_free(out, FALSE);
}

static char *format_set(const imap_set *set) {
    GString *out = g_string_new(NULL);

    if (set) {
        imap_set_format(set, out);
    }
    return g_string_free(out, FALSE);
}

static void on_secret(void *user, bool refused) {
    run *r = user;
    const char *value = imap_script_header(r->script, "secret", r->secrets++);

    hear(r, refused ? "secret refused" : "secret");
    if (!r->session) {
        return;
    }
    if (!value) {
        session_give_secret(r->session, NULL, error_new(ERROR_AUTH, "no other secret"));
        return;
    }
    session_give_secret(r->session, secret_new(value, strlen(value)), NULL);
}

static void on_ready(void *user, const session_info *info) {
    run *r = user;

    hear(r, "ready delimiter=%c prefix=%s server=%s", info->delimiter ? info->delimiter : '-', info->prefix,
         info->server ? info->server : "-");
}

static void on_exists(void *user, uint32_t count, bool grew) {
    hear(user, "exists %u%s", count, grew ? " grew" : "");
}

static void on_gone(void *user, imap_ranges uids, bool earlier) {
    g_autofree char *text = format_ranges(uids);

    hear(user, "gone %s%s", uids.count ? text : "?", earlier ? " earlier" : "");
}

static void on_fetch(void *user, const imap_fetch *fetch) {
    hear(user, "news uid=%u sections=%zu", fetch->uid, fetch->section_count);
}

static void on_status(void *user, const char *name, const imap_status *status) {
    hear(user, "status %s uidnext=%u", name ? name : "?", status->uidnext);
}

static void on_list(void *user, const char *name, const imap_list *list) {
    (void)list;
    hear(user, "list %s", name ? name : "?");
}

static void on_notice(void *user, enum session_notice notice, const char *text) {
    static const char *const names[] = {"alert", "overflow", "throttled"};

    hear(user, "notice %s: %s", names[notice], text);
}

static void on_watching(void *user) {
    hear(user, "watching");
}

static void on_poll_needed(void *user) {
    hear(user, "poll");
}

static void on_closed(void *user, error *err) {
    run *r = user;

    r->closed = true;
    if (!err) {
        hear(r, "closed");
    } else if (err->retry_after_ms) {
        hear(r, "closed %s after=%" G_GUINT64_FORMAT ": %s", error_code_name(err->code), err->retry_after_ms, err->text);
    } else if (r->idle_memory.learned_ms) {
        hear(r, "closed %s renew=%u: %s", error_code_name(err->code), r->idle_memory.learned_ms, err->text);
    } else {
        hear(r, "closed %s: %s", error_code_name(err->code), err->text);
    }
    error_free(err);
}

static const session_events events = {
    .secret = on_secret,   .ready = on_ready,   .exists = on_exists, .gone = on_gone,
    .fetch = on_fetch,     .status = on_status, .list = on_list,     .notice = on_notice,
    .watching = on_watching, .poll_needed = on_poll_needed, .closed = on_closed,
};

/* ---- tasks ---- */

typedef struct pending {
    run *run;
    char *verb;
    GString *rest;
} pending;

static void next_tasks(run *r);

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
    hear(r, "%s", out->str);
    g_free(p->verb);
    g_free(p);
    if (--r->pending == 0 && r->session && !r->closed) {
        next_tasks(r);
    }
}

static void hear_fetch(pending *p, const imap_fetch *fetch) {
    g_autoptr(GString) out = g_string_new(NULL);

    g_string_append_printf(out, "%s: uid=%u", p->verb, fetch->uid);
    for (size_t i = 0; i < fetch->section_count; i++) {
        g_string_append_printf(out, " [%.*s]=%zu", (int)fetch->sections[i].spec.len, fetch->sections[i].spec.data,
                               fetch->sections[i].data.len);
    }
    hear(p->run, "%s", out->str);
}

static void on_piece(void *user, const imap_response *response) {
    pending *p = user;
    g_autofree char *name = NULL;

    if (response->kind == IMAP_FETCH) {
        hear_fetch(p, &response->fetch);
    } else if (response->kind == IMAP_LIST) {
        bool ok = session_decode_name(p->run->session, response->list.name, response->list.delimiter, &name);
        hear(p->run, "%s: %s%s", p->verb, ok ? "" : "unusable ", name);
    } else {
        hear(p->run, "%s: %s", p->verb, imap_kind_name(response->kind));
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
    const bool whole = strcmp(words[0], "body") == 0, flags = strcmp(words[0], "flags") == 0;
    const imap_fetch_want want = {
        .items = IMAP_WANT_FLAGS, .sections = whole ? &body : &section, .section_count = flags ? 0 : 1};

    if (strcmp(words[0], "from") == 0) {
        session_fetch_from(r->session, (uint32_t)strtoul(words[1], NULL, 10), &want, call);
        return;
    }
    g_auto(imap_set) set;
    read_set(words[1], &set);
    session_fetch(r->session, &set, &want, call);
}

static void do_on_set(run *r, char **words, const session_call *call) {
    const char *names[] = {words[1] ? words[2] : NULL, NULL};
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
        hear(r, "can %s %s", words[1], session_info_get(r->session)->caps->bits & one.bits ? "yes" : "no");
    } else {
        return false;
    }
    return true;
}

static const struct {
    const char *verb;
    void (*run)(run *r, char **words, const session_call *call);
} verbs[] = {
    {"select", do_select}, {"examine", do_select}, {"fetch", do_fetch},   {"body", do_fetch},   {"flags", do_fetch},
    {"from", do_fetch},    {"copy", do_on_set},    {"move", do_on_set},   {"store", do_on_set}, {"expunge", do_on_set},
    {"search", do_search}, {"list", do_list},      {"status", do_status}, {"create", do_create}, {"append", do_append},
    {"noop", do_noop},     {"run", do_run},        {"unselect", do_plain}, {"subscribe", do_plain},
    {"expunge-all", do_plain}, {"notify-none", do_plain}, {"store-since", do_store_since},
};

/* "urgent" and "if-uidvalidity N" may stand before a verb. */
static void start(run *r, char **words) {
    pending *p = g_new0(pending, 1);
    session_call call = {.done = on_done, .data = on_piece, .user = p};

    if (strcmp(words[0], "urgent") == 0) {
        call.urgent = true;
        words++;
    } else if (strcmp(words[0], "if-uidvalidity") == 0) {
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
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    if (!r->session) {
        return;
    }
    for (char **word = words; *word; word++) {
        char *plain = g_strcompress(*word);
        g_free(*word);
        *word = plain;
    }

    if (do_at_once(r, words)) {
        return;
    }
    start(r, words);
}

/* The next line of tasks; those that wait for nothing are followed by the line after. */
static void next_tasks(run *r) {
    while (r->pending == 0 && r->session && !r->closed) {
        const char *line = imap_script_header(r->script, "task", r->task);
        if (!line) {
            return;
        }
        if (strncmp(line, "wait ", 5) == 0 && !heard(r, line + 5)) {
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

/* ---- the server's thread ---- */

static void turn_clock(void *user, uint64_t ms) {
    run *r = user;

    g_mutex_lock(&r->lock);
    r->turn_by = ms;
    loop_async_wake(r->wake);
    while (r->turn_by && !r->over) {
        g_cond_wait(&r->changed, &r->lock);
    }
    g_mutex_unlock(&r->lock);
}

static bool await(void *user, const char *pattern) {
    run *r = user;
    int64_t until = g_get_monotonic_time() + IMAP_SCRIPT_PATIENCE_MS * 1000;
    bool ok;

    g_mutex_lock(&r->lock);
    while (!(ok = heard(r, pattern)) && !r->over && g_cond_wait_until(&r->changed, &r->lock, until)) {
    }
    g_mutex_unlock(&r->lock);
    return ok;
}

static void script_finished(void *user) {
    run *r = user;

    loop_async_wake(r->wake);
}

static void woken(void *user) {
    run *r = user;

    g_mutex_lock(&r->lock);
    r->clock.fake_elapsed += r->turn_by;
    r->turn_by = 0;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
}

/* ---- one dialogue ---- */

/* Real time, that can also be made to jump. */
static uint64_t jumping_elapsed(const clock_source *self) {
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + self->fake_elapsed;
}

static enum session_auth read_auth(const char *name) {
    static const char *const names[] = {"auto", "plain", "login", "cram-md5", "xoauth2", "oauthbearer", "external"};

    for (int i = 0; i < (int)G_N_ELEMENTS(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum session_auth)i;
        }
    }
    fail_msg("no such auth: %s", name);
    return SESSION_AUTH_AUTO;
}

static enum transport_tls read_tls(const char *name) {
    return strcmp(name, "implicit") == 0   ? TRANSPORT_TLS_IMPLICIT
           : strcmp(name, "starttls") == 0 ? TRANSPORT_TLS_STARTTLS
                                           : TRANSPORT_TLS_NONE;
}

static void open_session(run *r) {
    static const logger to_stderr = {.fd = 2, .level = LOG_LEVEL_DEBUG};
    const log_ctx log = {.logger = getenv("TRACE") ? &to_stderr : NULL, .group = "imap"};
    const char *disabled[] = {header(r, "disable", NULL), NULL}, *enable[] = {header(r, "enable", NULL), NULL};
    struct limits limits = LIMITS_DEFAULT;
    session_config config = {
        .host = header(r, "host", "localhost"),
        .port = imap_script_port(r->script),
        .tls = read_tls(header(r, "tls", "none")),
        .tls_ca = ca_file,
        .user = header(r, "user", "me"),
        .auth = read_auth(header(r, "auth", "auto")),
        .token = imap_script_header(r->script, "token", 0) != NULL,
        .timeout_ms = header_number(r, "timeout"),
        .idle_renew_ms = header_number(r, "renew"),
        .idle_memory = &r->idle_memory,
        .disabled = disabled,
        .enable = enable,
        .client_name = header(r, "id", NULL),
        .limits = &limits,
    };

    r->idle_memory.last_hangup_ms = header_number(r, "last-hangup");
    r->session = session_new(r->loop, r->pool, &r->random, &config, &events, r, &log);
    error *err = session_open(r->session);
    if (err) {
        on_closed(r, err);
    }
}

static bool heard_enough(const run *r) {
    return !imap_script_header(r->script, "task", r->task) && r->pending == 0 &&
           !(imap_script_header(r->script, "expect", r->heard->len));
}

static void run_loop(run *r) {
    bool ready = false;

    while (r->session && !r->closed) {
        bool done = imap_script_finished(r->script);
        if (done && (imap_script_report(r->script) || heard_enough(r))) {
            return;
        }
        loop_turn(r->loop, true);
        if (!r->session) {
            return;
        }
        if (!ready && session_info_get(r->session)) {
            ready = true;
            next_tasks(r);
        } else if (r->waiting && heard(r, r->waiting)) {
            next_tasks(r);
        }
    }
}

static bool check_heard(run *r, GString *why) {
    unsigned wanted = 0;
    bool ok = true;

    for (; imap_script_header(r->script, "expect", wanted); wanted++) {
        const char *pattern = imap_script_header(r->script, "expect", wanted);
        const char *line = wanted < r->heard->len ? r->heard->pdata[wanted] : "(nothing)";
        bool fits = imap_script_match(pattern, line);
        g_string_append_printf(why, "%s expected: %s\n        heard: %s\n", fits ? "   " : "***", pattern, line);
        ok = ok && fits;
    }
    for (guint i = wanted; i < r->heard->len; i++) {
        g_string_append_printf(why, "*** heard more: %s\n", (char *)r->heard->pdata[i]);
        ok = false;
    }
    return ok;
}

#if defined(__SANITIZE_ADDRESS__)
#define COUNTS_MEMORY false /* what a sanitizer needs is not ours */
#elif defined(__has_feature)
#define COUNTS_MEMORY (!__has_feature(address_sanitizer))
#else
#define COUNTS_MEMORY true
#endif

static long memory_kb(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void run_init(run *r, const char *path, manner how) {
    char *why = NULL;
    const imap_script_options options = {.ca_file = ca_file,
                                         .split = how.split,
                                         .clock = turn_clock,
                                         .await = await,
                                         .finished = script_finished,
                                         .user = r};

    *r = (run){.manner = how, .clock = {.elapsed = jumping_elapsed}};
    clock_source real;
    clock_init_real(&real);
    r->clock.wall = real.wall;
    g_mutex_init(&r->lock);
    g_cond_init(&r->changed);
    r->heard = g_ptr_array_new_with_free_func(g_free);
    random_init_seeded(&r->random, 1);
    assert_null(loop_new(&r->clock, &r->loop));
    assert_null(loop_async_new(r->loop, woken, r, &r->wake));
    r->script = imap_script_new(path, &options, &why);
    if (!r->script) {
        fail_msg("%s", why);
    }
    r->trust = tls_trust_new();
    r->pool = transport_pool_new(r->loop, r->trust);
}

static void run_release(run *r) {
    imap_script_free(r->script);
    transport_pool_free(r->pool);
    tls_trust_free(r->trust);
    loop_async_free(r->wake);
    loop_free(r->loop);
    g_ptr_array_free(r->heard, TRUE);
    g_mutex_clear(&r->lock);
    g_cond_clear(&r->changed);
}

static void end_server(run *r) {
    g_mutex_lock(&r->lock);
    r->over = true;
    g_cond_broadcast(&r->changed);
    g_mutex_unlock(&r->lock);
}

/* Ends the session, if it has not ended itself, and the server. True if the dialogue was followed. */
static bool finish(run *r) {
    session *s = r->session;

    r->session = NULL;
    session_free(s);
    end_server(r);
    return imap_script_join(r->script);
}

/* Fails the test if the dialogue was not followed, or the owner heard anything else than is expected. How often it
 * heard something; *also_bytes_out: whether to play it byte by byte, too. */
static guint play(const char *path, manner how, bool *also_bytes_out) {
    run r;
    g_autoptr(GString) why = g_string_new(NULL);

    run_init(&r, path, how);
    long before = memory_kb(), allowed = header_number(&r, "memory");
    imap_script_start(r.script);
    open_session(&r);
    run_loop(&r);
    bool ok = check_heard(&r, why);
    if (!finish(&r)) {
        const char *report = imap_script_report(r.script);
        g_string_append(why, report ? report : "the dialogue was not played to its end\n");
        ok = false;
    }
    long grown = memory_kb() - before;
    if (COUNTS_MEMORY && allowed && grown > allowed * 1024) {
        g_string_append_printf(why, "*** %ld KB of memory more\n", grown);
        ok = false;
    }
    *also_bytes_out = strcmp(header(&r, "byte-by-byte", "yes"), "yes") == 0;
    guint count = r.heard->len;
    run_release(&r);
    if (!ok) {
        fail_msg("%s%s\n%s", path, how.split ? ", byte by byte" : "", why->str);
    }
    return count;
}

/* Whenever the owner frees or closes the session: every command is told how it ended, the end is told at most once, and
 * nothing is touched after it was freed (which the sanitizers see). */
static void play_with_a_twist(const char *path, manner how) {
    run r;
    unsigned ends = 0;

    run_init(&r, path, how);
    imap_script_start(r.script);
    open_session(&r);
    run_loop(&r);
    finish(&r);
    for (guint i = 0; i < r.heard->len; i++) {
        ends += g_str_has_prefix(r.heard->pdata[i], "closed");
    }
    unsigned pending_left = r.pending;
    run_release(&r);
    if (pending_left) {
        fail_msg("%s, twisted at %u: %u commands were never answered", path, how.at, pending_left);
    }
    assert_true(ends <= 1);
}

static void play_dialogue(void **state) {
    const char *path = *state;
    bool also_bytes;
    guint count = play(path, (manner){0}, &also_bytes);

    if (!also_bytes) {
        return;
    }
    play(path, (manner){.split = 1}, &also_bytes);
    for (guint at = 0; at < count; at++) {
        play_with_a_twist(path, (manner){.twist = TWIST_FREE, .at = at});
        play_with_a_twist(path, (manner){.twist = TWIST_CLOSE, .at = at});
    }
}

/* ---- all of them ---- */

static bool is_for_sessions(const char *path) {
    g_autofree char *text = NULL;

    return g_str_has_suffix(path, ".imap") && g_file_get_contents(path, &text, NULL, NULL) &&
           strstr(text, "\nexpect:") != NULL;
}

static gint by_name(gconstpointer a, gconstpointer b) {
    return strcmp(((const struct CMUnitTest *)a)->name, ((const struct CMUnitTest *)b)->name);
}

static GArray *find_dialogues(const char *dir, const char *only) {
    GArray *tests = g_array_new(FALSE, TRUE, sizeof(struct CMUnitTest));
    GDir *list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        char *path = g_build_filename(dir, name, NULL);
        if (!is_for_sessions(path) || (only && !strstr(name, only))) {
            g_free(path);
            continue;
        }
        const struct CMUnitTest test = {.name = strrchr(path, '/') + 1, .test_func = play_dialogue, .initial_state = path};
        g_array_append_val(tests, test);
    }
    if (list) {
        g_dir_close(list);
    }
    g_array_sort(tests, by_name);
    return tests;
}

int main(int argc, char **argv) {
    const char *dir = getenv("DIALOG_DIR") ? getenv("DIALOG_DIR") : "tests/dialog";
    GArray *tests = find_dialogues(dir, argc > 1 ? argv[1] : NULL);
    g_autofree char *temp = g_dir_make_tmp("dialogs-XXXXXX", NULL);
    g_autofree char *ca = g_build_filename(temp, "ca.pem", NULL);
    int failed;

    ca_file = ca;
    if (tests->len == 0) {
        fprintf(stderr, "no dialogues in %s\n", dir);
        return 1;
    }
    failed = _cmocka_run_group_tests("dialogs", (const struct CMUnitTest *)(void *)tests->data, tests->len, NULL, NULL);
    unlink(ca);
    rmdir(temp);
    for (guint i = 0; i < tests->len; i++) {
        g_free(g_array_index(tests, struct CMUnitTest, i).initial_state);
    }
    g_array_free(tests, TRUE);
    return failed;
}
