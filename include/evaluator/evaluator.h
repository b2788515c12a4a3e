/*
 * evaluator/evaluator.h - the process that reads strangers' mail and runs the user's rules (`mailruled evaluator`).
 *
 * Started by the keeper's pool, never by hand. Speaks wire/message.h on fd, shows what it does on the board, and holds
 * nothing else: no network, no secret, no file once the config is loaded. It may be killed at any time.
 */
#ifndef EVALUATOR_EVALUATOR_H
#define EVALUATOR_EVALUATOR_H

/* Serves until fd ends. board_fd: memory of a wire_board, or -1. Returns the exit status: 0, or 1 after a protocol error
 * or when the process cannot be locked down. */
int evaluator_main(int fd, int board_fd);

#endif
