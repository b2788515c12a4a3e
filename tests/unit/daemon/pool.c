/* The pool: jobs are queued, handed out in turn, answered, cancelled. */
#include "tests/unit/daemon/pool_fixture.h"

static void a_job_ends_with_the_plan_or_the_failure_of_its_rules(void **state) {
    struct fixture f;
    struct message good, bad;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &good, "work", "plan", 1);
    submit(&f, &bad, "work", "fail", 1);
    turn_until(&f, &good.plans, 1);
    turn_until(&f, &bad.fails, 1);
    assert_int_equal(f.loaded, 1);
    assert_string_equal(good.config, "a b");
    assert_int_equal(pool_get_stats(f.pool).finished, 2);
    assert_int_equal(pool_get_stats(f.pool).in_flight, 0);
    end(&f);
}

static void a_need_is_answered_and_the_job_goes_on(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &msg, "work", "need", 1);
    answer(&f, &msg, "too early: dropped");
    turn_until(&f, &msg.needs, 1);
    answer(&f, &msg, "Subject: x");
    answer(&f, &msg, "twice: dropped");
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.subject, "Subject: x");
    end(&f);
}

static void on_scope(void *user, wire_message *reply) {
    *(unsigned *)user = reply->u.scope_reply.rules;
    wire_message_free(reply);
}

static void a_scope_is_asked(void **state) {
    struct fixture f;
    wire_message *m = wire_message_new(WIRE_SCOPE);
    unsigned rules = 0;
    uint64_t job;

    (void)state;
    begin(&f, "a b", 2, 0);
    m->u.scope.account = m->u.scope.folder = wire_str(m, "x");
    assert_null(pool_scope(f.pool, m, on_scope, &rules, &job));
    turn_until(&f, &rules, 7);
    end(&f);
}

static void accounts_are_served_in_turn(void **state) {
    struct fixture f;
    struct message a[5], b[2], c;

    (void)state;
    begin(&f, "a b", 1, 1);
    for (unsigned i = 0; i < 5; i++) {
        submit(&f, &a[i], "a", "plan", 1);
    }
    submit(&f, &b[0], "b", "plan", 1);
    submit(&f, &b[1], "b", "plan", 1);
    submit(&f, &c, "c", "plan", 1);
    turn_until(&f, &a[4].plans, 1);
    assert_string_equal(f.order->str, "abcabaaa");
    end(&f);
}

static void room_is_refused_and_comes_back(void **state) {
    struct fixture f;
    struct message msgs[4];

    (void)state;
    begin(&f, "a b", 1, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(pool_has_room(f.pool));
        submit(&f, &msgs[i], "a", "plan", 1);
    }
    assert_false(pool_has_room(f.pool));
    turn_until(&f, &f.rooms, 1);
    assert_true(pool_has_room(f.pool));
    turn_until(&f, &msgs[3].plans, 1);
    assert_int_equal(f.rooms, 1);
    end(&f);
}

static void a_cancelled_job_calls_nobody(void **state) {
    struct fixture f;
    struct message queued, waiting, last;

    (void)state;
    begin(&f, "a b", 1, 1);
    submit(&f, &queued, "a", "plan", 1);
    pool_cancel(f.pool, queued.job);
    submit(&f, &waiting, "a", "need", 1);
    turn_until(&f, &waiting.needs, 1);
    pool_cancel(f.pool, waiting.job);
    answer(&f, &waiting, "nobody asks");
    submit(&f, &last, "a", "plan", 1);
    turn_until(&f, &last.plans, 1);
    assert_int_equal(queued.plans + waiting.plans, 0);
    assert_int_equal(pool_get_stats(f.pool).in_flight, 0);
    end(&f);
}

static void on_plan_submit_next(void *user, wire_message *m) {
    struct message *msg = user;
    static const pool_job_events events = {on_need, on_plan_submit_next, on_fail, on_died};

    wire_message_free(m);
    msg->plans++;
    if (msg->plans < 200) {
        wire_message *eval = wire_message_new(WIRE_EVAL);
        eval->u.eval.account = eval->u.eval.folder = wire_str(eval, "plan");
        pool_cancel(msg->f->pool, msg->job);
        assert_null(pool_submit(msg->f->pool, eval, 1, &events, msg, &msg->job));
    }
}

static void callbacks_may_submit_and_cancel(void **state) {
    static const pool_job_events events = {on_need, on_plan_submit_next, on_fail, on_died};
    struct fixture f;
    struct message msg = {.f = &f};
    wire_message *m = wire_message_new(WIRE_EVAL);

    (void)state;
    begin(&f, "a b", 2, 0);
    m->u.eval.account = m->u.eval.folder = wire_str(m, "plan");
    assert_null(pool_submit(f.pool, m, 1, &events, &msg, &msg.job));
    turn_until(&f, &msg.plans, 200);
    end(&f);
}

static void large_messages_pass(void **state) {
    struct fixture f;
    struct message msg;
    char *large = g_strnfill(20 << 20, 'x');

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &msg, "a", "need", 1);
    turn_until(&f, &msg.needs, 1);
    answer(&f, &msg, large);
    turn_until(&f, &msg.plans, 1);
    assert_int_equal(strspn(msg.subject, "x"), sizeof msg.subject - 1);
    g_free(large);
    end(&f);
}

static void a_pool_with_jobs_in_every_state_can_be_freed(void **state) {
    struct fixture f;
    struct message msgs[9];

    (void)state;
    begin(&f, "a b", 2, 1);
    submit(&f, &msgs[0], "a", "need", 1);
    turn_until(&f, &msgs[0].needs, 1);
    for (unsigned i = 1; i < 9; i++) {
        submit(&f, &msgs[i], i % 2 ? "a" : "b", i == 3 ? "spin" : "plan", i == 4 ? 2 : 1);
    }
    loop_turn(f.loop, false);
    end(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_ends_with_the_plan_or_the_failure_of_its_rules),
        cmocka_unit_test(a_need_is_answered_and_the_job_goes_on),
        cmocka_unit_test(a_scope_is_asked),
        cmocka_unit_test(accounts_are_served_in_turn),
        cmocka_unit_test(room_is_refused_and_comes_back),
        cmocka_unit_test(a_cancelled_job_calls_nobody),
        cmocka_unit_test(callbacks_may_submit_and_cancel),
        cmocka_unit_test(large_messages_pass),
        cmocka_unit_test(a_pool_with_jobs_in_every_state_can_be_freed),
    };

    return pool_test_main(argc, argv, tests);
}
