/* How fast an account may go on: pauses, gaps, fewer connections. Time is given. */
#include "session/pace.h"
#include "tests/unit/unit.h"

#define MINUTE 60000

static random_source seeded;

static session_pace fresh(void) {
    session_pace p;

    random_init_seeded(&seeded, 1);
    session_pace_init(&p, &seeded);
    return p;
}

static void at_first_nothing_waits(void **state) {
    session_pace p = fresh();

    assert_int_equal(session_pace_wait(&p, 1), 0);
    session_pace_sent(&p, 1);
    assert_int_equal(session_pace_wait(&p, 1), 0);
    assert_int_equal(session_pace_connect_wait(&p, 1), 0);
    assert_int_equal(session_pace_connections(&p, 1, 4), 4);
}

static void a_refusal_pauses_commands_and_connections_for_what_the_server_says(void **state) {
    session_pace p = fresh();

    session_pace_refused(&p, 1000, 299961);
    assert_in_range(session_pace_wait(&p, 1000), 299961, 299961 + 29997);
    assert_int_equal(session_pace_connect_wait(&p, 1000), session_pace_wait(&p, 1000));
    assert_int_equal(session_pace_wait(&p, 1000 + 330000), 0);
}

static void fault_12_an_absurd_hint_pauses_for_half_an_hour_not_for_ever(void **state) {
    session_pace p = fresh();

    session_pace_refused(&p, 1000, UINT64_MAX);
    assert_in_range(session_pace_wait(&p, 1000), 30 * MINUTE, 33 * MINUTE);
}

static void without_a_hint_pauses_grow_and_an_hour_of_calm_shortens_them(void **state) {
    session_pace p = fresh();
    uint64_t now = 1000, longest = 0;

    for (int i = 0; i < 12; i++) {
        session_pace_refused(&p, now, 0);
        uint64_t wait = session_pace_wait(&p, now);
        assert_in_range(wait, 30000, 30 * MINUTE);
        longest = MAX(longest, wait);
        now += wait;
    }
    assert_true(longest > 10 * MINUTE);
    now += 61 * MINUTE;
    session_pace_refused(&p, now, 0);
    assert_in_range(session_pace_wait(&p, now), 30000, 60000);
    assert_int_equal(p.pauses, 13);
}

static void refusals_of_what_was_under_way_count_once(void **state) {
    session_pace p = fresh();

    session_pace_refused(&p, 1000, 0);
    uint64_t wait = session_pace_wait(&p, 1000);
    for (int i = 0; i < 10; i++) {
        session_pace_refused(&p, 1001, 0);
    }
    assert_int_equal(session_pace_wait(&p, 1000), wait);
    assert_int_equal(p.pauses, 1);
    session_pace_refused(&p, 1001, 10 * MINUTE); /* but who says longer is believed */
    assert_true(session_pace_wait(&p, 1001) >= 10 * MINUTE);
}

static void a_warning_puts_gaps_between_commands_which_grow_and_ease(void **state) {
    session_pace p = fresh();

    session_pace_slow_down(&p, 1000);
    assert_int_equal(session_pace_wait(&p, 1000), 250);
    assert_int_equal(session_pace_wait(&p, 1250), 0);
    session_pace_sent(&p, 1250);
    assert_int_equal(session_pace_wait(&p, 1250), 250);
    for (int i = 0; i < 20; i++) {
        session_pace_slow_down(&p, 2000);
    }
    assert_int_equal(p.gap_ms, 8000);
    session_pace_sent(&p, 2000 + MINUTE);
    assert_int_equal(session_pace_wait(&p, 2000 + MINUTE), 8000);
    session_pace_sent(&p, 2001 + MINUTE);
    assert_int_equal(p.gap_ms, 4000);
    session_pace_wait(&p, 2000 + 10 * MINUTE);
    session_pace_sent(&p, 2000 + 10 * MINUTE);
    assert_int_equal(session_pace_wait(&p, 2000 + 10 * MINUTE), 0);
    assert_int_equal(session_pace_connect_wait(&p, 2000), 0);
}

static void too_many_connections_lowers_their_number_for_a_while_and_stops_nothing_else(void **state) {
    session_pace p = fresh();

    p.open = 3;
    session_pace_too_many(&p, 1000);
    assert_int_equal(session_pace_wait(&p, 1000), 0);
    assert_int_equal(session_pace_connections(&p, 1000, 8), 3);
    assert_int_equal(session_pace_connections(&p, 1000, 2), 2);
    assert_int_equal(session_pace_connect_wait(&p, 1000), 15 * MINUTE);
    p.open = 2; /* one has gone: another may come */
    assert_int_equal(session_pace_connect_wait(&p, 1000), 0);
    p.open = 3;
    assert_int_equal(session_pace_connect_wait(&p, 1000 + 15 * MINUTE), 0);
    assert_int_equal(session_pace_connections(&p, 1000 + 15 * MINUTE, 8), 8);
}

static void one_connection_is_always_allowed(void **state) {
    session_pace p = fresh();

    session_pace_too_many(&p, 1000);
    assert_int_equal(session_pace_connections(&p, 1000, 4), 1);
    assert_int_equal(session_pace_connect_wait(&p, 1000), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_first_nothing_waits),
        cmocka_unit_test(a_refusal_pauses_commands_and_connections_for_what_the_server_says),
        cmocka_unit_test(fault_12_an_absurd_hint_pauses_for_half_an_hour_not_for_ever),
        cmocka_unit_test(without_a_hint_pauses_grow_and_an_hour_of_calm_shortens_them),
        cmocka_unit_test(refusals_of_what_was_under_way_count_once),
        cmocka_unit_test(a_warning_puts_gaps_between_commands_which_grow_and_ease),
        cmocka_unit_test(too_many_connections_lowers_their_number_for_a_while_and_stops_nothing_else),
        cmocka_unit_test(one_connection_is_always_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
