/* What a transport refuses: greetings, what comes in clear around STARTTLS, certificates. */
#include "tests/unit/net/transport_client.h"

/* --- greetings -------------------------------------------------------------------------------------------------- */

static void see_what_comes(peer *p) {
    witness *seen = p->user;

    peer_say(p, seen->first_line);
    seen->clear_bytes = peer_read_out(p);
}

/* What the server does is refused, and nothing was said to it in clear. */
static void refused(peer_script script, const identity *id, witness *seen, enum transport_tls tls, enum error_code code,
                    const char *text) {
    server s;
    client *c;

    server_start(&s, script, id, seen, 1);
    c = client_start(seen->w, tls, s.port);
    until(seen->w, c->connected || c->closed);
    assert_false(c->connected);
    assert_error(c, code, text);
    client_free(c);
    server_stop(&s);
    assert_int_equal(seen->clear_bytes, 0);
}

static void refused_greeting(world *w, enum transport_tls tls, const char *greeting, enum error_code code,
                             const char *text) {
    witness seen = {.w = w};

    g_strlcpy(seen.first_line, greeting, sizeof seen.first_line);
    refused(see_what_comes, &w->good, &seen, tls, code, text);
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

    refused(refuse_me, id, &seen, TRANSPORT_TLS_IMPLICIT, ERROR_TLS, text);
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

static void trusts(world *w) {
    echoes(w, TRANSPORT_TLS_IMPLICIT, echo_over_tls, "IMAP4rev1 STARTTLS IDLE");
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
    trusts(w);
    w->ca_file = other;
    refused_certificate(w, &before, "unknown issuer CN=Test CA");
    w->good = foreign;
    trusts(w);
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

    trusts(w);
    refused_certificate(w, &renewed, "unknown issuer CN=Other CA");
    identity_write(&other_ca, w->ca_file);
    w->good = renewed;
    trusts(w);
    refused_certificate(w, &before, "unknown issuer CN=Test CA");
    g_unlink(w->ca_file);
    assert_ca_refused(w, w->ca_file, "No such file");
    w->good = before;
    identity_release(&other_ca);
    identity_release(&renewed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };

    peer_watchdog();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
