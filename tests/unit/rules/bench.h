/*
 * bench.h - a config in a temporary folder, messages as text, and what the rules make of them. Included by each test of
 * the engine; everything is freed by bench_tear_down().
 */
#ifndef TESTS_RULES_BENCH_H
#define TESTS_RULES_BENCH_H

#include "mail/runtime.h"
#include "mail/view.h"
#include "rules/rules.h"
#include "tests/unit/unit.h"
#include "wire/frame.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

struct bench {
    char *folder;
    wire_message *config;
    rules *rules;
    struct rules_host host;
    GString *log;   /* lines of rules */
    GString *needs; /* "fields x y;" of the last run */
    uint64_t next_job;
};

/* GMime can be started once a process. */
static mail_runtime *bench_mail;

static inline int bench_start(void **state) {
    (void)state;
    bench_mail = mail_runtime_new();
    return 0;
}

static inline int bench_stop(void **state) {
    (void)state;
    mail_runtime_free(bench_mail);
    return 0;
}

static inline void bench_log(void *user, wire_message *message) {
    struct bench *b = user;

    g_string_append_printf(b->log, "%s\n", message->u.log.text);
    wire_message_free(message);
}

static inline int bench_set_up(void **state) {
    struct bench *b = g_new0(struct bench, 1);

    b->folder = g_dir_make_tmp("mailruled-rules-XXXXXX", NULL);
    b->host = (struct rules_host){.user = b, .log = bench_log};
    b->log = g_string_new(NULL);
    b->needs = g_string_new(NULL);
    *state = b;
    return 0;
}

