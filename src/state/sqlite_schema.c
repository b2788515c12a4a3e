/* The tables. A change is a new entry in `migrations` and STATE_SCHEMA_VERSION + 1; entries are never edited. */
#include "sqlite_priv.h"

#include <string.h>
#include <sys/random.h>

/* message.stage and outbox.state are the enums of the headers; the partial indices hold what is open only, so that
 * neither resuming nor counting costs more as history grows. set_at is when next_at was set: see exec_clock_back. */
static const char version_1[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"

    "CREATE TABLE folder("
    "  id INTEGER PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, uidvalidity INTEGER NOT NULL DEFAULT 0,"
    "  last_uid INTEGER NOT NULL DEFAULT 0, modseq INTEGER NOT NULL DEFAULT 0, updated INTEGER NOT NULL DEFAULT 0,"
    "  UNIQUE(account, name));"

    "CREATE TABLE message("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, folder INTEGER NOT NULL REFERENCES folder(id),"
    "  uidvalidity INTEGER NOT NULL, uid INTEGER NOT NULL, event TEXT NOT NULL DEFAULT 'new', stage INTEGER NOT NULL,"
    "  waiting INTEGER NOT NULL DEFAULT 0, own INTEGER NOT NULL DEFAULT 0, rekey INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0, faults INTEGER NOT NULL DEFAULT 0, identity TEXT,"
    "  arrived_at INTEGER NOT NULL, next_at INTEGER NOT NULL, set_at INTEGER NOT NULL,"
    "  finished_at INTEGER NOT NULL DEFAULT 0, error_code INTEGER NOT NULL DEFAULT -1, error_text TEXT,"
    "  error_rule TEXT, meta BLOB);"
    "CREATE UNIQUE INDEX message_uid ON message(folder, uidvalidity, uid, event);"
    "CREATE INDEX message_open ON message(account, id, stage, waiting) WHERE stage < 4;"
    "CREATE INDEX message_done ON message(finished_at) WHERE stage = 4;"

    "CREATE TABLE step("
    "  message INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE, seq INTEGER NOT NULL,"
    "  state INTEGER NOT NULL DEFAULT 0, verb TEXT NOT NULL, rule TEXT, needs_uid INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL DEFAULT 0, target_folder TEXT, target_uidvalidity INTEGER NOT NULL DEFAULT 0,"
    "  target_uid INTEGER NOT NULL DEFAULT 0, moved INTEGER NOT NULL DEFAULT 0, done_at INTEGER NOT NULL DEFAULT 0,"
    "  note BLOB, args BLOB, PRIMARY KEY(message, seq)) WITHOUT ROWID;"

    /* A body is written once and may be large: apart, so that an attempt does not write it again. */
    "CREATE TABLE outbox("
    "  n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, webhook TEXT NOT NULL,"
    "  message INTEGER NOT NULL REFERENCES message(id) ON DELETE CASCADE, seq INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL,"
    "  next_at INTEGER NOT NULL, set_at INTEGER NOT NULL, http_status INTEGER NOT NULL DEFAULT 0, error_text TEXT,"
    "  UNIQUE(message, seq));"
    "CREATE INDEX outbox_open ON outbox(webhook, state, next_at) WHERE state <> 3;"
    "CREATE TABLE outbox_body(n INTEGER PRIMARY KEY REFERENCES outbox(n) ON DELETE CASCADE, body BLOB NOT NULL);"

    "CREATE TABLE ledger("
    "  folder INTEGER NOT NULL REFERENCES folder(id), identity TEXT NOT NULL, message INTEGER NOT NULL,"
    "  handled_at INTEGER NOT NULL, PRIMARY KEY(folder, identity)) WITHOUT ROWID;"
    "CREATE INDEX ledger_age ON ledger(handled_at);"

    "CREATE TABLE own("
    "  folder INTEGER NOT NULL REFERENCES folder(id), uidvalidity INTEGER NOT NULL, uid INTEGER NOT NULL,"
    "  created INTEGER NOT NULL, PRIMARY KEY(folder, uidvalidity, uid)) WITHOUT ROWID;"
    "CREATE INDEX own_age ON own(created);"

    "CREATE TABLE kv("
    "  ns TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, expires INTEGER, set_at INTEGER NOT NULL,"
    "  PRIMARY KEY(ns, key)) WITHOUT ROWID;"
    "CREATE INDEX kv_expires ON kv(expires) WHERE expires IS NOT NULL;";

/* Changed flags and messages that went are rows like arrivals; one UID may have several changes. */
static const char version_2[] =
    "ALTER TABLE folder ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE folder ADD COLUMN snapshot INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN nth INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN flags TEXT;"
    "ALTER TABLE message ADD COLUMN added TEXT;"
    "ALTER TABLE message ADD COLUMN removed TEXT;"
    "ALTER TABLE step ADD COLUMN effect TEXT;"
    "DROP INDEX message_uid;"
    "CREATE UNIQUE INDEX message_uid ON message(folder, uidvalidity, uid, event, nth);"

    "CREATE TABLE present("
    "  folder INTEGER NOT NULL REFERENCES folder(id), low INTEGER NOT NULL, high INTEGER NOT NULL,"
    "  PRIMARY KEY(folder, low)) WITHOUT ROWID;"
    "CREATE TABLE snapshot("
    "  folder INTEGER NOT NULL REFERENCES folder(id), uid INTEGER NOT NULL, flags TEXT NOT NULL,"
    "  message_id TEXT, PRIMARY KEY(folder, uid)) WITHOUT ROWID;";

static const char *const migrations[STATE_SCHEMA_VERSION + 1] = {
    [1] = version_1,
    [2] = version_2,
};

static int user_version(struct backend *db) {
    struct query q = db_query(db, "PRAGMA user_version");
    int version = query_next(&q) ? (int)db_column_int(&q, 0) : 0;

    query_end(&q);
    return version;
}

static void migrate_to(struct backend *db, int version) {
    char pragma[40];

    g_snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
    db_run(db, "BEGIN IMMEDIATE");
    db_run(db, migrations[version]);
    db_run(db, pragma);
    db_run(db, "COMMIT");
}

error *schema_migrate(struct backend *db) {
    int version = user_version(db);

    if (db->rc == SQLITE_OK && version > STATE_SCHEMA_VERSION) {
        return error_new(ERROR_STATE,
                         "%s was written by a newer mailruled (schema %d, this one knows %d): install that version or "
                         "a later one, or point `state` at another directory",
                         db->path, version, STATE_SCHEMA_VERSION);
    }
    while (db->rc == SQLITE_OK && version < STATE_SCHEMA_VERSION) {
        migrate_to(db, ++version);
    }
    return db_take_error(db);
}

error *schema_create(struct backend *db) {
    unsigned char random[STATE_ID_CHARS / 2];
    GString *hex = g_string_new(NULL);
    error *err = schema_migrate(db);

    while (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
    }
    for (size_t i = 0; i < sizeof random; i++) {
        g_string_append_printf(hex, "%02x", random[i]);
    }
    if (!err) {
        struct query q = db_query(db, "INSERT INTO meta(key, value) VALUES('instance', ?)");
        query_text(&q, hex->str);
        query_run(&q);
        err = db_take_error(db);
    }
    g_string_free(hex, TRUE);
    return err;
}
