/* What move, junk, archive and delete share: MOVE where it works, else COPY, \Deleted, UID EXPUNGE, each after the OK
 * of the one before (RFC 6851 section 3, RFC 4315). */
#include "imap/mailbox.h"
#include "verb_priv.h"

#include <string.h>

static void send_move(struct action_batch *batch);

bool relocate_together(const action_item *a, const action_item *b) {
    /* An emulated move whose answer was lost is looked for one by one. */
    return !a->maybe_done && !b->maybe_done && a->step->create == b->step->create &&
           g_strcmp0(a->step->folder, b->step->folder) == 0;
}

/* --- emulated ----------------------------------------------------------------------------------------------------- */

static void expunged(void *user, const session_result *result) {
    struct action_batch *batch = user;

    if (!batch_trouble(batch, result)) {
        batch_done(batch, batch->target, batch->pair_validity, batch->pairs, batch->pair_count);
    }
}

static void marked(void *user, const session_result *result) {
    struct action_batch *batch = user;
    const session_info *info;

    if (batch_trouble(batch, result)) {
        return;
    }
    session_call call = batch_call(batch, expunged);
    info = session_info_get(batch_session(batch));
    if (info && imap_can(info->caps, IMAP_CAP_UIDPLUS)) {
        session_expunge_uids(batch_session(batch), &batch->uids, &call);
    } else if (batch_env(batch)->allow_expunge) {
        session_expunge(batch_session(batch), &call);
    } else {
        log_notice(
            &batch_env(batch)->log,
            "%u message(s) left marked \\Deleted: the server lacks UIDPLUS, and a bare EXPUNGE (allow_expunge) would "
            "remove other clients' deleted mail too",
            batch->items->len);
        batch_done(batch, batch->target, batch->pair_validity, batch->pairs, batch->pair_count);
    }
}

void relocate_remove(struct action_batch *batch) {
    static const char *const deleted[] = {"\\Deleted", NULL};
    session_call call = batch_call(batch, marked);

    session_store(batch_session(batch), &batch->uids,
                  &(imap_store){.how = IMAP_STORE_ADD, .silent = true, .names = deleted}, &call);
}

/* --- MOVE --------------------------------------------------------------------------------------------------------- */

static void emulate(struct action_batch *batch) {
    batch->emulate = true;
    copying_start(batch, relocate_remove);
}

/* Which are still here? After an answer that never came, or a NO in the middle. */
static void looked_then_move(void *user, const session_result *result) {
    struct action_batch *batch = user;
    guint before = batch->items->len;

    if (batch_trouble(batch, result)) {
        return;
    }
    if (!result->found_whole) {
        batch_again(batch, true);
        return;
    }
    imap_set here = IMAP_SET_INIT;
    for (uint32_t uid = imap_set_next(result->found, 0); uid; uid = imap_set_next(result->found, uid)) {
        if (imap_set_contains(&batch->uids, uid)) {
            imap_set_add(&here, uid);
        }
    }
    bool any = !imap_set_is_empty(&here);
    batch_gone(batch, &here);
    imap_set_release(&here);
    if (any && before) {
        target_ensure(batch, send_move);
    }
}

static void look_for_items(struct action_batch *batch) {
    session_call call = batch_call(batch, looked_then_move);

    session_search(batch_session(batch), &(imap_search_want){.uids = &batch->uids}, &call);
}

/* And not "BAD Request is throttled": that is said of any command. */
static bool refuses_move(const session_result *result) {
    return result->answered && result->err->code != ERROR_BUSY &&
           (result->condition == IMAP_BAD_COMMAND || result->code->name == IMAP_CODE_CANNOT);
}

static void moved(void *user, const session_result *result) {
    struct action_batch *batch = user;

    if (!result->err) {
        batch_done(batch, batch->target, result->target_validity, result->pairs, result->pair_count);
    } else if (target_missing(batch, result, send_move)) {
        return;
    } else if (refuses_move(result) && batch_session(batch)) {
        batch_move_refused(batch);
        emulate(batch);
    } else if (result->answered && result->code->name == IMAP_CODE_EXPUNGEISSUED && batch_session(batch) &&
               !batch->looked_again) {
        batch->looked_again = true; /* some are gone: which, is asked for */
        look_for_items(batch);
    } else if (result->answered && result->pair_count && batch_session(batch)) {
        /* NO after a part of it: what went is told, the rest is asked for. */
        for (guint i = 0; i < batch->items->len; i++) {
            ((action_item *)batch->items->pdata[i])->maybe_done = true;
        }
        look_for_items(batch);
    } else {
        batch_trouble(batch, result);
    }
}

static void send_move(struct action_batch *batch) {
    if (!batch_session(batch)) {
        batch_again(batch, false);
        return;
    }
    if (!batch_move_works(batch)) {
        emulate(batch);
        return;
    }
    session_call call = batch_call(batch, moved);
    session_move(batch_session(batch), &batch->uids, batch->target, &call);
}

static bool was_emulating(const struct action_batch *batch) {
    return ((action_item *)batch->items->pdata[0])->note_len > 0;
}

void relocate_start(struct action_batch *batch) {
    action_item *first = batch->items->pdata[0];

    if (imap_mailbox_equal(batch->target, batch_folder(batch))) {
        log_notice(&batch_env(batch)->log, "%u message(s) are in \"%s\" already: not moved onto itself",
                   batch->items->len, batch->target);
        batch_done(batch, NULL, 0, NULL, 0);
    } else if (first->maybe_done && was_emulating(batch)) {
        emulate(batch);
    } else if (first->maybe_done) {
        look_for_items(batch);
    } else {
        target_ensure(batch, send_move);
    }
}
