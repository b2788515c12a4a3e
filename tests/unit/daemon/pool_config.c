/* The pool and its config: refused, reloaded, and read again when the process that had read it has died. */
#include "tests/unit/daemon/pool_fixture.h"

static void a_config_with_mistakes_is_refused_and_may_be_mended(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "mistake", 2, 0);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &f.refused, 1);
    assert_true(f.refused_with_config);
    write_config(&f, "mended");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &msg.plans, 1);
    assert_int_equal(f.loaded, 1);
    assert_string_equal(msg.config, "mended");
    end(&f);
}

static void a_config_that_kills_its_reader_is_refused(void **state) {
    struct fixture f;

    (void)state;
    begin(&f, "dies", 2, 0);
    turn_until(&f, &f.refused, 1);
    assert_false(f.refused_with_config);
    end(&f);
}

static void fault_58_a_reload_lets_jobs_at_work_end_with_the_old_rules(void **state) {
    struct fixture f;
    struct message before, after;

    (void)state;
    begin(&f, "old", 2, 0);
    submit(&f, &before, "a", "need", 1);
    turn_until(&f, &before.needs, 1);
    write_config(&f, "new");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &f.loaded, 2);
    submit(&f, &after, "a", "plan", 1);
    turn_until(&f, &after.plans, 1);
    answer(&f, &before, "x");
    turn_until(&f, &before.plans, 1);
    assert_string_equal(before.config, "old");
    assert_string_equal(after.config, "new");
    end(&f);
}

static void fault_58_a_reload_of_a_broken_config_keeps_the_old_rules(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "old", 2, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "mistake");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &f.refused, 1);
    assert_false(pool_get_stats(f.pool).orphaned);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "old");
    end(&f);
}

static void a_replacement_has_the_rules_in_use_whatever_became_of_the_file(void **state) {
    struct fixture f;
    struct message crash, msg;

    (void)state;
    begin(&f, "old b", 1, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "dies");
    submit(&f, &crash, "a", "crash", 1);
    turn_until(&f, &crash.deaths, 1);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "old b");
    assert_int_equal(f.loaded, 1);
    end(&f);
}

static void when_the_nursery_dies_the_config_is_read_again(void **state) {
    struct fixture f;
    struct message waiting, queued, killer;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &waiting, "a", "need", 1);
    turn_until(&f, &waiting.needs, 1);
    write_config(&f, "new b");
    submit(&f, &killer, "a", "nursery", 1);
    turn_until(&f, &f.loaded, 2);
    submit(&f, &queued, "a", "need", 1);
    turn_until(&f, &queued.needs, 1);
    turn_until(&f, &waiting.needs, 2);
    answer(&f, &queued, "x");
    turn_until(&f, &queued.plans, 1);
    assert_string_equal(queued.config, "new b");
    end(&f);
}

static void the_config_is_read_until_it_is_good_when_the_nursery_has_died(void **state) {
    struct fixture f;
    struct message msg, killer;

    (void)state;
    begin(&f, "a b", 2, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "mistake");
    submit(&f, &killer, "a", "nursery", 1);
    turn_until(&f, &f.refused, 1);
    assert_true(f.refused_with_config);
    assert_true(pool_get_stats(f.pool).orphaned);
    submit(&f, &msg, "a", "plan", 1);
    write_config(&f, "dies");
    turn_until(&f, &f.refused, 2);
    assert_false(f.refused_with_config);
    assert_true(pool_get_stats(f.pool).orphaned);
    write_config(&f, "new b");
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "new b");
    assert_int_equal(f.loaded, 2);
    assert_false(pool_get_stats(f.pool).orphaned);
    end(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_with_mistakes_is_refused_and_may_be_mended),
        cmocka_unit_test(a_config_that_kills_its_reader_is_refused),
        cmocka_unit_test(fault_58_a_reload_lets_jobs_at_work_end_with_the_old_rules),
        cmocka_unit_test(fault_58_a_reload_of_a_broken_config_keeps_the_old_rules),
        cmocka_unit_test(a_replacement_has_the_rules_in_use_whatever_became_of_the_file),
        cmocka_unit_test(when_the_nursery_dies_the_config_is_read_again),
        cmocka_unit_test(the_config_is_read_until_it_is_good_when_the_nursery_has_died),
    };

    return pool_test_main(argc, argv, tests);
}
