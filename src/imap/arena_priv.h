/*
 * arena_priv.h - memory that lives as long as one response.
 *
 * Allocation is a pointer bump; nothing is freed singly. Zeroed structs are all valid, so imap_arena_reset() on a fresh
 * one is fine. Requests are bounded by their callers, since each byte follows from bytes already received.
 */
#ifndef IMAP_ARENA_PRIV_H
#define IMAP_ARENA_PRIV_H

#include <stddef.h>

typedef struct imap_arena {
    struct imap_arena_block *block; /* the one in use, linked to older ones */
} imap_arena;

void *imap_arena_alloc(imap_arena *arena, size_t size); /* aligned for any type, not cleared */
/* Make the allocation at old longer, in place if it was the last one. Contents up to old_size are kept. */
void *imap_arena_grow(imap_arena *arena, void *old, size_t old_size, size_t size);
void imap_arena_reset(imap_arena *arena);   /* everything is gone; one small block stays */
void imap_arena_release(imap_arena *arena); /* that one, too */

#endif
