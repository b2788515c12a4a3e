/* Lists and counts; UIDVALIDITY; pruning; clocks that jump; the key-value store. */
#include "fixture.h"

#define DAY_MS (24 * 3600 * 1000u)
#define YEAR_MS (INT64_C(365) * DAY_MS)

/* --- lists -------------------------------------------------------------------------------------------------------- */

static int64_t arrive_in(struct fixture *f, const char *account, const char *folder, uint32_t uid) {
    struct state_arrive in = {
        .account = account, .folder = folder, .uidvalidity = 7, .uids = &uid, .n_uids = 1, .last_uid = uid};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    return f->a.n ? f->a.arrivals[0].row : 0;
}

static const char *list(struct fixture *f, struct state_filter filter) {
    MUST(f, state_list(f->st, &filter, on_messages, f));
    return f->a.listing->str;
}

static void lists_are_filtered_and_paged(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "work", "INBOX", 1);
    arrive_in(f, "home", "INBOX", 1);
    arrive_in(f, "work", "Junk", 1);
    arrive_in(f, "work", "INBOX", 2);
    MUST(f, state_park(f->st, 4, NULL, on_rows, f));
    assert_string_equal(list(f, (struct state_filter){.account = "work"}), "1 work/INBOX/7/1 pending a1 f0\n"
                                                                           "3 work/Junk/7/1 pending a1 f0\n"
                                                                           "4 work/INBOX/7/2 parked a1 f0\n");
    assert_string_equal(list(f, (struct state_filter){.account = "work", .folder = "Junk"}),
                        "3 work/Junk/7/1 pending a1 f0\n");
    assert_string_equal(list(f, (struct state_filter){.stages = STATE_IN(STATE_PARKED)}),
                        "4 work/INBOX/7/2 parked a1 f0\n");
    assert_string_equal(list(f, (struct state_filter){.limit = 2}), "1 work/INBOX/7/1 pending a1 f0\n"
                                                                    "2 home/INBOX/7/1 pending a1 f0\n");
    assert_true(f->a.more);
    assert_string_equal(list(f, (struct state_filter){.limit = 2, .after = 2}), "3 work/Junk/7/1 pending a1 f0\n"
                                                                                "4 work/INBOX/7/2 parked a1 f0\n");
    assert_false(f->a.more);
    assert_string_equal(list(f, (struct state_filter){.limit = 1, .after = 4, .newest_first = true}),
                        "3 work/Junk/7/1 pending a1 f0\n");
}

static void history_is_what_is_done(void **state_in) {
    struct fixture *f = *state_in;

    for (uint32_t uid = 1; uid <= 3; uid++) {
        step_done(f, arrive_and_plan(f, uid, NULL), 1);
    }
    step_done(f, 2, 2);
    assert_string_equal(list(f, (struct state_filter){.stages = STATE_IN(STATE_DONE), .newest_first = true}),
                        "2 work/INBOX/7/2 done a1 f0\n");
    assert_string_equal(list(f, (struct state_filter){.account = "work"}), "1 work/INBOX/7/1 planned a1 f0\n"
                                                                           "3 work/INBOX/7/3 planned a1 f0\n");
}

static void rows_are_loaded_with_their_steps(void **state_in) {
    struct fixture *f = *state_in;
    int64_t rows[] = {arrive_and_plan(f, 1, "m1"), 99, arrive(f, 2)};

    MUST(f, state_load(f->st, rows, 3, on_messages, f));
    assert_string_equal(f->a.listing->str, "1 work/INBOX/7/1 planned a1 f0 id=m1  1:flag(F)  2:move(T)\n"
                                           "2 work/INBOX/7/2 pending a1 f0\n");
}

static void on_counts(void *user, const error *err, const struct state_count *counts, size_t n) {
    struct answer *a = take(user, err);

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(a->listing, "%s %s%s %d %d\n", counts[i].account, state_stage_name(counts[i].stage),
                               counts[i].waiting ? " waiting" : "", (int)counts[i].n, (int)(counts[i].oldest - START));
    }
}

