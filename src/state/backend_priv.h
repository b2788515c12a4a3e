/*
 * backend_priv.h - what a database has to do for the state. One transaction at a time, on one thread at a time.
 */
#ifndef STATE_BACKEND_PRIV_H
#define STATE_BACKEND_PRIV_H

#include "request_priv.h"

struct backend;

struct backend_ops {
    /* Errors as state_open's. */
    error *(*open)(const struct state_options *options, struct backend **backend_out);
    /* Marks the end as clean. Frees the backend. */
    void (*close)(struct backend *b);
    error *(*begin)(struct backend *b);
    /* Runs one request inside the transaction. What is wrong with it alone goes to r->err, undone. An error returned
     * has cost the whole transaction. */
    error *(*exec)(struct backend *b, struct request *r);
    error *(*commit)(struct backend *b);
    void (*rollback)(struct backend *b); /* also after a failed begin, exec or commit */
    void (*idle)(struct backend *b);     /* after a transaction was answered for: housekeeping */
    const char *(*instance_id)(const struct backend *b);
    bool (*was_clean)(const struct backend *b);
};

extern const struct backend_ops backend_sqlite;

#endif
