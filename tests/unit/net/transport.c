#include "net/transport.h"
#include "tests/unit/net/peer.h"
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CAPABILITIES "* CAPABILITY IMAP4rev1 STARTTLS IDLE\r\n%s OK done\r\n"

typedef struct world {
    clock_source clock;
    event_loop *loop;
    tls_trust *trust;
    transport_pool *pool;
    loop_async *nudge; /* the server's thread wakes the loop after it changed something */
    char *dir, *ca_file;
    identity ca, good;
} world;

typedef struct client {
    transport *t;
    bool connected, preauth, closed;
    bool free_when_connected, free_on_data;
    int drained;
    char *greeting, *capability, *tls;
    GString *data;
    error *err;
} client;

static void on_connected(void *user, const transport_greeting *greeting) {
    client *c = user;

    c->connected = true;
    c->preauth = greeting->preauth;
    c->greeting = g_strdup(greeting->text);
    c->capability = g_strdup(greeting->capability);
    c->tls = g_strdup(greeting->tls);
    if (c->free_when_connected) {
        g_clear_pointer(&c->t, transport_free);
    }
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    client *c = user;

    g_string_append_len(c->data, (const char *)bytes, (gssize)len);
    if (c->free_on_data) {
        g_clear_pointer(&c->t, transport_free);
    }
}

static void on_drained(void *user) {
    client *c = user;

    c->drained++;
}

static void on_closed(void *user, error *err) {
    client *c = user;

    c->closed = true;
    c->err = err;
}

static const transport_events events = {on_connected, on_data, on_drained, on_closed};

static void wake_nothing(void *user) {
    (void)user;
}

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    clock_init_fake(&w->clock, 1700000000000);
    assert_null(loop_new(&w->clock, &w->loop));
    assert_null(loop_async_new(w->loop, wake_nothing, NULL, &w->nudge));
    w->trust = tls_trust_new();
    w->pool = transport_pool_new(w->loop, w->trust);
    w->dir = g_dir_make_tmp("mailruled-net-XXXXXX", NULL);
    w->ca_file = g_build_filename(w->dir, "ca.pem", NULL);
    w->ca = identity_new(NULL, "Test CA", NULL, -1, 10);
    w->good = identity_new(&w->ca, "localhost", "DNS:localhost,IP:127.0.0.1", -1, 10);
    identity_write(&w->ca, w->ca_file);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;

    transport_pool_free(w->pool);
    tls_trust_free(w->trust);
    loop_async_free(w->nudge);
    loop_free(w->loop);
    g_unlink(w->ca_file);
    g_rmdir(w->dir);
    g_free(w->dir);
    g_free(w->ca_file);
    identity_release(&w->ca);
    identity_release(&w->good);
    g_free(w);
    return 0;
}

static client *client_start(world *w, enum transport_tls tls, uint16_t port) {
    client *c = g_new0(client, 1);
    transport_options options = {.host = "127.0.0.1", .port = port, .tls = tls, .tls_ca = w->ca_file,
                                 .connect_ms = 20000, .handshake_ms = 10000};

    c->data = g_string_new(NULL);
    assert_null(transport_open(w->pool, &options, &events, c, NULL, &c->t));
    assert_false(c->connected || c->closed);
    return c;
}

static void client_free(client *c) {
    transport_free(c->t);
    g_free(c->greeting);
    g_free(c->capability);
    g_free(c->tls);
    g_string_free(c->data, TRUE);
    error_free(c->err);
    g_free(c);
}

#define until(world, condition)                                                                                        \
    while (!(condition)) {                                                                                             \
        loop_turn((world)->loop, true);                                                                                \
    }

static void assert_error(const client *c, enum error_code code, const char *part) {
    assert_non_null(c->err);
    if (c->err->code != code || !strstr(c->err->text, part)) {
        print_error("expected %s \"...%s...\", got %s \"%s\"\n", error_code_name(code), part,
                    error_code_name(c->err->code), c->err->text);
        fail();
    }
}

/* --- scripts ---------------------------------------------------------------------------------------------------- */

/* What the client sent in clear after the script's own exchange, up to where it hung up. */
typedef struct witness {
    world *w;
    size_t clear_bytes;
    char first_line[256];
    atomic_bool reached;
} witness;

