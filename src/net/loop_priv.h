/*
 * net/loop_priv.h - what the files of this layer share about the loop.
 */
#ifndef NET_LOOP_PRIV_H
#define NET_LOOP_PRIV_H

#include "net/loop.h"

#include <stddef.h>
#include <uv.h>

#define LOOP_READ_BUFFER (64 * 1024)

uv_loop_t *loop_uv(event_loop *loop);
/* One buffer of LOOP_READ_BUFFER bytes for whoever reads right now; its content is valid until the next read. */
uint8_t *loop_read_buffer(event_loop *loop);
/* ERROR_IO with libuv's words for a negative status. */
error *loop_uv_error(int status, const char *what);

/* timer.c: a heap of timers, by deadline and then by start. */
typedef struct timer_heap {
    GPtrArray *timers;
    uint64_t started; /* counts starts */
} timer_heap;

void timer_heap_init(timer_heap *heap);
void timer_heap_release(timer_heap *heap);
/* The earliest deadline, or UINT64_MAX. */
uint64_t timer_heap_next(const timer_heap *heap);
/* Fire what was started before this call and is due at now. */
void timer_heap_fire(timer_heap *heap, uint64_t now);
timer_heap *loop_timers(event_loop *loop);

#endif
