/*
 * The answer to a COPY was lost: is the copy in the target?
 *
 * It is looked for above the UIDNEXT that the target had before. The Message-ID alone does not tell: the same letter
 * may have come twice, to an address and over a list, and the copy of the one be taken for that of the other. So
 *     the size has to be the same too, and the date (RFC 9051 section 6.4.7: COPY keeps it),
 *     what the journal knows as another message's copy (COPYUID, or found here) is not ours.
 * In doubt it is copied again: one letter too many harms less than one that is lost, as the source may be deleted after
 * the COPY. But a copy that differs in its date alone is taken after all when it would be made again otherwise: there
 * are servers that give copies new dates, and with UIDPLUS the journal knows which ones belong to others. Without
 * UIDPLUS the date is all that tells two letters of one size apart, and has to be the same. So it has where the server
 * writes into its messages (session_quirks.check_identity), and sizes say nothing; nor does UIDVALIDITY there, which
 * GNU Mailutils makes anew with the first message of a folder, and which leaves UIDs as they are.
 *
 * A server may still be at it when the connection has died. What is not found is looked for again twice, and as long as
 * the target grows meanwhile; the message waits in the journal for that, where nobody waits for it.
 */
#include "copying_priv.h"

#include <string.h>

/* Pauses between the looks, the last for all that follow. */
static const uint32_t pauses_ms[] = {3000, 7000};
#define LOOKS 3
#define LOOKS_MAX 9 /* while the target grows: about a minute */
/* More letters than this under one Message-ID are not told apart: whose copy it is is then looked for among the first. */
#define CANDIDATES_MAX 1000

struct candidate {
    uint32_t uid;
    bool other_date;
};

struct lookup {
    struct action_batch *batch;
    lost_copy_fn done;
    void *user;
    struct copy_note note;
    const char *message_id; /* the item's; NULL or "" = has none */
    imap_fetch source;      /* its size and date, as far as they are known: `have` */
    bool date_decides;      /* nothing else tells two letters of one size apart */
    bool unstable;          /* sizes and UIDVALIDITY change on this server, and say nothing */
    GArray *candidates;     /* struct candidate */
    uint32_t validity, end; /* of the target, now */
    error *err;             /* not known: look again */
    error *refused;         /* by the server: later */
};

static void lookup_free(struct lookup *l) {
    g_array_free(l->candidates, TRUE);
    error_free(l->err);
    error_free(l->refused);
    g_free(l);
}

static void finish(struct lookup *l, enum lost_copy outcome, uint32_t uid) {
    l->done(l->user, outcome, l->validity, uid);
    lookup_free(l);
}

/* --- what comes of it --------------------------------------------------------------------------------------------- */

/* Another look is due if this one finds nothing. */
static bool is_early(const struct lookup *l, const action_item *item) {
    unsigned looks = l->note.looks + 1U;

    return item->unanswered && (looks < LOOKS || (looks < LOOKS_MAX && l->end != l->note.end));
}

static void not_found(struct lookup *l) {
    action_item *item = l->batch->items->pdata[0];
    bool early = is_early(l, item);

    if (!early) {
        item->unanswered = false;
        finish(l, LOST_COPY_ABSENT, 0);
        return;
    }
    uint32_t pause = pauses_ms[MIN(l->note.looks, G_N_ELEMENTS(pauses_ms) - 1)];
    log_ctx log = batch_env(l->batch)->log;
    log.uid = item->uid;
    log_info(&log, "the answer to its COPY was lost, and no copy is in \"%s\": it is looked for again in %u s",
             l->batch->target, pause / 1000);
    l->note.looks++;
    l->note.end = l->end;
    copy_note_write(item, &l->note);
    batch_waits(l->batch, pause);
    finish(l, LOST_COPY_LATER, 0);
}

static void claimed(void *user, const error *err, uint32_t uid) {
    struct lookup *l = user;

    if (err || !batch_session(l->batch)) {
        batch_again(l->batch, true);
        finish(l, LOST_COPY_LATER, 0);
    } else if (uid) {
        finish(l, LOST_COPY_FOUND, uid);
    } else {
        not_found(l);
    }
}