/* Read a command and answer it; %s in the answer is its tag. */
static void answer(peer *p, const char *command, const char *format) {
    char *space;

    if (!peer_read_line(p) || !(space = strchr(p->line, ' ')) || strcmp(space + 1, command) != 0) {
        return;
    }
    *space = '\0';
    char **parts = g_strsplit(format, "%s", 0);
    g_autofree char *text = g_strjoinv(p->line, parts);
    g_strfreev(parts);
    peer_say(p, text);
}

static void greet(peer *p) {
    peer_say(p, "* OK [CAPABILITY IMAP4rev1] ready\r\n");
    answer(p, "CAPABILITY", CAPABILITIES);
}

static void echo_over_tls(peer *p) {
    if (!peer_start_tls(p)) {
        return;
    }
    greet(p);
    while (peer_read_line(p)) {
        peer_say(p, p->line);
        peer_say(p, "\r\n");
    }
}

static void echo_over_starttls(peer *p) {
    greet(p);
    answer(p, "STARTTLS", "%s OK go\r\n");
    if (peer_start_tls(p)) {
        answer(p, "CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n%s OK done\r\n");
        while (peer_read_line(p)) {
            peer_say(p, p->line);
            peer_say(p, "\r\n");
        }
    }
}

static void echo_in_clear(peer *p) {
    greet(p);
    while (peer_read_line(p)) {
        peer_say(p, p->line);
        peer_say(p, "\r\n");
    }
}

/* --- what works ------------------------------------------------------------------------------------------------- */

static void echoes(world *w, enum transport_tls tls, peer_script script, const char *capability) {
    server s;
    client *c;

    server_start(&s, script, &w->good, NULL, 1);
    c = client_start(w, tls, s.port);
    until(w, c->connected || c->closed);
    if (c->err) {
        print_error("%s\n", c->err->text);
    }
    assert_true(c->connected);
    assert_string_equal(c->greeting, "OK [CAPABILITY IMAP4rev1] ready");
    assert_string_equal(c->capability, capability);
    assert_int_equal(c->tls != NULL, tls != TRANSPORT_TLS_NONE);
    assert_true(!c->tls || g_str_has_prefix(c->tls, "TLSv1."));
    transport_send(c->t, "x1 NOOP\r\n", 9);
    until(w, c->data->len >= 9);
    assert_string_equal(c->data->str, "x1 NOOP\r\n");
    client_free(c);
    server_stop(&s);
}

static void tls_from_the_first_byte(void **state) {
    echoes(*state, TRANSPORT_TLS_IMPLICIT, echo_over_tls, "IMAP4rev1 STARTTLS IDLE");
}

static void starttls_reports_only_the_capabilities_read_under_tls(void **state) {
    echoes(*state, TRANSPORT_TLS_STARTTLS, echo_over_starttls, "IMAP4rev1 AUTH=PLAIN");
}

static void say_nothing_over_tls(peer *p) {
    greet(p);
    answer(p, "STARTTLS", "%s OK go\r\n");
    if (peer_start_tls(p)) {
        answer(p, "CAPABILITY", "%s OK nothing to tell\r\n");
        peer_read_out(p);
    }
}

static void capabilities_read_in_clear_are_forgotten(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, say_nothing_over_tls, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_STARTTLS, s.port);
    until(w, c->connected || c->closed);
    assert_true(c->connected);
    assert_null(c->capability);
    client_free(c);
    server_stop(&s);
}

static void no_tls_to_a_loopback_address(void **state) {
    echoes(*state, TRANSPORT_TLS_NONE, echo_in_clear, "IMAP4rev1 STARTTLS IDLE");
}

static void no_tls_is_refused_to_other_hosts(void **state) {
    world *w = *state;
    static const char *const hosts[] = {"192.0.2.1", "mail.example.com", "localhost.example.com", "127.0.0.1.nip.io"};
    transport *t;

    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        transport_options options = {.host = hosts[i], .tls = TRANSPORT_TLS_NONE};
        g_autoptr(error) err = transport_open(w->pool, &options, &events, NULL, NULL, &t);

        assert_non_null(err);
        assert_int_equal(err->code, ERROR_CONFIG);
        assert_null(t);
    }
}

