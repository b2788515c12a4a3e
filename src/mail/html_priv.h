/* HTML as text: one pass, no recursion, bounded output; nothing is fetched or executed. */
#ifndef MAIL_HTML_PRIV_H
#define MAIL_HTML_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Appends the text of html (UTF-8) to out until out is limit long. Block elements begin lines, paragraphs are set off
 * by an empty one, quoted blocks get "> " before each line, list items "* ", links their address behind them in <>
 * where it is not the text itself. Scripts, styles, titles and comments are dropped. False if the limit cut something
 * off.
 */
bool html_to_text(const char *html, size_t len, size_t limit, GString *out);

/* The code point of the named reference (no & and ;), 0 if unknown. */
gunichar html_entity(const char *name, size_t len);

#endif
