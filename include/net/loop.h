/*
 * net/loop.h - the one event loop: timers, descriptors, signals, wake-ups.
 *
 * One thread runs the loop and calls everything in this layer; only loop_async_wake() may come from another thread.
 * A callback gets the `void *user` it was registered with. Every object here is freed by who made it, at any time,
 * also from its own callback; once freed, its callback is not called again. Objects are freed before their loop.
 *
 * Time is the injected clock's (elapsed, which goes on while the machine sleeps): a timer that became due during a
 * suspend fires right after it. With a fake clock timers fire only when the test moves the clock and turns the loop.
 *
 * loop_new() makes the process ignore SIGPIPE: a peer that went away is an error value, never a signal.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct event_loop event_loop;
typedef void (*loop_fn)(void *user);

/* The clock is borrowed and outlives the loop. ERROR_IO when out of descriptors. */
error *loop_new(const clock_source *clock, event_loop **loop_out);
void loop_free(event_loop *loop);
/* Until loop_stop(), or until nothing is left that could call anyone. */
void loop_run(event_loop *loop);
/* loop_run() returns after the present turn. From callbacks only. */
void loop_stop(event_loop *loop);
/* One turn: what is ready now; with wait, blocks until something is. False when nothing is left to wait for. */
bool loop_turn(event_loop *loop, bool wait);
const clock_source *loop_clock(const event_loop *loop);
/* The clock's elapsed milliseconds. */
uint64_t loop_now(const event_loop *loop);

/*
 * Timers: one shot. loop_timer_start() again moves it. 0 ms means "next turn": the way to leave a call stack before
 * doing something; a timer started inside a timer's callback never fires in the same turn. Timers due together fire in
 * order of their deadlines, then of their start. Costs O(log n) and no system call per timer.
 */
typedef struct loop_timer loop_timer;
loop_timer *loop_timer_new(event_loop *loop, loop_fn fn, void *user);
void loop_timer_free(loop_timer *timer);
void loop_timer_start(loop_timer *timer, uint64_t ms);
void loop_timer_start_within(loop_timer *timer, uint64_t ms); /* stays as it is if it fires sooner */
void loop_timer_stop(loop_timer *timer);
bool loop_timer_active(const loop_timer *timer);
uint64_t loop_timer_left(const loop_timer *timer); /* ms until it fires; 0 if due or stopped */

/* Descriptor watch, level triggered. The descriptor stays the caller's; free the watch before closing it. One watch a
 * descriptor. Errors and hang-ups are reported as what was asked for: the read or write then says what it was. */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2 };
typedef struct loop_watch loop_watch;
typedef void (*loop_watch_fn)(void *user, int events);
error *loop_watch_new(event_loop *loop, int fd, loop_watch_fn fn, void *user, loop_watch **watch_out);
void loop_watch_set(loop_watch *watch, int events); /* 0 = pause */
void loop_watch_free(loop_watch *watch);

/* Wake-up from another thread. Several wakes before the callback runs are one call. The other thread must be done with
 * it before it is freed. */
typedef struct loop_async loop_async;
error *loop_async_new(event_loop *loop, loop_fn fn, void *user, loop_async **async_out);
void loop_async_wake(loop_async *async);
void loop_async_free(loop_async *async);

/* A signal, delivered as a callback. SIGCHLD is not for users: see net/process.h. Does not keep loop_run() alive. */
typedef struct loop_signal loop_signal;
error *loop_signal_new(event_loop *loop, int signum, loop_fn fn, void *user, loop_signal **signal_out);
void loop_signal_free(loop_signal *sig);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(event_loop, loop_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(loop_timer, loop_timer_free)

#endif