static void a_host_that_is_no_host_is_refused(void **state) {
    world *w = *state;
    static const char *const hosts[] = {"", "a b", "a/b", "u@h", "h:1\r\nx", "h?x"};
    transport *t;

    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        transport_options options = {.host = hosts[i], .tls_ca = w->ca_file};
        g_autoptr(error) err = transport_open(w->pool, &options, &events, NULL, NULL, &t);

        if (!err) {
            print_error("accepted %s\n", hosts[i]);
        }
        assert_non_null(err);
    }
}

/* --- the stream ------------------------------------------------------------------------------------------------- */

static void greet_then_read_late(peer *p) {
    witness *seen = p->user;

    if (peer_start_tls(p)) {
        greet(p);
        while (!atomic_load(&seen->reached)) {
            sched_yield();
        }
        seen->clear_bytes = peer_read_out(p);
    }
}

static void what_the_server_does_not_take_yet_waits_in_the_queue(void **state) {
    world *w = *state;
    witness seen = {.w = w};
    size_t len = 8u << 20;
    g_autofree char *bytes = g_malloc0(len);
    server s;
    client *c;

    server_start(&s, greet_then_read_late, &w->good, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    for (int i = 0; i < 4; i++) {
        transport_send(c->t, bytes, len);
    }
    assert_true(transport_queued(c->t) > 0);
    assert_int_equal(c->drained, 0);
    atomic_store(&seen.reached, true);
    until(w, c->drained || c->closed);
    assert_int_equal(c->drained, 1);
    assert_int_equal(transport_queued(c->t), 0);
    client_free(c);
    server_stop(&s);
    assert_int_equal(seen.clear_bytes, 4 * len);
}

static void say_much_and_close(peer *p) {
    if (peer_start_tls(p)) {
        g_autofree char *bytes = g_malloc0(3u << 20);

        greet(p);
        peer_write(p, bytes, 3u << 20);
    }
}

static void everything_sent_arrives_before_the_close(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, say_much_and_close, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->closed);
    assert_true(c->connected);
    assert_null(c->err);
    assert_int_equal(c->data->len, 3u << 20);
    client_free(c);
    server_stop(&s);
}

static void a_paused_transport_delivers_nothing(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, say_much_and_close, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->data->len || c->closed);
    transport_pause(c->t, true);
    size_t before = c->data->len;
    for (int i = 0; i < 5; i++) {
        loop_turn(w->loop, false);
    }
    assert_int_equal(c->data->len, before);
    transport_pause(c->t, false);
    until(w, c->closed);
    assert_int_equal(c->data->len, 3u << 20);
    client_free(c);
    server_stop(&s);
}

static void it_may_be_freed_inside_its_callbacks(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, say_much_and_close, &w->good, NULL, 2);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    c->free_when_connected = true;
    until(w, c->connected || c->closed);
    assert_null(c->t);
    client_free(c);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    c->free_on_data = true;
    until(w, c->data->len || c->closed);
    assert_null(c->t);
    assert_false(c->closed);
    client_free(c);
    server_stop(&s);
}

static void reset_after_greeting(peer *p) {
    if (peer_start_tls(p)) {
        greet(p);
        peer_read_line(p);
        peer_reset(p);
        g_clear_pointer(&p->ssl, SSL_free);
    }
}

static void a_reset_is_a_network_error(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, reset_after_greeting, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    transport_send(c->t, "bye\r\n", 5);
    until(w, c->closed);
    assert_error(c, ERROR_NETWORK, "reset");
    client_free(c);
    server_stop(&s);
}

static void nobody_listening_is_a_network_error(void **state) {
    client *c = client_start(*state, TRANSPORT_TLS_IMPLICIT, free_port());

    until((world *)*state, c->closed);
    assert_error(c, ERROR_NETWORK, "connect");
    assert_false(c->connected);
    client_free(c);
}

/* --- greetings -------------------------------------------------------------------------------------------------- */

static void see_what_comes(peer *p) {
    witness *seen = p->user;

    peer_say(p, seen->first_line);
    seen->clear_bytes = peer_read_out(p);
}

