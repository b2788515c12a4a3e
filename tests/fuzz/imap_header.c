/* Any bytes as a header block: what is taken for a Message-ID is harmless, and read again it is the same. */
#include "imap/header.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *id = imap_header_message_id((imap_str){(const char *)data, size});

    if (id) {
        g_autofree char *block = g_strdup_printf("Message-ID: <%s>\r\n\r\n", id);
        g_autofree char *again = imap_header_message_id((imap_str){block, strlen(block)});
        for (const char *p = id; *p; p++) {
            if (*p <= 32 || *p >= 127 || *p == '<' || *p == '>') {
                abort();
            }
        }
        if (g_strcmp0(id, again) != 0) {
            abort();
        }
        g_free(id);
    }
    return 0;
}
