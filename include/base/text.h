/*
 * base/text.h - strings of strangers made safe to show; durations and sizes as people write them; a JSON writer.
 *
 * Nothing here keeps a pointer it was given. All output goes to a GString that the caller owns.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Append s (len bytes, -1 = NUL-terminated) as valid UTF-8: control characters, DEL, bidi overrides and invalid bytes
 * become \n, \t, \xNN or \u{NNNN}. */
void text_append_escaped(GString *out, const char *s, gssize len);
char *text_escape(const char *s, gssize len); /* the same, g_free */

/* "5s" "30m" "2h" "7d" "1w" "250ms"; a bare number is seconds. False if malformed, negative or over 100 years. */
bool text_parse_duration(const char *s, uint64_t *ms_out);
/* "20" "64KB" "20 MB" "1GiB": powers of 1024. */
bool text_parse_size(const char *s, uint64_t *bytes_out);
/* "1.5s", "9m", "3h12m", "4d": for people. g_free. */
char *text_format_duration(uint64_t ms);

/* JSON string with its quotes; invalid UTF-8 becomes U+FFFD (RFC 8259 section 8.1). */
void text_append_json(GString *out, const char *s, gssize len);

/* The nearest of a NULL-terminated list by edit distance (at most a third of the length off), or NULL. */
const char *text_nearest(const char *word, const char *const *list);

#endif
