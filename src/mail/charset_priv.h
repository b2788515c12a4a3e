/* Any charset to valid UTF-8, and header text (RFC 2047). Nothing here fails: what cannot be read becomes U+FFFD. */
#ifndef MAIL_CHARSET_PRIV_H
#define MAIL_CHARSET_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* The charsets that mail_runtime_new() loads; NULL-terminated iconv names. */
extern const char *const charset_common[];

/* Appends in as UTF-8 without NUL and without a byte order mark. charset NULL or "" = undeclared: UTF-8 if it is that,
 * else Windows-1252; so is a charset that iconv does not know. False if bytes had to be replaced or the charset is
 * unknown. */
bool charset_append(GString *out, const char *charset, const char *in, size_t len);

/* A header value (unfolded) with its encoded words decoded; CR and LF become spaces; ends trimmed. g_free. */
char *charset_decode_header(const char *raw, size_t len);

/* Appends text (valid UTF-8) with its encoded words decoded; see encoded_word.c. */
void encoded_words_decode(GString *out, const char *text);

#endif
