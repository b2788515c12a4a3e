/*
 * arena_priv.h - memory of one request: what it was given, copied, and what it answers. Freed as a whole.
 *
 * Not locked: a request is held by one thread at a time.
 */
#ifndef STATE_ARENA_PRIV_H
#define STATE_ARENA_PRIV_H

#include "base/error.h"

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
    size_t total; /* bytes taken from the heap */
};

void arena_release(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t n, size_t size); /* zeroed; n * size must not overflow; never NULL */
void *arena_memdup(struct arena *arena, const void *bytes, size_t len); /* NULL for NULL */
char *arena_strdup(struct arena *arena, const char *s);                 /* NULL for NULL */
const char *const *arena_strings(struct arena *arena, const char *const *list, size_t n);
const error *arena_error(struct arena *arena, const error *err); /* NULL for NULL; never error_free'd */
/* items has room for one more after this; *cap_inout 0 with items NULL to begin with. */
void *arena_grow(struct arena *arena, void *items, size_t n, size_t *cap_inout, size_t size);

#endif
