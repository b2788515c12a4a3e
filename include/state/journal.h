/*
 * state/journal.h - folders, messages, plans and steps.
 *
 * One message's life (its stage):
 *
 *     state_arrive -> PENDING -- state_plan --> PLANNED -- state_step_done (last) --> DONE -- state_prune --> (gone)
 *                        |                         |
 *                        +------ state_park -------+--> PARKED -- state_retry --> PENDING or PLANNED
 *
 * A row (int64_t, never reused) stands for one UID in one folder under one UIDVALIDITY. Rules of calling state.h.
 */
#ifndef STATE_JOURNAL_H
#define STATE_JOURNAL_H

#include "state/state.h"

/* --- cursors: how far a folder was seen ------------------------------------------------------------------------- */

struct state_cursor {
    uint32_t uidvalidity; /* RFC 9051 section 2.3.1.1 */
    uint32_t last_uid;    /* every UID up to here has its row or was passed over on purpose */
    uint64_t modseq;      /* HIGHESTMODSEQ, RFC 7162, up to which the flags of all messages are known; 0 = none */
    int64_t updated; /* wall clock, ms: all that came before has its row or was passed over; from state_cursor_load */
    bool listed;          /* which UIDs up to last_uid are there is known (changes.h) */
    bool snapshot;        /* filled by state_cursor_load: the flags of all messages are known (changes.h) */
};
struct state_range {
    uint32_t low, high; /* both inside */
};
/* cursor is NULL for a folder never seen. */
typedef void (*state_cursor_fn)(void *user, const error *err, const struct state_cursor *cursor);

void state_cursor_load(state *st, const char *account, const char *folder, state_cursor_fn done, void *user);
/* Sets all but `updated` and `snapshot`, also backwards: for the first sight of a folder. What was known of its UIDs
 * and flags is forgotten; with `listed` none is there up to last_uid until state_present_set says otherwise. A changed
 * UIDVALIDITY is ERROR_INVALID here: that is state_uidvalidity_changed's. */
void state_cursor_set(state *st, const char *account, const char *folder, const struct state_cursor *cursor,
                      state_done_fn done, void *user);

/* A folder that has come, under the name `to`, never seen: was it another's before (RENAME keeps UIDVALIDITY and UIDs,
 * RFC 9051 section 6.3.6)? If exactly one folder of the account had that UIDVALIDITY, was seen below uidnext (0 = not
 * known) and is not among those that are there, all that is known of it is known of `to` from now on. `from` is its old
 * name, NULL if there is none. */
struct state_rename {
    const char *account, *to;
    uint32_t uidvalidity, uidnext;
    const char *const *there; /* names */
    size_t n_there;
};
typedef void (*state_rename_fn)(void *user, const error *err, const char *from);
void state_find_renamed(state *st, const struct state_rename *rename, state_rename_fn done, void *user);

/* --- arrival ------------------------------------------------------------------------------------------------------ */

struct state_arrival {
    int64_t row;
    uint32_t uid;
    bool own; /* this daemon put the message there (COPYUID): only rules with own = true may run */
};
/* Only those that are new, in the order given. */
typedef void (*state_arrive_fn)(void *user, const error *err, const struct state_arrival *arrivals, size_t n);

struct state_arrive {
    const char *account, *folder;
    uint32_t uidvalidity;
    const uint32_t *uids;
    size_t n_uids;
    uint32_t last_uid; /* the cursor moves up to here (never back), with or without UIDs; modseq likewise */
    uint64_t modseq;
    const struct state_range *present; /* UIDs that were seen to be there, ascending, whether or not they get rows */
    size_t n_present;
    int64_t as_of; /* wall clock, ms: when the server got the newest of them, which may be told late; 0 = now */
};
/* A row a UID, its first attempt already counted, and the cursor, in one. A UID that has a row is passed over.
 * ERROR_INVALID if the folder's cursor has another UIDVALIDITY. */
void state_arrive(state *st, const struct state_arrive *arrive, state_arrive_fn done, void *user);

/* --- what is answered about rows ---------------------------------------------------------------------------------- */

enum state_stage { STATE_PENDING = 1, STATE_PLANNED = 2, STATE_PARKED = 3, STATE_DONE = 4 };
const char *state_stage_name(enum state_stage stage); /* static */

