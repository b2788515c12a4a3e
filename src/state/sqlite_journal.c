/* Cursors, arrival, plans. */
#include "sqlite_priv.h"

static bool cursor_read(struct backend *db, const char *account, const char *folder, struct state_cursor *out) {
    struct query q = db_query(db, "SELECT uidvalidity, last_uid, modseq, updated, listed, snapshot FROM folder"
                                  " WHERE account = ? AND name = ? AND uidvalidity <> 0");
    bool found;

    query_text(&q, account);
    query_text(&q, folder);
    found = query_next(&q);
    if (found) {
        out->uidvalidity = (uint32_t)db_column_int(&q, 0);
        out->last_uid = (uint32_t)db_column_int(&q, 1);
        out->modseq = (uint64_t)db_column_int(&q, 2);
        out->updated = db_column_int(&q, 3);
        out->listed = db_column_int(&q, 4) != 0;
        out->snapshot = db_column_int(&q, 5) != 0;
    }
    query_end(&q);
    return found;
}

error *exec_cursor_load(struct backend *db, struct request *r) {
    struct state_cursor cursor = {0};

    if (cursor_read(db, r->in.cursor.account, r->in.cursor.folder, &cursor)) {
        r->out.cursor = arena_memdup(&r->arena, &cursor, sizeof cursor);
    }
    return NULL;
}

error *db_check_validity(struct backend *db, const char *account, const char *folder, uint32_t uidvalidity) {
    struct state_cursor old = {0};

    if (!uidvalidity) {
        return error_new(ERROR_INVALID, "UIDVALIDITY 0");
    }
    if (cursor_read(db, account, folder, &old) && old.uidvalidity != uidvalidity) {
        return error_new(ERROR_INVALID, "UIDVALIDITY is %u, the journal knows %u", uidvalidity, old.uidvalidity);
    }
    return NULL;
}

error *exec_cursor_set(struct backend *db, struct request *r) {
    const struct state_cursor *c = &r->in.cursor.cursor;
    error *err = db_check_validity(db, r->in.cursor.account, r->in.cursor.folder, c->uidvalidity);

    if (err) {
        return error_at(err, r->in.cursor.account, r->in.cursor.folder, 0, NULL);
    }
    struct state_cursor cursor = *c;
    cursor.updated = r->now;
    db_cursor_write(db, db_folder_make(db, r->in.cursor.account, r->in.cursor.folder), &cursor);
    return NULL;
}

/* --- arrival ------------------------------------------------------------------------------------------------------ */

static bool take_own(struct backend *db, int64_t folder, uint32_t uidvalidity, uint32_t uid) {
    struct query q = db_query(db, "DELETE FROM own WHERE folder = ? AND uidvalidity = ? AND uid = ?");

    query_int(&q, folder);
    query_int(&q, uidvalidity);
    query_int(&q, uid);
    return query_run(&q) > 0;
}

/* False if the UID has its row already. */
static bool insert_message(struct backend *db, struct request *r, int64_t folder, struct state_arrival *arrival) {
    const struct state_arrive *in = &r->in.arrive;
    struct query q = db_query(db, "INSERT INTO message(account, folder, uidvalidity, uid, stage, own, attempts,"
                                  " arrived_at, next_at, set_at) VALUES(?, ?, ?, ?, 1, ?, 1, ?, ?, ?)"
                                  " ON CONFLICT DO NOTHING");

    arrival->own = take_own(db, folder, in->uidvalidity, arrival->uid);
    query_text(&q, in->account);
    query_int(&q, folder);
    query_int(&q, in->uidvalidity);
    query_int(&q, arrival->uid);
    query_int(&q, arrival->own);
    query_int(&q, r->now);
    query_int(&q, r->now);
    query_int(&q, r->now);
    if (!query_run(&q)) {
        return false;
    }
    arrival->row = sqlite3_last_insert_rowid(db->handle);
    return true;
}

