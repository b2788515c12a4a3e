/*
 * Each needle is filed under one group of four octets in it, the one that is rarest among all needles. A haystack is
 * walked once; where one of the groups turns up, the needles filed there are compared. Needles below four octets are
 * searched for one by one.
 */
#include "match_priv.h"

#include <string.h>

enum { GRAM = 4, FILTER_BITS = 16 };

struct needle {
    const char *s;
    size_t len;
    enum needle_place place;
    unsigned id;
    uint32_t gram;
    uint32_t offset; /* of the gram */
};

struct needles {
    GArray *all; /* struct needle, the long ones sorted by bucket once prepared */
    GArray *shorts;
    uint32_t *buckets; /* [n_buckets + 1]: where each begins in all */
    unsigned bucket_bits;
    uint8_t filter[1 << (FILTER_BITS - 3)];
};

static uint32_t gram_at(const char *s) {
    const unsigned char *p = (const unsigned char *)s;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t spread(uint32_t gram) {
    return gram * UINT32_C(2654435761);
}

struct needles *needles_new(void) {
    struct needles *needles = g_new0(struct needles, 1);

    needles->all = g_array_new(FALSE, FALSE, sizeof(struct needle));
    needles->shorts = g_array_new(FALSE, FALSE, sizeof(struct needle));
    return needles;
}

void needles_free(struct needles *needles) {
    if (needles) {
        g_array_unref(needles->all);
        g_array_unref(needles->shorts);
        g_free(needles->buckets);
        g_free(needles);
    }
}

void needles_add(struct needles *needles, const char *s, size_t len, enum needle_place place, unsigned id) {
    struct needle n = {.s = s, .len = len, .place = place, .id = id};

    g_array_append_val(len < GRAM ? needles->shorts : needles->all, n);
}

static void choose_grams(GArray *all) {
    GHashTable *counts = g_hash_table_new(NULL, NULL);

    for (unsigned i = 0; i < all->len; i++) {
        const struct needle *n = &g_array_index(all, struct needle, i);
        for (size_t at = 0; at + GRAM <= n->len; at++) {
            gpointer key = GUINT_TO_POINTER(gram_at(n->s + at));
            g_hash_table_insert(counts, key, GUINT_TO_POINTER(GPOINTER_TO_UINT(g_hash_table_lookup(counts, key)) + 1));
        }
    }
    for (unsigned i = 0; i < all->len; i++) {
        struct needle *n = &g_array_index(all, struct needle, i);
        unsigned best = UINT_MAX;
        for (size_t at = 0; at + GRAM <= n->len; at++) {
            uint32_t gram = gram_at(n->s + at);
            unsigned count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, GUINT_TO_POINTER(gram)));
            if (count < best) {
                best = count;
                n->gram = gram;
                n->offset = (uint32_t)at;
            }
        }
    }
    g_hash_table_unref(counts);
}

static int by_bucket(const void *a, const void *b) {
    uint32_t x = spread(((const struct needle *)a)->gram), y = spread(((const struct needle *)b)->gram);

    return x < y ? -1 : x > y;
}

void needles_prepare(struct needles *needles) {
    GArray *all = needles->all;

    choose_grams(all);
    g_array_sort(all, by_bucket);
    for (needles->bucket_bits = 4; (1u << needles->bucket_bits) < all->len && needles->bucket_bits < 24;) {
        needles->bucket_bits++;
    }
    size_t n_buckets = (size_t)1 << needles->bucket_bits;
    needles->buckets = g_new0(uint32_t, n_buckets + 1);
    for (unsigned i = 0; i < all->len; i++) {
        uint32_t h = spread(g_array_index(all, struct needle, i).gram);
        needles->buckets[(h >> (32 - needles->bucket_bits)) + 1]++;
        needles->filter[h >> (32 - FILTER_BITS + 3)] |= (uint8_t)(1u << ((h >> (32 - FILTER_BITS)) & 7));
    }
    for (size_t i = 0; i < n_buckets; i++) {
        needles->buckets[i + 1] += needles->buckets[i];
    }
}

/* Does the needle stand at this place of the text, and may it stand there? */
static bool is_at(const struct needle *n, const char *text, size_t len, size_t at) {
    return len - at >= n->len && (n->place != NEEDLE_AT_START || at == 0) &&
           (n->place != NEEDLE_AT_END || at + n->len == len) && memcmp(text + at, n->s, n->len) == 0;
}

static bool is_short_found(const struct needle *n, const char *text, size_t len) {
    if (n->len > len) {
        return false;
    }
    if (n->place == NEEDLE_ANYWHERE) {
        return n->len == 0 || memmem(text, len, n->s, n->len);
    }
    return is_at(n, text, len, n->place == NEEDLE_AT_START ? 0 : len - n->len);
}

static void compare_bucket(const struct needles *needles, uint32_t gram, const char *text, size_t len, size_t at,
                           void (*hit)(void *user, unsigned id), void *user) {
    uint32_t bucket = spread(gram) >> (32 - needles->bucket_bits);

    for (uint32_t i = needles->buckets[bucket]; i < needles->buckets[bucket + 1]; i++) {
        const struct needle *n = &g_array_index(needles->all, struct needle, i);
        if (n->gram == gram && at >= n->offset && is_at(n, text, len, at - n->offset)) {
            hit(user, n->id);
        }
    }
}

void needles_scan(const struct needles *needles, const char *text, size_t len, void (*hit)(void *user, unsigned id),
                  void *user) {
    for (unsigned i = 0; i < needles->shorts->len; i++) {
        const struct needle *n = &g_array_index(needles->shorts, struct needle, i);
        if (is_short_found(n, text, len)) {
            hit(user, n->id);
        }
    }
    if (len < GRAM || needles->all->len == 0) {
        return;
    }
    uint32_t gram = gram_at(text) >> 8;
    for (size_t at = 0; at + GRAM <= len; at++) {
        gram = gram << 8 | (unsigned char)text[at + GRAM - 1];
        uint32_t h = spread(gram) >> (32 - FILTER_BITS);
        if (needles->filter[h >> 3] >> (h & 7) & 1) {
            compare_bucket(needles, gram, text, len, at, hit, user);
        }
    }
}
