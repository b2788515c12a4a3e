/* The outbox. */
#include "sqlite_priv.h"

#include <string.h>

#define ENTRY_COLUMNS                                                                                                  \
    "o.n, o.id, o.webhook, s.rule, m.account, o.message, o.seq, o.state, o.attempts, o.created, o.next_at, "           \
    "o.http_status, o.error_text FROM outbox o CROSS JOIN message m ON m.id = o.message "                              \
    "CROSS JOIN step s ON s.message = o.message AND s.seq = o.seq "

static void read_entry(struct query *q, struct arena *arena, struct state_outbox_entry *out) {
    *out = (struct state_outbox_entry){
        .position = db_column_int(q, 0),
        .id = db_column_text(q, 1, arena),
        .webhook = db_column_text(q, 2, arena),
        .rule = db_column_text(q, 3, arena),
        .account = db_column_text(q, 4, arena),
        .row = db_column_int(q, 5),
        .seq = (uint32_t)db_column_int(q, 6),
        .state = (enum state_outbox_state)db_column_int(q, 7),
        .attempts = (uint32_t)db_column_int(q, 8),
        .created = db_column_int(q, 9),
        .next_at = db_column_int(q, 10),
        .http_status = (int)db_column_int(q, 11),
        .error_text = db_column_text(q, 12, arena),
    };
}

static void read_body(struct backend *db, struct arena *arena, struct state_outbox_entry *entry) {
    struct query q = db_query(db, "SELECT body FROM outbox_body WHERE n = ?");

    query_int(&q, entry->position);
    if (query_next(&q)) {
        entry->body = db_column_blob(&q, 0, arena, &entry->body_len);
    }
    query_end(&q);
}

