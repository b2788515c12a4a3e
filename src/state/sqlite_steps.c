/* Attempts, and how a plan's steps go. */
#include "sqlite_priv.h"

error *exec_attempt(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.rows.n);

    for (size_t i = 0; i < r->in.rows.n; i++) {
        struct query q = db_query(db, "UPDATE message SET attempts = max(attempts + ?, 0) WHERE id = ?");
        query_int(&q, r->in.rows.by);
        query_int(&q, r->in.rows.v[i]);
        query_run(&q);
        db_row_read(db, r->in.rows.v[i], 0, &out[i]);
    }
    return NULL;
}

error *exec_fault(struct backend *db, struct request *r) {
    struct query q = db_query(db, "UPDATE message SET faults = faults + 1 WHERE id = ?");

    query_int(&q, r->in.rows.v[0]);
    query_run(&q);
    db_row_read(db, r->in.rows.v[0], 0, db_rows_alloc(r, 1));
    return NULL;
}

error *exec_step_begin(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.notes.n);

    for (size_t i = 0; i < r->in.notes.n; i++) {
        const struct state_step_note *note = &r->in.notes.v[i];
        struct query q = db_query(db, "UPDATE step SET state = 1, note = coalesce(?, note)"
                                      " WHERE message = ? AND seq = ? AND state < 2");
        query_blob(&q, note->note, note->note_len);
        query_int(&q, note->row);
        query_int(&q, note->seq);
        if (query_run(&q) && note->target_folder && note->target_uidvalidity && note->target_uid) {
            db_own_add(db, r, note->row, note->target_folder, note->target_uidvalidity, note->target_uid);
        }
        db_row_read(db, note->row, note->seq, &out[i]);
    }
    return NULL;
}

/* --- done --------------------------------------------------------------------------------------------------------- */

/* False if it was done before, or is gone. */
static bool set_done(struct backend *db, const struct state_step_result *result, int64_t now, bool *failed_before_out) {
    struct query q = db_query(db, "UPDATE step SET state = 2, done_at = ?, target_folder = ?, target_uidvalidity = ?,"
                                  " target_uid = ?, moved = ? WHERE message = ? AND seq = ? AND state <> 2"
                                  " RETURNING attempts");
    bool changed = false;

    query_int(&q, now);
    query_text(&q, result->target_folder);
    query_int(&q, result->target_uidvalidity);
    query_int(&q, result->target_uid);
    query_int(&q, result->moved);
    query_int(&q, result->row);
    query_int(&q, result->seq);
    *failed_before_out = false;
    while (query_next(&q)) {
        changed = true;
        *failed_before_out = db_column_int(&q, 0) > 0;
    }
    return changed;
}

static void forget_error(struct backend *db, int64_t row) {
    struct query q = db_query(db, "UPDATE message SET error_code = -1, error_text = NULL, error_rule = NULL"
                                  " WHERE id = ? AND error_code >= 0 AND stage = 2");

    query_int(&q, row);
    query_run(&q);
}

error *exec_step_done(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.results.n);

    for (size_t i = 0; i < r->in.results.n; i++) {
        const struct state_step_result *result = &r->in.results.v[i];
        bool failed_before, changed = set_done(db, result, r->now, &failed_before);
        if (changed && result->target_folder && result->target_uidvalidity && result->target_uid) {
            db_own_add(db, r, result->row, result->target_folder, result->target_uidvalidity, result->target_uid);
        }
        if (failed_before) {
            forget_error(db, result->row);
        }
        db_row_advance(db, r, result->row, result->seq, &out[i]);
    }
    return NULL;
}

/* --- failed ------------------------------------------------------------------------------------------------------- */

static void set_failed(struct backend *db, const struct state_step_failure *f, int64_t now) {
    struct query q = db_query(db, "UPDATE step SET state = ?, attempts = attempts + ?, note = coalesce(?, note)"
                                  " WHERE message = ? AND seq = ? AND state < 2");

    query_int(&q, f->maybe_done ? STATE_STEP_BEGUN : STATE_STEP_PENDING);
    query_int(&q, !f->waits);
    query_blob(&q, f->note, f->note_len);
    query_int(&q, f->row);
    query_int(&q, f->seq);
    if (!query_run(&q)) {
        return;
    }
    q = db_query(db, "UPDATE message SET next_at = ?, set_at = ? WHERE id = ?");
    query_int(&q, time_after(now, f->delay_ms));
    query_int(&q, now);
    query_int(&q, f->row);
    query_run(&q);
    if (f->err) {
        db_row_set_error(db, f->row, f->err);
    }
}

error *exec_step_failed(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.failures.n);

    for (size_t i = 0; i < r->in.failures.n; i++) {
        set_failed(db, &r->in.failures.v[i], r->now);
        db_row_read(db, r->in.failures.v[i].row, r->in.failures.v[i].seq, &out[i]);
    }
    return NULL;
}
