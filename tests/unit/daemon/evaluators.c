/* The real evaluators under attack: hostile messages, rules that never end, processes that are killed. */
#include "daemon/pool.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define DEADLINE "10s"
#else
#define DEADLINE "2s"
#endif

static const char config[] =
    "account 'work' { host = 'imap.example.com', user = 'me', password = secret.env 'X', watch = { 'INBOX' } }\n"
    "defaults { limits = { deadline = '" DEADLINE "' } }\n"
    "rule 'all' {\n"
    "  when = any { from:exists(), recipient:contains 'x', subject:contains 'y', attachment.name:glob '*.exe',\n"
    "               attachment.type:is 'image/gif', text:contains 'nowhere', body:regex 'no\\\\wwhere',\n"
    "               is_auto, is_list,\n"
    "               is_bounce, header 'X-Long':contains 'z', list_id:exists() },\n"
    "  actions = { flag 'Looked' } }\n"
    "rule 'pattern' { folder = 'pattern', run = function(msg) (('a'):rep(400)):find('.-.-.-.-.-.-b') end }\n"
    "rule 'loop' { folder = 'loop', run = function(msg) while true do end end }\n"
    "rule 'pcall' { folder = 'pcall',\n"
    "  run = function(msg) while true do pcall(function() while true do end end) end end }\n"
    "rule 'depth' { folder = 'depth', run = function(msg) local function f() return f() + 1 end f() end }\n"
    "rule 'memory' { folder = 'memory', run = function(msg) local s = 'x' while true do s = s .. s end end }\n"
    "rule 'regex' { folder = 'regex', when = subject:regex '^(a+)+$', actions = { flag 'Never' } }\n"
    "rule 'need' { folder = 'need', when = text:contains 'needle', actions = { flag 'Found' } }\n";

struct fixture {
    clock_source clock;
    event_loop *loop;
    pool *pool;
    char *dir, *binary, *path;
};

struct result {
    uint64_t job;
    unsigned needs, plans, fails, deaths;
    size_t steps;
    char text[512]; /* why it failed or died */
    char rule[64];
};

static void on_loaded(void *user, wire_message *m) {
    (void)user;
    wire_message_free(m);
}

static void on_refused(void *user, wire_message *m, error *err) {
    (void)user;
    if (m && m->u.config.n_mistakes) {
        fail_msg("%u: %s", m->u.config.mistakes[0].place.line, m->u.config.mistakes[0].text);
    }
    fail_msg("%s", err ? err->text : "?");
}

static void on_need(void *user, wire_message *m) {
    ((struct result *)user)->needs++;
    wire_message_free(m);
}

static void on_plan(void *user, wire_message *m) {
    struct result *r = user;

    r->plans++;
    r->steps = m->u.plan.n_steps;
    wire_message_free(m);
}

static void on_fail(void *user, wire_message *m) {
    struct result *r = user;

    r->fails++;
    g_strlcpy(r->text, m->u.fail.error.text, sizeof r->text);
    g_strlcpy(r->rule, m->u.fail.error.rule ? m->u.fail.error.rule : "", sizeof r->rule);
    wire_message_free(m);
}

static void on_died(void *user, const pool_death *death) {
    struct result *r = user;

    r->deaths++;
    g_strlcpy(r->text, death->reason, sizeof r->text);
    g_strlcpy(r->rule, death->rule ? death->rule : "", sizeof r->rule);
}

/* build/unit/daemon/evaluators -> build/mailruled */
static char *find_binary(void) {
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *dir = g_path_get_dirname(self);

    return g_build_filename(dir, "..", "..", "mailruled", NULL);
}

