/* The queue: group commit, order, cancelling, backpressure. */
#include "fixture.h"

#include "base/limits.h"

#include <pthread.h>

/* Holds the state's thread before its first commit, so that what is submitted meanwhile is one batch. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool reached, open;
};

static void hold(void *user, const char *name) {
    struct gate *g = user;

    if (strcmp(name, "commit-before") != 0) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    g->reached = true;
    pthread_cond_broadcast(&g->changed);
    while (!g->open) {
        pthread_cond_wait(&g->changed, &g->lock);
    }
    pthread_mutex_unlock(&g->lock);
}

static void close_gate(struct gate *g, state *st) {
    *g = (struct gate){0};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    state_set_step_hook(st, hold, g);
    state_kv_delete(st, "gate", "gate", NULL, NULL);
    pthread_mutex_lock(&g->lock);
    while (!g->reached) {
        pthread_cond_wait(&g->changed, &g->lock);
    }
    pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g) {
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void drain(struct fixture *f) {
    while (state_wait(f->st)) {
    }
}

static void end_gate(struct gate *g, struct fixture *f) {
    drain(f);
    state_set_step_hook(f->st, NULL, NULL);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

struct order {
    struct fixture *f;
    GString *log;
    const char *name;
    state *st; /* set: submit one more from the callback */
};

static void note(void *user, const error *err) {
    struct order *o = user;

    g_string_append_printf(o->log, "%s%s ", o->name, err ? "!" : "");
    if (o->st) {
        state *st = o->st;
        o->st = NULL;
        state_kv_set(st, "r", "again", "v", 1, 0, note, o);
        state_dispatch(st); /* not re-entrant: does nothing */
    }
}

static void note_number(void *user, const error *err, int64_t value) {
    note(user, err);
}

static void what_waits_together_is_committed_together_and_answered_in_order(void **state_in) {
    struct fixture *f = *state_in;
    GString *log = g_string_new(NULL);
    struct order orders[3] = {{.log = log, .name = "a"}, {.log = log, .name = "b"}, {.log = log, .name = "c"}};
    struct state_stats before, after;
    struct gate gate;

    state_get_stats(f->st, &before);
    close_gate(&gate, f->st);
    for (int i = 0; i < 3; i++) {
        state_kv_set(f->st, "r", orders[i].name, "v", 1, 0, note, &orders[i]);
    }
    state_get_stats(f->st, &after);
    assert_int_equal(after.queued, 3);
    assert_int_equal(after.outstanding, 4);
    assert_string_equal(log->str, "");
    open_gate(&gate);
    end_gate(&gate, f);
    state_get_stats(f->st, &after);
    assert_string_equal(log->str, "a b c ");
    assert_int_equal(after.commits - before.commits, 2);
    assert_int_equal(after.queued + after.queued_bytes + after.outstanding, 0);
    g_string_free(log, TRUE);
}

static void a_failing_request_does_not_spoil_its_neighbours(void **state_in) {
    struct fixture *f = *state_in;
    GString *log = g_string_new(NULL);
    struct order a = {.log = log, .name = "a"}, b = {.log = log, .name = "b"}, c = {.log = log, .name = "c"};
    struct gate gate;

    MUST(f, state_kv_set(f->st, "r", "word", "no number", 9, 0, on_done, f));
    close_gate(&gate, f->st);
    state_kv_set(f->st, "r", "a", "v", 1, 0, note, &a);
    state_kv_incr(f->st, "r", "word", 1, 0, note_number, &b);
    state_kv_set(f->st, "r", "c", "v", 1, 0, note, &c);
    open_gate(&gate);
    end_gate(&gate, f);
    assert_string_equal(log->str, "a b! c ");
    MUST(f, state_kv_get(f->st, "r", "a", on_value, f));
    assert_true(f->a.found);
    MUST(f, state_kv_get(f->st, "r", "c", on_value, f));
    assert_true(f->a.found);
    g_string_free(log, TRUE);
}

static void a_request_sees_what_was_asked_before_it(void **state_in) {
    struct fixture *f = *state_in;
    struct gate gate;

    close_gate(&gate, f->st);
    state_kv_set(f->st, "r", "k", "old", 3, 0, NULL, NULL);
    state_kv_set(f->st, "r", "k", "new", 3, 0, NULL, NULL);
    begin_wait(f);
    state_kv_get(f->st, "r", "k", on_value, f);
    open_gate(&gate);
    end_wait(f);
    assert_string_equal(f->a.value, "new");
    end_gate(&gate, f);
}

static void arguments_may_die_when_the_call_returns(void **state_in) {
    struct fixture *f = *state_in;
    char ns[] = "r", key[] = "k", value[] = "value";
    struct gate gate;

    close_gate(&gate, f->st);
    state_kv_set(f->st, ns, key, value, 5, 0, NULL, NULL);
    ns[0] = key[0] = value[0] = 'X';
    open_gate(&gate);
    end_gate(&gate, f);
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    assert_string_equal(f->a.value, "value");
}

