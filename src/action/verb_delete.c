/* To \Trash where there is one; in the trash itself, or without one, for good. */
#include "imap/mailbox.h"
#include "verb_priv.h"

static bool together(const action_item *a, const action_item *b) {
    return !a->maybe_done && !b->maybe_done;
}

static void start(struct action_batch *batch) {
    const mailbox *trash = mailboxes_role(batch_env(batch)->mailboxes, IMAP_ATTR_TRASH);

    if (!trash || imap_mailbox_equal(trash->name, batch_folder(batch))) {
        relocate_remove(batch);
        return;
    }
    if (!batch->target) {
        batch->target = g_strdup(trash->name);
    }
    relocate_start(batch);
}

const struct action_verb action_verb_delete = {WIRE_VERB_DELETE, together, start};
