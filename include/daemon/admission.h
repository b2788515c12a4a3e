/*
 * daemon/admission.h - which connection is opened when, over the whole keeper.
 *
 * Ten thousand accounts that start, or that lose their server, at the same moment must neither storm the server nor
 * block the loop with handshakes. Whoever wants to connect takes a ticket and waits for its turn:
 *
 * - One queue a server (host and port), first come, first served; servers take turns. One server that hangs never holds
 *   back another's: each may always have one connection under way.
 * - At most ADMISSION_A_SERVER connections to one server are under way (from the turn until `reached` or `closed`), and
 *   ADMISSION_ALL in all. A server begins with a few; each success allows one more, each failure halves it.
 * - A server that nobody reaches is down: three failures in a row of at least two tickets. Then its tickets are not
 *   failures of their accounts: they queue up, one at a time tries, with a back-off that is the server's and short
 *   (ADMISSION_PROBE_MS at most). Once one gets through, the others follow in their order, few at first.
 * - Descriptors: at most as many connections as admission_set_room() said are under way or open; the others wait until
 *   one closes. If descriptors run out nonetheless, nobody starts for a while.
 *
 * A failure that is the account's own (login refused, certificate, throttling) is not of interest here: the caller
 * backs off with that account and asks again.
 *
 * Everything happens on the loop's thread. `go` is called from the loop, never from inside a function of this module.
 */
#ifndef DAEMON_ADMISSION_H
#define DAEMON_ADMISSION_H

#include "base/log.h"
#include "net/crypto.h"
#include "net/loop.h"

#define ADMISSION_A_SERVER 64
#define ADMISSION_ALL 128
#define ADMISSION_PROBE_MS 20000

typedef struct admission admission;
typedef struct admission_server admission_server;

enum admission_state {
    ADMISSION_IDLE,
    ADMISSION_WAITING,
    ADMISSION_UNDER_WAY,
    ADMISSION_OPEN,
};

/* Embedded by who connects, zero at first; fields are the module's. Withdrawn before its memory goes. */
typedef struct admission_ticket {
    enum admission_state state;
    admission_server *server; /* NULL when idle */
    void (*go)(void *user);
    void *user;
    GList link; /* in the server's queue while it waits */
} admission_ticket;

/* loop and random are borrowed and outlive it; log is copied, its strings outlive it. */
admission *admission_new(event_loop *loop, random_source *random, const log_ctx *log);
/* After all tickets were withdrawn. Accepts NULL. */
void admission_free(admission *a);
/* How many connections descriptors are there for. Without it: as many as anyone asks for. */
void admission_set_room(admission *a, unsigned connections);

/* Wait for a turn; go(user) is it. Without effect unless the ticket is idle. */
void admission_ask(admission *a, admission_ticket *t, const char *host, unsigned port, void (*go)(void *user),
                   void *user);
/* It is connected and logged in: the next one may. */
void admission_reached(admission_ticket *t);

enum admission_end {
    ADMISSION_ENDED,        /* closed, given up, or failed in a way that says nothing about the server */
    ADMISSION_ANSWERED,     /* failed, but the server is there: it refused the login */
    ADMISSION_UNREACHED,    /* the server could not be reached */
    ADMISSION_REFUSED,      /* it answered, but asks for patience */
    ADMISSION_NO_RESOURCES /* out of descriptors */
};
/* The connection is closed, or the wait given up: the ticket is idle again. True: the server is down, or there are no
 * descriptors; ask again at once, the turn will come when there is hope. */
bool admission_closed(admission_ticket *t, enum admission_end end);

/* Why a waiting ticket has to: "waiting for its turn", "waiting for the server", "waiting for a descriptor"; static. */
const char *admission_why(const admission_ticket *t);

typedef struct admission_stats {
    unsigned waiting, under_way, open; /* tickets */
    unsigned down;                     /* servers that nobody reaches */
    unsigned room;                     /* UINT_MAX = no bound */
} admission_stats;
admission_stats admission_get_stats(const admission *a);

#endif
