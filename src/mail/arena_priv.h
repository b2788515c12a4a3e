/* Memory that lives as long as a view: blocks that only grow, freed together. */
#ifndef MAIL_ARENA_PRIV_H
#define MAIL_ARENA_PRIV_H

#include <stddef.h>

struct arena_block;

typedef struct arena {
    struct arena_block *blocks; /* the newest first */
    char *next, *end;
} arena;

void mail_arena_init(arena *a);
void mail_arena_release(arena *a);
void *mail_arena_alloc(arena *a, size_t size);                    /* zeroed, aligned for any type */
char *mail_arena_strndup(arena *a, const char *s, size_t len);    /* adds a NUL */
char *mail_arena_strdup(arena *a, const char *s);                 /* NULL for NULL */
/* Room for at most size bytes; mail_arena_close keeps the used ones. Nothing else is allocated in between. */
char *mail_arena_open(arena *a, size_t size);
void mail_arena_close(arena *a, size_t used);

#endif
