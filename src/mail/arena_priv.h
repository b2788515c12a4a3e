/* Memory that lives as long as a view: blocks that only grow, freed together. */
#ifndef MAIL_ARENA_PRIV_H
#define MAIL_ARENA_PRIV_H

#include <stddef.h>

struct mail_arena_block;

typedef struct mail_arena {
    struct mail_arena_block *blocks; /* the newest first */
    char *next, *end;
} mail_arena;

void mail_arena_init(mail_arena *a);
void mail_arena_release(mail_arena *a);
void *mail_arena_alloc(mail_arena *a, size_t size);                    /* zeroed, aligned for any type */
char *mail_arena_strndup(mail_arena *a, const char *s, size_t len);    /* adds a NUL */
char *mail_arena_strdup(mail_arena *a, const char *s);                 /* NULL for NULL */
/* Room for at most size bytes; mail_arena_close keeps the used ones. Nothing else is allocated in between. */
char *mail_arena_open(mail_arena *a, size_t size);
void mail_arena_close(mail_arena *a, size_t used);

#endif
