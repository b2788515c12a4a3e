/*
 * tests/unit/net/transport_client.h - a transport that notes what it is told, and the servers that it meets most.
 */
#ifndef TESTS_UNIT_NET_TRANSPORT_CLIENT_H
#define TESTS_UNIT_NET_TRANSPORT_CLIENT_H

#include "tests/unit/net/world.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CAPABILITIES "* CAPABILITY IMAP4rev1 STARTTLS IDLE\r\n%s OK done\r\n"

typedef struct client {
    transport *t;
    bool connected, preauth, closed;
    bool free_when_connected, free_on_data;
    int drained;
    char *greeting, *capability, *tls;
    GString *data;
    error *err;
} client;

static inline void on_connected(void *user, const transport_greeting *greeting) {
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

static inline void on_data(void *user, const uint8_t *bytes, size_t len) {
    client *c = user;

    g_string_append_len(c->data, (const char *)bytes, (gssize)len);
    if (c->free_on_data) {
        g_clear_pointer(&c->t, transport_free);
    }
}

static inline void on_drained(void *user) {
    client *c = user;

    c->drained++;
}

static inline void on_closed(void *user, error *err) {
    client *c = user;

    c->closed = true;
    c->err = err;
}

static const transport_events events = {on_connected, on_data, on_drained, on_closed};

static inline client *client_start(world *w, enum transport_tls tls, uint16_t port) {
    client *c = g_new0(client, 1);
    transport_options options = {.host = "127.0.0.1", .port = port, .tls = tls, .tls_ca = w->ca_file,
                                 .connect_ms = 20000, .handshake_ms = 10000};

    c->data = g_string_new(NULL);
    assert_null(transport_open(w->pool, &options, &events, c, NULL, &c->t));
    assert_false(c->connected || c->closed);
    return c;
}

static inline void client_free(client *c) {
    transport_free(c->t);
    g_free(c->greeting);
    g_free(c->capability);
    g_free(c->tls);
    g_string_free(c->data, TRUE);
    error_free(c->err);
    g_free(c);
}

static inline void assert_error(const client *c, enum error_code code, const char *part) {
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
static inline void answer(peer *p, const char *command, const char *format) {
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

static inline void greet(peer *p) {
    peer_say(p, "* OK [CAPABILITY IMAP4rev1] ready\r\n");
    answer(p, "CAPABILITY", CAPABILITIES);
}

static inline void echo_over_tls(peer *p) {
    if (!peer_start_tls(p)) {
        return;
    }
    greet(p);
    while (peer_read_line(p)) {
        peer_say(p, p->line);
        peer_say(p, "\r\n");
    }
}

static inline void echo_over_starttls(peer *p) {
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

static inline void echo_in_clear(peer *p) {
    greet(p);
    while (peer_read_line(p)) {
        peer_say(p, p->line);
        peer_say(p, "\r\n");
    }
}

/* The server sends back each line that it gets. */
static inline void echoes(world *w, enum transport_tls tls, peer_script script, const char *capability) {
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

#endif
