/*
 * tests/unit/daemon/pool_fixture.h - a pool over a config file of its own, and messages that count what becomes of
 * them.
 * Each test program ends with pool_test_main(), for it is started as an evaluator too.
 */
#ifndef TESTS_UNIT_DAEMON_POOL_FIXTURE_H
#define TESTS_UNIT_DAEMON_POOL_FIXTURE_H

#include "daemon/pool.h"
#include "tests/unit/daemon/fake_nursery.h"
#include "tests/unit/unit.h"

struct fixture {
    clock_source clock;
    event_loop *loop;
    pool *pool;
    char *path;
    unsigned loaded, refused, rooms;
    bool refused_with_config;
    GString *order; /* first letters of the accounts, as their jobs end */
};

struct message {
    struct fixture *f;
    uint64_t job;
    char account[16];
    unsigned needs, plans, fails, deaths;
    int pid; /* of the evaluator that asked or planned last */
    char config[64], subject[64], reason[128], rule[32];
    uint32_t line;
};

static inline void on_loaded(void *user, wire_message *config) {
    ((struct fixture *)user)->loaded++;
    wire_message_free(config);
}

static inline void on_refused(void *user, wire_message *config, error *err) {
    struct fixture *f = user;

    f->refused++;
    f->refused_with_config = config != NULL;
    assert_true((config == NULL) == (err != NULL));
    wire_message_free(config);
    error_free(err);
}

static inline void on_room(void *user) {
    ((struct fixture *)user)->rooms++;
}

static inline void on_need(void *user, wire_message *m) {
    struct message *msg = user;

    msg->needs++;
    msg->pid = atoi(m->u.need.rule);
    wire_message_free(m);
}

static inline void on_plan(void *user, wire_message *m) {
    struct message *msg = user;

    msg->plans++;
    msg->pid = atoi(m->u.plan.identity);
    g_strlcpy(msg->config, m->u.plan.message_id, sizeof msg->config);
    g_strlcpy(msg->subject, m->u.plan.subject ? m->u.plan.subject : "", sizeof msg->subject);
    g_string_append_c(msg->f->order, msg->account[0]);
    wire_message_free(m);
}

static inline void on_fail(void *user, wire_message *m) {
    ((struct message *)user)->fails++;
    wire_message_free(m);
}

static inline void on_died(void *user, const pool_death *death) {
    struct message *msg = user;

    msg->deaths++;
    g_strlcpy(msg->reason, death->reason, sizeof msg->reason);
    g_strlcpy(msg->rule, death->rule ? death->rule : "", sizeof msg->rule);
    msg->line = death->place.line;
}

static inline void write_config(struct fixture *f, const char *text) {
    assert_true(g_file_set_contents(f->path, text, -1, NULL));
}

static inline void turn_until(struct fixture *f, const unsigned *counter, unsigned value) {
    while (*counter < value) {
        assert_true(loop_turn(f->loop, true));
    }
}

static inline void begin(struct fixture *f, const char *config, unsigned size, unsigned window) {
    static const pool_events events = {on_loaded, on_refused, on_room};
    pool_options options = {.executable = "/proc/self/exe", .size = size, .window = window};

    memset(f, 0, sizeof *f);
    f->order = g_string_new(NULL);
    f->path = g_strdup("/tmp/pool-config-XXXXXX");
    close(g_mkstemp(f->path));
    write_config(f, config);
    clock_init_real(&f->clock);
    assert_null(loop_new(&f->clock, &f->loop));
    options.loop = f->loop;
    options.config = f->path;
    error *err = pool_new(&options, &events, f, &f->pool);
    if (err) {
        fail_msg("%s", err->text);
    }
}

static inline void end(struct fixture *f) {
    pool_free(f->pool);
    loop_free(f->loop);
    unlink(f->path);
    g_free(f->path);
    g_string_free(f->order, TRUE);
}

static inline void submit(struct fixture *f, struct message *msg, const char *account, const char *folder,
                          unsigned attempt) {
    static const pool_job_events events = {on_need, on_plan, on_fail, on_died};
    wire_message *m = wire_message_new(WIRE_EVAL);

    memset(msg, 0, sizeof *msg);
    msg->f = f;
    g_strlcpy(msg->account, account, sizeof msg->account);
    m->u.eval.account = wire_str(m, account);
    m->u.eval.folder = wire_str(m, folder);
    assert_null(pool_submit(f->pool, m, attempt, &events, msg, &msg->job));
}

static inline void answer(struct fixture *f, const struct message *msg, const char *text) {
    wire_message *m = wire_message_new(WIRE_ANSWER);

    m->u.answer.data = wire_copy(m, text, strlen(text));
    pool_answer(f->pool, msg->job, m);
}

#define pool_test_main(argc, argv, tests)                                                                              \
    ((argc) > 1 && strcmp((argv)[1], "evaluator") == 0 ? fake_nursery() : cmocka_run_group_tests(tests, NULL, NULL))

#endif
