/* Deliveries: due, retried, accepted, dead, replayed, paged. */
#include "fixture.h"

static const char *due(struct fixture *f, const char *webhook, size_t limit, const char *skip) {
    struct state_due in = {.webhook = webhook, .limit = limit, .skip = &skip, .n_skip = skip ? 1 : 0};

    MUST(f, state_outbox_due(f->st, &in, on_entries, f));
    return f->a.listing->str;
}

static void result(struct fixture *f, const char *id, enum state_outcome outcome, uint64_t delay, int status,
                   const char *text) {
    g_autoptr(error) err = text ? error_new(ERROR_NETWORK, "%s", text) : NULL;
    struct state_outbox_result in = {
        .id = id, .outcome = outcome, .delay_ms = delay, .http_status = status, .err = err};

    MUST(f, state_outbox_result(f->st, &in, on_rows, f));
}

static void the_first_steps_delivery_is_due_at_once(void **state_in) {
    struct fixture *f = *state_in;

    arrive_and_post(f, 1, "m1", "msg_1");
    assert_string_equal(f->a.webhook, "desk");
    assert_true(f->a.planned.row.waiting);
    assert_string_equal(due(f, "desk", 0, NULL), "msg_1 desk r1 work 1.1 due a0 next=0 <{}>\n");
    assert_string_equal(due(f, "other", 0, NULL), "");
}

static void a_later_steps_delivery_waits_for_the_steps_before_it(void **state_in) {
    struct fixture *f = *state_in;
    const struct state_step steps[] = {{.seq = 1, .verb = "flag"}, {.seq = 2, .verb = "post", .rule = "r"}};
    struct state_delivery delivery = {.seq = 2, .id = "msg_1", .webhook = "desk", .body = "x", .body_len = 1};
    struct state_plan plan = {
        .row = arrive(f, 1), .steps = steps, .n_steps = 2, .deliveries = &delivery, .n_deliveries = 1};

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_string_equal(f->a.webhook, "");
    assert_false(f->a.planned.row.waiting);
    assert_string_equal(due(f, "desk", 0, NULL), "");
    step_done(f, plan.row, 1);
    assert_string_equal(f->a.webhook, "desk");
    assert_true(f->a.rows[0].waiting);
    assert_string_equal(due(f, "desk", 0, NULL), "msg_1 desk r work 1.2 due a0 next=0 <x>\n");
    result(f, "msg_1", STATE_ACCEPTED, 0, 204, NULL);
    assert_int_equal(f->a.rows[0].stage, STATE_DONE);
}

static void an_accepted_delivery_completes_its_step(void **state_in) {
    struct fixture *f = *state_in;

    arrive_and_post(f, 1, "m1", "msg_1");
    result(f, "msg_1", STATE_ACCEPTED, 0, 200, NULL);
    assert_int_equal(f->a.rows[0].next_seq, 2);
    assert_false(f->a.rows[0].waiting);
    reopen(f);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 id=m1 +1:post(W)@msg_1  2:move(T)\n");
    assert_string_equal(list_outbox(f), "msg_1 desk r1 work 1.1 delivered a1 next=0 200 -\n");
    result(f, "msg_1", STATE_ACCEPTED, 0, 200, NULL); /* a repeat */
    assert_true(f->a.rows[0].gone);
}

static void fault_64_a_refused_delivery_is_due_again_after_its_delay_under_the_same_id(void **state_in) {
    struct fixture *f = *state_in;

    arrive_and_post(f, 1, "m1", "msg_1");
    result(f, "msg_1", STATE_TRY_AGAIN, 5000, 500, "internal server error");
    assert_true(f->a.rows[0].waiting);
    assert_string_equal(due(f, "desk", 0, NULL), "");
    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_true(f->a.next.any);
    assert_int_equal(f->a.next.delay_ms, 5000);
    clock_fake_advance(&f->clock, 5000);
    reopen(f);
    assert_string_equal(due(f, "desk", 0, NULL),
                        "msg_1 desk r1 work 1.1 due a1 next=5000 500 internal server error <{}>\n");
    MUST(f, state_outbox_next(f->st, "desk", NULL, 0, on_next, f));
    assert_int_equal(f->a.next.delay_ms, 0);
}

