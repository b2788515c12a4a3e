/* Quarantine: into it, out of it, and away. */
#include "sqlite_priv.h"

#include <inttypes.h>

error *exec_park(struct backend *db, struct request *r) {
    int64_t row = r->in.park.row;
    struct state_row *out = db_rows_alloc(r, 1);
    struct query q = db_query(db, "UPDATE message SET stage = 3, waiting = 0 WHERE id = ? AND stage < 4");

    query_int(&q, row);
    if (query_run(&q)) {
        db_row_set_error(db, row, r->in.park.err);
        q = db_query(db, "UPDATE outbox SET state = 1 WHERE message = ? AND state = 2");
        query_int(&q, row);
        query_run(&q);
    }
    db_row_read(db, row, 0, out);
    return NULL;
}

error *exec_retry(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.rows.n);

    for (size_t i = 0; i < r->in.rows.n; i++) {
        db_row_revive(db, r, r->in.rows.v[i], &out[i]);
    }
    return NULL;
}

static const char *describe(struct backend *db, struct request *r, const struct state_row *row) {
    struct query q = db_query(db, "SELECT m.account, f.name, m.uid FROM message m JOIN folder f ON f.id = m.folder"
                                  " WHERE m.id = ?");
    const char *line = NULL;

    query_int(&q, row->row);
    if (query_next(&q)) {
        g_autofree char *s = g_strdup_printf("message %" PRId64 " dropped (%s): %s/%s/%u", row->row,
                                             state_stage_name(row->stage), db_column_text(&q, 0, &r->arena),
                                             db_column_text(&q, 1, &r->arena), (unsigned)db_column_int(&q, 2));
        line = arena_strdup(&r->arena, s);
    }
    query_end(&q);
    return line;
}

error *exec_drop(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, r->in.rows.n);

    for (size_t i = 0; i < r->in.rows.n; i++) {
        db_row_read(db, r->in.rows.v[i], 0, &out[i]);
        if (out[i].gone) {
            continue;
        }
        r->out.rows.dropped[i] = describe(db, r, &out[i]);
        struct query q = db_query(db, "DELETE FROM message WHERE id = ?");
        query_int(&q, r->in.rows.v[i]);
        query_run(&q);
    }
    return NULL;
}