static bool skipped(const struct state_due *due, const char *id) {
    for (size_t i = 0; i < due->n_skip; i++) {
        if (strcmp(due->skip[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static struct state_outbox_entry *add_entry(struct request *r, size_t *cap) {
    r->out.entries.v = arena_grow(&r->arena, r->out.entries.v, r->out.entries.n, cap, sizeof *r->out.entries.v);
    return &r->out.entries.v[r->out.entries.n++];
}

error *exec_outbox_due(struct backend *db, struct request *r) {
    const struct state_due *due = &r->in.due;
    size_t limit = page_limit(due->limit), cap = 0;
    struct query q = db_query(db, "SELECT " ENTRY_COLUMNS "WHERE o.webhook = ? AND o.state = 2 AND o.state <> 3"
                                  " AND o.next_at <= ? ORDER BY o.next_at, o.n");

    query_text(&q, due->webhook);
    query_int(&q, r->now);
    while (query_next(&q)) {
        if (skipped(due, (const char *)sqlite3_column_text(q.stmt, 1))) {
            continue;
        }
        if (r->out.entries.n == limit || (r->out.entries.n && r->arena.total > LIMIT_STATE_PAGE_BYTES)) {
            r->out.entries.more = true;
            query_end(&q);
            break;
        }
        struct state_outbox_entry *entry = add_entry(r, &cap);
        read_entry(&q, &r->arena, entry);
        read_body(db, &r->arena, entry);
    }
    return NULL;
}

error *exec_outbox_next(struct backend *db, struct request *r) {
    struct query q = db_query(db, "SELECT id, next_at FROM outbox WHERE webhook = ? AND state = 2 AND state <> 3"
                                  " ORDER BY next_at, n");

    query_text(&q, r->in.due.webhook);
    while (query_next(&q)) {
        if (!skipped(&r->in.due, (const char *)sqlite3_column_text(q.stmt, 0))) {
            r->out.next.any = true;
            r->out.next.delay_ms = (uint64_t)MAX(db_column_int(&q, 1) - r->now, 0);
            query_end(&q);
            break;
        }
    }
    return NULL;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

struct delivery {
    int64_t n, row;
    uint32_t seq;
    enum state_outbox_state state;
    const char *webhook;
};

static bool delivery_find(struct backend *db, struct request *r, const char *id, struct delivery *out) {
    struct query q = db_query(db, "SELECT n, message, seq, state, webhook FROM outbox WHERE id = ?");
    bool found;

    query_text(&q, id);
    found = query_next(&q);
    if (found) {
        out->n = db_column_int(&q, 0);
        out->row = db_column_int(&q, 1);
        out->seq = (uint32_t)db_column_int(&q, 2);
        out->state = (enum state_outbox_state)db_column_int(&q, 3);
        out->webhook = db_column_text(&q, 4, &r->arena);
    }
    query_end(&q);
    return found;
}

static void set_result(struct backend *db, struct request *r, const struct delivery *d, enum state_outbox_state to) {
    const struct state_outbox_result *in = &r->in.result;
    struct query q = db_query(db, "UPDATE outbox SET state = ?, attempts = attempts + 1, next_at = ?, set_at = ?,"
                                  " http_status = ?, error_text = ? WHERE n = ?");

    query_int(&q, to);
    query_int(&q, time_after(r->now, in->outcome == STATE_TRY_AGAIN ? in->delay_ms : 0));
    query_int(&q, r->now);
    query_int(&q, in->http_status);
    query_text(&q, in->err ? in->err->text : NULL);
    query_int(&q, d->n);
    query_run(&q);
}

static void accept(struct backend *db, struct request *r, const struct delivery *d, struct state_row *out) {
    struct query q;

    set_result(db, r, d, STATE_DELIVERED);
    q = db_query(db, "DELETE FROM outbox_body WHERE n = ?");
    query_int(&q, d->n);
    query_run(&q);
    q = db_query(db, "UPDATE step SET state = 2, done_at = ? WHERE message = ? AND seq = ?");
    query_int(&q, r->now);
    query_int(&q, d->row);
    query_int(&q, d->seq);
    query_run(&q);
    db_row_advance(db, r, d->row, d->seq, out);
}

static void give_up(struct backend *db, struct request *r, const struct delivery *d, struct state_row *out) {
    const struct state_outbox_result *in = &r->in.result;
    struct query q;

    set_result(db, r, d, STATE_DEAD);
    q = db_query(db, "UPDATE step SET state = 3 WHERE message = ? AND seq = ?");
    query_int(&q, d->row);
    query_int(&q, d->seq);
    query_run(&q);
    q = db_query(db, "UPDATE message SET stage = 3, waiting = 0 WHERE id = ? AND stage < 4");
    query_int(&q, d->row);
    query_run(&q);
    g_autoptr(error) refused = error_new(ERROR_REFUSED, "webhook %s gave up: HTTP %d", d->webhook, in->http_status);
    db_row_set_error(db, d->row, in->err ? in->err : refused);
    db_row_read(db, d->row, d->seq, out);
}

error *exec_outbox_result(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, 1);
    struct delivery d;

    out->gone = true;
    if (!delivery_find(db, r, r->in.result.id, &d) || (d.state != STATE_HELD && d.state != STATE_DUE)) {
        return NULL;
    }
    switch (r->in.result.outcome) {
    case STATE_ACCEPTED:
        accept(db, r, &d, out);
        break;
    case STATE_TRY_AGAIN:
        set_result(db, r, &d, d.state);
        db_row_read(db, d.row, d.seq, out);
        break;
    case STATE_GIVE_UP:
        give_up(db, r, &d, out);
        break;
    }
    return NULL;
}

error *exec_outbox_replay(struct backend *db, struct request *r) {
    struct state_row *out = db_rows_alloc(r, 1);
    struct delivery d;

    out->gone = true;
    if (!delivery_find(db, r, r->in.id, &d) || d.state == STATE_DELIVERED) {
        return NULL;
    }
    db_row_revive(db, r, d.row, out);
    return NULL;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

static char *list_sql(const struct state_outbox_filter *f, unsigned states) {
    bool open = !(states & STATE_IN(STATE_DELIVERED));

    return g_strconcat("SELECT " ENTRY_COLUMNS "WHERE ((1 << o.state) & ?) <> 0 AND o.n > ?",
                       open ? " AND o.state <> 3" : "", f->webhook ? " AND o.webhook = ?" : "", " ORDER BY o.n LIMIT ?",
                       NULL);
}

error *exec_outbox_list(struct backend *db, struct request *r) {
    const struct state_outbox_filter *f = &r->in.outbox_list;
    unsigned states =
        f->states ? f->states : STATE_IN(STATE_HELD) | STATE_IN(STATE_DUE) | STATE_IN(STATE_DEAD);
    g_autofree char *sql = list_sql(f, states);
    struct query q = db_query_once(db, sql);
    size_t limit = page_limit(f->limit), cap = 0;

    query_int(&q, states);
    query_int(&q, f->after);
    if (f->webhook) {
        query_text(&q, f->webhook);
    }
    query_int(&q, (int64_t)limit + 1);
    while (query_next(&q)) {
        if (r->out.entries.n == limit) {
            r->out.entries.more = true;
            query_end(&q);
            break;
        }
        read_entry(&q, &r->arena, add_entry(r, &cap));
    }
    return NULL;
}

static struct state_outbox_count *count_of(struct request *r, const char *webhook, size_t *cap) {
    size_t n = r->out.outbox_counts.n;

    if (n && strcmp(r->out.outbox_counts.v[n - 1].webhook, webhook) == 0) {
        return &r->out.outbox_counts.v[n - 1];
    }
    r->out.outbox_counts.v = arena_grow(&r->arena, r->out.outbox_counts.v, n, cap, sizeof *r->out.outbox_counts.v);
    r->out.outbox_counts.n++;
    r->out.outbox_counts.v[n] = (struct state_outbox_count){.webhook = webhook};
    return &r->out.outbox_counts.v[n];
}

error *exec_outbox_counts(struct backend *db, struct request *r) {
    struct query q = db_query(db, "SELECT c.webhook, c.state, c.count, c.next_at, o.created FROM"
                                  " (SELECT webhook, state, count(*) AS count, min(next_at) AS next_at, min(n) AS first"
                                  "  FROM outbox INDEXED BY outbox_open WHERE state <> 3 GROUP BY webhook, state) c"
                                  " CROSS JOIN outbox o ON o.n = c.first ORDER BY c.webhook");
    size_t cap = 0;

    while (query_next(&q)) {
        struct state_outbox_count *c = count_of(r, db_column_text(&q, 0, &r->arena), &cap);
        enum state_outbox_state s = (enum state_outbox_state)db_column_int(&q, 1);
        uint64_t n = (uint64_t)db_column_int(&q, 2);
        int64_t created = db_column_int(&q, 4);
        c->held += s == STATE_HELD ? n : 0;
        c->due += s == STATE_DUE ? n : 0;
        c->dead += s == STATE_DEAD ? n : 0;
        c->next_at = s == STATE_DUE ? db_column_int(&q, 3) : c->next_at;
        c->oldest = c->oldest ? MIN(c->oldest, created) : created;
    }
    return NULL;
}