static void open_messages_are_counted(void **state_in) {
    struct fixture *f = *state_in;

    arrive(f, 1);
    clock_fake_advance(&f->clock, 5);
    arrive(f, 2);
    arrive_and_post(f, 3, "m3", "msg_3");
    arrive_in(f, "home", "INBOX", 1);
    MUST(f, state_counts(f->st, on_counts, f));
    assert_string_equal(f->a.listing->str, "home pending 1 5\nwork pending 2 0\nwork planned waiting 1 5\n");
}

/* --- UIDVALIDITY -------------------------------------------------------------------------------------------------- */

static void change_validity(struct fixture *f) {
    struct state_validity in = {.account = "work", .folder = "INBOX", .uidvalidity = 8, .last_uid = 0};

    MUST(f, state_uidvalidity_changed(f->st, &in, on_validity, f));
}

static void fault_32_a_changed_uidvalidity_leaves_no_uid_of_before_to_act_on(void **state_in) {
    struct fixture *f = *state_in;

    arrive(f, 1);                          /* no plan: forgotten */
    arrive_and_plan(f, 2, "m2");           /* needs its UID */
    arrive_and_post(f, 3, "m3", "msg_3");  /* needs it after the webhook */
    step_done(f, arrive_and_plan(f, 4, "m4"), 1);
    arrive(f, 5);
    MUST(f, state_park(f->st, 5, NULL, on_rows, f)); /* parked without a plan: forgotten */
    arrive_in(f, "work", "Junk", 1);                 /* another folder */
    change_validity(f);
    assert_int_equal(f->a.validity.cancelled, 2);
    assert_int_equal(f->a.validity.rekeyed, 3);
    assert_string_equal(list_all(f), "2 work/INBOX/7/2 planned a1 f0 rekey id=m2  1:flag(F)  2:move(T)\n"
                                     "3 work/INBOX/7/3 planned a1 f0 waiting rekey id=m3  1:post(W)@msg_3  2:move(T)\n"
                                     "4 work/INBOX/7/4 planned a1 f0 rekey id=m4 +1:flag(F)  2:move(T)\n"
                                     "6 work/Junk/7/1 pending a1 f0\n");
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_int_equal(f->a.cursor.uidvalidity, 8);
    assert_int_equal(f->a.cursor.last_uid, 0);
    change_validity(f); /* a repeat */
    assert_int_equal(f->a.validity.rekeyed, 0);
}

static void what_needs_no_uid_any_more_is_left_alone(void **state_in) {
    struct fixture *f = *state_in;
    const struct state_step post = {.seq = 1, .verb = "post", .rule = "r"};
    struct state_delivery delivery = {.seq = 1, .id = "msg_1", .webhook = "desk"};
    struct state_plan plan = {
        .row = arrive(f, 1), .steps = &post, .n_steps = 1, .deliveries = &delivery, .n_deliveries = 1};
    struct state_step_result moved = {.seq = 1, .target_folder = "Tickets", .target_uidvalidity = 3, .target_uid = 9,
                                      .moved = true};

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    moved.row = arrive_and_plan(f, 2, "m2");
    MUST(f, state_step_done(f->st, &moved, 1, on_rows, f));
    change_validity(f);
    assert_int_equal(f->a.validity.rekeyed, 0);
}

static void arrive_8(struct fixture *f, uint32_t uid) {
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 8, .uids = &uid, .n_uids = 1, .last_uid = uid};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 1);
}

static void fault_32_a_message_found_again_takes_its_plan_up_under_the_new_uid(void **state_in) {
    struct fixture *f = *state_in;
    struct state_plan plan;

    step_done(f, arrive_and_plan(f, 1, "m1"), 1);
    step_done(f, arrive_and_plan(f, 2, "m2"), 1);
    step_done(f, 2, 2);
    change_validity(f);
    arrive_8(f, 1);
    plan = moving_plan(f->a.arrivals[0].row, "m1");
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_ADOPTED);
    assert_int_equal(f->a.planned.earlier, 1);
    arrive_8(f, 2);
    plan = moving_plan(f->a.arrivals[0].row, "m2");
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_HANDLED);
    assert_string_equal(list_all(f), "1 work/INBOX/8/1 planned a1 f0 id=m1 +1:flag(F)  2:move(T)\n"
                                     "2 work/INBOX/7/2 done a1 f0 id=m2 +1:flag(F) +2:move(T)\n"
                                     "4 work/INBOX/8/2 done a1 f0 id=m2\n");
}

