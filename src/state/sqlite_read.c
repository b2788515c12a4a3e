/* Messages read: lists, single rows, counts, the ledger. */
#include "sqlite_priv.h"

#define MESSAGE_COLUMNS                                                                                                \
    "m.id, m.account, f.name, m.uidvalidity, m.uid, m.event, m.stage, m.attempts, m.faults, m.own, m.waiting, "        \
    "m.rekey, m.identity, m.arrived_at, m.next_at, m.finished_at, m.error_code, m.error_text, m.error_rule, m.meta, "  \
    "m.flags, m.added, m.removed"

static void read_message(struct query *q, struct arena *arena, struct state_message *out) {
    *out = (struct state_message){
        .row = db_column_int(q, 0),
        .account = db_column_text(q, 1, arena),
        .folder = db_column_text(q, 2, arena),
        .uidvalidity = (uint32_t)db_column_int(q, 3),
        .uid = (uint32_t)db_column_int(q, 4),
        .event = db_column_text(q, 5, arena),
        .stage = (enum state_stage)db_column_int(q, 6),
        .attempts = (uint32_t)db_column_int(q, 7),
        .faults = (uint32_t)db_column_int(q, 8),
        .own = db_column_int(q, 9) != 0,
        .waiting = db_column_int(q, 10) != 0,
        .rekey = db_column_int(q, 11) != 0,
        .identity = db_column_text(q, 12, arena),
        .arrived_at = db_column_int(q, 13),
        .next_at = db_column_int(q, 14),
        .finished_at = db_column_int(q, 15),
        .error_code = (int)db_column_int(q, 16),
        .error_text = db_column_text(q, 17, arena),
        .error_rule = db_column_text(q, 18, arena),
        .flags = db_column_text(q, 20, arena),
        .added = db_column_text(q, 21, arena),
        .removed = db_column_text(q, 22, arena),
    };
    out->meta = db_column_blob(q, 19, arena, &out->meta_len);
}

static void read_step(struct query *q, struct arena *arena, struct state_step_info *out) {
    *out = (struct state_step_info){
        .seq = (uint32_t)db_column_int(q, 0),
        .state = (enum state_step_state)db_column_int(q, 1),
        .verb = db_column_text(q, 2, arena),
        .rule = db_column_text(q, 3, arena),
        .needs_uid = db_column_int(q, 4) != 0,
        .attempts = (uint32_t)db_column_int(q, 5),
        .target_folder = db_column_text(q, 6, arena),
        .target_uidvalidity = (uint32_t)db_column_int(q, 7),
        .target_uid = (uint32_t)db_column_int(q, 8),
        .moved = db_column_int(q, 9) != 0,
        .done_at = db_column_int(q, 10),
        .delivery = db_column_text(q, 11, arena),
    };
    out->note = db_column_blob(q, 12, arena, &out->note_len);
    out->args = db_column_blob(q, 13, arena, &out->args_len);
}

