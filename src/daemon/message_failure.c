/*
 * A message that cannot go on: its evaluator failed or died of it, the server says "not now", or nothing will help.
 */
#include "message_priv.h"

/* Pauses after "not now". */
#define PUT_OFF_MS UINT64_C(10000)
#define PUT_OFF_MAX_MS UINT64_C(900000)

void message_failed(void *user, wire_message *fail) {
    struct message *m = user;
    const wire_rule_error *e = &fail->u.fail.error;
    log_ctx log = message_log(m);
    error *err;

    m->job = 0;
    log.rule = e->rule;
    if (e->place.file) {
        err = error_new(ERROR_RULE, "%s:%u: %s", e->place.file, e->place.line, e->text ? e->text : "failed");
    } else {
        err = error_new(ERROR_RULE, "%s", e->text ? e->text : "failed");
    }
    if (e->traceback) {
        log_debug(&log, "%s", e->traceback);
    }
    error_at(err, NULL, NULL, 0, e->rule);
    message_park(m, err);
    error_free(err);
    wire_message_free(fail);
}

static void faulted(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct message *m = user;
    uint32_t limit = keeper_config(message_keeper(m))->limits.attempts;

    if (!err && n && rows[0].faults >= limit) {
        g_autoptr(error) why = error_new(ERROR_DEADLINE, "%s", m->blame);
        error_at(why, NULL, NULL, 0, m->blamed_rule);
        message_park(m, why);
        return;
    }
    folder_resume_in(m->folder, n ? UINT64_C(500) << (2 * MIN(rows[0].faults, 6)) : FOLDER_RETRY_MS);
    message_free(m);
}

void message_reader_died(void *user, const pool_death *death) {
    struct message *m = user;
    log_ctx log = message_log(m);

    m->job = 0;
    log.rule = death->rule;
    g_free(m->blame);
    g_free(m->blamed_rule);
    m->blamed_rule = g_strdup(death->rule);
    if (death->place.file) {
        m->blame = g_strdup_printf("%s:%u: %s", death->place.file, death->place.line, death->reason);
    } else {
        m->blame = g_strdup_printf("reading the message: %s", death->reason);
    }
    log_warn(&log, "attempt %u: %s", m->attempts, m->blame);
    state_fault(message_keeper(m)->state, m->row, faulted, m);
}

void message_put_off(struct message *m, enum delivery_kind kind, uint64_t hint_ms) {
    struct folder *f = m->folder;
    uint64_t pause = MIN(PUT_OFF_MS << MIN(f->deliveries[kind].put_offs, 10), PUT_OFF_MAX_MS);

    if (f->deliveries[kind].delivered) {
        f->deliveries[kind].delivered = false; /* others are delivered: it may be this one */
    } else {
        state_unattempt(message_keeper(m)->state, &m->row, 1, NULL, NULL);
    }
    f->deliveries[kind].put_offs++;
    folder_resume_in(f, MAX(hint_ms, pause));
    message_free(m);
}

void message_park(struct message *m, const error *err) {
    log_ctx log = message_log(m);

    log.rule = err->rule;
    log_error(&log, "parked: %s (see `mailruled queue`; `mailruled retry` tries again)", err->text);
    message_keeper(m)->failures++;
    state_park(message_keeper(m)->state, m->row, err, NULL, NULL);
    message_free(m);
}
