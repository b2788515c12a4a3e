/* What the requests on rows have in common. */
#include "sqlite_priv.h"

int64_t db_meta_get(struct backend *db, const char *key, int64_t fallback) {
    struct query q = db_query(db, "SELECT value FROM meta WHERE key = ?");
    int64_t value = fallback;

    query_text(&q, key);
    if (query_next(&q)) {
        value = db_column_int(&q, 0);
    }
    query_end(&q);
    return value;
}

void db_meta_set(struct backend *db, const char *key, int64_t value) {
    struct query q =
        db_query(db, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = ?2");

    query_text(&q, key);
    query_int(&q, value);
    query_run(&q);
}

int64_t db_folder_find(struct backend *db, const char *account, const char *name) {
    struct query q = db_query(db, "SELECT id FROM folder WHERE account = ? AND name = ?");
    int64_t id = 0;

    query_text(&q, account);
    query_text(&q, name);
    if (query_next(&q)) {
        id = db_column_int(&q, 0);
    }
    query_end(&q);
    return id;
}

int64_t db_folder_make(struct backend *db, const char *account, const char *name) {
    int64_t id = db_folder_find(db, account, name);

    if (!id) {
        struct query q = db_query(db, "INSERT INTO folder(account, name) VALUES(?, ?)");
        query_text(&q, account);
        query_text(&q, name);
        query_run(&q);
        id = sqlite3_last_insert_rowid(db->handle);
    }
    return id;
}

void db_cursor_write(struct backend *db, int64_t folder, const struct state_cursor *cursor) {
    struct query q =
        db_query(db, "UPDATE folder SET uidvalidity = ?, last_uid = ?, modseq = ?, updated = ?, listed = ?,"
                     " snapshot = 0 WHERE id = ?");

    query_int(&q, cursor->uidvalidity);
    query_int(&q, cursor->last_uid);
    query_int(&q, (int64_t)cursor->modseq);
    query_int(&q, cursor->updated);
    query_int(&q, cursor->listed);
    query_int(&q, folder);
    query_run(&q);
    q = db_query(db, "DELETE FROM present WHERE folder = ?");
    query_int(&q, folder);
    query_run(&q);
    q = db_query(db, "DELETE FROM snapshot WHERE folder = ?");
    query_int(&q, folder);
    query_run(&q);
}

struct state_row *db_rows_alloc(struct request *r, size_t n) {
    r->out.rows.v = arena_alloc(&r->arena, n, sizeof *r->out.rows.v);
    r->out.rows.dropped = arena_alloc(&r->arena, n, sizeof *r->out.rows.dropped);
    r->out.rows.n = n;
    return r->out.rows.v;
}

void db_row_read(struct backend *db, int64_t row, uint32_t seq, struct state_row *out) {
    struct query q = db_query(db, "SELECT stage, attempts, faults, waiting, rekey,"
                                  " (SELECT min(seq) FROM step WHERE message = ?1 AND state <> 2),"
                                  " CASE WHEN ?2 THEN (SELECT attempts FROM step WHERE message = ?1 AND seq = ?2)"
                                  " ELSE 0 END FROM message WHERE id = ?1");

    *out = (struct state_row){.row = row, .seq = seq, .gone = true};
    query_int(&q, row);
    query_int(&q, seq);
    if (!query_next(&q)) {
        return;
    }
    if (!db_column_is_null(&q, 6)) { /* else no such step */
        out->stage = (enum state_stage)db_column_int(&q, 0);
        out->attempts = (uint32_t)db_column_int(&q, 1);
        out->faults = (uint32_t)db_column_int(&q, 2);
        out->waiting = db_column_int(&q, 3) != 0;
        out->rekey = db_column_int(&q, 4) != 0;
        out->next_seq = (uint32_t)db_column_int(&q, 5);
        out->step_attempts = (uint32_t)db_column_int(&q, 6);
        out->gone = false;
    }
    query_end(&q);
}

static void finish(struct backend *db, int64_t row, int64_t now) {
    struct query q = db_query(db, "UPDATE message SET stage = 4, finished_at = ?, waiting = 0, rekey = 0,"
                                  " error_code = -1, error_text = NULL, error_rule = NULL WHERE id = ?");

    query_int(&q, now);
    query_int(&q, row);
    query_run(&q);
}

/* The delivery of a step: true if it has one that is open; a held one becomes due unless the row is parked. */
static bool release_delivery(struct backend *db, struct request *r, struct state_row *out) {
    struct query q = db_query(db, "SELECT n, state, webhook FROM outbox WHERE message = ? AND seq = ?");
    const char *webhook;
    int64_t n, was;

    query_int(&q, out->row);
    query_int(&q, out->next_seq);
    if (!query_next(&q)) {
        return false;
    }
    n = db_column_int(&q, 0);
    was = db_column_int(&q, 1);
    webhook = db_column_text(&q, 2, &r->arena);
    query_end(&q);
    if (was == STATE_HELD && out->stage == STATE_PLANNED) {
        q = db_query(db, "UPDATE outbox SET state = 2, next_at = ?, set_at = ? WHERE n = ?");
        query_int(&q, r->now);
        query_int(&q, r->now);
        query_int(&q, n);
        query_run(&q);
        out->due_webhook = webhook;
    }
    return was == STATE_HELD || was == STATE_DUE;
}

void db_row_advance(struct backend *db, struct request *r, int64_t row, uint32_t seq, struct state_row *out) {
    db_row_read(db, row, seq, out);
    if (out->gone || (out->stage != STATE_PLANNED && out->stage != STATE_PARKED)) {
        return;
    }
    if (!out->next_seq) {
        finish(db, row, r->now);
        out->stage = STATE_DONE;
        out->waiting = out->rekey = false;
        return;
    }
    bool waiting = release_delivery(db, r, out) && out->stage == STATE_PLANNED;
    if (waiting != out->waiting) {
        struct query q = db_query(db, "UPDATE message SET waiting = ? WHERE id = ?");
        query_int(&q, waiting);
        query_int(&q, row);
        query_run(&q);
        out->waiting = waiting;
    }
}

void db_row_set_error(struct backend *db, int64_t row, const error *err) {
    struct query q = db_query(db, "UPDATE message SET error_code = ?, error_text = ?, error_rule = ? WHERE id = ?");

    query_int(&q, err ? (int64_t)err->code : -1);
    query_text(&q, err ? err->text : NULL);
    query_text(&q, err ? err->rule : NULL);
    query_int(&q, row);
    query_run(&q);
}

/* What was held, dead or waiting for its time is held again, fresh; db_row_advance then makes the right one due. */
static void revive_deliveries(struct backend *db, int64_t row, int64_t now) {
    struct query q = db_query(db, "UPDATE outbox SET state = 1, attempts = 0, next_at = ?, set_at = ?"
                                  " WHERE message = ? AND state <> 3");

    query_int(&q, now);
    query_int(&q, now);
    query_int(&q, row);
    query_run(&q);
    q = db_query(db, "UPDATE step SET state = 0 WHERE message = ? AND state = 3");
    query_int(&q, row);
    query_run(&q);
}

void db_row_revive(struct backend *db, struct request *r, int64_t row, struct state_row *out) {
    db_row_read(db, row, 0, out);
    if (out->gone || out->stage == STATE_DONE) {
        return;
    }
    struct query q = db_query(db, "UPDATE message SET stage = ?, attempts = 0, faults = 0, next_at = ?, set_at = ?,"
                                  " error_code = -1, error_text = NULL, error_rule = NULL WHERE id = ?");
    query_int(&q, out->next_seq ? STATE_PLANNED : STATE_PENDING);
    query_int(&q, r->now);
    query_int(&q, r->now);
    query_int(&q, row);
    query_run(&q);
    if (out->next_seq) {
        revive_deliveries(db, row, r->now);
    }
    db_row_advance(db, r, row, 0, out);
}

/* Forgets the row that this UID has without a plan. */
static error *clear_uid(struct backend *db, int64_t row, uint32_t uidvalidity, uint32_t uid) {
    struct query q = db_query(db, "SELECT o.id, o.stage, EXISTS(SELECT 1 FROM step WHERE message = o.id)"
                                  " FROM message m JOIN message o ON o.folder = m.folder AND o.event = m.event"
                                  " WHERE m.id = ? AND o.uidvalidity = ? AND o.uid = ? AND o.id <> m.id");
    int64_t other;
    bool planned;

    query_int(&q, row);
    query_int(&q, uidvalidity);
    query_int(&q, uid);
    if (!query_next(&q)) {
        return NULL;
    }
    other = db_column_int(&q, 0);
    planned = db_column_int(&q, 1) == STATE_DONE || db_column_int(&q, 2);
    query_end(&q);
    if (planned) {
        return error_new(ERROR_INVALID, "UID %u has a plan of its own", uid);
    }
    q = db_query(db, "DELETE FROM message WHERE id = ?");
    query_int(&q, other);
    query_run(&q);
    return NULL;
}

error *db_row_rekey(struct backend *db, int64_t row, uint32_t uidvalidity, uint32_t uid) {
    error *err = clear_uid(db, row, uidvalidity, uid);

    if (!err) {
        struct query q = db_query(db, "UPDATE message SET uidvalidity = ?, uid = ?, rekey = 0 WHERE id = ?");
        query_int(&q, uidvalidity);
        query_int(&q, uid);
        query_int(&q, row);
        query_run(&q);
    }
    return err;
}