static void begin(struct fixture *f) {
    static const pool_events events = {on_loaded, on_refused, NULL};
    pool_options options = {.size = 2};

    memset(f, 0, sizeof *f);
    f->binary = find_binary();
    if (access(f->binary, X_OK) != 0) {
        print_message("no %s: build it first\n", f->binary);
        g_free(f->binary);
        skip();
    }
    f->dir = g_dir_make_tmp("evaluators-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "config.lua", NULL);
    assert_true(g_file_set_contents(f->path, config, -1, NULL));
    clock_init_real(&f->clock);
    assert_null(loop_new(&f->clock, &f->loop));
    options.loop = f->loop;
    options.executable = f->binary;
    options.config = f->path;
    assert_null(pool_new(&options, &events, f, &f->pool));
}

static void end(struct fixture *f) {
    pool_free(f->pool);
    loop_free(f->loop);
    unlink(f->path);
    rmdir(f->dir);
    g_free(f->path);
    g_free(f->dir);
    g_free(f->binary);
}

static void submit(struct fixture *f, struct result *r, const char *folder, enum wire_level level, const char *data,
                   size_t len) {
    static const pool_job_events events = {on_need, on_plan, on_fail, on_died};
    wire_message *m = wire_message_new(WIRE_EVAL);

    memset(r, 0, sizeof *r);
    m->u.eval.account = wire_str(m, "work");
    m->u.eval.folder = wire_str(m, folder);
    m->u.eval.level = level;
    m->u.eval.data = wire_copy(m, data, len);
    m->u.eval.size = len;
    assert_null(pool_submit(f->pool, m, 1, &events, r, &r->job));
}

static void finish(struct fixture *f, const struct result *r) {
    while (r->plans + r->fails + r->deaths == 0) {
        assert_true(loop_turn(f->loop, true));
    }
}

static void assert_fine(struct fixture *f) {
    static const char mail[] = "From: a@b.c\r\nSubject: fine\r\n\r\nfine\r\n";
    struct result r;

    submit(f, &r, "INBOX", WIRE_LEVEL_RAW, mail, sizeof mail - 1);
    finish(f, &r);
    assert_int_equal(r.plans, 1);
    assert_int_equal(r.steps, 1);
}

/* --- hostile messages --------------------------------------------------------------------------------------------- */

static GString *repeated(const char *before, const char *unit, unsigned n, const char *after) {
    GString *s = g_string_new(before);

    for (unsigned i = 0; i < n; i++) {
        g_string_append(s, unit);
    }
    return g_string_append(s, after);
}

static void assert_handled(struct fixture *f, const char *what, GString *mail) {
    struct result r;

    submit(f, &r, "INBOX", WIRE_LEVEL_RAW, mail->str, mail->len);
    finish(f, &r);
    if (!r.plans) {
        fail_msg("%s: %s", what, r.text);
    }
    g_string_free(mail, TRUE);
}

static GString *nested_boundaries(void) {
    GString *s = g_string_new("From: a@b.c\r\n");

    for (int i = 0; i < 1000; i++) {
        g_string_append_printf(s, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i);
    }
    return s;
}

static GString *many_params(void) {
    GString *s = g_string_new("From: a@b.c\r\nContent-Type: application/pdf");

    for (int i = 0; i < 20000; i++) {
        g_string_append_printf(s, ";\r\n name*%d*=%%41", i);
    }
    return g_string_append(s, "\r\n\r\n");
}

static GString *with_nuls(void) {
    GString *s = g_string_new("From: a@b.c\r\nSubject: a");

    g_string_append_len(s, "\0b\0", 3);
    g_string_append(s, "\r\n\r\n");
    return g_string_append_len(s, "\0\0\0", 3);
}

static void fault_59_hostile_messages_are_handled_in_time(void **state) {
    struct fixture f;

    (void)state;
    begin(&f);
    assert_handled(&f, "nested groups", repeated("From: a@b.c\r\nTo: ", "g:", 100000, "\r\n\r\n"));
    assert_handled(&f, "nested comments", repeated("From: ", "(", 100000, "\r\n\r\n"));
    assert_handled(&f, "many addresses", repeated("To: ", "a@b.c, ", 100000, "\r\n\r\n"));
    assert_handled(
        &f, "many parts",
        repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 200000, "--b--\r\n"));
    assert_handled(&f, "nested boundaries", nested_boundaries());
    assert_handled(&f, "many params", many_params());
    assert_handled(&f, "NULs", with_nuls());
    assert_handled(&f, "many fields", repeated("", "X-Long: y\r\n", 200000, "\r\n"));
    assert_handled(&f, "one long field", repeated("X-Long: ", "y", 5000000, "\r\n\r\n"));
    assert_handled(&f, "a long body", repeated("From: a@b.c\r\n\r\n", "0123456789", 3000000, ""));
    assert_handled(&f, "encoded words", repeated("Subject: ", "=?utf-8?q?=41?= ", 50000, "\r\n\r\n"));
    assert_handled(&f, "deep HTML", repeated("Content-Type: text/html\r\n\r\n", "<div>", 200000, ""));
    assert_handled(&f, "no header", repeated("\r\n", "body\r\n", 10, ""));
    assert_handled(&f, "nothing", g_string_new(""));
    assert_handled(&f, "unfinished", g_string_new("From"));
    assert_int_equal(pool_get_stats(f.pool).deaths, 0);
    end(&f);
}

