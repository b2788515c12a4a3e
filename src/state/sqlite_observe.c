/* Flags and absences compared with what is kept, and who is to blame for the difference. */
#include "sqlite_priv.h"

#include <string.h>

/* A request's own view of the folder. */
struct observing {
    struct backend *db;
    struct request *r;
    const struct state_observe *in;
    int64_t folder;
};

/* --- flags as sorted lists ---------------------------------------------------------------------------------------- */

static int by_case(const void *a, const void *b) {
    return g_ascii_strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(GPtrArray *list) {
    if (list->len) {
        qsort(list->pdata, list->len, sizeof *list->pdata, by_case);
    }
}

static const char *find(const GPtrArray *list, const char *flag) {
    for (guint i = 0; i < list->len; i++) {
        if (g_ascii_strcasecmp(list->pdata[i], flag) == 0) {
            return list->pdata[i];
        }
    }
    return NULL;
}

static bool has(const GPtrArray *list, const char *flag) {
    return find(list, flag) != NULL;
}

static void add_flag(GPtrArray *list, const char *flag) {
    if (*flag && g_ascii_strcasecmp(flag, "\\Recent") != 0 && !has(list, flag)) {
        g_ptr_array_add(list, g_strdup(flag));
    }
}

static GPtrArray *list_new(void) {
    return g_ptr_array_new_with_free_func(g_free);
}

static GPtrArray *parse(const char *flags) {
    g_auto(GStrv) words = g_strsplit(flags, " ", -1);
    GPtrArray *list = list_new();

    for (size_t i = 0; words[i]; i++) {
        add_flag(list, words[i]);
    }
    sort(list);
    return list;
}

static char *join(const GPtrArray *list) {
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        g_string_append_printf(text, "%s%s", i ? " " : "", (const char *)list->pdata[i]);
    }
    return g_string_free(text, FALSE);
}

/* Flags are the same in any case: those that stay keep their spelling. */
static void spell_as(GPtrArray *list, const GPtrArray *old) {
    for (guint i = 0; i < list->len; i++) {
        const char *before = find(old, list->pdata[i]);
        if (before) {
            g_free(list->pdata[i]);
            list->pdata[i] = g_strdup(before);
        }
    }
}

/* What is in a and not in b. */
static GPtrArray *minus(const GPtrArray *a, const GPtrArray *b) {
    GPtrArray *list = list_new();

    for (guint i = 0; i < a->len; i++) {
        if (!has(b, a->pdata[i])) {
            g_ptr_array_add(list, g_strdup(a->pdata[i]));
        }
    }
    return list;
}

static GPtrArray *applied(const GPtrArray *old, const struct state_seen *seen) {
    g_autoptr(GPtrArray) told = parse(seen->flags);
    GPtrArray *list;

    if (seen->how == STATE_SEEN_SET) {
        list = g_steal_pointer(&told);
    } else {
        list = minus(old, told);
        for (guint i = 0; seen->how == STATE_SEEN_ADD && i < told->len; i++) {
            add_flag(list, told->pdata[i]);
        }
        sort(list);
    }
    spell_as(list, old);
    return list;
}

/* --- what the journal's steps claim ------------------------------------------------------------------------------- */

struct claims {
    GPtrArray *added, *removed;   /* flags that a step under way changes */
    GPtrArray *settled;           /* "+FLAG", "-FLAG" of rows that are own changes themselves: never told */
    bool taken;                   /* a step takes, or took, the message away */
};

static void claim(struct claims *c, const char *effect, bool open, bool took, bool settled) {
    g_auto(GStrv) lines = g_strsplit(effect, "\n", -1);

    for (size_t i = 0; lines[i]; i++) {
        const char *flag = lines[i] + (*lines[i] != 0);
        if (*lines[i] == 'x') {
            c->taken |= took;
        } else if (open && *flag) {
            add_flag(*lines[i] == '+' ? c->added : c->removed, flag);
            if (settled) {
                g_ptr_array_add(c->settled, g_strdup(lines[i]));
            }
        }
    }
}