static void a_callback_may_ask_again(void **state_in) {
    struct fixture *f = *state_in;
    GString *log = g_string_new(NULL);
    struct order a = {.log = log, .name = "a", .st = f->st};

    state_kv_set(f->st, "r", "a", "v", 1, 0, note, &a);
    drain(f);
    assert_string_equal(log->str, "a a ");
    g_string_free(log, TRUE);
}

struct assassin {
    state *st;
    void *victim;
};

static void cancel_victim(void *user, const error *err) {
    struct assassin *a = user;

    state_cancel(a->st, a->victim);
}

static void a_cancelled_owner_is_not_called_but_its_requests_are_done(void **state_in) {
    struct fixture *f = *state_in;
    GString *log = g_string_new(NULL);
    struct order a = {.log = log, .name = "a"}, b = {.log = log, .name = "b"};
    struct assassin killer = {f->st, &a};
    struct gate gate;

    close_gate(&gate, f->st);
    state_kv_set(f->st, "r", "a", "v", 1, 0, note, &a);
    state_cancel(f->st, &a);
    state_kv_delete(f->st, "r", "none", cancel_victim, &killer); /* and from a callback of the same batch */
    state_kv_set(f->st, "r", "a2", "v", 1, 0, note, &a);
    state_kv_set(f->st, "r", "b", "v", 1, 0, note, &b);
    open_gate(&gate);
    end_gate(&gate, f);
    assert_string_equal(log->str, "b ");
    MUST(f, state_kv_get(f->st, "r", "a2", on_value, f));
    assert_true(f->a.found);
    g_string_free(log, TRUE);
}

static void closing_commits_what_is_queued(void **state_in) {
    struct fixture *f = *state_in;
    char key[16];

    for (int i = 0; i < 100; i++) {
        g_snprintf(key, sizeof key, "k%d", i);
        state_kv_set(f->st, "r", key, "v", 1, 0, NULL, NULL);
    }
    reopen(f);
    assert_true(state_was_clean(f->st));
    MUST(f, state_kv_get(f->st, "r", "k99", on_value, f));
    assert_true(f->a.found);
}

static void too_much_new_work_is_refused_but_work_can_always_be_finished(void **state_in) {
    enum { VALUE = 40 << 20 };
    struct fixture *f = *state_in;
    char *value = g_malloc0(VALUE);
    struct state_step_result done = {.row = arrive_and_plan(f, 1, NULL), .seq = 1};
    struct gate gate;

    close_gate(&gate, f->st);
    for (int64_t waiting = 0; waiting + VALUE < LIMIT_STATE_QUEUE_BYTES; waiting += VALUE) {
        state_kv_set(f->st, "r", "k", value, VALUE, 0, NULL, NULL);
    }
    ASK(f, state_kv_set(f->st, "r", "k", value, VALUE, 0, on_done, f)); /* answered before the gate opens */
    assert_int_equal(f->a.code, ERROR_BUSY);
    begin_wait(f);
    state_step_done(f->st, &done, 1, on_rows, f);
    open_gate(&gate);
    end_wait(f);
    assert_int_equal(f->a.code, -1);
    end_gate(&gate, f);
    MUST(f, state_kv_set(f->st, "r", "k", "v", 1, 0, on_done, f));
    g_free(value);
}

static void count_wake(void *user) {
    g_atomic_int_inc((gint *)user);
}

static void the_loop_is_woken_for_an_answer(void **state_in) {
    struct fixture *f = *state_in;
    gint wakes = 0;
    struct state_options options = {.dir = f->dir, .clock = &f->clock, .wake = count_wake, .wake_user = &wakes};

    state_close(f->st);
    assert_null(state_open(&options, &f->st));
    assert_int_equal(g_atomic_int_get(&wakes), 0);
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    state_close(f->st); /* joins: the wake comes after the hand-over */
    assert_int_equal(wakes, 1);
    must_open(f);
}

static void an_instance_has_one_id_for_ever(void **state_in) {
    struct fixture *f = *state_in;
    char id[64], a[STATE_ID_SIZE], b[STATE_ID_SIZE];

    g_strlcpy(id, state_instance_id(f->st), sizeof id);
    assert_int_equal(strlen(id), 32);
    reopen(f);
    assert_string_equal(state_instance_id(f->st), id);
    state_new_id(a);
    state_new_id(b);
    assert_int_equal(strlen(a), STATE_ID_SIZE - 1);
    assert_true(g_str_has_prefix(a, "msg_"));
    assert_string_not_equal(a, b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(what_waits_together_is_committed_together_and_answered_in_order),
        T(a_failing_request_does_not_spoil_its_neighbours),
        T(a_request_sees_what_was_asked_before_it),
        T(arguments_may_die_when_the_call_returns),
        T(a_callback_may_ask_again),
        T(a_cancelled_owner_is_not_called_but_its_requests_are_done),
        T(closing_commits_what_is_queued),
        T(too_much_new_work_is_refused_but_work_can_always_be_finished),
        T(the_loop_is_woken_for_an_answer),
        T(an_instance_has_one_id_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
