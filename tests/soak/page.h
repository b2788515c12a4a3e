/*
 * page.h - the clock of a simulation: one page of memory that the simulation owns and every process of the daemon
 * reads.
 *
 * tools/soak makes the file and lets the time go on; tools/clock.so, loaded into the daemon, answers every question
 * about the time from it. In between it flows as everywhere, but for less than a millisecond: what the daemon does
 * takes no time to speak of.
 *
 * The daemon's timer is the file PAGE.timer, a FIFO: the daemon says in `deadline` when it is due, and the simulation
 * then writes eight octets into it, which is what a timerfd gives to its reader.
 */
#ifndef TESTS_SOAK_PAGE_H
#define TESTS_SOAK_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

#define PAGE_ENV "SOAK_PAGE" /* its path, in the environment of the daemon */
#define PAGE_TIMER ".timer"
#define PAGE_SLOTS 64

/* One process of the daemon. */
struct page_slot {
    atomic_int pid;       /* 0: free */
    atomic_ullong heap;   /* octets that are allocated, as it said last */
    atomic_ullong cache;  /* those of SQLite among them */
};

struct page {
    atomic_llong wall;     /* CLOCK_REALTIME, ms since 1970 */
    atomic_llong elapsed;  /* CLOCK_MONOTONIC and CLOCK_BOOTTIME, ms */
    atomic_llong since;    /* real CLOCK_MONOTONIC, ns, when these two were set */
    atomic_llong deadline; /* when the daemon's timer is due, in terms of elapsed; 0: not set */
    atomic_ullong seed;    /* of what the keeper gets from getrandom(); each start has another */
    struct page_slot slots[PAGE_SLOTS];
};

#endif
