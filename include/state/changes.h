/*
 * state/changes.h - what is known of the messages of a folder between two looks: which UIDs were there, and, for
 * folders whose rules ask for it, the flags of each.
 *
 * Both belong to the folder's UIDVALIDITY and go with it (state_cursor_set, state_uidvalidity_changed). What somebody
 * changed is found by comparing, here, what was seen with what is kept; the new state and a row for each change are
 * written in one transaction, so that no change is lost or told twice. To tell the same thing again changes nothing.
 * Rules of calling state.h.
 */
#ifndef STATE_CHANGES_H
#define STATE_CHANGES_H

#include "state/journal.h"

/* --- which UIDs are there ----------------------------------------------------------------------------------------- */

/* ranges: ascending, up to the cursor; they may touch or overlap. Told as they were set last, with what arrived
 * since. */
typedef void (*state_present_fn)(void *user, const error *err, const struct state_range *ranges, size_t n);
void state_present_load(state *st, const char *account, const char *folder, state_present_fn done, void *user);
/* Replaces them and sets state_cursor.listed. ERROR_INVALID if the cursor has another UIDVALIDITY. */
void state_present_set(state *st, const char *account, const char *folder, uint32_t uidvalidity,
                       const struct state_range *ranges, size_t n, state_done_fn done, void *user);

/* --- flags, and who changed them ---------------------------------------------------------------------------------- */

enum state_seen_how {
    STATE_SEEN_SET,    /* these are its flags; a message not known before is noted without an event */
    STATE_SEEN_ADD,    /* these were set, the others are as before; nothing if it is not known */
    STATE_SEEN_REMOVE, /* these were taken away */
};

struct state_seen {
    uint32_t uid;
    enum state_seen_how how;
    const char *flags; /* separated by spaces, in any order and case; \Recent is passed over */
    const char *message_id; /* with SET: kept for when it is gone; NULL = not told, what is kept stays */
};

/* What is to become a row. */
enum state_want {
    STATE_WANT_FLAGS = 1 << 0,     /* event "flags": flags somebody else changed */
    STATE_WANT_GONE = 1 << 1,      /* event "gone": messages somebody else took away */
    STATE_WANT_OWN_FLAGS = 1 << 2, /* the same for what this daemon did, own = true */
    STATE_WANT_OWN_GONE = 1 << 3,
};

struct state_observe {
    const char *account, *folder;
    uint32_t uidvalidity;
    const struct state_seen *seen;
    size_t n_seen;
    const struct state_range *gone; /* no longer there; may name UIDs that never were */
    size_t n_gone;
    unsigned want;   /* enum state_want; 0: the new state is noted, nothing else happens */
    uint64_t modseq; /* the flags of all messages are known as of this HIGHESTMODSEQ; 0 = not said. Never goes back */
    bool whole;      /* from now on the flags of every message up to the cursor are known (state_cursor.snapshot) */
};
/* How many rows were made, their attempts 0: state_list finds them among the PENDING. */
typedef void (*state_observe_fn)(void *user, const error *err, size_t rows);
/*
 * A change is this daemon's own where a step of a plan says so (state_step.effect) that is not known to be still
 * undone: for flags one whose outcome is open, for messages that went also one that is done. So tell what a STORE did
 * before state_step_done() for it. Own changes by steps of rows that are own flag changes themselves never become rows:
 * a rule cannot keep itself going. ERROR_INVALID if the cursor has another UIDVALIDITY.
 */
void state_observe(state *st, const struct state_observe *observe, state_observe_fn done, void *user);
/* No rule asks any more: forgets the flags, and the cursor's modseq. */
void state_observe_end(state *st, const char *account, const char *folder, state_done_fn done, void *user);

#endif