static void read_claims(struct observing *o, uint32_t uid, struct claims *c) {
    struct query q = db_query(o->db, "SELECT s.effect, s.state, m.stage, m.own AND m.event = 'flags' FROM message m"
                                     " JOIN step s ON s.message = m.id WHERE m.folder = ? AND m.uidvalidity = ?"
                                     " AND m.uid = ? AND s.effect IS NOT NULL");

    *c = (struct claims){list_new(), list_new(), list_new(), false};
    query_int(&q, o->folder);
    query_int(&q, o->in->uidvalidity);
    query_int(&q, uid);
    while (query_next(&q)) {
        g_autofree char *effect = g_strdup(db_column_text(&q, 0, &o->r->arena));
        int64_t done = db_column_int(&q, 1);
        bool open = done == STATE_STEP_BEGUN || (done != STATE_STEP_DONE && db_column_int(&q, 2) == STATE_PLANNED);
        claim(c, effect ? effect : "", open, open || done == STATE_STEP_DONE, db_column_int(&q, 3) != 0);
    }
}

static void claims_release(struct claims *c) {
    g_ptr_array_unref(c->added);
    g_ptr_array_unref(c->removed);
    g_ptr_array_unref(c->settled);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct change {
    uint32_t uid;
    const char *event;
    bool own;
    const char *flags, *added, *removed, *message_id;
};

static void insert_row(struct observing *o, const struct change *c) {
    struct query q = db_query(
        o->db,
        "INSERT INTO message(account, folder, uidvalidity, uid, event, nth, stage, own, attempts, arrived_at, next_at,"
        " set_at, flags, added, removed, meta) VALUES(?1, ?2, ?3, ?4, ?5, CASE WHEN ?5 = 'flags' THEN"
        " (SELECT coalesce(max(nth), 0) + 1 FROM message WHERE folder = ?2 AND uidvalidity = ?3 AND uid = ?4"
        "  AND event = 'flags') ELSE 0 END, 1, ?6, 0, ?7, ?7, ?7, ?8, ?9, ?10,"
        " coalesce((SELECT meta FROM message WHERE folder = ?2 AND uidvalidity = ?3 AND uid = ?4 AND event = 'new'),"
        "  CAST(?11 AS BLOB)))"
        " ON CONFLICT DO NOTHING");

    query_text(&q, o->in->account);
    query_int(&q, o->folder);
    query_int(&q, o->in->uidvalidity);
    query_int(&q, c->uid);
    query_text(&q, c->event);
    query_int(&q, c->own);
    query_int(&q, o->r->now);
    query_text(&q, c->flags);
    query_text(&q, c->added);
    query_text(&q, c->removed);
    query_text(&q, c->message_id);
    o->r->out.observed += query_run(&q) > 0;
}

static void insert_flags(struct observing *o, uint32_t uid, bool own, const char *flags, const GPtrArray *added,
                         const GPtrArray *removed) {
    g_autofree char *plus = join(added), *less = join(removed);

    if (added->len || removed->len) {
        insert_row(o, &(struct change){uid, "flags", own, flags, plus, less, NULL});
    }
}

static void drop_settled(GPtrArray *list, char sign, const GPtrArray *settled) {
    for (guint i = list->len; i-- > 0;) {
        g_autofree char *line = g_strdup_printf("%c%s", sign, (const char *)list->pdata[i]);
        if (has(settled, line)) {
            g_ptr_array_remove_index(list, i);
        }
    }
}

/* --- flags -------------------------------------------------------------------------------------------------------- */

static void flags_changed(struct observing *o, uint32_t uid, const GPtrArray *old, const GPtrArray *now,
                          const char *text) {
    g_autoptr(GPtrArray) added = minus(now, old), removed = minus(old, now);
    struct claims c;

    if (!(o->in->want & (STATE_WANT_FLAGS | STATE_WANT_OWN_FLAGS)) || (!added->len && !removed->len)) {
        return;
    }
    read_claims(o, uid, &c);
    if (o->in->want & STATE_WANT_FLAGS) {
        g_autoptr(GPtrArray) others_added = minus(added, c.added), others_removed = minus(removed, c.removed);
        insert_flags(o, uid, false, text, others_added, others_removed);
    }
    if (o->in->want & STATE_WANT_OWN_FLAGS) {
        g_autoptr(GPtrArray) foreign_added = minus(added, c.added), foreign_removed = minus(removed, c.removed);
        g_autoptr(GPtrArray) own_added = minus(added, foreign_added), own_removed = minus(removed, foreign_removed);
        drop_settled(own_added, '+', c.settled);
        drop_settled(own_removed, '-', c.settled);
        insert_flags(o, uid, true, text, own_added, own_removed);
    }
    claims_release(&c);
}

static void write_flags(struct observing *o, const struct state_seen *seen, const char *flags) {
    struct query q = db_query(o->db, "INSERT INTO snapshot(folder, uid, flags, message_id) VALUES(?, ?, ?, ?)"
                                     " ON CONFLICT DO UPDATE SET flags = excluded.flags,"
                                     " message_id = coalesce(excluded.message_id, message_id)");

    query_int(&q, o->folder);
    query_int(&q, seen->uid);
    query_text(&q, flags);
    query_text(&q, seen->how == STATE_SEEN_SET ? seen->message_id : NULL);
    query_run(&q);
}

static void observe_one(struct observing *o, const struct state_seen *seen) {
    struct query q = db_query(o->db, "SELECT flags FROM snapshot WHERE folder = ? AND uid = ?");
    g_autofree char *kept = NULL, *text = NULL;

    query_int(&q, o->folder);
    query_int(&q, seen->uid);
    if (query_next(&q)) {
        kept = g_strdup(db_column_text(&q, 0, &o->r->arena));
    }
    query_end(&q);
    if (!seen->uid || (!kept && seen->how != STATE_SEEN_SET)) {
        return;
    }
    g_autoptr(GPtrArray) old = parse(kept ? kept : ""), now = applied(old, seen);
    text = join(now);
    if (kept && strcmp(kept, text) == 0) {
        return;
    }
    write_flags(o, seen, text);
    if (kept) {
        flags_changed(o, seen->uid, old, now, text);
    }
}

/* --- gone --------------------------------------------------------------------------------------------------------- */

static void one_gone(struct observing *o, uint32_t uid, const char *flags, const char *message_id) {
    struct claims c;

    read_claims(o, uid, &c);
    if (o->in->want & (c.taken ? STATE_WANT_OWN_GONE : STATE_WANT_GONE)) {
        insert_row(o, &(struct change){uid, "gone", c.taken, flags, NULL, NULL, message_id});
    }
    claims_release(&c);
}

/* One by one, from the snapshot: a range may name four billion. */
static void range_gone(struct observing *o, const struct state_range *range) {
    uint32_t at = range->low;

    for (;;) {
        struct query q =
            db_query(o->db, "SELECT uid, flags, message_id FROM snapshot WHERE folder = ? AND uid BETWEEN ? AND ?"
                            " ORDER BY uid LIMIT 1");
        query_int(&q, o->folder);
        query_int(&q, at);
        query_int(&q, range->high);
        if (!query_next(&q)) {
            return;
        }
        at = (uint32_t)db_column_int(&q, 0);
        g_autofree char *flags = g_strdup(db_column_text(&q, 1, &o->r->arena));
        g_autofree char *message_id = g_strdup(db_column_text(&q, 2, &o->r->arena));
        query_end(&q);
        if (o->in->want & (STATE_WANT_GONE | STATE_WANT_OWN_GONE)) {
            one_gone(o, at, flags, message_id);
        }
        q = db_query(o->db, "DELETE FROM snapshot WHERE folder = ? AND uid = ?");
        query_int(&q, o->folder);
        query_int(&q, at);
        query_run(&q);
    }
}

/* --- the requests ------------------------------------------------------------------------------------------------- */

error *exec_observe(struct backend *db, struct request *r) {
    const struct state_observe *in = &r->in.observe;
    error *err = db_check_validity(db, in->account, in->folder, in->uidvalidity);
    struct observing o = {db, r, in, db_folder_find(db, in->account, in->folder)};

    if (err || !o.folder) {
        return err ? error_at(err, in->account, in->folder, 0, NULL) : NULL;
    }
    for (size_t i = 0; i < in->n_seen && db->rc == SQLITE_OK; i++) {
        observe_one(&o, &in->seen[i]);
    }
    for (size_t i = 0; i < in->n_gone && db->rc == SQLITE_OK; i++) {
        range_gone(&o, &in->gone[i]);
    }
    if (in->modseq || in->whole) {
        struct query q =
            db_query(db, "UPDATE folder SET modseq = max(modseq, ?), snapshot = max(snapshot, ?) WHERE id = ?");
        query_int(&q, (int64_t)in->modseq);
        query_int(&q, in->whole);
        query_int(&q, o.folder);
        query_run(&q);
    }
    return NULL;
}

error *exec_observe_end(struct backend *db, struct request *r) {
    int64_t folder = db_folder_find(db, r->in.present.account, r->in.present.folder);
    struct query q = db_query(db, "DELETE FROM snapshot WHERE folder = ?");

    query_int(&q, folder);
    query_run(&q);
    q = db_query(db, "UPDATE folder SET snapshot = 0, modseq = 0 WHERE id = ?");
    query_int(&q, folder);
    query_run(&q);
    return NULL;
}