static void what_the_caller_has_in_flight_is_not_given_out_again(void **state_in) {
    struct fixture *f = *state_in;
    const char *skip = "msg_1";

    arrive_and_post(f, 1, "m1", "msg_1");
    clock_fake_advance(&f->clock, 10);
    arrive_and_post(f, 2, "m2", "msg_2");
    assert_string_equal(due(f, "desk", 1, NULL), "msg_1 desk r1 work 1.1 due a0 next=0 <{}>\n");
    assert_true(f->a.more);
    assert_string_equal(due(f, "desk", 1, "msg_1"), "msg_2 desk r1 work 2.1 due a0 next=10 <{}>\n");
    assert_false(f->a.more);
    result(f, "msg_2", STATE_TRY_AGAIN, 100, 0, "reset");
    MUST(f, state_outbox_next(f->st, "desk", &skip, 1, on_next, f));
    assert_true(f->a.next.any);
    assert_int_equal(f->a.next.delay_ms, 100);
}

static void a_dead_letter_parks_its_message_and_can_be_replayed(void **state_in) {
    struct fixture *f = *state_in;

    arrive_and_post(f, 1, "m1", "msg_1");
    result(f, "msg_1", STATE_TRY_AGAIN, 5, 500, "oops");
    result(f, "msg_1", STATE_GIVE_UP, 0, 410, NULL);
    assert_int_equal(f->a.rows[0].stage, STATE_PARKED);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 parked a1 f0 id=m1 error=webhook desk gave up: HTTP 410"
                                     " !1:post(W)@msg_1  2:move(T)\n");
    assert_string_equal(due(f, "desk", 0, NULL), "");
    reopen(f);
    MUST(f, state_outbox_replay(f->st, "msg_1", on_rows, f));
    assert_int_equal(f->a.rows[0].stage, STATE_PLANNED);
    assert_string_equal(f->a.webhook, "desk");
    assert_string_equal(due(f, "desk", 0, NULL), "msg_1 desk r1 work 1.1 due a0 next=0 410 - <{}>\n");
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a0 f0 waiting id=m1  1:post(W)@msg_1  2:move(T)\n");
    MUST(f, state_outbox_replay(f->st, "msg_none", on_rows, f));
    assert_true(f->a.rows[0].gone);
}

static void retrying_a_message_makes_its_delivery_due_now(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_and_post(f, 1, "m1", "msg_1");

    result(f, "msg_1", STATE_TRY_AGAIN, 7200000, 503, "busy");
    MUST(f, state_retry(f->st, &row, 1, on_rows, f));
    assert_string_equal(f->a.webhook, "desk");
    assert_true(f->a.rows[0].waiting);
    assert_string_equal(due(f, "desk", 0, NULL), "msg_1 desk r1 work 1.1 due a0 next=0 503 busy <{}>\n");
}

static void parking_a_message_holds_its_delivery(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_and_post(f, 1, "m1", "msg_1");

    MUST(f, state_park(f->st, row, NULL, on_rows, f));
    assert_string_equal(due(f, "desk", 0, NULL), "");
    result(f, "msg_1", STATE_ACCEPTED, 0, 200, NULL); /* it was on its way */
    assert_int_equal(f->a.rows[0].stage, STATE_PARKED);
    assert_int_equal(f->a.rows[0].next_seq, 2);
    MUST(f, state_retry(f->st, &row, 1, on_rows, f));
    assert_int_equal(f->a.rows[0].stage, STATE_PLANNED);
    assert_false(f->a.rows[0].waiting);
}

