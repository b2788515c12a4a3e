/* Which UIDs of a folder are there: ranges, each a record. */
#include "sqlite_priv.h"

/* Arrivals mostly lengthen the last range. What overlaps is merged by whoever reads it. */
void db_present_add(struct backend *db, int64_t folder, const struct state_range *range) {
    struct query q = db_query(db, "UPDATE present SET high = max(high, ?3) WHERE folder = ?1 AND low ="
                                  " (SELECT max(low) FROM present WHERE folder = ?1 AND low <= ?2) AND high >= ?2 - 1");

    query_int(&q, folder);
    query_int(&q, range->low);
    query_int(&q, range->high);
    if (query_run(&q)) {
        return;
    }
    q = db_query(db, "INSERT INTO present(folder, low, high) VALUES(?, ?, ?)"
                     " ON CONFLICT DO UPDATE SET high = max(high, excluded.high)");
    query_int(&q, folder);
    query_int(&q, range->low);
    query_int(&q, range->high);
    query_run(&q);
}

error *exec_present_load(struct backend *db, struct request *r) {
    struct query q = db_query(db, "SELECT low, high FROM present WHERE folder = ? ORDER BY low");
    struct state_range *v = NULL;
    size_t n = 0, cap = 0;

    query_int(&q, db_folder_find(db, r->in.present.account, r->in.present.folder));
    while (query_next(&q)) {
        v = arena_grow(&r->arena, v, n, &cap, sizeof *v);
        v[n++] = (struct state_range){(uint32_t)db_column_int(&q, 0), (uint32_t)db_column_int(&q, 1)};
    }
    r->out.ranges.v = v;
    r->out.ranges.n = n;
    return NULL;
}

error *exec_present_set(struct backend *db, struct request *r) {
    const char *account = r->in.present.account, *name = r->in.present.folder;
    error *err = db_check_validity(db, account, name, r->in.present.uidvalidity);
    int64_t folder = db_folder_find(db, account, name);

    if (err || !folder) {
        return err ? error_at(err, account, name, 0, NULL) : NULL;
    }
    struct query q = db_query(db, "DELETE FROM present WHERE folder = ?");
    query_int(&q, folder);
    query_run(&q);
    for (size_t i = 0; i < r->in.present.n; i++) {
        db_present_add(db, folder, &r->in.present.v[i]);
    }
    q = db_query(db, "UPDATE folder SET listed = 1 WHERE id = ?");
    query_int(&q, folder);
    query_run(&q);
    return NULL;
}
