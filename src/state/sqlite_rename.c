/* Folders that go on under another name. */
#include "sqlite_priv.h"

#include <string.h>

static bool is_there(const struct state_rename *in, const char *name) {
    for (size_t i = 0; i < in->n_there; i++) {
        if (strcmp(in->there[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The only folder that can have been it; 0 = none, or more than one. */
static int64_t find_former(struct backend *db, struct request *r) {
    const struct state_rename *in = &r->in.rename;
    struct query q =
        db_query(db, "SELECT id, name FROM folder WHERE account = ?1 AND uidvalidity = ?3 AND last_uid < ?4"
                     " AND name <> ?2"
                     " AND NOT EXISTS(SELECT 1 FROM folder WHERE account = ?1 AND name = ?2 AND uidvalidity <> 0)");
    unsigned found = 0;
    int64_t id = 0;

    query_text(&q, in->account);
    query_text(&q, in->to);
    query_int(&q, in->uidvalidity);
    query_int(&q, in->uidnext ? in->uidnext : (int64_t)UINT32_MAX + 1);
    while (query_next(&q)) {
        const char *name = db_column_text(&q, 1, &r->arena);
        if (!is_there(in, name)) {
            found++;
            id = db_column_int(&q, 0);
            r->out.from = name;
        }
    }
    query_end(&q);
    if (found != 1) {
        r->out.from = NULL;
    }
    return found == 1 ? id : 0;
}

/* Copies of our own making may have been noted under the new name already. */
static void absorb(struct backend *db, int64_t former, int64_t row) {
    static const char *const deletes[] = {"DELETE FROM own WHERE folder = ?", "DELETE FROM folder WHERE id = ?"};
    struct query q = db_query(db, "UPDATE OR IGNORE own SET folder = ? WHERE folder = ?");

    query_int(&q, former);
    query_int(&q, row);
    query_run(&q);
    for (size_t i = 0; i < G_N_ELEMENTS(deletes); i++) {
        q = db_query(db, deletes[i]);
        query_int(&q, row);
        query_run(&q);
    }
}

error *exec_find_renamed(struct backend *db, struct request *r) {
    int64_t former = find_former(db, r), row = db_folder_find(db, r->in.rename.account, r->in.rename.to);

    if (!former) {
        return NULL;
    }
    if (row) {
        absorb(db, former, row);
    }
    struct query q = db_query(db, "UPDATE folder SET name = ? WHERE id = ?");
    query_text(&q, r->in.rename.to);
    query_int(&q, former);
    query_run(&q);
    return NULL;
}
