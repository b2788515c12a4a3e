/* The SQLite backend's transactions. */
#include "sqlite_priv.h"

enum { CHECKPOINT_PAGES = 1000 };

static request_fn *const requests[REQUEST_TYPES] = {
    [REQUEST_CURSOR_LOAD] = exec_cursor_load,
    [REQUEST_CURSOR_SET] = exec_cursor_set,
    [REQUEST_FIND_RENAMED] = exec_find_renamed,
    [REQUEST_ARRIVE] = exec_arrive,
    [REQUEST_ATTEMPT] = exec_attempt,
    [REQUEST_FAULT] = exec_fault,
    [REQUEST_PLAN] = exec_plan,
    [REQUEST_STEP_BEGIN] = exec_step_begin,
    [REQUEST_STEP_DONE] = exec_step_done,
    [REQUEST_STEP_FAILED] = exec_step_failed,
    [REQUEST_STEP_CLAIM] = exec_step_claim,
    [REQUEST_PARK] = exec_park,
    [REQUEST_RETRY] = exec_retry,
    [REQUEST_DROP] = exec_drop,
    [REQUEST_LIST] = exec_list,
    [REQUEST_LOAD] = exec_load,
    [REQUEST_COUNTS] = exec_counts,
    [REQUEST_FIND_HANDLED] = exec_find_handled,
    [REQUEST_UIDVALIDITY] = exec_uidvalidity,
    [REQUEST_REKEY] = exec_rekey,
    [REQUEST_PRUNE] = exec_prune,
    [REQUEST_PRESENT_LOAD] = exec_present_load,
    [REQUEST_PRESENT_SET] = exec_present_set,
    [REQUEST_OBSERVE] = exec_observe,
    [REQUEST_OBSERVE_END] = exec_observe_end,
    [REQUEST_OUTBOX_DUE] = exec_outbox_due,
    [REQUEST_OUTBOX_RESULT] = exec_outbox_result,
    [REQUEST_OUTBOX_REPLAY] = exec_outbox_replay,
    [REQUEST_OUTBOX_LIST] = exec_outbox_list,
    [REQUEST_OUTBOX_COUNTS] = exec_outbox_counts,
    [REQUEST_OUTBOX_NEXT] = exec_outbox_next,
    [REQUEST_KV_GET] = exec_kv_get,
    [REQUEST_KV_SET] = exec_kv_set,
    [REQUEST_KV_DELETE] = exec_kv_delete,
    [REQUEST_KV_INCR] = exec_kv_incr,
    [REQUEST_CLOCK_BACK] = exec_clock_back,
};

static error *run(struct backend *db, const char *sql) {
    struct query q = db_query(db, sql);

    query_run(&q);
    return db_take_error(db);
}

static error *sqlite_begin(struct backend *db) {
    return run(db, "BEGIN");
}

static error *sqlite_commit(struct backend *db) {
    return run(db, "COMMIT");
}

static void sqlite_rollback(struct backend *db) {
    db_reset(db);
    if (!sqlite3_get_autocommit(db->handle)) {
        error_free(run(db, "ROLLBACK"));
    }
}

static bool only_this_request(const error *err) {
    return err->code == ERROR_INVALID || err->code == ERROR_LIMIT || err->code == ERROR_INTERNAL;
}

/* A savepoint a request that writes: what it did before it failed is taken back, its neighbours stay. */
static error *sqlite_exec(struct backend *db, struct request *r) {
    bool writes = state_request_writes(r->type);
    error *err = writes ? run(db, "SAVEPOINT request") : NULL, *own;

    if (err) {
        return err;
    }
    own = requests[r->type](db, r);
    err = db_take_error(db);
    if (err) {
        error_free(own);
        own = NULL;
    }
    if (err && only_this_request(err)) {
        own = err;
        err = NULL;
    }
    if (own) {
        db_reset(db);
        err = writes ? run(db, "ROLLBACK TO request") : NULL;
    }
    if (!err && writes) {
        err = run(db, "RELEASE request");
    }
    r->err = own;
    return err;
}

static void sqlite_idle(struct backend *db) {
    int rc;

    if (db->wal_pages < CHECKPOINT_PAGES) {
        return;
    }
    rc = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && !db->checkpoint_failing) {
        log_warn(&db->log, "%s: cannot fold the write-ahead log in, it grows: %s", db->path,
                 sqlite3_errmsg(db->handle));
    }
    db->checkpoint_failing = rc != SQLITE_OK;
    db->wal_pages = 0; /* until the next commit tells */
}

static const char *sqlite_instance_id(const struct backend *db) {
    return db->instance_id;
}

static bool sqlite_was_clean(const struct backend *db) {
    return db->clean;
}

const struct backend_ops backend_sqlite = {
    .open = sqlite_backend_open,
    .close = sqlite_backend_close,
    .begin = sqlite_begin,
    .exec = sqlite_exec,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .idle = sqlite_idle,
    .instance_id = sqlite_instance_id,
    .was_clean = sqlite_was_clean,
};
