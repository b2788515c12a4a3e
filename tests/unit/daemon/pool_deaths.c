/* The pool when evaluators spin, crash, are killed or never become ready: who is blamed, and who begins again. */
#include "tests/unit/daemon/pool_fixture.h"

static void fault_61_a_job_that_spins_is_killed_and_named_and_the_others_are_done(void **state) {
    struct fixture f;
    struct message spinner, others[40];

    (void)state;
    begin(&f, "a b", 2, 64);
    for (unsigned i = 0; i < 40; i++) {
        if (i == 10) {
            submit(&f, &spinner, "work", "spin", 1);
        }
        submit(&f, &others[i], "work", "plan", 1);
    }
    turn_until(&f, &spinner.deaths, 1);
    assert_string_equal(spinner.reason, "exceeded 100 ms");
    assert_string_equal(spinner.rule, "b");
    assert_int_equal(spinner.line, 2);
    for (unsigned i = 0; i < 40; i++) {
        turn_until(&f, &others[i].plans, 1);
        assert_int_equal(others[i].plans, 1);
        assert_int_equal(others[i].deaths, 0);
    }
    end(&f);
}

static void fault_61_a_job_that_spins_lets_no_other_wait_for_its_end(void **state) {
    struct fixture f;
    struct message spinner, others[40];

    (void)state;
    begin(&f, "patient b", 2, 64);
    for (unsigned i = 0; i < 40; i++) {
        if (i == 10) {
            submit(&f, &spinner, "work", "spin", 1);
        }
        submit(&f, &others[i], i % 2 ? "work" : "home", i % 3 ? "plan" : "fail", 1);
    }
    turn_until(&f, &spinner.deaths, 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(others[i].plans + others[i].fails, 1);
    }
    end(&f);
}

static void fault_60_a_job_that_crashes_its_evaluator_each_time_is_told_each_time(void **state) {
    struct fixture f;
    struct message crash, other;

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        submit(&f, &crash, "work", "crash", attempt);
        submit(&f, &other, "home", "plan", 1);
        turn_until(&f, &crash.deaths, 1);
        turn_until(&f, &other.plans, 1);
        assert_non_null(strstr(crash.reason, "killed by signal 11"));
        assert_string_equal(crash.rule, "b");
    }
    assert_int_equal(pool_get_stats(f.pool).deaths, 3);
    end(&f);
}

static void fault_60_jobs_whose_evaluator_was_killed_from_outside_begin_again(void **state) {
    struct fixture f;
    struct message msgs[6];

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned i = 0; i < 6; i++) {
        submit(&f, &msgs[i], "work", "need", 1);
    }
    for (unsigned i = 0; i < 6; i++) {
        turn_until(&f, &msgs[i].needs, 1);
    }
    int victim = msgs[0].pid;
    kill(victim, SIGKILL);
    for (unsigned i = 0; i < 6; i++) {
        turn_until(&f, &msgs[i].needs, msgs[i].pid == victim ? 2 : 1);
        assert_int_not_equal(msgs[i].pid, victim);
        answer(&f, &msgs[i], "again");
        turn_until(&f, &msgs[i].plans, 1);
        assert_int_equal(msgs[i].deaths, 0);
    }
    assert_int_equal(pool_get_stats(f.pool).deaths, 1);
    end(&f);
}

static void turn_until_handed_out_after_deaths(struct fixture *f, uint64_t deaths) {
    while (pool_get_stats(f->pool).deaths < deaths || pool_get_stats(f->pool).queued) {
        assert_true(loop_turn(f->loop, true));
    }
}