struct state_row {
    int64_t row;
    uint32_t seq; /* the step asked about; 0 where no step was */
    bool gone;    /* no such row or step any more: all below is 0 */
    enum state_stage stage;
    uint32_t attempts, faults;
    uint32_t step_attempts;  /* failures of step seq */
    bool rekey;              /* its UIDVALIDITY is gone: no action by UID before state_rekey or adoption */
    uint32_t next_seq;       /* first step that is not done; 0 = none */
    bool waiting;            /* that step is a delivery: the outbox goes on with this message, nobody else has to */
    const char *due_webhook; /* not NULL: a delivery to this webhook became due by this request */
};
/* One entry for each asked about, in that order. */
typedef void (*state_rows_fn)(void *user, const error *err, const struct state_row *rows, size_t n);

/* attempts + 1: before a message is handed to an evaluator again (the first time was counted on arrival). */
void state_attempt(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user);
/* attempts - 1, not below 0: for bystanders of an evaluator's death, and on a clean shutdown. */
void state_unattempt(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user);
/* faults + 1: an evaluator died or missed its deadline on exactly this message. */
void state_fault(state *st, int64_t row, state_rows_fn done, void *user);

/* --- plans -------------------------------------------------------------------------------------------------------- */

struct state_step {
    uint32_t seq; /* from 1, rising */
    const char *verb;
    const void *args; /* opaque here */
    size_t args_len;
    const char *rule;
    bool needs_uid; /* acts on the message by UID (not so: a webhook): what a changed UIDVALIDITY stops */
    /* What it does to the message itself, for changes.h: "+FLAG" and "-FLAG" for flags, "x" if it takes the message
     * away, one a line; NULL = nothing. */
    const char *effect;
};

struct state_delivery {
    uint32_t seq;   /* the step that is done when the webhook has accepted; at most one delivery a step */
    const char *id; /* state_new_id */
    const char *webhook;
    const void *body;
    size_t body_len;
};

struct state_plan {
    int64_t row;
    const char *identity;  /* what stays the same when the UID changes; NULL = not known, then nothing is remembered */
    bool skip_if_handled;  /* look whether this identity was handled in this folder before */
    bool as_own;           /* the `own` that rules were told */
    const void *meta;      /* opaque, kept with the message for log and undo */
    size_t meta_len;
    const struct state_step *steps;
    size_t n_steps; /* 0: the message is done at once */
    const struct state_delivery *deliveries;
    size_t n_deliveries;
};

enum state_plan_outcome {
    STATE_PLAN_STORED,  /* durable: carry it out */
    STATE_PLAN_HANDLED, /* an earlier UID of the same mail had its plan: this row is done, nothing stored */
    STATE_PLAN_ADOPTED, /* the same, and the earlier row had lost its UID (rekey): it took over this one's UID and this
                           row is gone. Continue with state_load(earlier) */
    STATE_PLAN_OWN,     /* it turned out meanwhile that this daemon put the message there: nothing stored, evaluate
                           again with own = true */
    STATE_PLAN_GONE,    /* no such row, or it has a plan already: forget it */
};
struct state_planned {
    enum state_plan_outcome outcome;
    int64_t earlier;      /* HANDLED, ADOPTED */
    struct state_row row; /* STORED, HANDLED: the row now (next_seq, waiting, due_webhook) */
};
typedef void (*state_plan_fn)(void *user, const error *err, const struct state_planned *planned);

/* The decision, its steps, the deliveries and the ledger's entry, in one. A delivery becomes due when the steps before
 * its own are done: at once for the first. ERROR_INVALID: seq not rising, a delivery without its step, an id in use. */
void state_plan(state *st, const struct state_plan *plan, state_plan_fn done, void *user);

/* --- steps -------------------------------------------------------------------------------------------------------- */

struct state_step_note {
    int64_t row;
    uint32_t seq;
    const void *note; /* opaque, e.g. the target's UIDNEXT before a COPY; replaces an earlier one, NULL leaves it */
    size_t note_len;
    /* Where its copy is already, though the step is not done: remembered as our own from here on. UID 0: not known. */
    const char *target_folder;
    uint32_t target_uidvalidity, target_uid;
};
/* The step is about to be sent: from here its outcome is unknown until told (STATE_STEP_BEGUN). */
void state_step_begin(state *st, const struct state_step_note *notes, size_t n, state_rows_fn done, void *user);