static inline void bench_remove(const char *path) {
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *below = g_build_filename(path, name, NULL);
        if (g_file_test(below, G_FILE_TEST_IS_DIR) && !g_file_test(below, G_FILE_TEST_IS_SYMLINK)) {
            bench_remove(below);
        } else {
            g_unlink(below);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
    g_rmdir(path);
}

static inline void bench_unload(struct bench *b) {
    rules_free(b->rules);
    wire_message_free(b->config);
    b->rules = NULL;
    b->config = NULL;
}

static inline int bench_tear_down(void **state) {
    struct bench *b = *state;

    bench_unload(b);
    bench_remove(b->folder);
    g_free(b->folder);
    g_string_free(b->log, TRUE);
    g_string_free(b->needs, TRUE);
    g_free(b);
    return 0;
}

/* A file below the config's folder, readable by its owner. */
static inline void bench_file(struct bench *b, const char *name, const char *text) {
    g_autofree char *path = g_build_filename(b->folder, name, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    g_mkdir_with_parents(dir, 0700);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    assert_int_equal(g_chmod(path, 0600), 0);
}

/* Reads config.lua of the folder. */
static inline void bench_read(struct bench *b, bool check_only) {
    g_autofree char *path = g_build_filename(b->folder, "config.lua", NULL);

    bench_unload(b);
    b->config = wire_message_new(WIRE_CONFIG);
    error *err = rules_load(path, check_only, &b->host, b->config, &b->rules);
    if (err) {
        fail_msg("rules_load: %s", err->text);
    }
}

/* "3: text\n..." (with the file where it is not config.lua) of every mistake. g_free. */
static inline char *bench_mistakes(const struct bench *b) {
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < b->config->u.config.n_mistakes; i++) {
        const wire_mistake *m = &b->config->u.config.mistakes[i];
        const char *file = m->place.file + strlen(b->folder) + 1;
        g_string_append_printf(out, "%s%s%u: %s\n", strcmp(file, "config.lua") ? file : "",
                               strcmp(file, "config.lua") ? ":" : "", m->place.line, m->text);
    }
    return g_string_free(out, FALSE);
}

/* The config must be free of mistakes. */
static inline void bench_load(struct bench *b, const char *config) {
    bench_file(b, "config.lua", config);
    bench_read(b, false);
    if (!b->rules) {
        g_autofree char *mistakes = bench_mistakes(b);
        fail_msg("mistakes in the config:\n%s", mistakes);
    }
}

/* The mistakes of a config; g_free. */
static inline char *bench_bad(struct bench *b, const char *config) {
    bench_file(b, "config.lua", config);
    bench_read(b, true);
    assert_true((b->rules == NULL) == (b->config->u.config.n_mistakes > 0));
    return bench_mistakes(b);
}

static inline wire_message *bench_eval(struct bench *b, const char *account, const char *folder) {
    wire_message *m = wire_message_new(WIRE_EVAL);
    wire_eval *e = &m->u.eval;

    e->job = ++b->next_job;
    e->account = wire_str(m, account);
    e->folder = wire_str(m, folder);
    e->delimiter = '/';
    e->uid = 7;
    e->uidvalidity = 1;
    e->internaldate = 1700000000;
    return m;
}

/* An EVAL that holds the whole message, in CRLF or LF. */
static inline wire_message *bench_raw(struct bench *b, const char *text) {
    wire_message *m = bench_eval(b, "work", "INBOX");

    m->u.eval.level = WIRE_LEVEL_RAW;
    m->u.eval.data = wire_copy(m, text, strlen(text));
    m->u.eval.size = strlen(text);
    return m;
}

static inline void bench_append_step(GString *out, const wire_step *s) {
    g_string_append_printf(out, "%s%s%s", out->len ? "; " : "", s->dry_run ? "(dry) " : "", wire_verb_name(s->verb));
    if (s->folder) {
        g_string_append_printf(out, " %s%s", s->folder, s->create ? "" : " (no create)");
    }
    for (size_t i = 0; i < s->flags.n; i++) {
        g_string_append_printf(out, " %s", s->flags.v[i]);
    }
    if (s->webhook) {
        g_string_append_printf(out, " %s", s->webhook);
    }
}

/* "move A; flag B C" or "fail LINE: text"; g_free. */
static inline char *bench_reply(wire_message *reply) {
    GString *out = g_string_new(NULL);

    if (reply->type == WIRE_FAIL) {
        const wire_rule_error *err = &reply->u.fail.error;
        g_string_append_printf(out, "fail %s:%u: %s", err->rule ? err->rule : "", err->place.line, err->text);
    }
    for (size_t i = 0; reply->type == WIRE_PLAN && i < reply->u.plan.n_steps; i++) {
        bench_append_step(out, &reply->u.plan.steps[i]);
    }
    return g_string_free(out, FALSE);
}

/* Runs a job that needs nothing; takes the EVAL. */
static inline wire_message *bench_run(struct bench *b, wire_message *eval) {
    rules_job *job = rules_begin(b->rules, eval);
    wire_message *reply = rules_run(job);

    assert_true(reply->type == WIRE_PLAN || reply->type == WIRE_FAIL);
    rules_job_free(job);
    return reply;
}

/* The plan for a whole message as text. */
static inline char *bench_plan(struct bench *b, const char *message) {
    wire_message *reply = bench_run(b, bench_raw(b, message));
    char *text = bench_reply(reply);

    wire_message_free(reply);
    return text;
}

#define assert_plan(b, message, expected)                                                                              \
    do {                                                                                                               \
        g_autofree char *plan_ = bench_plan((b), (message));                                                           \
        assert_string_equal(plan_, (expected));                                                                        \
    } while (0)

#define assert_has(text, part)                                                                                         \
    do {                                                                                                               \
        if (!strstr((text), (part))) {                                                                                 \
            fail_msg("expected \"%s\" in:\n%s", (part), (text));                                                       \
        }                                                                                                              \
    } while (0)

/* How often the condition holds for the message: the config is `rule "r" { when = COND, actions = { stop } }`. */
static inline bool bench_holds(struct bench *b, const char *condition, const char *message) {
    g_autofree char *config = g_strdup_printf("rule \"r\" { when = %s, actions = { stop } }", condition);

    bench_load(b, config);
    g_autofree char *plan = bench_plan(b, message);
    if (*plan && strcmp(plan, "stop") != 0) {
        fail_msg("%s: %s", condition, plan);
    }
    return *plan != 0;
}

#endif
