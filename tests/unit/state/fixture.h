/*
 * tests/unit/state/fixture.h - a state in a temporary directory, and requests that wait for their answer.
 *
 * What an answer holds is copied out of the callback into struct answer; the last one stays until the next.
 */
#ifndef TESTS_UNIT_STATE_FIXTURE_H
#define TESTS_UNIT_STATE_FIXTURE_H

#include "state/changes.h"
#include "state/kv.h"
#include "state/outbox.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START INT64_C(1700000000000)
#define MAYBE_UNUSED __attribute__((unused))

struct answer {
    bool called;
    int code; /* enum error_code, -1 = success */
    char text[512];
    size_t n;
    bool more;
    struct state_row rows[64];
    char webhook[64]; /* due_webhook of the first row */
    struct state_arrival arrivals[64];
    struct state_planned planned;
    struct state_cursor cursor;
    bool found;
    struct state_validity_change validity;
    uint64_t removed;
    struct state_next_due next;
    int64_t number;
    char value[256];
    GString *listing; /* messages or deliveries as text, one a line */
};

struct fixture {
    char dir[64];
    clock_source clock;
    state *st;
    struct answer a;
};

/* In memory where there is such a place: nothing here pulls a plug, so a sync need not reach a disk. */
MAYBE_UNUSED static bool make_dir(char dir[64]) {
    g_strlcpy(dir, "/dev/shm/mailruled-state-XXXXXX", 64);
    if (mkdtemp(dir)) {
        return true;
    }
    g_strlcpy(dir, "/tmp/mailruled-state-XXXXXX", 64);
    return mkdtemp(dir) != NULL;
}

MAYBE_UNUSED static void remove_dir(const char *dir) {
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    if (d) {
        closedir(d);
    }
    rmdir(dir);
}

MAYBE_UNUSED static error *try_open(struct fixture *f) {
    struct state_options options = {.dir = f->dir, .clock = &f->clock};

    return state_open(&options, &f->st);
}

MAYBE_UNUSED static void must_open(struct fixture *f) {
    error *err = try_open(f);

    if (err) {
        g_autofree char *text = error_format(err);
        fail_msg("state_open: %s", text);
    }
}

MAYBE_UNUSED static void reopen(struct fixture *f) {
    state_close(f->st);
    f->st = NULL;
    must_open(f);
}

MAYBE_UNUSED static int set_up(void **state_out) {
    struct fixture *f = g_new0(struct fixture, 1);

    if (!make_dir(f->dir)) {
        return -1;
    }
    clock_init_fake(&f->clock, START);
    f->a.listing = g_string_new(NULL);
    must_open(f);
    *state_out = f;
    return 0;
}

