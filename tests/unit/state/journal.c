/* Cursors, arrival, plans, steps. */
#include "fixture.h"

static void a_folder_never_seen_has_no_cursor(void **state_in) {
    struct fixture *f = *state_in;

    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_false(f->a.found);
}

static void a_cursor_is_loaded_as_it_was_set(void **state_in) {
    struct fixture *f = *state_in;
    struct state_cursor cursor = {.uidvalidity = 4294967295u, .last_uid = 4294967294u, .modseq = UINT64_C(1) << 62};

    MUST(f, state_cursor_set(f->st, "work", "INBOX", &cursor, on_done, f));
    reopen(f);
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.found);
    assert_true(f->a.cursor.uidvalidity == cursor.uidvalidity && f->a.cursor.last_uid == cursor.last_uid);
    assert_true(f->a.cursor.modseq == cursor.modseq && f->a.cursor.updated == START);
    MUST(f, state_cursor_load(f->st, "home", "INBOX", on_cursor, f));
    assert_false(f->a.found);
}

static void arrival_makes_rows_and_moves_the_cursor_in_one(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {11, 12, 15};
    struct state_arrive in = {.account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = uids, .n_uids = 3,
                              .last_uid = 20, .modseq = 99};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 3);
    assert_int_equal(f->a.arrivals[2].uid, 15);
    assert_string_equal(list_all(f), "1 work/INBOX/7/11 pending a1 f0\n"
                                     "2 work/INBOX/7/12 pending a1 f0\n"
                                     "3 work/INBOX/7/15 pending a1 f0\n");
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_int_equal(f->a.cursor.last_uid, 20);
    assert_int_equal(f->a.cursor.modseq, 99);
}

/* What was told late leaves open what came meanwhile. */
static void the_cursor_is_as_of_when_the_server_got_the_newest(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {11};
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = uids, .n_uids = 1, .last_uid = 11};

    in.as_of = START - 5000;
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.updated == START - 5000);
    in.as_of = START - 9000; /* an old one, moved here */
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.updated == START - 5000);
    in.as_of = START + 9000; /* the server's clock is ahead */
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.updated == START);
}

static void a_uid_that_has_a_row_is_not_reported_again(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {11, 12, 12, 13};
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = uids, .n_uids = 4, .last_uid = 13};

    arrive(f, 12);
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 2);
    assert_int_equal(f->a.arrivals[0].uid, 11);
    assert_int_equal(f->a.arrivals[1].uid, 13);
}

static void the_cursor_never_moves_back_by_arrival(void **state_in) {
    struct fixture *f = *state_in;
    struct state_arrive in = {.account = "work", .folder = "INBOX", .uidvalidity = 7, .last_uid = 30, .modseq = 5};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    in.last_uid = 10;
    in.modseq = 0;
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_int_equal(f->a.cursor.last_uid, 30);
    assert_int_equal(f->a.cursor.modseq, 5);
}

static void attempts_and_faults_are_counted(void **state_in) {
    struct fixture *f = *state_in;
    int64_t rows[] = {arrive(f, 1), 999, arrive(f, 2)};

    MUST(f, state_attempt(f->st, rows, 3, on_rows, f));
    assert_int_equal(f->a.n, 3);
    assert_int_equal(f->a.rows[0].attempts, 2);
    assert_true(f->a.rows[1].gone);
    assert_int_equal(f->a.rows[2].attempts, 2);
    MUST(f, state_fault(f->st, rows[0], on_rows, f));
    assert_int_equal(f->a.rows[0].faults, 1);
    for (int i = 0; i < 4; i++) {
        MUST(f, state_unattempt(f->st, &rows[2], 1, on_rows, f));
    }
    assert_int_equal(f->a.rows[0].attempts, 0);
    reopen(f);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 pending a2 f1\n2 work/INBOX/7/2 pending a0 f0\n");
}

static void a_plan_is_stored_with_its_steps(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive(f, 1);
    struct state_plan plan = moving_plan(row, "m1");

    plan.meta = "\0meta";
    plan.meta_len = 5;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
    assert_int_equal(f->a.planned.row.next_seq, 1);
    assert_int_equal(f->a.planned.row.stage, STATE_PLANNED);
    reopen(f);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 id=m1  1:flag(F)  2:move(T)\n");
}

