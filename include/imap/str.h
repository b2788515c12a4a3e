/*
 * imap/str.h - a view of bytes that somebody else owns.
 *
 * Not NUL-terminated, may hold any byte. data == NULL is NIL or absent; an empty string has data != NULL and len 0.
 */
#ifndef IMAP_STR_H
#define IMAP_STR_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct imap_str {
    const char *data;
    size_t len;
} imap_str;

typedef struct imap_strs {
    const imap_str *at;
    size_t count;
} imap_strs;

/* The view of a C string (NULL gives NIL). */
static inline imap_str imap_str_of(const char *s) {
    return (imap_str){s, s ? strlen(s) : 0};
}
/* Same bytes, ASCII letters compared without case. NIL equals nothing. */
static inline bool imap_str_is(imap_str s, const char *word) {
    return s.data && s.len == strlen(word) && g_ascii_strncasecmp(s.data, word, s.len) == 0;
}
static inline bool imap_str_equal(imap_str s, const char *bytes) {
    return s.data && s.len == strlen(bytes) && memcmp(s.data, bytes, s.len) == 0;
}
/* A NUL-terminated copy (g_free), NULL for NIL. */
static inline char *imap_str_dup(imap_str s) {
    return s.data ? g_strndup(s.data, s.len) : NULL;
}

#endif