error *exec_arrive(struct backend *db, struct request *r) {
    const struct state_arrive *in = &r->in.arrive;
    error *err = db_check_validity(db, in->account, in->folder, in->uidvalidity);

    if (err) {
        return error_at(err, in->account, in->folder, 0, NULL);
    }
    int64_t folder = db_folder_make(db, in->account, in->folder);
    r->out.arrivals.v = arena_alloc(&r->arena, in->n_uids, sizeof *r->out.arrivals.v);
    for (size_t i = 0; i < in->n_uids; i++) {
        struct state_arrival arrival = {.uid = in->uids[i]};
        if (insert_message(db, r, folder, &arrival)) {
            r->out.arrivals.v[r->out.arrivals.n++] = arrival;
        }
    }
    for (size_t i = 0; i < in->n_present; i++) {
        db_present_add(db, folder, &in->present[i]);
    }
    struct query q = db_query(db, "UPDATE folder SET uidvalidity = ?, last_uid = max(last_uid, ?),"
                                  " modseq = max(modseq, ?), updated = min(max(updated, ?), ?) WHERE id = ?");
    query_int(&q, in->uidvalidity);
    query_int(&q, in->last_uid);
    query_int(&q, (int64_t)in->modseq);
    query_int(&q, in->as_of ? in->as_of : r->now);
    query_int(&q, r->now);
    query_int(&q, folder);
    query_run(&q);
    return NULL;
}

/* --- plans -------------------------------------------------------------------------------------------------------- */

struct subject {
    int64_t folder;
    uint32_t uidvalidity, uid;
    bool own;
};

static error *check_plan(const struct state_plan *plan) {
    uint32_t seq = 0;

    for (size_t i = 0; i < plan->n_steps; i++) {
        if (plan->steps[i].seq <= seq || !plan->steps[i].verb) {
            return error_new(ERROR_INVALID, "a plan's steps must have a verb and rise from 1");
        }
        seq = plan->steps[i].seq;
    }
    for (size_t i = 0; i < plan->n_deliveries; i++) {
        const struct state_delivery *d = &plan->deliveries[i];
        size_t s = 0;
        while (s < plan->n_steps && plan->steps[s].seq != d->seq) {
            s++;
        }
        if (s == plan->n_steps || !d->id || !d->webhook) {
            return error_new(ERROR_INVALID, "a plan's delivery needs an id, a webhook and its step");
        }
    }
    return NULL;
}

static bool subject_read(struct backend *db, int64_t row, struct subject *out) {
    struct query q = db_query(db, "SELECT folder, uidvalidity, uid, own FROM message WHERE id = ? AND stage = 1");
    bool found;

    query_int(&q, row);
    found = query_next(&q);
    if (found) {
        out->folder = db_column_int(&q, 0);
        out->uidvalidity = (uint32_t)db_column_int(&q, 1);
        out->uid = (uint32_t)db_column_int(&q, 2);
        out->own = db_column_int(&q, 3) != 0;
    }
    query_end(&q);
    return found;
}

static void mark_handled(struct backend *db, struct request *r, int64_t row) {
    struct query q = db_query(db, "UPDATE message SET stage = 4, identity = ?, finished_at = ?, error_code = -1,"
                                  " error_text = NULL, error_rule = NULL WHERE id = ?");

    query_text(&q, r->in.plan.identity);
    query_int(&q, r->now);
    query_int(&q, row);
    query_run(&q);
}

/* An earlier row of the same mail: this one is done with, or lends it its UID. */
static bool meet_earlier(struct backend *db, struct request *r, const struct subject *s, error **err_out) {
    struct state_planned *out = &r->out.planned;
    struct query q = db_query(db, "SELECT l.message, m.rekey FROM ledger l LEFT JOIN message m ON m.id = l.message"
                                  " WHERE l.folder = ? AND l.identity = ?");
    bool rekey;

    query_int(&q, s->folder);
    query_text(&q, r->in.plan.identity);
    if (!query_next(&q)) {
        return false;
    }
    out->earlier = db_column_int(&q, 0);
    rekey = db_column_int(&q, 1) != 0;
    query_end(&q);
    if (rekey) {
        out->outcome = STATE_PLAN_ADOPTED;
        *err_out = db_row_rekey(db, out->earlier, s->uidvalidity, s->uid);
        return true;
    }
    out->outcome = STATE_PLAN_HANDLED;
    mark_handled(db, r, r->in.plan.row);
    db_row_read(db, r->in.plan.row, 0, &out->row);
    return true;
}