static void an_id_in_use_is_refused_with_its_whole_plan(void **state_in) {
    struct fixture *f = *state_in;
    struct state_delivery delivery;
    struct state_plan plan;

    arrive_and_post(f, 1, "m1", "msg_1");
    plan = posting_plan(arrive(f, 2), "m2", &delivery, "msg_1");
    ASK(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 waiting id=m1  1:post(W)@msg_1  2:move(T)\n"
                                     "2 work/INBOX/7/2 pending a1 f0\n");
    plan = posting_plan(plan.row, "m2", &delivery, "msg_2"); /* the ledger did not keep it either */
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
}

static void check_counts(void *user, const error *err, const struct state_outbox_count *counts, size_t n) {
    struct answer *a = take(user, err);

    a->n = n;
    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(a->listing, "%s held=%d due=%d dead=%d next=%d oldest=%d\n", counts[i].webhook,
                               (int)counts[i].held, (int)counts[i].due, (int)counts[i].dead,
                               counts[i].next_at ? (int)(counts[i].next_at - START) : -1,
                               (int)(counts[i].oldest - START));
    }
}

static void deliveries_are_counted_by_webhook_and_state(void **state_in) {
    struct fixture *f = *state_in;
    struct state_delivery delivery;
    struct state_plan plan;

    MUST(f, state_outbox_counts(f->st, check_counts, f));
    assert_int_equal(f->a.n, 0);
    arrive_and_post(f, 1, "m1", "msg_1");
    arrive_and_post(f, 2, "m2", "msg_2");
    arrive_and_post(f, 3, "m3", "msg_3");
    clock_fake_advance(&f->clock, 10);
    plan = posting_plan(arrive(f, 4), "m4", &delivery, "msg_4");
    delivery.webhook = "audit";
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    result(f, "msg_1", STATE_GIVE_UP, 0, 410, NULL);
    result(f, "msg_2", STATE_TRY_AGAIN, 50, 500, NULL);
    result(f, "msg_3", STATE_ACCEPTED, 0, 200, NULL);
    MUST(f, state_outbox_counts(f->st, check_counts, f));
    assert_string_equal(f->a.listing->str, "audit held=0 due=1 dead=0 next=10 oldest=10\n"
                                           "desk held=0 due=1 dead=1 next=60 oldest=0\n");
}

static void dead_letters_are_listed_page_by_page(void **state_in) {
    struct fixture *f = *state_in;
    struct state_outbox_filter filter = {.webhook = "desk", .states = STATE_IN(STATE_DEAD), .limit = 2};

    for (uint32_t i = 1; i <= 3; i++) {
        char id[16], identity[16];
        g_snprintf(id, sizeof id, "msg_%u", i);
        g_snprintf(identity, sizeof identity, "m%u", i);
        arrive_and_post(f, i, identity, id);
        result(f, id, STATE_GIVE_UP, 0, 404, "not found");
    }
    MUST(f, state_outbox_list(f->st, &filter, on_entries, f));
    assert_string_equal(f->a.listing->str, "msg_1 desk r1 work 1.1 dead a1 next=0 404 not found\n"
                                           "msg_2 desk r1 work 2.1 dead a1 next=0 404 not found\n");
    assert_true(f->a.more);
    filter.after = f->a.number;
    MUST(f, state_outbox_list(f->st, &filter, on_entries, f));
    assert_string_equal(f->a.listing->str, "msg_3 desk r1 work 3.1 dead a1 next=0 404 not found\n");
    assert_false(f->a.more);
}

