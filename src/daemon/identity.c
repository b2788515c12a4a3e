/*
 * The same mail under another UID: a copy, or one that was handled before?
 */
#include "message_priv.h"

/* Deliveries of one mail within this time are copies, not the same message again. */
#define TWINS_MS 30000
#define RECENT_MIN 64 /* from so many on, and at twice as many each time, those past it are looked for */

/* A mail that has just had its plan. */
struct recent {
    uint64_t when;
    uint32_t uid;
    uint64_t others; /* messages that others had taken away by then, as far as it is not known which */
    bool taken;      /* the plan takes it out of the folder */
};

/*
 * The ledger is of mail that arrived: what happens to it later is told as often as it happens.
 *
 * A server that keeps mail in files writes into them: GNU Mailutils adds X-UID and Status to the messages of an mbox, so
 * that their size is another one after the first session, as their UIDs are after the next delivery. There the size
 * tells nothing, and Message-ID and date have to do.
 */
char *identity_of(const struct message *m, const wire_plan *plan) {
    if (m->event != WIRE_EVENT_NEW) {
        return NULL;
    }
    if (!m->sizes_change || !plan->message_id || !*plan->message_id) {
        return g_strdup(plan->identity);
    }
    g_autofree char *text = g_strdup_printf("message-id and date\n%s\n%" G_GINT64_FORMAT, plan->message_id, m->date);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static bool takes_away(const wire_plan *plan) {
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (step_takes_away(&plan->steps[i])) {
            return true;
        }
    }
    return false;
}

static gboolean is_past(gpointer key, gpointer value, gpointer now) {
    const struct recent *mail = value;

    (void)key;
    return *(const uint64_t *)now - mail->when >= TWINS_MS;
}

static void forget_past(GHashTable *recent, uint64_t now) {
    guint n = g_hash_table_size(recent);

    if (n >= RECENT_MIN && !(n & (n - 1))) {
        g_hash_table_foreach_remove(recent, is_past, &now);
    }
}

/*
 * The same mail under another UID was handled before: a server that gave it a new UID, or a person who dragged it back.
 * Two copies that were delivered at the same time (to an alias too) are not that: each is handled. But a copy that
 * comes when the one before it has gone, and not by us, is the same message edited in place (MS-STANXIMAP
 * section 2.1.3).
 */
bool identity_may_be_handled(struct message *m, const wire_plan *plan, const char *identity) {
    struct folder *f = m->folder;
    struct recent *before, now = {.when = loop_now(message_keeper(m)->loop), .uid = m->uid, .others = roll_others(f)};

    if (!identity) {
        return false;
    }
    forget_past(f->recent, now.when);
    before = g_hash_table_lookup(f->recent, identity);
    bool twin = before && now.when - before->when < TWINS_MS;
    if (twin && !before->taken) {
        twin = roll_has(f, before->uid) && now.others == before->others;
    }
    now.taken = takes_away(plan);
    g_hash_table_insert(f->recent, g_strdup(identity), g_memdup2(&now, sizeof now));
    return !twin;
}
