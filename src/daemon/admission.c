#include "daemon/admission.h"

#include "net/backoff.h"

#define FIRST_WINDOW 4
#define DOWN_FAILURES 3
#define PROBES 3           /* of a server that is down at once: a try that hangs does not hold up the next */
#define SHORTAGE_MS 5000   /* nobody starts for so long when descriptors have run out */

struct admission_server {
    admission *owner;
    char *name;          /* "host port 993" */
    GQueue queue;        /* tickets that wait, by their links */
    unsigned under_way, window, tickets; /* tickets: waiting, under way or open */
    unsigned failures;   /* in a row */
    const admission_ticket *last_failed; /* to compare with only */
    bool several;        /* failures of more than one ticket */
    bool down, probe_due;
    backoff backoff;
    loop_timer *probe;
};

struct admission {
    event_loop *loop;
    random_source *random;
    log_ctx log;
    GHashTable *servers; /* by name */
    GPtrArray *ring;     /* servers; turns go round */
    guint next;          /* in the ring */
    unsigned under_way, open, waiting, room;
    bool shortage;
    loop_timer *turn, *shortage_over;
};

static void pump(void *user);
static void on_probe(void *user);

static void soon(admission *a) {
    if (!loop_timer_active(a->turn)) {
        loop_timer_start(a->turn, 0);
    }
}

/* --- servers ------------------------------------------------------------------------------------------------------ */

static admission_server *server_of(admission *a, const char *host, unsigned port) {
    g_autofree char *name = g_strdup_printf("%s port %u", host, port);
    admission_server *s = g_hash_table_lookup(a->servers, name);

    if (!s) {
        s = g_new0(admission_server, 1);
        s->owner = a;
        s->name = g_steal_pointer(&name);
        s->window = FIRST_WINDOW;
        g_queue_init(&s->queue);
        backoff_init(&s->backoff, a->random);
        s->probe = loop_timer_new(a->loop, on_probe, s);
        g_hash_table_insert(a->servers, s->name, s);
        g_ptr_array_add(a->ring, s);
    }
    return s;
}

static void server_free(void *data) {
    admission_server *s = data;

    loop_timer_free(s->probe);
    g_free(s->name);
    g_free(s);
}

/* What is known about a server that is of no use to anyone now need not be kept. */
static void forget_unused(admission_server *s) {
    if (!s->tickets && !s->failures) {
        g_ptr_array_remove(s->owner->ring, s);
        g_hash_table_remove(s->owner->servers, s->name);
    }
}

static void plan_probe(admission_server *s) {
    uint64_t wait = backoff_next(&s->backoff, BACKOFF_NETWORK, 0);

    loop_timer_start(s->probe, MIN(wait, ADMISSION_PROBE_MS));
}

static void on_probe(void *user) {
    admission_server *s = user;

    s->probe_due = true;
    pump(s->owner);
}

static void failed(admission_server *s, const admission_ticket *t) {
    s->several = s->several || (s->last_failed && s->last_failed != t);
    s->last_failed = t;
    s->failures++;
    s->window = MAX(s->window / 2, 1);
    if (!s->down && s->several && s->failures >= DOWN_FAILURES) {
        s->down = true;
        log_warn(&s->owner->log, "%s cannot be reached: its connections wait until one gets through", s->name);
        plan_probe(s);
    }
}

static void succeeded(admission_server *s) {
    if (s->down) {
        log_notice(&s->owner->log, "%s can be reached again; connections that wait for it: %u", s->name,
                   s->queue.length);
        loop_timer_stop(s->probe);
        s->window = 1;
    }
    s->down = s->probe_due = s->several = false;
    s->failures = 0;
    s->last_failed = NULL;
    s->window = MIN(s->window + 1, ADMISSION_A_SERVER);
    backoff_healthy(&s->backoff);
}

/* --- whose turn it is --------------------------------------------------------------------------------------------- */

static bool may_start(const admission_server *s) {
    const admission *a = s->owner;

    if (s->down) {
        return s->probe_due && s->under_way < PROBES;
    }
    return s->under_way < s->window && (a->under_way < ADMISSION_ALL || !s->under_way);
}

static void start_next(admission_server *s) {
    admission *a = s->owner;
    admission_ticket *t = g_queue_peek_head(&s->queue);

    g_queue_unlink(&s->queue, &t->link);
    t->state = ADMISSION_UNDER_WAY;
    a->waiting--;
    a->under_way++;
    a->open++;
    s->under_way++;
    if (s->down) {
        s->probe_due = false;
        plan_probe(s);
    }
    t->go(t->user);
}

