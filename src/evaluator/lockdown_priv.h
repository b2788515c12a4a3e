/*
 * lockdown_priv.h - what an evaluator gives up.
 *
 * At its start: core dumps, being traced, writing files, more privileges, outliving its keeper. Once the config is
 * loaded: memory beyond its bound, every file (Landlock where the kernel has it), every system call that computing does
 * not need (seccomp). Denied calls fail softly where a library may try them (open, stat: EACCES), and kill the process
 * where nothing honest would (socket, exec, fork, ptrace, open for writing).
 */
#ifndef EVALUATOR_LOCKDOWN_PRIV_H
#define EVALUATOR_LOCKDOWN_PRIV_H

#include "base/error.h"

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0 /* its shadow memory does not fit any RLIMIT_AS */
#endif

/* Before anything is read. */
error *lockdown_early(void);
/* For good. memory: bytes of address space, 0 = unbounded. */
error *lockdown_final(uint64_t memory);

#endif