/* --- rules that never end ----------------------------------------------------------------------------------------- */

static void assert_stopped(struct fixture *f, const char *rule) {
    static const char mail[] = "From: a@b.c\r\nSubject: x\r\n\r\n";
    struct result r;

    submit(f, &r, rule, WIRE_LEVEL_RAW, mail, sizeof mail - 1);
    finish(f, &r);
    assert_int_equal(r.plans, 0);
    assert_string_equal(r.rule, rule);
    assert_int_not_equal(strlen(r.text), 0);
}

static void fault_61_a_rule_that_spins_inside_one_string_pattern_is_stopped_and_named(void **state) {
    struct fixture f;

    (void)state;
    begin(&f);
    assert_stopped(&f, "pattern");
    assert_fine(&f);
    end(&f);
}

static void fault_61_rules_that_never_end_or_want_everything_are_stopped_and_named(void **state) {
    struct fixture f;

    (void)state;
    begin(&f);
    assert_stopped(&f, "loop");
    assert_stopped(&f, "pcall");
    assert_stopped(&f, "depth");
    assert_stopped(&f, "memory");
    assert_fine(&f);
    end(&f);
}

static void fault_62_a_regex_that_explodes_is_stopped_and_named(void **state) {
    GString *mail = repeated("From: a@b.c\r\nSubject: ", "a", 5000, "!\r\n\r\n");
    struct fixture f;
    struct result r;

    (void)state;
    begin(&f);
    submit(&f, &r, "regex", WIRE_LEVEL_RAW, mail->str, mail->len);
    finish(&f, &r);
    assert_int_equal(r.fails, 1);
    assert_string_equal(r.rule, "regex");
    assert_fine(&f);
    g_string_free(mail, TRUE);
    end(&f);
}

/* --- processes that are killed ------------------------------------------------------------------------------------ */

static unsigned children_of(pid_t pid, pid_t *out, unsigned max) {
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
    g_autofree char *text = NULL;
    unsigned n = 0;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    g_auto(GStrv) words = g_strsplit(g_strstrip(text), " ", -1);
    for (; words[n] && *words[n] && n < max; n++) {
        out[n] = (pid_t)atoi(words[n]);
    }
    return n;
}

/* Whatever ends the message instead is shown. */
static void await_needs(struct fixture *f, const struct result *r, unsigned needs) {
    while (r->needs < needs) {
        if (r->plans + r->fails + r->deaths) {
            fail_msg("it ended after %u needs: %s", r->needs, r->text);
        }
        assert_true(loop_turn(f->loop, true));
    }
}

static void fault_60_a_message_survives_that_its_evaluators_are_killed(void **state) {
    static const char header[] = "From: a@b.c\r\nSubject: x\r\n\r\n";
    struct fixture f;
    struct result r;
    pid_t nursery[8], evaluators[8];

    (void)state;
    begin(&f);
    submit(&f, &r, "need", WIRE_LEVEL_HEADER, header, sizeof header - 1);
    while (r.needs < 1 || pool_get_stats(f.pool).ready < 2) {
        assert_true(loop_turn(f.loop, true));
    }
    assert_int_equal(children_of(getpid(), nursery, 8), 1);
    unsigned n = children_of(nursery[0], evaluators, 8);
    assert_int_equal(n, 2);
    for (unsigned i = 0; i < n; i++) {
        kill(evaluators[i], SIGKILL);
    }
    await_needs(&f, &r, 2);
    kill(nursery[0], SIGKILL);
    await_needs(&f, &r, 3);
    pool_cancel(f.pool, r.job);
    assert_fine(&f);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_59_hostile_messages_are_handled_in_time),
        cmocka_unit_test(fault_60_a_message_survives_that_its_evaluators_are_killed),
        cmocka_unit_test(fault_61_a_rule_that_spins_inside_one_string_pattern_is_stopped_and_named),
        cmocka_unit_test(fault_61_rules_that_never_end_or_want_everything_are_stopped_and_named),
        cmocka_unit_test(fault_62_a_regex_that_explodes_is_stopped_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
