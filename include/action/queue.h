/*
 * action/queue.h - carries out the steps of plans on one folder's messages.
 *
 * One queue a watched folder. Items wait in it until a session has the folder selected (attach), are sent with their
 * neighbours of the same kind as one command (at most what session_batch() and the length of a line allow), journaled,
 * and reported. Verbs live one a file behind one table (src/action/verb_priv.h).
 *
 * What happens to an item, each exactly once until it is added again:
 *     done       carried out, or found to be done already, or the message is gone (outcome.gone); journaled
 *     failed     it could not be; journaled with a delay, or for good (err->retry NEVER): the caller parks the message
 * and while the connection is down or breaks in the middle, nothing: the item stays and is sent, or looked for, again.
 *
 * An answer that never came leaves the item `maybe_done`: a MOVE is then asked for at the source (gone means done), a
 * COPY looked for at the target above the UIDNEXT that was journaled before, a STORE sent again. A COPY that is not
 * found there may still be under way (outcome `waits`): it is looked for several times before it is repeated.
 *
 * Ownership: items are the caller's and stay at their address until reported or removed.
 */
#ifndef ACTION_QUEUE_H
#define ACTION_QUEUE_H

#include "action/mailboxes.h"
#include "state/journal.h"
#include "wire/message.h"

typedef struct action_queue action_queue;

typedef struct action_item {
    int64_t row; /* in the journal */
    uint32_t seq;
    uint32_t uid;
    const wire_step *step;  /* borrowed, valid as long as the item is in the queue */
    const char *message_id; /* likewise; NULL = has none */
    uint32_t tries;         /* failures before this one: the delay grows with it */
    bool maybe_done;        /* it may have been sent by an earlier run or connection */
    bool unanswered;        /* and its answer was lost: the journal has it as begun */
    uint8_t note[32];       /* what the journal kept when it was begun */
    size_t note_len;
    unsigned throttled; /* times the server asked for patience instead */
    void *user;
    struct action_batch *batch; /* the queue's; NULL = waits */
} action_item;

typedef struct action_outcome {
    const error *err;  /* NULL = done, or waits. Else it was journaled as failed; borrowed */
    bool waits;        /* it is not known yet whether it is done: add it again after the delay */
    uint64_t delay_ms; /* with err or waits: when it may be tried again; 0 with retry NEVER */
    bool gone;         /* the message was no longer there: nothing was done */
    struct state_row row;   /* the journal's answer: next_seq, waiting, due_webhook, gone */
} action_outcome;

typedef struct action_env {
    event_loop *loop;
    state *state;
    mailboxes *mailboxes;
    log_ctx log; /* with account and folder */
    const char *folder;
    bool allow_expunge;
    /* Many more items will be added within milliseconds: those that are there may wait for them. NULL = never. */
    bool (*more)(void *user);
    void (*finished)(void *user, action_item *item, const action_outcome *outcome);
    /* The server has carried these out, which change flags; the journal does not know yet. NULL = nobody asks. */
    void (*applied)(void *user, action_item *const *items, size_t n);
    /* The queue had to leave the folder and selected it again: look for what came meanwhile. */
    void (*reselected)(void *user, const session_result *result);
    void *user;
} action_env;

action_queue *action_queue_new(const action_env *env); /* copied; what it points to outlives the queue */
/* Items that wait are dropped without a report. Detach and free the session first. Accepts NULL. */
void action_queue_free(action_queue *q);

void action_queue_add(action_queue *q, action_item *item);
/* Takes an item out that is not being sent (its UIDVALIDITY changed, it was dropped). False if it is in a command. */
bool action_queue_remove(action_queue *q, action_item *item);
/* The session has the folder selected, with this UIDVALIDITY, read-write. */
void action_queue_attach(action_queue *q, session *s, uint32_t uidvalidity);
void action_queue_detach(action_queue *q);
size_t action_queue_length(const action_queue *q);  /* waiting and in commands */
size_t action_queue_waiting(const action_queue *q); /* not in a command yet */

#endif
