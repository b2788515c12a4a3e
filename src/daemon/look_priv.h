/*
 * look_priv.h - how a look at a folder is made.
 *
 *   look.c         when a look starts, goes on and ends
 *   look_chunk.c   one chunk of it: a FETCH, what came of it, and the rows
 *   look_pushed.c  without asking, or ahead of SELECT's answer
 */
#ifndef DAEMON_LOOK_PRIV_H
#define DAEMON_LOOK_PRIV_H

#include "daemon_priv.h"

struct look {
    struct folder *folder; /* NULL = cancelled: what comes back is dropped */
    imap_set todo;
    GQueue line; /* struct chunk under way, in the order of their UIDs */
    bool failed; /* nothing behind a failed chunk counts: the cursor must not pass it */
    bool any;    /* something was journaled */
    bool below;  /* what is looked for is below the cursor */
};

struct chunk {
    struct look *look;
    GList link;      /* in the look's line */
    bool answered;   /* arrives when those before it have: the cursor passes nobody */
    imap_set asked;  /* empty: n:* */
    uint32_t from;
    uint32_t last;   /* where the cursor goes */
    imap_set unsure; /* not delivered: are they there? */
    imap_set seen;   /* delivered */
    GArray *uids;    /* uint32_t: those of them, and of the unsure, that get a row */
    GArray *flags;   /* struct state_seen of those that were delivered; NULL = nobody asks */
    int64_t newest;  /* INTERNALDATE of what was delivered, seconds; 0 = none */
};

struct look *look_new(struct folder *f); /* there is none yet */
/* Fetch more of what is to do; with nothing under way the look has ended, and is freed. */
void look_settle(struct look *l);

struct chunk *look_chunk_new(struct look *l); /* at the end of the line */
void look_chunk_fetch(struct look *l);        /* the next part of what is to do */
void look_chunk_take_in(struct chunk *c, const imap_fetch *fetch);
/* All of it is known: it gets its rows when those before it have. */
void look_chunk_arrive(struct chunk *c);

/* session_call.data and .done of a FETCH, .done of a SEARCH for what is to do; user: the chunk. */
void look_chunk_delivered(void *user, const imap_response *response);
void look_chunk_fetched(void *user, const session_result *result);
void look_chunk_listed(void *user, const session_result *result);

#endif
