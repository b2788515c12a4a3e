#include "sqlite_priv.h"

static void fail(struct backend *db, int rc) {
    if (db->rc != SQLITE_OK) {
        return;
    }
    int os = sqlite3_system_errno(db->handle);
    int primary = rc & 0xff;
    bool io = primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CANTOPEN;
    db->rc = rc;
    g_free(db->text);
    db->text = g_strdup(sqlite3_errmsg(db->handle));
    if (io && os) {
        char *text = g_strconcat(db->text, ": ", g_strerror(os), NULL);
        g_free(db->text);
        db->text = text;
    }
}

static struct query start(struct backend *db, const char *sql, bool once) {
    struct query q = {.db = db, .once = once};
    unsigned flags = once ? 0 : SQLITE_PREPARE_PERSISTENT;
    int rc;

    if (db->rc != SQLITE_OK) {
        return q;
    }
    q.stmt = once ? NULL : g_hash_table_lookup(db->statements, sql);
    if (q.stmt) {
        return q;
    }
    rc = sqlite3_prepare_v3(db->handle, sql, -1, flags, &q.stmt, NULL);
    if (rc != SQLITE_OK) {
        fail(db, rc);
    } else if (!once) {
        g_hash_table_insert(db->statements, (gpointer)sql, q.stmt);
    }
    return q;
}

struct query db_query(struct backend *db, const char *sql) {
    return start(db, sql, false);
}

struct query db_query_once(struct backend *db, const char *sql) {
    return start(db, sql, true);
}

static void check_bind(struct query *q, int rc) {
    if (rc != SQLITE_OK) {
        fail(q->db, rc);
        query_end(q);
    }
}

void query_int(struct query *q, int64_t value) {
    if (q->stmt) {
        check_bind(q, sqlite3_bind_int64(q->stmt, ++q->bound, value));
    }
}

void query_text(struct query *q, const char *s) {
    if (q->stmt) {
        check_bind(q, sqlite3_bind_text(q->stmt, ++q->bound, s, -1, SQLITE_STATIC));
    }
}

void query_blob(struct query *q, const void *bytes, size_t len) {
    if (q->stmt) {
        check_bind(q, sqlite3_bind_blob64(q->stmt, ++q->bound, bytes, len, SQLITE_STATIC));
    }
}

void query_end(struct query *q) {
    if (!q->stmt) {
        return;
    }
    if (q->once) {
        sqlite3_finalize(q->stmt);
    } else {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt);
    }
    q->stmt = NULL;
}

bool query_next(struct query *q) {
    int rc;

    if (!q->stmt) {
        return false;
    }
    rc = q->db->rc == SQLITE_OK ? sqlite3_step(q->stmt) : SQLITE_DONE;
    if (rc == SQLITE_ROW) {
        return true;
    }
    if (rc != SQLITE_DONE) {
        fail(q->db, rc);
    }
    query_end(q);
    return false;
}

int64_t query_run(struct query *q) {
    while (query_next(q)) {
    }
    return q->db->rc == SQLITE_OK ? sqlite3_changes64(q->db->handle) : 0;
}

bool db_column_is_null(struct query *q, int i) {
    return sqlite3_column_type(q->stmt, i) == SQLITE_NULL;
}

int64_t db_column_int(struct query *q, int i) {
    return sqlite3_column_int64(q->stmt, i);
}

char *db_column_text(struct query *q, int i, struct arena *arena) {
    const char *s = (const char *)sqlite3_column_text(q->stmt, i);

    return arena_memdup(arena, s, s ? (size_t)sqlite3_column_bytes(q->stmt, i) : 0);
}

const void *db_column_blob(struct query *q, int i, struct arena *arena, size_t *len_out) {
    const void *bytes = sqlite3_column_blob(q->stmt, i);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, i);

    *len_out = len;
    if (!bytes) {
        return db_column_is_null(q, i) ? NULL : "";
    }
    return arena_memdup(arena, bytes, len);
}

int64_t db_pragma(struct backend *db, const char *sql) {
    struct query q = db_query_once(db, sql);
    int64_t value = query_next(&q) ? db_column_int(&q, 0) : 0;

    query_end(&q);
    return value;
}

void db_run(struct backend *db, const char *sql) {
    int rc = db->rc == SQLITE_OK ? sqlite3_exec(db->handle, sql, NULL, NULL, NULL) : SQLITE_OK;

    if (rc != SQLITE_OK) {
        fail(db, rc);
    }
}

error *db_take_error(struct backend *db) {
    enum error_code code;
    const char *advice = "";

    switch (db->rc & 0xff) {
    case SQLITE_OK:
        return NULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = ERROR_STATE;
        advice = "; stop, and restore its directory from a backup or move it aside to begin anew";
        break;
    case SQLITE_CONSTRAINT:
        code = ERROR_INVALID;
        break;
    case SQLITE_TOOBIG:
        code = ERROR_LIMIT;
        break;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
        code = ERROR_INTERNAL;
        break;
    default: /* FULL, IOERR, READONLY, CANTOPEN, BUSY, NOMEM, ... */
        code = ERROR_IO;
    }
    error *err = error_new(code, "%s: %s%s", db->path, db->text, advice);
    db->rc = SQLITE_OK;
    g_clear_pointer(&db->text, g_free);
    return err;
}

void db_reset(struct backend *db) {
    GHashTableIter iter;
    gpointer stmt;

    g_hash_table_iter_init(&iter, db->statements);
    while (g_hash_table_iter_next(&iter, NULL, &stmt)) {
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
    }
}
