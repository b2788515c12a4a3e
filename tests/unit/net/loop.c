#include "net/loop.h"

#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct world {
    clock_source clock;
    event_loop *loop;
    GString *trace;
    loop_timer *timers[4];
} world;

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    alarm(60);
    clock_init_fake(&w->clock, 0);
    assert_null(loop_new(&w->clock, &w->loop));
    w->trace = g_string_new(NULL);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(w->timers); i++) {
        loop_timer_free(w->timers[i]);
    }
    loop_free(w->loop);
    g_string_free(w->trace, TRUE);
    g_free(w);
    return 0;
}

static void say_a(void *user) {
    g_string_append_c(((world *)user)->trace, 'a');
}

static void say_b(void *user) {
    g_string_append_c(((world *)user)->trace, 'b');
}

static void say_c(void *user) {
    g_string_append_c(((world *)user)->trace, 'c');
}

static void timers_fire_when_the_clock_says_so_in_order(void **state) {
    world *w = *state;

    w->timers[0] = loop_timer_new(w->loop, say_a, w);
    w->timers[1] = loop_timer_new(w->loop, say_b, w);
    w->timers[2] = loop_timer_new(w->loop, say_c, w);
    loop_timer_start(w->timers[2], 200);
    loop_timer_start(w->timers[1], 100);
    loop_timer_start(w->timers[0], 100);
    assert_int_equal(loop_timer_left(w->timers[2]), 200);
    loop_timer_start_within(w->timers[2], 300); /* fires sooner as it is */
    assert_int_equal(loop_timer_left(w->timers[2]), 200);
    loop_timer_start_within(w->timers[2], 150);
    assert_int_equal(loop_timer_left(w->timers[2]), 150);
    clock_fake_advance(&w->clock, 99);
    assert_true(loop_turn(w->loop, false));
    assert_string_equal(w->trace->str, "");
    clock_fake_advance(&w->clock, 1);
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "ba"); /* same deadline: in order of their start */
    clock_fake_advance(&w->clock, 1000);
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "bac");
    assert_false(loop_timer_active(w->timers[2]));
    assert_false(loop_turn(w->loop, false));
}

static void a_stopped_or_moved_timer_does_not_fire_at_its_old_time(void **state) {
    world *w = *state;

    w->timers[0] = loop_timer_new(w->loop, say_a, w);
    w->timers[1] = loop_timer_new(w->loop, say_b, w);
    loop_timer_start(w->timers[0], 10);
    loop_timer_start(w->timers[1], 10);
    loop_timer_stop(w->timers[0]);
    loop_timer_start(w->timers[1], 50);
    clock_fake_advance(&w->clock, 49);
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "");
    clock_fake_advance(&w->clock, 1);
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "b");
}

/* Against a plain sorted list, over many starts, stops and steps of the clock. */
static void a_thousand_timers_keep_their_order(void **state) {
    world *w = *state;
    loop_timer *timers[1000];
    uint64_t seed = 42, due = 0;

    for (int i = 0; i < 1000; i++) {
        timers[i] = loop_timer_new(w->loop, say_a, w);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        loop_timer_start(timers[i], (seed >> 33) % 500 + 1);
    }
    for (int i = 0; i < 1000; i += 3) {
        loop_timer_stop(timers[i]);
    }
    for (uint64_t now = 1; now <= 500; now++) {
        due = 0;
        for (int i = 0; i < 1000; i++) {
            due += loop_timer_active(timers[i]) && loop_timer_left(timers[i]) <= 1;
        }
        g_string_truncate(w->trace, 0);
        clock_fake_advance(&w->clock, 1);
        loop_turn(w->loop, false);
        assert_int_equal(w->trace->len, due);
    }
    for (int i = 0; i < 1000; i++) {
        assert_false(loop_timer_active(timers[i]));
        loop_timer_free(timers[i]);
    }
}

static void start_again(void *user) {
    world *w = user;

    g_string_append_c(w->trace, 'r');
    loop_timer_start(w->timers[0], 0);
}

static void a_timer_started_in_a_callback_fires_in_the_next_turn(void **state) {
    world *w = *state;

    w->timers[0] = loop_timer_new(w->loop, start_again, w);
    loop_timer_start(w->timers[0], 0);
    loop_turn(w->loop, true);
    assert_string_equal(w->trace->str, "r");
    loop_turn(w->loop, true);
    assert_string_equal(w->trace->str, "rr");
}

static void free_both(void *user) {
    world *w = user;

    say_a(w);
    g_clear_pointer(&w->timers[0], loop_timer_free);
    g_clear_pointer(&w->timers[1], loop_timer_free);
}

static void a_timer_may_free_itself_and_others(void **state) {
    world *w = *state;

    w->timers[0] = loop_timer_new(w->loop, free_both, w);
    w->timers[1] = loop_timer_new(w->loop, free_both, w);
    loop_timer_start(w->timers[0], 5);
    loop_timer_start(w->timers[1], 5);
    clock_fake_advance(&w->clock, 5);
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "a");
}

