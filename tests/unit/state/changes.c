/* Which UIDs are there, changed flags, and messages that went. */
#include "fixture.h"

#include <sqlite3.h>

#define ALL_WANTED (STATE_WANT_FLAGS | STATE_WANT_GONE)

static void on_observed(void *user, const error *err, size_t rows) {
    take(user, err)->n = rows;
}

static void on_present(void *user, const error *err, const struct state_range *ranges, size_t n) {
    struct answer *a = take(user, err);

    for (size_t i = 0; i < n; i++) {
        g_string_append_printf(a->listing, "%s%u:%u", i ? "," : "", ranges[i].low, ranges[i].high);
    }
}

static struct state_observe about(const struct state_seen *seen, size_t n, unsigned want) {
    return (struct state_observe){
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .seen = seen, .n_seen = n, .want = want};
}

/* One message's flags; the number of rows. */
static size_t see(struct fixture *f, uint32_t uid, enum state_seen_how how, const char *flags, unsigned want) {
    struct state_seen seen = {.uid = uid, .how = how, .flags = flags, .message_id = uid == 5 ? "5@x" : NULL};
    struct state_observe in = about(&seen, 1, want);

    MUST(f, state_observe(f->st, &in, on_observed, f));
    return f->a.n;
}

static size_t go(struct fixture *f, uint32_t low, uint32_t high, unsigned want) {
    struct state_range range = {low, high};
    struct state_observe in = about(NULL, 0, want);

    in.gone = &range;
    in.n_gone = 1;
    MUST(f, state_observe(f->st, &in, on_observed, f));
    return f->a.n;
}

/* "uid event [own] =flags +added -removed", a line each. */
static void on_events(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct answer *a = take(user, err);

    (void)more;
    for (size_t i = 0; i < n; i++) {
        const struct state_message *m = &messages[i];
        if (strcmp(m->event, "new") == 0) {
            continue;
        }
        g_string_append_printf(a->listing, "%u %s%s =%s", m->uid, m->event, m->own ? " own" : "", m->flags);
        g_string_append_printf(a->listing, " +%s -%s", m->added ? m->added : "", m->removed ? m->removed : "");
        g_string_append_printf(a->listing, "%s%.*s\n", m->meta_len ? " " : "", (int)m->meta_len,
                               m->meta_len ? (const char *)m->meta : "");
    }
}

static const char *events(struct fixture *f) {
    struct state_filter all = {.stages = STATE_IN_OPEN};

    MUST(f, state_list(f->st, &all, on_events, f));
    return f->a.listing->str;
}

/* A row with a plan of one step that has that effect. */
static int64_t planned(struct fixture *f, int64_t row, const char *verb, const char *effect) {
    const struct state_step step = {.seq = 1, .verb = verb, .rule = "r", .needs_uid = true, .effect = effect};
    struct state_plan plan = {.row = row, .as_own = true, .steps = &step, .n_steps = 1, .meta = "1@x", .meta_len = 3};

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
    return row;
}

static void done(struct fixture *f, int64_t row) {
    struct state_step_result result = {.row = row, .seq = 1};

    MUST(f, state_step_done(f->st, &result, 1, on_rows, f));
}

/* --- which are there ---------------------------------------------------------------------------------------------- */

static void arrivals_lengthen_what_is_there(void **state_in) {
    struct fixture *f = *state_in;
    const struct state_range first[] = {{1, 10}, {15, 20}}, more[] = {{21, 22}, {30, 30}}, again = {31, 40};
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .last_uid = 30, .present = more, .n_present = 2};

    arrive(f, 1);
    MUST(f, state_present_set(f->st, "work", "INBOX", 7, first, 2, on_done, f));
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    in = (struct state_arrive){
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .last_uid = 40, .present = &again, .n_present = 1};
    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    reopen(f);
    MUST(f, state_present_load(f->st, "work", "INBOX", on_present, f));
    assert_string_equal(f->a.listing->str, "1:10,15:22,30:40");
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.listed);
}

static void what_is_there_goes_with_its_uidvalidity(void **state_in) {
    struct fixture *f = *state_in;
    const struct state_range range = {1, 10};
    struct state_validity change = {.account = "work", .folder = "INBOX", .uidvalidity = 8, .last_uid = 3};

    arrive(f, 1);
    MUST(f, state_present_set(f->st, "work", "INBOX", 7, &range, 1, on_done, f));
    see(f, 1, STATE_SEEN_SET, "a", 0);
    MUST(f, state_uidvalidity_changed(f->st, &change, on_validity, f));
    MUST(f, state_present_load(f->st, "work", "INBOX", on_present, f));
    assert_string_equal(f->a.listing->str, "");
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_false(f->a.cursor.listed || f->a.cursor.snapshot);
    ASK(f, state_present_set(f->st, "work", "INBOX", 7, &range, 1, on_done, f));
    assert_int_equal(f->a.code, ERROR_INVALID);
}

