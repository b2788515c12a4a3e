/*
 * sqlite_priv.h - the SQLite backend: connection, queries, and the function of each request.
 *
 * Errors of the library stick: the first failing call of a request sets db->rc, every later call does nothing, and
 * sqlite.c turns it into the request's error. So the functions of requests read straight through; what they return is
 * only what is wrong with the request itself.
 */
#ifndef STATE_SQLITE_PRIV_H
#define STATE_SQLITE_PRIV_H

#include "backend_priv.h"
#include "base/limits.h"

#include <sqlite3.h>

enum { STATE_SCHEMA_VERSION = 2 };
#define STATE_DB_NAME "journal.db"
#define STATE_ID_CHARS 32

struct backend {
    sqlite3 *handle;
    GHashTable *statements; /* const char * literal -> sqlite3_stmt *, by address */
    int rc;                 /* first failure of this request, SQLITE_OK = none */
    char *text;             /* of that failure */
    char *path;             /* of the database */
    int lock_fd;
    int wal_pages; /* after the last commit */
    bool checkpoint_failing, clean;
    bool pruning; /* the last prune left something: see exec_prune */
    char instance_id[STATE_ID_CHARS + 1];
    log_ctx log;
};

/* --- queries (sqlite_query.c) ----------------------------------------------------------------------------------- */

struct query {
    struct backend *db;
    sqlite3_stmt *stmt; /* NULL after a failure: everything below then does nothing */
    int bound;
    bool once;
};

/* sql is a literal: its prepared form is kept under its address. A query must have ended before its literal is used
 * again. */
struct query db_query(struct backend *db, const char *sql);
struct query db_query_once(struct backend *db, const char *sql); /* not kept */
/* Bind the next parameter. Bytes are borrowed until the query ends. */
void query_int(struct query *q, int64_t value);
void query_text(struct query *q, const char *s);                 /* NULL is NULL */
void query_blob(struct query *q, const void *bytes, size_t len); /* NULL is NULL */
bool query_next(struct query *q);   /* false: no more rows, ended */
void query_end(struct query *q);    /* before the last row was read */
int64_t query_run(struct query *q); /* steps through and ends; the number of rows changed */
bool db_column_is_null(struct query *q, int i);
int64_t db_column_int(struct query *q, int i);
char *db_column_text(struct query *q, int i, struct arena *arena); /* NULL for NULL */
const void *db_column_blob(struct query *q, int i, struct arena *arena, size_t *len_out);

void db_run(struct backend *db, const char *sql); /* several statements without results; sticks */
int64_t db_pragma(struct backend *db, const char *sql); /* the number it answers */
/* What db->rc means to a caller, NULL for SQLITE_OK; clears it. */
error *db_take_error(struct backend *db);
void db_reset(struct backend *db); /* ends whatever a failed request left half read */

/* --- opening (sqlite_open.c, sqlite_schema.c, wal.c, lock.c) ---------------------------------------------------- */

error *sqlite_backend_open(const struct state_options *options, struct backend **backend_out);
void sqlite_backend_close(struct backend *db);
error *schema_create(struct backend *db);  /* an empty database */
error *schema_migrate(struct backend *db); /* to STATE_SCHEMA_VERSION; newer is ERROR_STATE */

/* The files' numbers are big-endian. */
static inline uint32_t be32(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum wal_verdict { WAL_ABSENT, WAL_SOUND, WAL_DAMAGED };
/* Reads a write-ahead log as SQLite would after a crash. DAMAGED: its header is not one, or committed transactions lie
 * behind a broken frame, which no crash explains. https://www.sqlite.org/fileformat2.html section 4 */
enum wal_verdict wal_check(const char *path);

/* Takes DIR/lock for this process. ERROR_STATE names who has it. */
error *state_lock_take(const char *dir, int *fd_out);

/* --- requests --------------------------------------------------------------------------------------------------- */

typedef error *request_fn(struct backend *db, struct request *r);

request_fn exec_cursor_load, exec_cursor_set, exec_arrive, exec_plan; /* sqlite_journal.c */
request_fn exec_find_renamed;                                         /* sqlite_rename.c */
request_fn exec_attempt, exec_fault, exec_step_begin, exec_step_done, exec_step_failed; /* sqlite_steps.c */
request_fn exec_step_claim;                                                             /* sqlite_own.c */
request_fn exec_park, exec_retry, exec_drop;                                            /* sqlite_park.c */
request_fn exec_list, exec_load, exec_counts, exec_find_handled;                        /* sqlite_read.c */
request_fn exec_present_load, exec_present_set;                                         /* sqlite_present.c */
request_fn exec_observe, exec_observe_end;                                              /* sqlite_observe.c */
request_fn exec_uidvalidity, exec_rekey, exec_prune, exec_clock_back;                   /* sqlite_age.c */
request_fn exec_outbox_due, exec_outbox_result, exec_outbox_replay, exec_outbox_list, exec_outbox_counts,
    exec_outbox_next;                                              /* sqlite_outbox.c */
request_fn exec_kv_get, exec_kv_set, exec_kv_delete, exec_kv_incr; /* sqlite_kv.c */

/* --- what they share (sqlite_rows.c) ---------------------------------------------------------------------------- */

/* Entries in one answer. */
static inline size_t page_limit(size_t asked) {
    return asked ? MIN(asked, (size_t)LIMIT_STATE_PAGE) : 100;
}
/* now + ms, at most a century off. */
static inline int64_t time_after(int64_t now, uint64_t ms) {
    const uint64_t century = UINT64_C(100) * 366 * 24 * 60 * 60 * 1000;

    return now + (int64_t)(ms < century ? ms : century);
}
int64_t db_folder_find(struct backend *db, const char *account, const char *name); /* 0 = none */
int64_t db_folder_make(struct backend *db, const char *account, const char *name);
/* With a new cursor nothing is known of the folder's UIDs and flags. */
void db_cursor_write(struct backend *db, int64_t folder, const struct state_cursor *cursor);
/* ERROR_INVALID unless the folder's cursor has this UIDVALIDITY, or none yet. */
error *db_check_validity(struct backend *db, const char *account, const char *folder, uint32_t uidvalidity);
/* Those UIDs are there (sqlite_present.c). */
void db_present_add(struct backend *db, int64_t folder, const struct state_range *range);
/* Remembers a message in this folder of the row's account as our own (sqlite_own.c). */
void db_own_add(struct backend *db, struct request *r, int64_t row, const char *target, uint32_t uidvalidity,
                uint32_t uid);
/* Fills out; `gone` if there is no such row, or no such step where seq is not 0. */
void db_row_read(struct backend *db, int64_t row, uint32_t seq, struct state_row *out);
/* After steps changed: the row is done, or its next delivery becomes due. Fills out as db_row_read does. */
void db_row_advance(struct backend *db, struct request *r, int64_t row, uint32_t seq, struct state_row *out);
/* err NULL clears. */
void db_row_set_error(struct backend *db, int64_t row, const error *err);
/* PARKED or open -> fresh, and advanced: what state_retry does to one row. */
void db_row_revive(struct backend *db, struct request *r, int64_t row, struct state_row *out);
error *db_row_rekey(struct backend *db, int64_t row, uint32_t uidvalidity, uint32_t uid);
struct state_row *db_rows_alloc(struct request *r, size_t n); /* sets r->out.rows */
int64_t db_meta_get(struct backend *db, const char *key, int64_t fallback);
void db_meta_set(struct backend *db, const char *key, int64_t value);

#endif
