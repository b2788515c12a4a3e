/*
 * imap/set.h - sets of UIDs (or sequence numbers) as ranges (RFC 9051 section 9, "sequence-set").
 *
 * A set keeps its ranges ascending, disjoint and merged, so formatting is always ascending and as short as possible.
 * Nothing ever expands a range: {1:4294967295} costs eight bytes. 0 is no UID and is never in a set.
 *
 * imap_ranges is the read-only form in parsed responses: in the order the server sent, each low <= high, not merged.
 */
#ifndef IMAP_SET_H
#define IMAP_SET_H

#include "base/error.h"
#include "imap/str.h"

typedef struct imap_range {
    uint32_t low, high; /* both inside; 1 <= low <= high */
} imap_range;

typedef struct imap_ranges {
    const imap_range *at;
    size_t count;
} imap_ranges;

typedef struct imap_set {
    imap_range *ranges;
    size_t count, room;
} imap_set;

#define IMAP_SET_INIT                                                                                                  \
    { NULL, 0, 0 }

void imap_set_init(imap_set *set);
void imap_set_release(imap_set *set); /* the set is empty and usable again */
void imap_set_clear(imap_set *set);   /* empty, memory kept */

/* Adding at the upper end is O(1), elsewhere O(ranges). low and high may come in either order; 0 is passed over. */
void imap_set_add(imap_set *set, uint32_t uid);
void imap_set_add_range(imap_set *set, uint32_t low, uint32_t high);
void imap_set_add_ranges(imap_set *set, imap_ranges ranges);
void imap_set_remove_range(imap_set *set, uint32_t low, uint32_t high);
/* Keep only what is in low..high. */
void imap_set_clip(imap_set *set, uint32_t low, uint32_t high);

bool imap_set_contains(const imap_set *set, uint32_t uid); /* O(log ranges) */
bool imap_set_is_empty(const imap_set *set);
uint64_t imap_set_size(const imap_set *set); /* how many UIDs */
uint32_t imap_set_min(const imap_set *set);  /* 0 if empty */
uint32_t imap_set_max(const imap_set *set);  /* 0 if empty */
/* The smallest member above `after` (start with 0), or 0 at the end. For loops that are bounded by what was asked. */
uint32_t imap_set_next(const imap_set *set, uint32_t after);

/* Take members off the low end into chunk_out (which is cleared first): at most max_uids of them and at most
 * max_octets when formatted, but always at least one. False when there was nothing left. Call until then. */
bool imap_set_take(imap_set *set, size_t max_uids, size_t max_octets, imap_set *chunk_out);

/* "1:4,7,9:12", ascending; appends nothing for an empty set. */
void imap_set_format(const imap_set *set, GString *out);

/* Parse and add. ERROR_INVALID: syntax, 0, '*', a number of 2^32 or more. ERROR_LIMIT: more than max_ranges.
 * On error the set is as before. */
error *imap_set_parse(imap_set *set, imap_str text, size_t max_ranges);

/* How many UIDs the ranges name, counted twice if named twice. */
uint64_t imap_ranges_size(imap_ranges ranges);
bool imap_ranges_contain(imap_ranges ranges, uint32_t uid); /* O(ranges) */

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(imap_set, imap_set_release)

#endif
