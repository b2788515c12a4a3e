/* What time and servers do to rows: UIDVALIDITY, pruning, a clock that jumps. */
#include "sqlite_priv.h"

enum { PRUNE_ROWS = 500, FREE_PAGES_KEPT = 2500, DAY_MS = 24 * 60 * 60 * 1000 };

/* --- UIDVALIDITY -------------------------------------------------------------------------------------------------- */

static int64_t run_on_folder(struct backend *db, const char *sql, int64_t folder, uint32_t uidvalidity) {
    struct query q = db_query(db, sql);

    query_int(&q, folder);
    query_int(&q, uidvalidity);
    return query_run(&q);
}

static bool is_current(struct backend *db, int64_t folder, uint32_t uidvalidity) {
    struct query q = db_query(db, "SELECT 1 FROM folder WHERE id = ? AND uidvalidity = ?");
    bool current;

    query_int(&q, folder);
    query_int(&q, uidvalidity);
    current = query_next(&q);
    query_end(&q);
    return current;
}

/* A message found again has its flags as they are: what a change of before asked for cannot be found by them. */
static void park_changes(struct backend *db, int64_t folder, uint32_t uidvalidity) {
    struct query q =
        db_query(db, "UPDATE message SET stage = 3, error_code = ?3, error_text = 'the folder was made anew or"
                     " restored: the message of this change cannot be told' WHERE folder = ?1"
                     " AND uidvalidity <> ?2 AND stage = 2 AND event = 'flags' AND EXISTS(SELECT 1 FROM step"
                     " WHERE message = message.id AND state <> 2 AND needs_uid)");

    query_int(&q, folder);
    query_int(&q, uidvalidity);
    query_int(&q, ERROR_GONE);
    query_run(&q);
}

error *exec_uidvalidity(struct backend *db, struct request *r) {
    const struct state_validity *in = &r->in.validity;
    int64_t folder;

    if (!in->uidvalidity) {
        return error_at(error_new(ERROR_INVALID, "UIDVALIDITY 0"), in->account, in->folder, 0, NULL);
    }
    folder = db_folder_make(db, in->account, in->folder);
    if (is_current(db, folder, in->uidvalidity)) {
        return NULL;
    }
    r->out.validity.cancelled = (uint64_t)run_on_folder(
        db,
        "DELETE FROM message WHERE folder = ? AND uidvalidity <> ? AND event <> 'gone' AND (stage = 1 OR"
        " (stage = 3 AND NOT EXISTS(SELECT 1 FROM step WHERE message = message.id)))",
        folder, in->uidvalidity);
    r->out.validity.rekeyed = (uint64_t)run_on_folder(
        db,
        "UPDATE message SET rekey = 1 WHERE folder = ? AND uidvalidity <> ? AND stage IN (2, 3) AND event = 'new'"
        " AND EXISTS(SELECT 1 FROM step WHERE message = message.id AND state <> 2 AND needs_uid)"
        " AND NOT EXISTS(SELECT 1 FROM step WHERE message = message.id AND state = 2 AND moved)",
        folder, in->uidvalidity);
    park_changes(db, folder, in->uidvalidity);
    run_on_folder(db, "DELETE FROM own WHERE folder = ? AND uidvalidity <> ?", folder, in->uidvalidity);
    db_cursor_write(db, folder,
                    &(struct state_cursor){.uidvalidity = in->uidvalidity, .last_uid = in->last_uid,
                                           .modseq = in->modseq, .updated = r->now});
    return NULL;
}

error *exec_rekey(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, 1);
    error *err;

    db_row_read(db, r->in.rekey.row, 0, out);
    if (out->gone || out->stage == STATE_DONE) {
        return NULL;
    }
    if (!out->next_seq) {
        return error_new(ERROR_INVALID, "message %" G_GINT64_FORMAT " has no plan", r->in.rekey.row);
    }
    err = db_row_rekey(db, r->in.rekey.row, r->in.rekey.uidvalidity, r->in.rekey.uid);
    db_row_read(db, r->in.rekey.row, 0, out);
    return err;
}

/* --- pruning ------------------------------------------------------------------------------------------------------ */

static uint64_t prune_older(struct backend *db, const char *sql, int64_t than) {
    struct query q = db_query(db, sql);

    query_int(&q, than);
    query_int(&q, PRUNE_ROWS);
    return (uint64_t)query_run(&q);
}

/* Age is counted from a clock of pruning's own, which follows the wall clock by a day a round at most. */
static int64_t prune_clock(struct backend *db, int64_t now) {
    int64_t clock = MIN(now, db_meta_get(db, "prune_clock", now) + (db->pruning ? 0 : DAY_MS));

    db_meta_set(db, "prune_clock", clock);
    return clock;
}

static int64_t before(int64_t clock, uint64_t age_ms) {
    return age_ms > (uint64_t)clock ? 0 : clock - (int64_t)age_ms;
}

/* A backlog that was worked off leaves its pages free in the file: most of them go back to the file system. */
static uint64_t give_back_pages(struct backend *db) {
    int64_t unused = db_pragma(db, "PRAGMA freelist_count");

    if (unused < FREE_PAGES_KEPT || unused < db_pragma(db, "PRAGMA page_count") / 4) {
        return 0;
    }
    db_run(db, "PRAGMA incremental_vacuum(2000)");
    return 1;
}

error *exec_prune(struct backend *db, struct request *r) {
    int64_t clock = prune_clock(db, r->now);
    int64_t history = before(clock, r->in.keep.history_ms), ledger = before(clock, r->in.keep.ledger_ms);
    uint64_t *removed = &r->out.removed;

    *removed += prune_older(db,
                            "DELETE FROM message WHERE id IN (SELECT id FROM message INDEXED BY message_done"
                            " WHERE stage = 4 AND finished_at < ? LIMIT ?)",
                            history);
    *removed += prune_older(db,
                            "DELETE FROM ledger WHERE (folder, identity) IN (SELECT l.folder, l.identity"
                            " FROM ledger l WHERE l.handled_at < ? AND NOT EXISTS"
                            " (SELECT 1 FROM message m WHERE m.id = l.message AND m.stage < 4) LIMIT ?)",
                            ledger);
    *removed += prune_older(db,
                            "DELETE FROM own WHERE (folder, uidvalidity, uid) IN"
                            " (SELECT folder, uidvalidity, uid FROM own WHERE created < ? LIMIT ?)",
                            history);
    *removed += prune_older(db,
                            "DELETE FROM kv WHERE (ns, key) IN"
                            " (SELECT ns, key FROM kv WHERE expires IS NOT NULL AND expires <= ? LIMIT ?)",
                            r->now);
    *removed += give_back_pages(db);
    db->pruning = *removed > 0;
    return NULL;
}

/* --- a clock that went back --------------------------------------------------------------------------------------- */

/* A time that was set "later than now" was set by the clock as it was before: it keeps its delay, from now. Times that
 * a jump forward makes due at once need nothing. */
error *exec_clock_back(struct backend *db, struct request *r) {
    static const char *const updates[] = {
        "UPDATE outbox SET next_at = ?1 + max(next_at - set_at, 0), set_at = ?1 WHERE state <> 3 AND set_at > ?1",
        "UPDATE message SET next_at = ?1 + max(next_at - set_at, 0), set_at = ?1 WHERE stage < 4 AND set_at > ?1",
        "UPDATE kv SET expires = ?1 + max(expires - set_at, 0), set_at = ?1 WHERE expires IS NOT NULL AND set_at > ?1",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(updates); i++) {
        struct query q = db_query(db, updates[i]);
        query_int(&q, r->now);
        query_run(&q);
    }
    return NULL;
}
