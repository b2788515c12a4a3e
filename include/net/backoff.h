/*
 * net/backoff.h - when to try again: exponential with full jitter, by class of failure. Pure.
 *
 *     class     first        at most
 *     network   1 s          5 min
 *     busy      30 s         30 min     a longer hint of the server is taken instead, up to 30 min and a tenth
 *     auth      1 min        6 h        never lock an account out
 *     tls       1 min        1 h
 *
 * The n-th failure of a class waits between `first` and min(most, first * 2^n), uniformly. Counts of the classes are
 * kept apart and fall back only when the caller says that all is well: a server that accepts a login and then hangs
 * up gets no faster for it.
 */
#ifndef NET_BACKOFF_H
#define NET_BACKOFF_H

#include "base/error.h"
#include "net/crypto.h"

#include <stdint.h>

/* How long a connection should have been of use before backoff_healthy() is called. */
#define BACKOFF_HEALTHY_MS (2 * 60 * 1000)

enum backoff_class { BACKOFF_NETWORK, BACKOFF_BUSY, BACKOFF_AUTH, BACKOFF_TLS, BACKOFF_CLASSES };

typedef struct backoff {
    random_source *random; /* borrowed */
    uint32_t failures[BACKOFF_CLASSES];
} backoff;

void backoff_init(backoff *b, random_source *random);
/* Count a failure; how long to wait before the next attempt. hint_ms: what the server asked for, 0 = nothing. */
uint64_t backoff_next(backoff *b, enum backoff_class class_, uint64_t hint_ms);
void backoff_healthy(backoff *b);
uint32_t backoff_failures(const backoff *b); /* of all classes since it was healthy */
/* The class an error belongs to: auth, busy and tls by their codes, everything else is network. */
enum backoff_class backoff_class_of(const error *err);
/* "network", "busy", "auth", "tls": static. */
const char *backoff_class_name(enum backoff_class class_);

#endif
