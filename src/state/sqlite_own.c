/* Messages that this daemon put where they are: known by their UID. */
#include "sqlite_priv.h"

#include <string.h>

/* The copy may have been seen by its folder's watcher before this answer came: then its row learns it now. */
void db_own_add(struct backend *db, struct request *r, int64_t row, const char *target, uint32_t uidvalidity,
                uint32_t uid) {
    struct query q = db_query(db, "SELECT account FROM message WHERE id = ?");
    const char *account;
    int64_t folder;

    query_int(&q, row);
    account = query_next(&q) ? db_column_text(&q, 0, &r->arena) : NULL;
    query_end(&q);
    if (!account) {
        return;
    }
    folder = db_folder_make(db, account, target);
    q = db_query(db, "UPDATE message SET own = 1 WHERE folder = ? AND uidvalidity = ? AND uid = ? AND event = 'new'");
    query_int(&q, folder);
    query_int(&q, uidvalidity);
    query_int(&q, uid);
    if (query_run(&q)) {
        return;
    }
    q = db_query(db, "INSERT INTO own(folder, uidvalidity, uid, created) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING");
    query_int(&q, folder);
    query_int(&q, uidvalidity);
    query_int(&q, uid);
    query_int(&q, r->now);
    query_run(&q);
}

/* --- whose copy is it? -------------------------------------------------------------------------------------------- */

/* What the step has claimed before; 0 = nothing. False if there is no such open step. */
static bool read_step(struct backend *db, struct request *r, uint32_t *uid_out) {
    const struct state_claim *in = &r->in.claim;
    struct query q = db_query(db, "SELECT target_folder, target_uidvalidity, target_uid FROM step"
                                  " WHERE message = ? AND seq = ? AND state < 2");
    bool open;

    query_int(&q, in->row);
    query_int(&q, in->seq);
    *uid_out = 0;
    open = query_next(&q);
    if (open && (uint32_t)db_column_int(&q, 1) == in->target_uidvalidity) {
        const char *folder = db_column_text(&q, 0, &r->arena);
        *uid_out = folder && strcmp(folder, in->target_folder) == 0 ? (uint32_t)db_column_int(&q, 2) : 0;
    }
    query_end(&q);
    return open;
}

static bool is_own(struct backend *db, int64_t row, const struct state_claim *in, uint32_t uid) {
    struct query q =
        db_query(db, "SELECT 1 FROM folder f JOIN message m ON m.id = ?1 AND f.account = m.account AND f.name = ?2"
                     " WHERE EXISTS(SELECT 1 FROM own WHERE folder = f.id AND uidvalidity = ?3 AND uid = ?4)"
                     " OR EXISTS(SELECT 1 FROM message WHERE folder = f.id AND uidvalidity = ?3 AND uid = ?4"
                     " AND event = 'new' AND own)");
    bool own;

    query_int(&q, row);
    query_text(&q, in->target_folder);
    query_int(&q, in->target_uidvalidity);
    query_int(&q, uid);
    own = query_next(&q);
    query_end(&q);
    return own;
}

static void claim(struct backend *db, struct request *r, uint32_t uid) {
    const struct state_claim *in = &r->in.claim;
    struct query q = db_query(db, "UPDATE step SET target_folder = ?, target_uidvalidity = ?, target_uid = ?"
                                  " WHERE message = ? AND seq = ?");

    query_text(&q, in->target_folder);
    query_int(&q, in->target_uidvalidity);
    query_int(&q, uid);
    query_int(&q, in->row);
    query_int(&q, in->seq);
    query_run(&q);
    db_own_add(db, r, in->row, in->target_folder, in->target_uidvalidity, uid);
    r->out.number = uid;
}

error *exec_step_claim(struct backend *db, struct request *r) {
    const struct state_claim *in = &r->in.claim;
    uint32_t before;

    if (!in->target_folder || !in->target_uidvalidity) {
        return error_new(ERROR_INVALID, "a copy is told by folder and UIDVALIDITY");
    }
    if (!read_step(db, r, &before)) {
        return NULL;
    }
    r->out.number = before;
    for (size_t i = 0; i < in->n_uids && !r->out.number; i++) {
        if (!is_own(db, in->row, in, in->uids[i])) {
            claim(db, r, in->uids[i]);
        }
    }
    return NULL;
}
