/* The new text of a reply. */
#ifndef MAIL_REPLY_PRIV_H
#define MAIL_REPLY_PRIV_H

#include <glib.h>
#include <stddef.h>

/* Fills out with text (valid UTF-8, lines end in LF) without quoted lines, the lines that introduce a quote, everything
 * behind a separator or header block of an unquoted original, and the signature; empty lines at both ends are
 * removed. */
void reply_extract(const char *text, size_t len, GString *out);

#endif
