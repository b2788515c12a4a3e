/* A transport that works: what it connects to and how, the stream of bytes, and the ways by proxies. */
#include "tests/unit/net/transport_client.h"

/* --- what works ------------------------------------------------------------------------------------------------- */

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
        T(a_proxy_is_asked_for_the_host_and_tls_goes_through_it),
        T(a_proxy_of_an_unknown_kind_is_refused),
        T(proxies_of_the_environment_are_ignored),
    };

    peer_watchdog();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
