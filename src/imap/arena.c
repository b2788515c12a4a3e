#include "arena_priv.h"

#include <glib.h>
#include <stdalign.h>
#include <string.h>

enum { BLOCK_SIZE = 4000 };

struct imap_arena_block {
    struct imap_arena_block *older;
    size_t used, room;
    alignas(max_align_t) char bytes[];
};

static size_t aligned(size_t size) {
    return (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static struct imap_arena_block *add_block(imap_arena *arena, size_t least) {
    size_t room = MAX(least, (size_t)BLOCK_SIZE);
    struct imap_arena_block *block = g_malloc(sizeof *block + room);

    block->older = arena->block;
    block->used = 0;
    block->room = room;
    arena->block = block;
    return block;
}

void *imap_arena_alloc(imap_arena *arena, size_t size) {
    struct imap_arena_block *block = arena->block;
    void *out;

    size = aligned(size);
    if (!block || block->room - block->used < size) {
        block = add_block(arena, size);
    }
    out = block->bytes + block->used;
    block->used += size;
    return out;
}

void *imap_arena_grow(imap_arena *arena, void *old, size_t old_size, size_t size) {
    struct imap_arena_block *block = arena->block;
    void *out;

    if (old && (char *)old + aligned(old_size) == block->bytes + block->used) {
        size_t more = aligned(size) - aligned(old_size);
        if (block->room - block->used >= more) {
            block->used += more;
            return old;
        }
    }
    out = imap_arena_alloc(arena, size);
    if (old && old_size) {
        memcpy(out, old, old_size);
    }
    return out;
}

void imap_arena_reset(imap_arena *arena) {
    struct imap_arena_block *block = arena->block;

    while (block && (block->older || block->room > BLOCK_SIZE)) {
        struct imap_arena_block *older = block->older;
        g_free(block);
        block = older;
    }
    if (block) {
        block->used = 0;
    }
    arena->block = block;
}

void imap_arena_release(imap_arena *arena) {
    while (arena->block) {
        struct imap_arena_block *older = arena->block->older;
        g_free(arena->block);
        arena->block = older;
    }
}
