/*
 * base/clock.h - time, injectable.
 *
 * Two readings: elapsed (CLOCK_BOOTTIME: goes on while the machine sleeps, never jumps back; for deadlines) and wall
 * (CLOCK_REALTIME: for what is stored or shown). Milliseconds both. A fake clock moves only when told, and is what
 * tests pass in. A clock outlives everything that was given it.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef struct clock_source {
    uint64_t (*elapsed)(const struct clock_source *self);
    int64_t (*wall)(const struct clock_source *self);
    uint64_t fake_elapsed; /* read by the fake clock only */
    int64_t fake_wall;
} clock_source;

void clock_init_real(clock_source *clock);
void clock_init_fake(clock_source *clock, int64_t wall_ms);
void clock_fake_advance(clock_source *clock, uint64_t ms); /* both readings */

static inline uint64_t clock_elapsed_ms(const clock_source *clock) {
    return clock->elapsed(clock);
}
static inline int64_t clock_wall_ms(const clock_source *clock) {
    return clock->wall(clock);
}

#endif