static void stop_loop(void *user) {
    loop_stop(((world *)user)->loop);
}

static void run_returns_when_stopped_or_when_nothing_is_left(void **state) {
    world *w = *state;

    loop_run(w->loop);
    w->timers[0] = loop_timer_new(w->loop, stop_loop, w);
    w->timers[1] = loop_timer_new(w->loop, say_a, w);
    loop_timer_start(w->timers[0], 0);
    loop_timer_start(w->timers[1], 1000000);
    loop_run(w->loop);
    assert_true(loop_timer_active(w->timers[1]));
}

static void with_the_real_clock_the_loop_wakes_up_by_itself(void **state) {
    world *w = *state;
    clock_source clock;
    event_loop *loop;
    loop_timer *timer;

    clock_init_real(&clock);
    assert_null(loop_new(&clock, &loop));
    timer = loop_timer_new(loop, say_a, w);
    loop_timer_start(timer, 3);
    uint64_t before = loop_now(loop);
    loop_run(loop);
    assert_string_equal(w->trace->str, "a");
    assert_true(loop_now(loop) >= before + 3);
    loop_timer_free(timer);
    loop_free(loop);
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

typedef struct watched {
    world *w;
    loop_watch *watch;
    int fd, events, calls;
    bool free_it;
} watched;

static void on_ready(void *user, int events) {
    watched *x = user;

    x->calls++;
    x->events = events;
    if (x->free_it) {
        g_clear_pointer(&x->watch, loop_watch_free);
    }
}

static void a_watch_is_level_triggered_and_can_be_paused(void **state) {
    world *w = *state;
    watched x = {.w = w};
    int fds[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
    assert_null(loop_watch_new(w->loop, fds[0], on_ready, &x, &x.watch));
    loop_watch_set(x.watch, LOOP_READABLE);
    loop_turn(w->loop, false);
    assert_int_equal(x.calls, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_turn(w->loop, true);
    loop_turn(w->loop, true);
    assert_int_equal(x.calls, 2);
    assert_int_equal(x.events, LOOP_READABLE);
    loop_watch_set(x.watch, 0);
    loop_turn(w->loop, false);
    assert_int_equal(x.calls, 2);
    loop_watch_set(x.watch, LOOP_READABLE | LOOP_WRITABLE);
    x.free_it = true;
    loop_turn(w->loop, true);
    assert_int_equal(x.events, LOOP_READABLE | LOOP_WRITABLE);
    loop_turn(w->loop, false);
    assert_int_equal(x.calls, 3);
    close(fds[0]);
    close(fds[1]);
}

/* libuv ends its handle on an error condition; a later reader must still see it. */
static void an_error_condition_is_reported_again_and_again(void **state) {
    world *w = *state;
    watched x = {.w = w};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_null(loop_watch_new(w->loop, fds[1], on_ready, &x, &x.watch));
    loop_watch_set(x.watch, LOOP_WRITABLE);
    close(fds[0]);
    loop_turn(w->loop, true);
    loop_turn(w->loop, true);
    assert_int_equal(x.calls, 2);
    assert_int_equal(x.events, LOOP_WRITABLE);
    loop_watch_free(x.watch);
    close(fds[1]);
}

static void *wake_from_thread(void *async) {
    loop_async_wake(async);
    loop_async_wake(async);
    return NULL;
}

static void another_thread_wakes_the_loop(void **state) {
    world *w = *state;
    loop_async *async;
    pthread_t thread;

    assert_null(loop_async_new(w->loop, say_a, w, &async));
    pthread_create(&thread, NULL, wake_from_thread, async);
    pthread_join(thread, NULL);
    while (!w->trace->len) {
        loop_turn(w->loop, true);
    }
    loop_turn(w->loop, false);
    assert_string_equal(w->trace->str, "a");
    loop_async_free(async);
}

static void a_signal_becomes_a_callback(void **state) {
    world *w = *state;
    loop_signal *sig;

    assert_null(loop_signal_new(w->loop, SIGHUP, say_a, w, &sig));
    assert_false(loop_turn(w->loop, false)); /* keeps nobody waiting */
    w->timers[0] = loop_timer_new(w->loop, say_b, w);
    loop_timer_start(w->timers[0], 1000);
    raise(SIGHUP);
    while (!w->trace->len) {
        loop_turn(w->loop, true);
    }
    assert_string_equal(w->trace->str, "a");
    loop_signal_free(sig);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(timers_fire_when_the_clock_says_so_in_order),
        T(a_stopped_or_moved_timer_does_not_fire_at_its_old_time),
        T(a_thousand_timers_keep_their_order),
        T(a_timer_started_in_a_callback_fires_in_the_next_turn),
        T(a_timer_may_free_itself_and_others),
        T(run_returns_when_stopped_or_when_nothing_is_left),
        T(with_the_real_clock_the_loop_wakes_up_by_itself),
        T(a_watch_is_level_triggered_and_can_be_paused),
        T(an_error_condition_is_reported_again_and_again),
        T(another_thread_wakes_the_loop),
        T(a_signal_becomes_a_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