static void remember(struct backend *db, struct request *r, int64_t folder) {
    struct query q = db_query(db, "INSERT INTO ledger(folder, identity, message, handled_at) VALUES(?, ?, ?, ?)"
                                  " ON CONFLICT DO UPDATE SET message = excluded.message,"
                                  " handled_at = excluded.handled_at");

    query_int(&q, folder);
    query_text(&q, r->in.plan.identity);
    query_int(&q, r->in.plan.row);
    query_int(&q, r->now);
    query_run(&q);
}

static void insert_step(struct backend *db, int64_t row, const struct state_step *step) {
    struct query q = db_query(db, "INSERT INTO step(message, seq, verb, rule, needs_uid, args, effect)"
                                  " VALUES(?, ?, ?, ?, ?, ?, ?)");

    query_int(&q, row);
    query_int(&q, step->seq);
    query_text(&q, step->verb);
    query_text(&q, step->rule);
    query_int(&q, step->needs_uid);
    query_blob(&q, step->args, step->args_len);
    query_text(&q, step->effect);
    query_run(&q);
}

static void insert_delivery(struct backend *db, struct request *r, const struct state_delivery *d) {
    struct query q = db_query(db, "INSERT INTO outbox(id, webhook, message, seq, state, created, next_at, set_at)"
                                  " VALUES(?, ?, ?, ?, 1, ?, ?, ?)");

    query_text(&q, d->id);
    query_text(&q, d->webhook);
    query_int(&q, r->in.plan.row);
    query_int(&q, d->seq);
    query_int(&q, r->now);
    query_int(&q, r->now);
    query_int(&q, r->now);
    query_run(&q);
    q = db_query(db, "INSERT INTO outbox_body(n, body) VALUES(?, ?)");
    query_int(&q, sqlite3_last_insert_rowid(db->handle));
    query_blob(&q, d->body ? d->body : "", d->body ? d->body_len : 0);
    query_run(&q);
}

static void store_plan(struct backend *db, struct request *r) {
    const struct state_plan *plan = &r->in.plan;
    struct query q = db_query(db, "UPDATE message SET stage = 2, identity = ?, meta = coalesce(?, meta), next_at = ?,"
                                  " set_at = ?,"
                                  " error_code = -1, error_text = NULL, error_rule = NULL WHERE id = ?");

    query_text(&q, plan->identity);
    query_blob(&q, plan->meta, plan->meta_len);
    query_int(&q, r->now);
    query_int(&q, r->now);
    query_int(&q, plan->row);
    query_run(&q);
    for (size_t i = 0; i < plan->n_steps; i++) {
        insert_step(db, plan->row, &plan->steps[i]);
    }
    for (size_t i = 0; i < plan->n_deliveries; i++) {
        insert_delivery(db, r, &plan->deliveries[i]);
    }
}

error *exec_plan(struct backend *db, struct request *r) {
    const struct state_plan *plan = &r->in.plan;
    struct state_planned *out = &r->out.planned;
    error *err = check_plan(plan);
    struct subject s;

    if (err) {
        return err;
    }
    if (!subject_read(db, plan->row, &s)) {
        out->outcome = STATE_PLAN_GONE;
        return NULL;
    }
    if (s.own && !plan->as_own) {
        out->outcome = STATE_PLAN_OWN;
        return NULL;
    }
    if (plan->identity && plan->skip_if_handled && meet_earlier(db, r, &s, &err)) {
        return err;
    }
    out->outcome = STATE_PLAN_STORED;
    if (plan->identity) {
        remember(db, r, s.folder);
    }
    store_plan(db, r);
    db_row_advance(db, r, plan->row, 0, &out->row);
    return NULL;
}
