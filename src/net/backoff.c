#include "net/backoff.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

static const struct {
    const char *name;
    uint64_t first, most;
} classes[BACKOFF_CLASSES] = {
    [BACKOFF_NETWORK] = {"network", 1 * SECOND, 5 * MINUTE},
    [BACKOFF_BUSY] = {"busy", 30 * SECOND, 30 * MINUTE},
    [BACKOFF_AUTH] = {"auth", 1 * MINUTE, 6 * HOUR},
    [BACKOFF_TLS] = {"tls", 1 * MINUTE, 1 * HOUR},
};

void backoff_init(backoff *b, random_source *random) {
    *b = (backoff){.random = random};
}

uint64_t backoff_next(backoff *b, enum backoff_class class_, uint64_t hint_ms) {
    uint64_t ceiling = classes[class_].first, wait;

    if (b->failures[class_] < UINT32_MAX) {
        b->failures[class_]++;
    }
    for (uint32_t i = 0; i < b->failures[class_] && ceiling < classes[class_].most; i++) {
        ceiling *= 2;
    }
    wait = random_between(b->random, classes[class_].first, MIN(ceiling, classes[class_].most));
    if (hint_ms > wait) {
        /* All clients of a throttled server got the same hint: do not come back together. */
        hint_ms = MIN(hint_ms, classes[BACKOFF_BUSY].most);
        hint_ms = random_between(b->random, hint_ms, hint_ms + hint_ms / 10);
        wait = MAX(wait, hint_ms);
    }
    return wait;
}

void backoff_healthy(backoff *b) {
    backoff_init(b, b->random);
}

uint32_t backoff_failures(const backoff *b) {
    uint64_t sum = 0;

    for (int i = 0; i < BACKOFF_CLASSES; i++) {
        sum += b->failures[i];
    }
    return (uint32_t)MIN(sum, UINT32_MAX);
}

enum backoff_class backoff_class_of(const error *err) {
    switch (err ? err->code : ERROR_NETWORK) {
    case ERROR_AUTH:
        return BACKOFF_AUTH;
    case ERROR_BUSY:
        return BACKOFF_BUSY;
    case ERROR_TLS:
        return BACKOFF_TLS;
    default:
        return BACKOFF_NETWORK;
    }
}

const char *backoff_class_name(enum backoff_class class_) {
    return (unsigned)class_ < BACKOFF_CLASSES ? classes[class_].name : "unknown";
}
