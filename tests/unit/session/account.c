/*
 * Two connections of one account, which share its pace: what the server says to one holds for the other, too. Each
 * talks to a server of its own (tests/dialog/pace_*.imap); time is turned by hand.
 */
#include "session/session.h"
#include "tests/script/imap_script.h"
#include "tests/unit/unit.h"

#include <time.h>

enum { CONNECTIONS = 2 };

typedef struct connection {
    imap_script *script;
    session *session;
    unsigned done;
    bool ready, closed;
} connection;

typedef struct account {
    clock_source clock;
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    random_source random;
    session_pace pace;
    connection at[CONNECTIONS];
} account;

/* Real time, so that the loop's own deadlines work, and what the test adds. */
static uint64_t jumping(const clock_source *self) {
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + self->fake_elapsed;
}

static void on_secret(void *user, bool refused) {
    connection *c = user;

    session_give_secret(c->session, secret_new("secret", 6), NULL);
}

static void on_ready(void *user, const session_info *info) {
    ((connection *)user)->ready = true;
}

static void on_closed(void *user, error *err) {
    ((connection *)user)->closed = true;
    error_free(err);
}

static void on_done(void *user, const session_result *result) {
    ((connection *)user)->done++;
}

static void open_connection(account *a, connection *c, const char *dialogue) {
    static const session_events events = {.secret = on_secret, .ready = on_ready, .closed = on_closed};
    static const log_ctx log = {.group = "imap"};
    char *why = NULL;

    c->script = imap_script_new(dialogue, &(imap_script_options){0}, &why);
    if (!c->script) {
        fail_msg("%s", why);
    }
    imap_script_start(c->script);
    const session_config config = {.host = "localhost", .port = imap_script_port(c->script), .tls = TRANSPORT_TLS_NONE,
                                   .user = "me", .pace = &a->pace};
    c->session = session_new(a->loop, a->pool, &a->random, &config, &events, c, &log);
    assert_null(session_open(c->session));
}

static void begin(account *a, const char *first, const char *second) {
    *a = (account){.clock = {.elapsed = jumping}};
    clock_source real;
    clock_init_real(&real);
    a->clock.wall = real.wall;
    random_init_seeded(&a->random, 1);
    session_pace_init(&a->pace, &a->random);
    assert_null(loop_new(&a->clock, &a->loop));
    a->trust = tls_trust_new();
    a->pool = transport_pool_new(a->loop, a->trust);
    open_connection(a, &a->at[0], first);
    while (!a->at[0].ready && !a->at[0].closed) {
        loop_turn(a->loop, true);
    }
    open_connection(a, &a->at[1], second);
    while (!a->at[1].ready && !a->at[1].closed) {
        loop_turn(a->loop, true);
    }
}

static void end(account *a) {
    for (int i = 0; i < CONNECTIONS; i++) {
        session_free(a->at[i].session);
    }
    assert_int_equal(a->pace.open, 0);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (!imap_script_join(a->at[i].script)) {
            const char *report = imap_script_report(a->at[i].script);
            fail_msg("%s", report ? report : "the dialogue was not played to its end");
        }
        imap_script_free(a->at[i].script);
    }
    transport_pool_free(a->pool);
    tls_trust_free(a->trust);
    loop_free(a->loop);
}

static void noop(connection *c) {
    session_noop(c->session, &(session_call){.done = on_done, .user = c});
}

static void await_done(account *a, connection *c, unsigned n) {
    while (c->done < n && !c->closed) {
        loop_turn(a->loop, true);
    }
    assert_int_equal(c->done, n);
}

/* All that the loop has to do by itself now: what a command needs to leave, several times over. */
static void settle(account *a) {
    for (int i = 0; i < 50; i++) {
        loop_turn(a->loop, false);
    }
}

static uint64_t sent(const connection *c) {
    session_stats stats;

    session_stats_get(c->session, &stats);
    return stats.commands;
}

static void fault_12_what_one_connection_is_told_pauses_the_other(void **state) {
    account a;

    begin(&a, "tests/dialog/pace_throttled.imap", "tests/dialog/pace_other.imap");
    assert_int_equal(a.pace.open, 2);
    noop(&a.at[0]);
    await_done(&a, &a.at[0], 1);
    uint64_t before = sent(&a.at[1]);
    noop(&a.at[1]);
    settle(&a);
    assert_int_equal(sent(&a.at[1]), before);
    a.clock.fake_elapsed += 290000; /* of 299,961 that the server named */
    settle(&a);
    assert_int_equal(sent(&a.at[1]), before);
    a.clock.fake_elapsed += 45000;
    await_done(&a, &a.at[1], 1);
    assert_int_equal(sent(&a.at[1]), before + 1);
    end(&a);
}

static void a_refused_login_for_too_many_connections_stops_no_other(void **state) {
    account a;

    begin(&a, "tests/dialog/pace_other.imap", "tests/dialog/pace_too_many.imap");
    assert_true(a.at[1].closed);
    assert_int_equal(a.pace.open, 1);
    assert_int_equal(session_pace_connections(&a.pace, jumping(&a.clock), 4), 1);
    assert_true(session_pace_connect_wait(&a.pace, jumping(&a.clock)) > 14 * 60000);
    noop(&a.at[0]);
    await_done(&a, &a.at[0], 1);
    end(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_12_what_one_connection_is_told_pauses_the_other),
        cmocka_unit_test(a_refused_login_for_too_many_connections_stops_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