static void refused_greeting(world *w, enum transport_tls tls, const char *greeting, enum error_code code,
                             const char *text) {
    witness seen = {.w = w};
    server s;
    client *c;

    g_strlcpy(seen.first_line, greeting, sizeof seen.first_line);
    server_start(&s, see_what_comes, &w->good, &seen, 1);
    c = client_start(w, tls, s.port);
    until(w, c->connected || c->closed);
    assert_false(c->connected);
    assert_error(c, code, text);
    client_free(c);
    server_stop(&s);
    assert_int_equal(seen.clear_bytes, 0);
}

static void fault_01_preauth_before_starttls_sends_nothing(void **state) {
    refused_greeting(*state, TRANSPORT_TLS_STARTTLS, "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n", ERROR_TLS,
                     "preauth without TLS");
    refused_greeting(*state, TRANSPORT_TLS_STARTTLS, "* preauth\r\n", ERROR_TLS, "preauth without TLS");
}

static void a_bye_is_busy_and_keeps_the_servers_words(void **state) {
    refused_greeting(*state, TRANSPORT_TLS_STARTTLS, "* BYE Too many connections\r\n", ERROR_BUSY,
                     "BYE Too many connections");
}

static void another_protocol_is_not_talked_to(void **state) {
    refused_greeting(*state, TRANSPORT_TLS_STARTTLS, "220 smtp.example.com ESMTP\r\n", ERROR_PROTOCOL,
                     "not an IMAP greeting");
    refused_greeting(*state, TRANSPORT_TLS_NONE, "* NO go away\r\n", ERROR_PROTOCOL, "not an IMAP greeting");
}

static void preauth_over_tls(peer *p) {
    if (peer_start_tls(p)) {
        peer_say(p, "* PREAUTH hello\r\n");
        answer(p, "CAPABILITY", CAPABILITIES);
        peer_read_out(p);
    }
}

static void preauth_under_tls_is_reported(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, preauth_over_tls, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    assert_true(c->connected);
    assert_true(c->preauth);
    client_free(c);
    server_stop(&s);
}

/* --- STARTTLS --------------------------------------------------------------------------------------------------- */