/* 5,000 here; what counts is that no answer grows with the number that waits. */
static void fault_67_a_long_backlog_is_read_in_pages_and_leaves_resume_alone(void **state_in) {
    enum { EVENTS = 5000, BATCH = 1000 };
    struct fixture *f = *state_in;
    struct state_filter resume = {.account = "work", .with_steps = true, .skip_waiting = true, .limit = 1000};

    for (uint32_t done = 0; done < EVENTS; done += BATCH) {
        uint32_t uids[BATCH];
        struct state_arrive in = {.account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = uids,
                                  .n_uids = BATCH, .last_uid = done + BATCH};
        for (uint32_t i = 0; i < BATCH; i++) {
            uids[i] = done + i + 1;
        }
        MUST(f, state_arrive(f->st, &in, on_arrivals, f));
        int64_t first = f->a.arrivals[0].row;
        for (uint32_t i = 0; i < BATCH; i++) {
            struct state_delivery delivery;
            char id[24];
            g_snprintf(id, sizeof id, "msg_%u", done + i);
            struct state_plan plan = posting_plan(first + i, NULL, &delivery, id);
            state_plan(f->st, &plan, i == BATCH - 1 ? on_planned : NULL, f);
        }
        begin_wait(f);
        end_wait(f);
    }
    arrive_and_post(f, EVENTS + 1, "m", "msg_other");
    due(f, "desk", 10, NULL);
    assert_int_equal(f->a.n, 10);
    assert_true(f->a.more);
    MUST(f, state_outbox_counts(f->st, check_counts, f));
    assert_string_equal(f->a.listing->str, "desk held=0 due=5001 dead=0 next=0 oldest=0\n");
    MUST(f, state_list(f->st, &resume, on_messages, f));
    assert_int_equal(f->a.n, 0);
}

static void a_page_of_large_bodies_ends_early(void **state_in) {
    struct fixture *f = *state_in;
    g_autofree char *body = g_malloc0(9 << 20);

    for (uint32_t i = 1; i <= 3; i++) {
        struct state_delivery delivery;
        char id[16];
        g_snprintf(id, sizeof id, "msg_%u", i);
        struct state_plan plan = posting_plan(arrive(f, i), NULL, &delivery, id);
        delivery.body = body;
        delivery.body_len = 9 << 20;
        MUST(f, state_plan(f->st, &plan, on_planned, f));
    }
    due(f, "desk", 10, NULL);
    assert_int_equal(f->a.n, 2);
    assert_true(f->a.more);
}

static off_t size_of_database(struct fixture *f) {
    g_autofree char *path = g_build_filename(f->dir, "journal.db", NULL);
    struct stat st;

    reopen(f); /* folds the log in */
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void fault_67_a_backlog_that_was_worked_off_gives_its_space_back(void **state_in) {
    enum { BODY = 12 << 20 };
    struct fixture *f = *state_in;
    struct state_keep keep = {.history_ms = 1, .ledger_ms = 1};
    g_autofree char *body = g_malloc0(BODY);
    struct state_delivery delivery;
    struct state_plan plan = posting_plan(arrive(f, 1), NULL, &delivery, "msg_1");

    delivery.body = body;
    delivery.body_len = BODY;
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_true(size_of_database(f) > BODY);
    result(f, "msg_1", STATE_ACCEPTED, 0, 200, NULL);
    do {
        MUST(f, state_prune(f->st, &keep, on_pruned, f));
    } while (f->a.removed);
    assert_true(size_of_database(f) < BODY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_steps_delivery_is_due_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_steps_delivery_waits_for_the_steps_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_accepted_delivery_completes_its_step, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_64_a_refused_delivery_is_due_again_after_its_delay_under_the_same_id,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_caller_has_in_flight_is_not_given_out_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dead_letter_parks_its_message_and_can_be_replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(retrying_a_message_makes_its_delivery_due_now, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parking_a_message_holds_its_delivery, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_id_in_use_is_refused_with_its_whole_plan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deliveries_are_counted_by_webhook_and_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dead_letters_are_listed_page_by_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fault_67_a_long_backlog_is_read_in_pages_and_leaves_resume_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(fault_67_a_backlog_that_was_worked_off_gives_its_space_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_of_large_bodies_ends_early, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
