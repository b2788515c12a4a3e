/* Folders that go on under another name. */
#include "fixture.h"

static int64_t arrive_in(struct fixture *f, const char *folder, uint32_t validity, uint32_t uid) {
    struct state_arrive in = {
        .account = "work", .folder = folder, .uidvalidity = validity, .uids = &uid, .n_uids = 1, .last_uid = uid};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 1);
    return f->a.arrivals[0].row;
}

static void on_renamed(void *user, const error *err, const char *from) {
    struct answer *a = take(user, err);

    a->found = from != NULL;
    g_strlcpy(a->value, from ? from : "", sizeof a->value);
}

static const char *const others[] = {"INBOX", "Drafts"};

/* The old name of "New", which has come with UIDVALIDITY 7; "" = none. */
static const char *former(struct fixture *f, uint32_t uidnext) {
    struct state_rename in = {
        .account = "work", .to = "New", .uidvalidity = 7, .uidnext = uidnext, .there = others, .n_there = 2};

    MUST(f, state_find_renamed(f->st, &in, on_renamed, f));
    return f->a.value;
}

static bool is_known(struct fixture *f, const char *folder) {
    MUST(f, state_cursor_load(f->st, "work", folder, on_cursor, f));
    return f->a.found;
}

static void what_is_known_of_a_folder_goes_with_its_name(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "Old", 7, 5);
    arrive_in(f, "INBOX", 9, 1);
    assert_string_equal(former(f, 6), "Old");
    assert_false(is_known(f, "Old"));
    assert_true(is_known(f, "New"));
    assert_int_equal(f->a.cursor.last_uid, 5);
    assert_string_equal(list_all(f), "1 work/New/7/5 pending a1 f0\n2 work/INBOX/9/1 pending a1 f0\n");
    assert_string_equal(former(f, 6), ""); /* known by now */
}

static void a_server_need_not_tell_uidnext(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "Old", 7, UINT32_MAX);
    assert_string_equal(former(f, 0), "Old");
}

static void who_is_there_was_not_renamed(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "Drafts", 7, 5);
    assert_string_equal(former(f, 6), "");
    assert_true(is_known(f, "Drafts"));
}

static void who_was_further_is_another(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "Old", 7, 6);
    assert_string_equal(former(f, 6), "");
}

static void another_account_has_nothing_to_do_with_it(void **state_in) {
    struct fixture *f = *state_in;
    struct state_cursor cursor = {.uidvalidity = 7, .last_uid = 5};

    MUST(f, state_cursor_set(f->st, "home", "Old", &cursor, on_done, f));
    assert_string_equal(former(f, 6), "");
}

static void of_two_that_can_have_been_it_none_is_taken(void **state_in) {
    struct fixture *f = *state_in;

    arrive_in(f, "Old", 7, 5);
    arrive_in(f, "Older", 7, 3);
    assert_string_equal(former(f, 6), "");
    assert_true(is_known(f, "Old") && is_known(f, "Older"));
}

/* A copy was noted before the new name was seen: it stays ours. */
static void copies_noted_under_the_new_name_stay_ours(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = arrive_in(f, "INBOX", 9, 1);
    struct state_plan plan = {.row = row, .steps = two_steps, .n_steps = 1};
    struct state_step_result done = {
        .row = row, .seq = 1, .target_folder = "New", .target_uidvalidity = 7, .target_uid = 6};

    arrive_in(f, "Old", 7, 5);
    MUST(f, state_plan(f->st, &plan, on_planned, f));
    MUST(f, state_step_done(f->st, &done, 1, on_rows, f));
    assert_string_equal(former(f, 7), "Old");
    arrive_in(f, "New", 7, 6);
    assert_true(f->a.arrivals[0].own);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(what_is_known_of_a_folder_goes_with_its_name),
        T(a_server_need_not_tell_uidnext),
        T(who_is_there_was_not_renamed),
        T(who_was_further_is_another),
        T(another_account_has_nothing_to_do_with_it),
        T(of_two_that_can_have_been_it_none_is_taken),
        T(copies_noted_under_the_new_name_stay_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
