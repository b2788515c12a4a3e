/* Whose copy is it? What the journal knows of messages that this daemon put where they are. */
#include "tests/unit/state/fixture.h"

static void on_claim(void *user, const error *err, uint32_t uid) {
    take(user, err)->number = uid;
}

static uint32_t claim_in(struct fixture *f, int64_t row, const char *folder, uint32_t validity, const uint32_t *uids,
                         size_t n) {
    struct state_claim claim = {.row = row, .seq = 2, .target_folder = folder, .target_uidvalidity = validity,
                                .uids = uids, .n_uids = n};

    MUST(f, state_step_claim(f->st, &claim, on_claim, f));
    return (uint32_t)f->a.number;
}

static uint32_t claim(struct fixture *f, int64_t row, const uint32_t *uids, size_t n) {
    return claim_in(f, row, "Tickets", 3, uids, n);
}

/* A row whose first step is done. */
static int64_t copying(struct fixture *f, uint32_t uid) {
    int64_t row = arrive_and_plan(f, uid, NULL);

    step_done(f, row, 1);
    return row;
}

static bool arrives_as_own(struct fixture *f, uint32_t uid) {
    struct state_arrive in = {
        .account = "work", .folder = "Tickets", .uidvalidity = 3, .uids = &uid, .n_uids = 1, .last_uid = uid};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 1);
    return f->a.arrivals[0].own;
}

static void fault_44_a_copy_is_of_one_message_only(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {50, 51};
    int64_t one = copying(f, 1), two = copying(f, 2), three = copying(f, 3);

    assert_int_equal(claim(f, one, uids, 2), 50);
    reopen(f);
    assert_int_equal(claim(f, two, uids, 2), 51);
    assert_int_equal(claim(f, three, uids, 2), 0);
    assert_int_equal(claim(f, three, NULL, 0), 0);
}

static void fault_44_a_step_keeps_the_copy_it_was_told(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {50, 51}, others[] = {51, 52};
    int64_t row = copying(f, 1);

    assert_int_equal(claim(f, row, uids, 2), 50);
    reopen(f);
    assert_int_equal(claim(f, row, uids, 2), 50);
    assert_int_equal(claim(f, row, others, 2), 50);
    /* Another folder, or the same made anew, has another copy. */
    assert_int_equal(claim_in(f, row, "Tickets", 4, others, 2), 51);
    assert_int_equal(claim_in(f, row, "Done", 4, others, 2), 51);
}

static void fault_44_what_copyuid_told_of_others_is_not_ours(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uids[] = {50, 51, 52, 53};
    int64_t done = copying(f, 1), begun = copying(f, 2), row = copying(f, 3);
    struct state_step_result result = {.row = done, .seq = 2, .target_folder = "Tickets", .target_uidvalidity = 3,
                                       .target_uid = 50};
    struct state_step_note note = {.row = begun, .seq = 2, .note = "n", .note_len = 1, .target_folder = "Tickets",
                                   .target_uidvalidity = 3, .target_uid = 51};

    MUST(f, state_step_done(f->st, &result, 1, on_rows, f));
    MUST(f, state_step_begin(f->st, &note, 1, on_rows, f));
    assert_true(arrives_as_own(f, 50)); /* and known as such behind its arrival, too */
    assert_false(arrives_as_own(f, 52));
    reopen(f);
    assert_int_equal(claim(f, row, uids, 4), 52);
}

static void a_copy_whose_step_is_not_done_yet_arrives_as_own(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t claimed = 51;
    struct state_step_note note = {.row = copying(f, 1), .seq = 2, .target_folder = "Tickets", .target_uidvalidity = 3,
                                   .target_uid = 50};

    MUST(f, state_step_begin(f->st, &note, 1, on_rows, f));
    assert_int_equal(claim(f, copying(f, 2), &claimed, 1), 51);
    reopen(f);
    assert_true(arrives_as_own(f, 50));
    assert_true(arrives_as_own(f, 51));
    assert_false(arrives_as_own(f, 52));
}

static void what_is_not_open_claims_nothing(void **state_in) {
    struct fixture *f = *state_in;
    const uint32_t uid = 50;
    int64_t row = copying(f, 1);
    struct state_claim nowhere = {.row = row, .seq = 2, .target_folder = "Tickets", .uids = &uid, .n_uids = 1};

    ASK(f, state_step_claim(f->st, &nowhere, on_claim, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
    step_done(f, row, 2);
    assert_int_equal(claim(f, row, &uid, 1), 0);
    assert_int_equal(claim(f, 77, &uid, 1), 0);
    assert_int_equal(claim(f, copying(f, 2), &uid, 1), 50);
}

static void a_step_that_waits_has_not_failed(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = copying(f, 1);
    struct state_step_note note = {.row = row, .seq = 2, .note = "a", .note_len = 1};
    struct state_step_failure wait = {.row = row, .seq = 2, .maybe_done = true, .waits = true, .delay_ms = 3000,
                                      .note = "b", .note_len = 1};

    MUST(f, state_step_begin(f->st, &note, 1, on_rows, f));
    MUST(f, state_step_failed(f->st, &wait, 1, on_rows, f));
    assert_int_equal(f->a.rows[0].step_attempts, 0);
    reopen(f);
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 next=3000 +1:flag(F) *2:move(T)[b]\n");
    wait.note = NULL;
    wait.delay_ms = 7000;
    MUST(f, state_step_failed(f->st, &wait, 1, on_rows, f));
    assert_string_equal(list_all(f), "1 work/INBOX/7/1 planned a1 f0 next=7000 +1:flag(F) *2:move(T)[b]\n");
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(fault_44_a_copy_is_of_one_message_only),
        T(fault_44_a_step_keeps_the_copy_it_was_told),
        T(fault_44_what_copyuid_told_of_others_is_not_ours),
        T(a_copy_whose_step_is_not_done_yet_arrives_as_own),
        T(what_is_not_open_claims_nothing),
        T(a_step_that_waits_has_not_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
