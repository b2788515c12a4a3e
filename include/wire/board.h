/*
 * wire/board.h - one page shared by the keeper and one evaluator: what the evaluator is doing right now.
 *
 * The evaluator writes it after each read, before each turn and before each rule; the keeper reads it while the
 * evaluator runs (to see how long one turn takes) and after it died (to know whom to blame). Plain stores in one
 * direction: a torn read costs at worst one tick of the keeper's watch.
 */
#ifndef WIRE_BOARD_H
#define WIRE_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

enum wire_phase {
    WIRE_PHASE_IDLE,    /* waits for frames, or reads and writes them */
    WIRE_PHASE_SCOPE,
    WIRE_PHASE_MESSAGE, /* reads the message: rule is -1 */
    WIRE_PHASE_RULE,
};

typedef struct wire_board {
    _Atomic uint64_t reads; /* counts up whenever bytes of frames came, before anything is made of them */
    _Atomic uint64_t turn; /* counts up whenever a job starts or goes on */
    _Atomic uint64_t job;
    _Atomic int32_t rule; /* index in the config, -1 = none */
    _Atomic uint32_t phase;
} wire_board;

#endif
