/*
 * changes_priv.h - what a folder's changes are found with.
 *
 *   changes.c   what the rules want; what is heard, to the journal
 *   compare.c   asking for what was not heard
 */
#ifndef DAEMON_CHANGES_PRIV_H
#define DAEMON_CHANGES_PRIV_H

#include "daemon_priv.h"

/* Messages asked about in one FETCH (more than session_batch(), flags being small), and told to the journal in one
 * request. */
#define CHANGES_CHUNK 500
/* After a failure. */
#define CHANGES_AGAIN_MS 10000

struct event_scope {
    wire_message *reply;
    const char **fields;
    uint64_t job;
};

struct changes {
    struct folder *folder;
    struct event_scope scopes[2]; /* flags, gone */
    bool known;    /* the scopes are there */
    unsigned want, next_want; /* enum state_want: what is told; what the scopes that are there ask for */
    bool due;      /* something is said to have changed */
    bool fresh;    /* selected, and not compared since */
    uint64_t compared; /* elapsed: when it last began; 0 = never */
    uint64_t modseq;   /* the highest heard of */
    GArray *heard;     /* struct state_seen, for the journal */
    unsigned asked;    /* requests to the journal under way */
    loop_timer *soon;  /* tell the journal what was heard, or compare again */
    struct compare *compare;
};

static inline struct keeper *changes_keeper(const struct changes *c) {
    return c->folder->account->keeper;
}

/* Everything is to be compared: the folder was selected, or its rules are new. */
void changes_start_over(struct changes *c);
/* A comparison under way comes to nothing. */
void compare_cancel(struct changes *c);
/* Account, folder and what is wanted are filled in. The answer leads to roll_step(). */
void changes_tell(struct changes *c, struct state_observe *what);
void changes_flush(struct changes *c); /* what was heard */
void changes_hear(struct changes *c, const imap_fetch *fetch);
void changes_note_modseq(struct changes *c, const imap_fetch *fetch);

#endif