struct state_step_result {
    int64_t row;
    uint32_t seq;
    const char *target_folder;               /* NULL: the step put nothing anywhere */
    uint32_t target_uidvalidity, target_uid; /* COPYUID or APPENDUID (RFC 4315); 0 = not told */
    bool moved;                              /* the message itself is there now, not a copy */
};
/* The row is done with its last step. A target UID is remembered as our own copy (state_arrival.own). Repeats change
 * nothing. */
void state_step_done(state *st, const struct state_step_result *results, size_t n, state_rows_fn done, void *user);

struct state_step_failure {
    int64_t row;
    uint32_t seq;
    bool maybe_done;   /* the answer never came: the step stays BEGUN; else it is PENDING again */
    bool waits;        /* it has not failed: it is gone on with after the delay. Attempts and error stay as they are */
    uint64_t delay_ms; /* until the next try: the message's next_at */
    const error *err;  /* code, text and rule are kept; NULL with `waits` */
    const void *note;  /* replaces that of the step; NULL leaves it */
    size_t note_len;
};
void state_step_failed(state *st, const struct state_step_failure *failures, size_t n, state_rows_fn done, void *user);

struct state_claim {
    int64_t row;
    uint32_t seq;
    const char *target_folder;
    uint32_t target_uidvalidity; /* never 0 */
    const uint32_t *uids;        /* that may be the copy this step has made, the likeliest first */
    size_t n_uids;
};
typedef void (*state_claim_fn)(void *user, const error *err, uint32_t uid);
/* Whose copy is it, where the answer to a COPY was lost: the first of these UIDs that is not known to be another
 * message's copy (our own: state_arrival.own) is this step's from now on, and answered; 0 = none is left. A step that
 * has one already is answered that. */
void state_step_claim(state *st, const struct state_claim *claim, state_claim_fn done, void *user);

/* --- quarantine --------------------------------------------------------------------------------------------------- */

/* With or without a plan. Unfinished deliveries of the row are held. */
void state_park(state *st, int64_t row, const error *err, state_rows_fn done, void *user);
/* PARKED or waiting for a retry: back to PENDING or PLANNED, attempts and faults 0, due now, its dead letter due again.
 * Other rows are answered as they are. Then state_load those that are not `waiting`. */
void state_retry(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user);
/* Forgets rows with their steps and deliveries, whatever their stage, and logs it. The ledger keeps them as handled.
 * Answers with the stage they had. */
void state_drop(state *st, const int64_t *rows, size_t n, state_rows_fn done, void *user);

/* --- reading ------------------------------------------------------------------------------------------------------ */

enum state_step_state {
    STATE_STEP_PENDING, /* not sent, or sent and known not to be done */
    STATE_STEP_BEGUN,   /* maybe sent, outcome unknown */
    STATE_STEP_DONE,
    STATE_STEP_FAILED, /* its webhook refused for good; the row is parked */
};

struct state_step_info {
    uint32_t seq;
    enum state_step_state state;
    const char *verb, *rule;
    const void *args;
    size_t args_len;
    const void *note; /* NULL = none */
    size_t note_len;
    bool needs_uid;
    uint32_t attempts;    /* failures so far */
    const char *delivery; /* id in the outbox, NULL = none */
    const char *target_folder;
    uint32_t target_uidvalidity, target_uid;
    bool moved;
    int64_t done_at; /* 0 = not done */
};

struct state_message {
    int64_t row;
    const char *account, *folder;
    uint32_t uidvalidity, uid;
    const char *event; /* "new"; "flags", "gone": see changes.h */
    const char *flags;          /* "flags": after the change, "gone": as last known; separated by spaces; else NULL */
    const char *added, *removed; /* "flags": likewise */
    enum state_stage stage;
    uint32_t attempts, faults;
    bool own, waiting; /* see state_arrival and state_row */
    bool rekey; /* its UIDVALIDITY is gone and steps that need the UID are open: it waits to be found again. What was
                   not found by a whole listing of the folder is for the caller to park */
    const char *identity;
    int64_t arrived_at, next_at, finished_at; /* next_at: not before; finished_at 0 = open. Make a delay of next_at when
                                                 it is read; do not compare it with a clock later */
    int error_code;                           /* enum error_code, -1 = none */
    const char *error_text, *error_rule;
    const void *meta; /* "gone": that of the message's own row, else its state_seen.message_id */
    size_t meta_len;
    const struct state_step_info *steps; /* with_steps only, by seq */
    size_t n_steps;
};
/* `more`: the limit cut it; ask again with `after` = the last row. */
typedef void (*state_messages_fn)(void *user, const error *err, const struct state_message *messages, size_t n,
                                  bool more);