/* One of each server in turn, as long as any may. go() may take servers out of the ring. */
static void pump(void *user) {
    admission *a = user;
    guint idle = 0;

    while (a->waiting && !a->shortage && a->open < a->room && idle < a->ring->len) {
        a->next = a->next < a->ring->len ? a->next : 0;
        admission_server *s = a->ring->pdata[a->next++];
        if (s->queue.length && may_start(s)) {
            idle = 0;
            start_next(s);
        } else {
            idle++;
        }
    }
}

static void shortage_over(void *user) {
    admission *a = user;

    a->shortage = false;
    pump(a);
}

/* --- tickets ------------------------------------------------------------------------------------------------------ */

void admission_ask(admission *a, admission_ticket *t, const char *host, unsigned port, void (*go)(void *user),
                   void *user) {
    if (t->state != ADMISSION_IDLE) {
        return;
    }
    *t = (admission_ticket){.state = ADMISSION_WAITING, .server = server_of(a, host, port), .go = go, .user = user};
    t->link.data = t;
    t->server->tickets++;
    g_queue_push_tail_link(&t->server->queue, &t->link);
    a->waiting++;
    soon(a);
}

static void leave_under_way(admission_ticket *t) {
    t->server->under_way--;
    t->server->owner->under_way--;
    soon(t->server->owner);
}

void admission_reached(admission_ticket *t) {
    if (t->state == ADMISSION_UNDER_WAY) {
        t->state = ADMISSION_OPEN;
        leave_under_way(t);
        succeeded(t->server);
    }
}

static void run_short(admission *a) {
    if (!a->shortage) {
        log_warn(&a->log, "out of descriptors with %u connections; others wait (LimitNOFILE in the unit, or ulimit -n)",
                 a->open);
    }
    a->shortage = true;
    loop_timer_start(a->shortage_over, SHORTAGE_MS + random_between(a->random, 0, SHORTAGE_MS));
}

bool admission_closed(admission_ticket *t, enum admission_end end) {
    admission_server *s = t->server;
    admission *a = s ? s->owner : NULL;
    bool ask_again = end == ADMISSION_NO_RESOURCES;

    if (t->state == ADMISSION_IDLE || !s) {
        return false;
    }
    if (t->state == ADMISSION_WAITING) {
        g_queue_unlink(&s->queue, &t->link);
        a->waiting--;
    } else {
        a->open--;
        if (t->state == ADMISSION_UNDER_WAY) {
            leave_under_way(t);
        }
        if (end == ADMISSION_UNREACHED) {
            failed(s, t);
            ask_again = s->down;
        } else if (end == ADMISSION_ANSWERED) {
            succeeded(s);
        } else if (end == ADMISSION_REFUSED) {
            s->window = MAX(s->window / 2, 1);
        } else if (end == ADMISSION_NO_RESOURCES) {
            run_short(a);
        }
        soon(a);
    }
    s->tickets--;
    *t = (admission_ticket){0};
    forget_unused(s);
    return ask_again;
}

const char *admission_why(const admission_ticket *t) {
    const admission_server *s = t->server;

    if (t->state != ADMISSION_WAITING || !s) {
        return "waiting";
    }
    if (s->down) {
        return "waiting for the server";
    }
    const admission *a = s->owner;
    return a->shortage || a->open >= a->room ? "waiting for a descriptor" : "waiting for its turn";
}

/* --- life --------------------------------------------------------------------------------------------------------- */

admission *admission_new(event_loop *loop, random_source *random, const log_ctx *log) {
    admission *a = g_new0(admission, 1);

    *a = (admission){.loop = loop, .random = random, .log = *log, .room = UINT_MAX};
    a->servers = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, server_free);
    a->ring = g_ptr_array_new();
    a->turn = loop_timer_new(loop, pump, a);
    a->shortage_over = loop_timer_new(loop, shortage_over, a);
    return a;
}

void admission_free(admission *a) {
    if (a) {
        g_hash_table_destroy(a->servers);
        g_ptr_array_free(a->ring, TRUE);
        loop_timer_free(a->turn);
        loop_timer_free(a->shortage_over);
        g_free(a);
    }
}

void admission_set_room(admission *a, unsigned connections) {
    a->room = MAX(connections, 1);
    soon(a);
}

admission_stats admission_get_stats(const admission *a) {
    admission_stats stats = {.waiting = a->waiting, .under_way = a->under_way, .open = a->open - a->under_way,
                             .room = a->room};

    for (guint i = 0; i < a->ring->len; i++) {
        stats.down += ((admission_server *)a->ring->pdata[i])->down;
    }
    return stats;
}
