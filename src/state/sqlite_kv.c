/* The key-value store. */
#include "sqlite_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static error *check_key(const struct request *r) {
    if (strlen(r->in.kv.key) > LIMIT_KV_KEY) {
        return error_new(ERROR_LIMIT, "a key has at most %d bytes", LIMIT_KV_KEY);
    }
    return NULL;
}

/* False if there is none that has not expired. */
static bool read_value(struct backend *db, struct request *r, const void **value_out, size_t *len_out) {
    struct query q = db_query(db, "SELECT value FROM kv WHERE ns = ? AND key = ? AND (expires IS NULL OR expires > ?)");
    bool found;

    query_text(&q, r->in.kv.ns);
    query_text(&q, r->in.kv.key);
    query_int(&q, r->now);
    found = query_next(&q);
    if (found) {
        *value_out = db_column_blob(&q, 0, &r->arena, len_out);
    }
    query_end(&q);
    return found;
}

static void write_value(struct backend *db, struct request *r, const void *value, size_t len) {
    struct query q = db_query(db, "INSERT INTO kv(ns, key, value, expires, set_at) VALUES(?1, ?2, ?3, ?4, ?5)"
                                  " ON CONFLICT DO UPDATE SET value = ?3, expires = ?4, set_at = ?5");

    query_text(&q, r->in.kv.ns);
    query_text(&q, r->in.kv.key);
    query_blob(&q, value, len);
    if (r->in.kv.ttl_ms) {
        query_int(&q, time_after(r->now, r->in.kv.ttl_ms));
    } else {
        query_text(&q, NULL);
    }
    query_int(&q, r->now);
    query_run(&q);
}

error *exec_kv_get(struct backend *db, struct request *r) {
    error *err = check_key(r);

    if (!err) {
        read_value(db, r, &r->out.kv.value, &r->out.kv.len);
    }
    return err;
}

error *exec_kv_set(struct backend *db, struct request *r) {
    error *err = check_key(r);

    if (!err && r->in.kv.len > LIMIT_KV_VALUE) {
        err = error_new(ERROR_LIMIT, "a value has at most %d bytes", LIMIT_KV_VALUE);
    }
    if (!err) {
        write_value(db, r, r->in.kv.value, r->in.kv.len);
    }
    return err;
}

error *exec_kv_delete(struct backend *db, struct request *r) {
    struct query q = db_query(db, "DELETE FROM kv WHERE ns = ? AND key = ?");

    query_text(&q, r->in.kv.ns);
    query_text(&q, r->in.kv.key);
    query_run(&q);
    return NULL;
}

static bool parse_number(const char *s, size_t len, int64_t *out) {
    char *end;

    errno = 0;
    *out = strtoll(s, &end, 10); /* s is NUL-terminated in its arena */
    return len && end == s + len && errno == 0 && !g_ascii_isspace(*s);
}

error *exec_kv_incr(struct backend *db, struct request *r) {
    const void *value = NULL;
    char text[24];
    size_t len = 0;
    error *err = check_key(r);

    if (err) {
        return err;
    }
    if (!read_value(db, r, &value, &len)) {
        g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, r->in.kv.by);
        write_value(db, r, text, strlen(text));
        r->out.number = r->in.kv.by;
        return NULL;
    }
    if (!parse_number(value, len, &r->out.number) ||
        __builtin_add_overflow(r->out.number, r->in.kv.by, &r->out.number)) {
        return error_new(ERROR_INVALID, "the value of \"%s\" is no number, or would be too large", r->in.kv.key);
    }
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, r->out.number);
    struct query q = db_query(db, "UPDATE kv SET value = ? WHERE ns = ? AND key = ?");
    query_blob(&q, text, strlen(text));
    query_text(&q, r->in.kv.ns);
    query_text(&q, r->in.kv.key);
    query_run(&q);
    return NULL;
}
