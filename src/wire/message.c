#include "schema_priv.h"

#include <stdalign.h>
#include <string.h>

#define CHUNK_SIZE 2000  /* at most, and at first: a small message that is kept should weigh little */
#define FIRST_CHUNK 240

struct chunk {
    struct chunk *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

struct wire_arena {
    struct chunk *chunks; /* the first one is being filled */
    size_t used;
    size_t next_size; /* of the chunk after those; 0 = FIRST_CHUNK */
    uint8_t *frame;
    char **grown; /* the list that wire_strings_add() grew last, and its capacity */
    size_t grown_size;
};

struct whole {
    wire_message message;
    struct wire_arena arena;
};

wire_message *wire_message_new(enum wire_type type) {
    struct whole *whole = g_new0(struct whole, 1);

    whole->message.type = type;
    whole->message.arena = &whole->arena;
    return &whole->message;
}

void wire_message_free(wire_message *message) {
    if (!message) {
        return;
    }
    for (struct chunk *c = message->arena->chunks, *next; c; c = next) {
        next = c->next;
        g_free(c);
    }
    g_free(message->arena->frame);
    g_free(message);
}

size_t wire_arena_used(const wire_message *message) {
    return message->arena->used;
}

void wire_arena_keep(wire_message *message, uint8_t *frame) {
    message->arena->frame = frame;
}

/* A large block stands behind the chunk being filled, so that the rest of that one is not lost. */
static struct chunk *add_chunk(struct wire_arena *arena, size_t size) {
    bool large = size > CHUNK_SIZE / 4;
    size_t next_size = arena->next_size ? arena->next_size : FIRST_CHUNK;
    size_t room = large ? size : MAX(size, next_size);
    struct chunk *c = g_malloc0(sizeof *c + room);
    struct chunk **link = large && arena->chunks ? &arena->chunks->next : &arena->chunks;

    arena->next_size = large ? next_size : MIN(2 * next_size, CHUNK_SIZE);
    c->size = room;
    c->next = *link;
    *link = c;
    return c;
}

void *wire_alloc(wire_message *message, size_t size) {
    struct wire_arena *arena = message->arena;
    struct chunk *c = arena->chunks;

    size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (!c || c->size - c->used < size) {
        c = add_chunk(arena, size);
    }
    void *p = c->data + c->used;
    c->used += size;
    arena->used += size;
    return p;
}

char *wire_strn(wire_message *message, const char *s, size_t len) {
    if (!s) {
        return NULL;
    }
    char *copy = wire_alloc(message, len + 1);
    memcpy(copy, s, len);
    return copy;
}

char *wire_str(wire_message *message, const char *s) {
    return s ? wire_strn(message, s, strlen(s)) : NULL;
}

wire_bytes wire_copy(wire_message *message, const void *data, size_t len) {
    wire_bytes bytes = {NULL, 0};

    if (data) {
        bytes.data = (const uint8_t *)wire_strn(message, data, len);
        bytes.len = len;
    }
    return bytes;
}

wire_strings wire_strv(wire_message *message, const char *const *v, size_t n) {
    wire_strings list = {NULL, 0};

    if (v && n) {
        list.v = wire_array(message, char *, n);
        for (list.n = 0; list.n < n; list.n++) {
            list.v[list.n] = wire_str(message, v[list.n]);
        }
    }
    return list;
}

void wire_strings_add(wire_message *message, wire_strings *list, const char *s) {
    struct wire_arena *arena = message->arena;
    bool known = list->v && list->v == arena->grown;

    if (!s) {
        return;
    }
    if (!known || list->n == arena->grown_size) {
        size_t size = MAX(list->n * 2, 4);
        char **v = wire_array(message, char *, size);
        if (list->v) {
            memcpy(v, list->v, list->n * sizeof *v);
        }
        list->v = v;
        arena->grown = v;
        arena->grown_size = size;
    }
    list->v[list->n++] = wire_str(message, s);
}

const char *wire_type_name(enum wire_type type) {
    return type < WIRE_TYPES ? wire_schema[type].name : "?";
}

const char *wire_verb_name(enum wire_verb verb) {
    static const char *const names[WIRE_VERBS] = {
        [WIRE_VERB_MOVE] = "move",     [WIRE_VERB_COPY] = "copy",       [WIRE_VERB_FLAG] = "flag",
        [WIRE_VERB_UNFLAG] = "unflag", [WIRE_VERB_DELETE] = "delete",   [WIRE_VERB_JUNK] = "junk",
        [WIRE_VERB_ARCHIVE] = "archive", [WIRE_VERB_POST] = "post",     [WIRE_VERB_STOP] = "stop",
        [WIRE_VERB_LABEL] = "label",   [WIRE_VERB_APPEND] = "append",
    };

    return verb < WIRE_VERBS ? names[verb] : "?";
}