static void read_steps(struct backend *db, struct arena *arena, struct state_message *m) {
    struct query q = db_query(db, "SELECT s.seq, s.state, s.verb, s.rule, s.needs_uid, s.attempts, s.target_folder,"
                                  " s.target_uidvalidity, s.target_uid, s.moved, s.done_at, o.id, s.note, s.args"
                                  " FROM step s LEFT JOIN outbox o ON o.message = s.message AND o.seq = s.seq"
                                  " WHERE s.message = ? ORDER BY s.seq");
    struct state_step_info *steps = NULL;
    size_t n = 0, cap = 0;

    query_int(&q, m->row);
    while (query_next(&q)) {
        steps = arena_grow(arena, steps, n, &cap, sizeof *steps);
        read_step(&q, arena, &steps[n++]);
    }
    m->steps = steps;
    m->n_steps = n;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

/* The planner is told the index of what is open, so that history is never walked for it; without an account the index
 * is not in the order wanted, but small. CROSS JOIN keeps `message` outside. */
static char *list_sql(const struct state_filter *f, unsigned stages) {
    bool open = !(stages & STATE_IN(STATE_DONE));
    GString *sql = g_string_new("SELECT " MESSAGE_COLUMNS " FROM message m");

    g_string_append(sql, open ? " INDEXED BY message_open" : "");
    g_string_append(sql, " CROSS JOIN folder f ON f.id = m.folder WHERE ((1 << m.stage) & ?) <> 0");
    g_string_append(sql, open ? " AND m.stage < 4" : "");
    g_string_append(sql, f->account ? " AND m.account = ?" : "");
    g_string_append(sql, f->account && f->folder ? " AND f.name = ?" : "");
    g_string_append(sql, f->skip_waiting ? " AND NOT m.waiting" : "");
    g_string_append(sql, f->rekey_only ? " AND m.rekey" : "");
    if (f->after) {
        g_string_append(sql, f->newest_first ? " AND m.id < ?" : " AND m.id > ?");
    }
    g_string_append(sql, f->newest_first ? " ORDER BY m.id DESC LIMIT ?" : " ORDER BY m.id LIMIT ?");
    return g_string_free(sql, FALSE);
}

static struct query list_query(struct backend *db, const struct state_filter *f) {
    unsigned stages = f->stages ? f->stages : STATE_IN_OPEN;
    g_autofree char *sql = list_sql(f, stages);
    struct query q = db_query_once(db, sql);

    query_int(&q, stages);
    if (f->account) {
        query_text(&q, f->account);
    }
    if (f->account && f->folder) {
        query_text(&q, f->folder);
    }
    if (f->after) {
        query_int(&q, f->after);
    }
    query_int(&q, (int64_t)page_limit(f->limit) + 1);
    return q;
}

error *exec_list(struct backend *db, struct request *r) {
    const struct state_filter *f = &r->in.list;
    size_t limit = page_limit(f->limit), n = 0, cap = 0;
    struct query q = list_query(db, f);
    struct state_message *v = NULL;

    while (query_next(&q)) {
        if (n == limit || r->arena.total > LIMIT_STATE_PAGE_BYTES) {
            r->out.messages.more = true;
            query_end(&q);
            break;
        }
        v = arena_grow(&r->arena, v, n, &cap, sizeof *v);
        read_message(&q, &r->arena, &v[n]);
        if (f->with_steps) {
            read_steps(db, &r->arena, &v[n]);
        }
        n++;
    }
    r->out.messages.v = v;
    r->out.messages.n = n;
    return NULL;
}

error *exec_load(struct backend *db, struct request *r) {
    size_t n = 0;

    if (r->in.rows.n > LIMIT_STATE_PAGE) {
        return error_new(ERROR_LIMIT, "more than %d rows at once", LIMIT_STATE_PAGE);
    }
    r->out.messages.v = arena_alloc(&r->arena, r->in.rows.n, sizeof *r->out.messages.v);
    for (size_t i = 0; i < r->in.rows.n; i++) {
        struct query q = db_query(db, "SELECT " MESSAGE_COLUMNS " FROM message m JOIN folder f ON f.id = m.folder"
                                      " WHERE m.id = ?");
        query_int(&q, r->in.rows.v[i]);
        if (query_next(&q)) {
            struct state_message *m = &r->out.messages.v[n++];
            read_message(&q, &r->arena, m);
            query_end(&q);
            read_steps(db, &r->arena, m);
        }
    }
    r->out.messages.n = n;
    return NULL;
}

error *exec_counts(struct backend *db, struct request *r) {
    struct query q = db_query(db, "SELECT c.account, c.stage, c.waiting, c.n, m.arrived_at FROM"
                                  " (SELECT account, stage, waiting, count(*) AS n, min(id) AS first"
                                  "  FROM message INDEXED BY message_open WHERE stage < 4"
                                  "  GROUP BY account, stage, waiting) c CROSS JOIN message m ON m.id = c.first");
    struct state_count *v = NULL;
    size_t n = 0, cap = 0;

    while (query_next(&q)) {
        v = arena_grow(&r->arena, v, n, &cap, sizeof *v);
        v[n++] = (struct state_count){
            .account = db_column_text(&q, 0, &r->arena),
            .stage = (enum state_stage)db_column_int(&q, 1),
            .waiting = db_column_int(&q, 2) != 0,
            .n = (uint64_t)db_column_int(&q, 3),
            .oldest = db_column_int(&q, 4),
        };
    }
    r->out.counts.v = v;
    r->out.counts.n = n;
    return NULL;
}

error *exec_find_handled(struct backend *db, struct request *r) {
    int64_t folder = db_folder_find(db, r->in.handled.account, r->in.handled.folder);

    r->out.handled.v = arena_alloc(&r->arena, r->in.handled.n, sizeof *r->out.handled.v);
    r->out.handled.n = r->in.handled.n;
    for (size_t i = 0; i < r->in.handled.n; i++) {
        struct state_handled *out = &r->out.handled.v[i];
        struct query q = db_query(db, "SELECT l.message, l.handled_at, m.stage, m.rekey FROM ledger l"
                                      " LEFT JOIN message m ON m.id = l.message WHERE l.folder = ? AND l.identity = ?");
        out->identity = r->in.handled.identities[i];
        query_int(&q, folder);
        query_text(&q, out->identity);
        if (query_next(&q)) {
            out->row = db_column_int(&q, 0);
            out->handled_at = db_column_int(&q, 1);
            out->open = db_column_int(&q, 2) && db_column_int(&q, 2) != STATE_DONE;
            out->rekey = db_column_int(&q, 3) != 0;
        }
        query_end(&q);
    }
    return NULL;
}