static int likeliest_first(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;

    if (x->other_date != y->other_date) {
        return x->other_date ? 1 : -1;
    }
    return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Of those that differ in their date only in the end, when all others that were lost with it have had their turn. */
static void claim(struct lookup *l) {
    action_item *item = l->batch->items->pdata[0];
    bool any_date = !l->date_decides && !is_early(l, item);
    g_autofree uint32_t *uids = g_new(uint32_t, l->candidates->len + 1);
    struct state_claim request = {.row = item->row, .seq = item->seq, .target_folder = l->batch->target,
                                  .target_uidvalidity = l->validity, .uids = uids};

    g_array_sort(l->candidates, likeliest_first);
    for (guint i = 0; i < l->candidates->len; i++) {
        const struct candidate *c = &g_array_index(l->candidates, struct candidate, i);
        if (!c->other_date || any_date) {
            uids[request.n_uids++] = c->uid;
        }
    }
    if (!request.n_uids) {
        not_found(l);
    } else if (l->validity) {
        state_step_claim(batch_env(l->batch)->state, &request, claimed, l);
    } else {
        finish(l, LOST_COPY_FOUND, uids[0]); /* a folder of which nothing can be remembered */
    }
}

static void back(void *user, const session_result *result) {
    struct lookup *l = user;
    const action_env *env = batch_env(l->batch);

    if (!result->err && env->reselected) {
        env->reselected(env->user, result);
    }
    if (l->err || result->err) {
        batch_again(l->batch, true);
        finish(l, LOST_COPY_LATER, 0);
    } else if (l->refused) {
        batch_failed(l->batch, g_steal_pointer(&l->refused));
        finish(l, LOST_COPY_LATER, 0);
    } else {
        claim(l);
    }
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static void source_seen(void *user, const imap_response *response) {
    struct lookup *l = user;

    if (response->kind == IMAP_FETCH) {
        l->source.have = response->fetch.have & (IMAP_HAVE_SIZE | IMAP_HAVE_DATE);
        l->source.size = response->fetch.size;
        l->source.date = response->fetch.date;
    }
}

static void entered(void *user, const session_result *result) {
    struct lookup *l = user;

    if (result->folder) {
        l->validity = result->folder->uidvalidity;
        l->end = result->folder->uidnext ? result->folder->uidnext : result->folder->exists;
    }
    if (result->err && result->answered && result->err->code != ERROR_NO_FOLDER) {
        l->refused = error_copy(result->err);
    }
}

/* Not SEARCH HEADER: it finds <17@x> where <7@x> is looked for, and is broken on more than one server. */
static void seen(void *user, const imap_response *response) {
    struct lookup *l = user;
    const imap_fetch *f = &response->fetch;
    g_autofree char *id = response->kind == IMAP_FETCH ? verify_message_id(f) : NULL;

    if (!id || !verify_same_id(l->message_id, id)) {
        return;
    }
    uint32_t both = f->have & l->source.have & ~(l->unstable ? (uint32_t)IMAP_HAVE_SIZE : 0);
    bool same_size = !(both & IMAP_HAVE_SIZE) || f->size == l->source.size;
    bool same_date = !(both & IMAP_HAVE_DATE) || f->date == l->source.date;
    /* Without a Message-ID nothing is left but both. */
    bool enough = *id || (same_date && both == (IMAP_HAVE_SIZE | IMAP_HAVE_DATE));
    if (same_size && enough && l->candidates->len < CANDIDATES_MAX) {
        struct candidate c = {.uid = f->uid, .other_date = !same_date};
        g_array_append_val(l->candidates, c);
    }
}

/* A target that is not there any more, or another one by that name, has no copy. */
static void compared(void *user, const session_result *result) {
    struct lookup *l = user;

    if (result->err && result->err->code != ERROR_NO_FOLDER && result->err->code != ERROR_GONE) {
        l->err = error_copy(result->err);
    }
}

/* The folder is left for it, and selected again: all commands are made now, so that what others make from here on
 * belongs to the folder. */
void lost_copy_look(struct action_batch *batch, lost_copy_fn done, void *user) {
    static const imap_fetch_want of_source = {.items = IMAP_WANT_SIZE | IMAP_WANT_DATE};
    session *s = batch_session(batch);
    const session_info *info = session_info_get(s);
    struct lookup *l = g_new0(struct lookup, 1);
    action_item *item = batch->items->pdata[0];
    imap_fetch_want want = verify_want;

    *l = (struct lookup){.batch = batch, .done = done, .user = user, .note = copy_note_read(item)};
    l->message_id = item->message_id;
    l->date_decides = !info || !imap_can(info->caps, IMAP_CAP_UIDPLUS);
    l->unstable = info && info->quirks->check_identity;
    l->candidates = g_array_new(FALSE, TRUE, sizeof(struct candidate));
    want.items |= of_source.items;
    session_call call = batch_call(batch, NULL);
    call.data = source_seen;
    call.user = l;
    session_fetch(s, &batch->uids, &of_source, &call);
    session_select(s, batch->target, true, NULL, &(session_call){.done = entered, .user = l});
    session_fetch_from(s, l->note.uid, &want,
                       &(session_call){.done = compared, .data = seen, .user = l,
                                       .uidvalidity = l->unstable ? 0 : l->note.validity});
    session_select(s, batch_folder(batch), false, NULL, &(session_call){.done = back, .user = l});
}
