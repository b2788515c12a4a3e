/* junk and archive: to the folder with that role, else to one of the usual name. */
#include "verb_priv.h"

static void to_role(struct action_batch *batch, uint32_t role, uint32_t other_role, const char *name) {
    const mailboxes *m = batch_env(batch)->mailboxes;
    const mailbox *box = mailboxes_role(m, role);
    error *err = NULL;

    if (!box && other_role) {
        box = mailboxes_role(m, other_role);
    }
    if (!batch->target && box) {
        batch->target = g_strdup(box->name);
    } else if (!batch->target) {
        err = mailboxes_resolve(m, name, &batch->target);
    }
    if (err) {
        batch_failed(batch, err);
    } else {
        relocate_start(batch);
    }
}

static void junk(struct action_batch *batch) {
    to_role(batch, IMAP_ATTR_JUNK, 0, "Junk");
}

/* Gmail has no \Archive: its \All holds everything, and moving there takes the label of this folder off. */
static void archive(struct action_batch *batch) {
    to_role(batch, IMAP_ATTR_ARCHIVE, IMAP_ATTR_ALL, "Archive");
}

const struct action_verb action_verb_junk = {WIRE_VERB_JUNK, relocate_together, junk};
const struct action_verb action_verb_archive = {WIRE_VERB_ARCHIVE, relocate_together, archive};
