/*
 * copying_priv.h - a COPY that survives a lost answer: copying.c makes it, lost_copy.c finds it again.
 */
#ifndef COPYING_PRIV_H
#define COPYING_PRIV_H

#include "verb_priv.h"

/* What the journal keeps of it with the step. */
enum { COPY_NOTE_BEGUN = 1, COPY_NOTE_DONE = 2 };

struct copy_note {
    uint8_t phase;
    uint32_t validity; /* of the target */
    uint32_t uid;      /* BEGUN: the target's UIDNEXT before the COPY. DONE: the copy; 0 = the server did not tell */
    uint8_t looks;     /* BEGUN: how often it was looked for in vain */
    uint32_t end;      /* BEGUN: where the target ended at the last of these looks */
};

void copy_note_write(action_item *item, const struct copy_note *note); /* into item->note */
struct copy_note copy_note_read(const action_item *item);              /* phase 0: there is none */

enum lost_copy { LOST_COPY_FOUND, LOST_COPY_ABSENT, LOST_COPY_LATER };
/* With LATER the batch is not the callee's any more: its item waits, was put back, or has failed. With FOUND the copy's
 * UID and the target's UIDVALIDITY. Once. */
typedef void (*lost_copy_fn)(void *user, enum lost_copy outcome, uint32_t validity, uint32_t uid);

/* Looks for the copy that the batch's only item, whose note is BEGUN, may have in batch->target. ABSENT: it is not
 * there, and was not for as long as it takes to believe that it will not come. */
void lost_copy_look(struct action_batch *batch, lost_copy_fn done, void *user);

#endif
