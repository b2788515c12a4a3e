#include "imap/set.h"

#include "lexer_priv.h"

void imap_set_init(imap_set *set) {
    *set = (imap_set)IMAP_SET_INIT;
}

void imap_set_release(imap_set *set) {
    g_free(set->ranges);
    imap_set_init(set);
}

void imap_set_clear(imap_set *set) {
    set->count = 0;
}

bool imap_set_is_empty(const imap_set *set) {
    return set->count == 0;
}

/* Index of the first range that ends at or after uid; count if there is none. */
static size_t find(const imap_set *set, uint32_t uid) {
    size_t low = 0, high = set->count;

    if (high && set->ranges[high - 1].high < uid) {
        return high;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].high < uid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Put `with` in the place of ranges first..first+replaced-1. */
static void splice(imap_set *set, size_t first, size_t replaced, const imap_range *with, size_t n) {
    size_t tail = set->count - first - replaced;

    if (set->count - replaced + n > set->room) {
        set->room = MAX(set->room * 2, set->count + n);
        set->ranges = g_renew(imap_range, set->ranges, set->room);
    }
    if (tail) {
        memmove(set->ranges + first + n, set->ranges + first + replaced, tail * sizeof *set->ranges);
    }
    if (n) {
        memcpy(set->ranges + first, with, n * sizeof *with);
    }
    set->count += n - replaced;
}

void imap_set_add(imap_set *set, uint32_t uid) {
    imap_set_add_range(set, uid, uid);
}

void imap_set_add_range(imap_set *set, uint32_t low, uint32_t high) {
    imap_range all = {MIN(low, high), MAX(low, high)};
    size_t first, last;

    if (all.high == 0) {
        return;
    }
    all.low = MAX(all.low, 1u);
    first = find(set, all.low - 1); /* a range that ends just below is joined */
    for (last = first; last < set->count && set->ranges[last].low <= (uint64_t)all.high + 1; last++) {
        all.low = MIN(all.low, set->ranges[last].low);
        all.high = MAX(all.high, set->ranges[last].high);
    }
    splice(set, first, last - first, &all, 1);
}

static int by_low(const void *a, const void *b) {
    const imap_range *x = a, *y = b;

    return x->low < y->low ? -1 : x->low > y->low;
}

/* Adding one by one is quadratic where a server sends them descending: sorted first, each goes to the end. */
void imap_set_add_ranges(imap_set *set, imap_ranges ranges) {
    imap_range *sorted;

    if (ranges.count == 0) {
        return;
    }
    sorted = g_new(imap_range, ranges.count + set->count);
    memcpy(sorted, ranges.at, ranges.count * sizeof *sorted);
    if (set->count) {
        memcpy(sorted + ranges.count, set->ranges, set->count * sizeof *sorted);
    }
    qsort(sorted, ranges.count + set->count, sizeof *sorted, by_low);
    size_t total = ranges.count + set->count;
    imap_set_clear(set);
    for (size_t i = 0; i < total; i++) {
        imap_set_add_range(set, sorted[i].low, sorted[i].high);
    }
    g_free(sorted);
}

void imap_set_remove_range(imap_set *set, uint32_t low, uint32_t high) {
    size_t first, last, n = 0;
    imap_range rest[2];

    if (low > high) {
        uint32_t swapped = low;
        low = high;
        high = swapped;
    }
    first = find(set, low);
    for (last = first; last < set->count && set->ranges[last].low <= high; last++) {
        if (set->ranges[last].low < low) {
            rest[n++] = (imap_range){set->ranges[last].low, low - 1};
        }
        if (set->ranges[last].high > high) {
            rest[n++] = (imap_range){high + 1, set->ranges[last].high};
        }
    }
    if (last > first) {
        splice(set, first, last - first, rest, n);
    }
}

void imap_set_clip(imap_set *set, uint32_t low, uint32_t high) {
    if (low > high) {
        imap_set_clear(set);
        return;
    }
    if (low > 1) {
        imap_set_remove_range(set, 1, low - 1);
    }
    if (high < UINT32_MAX) {
        imap_set_remove_range(set, high + 1, UINT32_MAX);
    }
}

bool imap_set_contains(const imap_set *set, uint32_t uid) {
    size_t i = find(set, uid);

    return uid && i < set->count && set->ranges[i].low <= uid;
}

uint64_t imap_set_size(const imap_set *set) {
    return imap_ranges_size((imap_ranges){set->ranges, set->count});
}

uint32_t imap_set_min(const imap_set *set) {
    return set->count ? set->ranges[0].low : 0;
}

uint32_t imap_set_max(const imap_set *set) {
    return set->count ? set->ranges[set->count - 1].high : 0;
}

uint32_t imap_set_next(const imap_set *set, uint32_t after) {
    size_t i;

    if (after == UINT32_MAX) {
        return 0;
    }
    i = find(set, after + 1);
    return i < set->count ? MAX(set->ranges[i].low, after + 1) : 0;
}

static size_t format_range(imap_range r, char out[24]) {
    return (size_t)(r.low == r.high ? g_snprintf(out, 24, "%u", r.low) : g_snprintf(out, 24, "%u:%u", r.low, r.high));
}

bool imap_set_take(imap_set *set, size_t max_uids, size_t max_octets, imap_set *chunk_out) {
    size_t uids = 0, octets = 0, i;
    char text[24];

    imap_set_clear(chunk_out);
    max_uids = MAX(max_uids, (size_t)1);
    for (i = 0; i < set->count && uids < max_uids; i++) {
        imap_range r = set->ranges[i];
        if ((uint64_t)r.high - r.low >= max_uids - uids) {
            r.high = r.low + (uint32_t)(max_uids - uids) - 1;
        }
        octets += format_range(r, text) + (i > 0);
        if (i > 0 && octets > max_octets) {
            break;
        }
        uids += (size_t)(r.high - r.low) + 1;
        imap_set_add_range(chunk_out, r.low, r.high);
    }
    if (i == 0) {
        return false;
    }
    imap_set_remove_range(set, 1, imap_set_max(chunk_out));
    return true;
}

void imap_set_format(const imap_set *set, GString *out) {
    char text[24];

    for (size_t i = 0; i < set->count; i++) {
        if (i) {
            g_string_append_c(out, ',');
        }
        g_string_append_len(out, text, (gssize)format_range(set->ranges[i], text));
    }
}

error *imap_set_parse(imap_set *set, imap_str text, size_t max_ranges) {
    imap_arena arena = {0};
    lexer lex = {.at = text.data, .end = text.data + text.len, .arena = &arena};
    error *err = NULL;
    imap_ranges ranges;

    if (lex_ranges(&lex, max_ranges, false, &ranges) && lex.at == lex.end) {
        imap_set_add_ranges(set, ranges);
    } else if (lex.why && strcmp(lex.why, "malformed set") != 0) {
        err = error_new(ERROR_LIMIT, "a set with more than %zu ranges", max_ranges);
    } else {
        err = error_new(ERROR_INVALID, "not a set of UIDs");
    }
    imap_arena_release(&arena);
    return err;
}

uint64_t imap_ranges_size(imap_ranges ranges) {
    uint64_t n = 0;

    for (size_t i = 0; i < ranges.count; i++) {
        n += (uint64_t)ranges.at[i].high - ranges.at[i].low + 1;
    }
    return n;
}

bool imap_ranges_contain(imap_ranges ranges, uint32_t uid) {
    for (size_t i = 0; i < ranges.count; i++) {
        if (uid >= ranges.at[i].low && uid <= ranges.at[i].high) {
            return true;
        }
    }
    return false;
}
