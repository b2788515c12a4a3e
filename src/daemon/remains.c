#include "remains_priv.h"

#include <glib.h>
#include <string.h>

char *remains_message_id(const char *block, size_t len) {
    static const char name[] = "message-id:";
    const char *end = block + len, *line = block;

    for (const char *next; line < end; line = next) {
        next = memchr(line, '\n', (size_t)(end - line));
        next = next ? next + 1 : end;
        if ((size_t)(end - line) < strlen(name) || g_ascii_strncasecmp(line, name, strlen(name)) != 0) {
            continue;
        }
        const char *open = memchr(line, '<', (size_t)(end - line));
        const char *close = open ? memchr(open, '>', (size_t)(end - open)) : NULL;
        for (const char *p = open; close && p < close; p++) {
            close = *p > ' ' && *p < 0x7f ? close : NULL;
        }
        return close ? g_strndup(open + 1, (gsize)(close - open - 1)) : NULL;
    }
    return NULL;
}

char *remains_of(const char *message_id) {
    return message_id ? g_strdup_printf("Message-ID: <%s>\r\n\r\n", message_id) : g_strdup("\r\n");
}