static void a_plan_without_steps_is_done_at_once(void **state_in) {
    struct fixture *f = *state_in;
    struct state_plan plan = {.row = arrive(f, 1), .identity = "m1"};

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
    assert_int_equal(f->a.planned.row.stage, STATE_DONE);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 done a1 f0 id=m1\n");
}

static void a_row_takes_one_plan_only(void **state_in) {
    struct fixture *f = *state_in;
    struct state_plan plan = moving_plan(arrive_and_plan(f, 1, "m1"), "m2");

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_GONE);
    plan.row = 4711;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_GONE);
}

static void a_plan_that_makes_no_sense_changes_nothing(void **state_in) {
    struct fixture *f = *state_in;
    const struct state_step falling[] = {{.seq = 2, .verb = "a"}, {.seq = 1, .verb = "b"}};
    struct state_delivery stray = {.seq = 9, .id = "msg_a", .webhook = "w"};
    struct state_plan plan = {.row = arrive(f, 1), .steps = falling, .n_steps = 2};

    ASK(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    plan.n_steps = 1;
    plan.deliveries = &stray;
    plan.n_deliveries = 1;
    ASK(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 pending a1 f0\n");
}

static void fault_39_a_mail_under_a_new_uid_is_not_handled_twice(void **state_in) {
    struct fixture *f = *state_in;
    struct state_plan plan;

    step_done(f, arrive_and_plan(f, 1, "m1"), 1);
    step_done(f, 1, 2);
    plan = moving_plan(arrive(f, 2), "m1");
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_HANDLED);
    assert_int_equal(f->a.planned.earlier, 1);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 done a1 f0 id=m1 +1:flag(F) +2:move(T)\n"
                                     "2 work/INBOX/7/2 done a1 f0 id=m1\n");
    plan = moving_plan(arrive(f, 3), "m1");
    plan.skip_if_handled = false;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
}

static void steps_are_begun_noted_and_done_in_order(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_and_plan(f, 1, "m1");
    struct state_step_note notes[] = {{.row = row, .seq = 1, .note = "n1", .note_len = 2}, {.row = row, .seq = 7}};

    MUST(f, state_step_begin(f->st, notes, 2, on_rows, f));
    assert_int_equal(f->a.rows[0].next_seq, 1);
    assert_true(f->a.rows[1].gone);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 id=m1 *1:flag(F)[n1]  2:move(T)\n");
    step_done(f, row, 1);
    assert_int_equal(f->a.rows[0].next_seq, 2);
    assert_int_equal(f->a.rows[0].stage, STATE_PLANNED);
    step_done(f, row, 2);
    assert_int_equal(f->a.rows[0].next_seq, 0);
    assert_int_equal(f->a.rows[0].stage, STATE_DONE);
    step_done(f, row, 2); /* a repeat */
    assert_int_equal(f->a.rows[0].stage, STATE_DONE);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 done a1 f0 id=m1 +1:flag(F)[n1] +2:move(T)\n");
}

static void a_failed_step_keeps_its_error_until_it_succeeds(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_and_plan(f, 1, "m1");
    g_autoptr(error) err = error_new(ERROR_BUSY, "[INUSE]");
    struct state_step_failure failure = {.row = row, .seq = 1, .delay_ms = 5000, .err = err};

    MUST(f, state_step_failed(f->st, &failure, 1, on_rows, f));
    assert_int_equal(f->a.rows[0].step_attempts, 1);
    failure.maybe_done = true;
    MUST(f, state_step_failed(f->st, &failure, 1, on_rows, f));
    assert_int_equal(f->a.rows[0].step_attempts, 2);
    assert_string_equal(list_all(f),
                        "1 work/INBOX/7/1 planned a1 f0 id=m1 error=[INUSE] next=5000 *1:flag(F)  2:move(T)\n");
    step_done(f, row, 1);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 id=m1 next=5000 +1:flag(F)  2:move(T)\n");
}

