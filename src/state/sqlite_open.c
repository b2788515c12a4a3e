/*
 * Opening: nothing that was there is ever made anew, and a log that was lost is noticed.
 *
 * SQLite takes a missing or unreadable write-ahead log for an empty one: the journal would silently fall back to its
 * last checkpoint and mail be handled again. So the run state stands in the application id, in the header of the main
 * file, where it can be read without SQLite:
 *     clean    closed in order: everything is in the main file
 *     opening  the log may be empty: nothing was committed since this was written
 *     running  the log holds at least the transaction that wrote this: if it is absent, it was lost
 */
#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION 0x6d726c00 /* "mrl", then the run state */
enum run_state { RUN_CLEAN = 'c', RUN_OPENING = 'o', RUN_RUNNING = 'r' };
enum { QUICK_CHECK_ALWAYS = 64 << 20, LOG_SIZE_KEPT = 64 << 20 };

#define ADVICE                                                                                                         \
    "restore the whole directory from a backup, or move " STATE_DB_NAME "* aside to begin anew (mail that is there "   \
    "already is then not looked at, unfinished actions and webhooks are lost)"

static error *damaged(const struct backend *db, const char *what) {
    return error_new(ERROR_STATE, "%s is damaged (%s): %s", db->path, what, ADVICE);
}

static error *errno_error(const char *path) {
    return error_new(ERROR_IO, "%s: %s", path, g_strerror(errno));
}

/* --- the connection ----------------------------------------------------------------------------------------------- */

static int on_commit(void *user, sqlite3 *handle, const char *name, int pages) {
    struct backend *db = user;

    db->wal_pages = pages;
    return SQLITE_OK;
}

static error *connect(struct backend *db, const char *path) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);

    if (rc != SQLITE_OK) {
        return error_new(ERROR_IO, "%s: %s", path, db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
    }
    sqlite3_busy_timeout(db->handle, 5000);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return NULL;
}

static void disconnect(struct backend *db) {
    g_hash_table_remove_all(db->statements);
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
}

static void set_run_state(struct backend *db, enum run_state s) {
    char pragma[48];

    g_snprintf(pragma, sizeof pragma, "PRAGMA application_id = %d", APPLICATION | (int)s);
    db_run(db, pragma);
}

/* --- a new one ---------------------------------------------------------------------------------------------------- */

static error *sync_dir(const char *path) {
    g_autofree char *dir = g_path_get_dirname(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error *err = fd < 0 || fsync(fd) != 0 ? errno_error(dir) : NULL;

    if (fd >= 0) {
        close(fd);
    }
    return err;
}

static error *build(struct backend *db, const char *path, int64_t now) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    error *err;

    if (fd < 0) {
        return errno_error(path);
    }
    close(fd);
    err = connect(db, path);
    if (!err) {
        db_run(db, "PRAGMA synchronous = FULL");
        db_run(db, "PRAGMA auto_vacuum = INCREMENTAL");
        err = schema_create(db);
    }
    if (!err) {
        db_meta_set(db, "prune_clock", now);
        set_run_state(db, RUN_CLEAN);
        err = db_take_error(db);
    }
    disconnect(db);
    return err;
}

/* Under another name until it is whole: a database of zero bytes is always damage. */
static error *create(struct backend *db, int64_t now) {
    g_autofree char *path = g_strconcat(db->path, ".new", NULL);
    g_autofree char *undo = g_strconcat(path, "-journal", NULL);
    error *err;

    unlink(path);
    unlink(undo);
    err = build(db, path, now);
    if (!err && rename(path, db->path) != 0) {
        err = errno_error(db->path);
    }
    return err ? err : sync_dir(db->path);
}

/* --- one that is there -------------------------------------------------------------------------------------------- */

/* Once the log is folded in, the file has all the pages that its header counts. */
static bool has_all_pages(int fd, const unsigned char *h) {
    int64_t page = h[16] << 8 | h[17];
    struct stat st;

    page = page == 1 ? 65536 : page;
    return fstat(fd, &st) == 0 && st.st_size >= page * (int64_t)be32(h + 28);
}

/* What can be told from the files before SQLite touches them. https://www.sqlite.org/fileformat2.html section 1.3 */
static error *check_files(struct backend *db, int fd, const char *wal) {
    unsigned char h[100];
    enum wal_verdict log = wal_check(wal);

    if (pread(fd, h, sizeof h, 0) != sizeof h) {
        return damaged(db, "cut short");
    }
    if (memcmp(h, "SQLite format 3", 16) != 0 || h[18] > 2 || h[19] > 2) {
        return damaged(db, "its header is overwritten");
    }
    if (h[71] == RUN_CLEAN && log == WAL_ABSENT && !has_all_pages(fd, h)) {
        return damaged(db, "cut short");
    }
    if ((be32(h + 68) & 0xffffff00) != APPLICATION) {
        return error_new(ERROR_STATE, "%s is no journal of mailruled: point `state` at another directory", db->path);
    }
    if (log == WAL_DAMAGED) {
        return damaged(db, "the write-ahead log " STATE_DB_NAME "-wal is corrupt");
    }
    if ((h[71] == RUN_RUNNING) && log == WAL_ABSENT) {
        return damaged(db, "the write-ahead log " STATE_DB_NAME "-wal is missing");
    }
    return NULL;
}

static error *inspect(struct backend *db, bool *exists_out) {
    g_autofree char *wal = g_strconcat(db->path, "-wal", NULL);
    int fd = open(db->path, O_RDONLY | O_CLOEXEC);
    error *err;

    *exists_out = fd >= 0 || errno != ENOENT;
    if (fd < 0) {
        if (*exists_out) {
            return errno_error(db->path);
        }
        return access(wal, F_OK) == 0 ? damaged(db, "the file is gone, only its write-ahead log is left") : NULL;
    }
    err = check_files(db, fd, wal);
    close(fd);
    return err;
}

