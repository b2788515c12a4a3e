/* Who may connect when: with a clock that moves when told, and connections that are only tickets. */
#include "daemon/admission.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

#define MANY 1000

typedef struct connection {
    struct world *world;
    admission_ticket ticket;
    unsigned order; /* of its last turn, from 1; 0 = none yet */
} connection;

typedef struct world {
    clock_source clock;
    event_loop *loop;
    random_source random;
    admission *admission;
    unsigned turns; /* given so far */
    connection all[MANY];
} world;

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    alarm(60);
    clock_init_fake(&w->clock, 0);
    random_init_seeded(&w->random, 71);
    assert_null(loop_new(&w->clock, &w->loop));
    w->admission = admission_new(w->loop, &w->random, &(log_ctx){0});
    for (size_t i = 0; i < MANY; i++) {
        w->all[i].world = w;
    }
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;

    for (size_t i = 0; i < MANY; i++) {
        admission_closed(&w->all[i].ticket, ADMISSION_ENDED);
    }
    admission_free(w->admission);
    loop_free(w->loop);
    g_free(w);
    return 0;
}

static void go(void *user) {
    connection *c = user;

    c->order = ++c->world->turns;
}

static void ask(connection *c, const char *host) {
    admission_ask(c->world->admission, &c->ticket, host, 993, go, c);
}

static void ask_all(world *w, size_t from, size_t n, const char *host) {
    for (size_t i = from; i < from + n; i++) {
        ask(&w->all[i], host);
    }
}

static void turn(world *w) {
    loop_turn(w->loop, false);
    loop_turn(w->loop, false);
}

static unsigned count(const world *w, enum admission_state state) {
    unsigned n = 0;

    for (size_t i = 0; i < MANY; i++) {
        n += w->all[i].ticket.state == state;
    }
    return n;
}

static void reach_all(world *w, size_t from, size_t n) {
    for (size_t i = from; i < from + n; i++) {
        admission_reached(&w->all[i].ticket);
    }
}

/* Every connection under way fails, and asks again if it is told to. Returns how many were. */
static unsigned fail_all(world *w, const char *host) {
    unsigned again = 0;

    for (size_t i = 0; i < MANY; i++) {
        connection *c = &w->all[i];
        if (c->ticket.state == ADMISSION_UNDER_WAY && admission_closed(&c->ticket, ADMISSION_UNREACHED)) {
            ask(c, host);
            again++;
        }
    }
    return again;
}

static void nothing_starts_inside_of_ask_and_then_few_do(void **state) {
    world *w = *state;

    ask_all(w, 0, MANY, "a.example");
    assert_int_equal(w->turns, 0);
    turn(w);
    assert_in_range(w->turns, 1, 10);
}

static void fault_71_all_connect_in_the_order_they_asked_and_never_more_than_allowed_at_once(void **state) {
    world *w = *state;
    unsigned most = 0, rounds = 0;

    ask_all(w, 0, MANY, "a.example");
    for (turn(w); count(w, ADMISSION_OPEN) < MANY; turn(w)) {
        most = MAX(most, count(w, ADMISSION_UNDER_WAY));
        reach_all(w, 0, MANY);
        assert_true(++rounds < 100);
    }
    assert_int_equal(most, ADMISSION_A_SERVER);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(w->all[i].order, i + 1);
    }
}

static void fault_71_a_server_that_hangs_does_not_hold_up_the_others(void **state) {
    world *w = *state;

    for (size_t host = 0; host < 40; host++) { /* enough of them to use up what is allowed in all */
        g_autofree char *name = g_strdup_printf("hangs%zu.example", host);
        ask_all(w, host * 20, 20, name);
    }
    turn(w);
    assert_int_equal(count(w, ADMISSION_UNDER_WAY), ADMISSION_ALL);
    ask_all(w, 900, 100, "good.example");
    for (int i = 0; i < 100; i++) {
        turn(w);
        reach_all(w, 900, 100);
    }
    for (size_t i = 900; i < MANY; i++) {
        assert_int_equal(w->all[i].ticket.state, ADMISSION_OPEN);
    }
}