/* --- flags -------------------------------------------------------------------------------------------------------- */

static void a_change_is_told_once(void **state_in) {
    struct fixture *f = *state_in;

    arrive(f, 5);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "\\Seen b", ALL_WANTED), 0); /* first sight */
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "B \\seen \\Recent", ALL_WANTED), 0);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "\\Flagged b", ALL_WANTED), 1);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "\\Flagged b", ALL_WANTED), 0);
    reopen(f);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "b \\Flagged", ALL_WANTED), 0);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "", ALL_WANTED), 1);
    assert_string_equal(events(f), "5 flags =\\Flagged b +\\Flagged -\\Seen\n5 flags = + -\\Flagged b\n");
}

static void what_nobody_asks_for_is_noted_only(void **state_in) {
    struct fixture *f = *state_in;

    arrive(f, 5);
    see(f, 5, STATE_SEEN_SET, "", 0);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "x", STATE_WANT_GONE), 0);
    assert_int_equal(go(f, 1, 10, STATE_WANT_FLAGS), 0);
    assert_string_equal(events(f), "");
}

static void what_a_step_does_is_its_own(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = planned(f, arrive(f, 5), "flag", "+todo\n+\\Seen");

    see(f, 5, STATE_SEEN_SET, "old", 0);
    /* Seen before the answer, with something of somebody else's in between. */
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "Todo \\Flagged", STATE_WANT_FLAGS), 1);
    assert_int_equal(see(f, 5, STATE_SEEN_ADD, "todo \\Seen", STATE_WANT_FLAGS | STATE_WANT_OWN_FLAGS), 1);
    done(f, row);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "todo \\Seen \\Flagged", ALL_WANTED), 0);
    assert_string_equal(events(f), "5 flags =\\Flagged Todo +\\Flagged -old 1@x\n"
                                   "5 flags own =\\Flagged \\Seen Todo +\\Seen - 1@x\n");
}

static void a_finished_step_claims_nothing_later(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = planned(f, arrive(f, 5), "flag", "+todo");

    see(f, 5, STATE_SEEN_SET, "", 0);
    see(f, 5, STATE_SEEN_ADD, "todo", STATE_WANT_FLAGS);
    done(f, row);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "", STATE_WANT_FLAGS), 1);
    assert_int_equal(see(f, 5, STATE_SEEN_SET, "todo", STATE_WANT_FLAGS), 1);
}

static void own_changes_do_not_go_round(void **state_in) {
    struct fixture *f = *state_in;
    unsigned want = STATE_WANT_FLAGS | STATE_WANT_OWN_FLAGS;

    planned(f, arrive(f, 5), "flag", "+a");
    see(f, 5, STATE_SEEN_SET, "", 0);
    assert_int_equal(see(f, 5, STATE_SEEN_ADD, "a", want), 1);
    planned(f, 2, "unflag", "-a"); /* by the row of the own change */
    assert_int_equal(see(f, 5, STATE_SEEN_REMOVE, "a", want), 0);
}

