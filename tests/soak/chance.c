#include "tests/soak/soak.h"

#include <math.h>

/* splitmix64. */
static uint64_t next(chance *c) {
    uint64_t z = c->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void chance_init(chance *c, uint64_t seed, const char *purpose, unsigned index) {
    c->state = seed;
    for (const char *p = purpose; *p; p++) {
        c->state = next(c) ^ (uint8_t)*p;
    }
    c->state = next(c) ^ index;
    next(c);
}

uint64_t chance_below(chance *c, uint64_t n) {
    return next(c) % n;
}

bool chance_percent(chance *c, unsigned percent) {
    return chance_below(c, 100) < percent;
}

int64_t chance_pause(chance *c, int64_t mean) {
    double u = ((double)(next(c) >> 11) + 1) / 9007199254740993.0;

    return 1 + (int64_t)(-log(u) * (double)mean);
}
