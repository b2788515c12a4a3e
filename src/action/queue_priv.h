/* queue_priv.h - the queue itself, for queue.c and report.c. */
#ifndef QUEUE_PRIV_H
#define QUEUE_PRIV_H

#include "verb_priv.h"

struct action_queue {
    action_env env;
    session *session; /* NULL = detached */
    uint32_t uidvalidity;
    GPtrArray *waiting; /* action_item, in the order they came */
    GPtrArray *batches; /* struct action_batch under way */
    struct report *reports;
    loop_timer *turn; /* what comes within one turn of the loop goes out together */
    uint64_t gathered; /* elapsed: since when the oldest item waits for company; 0 = none does */
    bool leaving;      /* what waited leaves */
    bool move_refused;
};

void batch_free(struct action_batch *batch);
void batch_take(struct action_batch *batch, action_item *item);
void report_free(struct report *report);

#endif