static void the_modseq_never_goes_back(void **state_in) {
    struct fixture *f = *state_in;
    struct state_observe in = about(NULL, 0, 0);

    arrive(f, 5);
    in.modseq = 90;
    in.whole = true;
    MUST(f, state_observe(f->st, &in, on_observed, f));
    in.modseq = 80;
    in.whole = false;
    MUST(f, state_observe(f->st, &in, on_observed, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.modseq == 90 && f->a.cursor.snapshot);
    MUST(f, state_observe_end(f->st, "work", "INBOX", on_done, f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.modseq == 0 && !f->a.cursor.snapshot);
}

/* --- gone --------------------------------------------------------------------------------------------------------- */

static void fault_19_a_range_without_end_is_what_was_there(void **state_in) {
    struct fixture *f = *state_in;

    planned(f, arrive(f, 4), "flag", "+x");
    for (uint32_t uid = 4; uid < 7; uid++) {
        see(f, uid, STATE_SEEN_SET, uid == 5 ? "five" : "", 0);
    }
    assert_int_equal(go(f, 1, UINT32_MAX, ALL_WANTED), 3);
    assert_int_equal(go(f, 1, UINT32_MAX, ALL_WANTED), 0);
    assert_string_equal(events(f), "4 gone = + - 1@x\n5 gone =five + - 5@x\n6 gone = + -\n");
}

static void what_a_step_took_away_is_its_own(void **state_in) {
    struct fixture *f = *state_in;
    int64_t open = planned(f, arrive(f, 4), "move", "+\\Deleted\nx"), moved = planned(f, arrive(f, 5), "move", "x");

    (void)open;
    done(f, moved);
    for (uint32_t uid = 4; uid < 7; uid++) {
        see(f, uid, STATE_SEEN_SET, "", 0);
    }
    assert_int_equal(see(f, 4, STATE_SEEN_SET, "\\Deleted", ALL_WANTED), 0);
    assert_int_equal(go(f, 1, 10, ALL_WANTED | STATE_WANT_OWN_GONE), 3);
    assert_string_equal(events(f), "4 gone own =\\Deleted + - 1@x\n5 gone own = + - 1@x\n6 gone = + -\n");
}

static void a_step_that_was_given_up_took_nothing(void **state_in) {
    struct fixture *f = *state_in;
    int64_t row = planned(f, arrive(f, 4), "move", "x");
    g_autoptr(error) why = error_new(ERROR_PERMISSION, "no");

    see(f, 4, STATE_SEEN_SET, "", 0);
    MUST(f, state_park(f->st, row, why, on_rows, f));
    assert_int_equal(go(f, 4, 4, ALL_WANTED), 1);
}

static void fault_32_changes_of_a_lost_uidvalidity(void **state_in) {
    struct fixture *f = *state_in;
    struct state_validity change = {.account = "work", .folder = "INBOX", .uidvalidity = 8};

    arrive(f, 9);
    for (uint32_t uid = 4; uid < 7; uid++) {
        see(f, uid, STATE_SEEN_SET, "", 0);
    }
    see(f, 4, STATE_SEEN_SET, "a", ALL_WANTED);
    see(f, 5, STATE_SEEN_SET, "a", ALL_WANTED);
    planned(f, 3, "flag", "+b");
    go(f, 6, 6, ALL_WANTED);
    MUST(f, state_uidvalidity_changed(f->st, &change, on_validity, f));
    struct state_filter all = {.stages = STATE_IN_OPEN};
    MUST(f, state_list(f->st, &all, on_messages, f));
    assert_string_equal(f->a.listing->str,
                        "3 work/INBOX/7/5 parked a0 f0 error=the folder was made anew or restored: the message of this "
                        "change cannot be told\n4 work/INBOX/7/6 pending a0 f0\n");
}

/* --- journals of before ------------------------------------------------------------------------------------------- */

static void a_journal_without_changes_is_taken_over(void **state_in) {
    static const char back[] = "DROP TABLE present; DROP TABLE snapshot; DROP INDEX message_uid;"
                               "ALTER TABLE step DROP COLUMN effect; ALTER TABLE message DROP COLUMN removed;"
                               "ALTER TABLE message DROP COLUMN added; ALTER TABLE message DROP COLUMN flags;"
                               "ALTER TABLE message DROP COLUMN nth; ALTER TABLE folder DROP COLUMN snapshot;"
                               "ALTER TABLE folder DROP COLUMN listed;"
                               "CREATE UNIQUE INDEX message_uid ON message(folder, uidvalidity, uid, event);"
                               "PRAGMA user_version = 1;";
    struct fixture *f = *state_in;
    g_autofree char *path = g_strconcat(f->dir, "/journal.db", NULL);
    sqlite3 *db;

    planned(f, arrive(f, 4), "flag", NULL);
    state_close(f->st);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, back, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s", sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    must_open(f);
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    assert_true(f->a.cursor.last_uid == 4 && !f->a.cursor.listed && !f->a.cursor.snapshot);
    see(f, 4, STATE_SEEN_SET, "", 0);
    assert_int_equal(see(f, 4, STATE_SEEN_SET, "x", ALL_WANTED), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(arrivals_lengthen_what_is_there),
        TEST(what_is_there_goes_with_its_uidvalidity),
        TEST(a_change_is_told_once),
        TEST(what_nobody_asks_for_is_noted_only),
        TEST(what_a_step_does_is_its_own),
        TEST(a_finished_step_claims_nothing_later),
        TEST(own_changes_do_not_go_round),
        TEST(the_modseq_never_goes_back),
        TEST(fault_19_a_range_without_end_is_what_was_there),
        TEST(what_a_step_took_away_is_its_own),
        TEST(a_step_that_was_given_up_took_nothing),
        TEST(fault_32_changes_of_a_lost_uidvalidity),
        TEST(a_journal_without_changes_is_taken_over),
    };

    return cmocka_run_group_tests_name("state/changes", tests, NULL, NULL);
}