static void fault_71_a_server_that_is_down_is_probed_by_one_at_a_time_and_soon(void **state) {
    world *w = *state;
    unsigned before, seconds = 0;

    ask_all(w, 0, MANY, "down.example");
    turn(w);
    fail_all(w, "down.example");
    assert_int_equal(admission_get_stats(w->admission).down, 1);
    assert_string_equal(admission_why(&w->all[500].ticket), "waiting for the server");
    for (int i = 0; i < 1800; i++) { /* half an hour */
        before = w->turns;
        clock_fake_advance(&w->clock, 1000);
        turn(w);
        assert_in_range(w->turns - before, 0, 1);
        seconds = w->turns == before ? seconds + 1 : 0;
        assert_true(seconds <= ADMISSION_PROBE_MS / 1000);
        fail_all(w, "down.example");
    }
    assert_int_equal(count(w, ADMISSION_WAITING) + count(w, ADMISSION_IDLE), MANY);
    /* It is there again: all of them within the time of one probe and a few rounds. */
    for (seconds = 0; count(w, ADMISSION_OPEN) + count(w, ADMISSION_IDLE) < MANY; seconds++) {
        clock_fake_advance(&w->clock, 1000);
        turn(w);
        reach_all(w, 0, MANY);
        assert_true(seconds < 60);
    }
    assert_int_equal(admission_get_stats(w->admission).down, 0);
}

/* An account alone at its server backs off on its own, up to minutes. */
static void failures_of_one_account_do_not_make_its_server_down(void **state) {
    world *w = *state;

    for (int i = 0; i < 10; i++) {
        ask(&w->all[0], "mine.example");
        turn(w);
        assert_int_equal(w->all[0].ticket.state, ADMISSION_UNDER_WAY);
        assert_false(admission_closed(&w->all[0].ticket, ADMISSION_UNREACHED));
    }
    assert_int_equal(admission_get_stats(w->admission).down, 0);
}

static void a_refused_login_shows_that_the_server_is_there(void **state) {
    world *w = *state;

    ask_all(w, 0, 10, "down.example");
    turn(w);
    fail_all(w, "down.example");
    assert_int_equal(admission_get_stats(w->admission).down, 1);
    clock_fake_advance(&w->clock, ADMISSION_PROBE_MS);
    turn(w);
    for (size_t i = 0; i < 10; i++) {
        if (w->all[i].ticket.state == ADMISSION_UNDER_WAY) {
            assert_false(admission_closed(&w->all[i].ticket, ADMISSION_ANSWERED));
        }
    }
    assert_int_equal(admission_get_stats(w->admission).down, 0);
}

static void no_more_are_open_than_there_are_descriptors_for(void **state) {
    world *w = *state;

    admission_set_room(w->admission, 50);
    ask_all(w, 0, 200, "a.example");
    for (int i = 0; i < 20; i++) {
        turn(w);
        reach_all(w, 0, 200);
    }
    assert_int_equal(count(w, ADMISSION_OPEN), 50);
    assert_string_equal(admission_why(&w->all[60].ticket), "waiting for a descriptor");
    admission_closed(&w->all[10].ticket, ADMISSION_ENDED);
    turn(w);
    assert_int_equal(w->all[50].ticket.state, ADMISSION_UNDER_WAY); /* the one that has waited longest */
    admission_set_room(w->admission, 300);
    for (int i = 0; i < 20; i++) {
        turn(w);
        reach_all(w, 0, 200);
    }
    assert_int_equal(count(w, ADMISSION_OPEN), 199);
}

static void when_descriptors_run_out_nobody_starts_for_a_while(void **state) {
    world *w = *state;

    ask_all(w, 0, 10, "a.example");
    turn(w);
    assert_true(admission_closed(&w->all[0].ticket, ADMISSION_NO_RESOURCES));
    ask(&w->all[0], "a.example");
    reach_all(w, 1, 9);
    turn(w);
    assert_int_equal(count(w, ADMISSION_UNDER_WAY), 0);
    assert_string_equal(admission_why(&w->all[0].ticket), "waiting for a descriptor");
    clock_fake_advance(&w->clock, 15000);
    turn(w);
    assert_int_equal(count(w, ADMISSION_UNDER_WAY), 7);
    assert_int_equal(admission_get_stats(w->admission).down, 0);
}

static void a_ticket_that_is_withdrawn_gets_no_turn(void **state) {
    world *w = *state;

    ask_all(w, 0, 3, "a.example");
    assert_false(admission_closed(&w->all[1].ticket, ADMISSION_ENDED));
    turn(w);
    assert_int_equal(w->turns, 2);
    assert_int_equal(w->all[1].order, 0);
    assert_int_equal(w->all[1].ticket.state, ADMISSION_IDLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(nothing_starts_inside_of_ask_and_then_few_do),
        T(fault_71_all_connect_in_the_order_they_asked_and_never_more_than_allowed_at_once),
        T(fault_71_a_server_that_hangs_does_not_hold_up_the_others),
        T(fault_71_a_server_that_is_down_is_probed_by_one_at_a_time_and_soon),
        T(failures_of_one_account_do_not_make_its_server_down),
        T(a_refused_login_shows_that_the_server_is_there),
        T(no_more_are_open_than_there_are_descriptors_for),
        T(when_descriptors_run_out_nobody_starts_for_a_while),
        T(a_ticket_that_is_withdrawn_gets_no_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
