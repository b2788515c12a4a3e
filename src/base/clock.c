#include "base/clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t real_elapsed(const clock_source *self) {
    (void)self;
    return (uint64_t)read_ms(CLOCK_BOOTTIME);
}

static int64_t real_wall(const clock_source *self) {
    (void)self;
    return read_ms(CLOCK_REALTIME);
}

static uint64_t fake_elapsed(const clock_source *self) {
    return self->fake_elapsed;
}

static int64_t fake_wall(const clock_source *self) {
    return self->fake_wall;
}

void clock_init_real(clock_source *clock) {
    *clock = (clock_source){.elapsed = real_elapsed, .wall = real_wall};
}

void clock_init_fake(clock_source *clock, int64_t wall_ms) {
    *clock = (clock_source){.elapsed = fake_elapsed, .wall = fake_wall, .fake_elapsed = 1000, .fake_wall = wall_ms};
}

void clock_fake_advance(clock_source *clock, uint64_t ms) {
    clock->fake_elapsed += ms;
    clock->fake_wall += (int64_t)ms;
}
