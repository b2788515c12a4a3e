/* When to try again: it grows while things fail, stays within its bounds, and falls back only when all is well. */
#include "net/backoff.h"
#include "tests/unit/unit.h"

enum { SEEDS = 500, MINUTE_MS = 60000 };

/* A server that accepts every login and hangs up at once: how many logins in the minute that begins at from_ms. */
static unsigned logins_within(uint64_t seed, uint64_t from_ms) {
    random_source random;
    backoff b;
    uint64_t now = 0;
    unsigned logins = 0;

    random_init_seeded(&random, seed);
    backoff_init(&b, &random);
    while (now < from_ms + MINUTE_MS) {
        logins += now >= from_ms;
        now += backoff_next(&b, BACKOFF_NETWORK, 0);
    }
    return logins;
}

static void fault_08_login_accepted_then_dropped_for_ever(void **state) {
    unsigned first = 0, sum = 0, later = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        unsigned n = logins_within(seed, 0);
        first = n > first ? n : first;
        sum += n;
        n = logins_within(seed, 30 * MINUTE_MS);
        later = n > later ? n : later;
    }
    print_message("logins in the first minute: %.1f, at most %u; half an hour later: at most %u\n", (double)sum / SEEDS,
                  first, later);
    assert_true(first <= 12);
    assert_true(sum <= 8 * SEEDS);
    assert_true(later <= 6);
}

static void waits_stay_between_the_first_and_the_longest_of_their_class(void **state) {
    static const uint64_t first[] = {1000, 30000, 60000, 60000};
    static const uint64_t most[] = {300000, 1800000, 6 * 3600000, 3600000};
    random_source random;

    (void)state;
    random_init_seeded(&random, 7);
    for (int class_ = 0; class_ < BACKOFF_CLASSES; class_++) {
        backoff b;
        backoff_init(&b, &random);
        for (int i = 0; i < 1000; i++) {
            uint64_t wait = backoff_next(&b, (enum backoff_class)class_, 0);
            assert_in_range(wait, first[class_], most[class_]);
        }
        assert_int_equal(backoff_failures(&b), 1000);
    }
}

/* A server's hint is followed, but not for ever: at most half an hour and a tenth. */
static void fault_12_a_hint_is_followed_up_to_its_cap(void **state) {
    random_source random;
    backoff b;

    (void)state;
    random_init_seeded(&random, 7);
    backoff_init(&b, &random);
    assert_in_range(backoff_next(&b, BACKOFF_BUSY, 20 * MINUTE_MS), 20 * MINUTE_MS, 22 * MINUTE_MS);
    assert_in_range(backoff_next(&b, BACKOFF_BUSY, 99999999999), 30 * MINUTE_MS, 33 * MINUTE_MS);
}

static void classes_are_counted_apart_and_fall_back_together(void **state) {
    random_source random;
    backoff b;

    (void)state;
    random_init_seeded(&random, 7);
    backoff_init(&b, &random);
    for (int i = 0; i < 20; i++) {
        backoff_next(&b, BACKOFF_NETWORK, 0);
    }
    assert_in_range(backoff_next(&b, BACKOFF_AUTH, 0), 60000, 120000);
    backoff_healthy(&b);
    assert_int_equal(backoff_failures(&b), 0);
    assert_in_range(backoff_next(&b, BACKOFF_NETWORK, 0), 1000, 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_08_login_accepted_then_dropped_for_ever),
        cmocka_unit_test(waits_stay_between_the_first_and_the_longest_of_their_class),
        cmocka_unit_test(fault_12_a_hint_is_followed_up_to_its_cap),
        cmocka_unit_test(classes_are_counted_apart_and_fall_back_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
