#include "verb_priv.h"

static void start(struct action_batch *batch) {
    action_item *first = batch->items->pdata[0];
    error *err;

    if (!batch->target) {
        err = mailboxes_resolve(batch_env(batch)->mailboxes, first->step->folder, &batch->target);
        if (err) {
            batch_failed(batch, err);
            return;
        }
    }
    relocate_start(batch);
}

const struct action_verb action_verb_move = {WIRE_VERB_MOVE, relocate_together, start};
