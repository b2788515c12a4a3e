/* Any bytes as a server's stream: whole and in pieces they say the same, and nothing crashes. */
#include "tests/unit/imap/dump.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct limits limits = LIMITS_DEFAULT;
    GString *whole, *pieces;

    if (size < 1) {
        return 0;
    }
    limits.literal = 100000;
    whole = g_string_new(NULL);
    pieces = g_string_new(NULL);
    dump_stream(whole, (const char *)data + 1, size - 1, 0, &limits);
    dump_stream(pieces, (const char *)data + 1, size - 1, 1 + data[0] % 32, &limits);
    if (strcmp(whole->str, pieces->str) != 0) {
        abort();
    }
    g_string_free(whole, TRUE);
    g_string_free(pieces, TRUE);
    return 0;
}
