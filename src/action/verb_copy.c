#include "verb_priv.h"

static void finish(struct action_batch *batch) {
    batch_done(batch, batch->target, batch->pair_validity, batch->pairs, batch->pair_count);
}

static void copy(struct action_batch *batch) {
    if (batch_session(batch)) {
        copying_start(batch, finish);
    } else {
        batch_again(batch, false);
    }
}

static void start(struct action_batch *batch) {
    action_item *first = batch->items->pdata[0];
    error *err = NULL;

    if (!batch->target) {
        err = mailboxes_resolve(batch_env(batch)->mailboxes, first->step->folder, &batch->target);
    }
    if (err) {
        batch_failed(batch, err);
    } else {
        target_ensure(batch, copy);
    }
}

const struct action_verb action_verb_copy = {WIRE_VERB_COPY, relocate_together, start};
