/*
 * wire/nursery.h - how the keeper gets its evaluators: forked from one process that has read the config.
 *
 * `mailruled evaluator` reads the config once (LOAD and CONFIG on WIRE_FD) and from then on only forks. So every
 * evaluator of a config, also one that replaces another weeks later, has the very same rules in the same order,
 * whatever happened to the file, costs no second reading, and shares the memory of what was read.
 *
 * WIRE_NURSERY_FD is a SOCK_SEQPACKET socket: one request or notice a packet. With NURSERY_FORK come two descriptors
 * (SCM_RIGHTS): the new evaluator's end of its socket pair, on which it speaks wire/message.h, and its board
 * (wire/board.h). Evaluators die with the nursery, and the nursery with the keeper.
 */
#ifndef WIRE_NURSERY_H
#define WIRE_NURSERY_H

#include <stdint.h>

#define WIRE_FD 3
#define WIRE_NURSERY_FD 4

enum nursery_op {
    NURSERY_FORK,
    NURSERY_KILL, /* SIGKILL; only the parent knows whether a pid is still its child's */
};

struct nursery_request {
    uint32_t op;
    uint32_t reserved;
    uint64_t id; /* chosen by the keeper */
};

enum nursery_event {
    NURSERY_DEAD, /* also when it could not be forked at all (status 1) */
};

struct nursery_notice {
    uint32_t event;
    uint32_t reserved;
    uint64_t id;
    int32_t status; /* exit status, -1 when a signal ended it */
    int32_t signum; /* that signal, else 0 */
};

#endif
