/* Mailbox names: what decodes encodes back to the same bytes; patterns and guesses take anything. */
#include "imap/mailbox.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(imap_str wire, bool utf8) {
    char *name = NULL, *again = NULL;

    if (imap_mailbox_decode(wire, utf8, '/', &name)) {
        if (imap_mailbox_encode(name, utf8, &again)) {
            abort();
        }
        if (!imap_mailbox_is_inbox(name) && !imap_str_equal(wire, again)) {
            abort();
        }
        error_free(imap_mailbox_check(name, '.'));
        g_free(imap_mailbox_localize(name, '.'));
        imap_special_use_guess(name, '/');
        if (!imap_mailbox_match("**", name, '/')) {
            abort();
        }
    }
    g_free(name);
    g_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    imap_str wire = {(const char *)data, size};
    char *text, *wild;

    there_and_back(wire, false);
    there_and_back(wire, true);
    text = g_strndup((const char *)data, size);
    wild = strchr(text, '|'); /* pattern | name */
    if (wild && size < 4000) {
        *wild++ = '\0';
        imap_mailbox_match(text, wild, '/');
        imap_mailbox_match(text, wild, '.');
    }
    g_free(text);
    return 0;
}