static void old_uids_do_not_arrive_under_a_new_uidvalidity(void **state_in) {
    struct fixture *f = *state_in;
    uint32_t uid = 2;
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 8, .uids = &uid, .n_uids = 1, .last_uid = uid};
    struct state_cursor cursor = {.uidvalidity = 8};

    arrive(f, 1);
    ASK(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    in.uidvalidity = 0;
    ASK(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    ASK(f, state_cursor_set(f->st, "work", "INBOX", &cursor, on_done, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 pending a1 f0\n");
}

static void a_row_is_rekeyed_by_hand(void **state_in) {
    struct fixture *f = *state_in;

    arrive_and_plan(f, 1, "m1");
    change_validity(f);
    arrive_8(f, 41);
    MUST(f, state_rekey(f->st, 1, 8, 41, on_rows, f));
    assert_false(f->a.rows[0].rekey);
    assert_string_equal(list_all(f), "1 work/INBOX/8/41 planned a1 f0 id=m1  1:flag(F)  2:move(T)\n");
    arrive_8(f, 42);
    int64_t other = f->a.arrivals[0].row;
    struct state_plan plan = moving_plan(other, "m42");
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    ASK(f, state_rekey(f->st, 1, 8, 42, on_rows, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
}

static void on_handled(void *user, const error *err, const struct state_handled *handled, size_t n) {
    struct answer *a = take(user, err);

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(a->listing, "%s %d%s%s\n", handled[i].identity, (int)handled[i].row,
                               handled[i].open ? " open" : "", handled[i].rekey ? " rekey" : "");
    }
}

static void the_ledger_tells_what_was_handled(void **state_in) {
    struct fixture *f = *state_in;
    const char *const identities[] = {"m1", "m2", "m3", "m4"};

    step_done(f, arrive_and_plan(f, 1, "m1"), 1);
    arrive_and_plan(f, 2, "m2");
    step_done(f, 1, 2);
    change_validity(f);
    struct state_plan plan = {.identity = "m4"};
    arrive_8(f, 1);
    plan.row = f->a.arrivals[0].row;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    MUST(f, state_find_handled(f->st, "work", "INBOX", identities, 4, on_handled, f));
    assert_string_equal(f->a.listing->str, "m1 1\nm2 2 open rekey\nm3 0\nm4 3\n");
    MUST(f, state_find_handled(f->st, "work", "Junk", identities, 1, on_handled, f));
    assert_string_equal(f->a.listing->str, "m1 0\n");
}

/* --- growing old -------------------------------------------------------------------------------------------------- */

static uint64_t prune(struct fixture *f, uint64_t history, uint64_t ledger) {
    struct state_keep keep = {.history_ms = history, .ledger_ms = ledger};

    MUST(f, state_prune(f->st, &keep, on_pruned, f));
    return f->a.removed;
}

static void pruning_removes_what_is_old_and_done(void **state_in) {
    struct fixture *f = *state_in;
    const char *const identities[] = {"m1", "m2"};

    step_done(f, arrive_and_plan(f, 1, "m1"), 1);
    step_done(f, 1, 2);
    arrive_and_plan(f, 2, "m2"); /* stays: not done */
    for (int day = 0; day < 3; day++) {
        clock_fake_advance(&f->clock, DAY_MS);
        assert_int_equal(prune(f, 4 * DAY_MS, 10 * DAY_MS), 0);
    }
    clock_fake_advance(&f->clock, 2 * DAY_MS);
    prune(f, 4 * DAY_MS, 10 * DAY_MS);
    assert_int_equal(prune(f, 4 * DAY_MS, 10 * DAY_MS), 1);
    assert_string_equal(list_all(f), "2 work/INBOX/7/2 planned a1 f0 id=m2  1:flag(F)  2:move(T)\n");
    MUST(f, state_find_handled(f->st, "work", "INBOX", identities, 2, on_handled, f));
    assert_string_equal(f->a.listing->str, "m1 1\nm2 2 open\n");
    for (int day = 0; day < 10; day++) {
        clock_fake_advance(&f->clock, DAY_MS);
        prune(f, 4 * DAY_MS, 10 * DAY_MS);
    }
    MUST(f, state_find_handled(f->st, "work", "INBOX", identities, 2, on_handled, f));
    assert_string_equal(f->a.listing->str, "m1 0\nm2 2 open\n");
}

static void fault_57_a_clock_a_year_ahead_prunes_a_day_at_most(void **state_in) {
    struct fixture *f = *state_in;

    step_done(f, arrive_and_plan(f, 1, "m1"), 1);
    step_done(f, 1, 2);
    f->clock.fake_wall += YEAR_MS;
    assert_int_equal(prune(f, 4 * DAY_MS, 10 * DAY_MS), 0);
    f->clock.fake_wall -= YEAR_MS;
    assert_int_equal(prune(f, 4 * DAY_MS, 10 * DAY_MS), 0);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 done a1 f0 id=m1 +1:flag(F) +2:move(T)\n");
}

static void wait_a_retry(struct fixture *f) {
    struct state_outbox_result again = {.id = "msg_1", .outcome = STATE_TRY_AGAIN, .delay_ms = 60000};
    struct state_step_failure failure = {.row = 2, .seq = 1, .delay_ms = 60000};

    arrive_and_post(f, 1, "m1", "msg_1");
    arrive_and_plan(f, 2, "m2");
    MUST(f, state_outbox_result(f->st, &again, on_rows, f));
    MUST(f, state_step_failed(f->st, &failure, 1, on_rows, f));
    MUST(f, state_kv_set(f->st, "r", "k", "v", 1, 60000, on_done, f));
}

static void check_delays(struct fixture *f, int64_t now) {
    char next[48];

    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_int_equal(f->a.next.delay_ms, 60000);
    g_snprintf(next, sizeof next, " id=m2 next=%" G_GINT64_FORMAT " ", now + 60000 - START);
    assert_non_null(strstr(list_all(f), next));
}

static void fault_57_retries_keep_their_delay_when_the_clock_goes_back_a_year(void **state_in) {
    struct fixture *f = *state_in;

    wait_a_retry(f);
    f->clock.fake_wall -= YEAR_MS;
    check_delays(f, f->clock.fake_wall);
    f->clock.fake_wall += 59999;
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    assert_true(f->a.found);
    f->clock.fake_wall += 1;
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    assert_false(f->a.found);
    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_int_equal(f->a.next.delay_ms, 0);
}

static void fault_57_also_when_it_went_back_while_stopped(void **state_in) {
    struct fixture *f = *state_in;

    wait_a_retry(f);
    state_close(f->st);
    f->clock.fake_wall -= YEAR_MS;
    must_open(f);
    check_delays(f, f->clock.fake_wall);
}

static void fault_57_a_clock_that_went_ahead_and_came_back_leaves_nothing_stuck(void **state_in) {
    struct fixture *f = *state_in;

    f->clock.fake_wall += YEAR_MS;
    wait_a_retry(f);
    f->clock.fake_wall -= YEAR_MS;
    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_int_equal(f->a.next.delay_ms, 60000);
    f->clock.fake_wall += YEAR_MS; /* ahead again: due at once, not never */
    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_int_equal(f->a.next.delay_ms, 0);
}

/* --- key-value ---------------------------------------------------------------------------------------------------- */

static void values_are_kept_by_namespace(void **state_in) {
    struct fixture *f = *state_in;

    MUST(f, state_kv_set(f->st, "rule a", "k", "one\0two", 7, 0, on_done, f));
    MUST(f, state_kv_set(f->st, "rule b", "k", "", 0, 0, on_done, f));
    reopen(f);
    MUST(f, state_kv_get(f->st, "rule a", "k", on_value, f));
    assert_int_equal(f->a.n, 7);
    assert_memory_equal(f->a.value, "one\0two", 7);
    MUST(f, state_kv_get(f->st, "rule b", "k", on_value, f));
    assert_true(f->a.found && f->a.n == 0);
    MUST(f, state_kv_delete(f->st, "rule a", "k", on_done, f));
    MUST(f, state_kv_get(f->st, "rule a", "k", on_value, f));
    assert_false(f->a.found);
}

static void a_value_expires_and_is_pruned(void **state_in) {
    struct fixture *f = *state_in;

    MUST(f, state_kv_set(f->st, "r", "k", "v", 1, 1000, on_done, f));
    MUST(f, state_kv_set(f->st, "r", "forever", "v", 1, 0, on_done, f));
    clock_fake_advance(&f->clock, 999);
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    assert_true(f->a.found);
    clock_fake_advance(&f->clock, 1);
    MUST(f, state_kv_get(f->st, "r", "k", on_value, f));
    assert_false(f->a.found);
    assert_int_equal(prune(f, DAY_MS, DAY_MS), 1);
    MUST(f, state_kv_get(f->st, "r", "forever", on_value, f));
    assert_true(f->a.found);
}

static void a_counter_counts_within_its_window(void **state_in) {
    struct fixture *f = *state_in;

    MUST(f, state_kv_incr(f->st, "r", "n", 1, 1000, on_number, f));
    clock_fake_advance(&f->clock, 600);
    MUST(f, state_kv_incr(f->st, "r", "n", 41, 1000, on_number, f));
    assert_int_equal(f->a.number, 42);
    clock_fake_advance(&f->clock, 400);
    MUST(f, state_kv_incr(f->st, "r", "n", -5, 1000, on_number, f));
    assert_int_equal(f->a.number, -5);
}

static void what_is_no_number_is_not_counted(void **state_in) {
    struct fixture *f = *state_in;

    MUST(f, state_kv_set(f->st, "r", "k", "12 apples", 9, 0, on_done, f));
    ASK(f, state_kv_incr(f->st, "r", "k", 1, 0, on_number, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    MUST(f, state_kv_set(f->st, "r", "k", "9223372036854775807", 19, 0, on_done, f));
    ASK(f, state_kv_incr(f->st, "r", "k", 1, 0, on_number, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
}

static void keys_and_values_have_limits(void **state_in) {
    struct fixture *f = *state_in;
    g_autofree char *big = g_malloc0((1 << 20) + 1);

    ASK(f, state_kv_set(f->st, "r", "k", big, (1 << 20) + 1, 0, on_done, f));
    assert_int_equal(f->a.code, ERROR_LIMIT);
    memset(big, 'k', 1025);
    ASK(f, state_kv_set(f->st, "r", big, "", 0, 0, on_done, f));
    assert_int_equal(f->a.code, ERROR_LIMIT);
    big[1024] = '\0';
    MUST(f, state_kv_set(f->st, "r", big, "", 0, 0, on_done, f));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(lists_are_filtered_and_paged),
        T(history_is_what_is_done),
        T(rows_are_loaded_with_their_steps),
        T(open_messages_are_counted),
        T(fault_32_a_changed_uidvalidity_leaves_no_uid_of_before_to_act_on),
        T(what_needs_no_uid_any_more_is_left_alone),
        T(fault_32_a_message_found_again_takes_its_plan_up_under_the_new_uid),
        T(old_uids_do_not_arrive_under_a_new_uidvalidity),
        T(a_row_is_rekeyed_by_hand),
        T(the_ledger_tells_what_was_handled),
        T(pruning_removes_what_is_old_and_done),
        T(fault_57_a_clock_a_year_ahead_prunes_a_day_at_most),
        T(fault_57_retries_keep_their_delay_when_the_clock_goes_back_a_year),
        T(fault_57_also_when_it_went_back_while_stopped),
        T(fault_57_a_clock_that_went_ahead_and_came_back_leaves_nothing_stuck),
        T(values_are_kept_by_namespace),
        T(a_value_expires_and_is_pruned),
        T(a_counter_counts_within_its_window),
        T(what_is_no_number_is_not_counted),
        T(keys_and_values_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