MAYBE_UNUSED static int tear_down(void **state_in) {
    struct fixture *f = *state_in;

    state_close(f->st);
    remove_dir(f->dir);
    g_string_free(f->a.listing, TRUE);
    g_free(f);
    return 0;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

MAYBE_UNUSED static void begin_wait(struct fixture *f) {
    GString *listing = f->a.listing;

    memset(&f->a, 0, sizeof f->a);
    g_string_truncate(listing, 0);
    f->a.listing = listing;
}

MAYBE_UNUSED static void end_wait(struct fixture *f) {
    while (!f->a.called && state_wait(f->st)) {
    }
    assert_true(f->a.called);
}

static struct answer *take(void *user, const error *err) {
    struct fixture *f = user;

    f->a.called = true;
    f->a.code = err ? (int)err->code : -1;
    g_strlcpy(f->a.text, err ? err->text : "", sizeof f->a.text);
    return &f->a;
}

MAYBE_UNUSED static void on_done(void *user, const error *err) {
    take(user, err);
}

MAYBE_UNUSED static void on_rows(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct answer *a = take(user, err);

    a->n = n;
    for (size_t i = 0; i < n && i < G_N_ELEMENTS(a->rows); i++) {
        a->rows[i] = rows[i];
    }
    g_strlcpy(a->webhook, n && rows[0].due_webhook ? rows[0].due_webhook : "", sizeof a->webhook);
}

MAYBE_UNUSED static void on_arrivals(void *user, const error *err, const struct state_arrival *arrivals, size_t n) {
    struct answer *a = take(user, err);

    a->n = n;
    for (size_t i = 0; i < n && i < G_N_ELEMENTS(a->arrivals); i++) {
        a->arrivals[i] = arrivals[i];
    }
}

MAYBE_UNUSED static void on_planned(void *user, const error *err, const struct state_planned *planned) {
    struct answer *a = take(user, err);

    if (planned) {
        a->planned = *planned;
        g_strlcpy(a->webhook, planned->row.due_webhook ? planned->row.due_webhook : "", sizeof a->webhook);
    }
}

MAYBE_UNUSED static void on_cursor(void *user, const error *err, const struct state_cursor *cursor) {
    struct answer *a = take(user, err);

    a->found = cursor != NULL;
    if (cursor) {
        a->cursor = *cursor;
    }
}

static void print_steps(GString *out, const struct state_message *m) {
    static const char marks[] = " *+!"; /* pending, begun, done, failed */

    for (size_t i = 0; i < m->n_steps; i++) {
        const struct state_step_info *s = &m->steps[i];
        g_string_append_printf(out, " %c%u:%s(%.*s)", marks[s->state], s->seq, s->verb, (int)s->args_len,
                               (const char *)s->args);
        if (s->note) {
            g_string_append_printf(out, "[%.*s]", (int)s->note_len, (const char *)s->note);
        }
        if (s->target_folder) {
            g_string_append_printf(out, "->%s/%u/%u", s->target_folder, s->target_uidvalidity, s->target_uid);
        }
        if (s->delivery) {
            g_string_append_printf(out, "@%s", s->delivery);
        }
    }
}

/* "ROW account/folder/validity/uid stage aN fN [own] [waiting] [rekey] id=... error=... STEPS" */
MAYBE_UNUSED static void on_messages(void *user, const error *err, const struct state_message *messages, size_t n,
                                     bool more) {
    struct answer *a = take(user, err);

    a->n = n;
    a->more = more;
    for (size_t i = 0; i < n; i++) {
        const struct state_message *m = &messages[i];
        g_string_append_printf(a->listing, "%d %s/%s/%u/%u %s a%u f%u", (int)m->row, m->account, m->folder,
                               m->uidvalidity, m->uid, state_stage_name(m->stage), m->attempts, m->faults);
        g_string_append_printf(a->listing, "%s%s%s", m->own ? " own" : "", m->waiting ? " waiting" : "",
                               m->rekey ? " rekey" : "");
        if (m->identity) {
            g_string_append_printf(a->listing, " id=%s", m->identity);
        }
        if (m->error_code >= 0) {
            g_string_append_printf(a->listing, " error=%s", m->error_text);
        }
        if (m->next_at != m->arrived_at) {
            g_string_append_printf(a->listing, " next=%" G_GINT64_FORMAT, m->next_at - START);
        }
        print_steps(a->listing, m);
        g_string_append_c(a->listing, '\n');
    }
}

/* "id webhook rule account ROW.seq state aN next=... status error body" */
MAYBE_UNUSED static void on_entries(void *user, const error *err, const struct state_outbox_entry *entries, size_t n,
                                    bool more) {
    struct answer *a = take(user, err);

    a->n = n;
    a->more = more;
    a->number = n ? entries[n - 1].position : 0;
    for (size_t i = 0; i < n; i++) {
        const struct state_outbox_entry *e = &entries[i];
        g_string_append_printf(a->listing, "%s %s %s %s %d.%u %s a%u next=%d", e->id, e->webhook, e->rule, e->account,
                               (int)e->row, e->seq, state_outbox_state_name(e->state), e->attempts,
                               (int)(e->next_at - START));
        if (e->http_status || e->error_text) {
            g_string_append_printf(a->listing, " %d %s", e->http_status, e->error_text ? e->error_text : "-");
        }
        if (e->body) {
            g_string_append_printf(a->listing, " <%.*s>", (int)e->body_len, (const char *)e->body);
        }
        g_string_append_c(a->listing, '\n');
    }
}

MAYBE_UNUSED static void on_pruned(void *user, const error *err, uint64_t removed) {
    take(user, err)->removed = removed;
}

MAYBE_UNUSED static void on_next(void *user, const error *err, const struct state_next_due *next) {
    struct answer *a = take(user, err);

    if (next) {
        a->next = *next;
    }
}

MAYBE_UNUSED static void on_validity(void *user, const error *err, const struct state_validity_change *change) {
    struct answer *a = take(user, err);

    if (change) {
        a->validity = *change;
    }
}

MAYBE_UNUSED static void on_value(void *user, const error *err, const void *value, size_t len) {
    struct answer *a = take(user, err);

    a->found = value != NULL;
    a->n = len;
    if (value) {
        memcpy(a->value, value, MIN(len, sizeof a->value - 1));
    }
}

MAYBE_UNUSED static void on_number(void *user, const error *err, int64_t value) {
    take(user, err)->number = value;
}

/* Runs one request and waits: ASK(f, state_attempt(f->st, rows, 2, on_rows, f)); */
#define ASK(f, call)                                                                                                   \
    do {                                                                                                               \
        begin_wait(f);                                                                                                 \
        call;                                                                                                          \
        end_wait(f);                                                                                                   \
    } while (0)

/* The same, and it must succeed. */
#define MUST(f, call)                                                                                                  \
    do {                                                                                                               \
        ASK(f, call);                                                                                                  \
        if ((f)->a.code >= 0) {                                                                                        \
            fail_msg("%s", (f)->a.text);                                                                               \
        }                                                                                                              \
    } while (0)

/* --- the usual ---------------------------------------------------------------------------------------------------- */

/* One new message in work/INBOX under UIDVALIDITY 7; its row. */
MAYBE_UNUSED static int64_t arrive(struct fixture *f, uint32_t uid) {
    struct state_arrive in = {
        .account = "work", .folder = "INBOX", .uidvalidity = 7, .uids = &uid, .n_uids = 1, .last_uid = uid};

    MUST(f, state_arrive(f->st, &in, on_arrivals, f));
    assert_int_equal(f->a.n, 1);
    return f->a.arrivals[0].row;
}

static const struct state_step two_steps[] = {
    {.seq = 1, .verb = "flag", .args = "F", .args_len = 1, .rule = "r1", .needs_uid = true},
    {.seq = 2, .verb = "move", .args = "T", .args_len = 1, .rule = "r1", .needs_uid = true},
};
static const struct state_step post_and_move[] = {
    {.seq = 1, .verb = "post", .args = "W", .args_len = 1, .rule = "r1"},
    {.seq = 2, .verb = "move", .args = "T", .args_len = 1, .rule = "r1", .needs_uid = true},
};

MAYBE_UNUSED static struct state_plan moving_plan(int64_t row, const char *identity) {
    return (struct state_plan){
        .row = row, .identity = identity, .skip_if_handled = true, .steps = two_steps, .n_steps = 2};
}

/* delivery has to live until the plan is submitted. */
MAYBE_UNUSED static struct state_plan posting_plan(int64_t row, const char *identity, struct state_delivery *delivery,
                                                   const char *id) {
    *delivery = (struct state_delivery){.seq = 1, .id = id, .webhook = "desk", .body = "{}", .body_len = 2};
    return (struct state_plan){.row = row,
                               .identity = identity,
                               .skip_if_handled = true,
                               .steps = post_and_move,
                               .n_steps = 2,
                               .deliveries = delivery,
                               .n_deliveries = 1};
}

MAYBE_UNUSED static int64_t arrive_and_plan(struct fixture *f, uint32_t uid, const char *identity) {
    struct state_plan plan = moving_plan(arrive(f, uid), identity);

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
    return plan.row;
}

MAYBE_UNUSED static int64_t arrive_and_post(struct fixture *f, uint32_t uid, const char *identity, const char *id) {
    struct state_delivery delivery;
    struct state_plan plan = posting_plan(arrive(f, uid), identity, &delivery, id);

    MUST(f, state_plan(f->st, &plan, on_planned, f));
    assert_int_equal(f->a.planned.outcome, STATE_PLAN_STORED);
    return plan.row;
}

MAYBE_UNUSED static void step_done(struct fixture *f, int64_t row, uint32_t seq) {
    struct state_step_result result = {.row = row, .seq = seq};

    MUST(f, state_step_done(f->st, &result, 1, on_rows, f));
}

/* Every message with its steps, as text. */
MAYBE_UNUSED static const char *list_all(struct fixture *f) {
    struct state_filter filter = {.stages = STATE_IN_OPEN | STATE_IN(STATE_DONE), .with_steps = true, .limit = 1000};

    MUST(f, state_list(f->st, &filter, on_messages, f));
    return f->a.listing->str;
}

MAYBE_UNUSED static const char *list_outbox(struct fixture *f) {
    struct state_outbox_filter filter = {.states = ~0u, .limit = 1000};

    MUST(f, state_outbox_list(f->st, &filter, on_entries, f));
    return f->a.listing->str;
}

#endif
