#include "arena_priv.h"

#include <string.h>

enum { CHUNK = 1024, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    _Alignas(ALIGN) char bytes[];
};

void arena_release(struct arena *arena) {
    struct arena_chunk *next;

    for (struct arena_chunk *c = arena->chunks; c; c = next) {
        next = c->next;
        g_free(c);
    }
    *arena = (struct arena){0};
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t least) {
    size_t size = MAX(least, (size_t)CHUNK - sizeof(struct arena_chunk));
    struct arena_chunk *c = g_malloc0(sizeof *c + size);

    c->size = size;
    c->next = arena->chunks;
    arena->chunks = c;
    arena->total += sizeof *c + size;
    return c;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size) {
    struct arena_chunk *c = arena->chunks;
    size_t bytes = (n * size + ALIGN - 1) / ALIGN * ALIGN;

    if (!c || c->size - c->used < bytes) {
        c = add_chunk(arena, bytes);
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

void *arena_memdup(struct arena *arena, const void *bytes, size_t len) {
    void *copy;

    if (!bytes) {
        return NULL;
    }
    copy = arena_alloc(arena, len + 1, 1);
    memcpy(copy, bytes, len);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *s) {
    return s ? arena_memdup(arena, s, strlen(s)) : NULL;
}

const char *const *arena_strings(struct arena *arena, const char *const *list, size_t n) {
    const char **copy = arena_alloc(arena, n, sizeof *copy);

    for (size_t i = 0; i < n; i++) {
        copy[i] = arena_strdup(arena, list[i]);
    }
    return copy;
}

const error *arena_error(struct arena *arena, const error *err) {
    error *copy;

    if (!err) {
        return NULL;
    }
    copy = arena_memdup(arena, err, sizeof *err);
    copy->account = arena_strdup(arena, err->account);
    copy->folder = arena_strdup(arena, err->folder);
    copy->rule = arena_strdup(arena, err->rule);
    copy->text = arena_strdup(arena, err->text);
    return copy;
}

void *arena_grow(struct arena *arena, void *items, size_t n, size_t *cap_inout, size_t size) {
    void *bigger;

    if (n < *cap_inout) {
        return items;
    }
    *cap_inout = *cap_inout ? *cap_inout * 2 : 8;
    bigger = arena_alloc(arena, *cap_inout, size);
    if (n) {
        memcpy(bigger, items, n * size);
    }
    return bigger;
}
