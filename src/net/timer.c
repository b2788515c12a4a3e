#include "loop_priv.h"

#define STOPPED SIZE_MAX

struct loop_timer {
    event_loop *loop;
    loop_fn fn;
    void *user;
    uint64_t deadline;
    uint64_t order;
    size_t index; /* in the heap, or STOPPED */
};

void timer_heap_init(timer_heap *heap) {
    heap->timers = g_ptr_array_new();
    heap->started = 0;
}

void timer_heap_release(timer_heap *heap) {
    g_ptr_array_free(heap->timers, TRUE);
}

static loop_timer *at(const timer_heap *heap, size_t index) {
    return heap->timers->pdata[index];
}

static void place(timer_heap *heap, loop_timer *timer, size_t index) {
    heap->timers->pdata[index] = timer;
    timer->index = index;
}

static bool before(const loop_timer *a, const loop_timer *b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void sift_up(timer_heap *heap, loop_timer *timer) {
    size_t index = timer->index;

    while (index > 0 && before(timer, at(heap, (index - 1) / 2))) {
        place(heap, at(heap, (index - 1) / 2), index);
        index = (index - 1) / 2;
    }
    place(heap, timer, index);
}

static void sift_down(timer_heap *heap, loop_timer *timer) {
    size_t index = timer->index;

    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= heap->timers->len) {
            break;
        }
        if (child + 1 < heap->timers->len && before(at(heap, child + 1), at(heap, child))) {
            child++;
        }
        if (!before(at(heap, child), timer)) {
            break;
        }
        place(heap, at(heap, child), index);
        index = child;
    }
    place(heap, timer, index);
}

static void heap_remove(timer_heap *heap, loop_timer *timer) {
    size_t index = timer->index;
    loop_timer *last = at(heap, heap->timers->len - 1);

    g_ptr_array_set_size(heap->timers, (gint)heap->timers->len - 1);
    if (last != timer) {
        place(heap, last, index);
        sift_up(heap, last);
        sift_down(heap, last);
    }
    timer->index = STOPPED;
}

uint64_t timer_heap_next(const timer_heap *heap) {
    return heap->timers->len ? at(heap, 0)->deadline : UINT64_MAX;
}

void timer_heap_fire(timer_heap *heap, uint64_t now) {
    uint64_t newest = heap->started;

    while (heap->timers->len) {
        loop_timer *timer = at(heap, 0);

        if (timer->deadline > now || timer->order > newest) {
            return;
        }
        heap_remove(heap, timer);
        timer->fn(timer->user);
    }
}

loop_timer *loop_timer_new(event_loop *loop, loop_fn fn, void *user) {
    loop_timer *timer = g_new0(loop_timer, 1);

    *timer = (loop_timer){.loop = loop, .fn = fn, .user = user, .index = STOPPED};
    return timer;
}

void loop_timer_free(loop_timer *timer) {
    if (timer) {
        loop_timer_stop(timer);
        g_free(timer);
    }
}

void loop_timer_start(loop_timer *timer, uint64_t ms) {
    timer_heap *heap = loop_timers(timer->loop);
    uint64_t now = loop_now(timer->loop);

    loop_timer_stop(timer);
    timer->deadline = ms < UINT64_MAX - 1 - now ? now + ms : UINT64_MAX - 1;
    timer->order = ++heap->started;
    timer->index = heap->timers->len;
    g_ptr_array_add(heap->timers, timer);
    sift_up(heap, timer);
}

void loop_timer_start_within(loop_timer *timer, uint64_t ms) {
    if (!loop_timer_active(timer) || loop_timer_left(timer) > ms) {
        loop_timer_start(timer, ms);
    }
}

void loop_timer_stop(loop_timer *timer) {
    if (timer->index != STOPPED) {
        heap_remove(loop_timers(timer->loop), timer);
    }
}

bool loop_timer_active(const loop_timer *timer) {
    return timer->index != STOPPED;
}

uint64_t loop_timer_left(const loop_timer *timer) {
    uint64_t now = loop_now(timer->loop);

    return timer->index != STOPPED && timer->deadline > now ? timer->deadline - now : 0;
}
