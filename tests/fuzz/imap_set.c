/* Sets: any text; what parses formats to a canonical text that parses to the same, and chunks cover it. */
#include "base/limits.h"
#include "imap/set.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_order(const imap_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].low == 0 || set->ranges[i].low > set->ranges[i].high ||
            (i && set->ranges[i].low <= (uint64_t)set->ranges[i - 1].high + 1)) {
            abort();
        }
    }
}

static void check_round_trip(const imap_set *set) {
    g_auto(imap_set) again = IMAP_SET_INIT;
    GString *text = g_string_new(NULL), *second = g_string_new(NULL);

    imap_set_format(set, text);
    if (imap_set_parse(&again, (imap_str){text->str, text->len}, SIZE_MAX)) {
        abort();
    }
    imap_set_format(&again, second);
    if (strcmp(text->str, second->str) != 0) {
        abort();
    }
    g_string_free(text, TRUE);
    g_string_free(second, TRUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    g_auto(imap_set) set = IMAP_SET_INIT;
    g_auto(imap_set) chunk = IMAP_SET_INIT;
    error *err = imap_set_parse(&set, (imap_str){(const char *)data, size}, LIMIT_IMAP_SET_RANGES);
    uint64_t total, taken = 0;

    if (err) {
        error_free(err);
        return 0;
    }
    check_order(&set);
    check_round_trip(&set);
    imap_set_clip(&set, 3, 4000000000u);
    imap_set_remove_range(&set, 10, 20);
    check_order(&set);
    total = imap_set_size(&set);
    while (imap_set_take(&set, 100000000, 20, &chunk)) {
        check_order(&chunk);
        taken += imap_set_size(&chunk);
    }
    if (taken != total) {
        abort();
    }
    return 0;
}