static void inject(peer *p) {
    greet(p);
    answer(p, "STARTTLS", "%s OK begin TLS\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    peer_read_out(p);
}

static void inject_later(peer *p) {
    char first;

    greet(p);
    answer(p, "STARTTLS", "%s OK begin TLS\r\n");
    recv(p->fd, &first, 1, MSG_PEEK); /* the handshake has begun */
    peer_say(p, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    peer_read_out(p);
}

static void starttls_fails(world *w, peer_script script, const char *text) {
    witness seen = {.w = w};
    server s;
    client *c;

    server_start(&s, script, &w->good, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_STARTTLS, s.port);
    until(w, c->connected || c->closed);
    assert_false(c->connected);
    assert_int_equal(c->data->len, 0);
    assert_error(c, ERROR_TLS, text);
    client_free(c);
    server_stop(&s);
}

static void fault_02_bytes_behind_the_starttls_ok_abort(void **state) {
    starttls_fails(*state, inject, "in clear after the OK of STARTTLS");
    starttls_fails(*state, inject_later, "answered in clear");
}

static void no_starttls(peer *p) {
    witness *seen = p->user;

    peer_say(p, "* OK ready\r\n");
    answer(p, "CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n%s OK done\r\n");
    seen->clear_bytes = peer_read_out(p);
}

static void starttls_denied(peer *p) {
    greet(p);
    answer(p, "STARTTLS", "%s NO not today\r\n");
    peer_read_out(p);
}

static void fault_03_without_starttls_nothing_more_is_sent(void **state) {
    world *w = *state;
    witness seen = {.w = w, .clear_bytes = 99};
    server s;
    client *c;

    server_start(&s, no_starttls, &w->good, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_STARTTLS, s.port);
    until(w, c->connected || c->closed);
    assert_error(c, ERROR_TLS, "does not offer STARTTLS");
    client_free(c);
    server_stop(&s);
    assert_int_equal(seen.clear_bytes, 0);
    starttls_fails(w, starttls_denied, "STARTTLS refused: NO not today");
}

static void silent_handshake(peer *p) {
    witness *seen = p->user;
    char first;

    greet(p);
    answer(p, "STARTTLS", "%s OK begin TLS\r\n");
    recv(p->fd, &first, 1, MSG_PEEK);
    atomic_store(&seen->reached, true);
    loop_async_wake(seen->w->nudge);
    peer_read_out(p);
}

static void silent_greeting(peer *p) {
    witness *seen = p->user;

    atomic_store(&seen->reached, true);
    loop_async_wake(seen->w->nudge);
    peer_read_out(p);
}

static void silence(world *w, peer_script script, const char *text) {
    witness seen = {.w = w};
    server s;
    client *c;

    server_start(&s, script, &w->good, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_STARTTLS, s.port);
    until(w, atomic_load(&seen.reached));
    for (int i = 0; i < 5; i++) { /* what is ready by now */
        loop_turn(w->loop, false);
    }
    clock_fake_advance(&w->clock, 9999);
    loop_turn(w->loop, false);
    assert_false(c->closed);
    clock_fake_advance(&w->clock, 1);
    loop_turn(w->loop, false);
    assert_true(c->closed);
    assert_error(c, ERROR_NETWORK, text);
    client_free(c);
    server_stop(&s);
}

static void fault_05_silence_after_the_starttls_ok_ends_at_the_handshake_deadline(void **state) {
    silence(*state, silent_handshake, "after 10000 ms waiting for the TLS handshake");
}

static void a_silent_server_is_given_up_at_the_handshake_deadline(void **state) {
    silence(*state, silent_greeting, "after 10000 ms waiting for the greeting");
}

/* --- certificates ----------------------------------------------------------------------------------------------- */

static void refuse_me(peer *p) {
    witness *seen = p->user;

    if (peer_start_tls(p)) {
        peer_say(p, "* OK ready\r\n");
        seen->clear_bytes = peer_read_out(p);
    }
}

static void a_port_without_tls_is_named(void **state) {
    world *w = *state;
    witness seen = {.w = w, .first_line = "* OK ready\r\n"};
    server s;
    client *c;

    server_start(&s, see_what_comes, NULL, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    assert_error(c, ERROR_TLS, "the server answered in clear");
    client_free(c);
    server_stop(&s);
}

static void hang_up_on_hello(peer *p) {
    char first;

    recv(p->fd, &first, 1, MSG_PEEK);
    if (p->user) {
        peer_reset(p);
    }
}

static void a_connection_that_breaks_in_the_handshake_is_a_network_error(void **state) {
    world *w = *state;

    for (int i = 0; i < 2; i++) {
        server s;
        client *c;

        server_start(&s, hang_up_on_hello, NULL, i ? w : NULL, 1);
        c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
        until(w, c->connected || c->closed);
        assert_error(c, ERROR_NETWORK, "lost during the TLS handshake");
        client_free(c);
        server_stop(&s);
    }
}

static void refused_certificate(world *w, const identity *id, const char *text) {
    witness seen = {.w = w};
    server s;
    client *c;

    server_start(&s, refuse_me, id, &seen, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    assert_false(c->connected);
    assert_error(c, ERROR_TLS, text);
    client_free(c);
    server_stop(&s);
    assert_int_equal(seen.clear_bytes, 0);
}

static void fault_06_a_refused_certificate_is_named(void **state) {
    world *w = *state;
    identity other_ca = identity_new(NULL, "Other CA", NULL, -1, 10);
    identity expired = identity_new(&w->ca, "localhost", "IP:127.0.0.1", -20, -10);
    identity early = identity_new(&w->ca, "localhost", "IP:127.0.0.1", 5, 10);
    identity other_host = identity_new(&w->ca, "other.example", "DNS:other.example,DNS:*.other.example", -1, 10);
    identity alone = identity_new(NULL, "localhost", "IP:127.0.0.1", -1, 10);
    identity foreign = identity_new(&other_ca, "localhost", "IP:127.0.0.1", -1, 10);

    refused_certificate(w, &expired, "certificate expired on 20");
    refused_certificate(w, &early, "certificate is not valid before 20");
    refused_certificate(w, &other_host,
                        "host name 127.0.0.1 does not match the certificate "
                        "(it is for other.example, *.other.example)");
    refused_certificate(w, &alone, "self-signed certificate");
    refused_certificate(w, &foreign, "unknown issuer CN=Other CA of certificate CN=localhost");
    identity_release(&other_ca);
    identity_release(&expired);
    identity_release(&early);
    identity_release(&other_host);
    identity_release(&alone);
    identity_release(&foreign);
}

static void old_tls(peer *p) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    SSL_CTX_use_certificate(ctx, p->identity->cert);
    SSL_CTX_use_PrivateKey(ctx, p->identity->key);
    p->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(p->ssl, p->fd);
    SSL_accept(p->ssl);
}

static void tls_below_1_2_is_refused(void **state) {
    world *w = *state;
    server s;
    client *c;

    server_start(&s, old_tls, &w->good, NULL, 1);
    c = client_start(w, TRANSPORT_TLS_IMPLICIT, s.port);
    until(w, c->connected || c->closed);
    assert_error(c, ERROR_TLS, "version");
    client_free(c);
    server_stop(&s);
}

static void assert_ca_refused(world *w, const char *ca_file, const char *text) {
    transport_options options = {.host = "127.0.0.1", .tls_ca = ca_file};
    transport *t;
    g_autoptr(error) err = transport_open(w->pool, &options, &events, NULL, NULL, &t);

    assert_non_null(err);
    assert_int_equal(err->code, ERROR_CONFIG);
    assert_non_null(strstr(err->text, text));
    assert_null(t);
}

static void a_ca_file_that_is_none_is_a_config_error(void **state) {
    world *w = *state;

    assert_ca_refused(w, "/nonexistent/ca.pem", "No such file");
    g_file_set_contents(w->ca_file, "no certificate\n", -1, NULL);
    assert_ca_refused(w, w->ca_file, w->ca_file);
}

/* All connections of a pool share what libcurl keeps. */
static void a_ca_file_is_trusted_for_its_own_connections_only(void **state) {
    world *w = *state;
    char *own = w->ca_file;
    g_autofree char *other = g_build_filename(w->dir, "other.pem", NULL);
    identity other_ca = identity_new(NULL, "Other CA", NULL, -1, 10);
    identity foreign = identity_new(&other_ca, "localhost", "IP:127.0.0.1", -1, 10);
    identity before = w->good;

    identity_write(&other_ca, other);
    tls_from_the_first_byte(state);
    w->ca_file = other;
    refused_certificate(w, &before, "unknown issuer CN=Test CA");
    w->good = foreign;
    tls_from_the_first_byte(state);
    w->ca_file = own;
    refused_certificate(w, &foreign, "unknown issuer CN=Other CA");
    w->good = before;
    g_unlink(other);
    identity_release(&other_ca);
    identity_release(&foreign);
}

static void a_changed_ca_file_is_read_again(void **state) {
    world *w = *state;
    identity other_ca = identity_new(NULL, "Other CA", NULL, -1, 10);
    identity renewed = identity_new(&other_ca, "localhost", "IP:127.0.0.1", -1, 10);
    identity before = w->good;

    tls_from_the_first_byte(state);
    refused_certificate(w, &renewed, "unknown issuer CN=Other CA");
    identity_write(&other_ca, w->ca_file);
    w->good = renewed;
    tls_from_the_first_byte(state);
    refused_certificate(w, &before, "unknown issuer CN=Test CA");
    g_unlink(w->ca_file);
    assert_ca_refused(w, w->ca_file, "No such file");
    w->good = before;
    identity_release(&other_ca);
    identity_release(&renewed);
}

/* --- proxies ---------------------------------------------------------------------------------------------------- */

static void http_proxy(peer *p) {
    witness *seen = p->user;

    peer_read_line(p);
    g_strlcpy(seen->first_line, p->line, sizeof seen->first_line);
    while (*p->line && peer_read_line(p)) {
    }
    peer_say(p, "HTTP/1.1 200 go\r\nX-Proxy: yes\r\n\r\n");
    echo_over_starttls(p);
}

/* RFC 1928: no authentication, CONNECT to a name. */
static void socks_proxy(peer *p) {
    witness *seen = p->user;
    uint8_t hello[3] = {0}, request[5], rest[256];

    recv(p->fd, hello, 2, MSG_WAITALL);
    recv(p->fd, rest, hello[1], MSG_WAITALL);
    peer_write(p, "\5\0", 2);
    recv(p->fd, request, sizeof request, MSG_WAITALL);
    recv(p->fd, rest, request[4] + 2u, MSG_WAITALL);
    g_snprintf(seen->first_line, sizeof seen->first_line, "%d %d %.*s:%d", request[1], request[3], request[4], rest,
               rest[request[4]] << 8 | rest[request[4] + 1]);
    peer_write(p, "\5\0\0\1\177\0\0\1\0\1", 10);
    echo_over_starttls(p);
}

static void through_proxy(world *w, peer_script script, const char *scheme, const char *asked) {
    client *c = g_new0(client, 1);
    witness seen = {.w = w};
    server s;

    server_start(&s, script, &w->good, &seen, 1);
    g_autofree char *proxy = g_strdup_printf("%s://127.0.0.1:%u", scheme, s.port);
    transport_options options = {.host = "localhost", .port = 143, .tls = TRANSPORT_TLS_STARTTLS, .tls_ca = w->ca_file,
                                 .proxy = proxy};
    c->data = g_string_new(NULL);
    assert_null(transport_open(w->pool, &options, &events, c, NULL, &c->t));
    until(w, c->connected || c->closed);
    if (c->err) {
        print_error("%s\n", c->err->text);
    }
    assert_true(c->connected);
    assert_string_equal(c->greeting, "OK [CAPABILITY IMAP4rev1] ready");
    assert_string_equal(c->capability, "IMAP4rev1 AUTH=PLAIN");
    transport_send(c->t, "x1 NOOP\r\n", 9);
    until(w, c->data->len >= 9);
    client_free(c);
    server_stop(&s);
    assert_string_equal(seen.first_line, asked);
}

static void a_proxy_is_asked_for_the_host_and_tls_goes_through_it(void **state) {
    through_proxy(*state, http_proxy, "http", "CONNECT localhost:143 HTTP/1.1");
    through_proxy(*state, socks_proxy, "socks5h", "1 3 localhost:143");
}

static void a_proxy_of_an_unknown_kind_is_refused(void **state) {
    world *w = *state;
    transport_options options = {.host = "localhost", .proxy = "ftp://127.0.0.1:1"};
    transport *t;
    g_autoptr(error) err = transport_open(w->pool, &options, &events, NULL, NULL, &t);

    assert_int_equal(err->code, ERROR_CONFIG);
}

/* The environment's proxies would send the user's mail elsewhere. */
static void proxies_of_the_environment_are_ignored(void **state) {
    setenv("all_proxy", "socks5h://127.0.0.1:1", 1);
    setenv("imaps_proxy", "http://127.0.0.1:1", 1);
    tls_from_the_first_byte(state);
    unsetenv("all_proxy");
    unsetenv("imaps_proxy");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(tls_from_the_first_byte),
        T(starttls_reports_only_the_capabilities_read_under_tls),
        T(capabilities_read_in_clear_are_forgotten),
        T(no_tls_to_a_loopback_address),
        T(no_tls_is_refused_to_other_hosts),
        T(a_host_that_is_no_host_is_refused),
        T(what_the_server_does_not_take_yet_waits_in_the_queue),
        T(everything_sent_arrives_before_the_close),
        T(a_paused_transport_delivers_nothing),
        T(it_may_be_freed_inside_its_callbacks),
        T(a_reset_is_a_network_error),
        T(nobody_listening_is_a_network_error),
        T(fault_01_preauth_before_starttls_sends_nothing),
        T(a_bye_is_busy_and_keeps_the_servers_words),
        T(another_protocol_is_not_talked_to),
        T(preauth_under_tls_is_reported),
        T(fault_02_bytes_behind_the_starttls_ok_abort),
        T(fault_03_without_starttls_nothing_more_is_sent),
        T(fault_05_silence_after_the_starttls_ok_ends_at_the_handshake_deadline),
        T(a_silent_server_is_given_up_at_the_handshake_deadline),
        T(fault_06_a_refused_certificate_is_named),
        T(a_port_without_tls_is_named),
        T(a_connection_that_breaks_in_the_handshake_is_a_network_error),
        T(tls_below_1_2_is_refused),
        T(a_ca_file_that_is_none_is_a_config_error),
        T(a_ca_file_is_trusted_for_its_own_connections_only),
        T(a_changed_ca_file_is_read_again),
        T(a_proxy_is_asked_for_the_host_and_tls_goes_through_it),
        T(a_proxy_of_an_unknown_kind_is_refused),
        T(proxies_of_the_environment_are_ignored),
    };

    peer_watchdog();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
