/*
 * tests/unit/state/scenario.h - a short life of a journal, one request a step, and what the journal holds after each.
 *
 * Each step is one transaction, so a crash or a failure may show what was before it or after it, and nothing else.
 */
#ifndef TESTS_UNIT_STATE_SCENARIO_H
#define TESTS_UNIT_STATE_SCENARIO_H

#include "fixture.h"

enum { SCENARIO_STEPS = 9 };

static void scenario_arrive(struct fixture *f) {
    const uint32_t uids[] = {11, 12, 13};
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = uids, .n_uids = 3, .last_uid = 13};

    ASK(f, state_arrive(f->st, &in, on_arrivals, f));
}

static void scenario_post(struct fixture *f) {
    struct state_delivery delivery;
    struct state_plan plan = posting_plan(1, "m1", &delivery, "msg_1");

    ASK(f, state_plan(f->st, &plan, on_planned, f));
}

static void scenario_move(struct fixture *f) {
    struct state_plan plan = moving_plan(2, "m2");

    ASK(f, state_plan(f->st, &plan, on_planned, f));
}

static void scenario_begin(struct fixture *f) {
    struct state_step_note note = {.row = 2, .seq = 1, .note = "note", .note_len = 4};

    ASK(f, state_step_begin(f->st, &note, 1, on_rows, f));
}

static void scenario_steps_done(struct fixture *f) {
    struct state_step_result results[] = {
        {.row = 2, .seq = 1},
        {.row = 2, .seq = 2, .target_folder = "Tickets", .target_uidvalidity = 3, .target_uid = 50, .moved = true}};

    ASK(f, state_step_done(f->st, results, 2, on_rows, f));
}

static void scenario_accept(struct fixture *f) {
    struct state_outbox_result result = {.id = "msg_1", .outcome = STATE_ACCEPTED, .http_status = 200};

    ASK(f, state_outbox_result(f->st, &result, on_rows, f));
}

static void scenario_park(struct fixture *f) {
    ASK(f, state_park(f->st, 3, NULL, on_rows, f));
}

static void scenario_validity(struct fixture *f) {
    struct state_validity in = {.account = "work", .folder = "INBOX", .uidvalidity = 8, .last_uid = 2};

    ASK(f, state_uidvalidity_changed(f->st, &in, on_validity, f));
}

static void scenario_large(struct fixture *f) {
    g_autofree char *value = g_malloc(60000);

    memset(value, 'x', 60000);
    ASK(f, state_kv_set(f->st, "r", "large", value, 60000, 0, on_done, f));
}

/* One step; true if it was answered without an error. */
MAYBE_UNUSED static bool scenario_step(struct fixture *f, int step) {
    static void (*const steps[SCENARIO_STEPS])(struct fixture *f) = {
        scenario_arrive,     scenario_post, scenario_move,  scenario_begin, scenario_steps_done,
        scenario_accept,     scenario_park, scenario_large, scenario_validity};

    steps[step](f);
    return f->a.code < 0;
}

/* Everything that the steps change, as text; g_free. */
MAYBE_UNUSED static char *scenario_snapshot(struct fixture *f) {
    GString *out = g_string_new(list_all(f));

    g_string_append(out, list_outbox(f));
    MUST(f, state_cursor_load(f->st, "work", "INBOX", on_cursor, f));
    g_string_append_printf(out, "cursor %u %u\n", f->a.cursor.uidvalidity, f->a.cursor.last_uid);
    MUST(f, state_kv_get(f->st, "r", "large", on_value, f));
    g_string_append_printf(out, "large %zu\n", f->a.n);
    return g_string_free(out, FALSE);
}

/* What an uninterrupted run holds after each number of steps. */
MAYBE_UNUSED static void scenario_expect(struct fixture *f, char *snapshots[SCENARIO_STEPS + 1]) {
    for (int i = 0;; i++) {
        snapshots[i] = scenario_snapshot(f);
        if (i == SCENARIO_STEPS) {
            return;
        }
        assert_true(scenario_step(f, i));
        assert_true(i == 0 || strcmp(snapshots[i], snapshots[i - 1]) != 0);
    }
}

MAYBE_UNUSED static void scenario_free(char *snapshots[SCENARIO_STEPS + 1]) {
    for (int i = 0; i <= SCENARIO_STEPS; i++) {
        g_free(snapshots[i]);
    }
}

/* A new, empty state in a new directory, not open yet. */
MAYBE_UNUSED static struct fixture *fixture_new(void) {
    struct fixture *f = g_new0(struct fixture, 1);

    assert_true(make_dir(f->dir));
    clock_init_fake(&f->clock, START);
    f->a.listing = g_string_new(NULL);
    return f;
}

MAYBE_UNUSED static void fixture_free(struct fixture *f) {
    tear_down((void **)&f);
}

#endif
