#include "arena_priv.h"

#include <glib.h>
#include <string.h>

#define BLOCK_SIZE 4096
#define ALIGN _Alignof(max_align_t)

struct mail_arena_block {
    struct mail_arena_block *older;
    max_align_t data[];
};

void mail_arena_init(mail_arena *a) {
    memset(a, 0, sizeof *a);
}

void mail_arena_release(mail_arena *a) {
    while (a->blocks) {
        struct mail_arena_block *older = a->blocks->older;
        g_free(a->blocks);
        a->blocks = older;
    }
    mail_arena_init(a);
}

char *mail_arena_open(mail_arena *a, size_t size) {
    if ((size_t)(a->end - a->next) < size) {
        size_t room = MAX(size + ALIGN, BLOCK_SIZE);
        struct mail_arena_block *block = g_malloc(sizeof *block + room);
        block->older = a->blocks;
        a->blocks = block;
        a->next = (char *)block->data;
        a->end = a->next + room;
    }
    return a->next;
}

void mail_arena_close(mail_arena *a, size_t used) {
    size_t rounded = (used + ALIGN - 1) / ALIGN * ALIGN;

    a->next += MIN(rounded, (size_t)(a->end - a->next));
}

void *mail_arena_alloc(mail_arena *a, size_t size) {
    void *p = mail_arena_open(a, size);

    memset(p, 0, size);
    mail_arena_close(a, size);
    return p;
}

char *mail_arena_strndup(mail_arena *a, const char *s, size_t len) {
    char *copy = mail_arena_open(a, len + 1);

    memcpy(copy, s, len);
    copy[len] = '\0';
    mail_arena_close(a, len + 1);
    return copy;
}

char *mail_arena_strdup(mail_arena *a, const char *s) {
    return s ? mail_arena_strndup(a, s, strlen(s)) : NULL;
}
