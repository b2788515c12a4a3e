/*
 * serve_priv.h - one evaluator at work: frames in, rules, frames out.
 */
#ifndef EVALUATOR_SERVE_PRIV_H
#define EVALUATOR_SERVE_PRIV_H

#include "rules/rules.h"
#include "wire/board.h"
#include "wire/frame.h"

struct evaluator {
    int fd;
    wire_board *board; /* own_board until there is one to be seen by the keeper */
    wire_board own_board;
    wire_decoder *in;
    GByteArray *out;    /* replies, gathered while more is to be done */
    uint64_t out_since; /* when the oldest byte of out was put there, ns */
    struct rules_host host;
    rules *rules;
    GHashTable *jobs; /* &number -> struct job */
    unsigned turn_logs;
    bool failed; /* the peer is gone or speaks nonsense */
};

typedef void (*serve_fn)(struct evaluator *e, wire_message *message);

void serve_init(struct evaluator *e, int fd);
void serve_release(struct evaluator *e); /* not the rules */
/* In a forked process: forget the nursery's socket and go on with this one. */
void serve_begin(struct evaluator *e, int fd);
/* Until fd ends. */
void serve_jobs(struct evaluator *e);

/* Decodes and hands each message (to be freed) to fn. */
void serve_feed(struct evaluator *e, const void *data, size_t len, serve_fn fn);
error *serve_put(struct evaluator *e, wire_message *message); /* takes it over */
void serve_flush(struct evaluator *e);
/* Tells the keeper why, and ends. Takes err over; NULL changes nothing. */
void serve_give_up(struct evaluator *e, error *err);

#endif