/* As when all are killed at once: of each the end is seen only after the job went there. */
static void fault_60_evaluators_that_died_before_they_read_a_job_do_not_count_against_it(void **state) {
    struct fixture f;
    struct message msg, deaf[4];

    (void)state;
    begin(&f, "a b", 5, 1);
    while (pool_get_stats(f.pool).ready < 5) {
        assert_true(loop_turn(f.loop, true));
    }
    submit(&f, &msg, "work", "need", 1);
    for (unsigned i = 0; i < 4; i++) {
        submit(&f, &deaf[i], "work", "deaf", 1);
    }
    turn_until(&f, &msg.needs, 1);
    for (unsigned i = 0; i < 4; i++) {
        turn_until(&f, &deaf[i].needs, 1);
        pool_cancel(f.pool, deaf[i].job);
    }
    kill(msg.pid, SIGKILL);
    for (unsigned i = 0; i < 4; i++) {
        turn_until_handed_out_after_deaths(&f, i + 1);
        assert_int_equal(msg.deaths, 0);
        assert_int_equal(msg.needs, 1);
        kill(deaf[i].pid, SIGKILL);
    }
    turn_until_handed_out_after_deaths(&f, 5);
    assert_int_equal(msg.deaths, 0);
    turn_until(&f, &msg.needs, 2);
    answer(&f, &msg, "x");
    turn_until(&f, &msg.plans, 1);
    end(&f);
}

static void a_job_that_no_evaluator_survives_is_given_up_even_if_none_was_at_work(void **state) {
    struct fixture f;
    struct message vanish, garbage;

    (void)state;
    begin(&f, "a b", 2, 1);
    submit(&f, &vanish, "work", "vanish", 1);
    submit(&f, &garbage, "home", "garbage", 1);
    turn_until(&f, &vanish.deaths, 1);
    turn_until(&f, &garbage.deaths, 1);
    assert_string_equal(vanish.reason, "died with 3 evaluators, lastly: ended with status 3");
    assert_string_equal(vanish.rule, "");
    assert_non_null(strstr(garbage.reason, "bad frame"));
    end(&f);
}

static void a_suspect_shares_its_evaluator_with_nobody(void **state) {
    struct fixture f;
    struct message suspects[2], others[10];

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned i = 0; i < 10; i++) {
        submit(&f, &others[i], "work", "need", 1);
    }
    submit(&f, &suspects[0], "home", "need", 2);
    submit(&f, &suspects[1], "home", "need", 3);
    for (unsigned i = 0; i < 10; i++) {
        turn_until(&f, &others[i].needs, 1);
        if (i % 2) {
            answer(&f, &others[i], "done");
            turn_until(&f, &others[i].plans, 1);
        }
    }
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned i = 0; s == 0 && i < 10; i += 2) {
            answer(&f, &others[i], "done");
            turn_until(&f, &others[i].plans, 1);
            submit(&f, &others[i], "work", "need", 1);
        }
        turn_until(&f, &suspects[s].needs, 1);
        assert_int_equal(suspects[1].needs, s);
        for (unsigned i = 0; i < 10; i += 2) {
            turn_until(&f, &others[i].needs, 1);
            assert_int_not_equal(others[i].pid, suspects[s].pid);
        }
        answer(&f, &suspects[s], "done");
        turn_until(&f, &suspects[s].plans, 1);
    }
    end(&f);
}

static void evaluators_that_are_never_ready_cost_no_message(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "unfit", 1, 0);
    submit(&f, &msg, "a", "plan", 1);
    while (pool_get_stats(f.pool).deaths < 3) {
        assert_true(loop_turn(f.loop, true));
    }
    assert_int_equal(msg.deaths, 0);
    write_config(&f, "fit");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &msg.plans, 1);
    end(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_61_a_job_that_spins_is_killed_and_named_and_the_others_are_done),
        cmocka_unit_test(fault_61_a_job_that_spins_lets_no_other_wait_for_its_end),
        cmocka_unit_test(fault_60_a_job_that_crashes_its_evaluator_each_time_is_told_each_time),
        cmocka_unit_test(fault_60_jobs_whose_evaluator_was_killed_from_outside_begin_again),
        cmocka_unit_test(fault_60_evaluators_that_died_before_they_read_a_job_do_not_count_against_it),
        cmocka_unit_test(a_job_that_no_evaluator_survives_is_given_up_even_if_none_was_at_work),
        cmocka_unit_test(a_suspect_shares_its_evaluator_with_nobody),
        cmocka_unit_test(evaluators_that_are_never_ready_cost_no_message),
    };

    return pool_test_main(argc, argv, tests);
}