static error *quick_check(struct backend *db) {
    int64_t size = db_pragma(db, "PRAGMA page_count") * db_pragma(db, "PRAGMA page_size");
    struct arena arena = {0};
    error *err = NULL;

    if (db->rc != SQLITE_OK || (db->clean && size > QUICK_CHECK_ALWAYS)) {
        return db_take_error(db);
    }
    struct query q = db_query_once(db, "PRAGMA quick_check(1)");
    if (query_next(&q)) {
        const char *answer = db_column_text(&q, 0, &arena);
        err = strcmp(answer, "ok") == 0 ? NULL : damaged(db, answer);
    }
    query_end(&q);
    arena_release(&arena);
    return err ? err : db_take_error(db);
}

static void checkpoint(struct backend *db, int mode) {
    if (db->rc == SQLITE_OK && sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL) != SQLITE_OK) {
        db_run(db, mode == SQLITE_CHECKPOINT_TRUNCATE ? "PRAGMA wal_checkpoint(TRUNCATE)" : "PRAGMA wal_checkpoint");
    }
}

/* See the top of this file. After each line a crash leaves what check_files() accepts. */
static error *mark_running(struct backend *db) {
    set_run_state(db, RUN_OPENING);
    checkpoint(db, SQLITE_CHECKPOINT_TRUNCATE);
    set_run_state(db, RUN_RUNNING);
    checkpoint(db, SQLITE_CHECKPOINT_PASSIVE);
    return db_take_error(db);
}

static void read_instance(struct backend *db) {
    struct query q = db_query(db, "SELECT value FROM meta WHERE key = 'instance'");
    struct arena arena = {0};

    if (query_next(&q)) {
        const char *id = db_column_text(&q, 0, &arena);
        g_strlcpy(db->instance_id, id ? id : "", sizeof db->instance_id);
    }
    query_end(&q);
    arena_release(&arena);
}

static error *configure(struct backend *db) {
    char limit[64];

    g_snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %d", LOG_SIZE_KEPT);
    /* Exclusive before the first access: the log's index is then plain memory, no file is mapped. */
    db_run(db, "PRAGMA locking_mode = EXCLUSIVE");
    db_run(db, "PRAGMA journal_mode = WAL");
    db_run(db, "PRAGMA synchronous = FULL");
    db_run(db, "PRAGMA foreign_keys = ON");
    db_run(db, "PRAGMA cache_size = -8192");
    db_run(db, "PRAGMA temp_store = MEMORY");
    db_run(db, "PRAGMA wal_autocheckpoint = 0");
    db_run(db, limit);
    sqlite3_wal_hook(db->handle, on_commit, db);
    return db_take_error(db);
}

/* Statements that are known to be right fail on a file only if it is not what it was. */
static error *blame_file(const struct backend *db, error *err) {
    error *blame;

    if (!err || err->code != ERROR_INTERNAL) {
        return err;
    }
    blame = damaged(db, err->text);
    error_free(err);
    return blame;
}

static error *use(struct backend *db, int64_t now) {
    struct request sweep = {.type = REQUEST_CLOCK_BACK, .now = now};
    error *err = connect(db, db->path);

    err = err ? err : configure(db);
    if (!err) {
        db->clean = db_pragma(db, "PRAGMA application_id") == (APPLICATION | RUN_CLEAN);
        err = quick_check(db);
    }
    err = err ? err : schema_migrate(db);
    err = err ? err : mark_running(db);
    if (!err) {
        read_instance(db);
        exec_clock_back(db, &sweep);
        err = db_take_error(db);
    }
    return blame_file(db, err);
}

/* --- in and out --------------------------------------------------------------------------------------------------- */

/* Closing leaves the log as it is. */
static void keep_files(struct backend *db) {
    if (db->handle) {
        sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
}

static void backend_free(struct backend *db) {
    if (db->handle) {
        disconnect(db);
    }
    g_hash_table_unref(db->statements);
    if (db->lock_fd >= 0) {
        close(db->lock_fd);
    }
    g_free(db->text);
    g_free(db->path);
    g_free(db);
}

static void finalize(gpointer stmt) {
    sqlite3_finalize(stmt);
}

static error *open_dir(struct backend *db, const struct state_options *options) {
    int64_t now = clock_wall_ms(options->clock);
    bool exists;
    error *err;

    if (g_mkdir_with_parents(options->dir, 0700) != 0) {
        return errno_error(options->dir);
    }
    err = state_lock_take(options->dir, &db->lock_fd);
    err = err ? err : inspect(db, &exists);
    if (!err && !exists) {
        err = create(db, now);
    }
    return err ? err : use(db, now);
}

error *sqlite_backend_open(const struct state_options *options, struct backend **backend_out) {
    struct backend *db = g_new0(struct backend, 1);
    error *err;

    db->lock_fd = -1;
    db->log = options->log;
    db->statements = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, finalize);
    db->path = g_build_filename(options->dir, STATE_DB_NAME, NULL);
    err = open_dir(db, options);
    if (err) {
        keep_files(db); /* what was refused stays as it was found */
        backend_free(db);
        return error_prefix(err, "opening the state");
    }
    *backend_out = db;
    return NULL;
}

void sqlite_backend_close(struct backend *db) {
    error *err;

    set_run_state(db, RUN_CLEAN);
    err = db_take_error(db);
    if (err) { /* then the file says that there is a log: it has to stay */
        keep_files(db);
        log_error_value(&db->log, LOG_LEVEL_WARN, error_prefix(err, "closing the state"));
        error_free(err);
    }
    backend_free(db); /* else the last connection folds the log in and removes it */
}
