/*
 * Plays every dialogue of tests/dialog that says what the session is to do ("task:") and what its owner must then have
 * heard ("expect:"); the format is described in tests/dialog/README.md. Each is played as written; with one byte a
 * segment, where the owner must hear the same; and once for each thing that the owner hears, with the session freed or
 * closed from inside just that callback.
 */
#include "tests/session/dialog_run.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *ca_file;

const char *run_header(const run *r, const char *key, const char *otherwise) {
    const char *value = imap_script_header(r->script, key, 0);

    return value ? value : otherwise;
}

static uint32_t header_number(const run *r, const char *key) {
    return (uint32_t)strtoul(run_header(r, key, "0"), NULL, 10);
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
    while (!(ok = run_heard(r, pattern)) && !r->over && g_cond_wait_until(&r->changed, &r->lock, until)) {
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
    const char *disabled[] = {run_header(r, "disable", NULL), NULL}, *enable[] = {run_header(r, "enable", NULL), NULL};
    struct limits limits = LIMITS_DEFAULT;
    session_config config = {
        .host = run_header(r, "host", "localhost"),
        .behaves_like = run_header(r, "behaves-like", NULL),
        .port = imap_script_port(r->script),
        .tls = read_tls(run_header(r, "tls", "none")),
        .tls_ca = ca_file,
        .user = run_header(r, "user", "me"),
        .auth = read_auth(run_header(r, "auth", "auto")),
        .token = imap_script_header(r->script, "token", 0) != NULL,
        .timeout_ms = header_number(r, "timeout"),
        .idle_renew_ms = header_number(r, "renew"),
        .idle_memory = &r->idle_memory,
        .disabled = disabled,
        .enable = enable,
        .compress = imap_script_header(r->script, "compress", 0) != NULL,
        .client_name = run_header(r, "id", NULL),
        .limits = &limits,
    };

    r->idle_memory.last_hangup_ms = header_number(r, "last-hangup");
    r->session = session_new(r->loop, r->pool, &r->random, &config, &run_events, r, &log);
    error *err = session_open(r->session);
    if (err) {
        run_hear_end(r, err);
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
            run_next_tasks(r);
        } else if (r->waiting && run_heard(r, r->waiting)) {
            run_next_tasks(r);
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
    *also_bytes_out = strcmp(run_header(&r, "byte-by-byte", "yes"), "yes") == 0;
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
           (g_str_has_prefix(text, "expect:") || strstr(text, "\nexpect:"));
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
        const struct CMUnitTest test = {
            .name = strrchr(path, '/') + 1, .test_func = play_dialogue, .initial_state = path};
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
