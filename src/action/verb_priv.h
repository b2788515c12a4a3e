/*
 * verb_priv.h - a verb, and the batch it works on.
 *
 * verb_NAME.c each define one `struct action_verb`; the table that maps enum wire_verb to them stands in queue.c.
 * A batch is started once, calls batch_...() functions for parts of its items as their outcome becomes known, and ends
 * when none is left. relocate.c holds what move, junk, archive and delete share; copying.c the journaled copy.
 */
#ifndef VERB_PRIV_H
#define VERB_PRIV_H

#include "action/queue.h"

struct action_batch {
    action_queue *queue;
    const struct action_verb *verb;
    GPtrArray *items; /* action_item, uid ascending; those without an outcome yet */
    imap_set uids;    /* of these */
    char *target;     /* server's name, NULL = none */
    bool created;     /* CREATE was tried */
    bool emulate;     /* MOVE by COPY, STORE and EXPUNGE */
    bool looked_again; /* after EXPUNGEISSUED: which are still there */
    struct {
        uint32_t validity, uidnext; /* of the target before the COPY */
    } mark;
    session_pair *pairs; /* what COPYUID said, kept over the steps of an emulated move */
    size_t pair_count;
    uint32_t pair_validity;
};

struct action_verb {
    enum wire_verb verb;
    /* May b go into one command with a (same verb, same maybe_done already checked)? */
    bool (*together)(const action_item *a, const action_item *b);
    void (*start)(struct action_batch *batch);
};

extern const struct action_verb action_verb_move, action_verb_copy, action_verb_flag, action_verb_unflag,
    action_verb_delete, action_verb_junk, action_verb_archive;

/* What a verb may use of its queue. */
session *batch_session(const struct action_batch *batch);      /* NULL: connection is gone */
const action_env *batch_env(const struct action_batch *batch);
session_call batch_call(struct action_batch *batch, session_done_fn done); /* user = batch, UIDVALIDITY guarded */
const char *batch_folder(const struct action_batch *batch);    /* the source */
bool batch_move_works(const struct action_batch *batch);
/* MOVE is advertised but does not work: not again on this account. */
void batch_move_refused(struct action_batch *batch);

/* Outcomes. Each takes the items out of the batch; the batch may be freed by the call when it was the last. */
void batch_done(struct action_batch *batch, const char *target, uint32_t validity, const session_pair *pairs, size_t n);
void batch_done_item(struct action_batch *batch, action_item *item, bool gone, const char *target, uint32_t validity,
                     uint32_t target_uid);
void batch_gone(struct action_batch *batch, const imap_set *still_there); /* all others: outcome gone */
void batch_failed(struct action_batch *batch, error *err);                /* takes err */
/* Whether it was done will be known later: the items' notes are journaled as they are, and they come back then. */
void batch_waits(struct action_batch *batch, uint64_t delay_ms);
/* The answer never came, or it was never sent: back to waiting. */
void batch_again(struct action_batch *batch, bool maybe_done);
/* The common end of a command that failed: connection trouble puts the items back, the rest is batch_failed. True if
 * result had an error and was dealt with. */
bool batch_trouble(struct action_batch *batch, const session_result *result);

/* relocate.c: move the batch's items to batch->target. */
void relocate_start(struct action_batch *batch);
/* Make \Deleted and expunge as the server allows. note: what was copied where, for the result. */
void relocate_remove(struct action_batch *batch);
bool relocate_together(const action_item *a, const action_item *b);

/* copying.c: journal the target's UIDNEXT, COPY, keep the pairs in the batch, then go on. Looks first whether items
 * that are maybe_done are in the target already. */
void copying_start(struct action_batch *batch, void (*then)(struct action_batch *batch));

/* verify.c: what of the batch is still the message that is meant? Then the verb's start(). */
void verify_start(struct action_batch *batch);
extern const imap_fetch_want verify_want; /* the Message-ID */
/* From that, without brackets; "" = has none; NULL = not sent. g_free. */
char *verify_message_id(const imap_fetch *fetch);
bool verify_same_id(const char *journaled, const char *fetched); /* journaled may be NULL */

/* target.c: batch->target must exist: made if missing and allowed. then() is called at once where nothing is to do. */
void target_ensure(struct action_batch *batch, void (*then)(struct action_batch *batch));
/* A NO with TRYCREATE: forget the folder, make it if that was not tried. True if it will be tried again through
 * then, or has failed for good. */
bool target_missing(struct action_batch *batch, const session_result *result, void (*then)(struct action_batch *batch));

#endif