#define STATE_IN(stage) (1u << (stage))
#define STATE_IN_OPEN (STATE_IN(STATE_PENDING) | STATE_IN(STATE_PLANNED) | STATE_IN(STATE_PARKED))

struct state_filter {
    const char *account, *folder; /* NULL = all; a folder only with its account */
    unsigned stages;              /* STATE_IN(...) | ..., 0 = STATE_IN_OPEN */
    bool skip_waiting; /* leave out what the outbox goes on with: a dead endpoint's backlog stays on disk */
    bool rekey_only;
    bool with_steps;
    bool newest_first; /* `after` then means before */
    int64_t after;     /* 0 = from the start */
    size_t limit;      /* 0 = 100, at most LIMIT_STATE_PAGE */
};
/* Resume: stages PENDING and PLANNED, with_steps, skip_waiting. Quarantine: PARKED. History: DONE, newest_first. */
void state_list(state *st, const struct state_filter *filter, state_messages_fn done, void *user);
/* These rows with steps, those that are gone left out; at most LIMIT_STATE_PAGE. */
void state_load(state *st, const int64_t *rows, size_t n, state_messages_fn done, void *user);

struct state_count {
    const char *account;
    enum state_stage stage; /* open ones only */
    bool waiting;
    uint64_t n;
    int64_t oldest; /* arrived_at */
};
typedef void (*state_counts_fn)(void *user, const error *err, const struct state_count *counts, size_t n);
void state_counts(state *st, state_counts_fn done, void *user);

/* --- the ledger, UIDVALIDITY -------------------------------------------------------------------------------------- */

struct state_handled {
    const char *identity;
    int64_t row;        /* 0 = never handled in this folder; the row itself may be pruned */
    bool open;          /* its plan is not carried out yet */
    bool rekey;         /* it waits for its new UID: state_rekey */
    int64_t handled_at; /* when its plan was stored */
};
/* One entry for each identity, in that order. */
typedef void (*state_handled_fn)(void *user, const error *err, const struct state_handled *handled, size_t n);
void state_find_handled(state *st, const char *account, const char *folder, const char *const *identities, size_t n,
                        state_handled_fn done, void *user);

struct state_validity {
    const char *account, *folder;
    uint32_t uidvalidity; /* the new one */
    uint32_t last_uid;    /* where the cursor starts in it */
    uint64_t modseq;
};
struct state_validity_change {
    uint64_t cancelled; /* rows without a plan: forgotten, the new listing finds them again. Not those of messages that
                           are gone. Changed flags whose plans need the UID are parked */
    uint64_t rekeyed;   /* planned rows that wait for their UID (state_filter.rekey_only) */
};
typedef void (*state_validity_fn)(void *user, const error *err, const struct state_validity_change *change);
/* The folder's rows of any other UIDVALIDITY can no longer be addressed; rows whose open steps need no UID go on, and
 * so do those that a finished step has moved elsewhere (compare their target_uidvalidity with that of the folder they
 * are in). Do not send anything by UID from before this call. Nothing changes if the cursor has this UIDVALIDITY. */
void state_uidvalidity_changed(state *st, const struct state_validity *validity, state_validity_fn done, void *user);

/* The message of this planned row was found under another UID. A row that this UID has without a plan is forgotten; one
 * with a plan is ERROR_INVALID. */
void state_rekey(state *st, int64_t row, uint32_t uidvalidity, uint32_t uid, state_rows_fn done, void *user);

/* --- growing old -------------------------------------------------------------------------------------------------- */

struct state_keep {
    uint64_t history_ms; /* finished messages with their steps */
    uint64_t ledger_ms;  /* identities; take it longer */
};
typedef void (*state_pruned_fn)(void *user, const error *err, uint64_t removed);
/* Removes a bounded number of what is older, and expired keys; call again at once while removed > 0, and then, say, in
 * an hour. Each such round lets age count at most a day more than the round before, so that a clock gone wrong for
 * minutes costs no history. */
void state_prune(state *st, const struct state_keep *keep, state_pruned_fn done, void *user);

#endif
