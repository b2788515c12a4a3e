/*
 * evaluator/evaluator.h - the process that reads strangers' mail and runs the user's rules (`mailruled evaluator`).
 *
 * Started by the keeper's pool, never by hand: first the nursery (wire/nursery.h), which reads the config; from it the
 * evaluators, which speak wire/message.h on a socket, show on a board what they do, and hold nothing else: no network,
 * no secret, no file. They may be killed at any time.
 */
#ifndef EVALUATOR_EVALUATOR_H
#define EVALUATOR_EVALUATOR_H

/* Reads the config that LOAD on fd names, then forks evaluators as nursery_fd asks, until fd ends. Returns the exit
 * status, also in the forked processes: 0, or 1 after a protocol error or when a process cannot be locked down. */
int evaluator_main(int fd, int nursery_fd);

#endif
