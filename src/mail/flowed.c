#include "view_priv.h"

#include <string.h>

/* RFC 3676 section 4.4: a line that ends in a space goes on in the next if both are quoted equally deep; "-- " is a
 * signature's separator and never flows; one space at the start was stuffed. Quote marks become "> " each line. */
void flowed_join(GString *out, const char *text, size_t len, bool delsp) {
    const char *end = text + len;
    size_t open_quote = 0;
    bool open = false; /* the last line flows on */

    while (text < end) {
        const char *lf = memchr(text, '\n', (size_t)(end - text)), *stop = lf ? lf : end;
        const char *line = text;
        while (line < stop && *line == '>') {
            line++;
        }
        size_t quote = (size_t)(line - text);
        bool separator = stop - line == 3 && memcmp(line, "-- ", 3) == 0;
        line += line < stop && *line == ' ' && !separator;
        separator = stop - line == 3 && memcmp(line, "-- ", 3) == 0;
        bool joins = open && quote == open_quote && !separator;
        if (open && !joins) {
            g_string_append_c(out, '\n');
        }
        if (!joins) {
            for (size_t i = 0; i < quote; i++) {
                g_string_append_c(out, '>');
            }
            if (quote && line < stop) {
                g_string_append_c(out, ' ');
            }
        }
        open = stop > line && stop[-1] == ' ' && !separator;
        open_quote = quote;
        g_string_append_len(out, line, stop - line - (open && delsp));
        if (!open && lf) {
            g_string_append_c(out, '\n');
        }
        text = lf ? lf + 1 : end;
    }
    if (open) {
        g_string_append_c(out, '\n');
    }
}