static void move_to(struct fixture *f, int64_t row, uint32_t uid) {
    struct state_step_result result = {.row = row, .seq = 2, .target_folder = "Tickets", .target_uidvalidity = 3,
                                       .target_uid = uid, .moved = true};

    MUST(f, state_step_done(f->st, &result, 1, on_rows, f));
}

static void what_we_moved_ourselves_arrives_as_own(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {50, 51};
    struct state_arrive in = {
        .account = "work", .folder = "Tickets", .uidvalidity = 3, .uids = uids, .n_uids = 2, .last_uid = 51};

    move_to(f, arrive_and_plan(f, 1, "m1"), 50);
    reopen(f);
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 2);
    assert_true(f->a.arrivals[0].own);
    assert_false(f->a.arrivals[1].own);
}

static void a_copy_seen_before_its_answer_is_found_to_be_own_when_planned(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uid = 50;
    struct state_arrive in = {
        .account = "work", .folder = "Tickets", .uidvalidity = 3, .uids = &uid, .n_uids = 1, .last_uid = 50};
    int64_t row = arrive_and_plan(f, 1, "m1");
    struct state_plan plan;

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_false(f->a.arrivals[0].own);
    plan = moving_plan(f->a.arrivals[0].row, "m1");
    move_to(f, row, 50);
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_OWN);
    plan.as_own = true;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
}

static void a_parked_message_comes_back_as_it_was(void **state_in) {
    struct fixture *f = *state_in;
    g_autoptr(error) err = error_new(ERROR_DEADLINE, "evaluator died");
    int64_t rows[] = {arrive(f, 1), arrive_and_plan(f, 2, "m2"), 77};

    MUST(f, state_park(f->st, rows[0], err, on_rows, f));
    MUST(f, state_park(f->st, rows[1], err, on_rows, f));
    assert_int_equal(f->a.rows[0].stage, STATE_PARKED);
    assert_string_equal(list_all(f),
                        "1 work/INBOX/7/1 parked a1 f0 error=evaluator died\n"
                        "2 work/INBOX/7/2 parked a1 f0 id=m2 error=evaluator died  1:flag(F)  2:move(T)\n");
    MUST(f, state_retry(f->st, rows, 3, on_rows, f));
    assert_int_equal(f->a.rows[0].stage, STATE_PENDING);
    assert_int_equal(f->a.rows[1].stage, STATE_PLANNED);
    assert_true(f->a.rows[2].gone);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 pending a0 f0\n"
                                     "2 work/INBOX/7/2 planned a0 f0 id=m2  1:flag(F)  2:move(T)\n");
}

static void a_dropped_message_is_gone_and_does_not_come_back(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_and_post(f, 1, "m1", "msg_1");
    struct state_outbox_result late = {.id = "msg_1", .outcome = STATE_ACCEPTED};

    MUST(f, state_drop(f->st, &row, 1, on_rows, f));
    assert_int_equal(f->a.rows[0].stage, STATE_PLANNED);
    assert_string_equal(list_all(f), "");
    assert_string_equal(list_outbox(f), "");
    MUST(f, state_drop(f->st, &row, 1, on_rows, f));
    assert_true(f->a.rows[0].gone);
    MUST(f, state_outbox_result(f->st, &late, on_rows, f));
    assert_true(f->a.rows[0].gone);
    struct state_plan plan = moving_plan(arrive(f, 2), "m1");
    assert_int_not_equal(plan.row, row);
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_HANDLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_never_seen_has_no_cursor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_is_loaded_as_it_was_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arrival_makes_rows_and_moves_the_cursor_in_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cursor_is_as_of_when_the_server_got_the_newest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_uid_that_has_a_row_is_not_reported_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cursor_never_moves_back_by_arrival, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attempts_and_faults_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_is_stored_with_its_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_without_steps_is_done_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_row_takes_one_plan_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_that_makes_no_sense_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_39_a_mail_under_a_new_uid_is_not_handled_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_are_begun_noted_and_done_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_step_keeps_its_error_until_it_succeeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_we_moved_ourselves_arrives_as_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_seen_before_its_answer_is_found_to_be_own_when_planned, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_parked_message_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dropped_message_is_gone_and_does_not_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
