/* A transport that was told to compress: nothing is lost where compression begins, nothing is inflated ahead of the
 * owner, and what is counted is what went over the wire. */
#include "tests/unit/net/world.h"

#include <stdatomic.h>
#include <zlib.h>

enum { MEGABYTE = 1000 * 1000, TURN_MOST = 2 * 32 * 64 * 1024 /* by its timer and by its descriptor */ };

typedef struct client {
    transport *t;
    bool connected, compressed, closed, free_on_data, pause_on_data;
    GString *data; /* what came once it was compressed */
    error *err;
} client;

static void on_connected(void *user, const transport_greeting *greeting) {
    client *c = user;

    c->connected = true;
}

/* The server says "go", LF, and from there on is compressed. */
static void on_data(void *user, const uint8_t *bytes, size_t len) {
    client *c = user;
    const uint8_t *lf;

    assert_true(len <= 64 * 1024);
    if (!c->compressed) {
        lf = memchr(bytes, '\n', len);
        assert_non_null(lf);
        c->compressed = true;
        transport_compress(c->t, lf + 1, len - (size_t)(lf + 1 - bytes));
        return;
    }
    g_string_append_len(c->data, (const char *)bytes, (gssize)len);
    if (c->pause_on_data) {
        transport_pause(c->t, true);
    }
    if (c->free_on_data) {
        g_clear_pointer(&c->t, transport_free);
    }
}

static void on_closed(void *user, error *err) {
    client *c = user;

    c->closed = true;
    c->err = err;
}

static client *client_start(world *w, uint16_t port) {
    static const transport_events events = {.connected = on_connected, .data = on_data, .closed = on_closed};
    transport_options options = {.host = "127.0.0.1", .port = port, .tls_ca = w->ca_file};
    client *c = g_new0(client, 1);

    c->data = g_string_new(NULL);
    assert_null(transport_open(w->pool, &options, &events, c, NULL, &c->t));
    return c;
}

static void client_free(client *c) {
    transport_free(c->t);
    g_string_free(c->data, TRUE);
    error_free(c->err);
    g_free(c);
}

/* ---- servers ---- */

static bool greet(peer *p) {
    char *space;

    if (!peer_start_tls(p) || !peer_say(p, "* OK ready\r\n") || !peer_read_line(p)) {
        return false;
    }
    space = strchr(p->line, ' ');
    *space = '\0';
    g_autofree char *text = g_strdup_printf("* CAPABILITY IMAP4rev1\r\n%s OK done\r\n", p->line);
    return peer_say(p, text);
}

/* What a server says, whole, compressed in one go. */
static GByteArray *pack(const void *bytes, size_t len) {
    GByteArray *out = g_byte_array_new();
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
    uint8_t chunk[16384];

    deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    do {
        z.next_out = chunk;
        z.avail_out = sizeof chunk;
        deflate(&z, Z_SYNC_FLUSH);
        g_byte_array_append(out, chunk, (guint)(sizeof chunk - z.avail_out));
    } while (z.avail_out == 0);
    deflateEnd(&z);
    return out;
}

/* "go" and what is compressed behind it in one write; cut by so many octets at its end. */
typedef struct speech {
    const char *text;
    size_t len, cut;
    const char *behind; /* as it is */
    atomic_bool listen;
    GString *heard; /* inflated */
    size_t heard_wire;
} speech;

static void speak(peer *p, const speech *s) {
    g_autoptr(GByteArray) packed = pack(s->text, s->len);
    GString *all = g_string_new("go\n");

    g_string_append_len(all, (const char *)packed->data, (gssize)(packed->len - s->cut));
    g_string_append(all, s->behind ? s->behind : "");
    peer_write(p, all->str, all->len);
    g_string_free(all, TRUE);
}

static void speak_and_close(peer *p) {
    if (greet(p)) {
        speak(p, p->user);
    }
}

static void speak_and_wait(peer *p) {
    if (greet(p)) {
        speak(p, p->user);
        peer_read_out(p);
    }
}

/* Reads only once it is told to; then up to the end of what the client sent. */
static void speak_and_listen(peer *p) {
    speech *s = p->user;
    uint8_t chunk[16384], plain[65536];
    z_stream z = {0};
    ssize_t n;

    if (!greet(p)) {
        return;
    }
    speak(p, s);
    while (!atomic_load(&s->listen)) {
        sched_yield();
    }
    inflateInit2(&z, -MAX_WBITS);
    while ((n = peer_read(p, chunk, sizeof chunk)) > 0) {
        s->heard_wire += (size_t)n;
        z.next_in = chunk;
        z.avail_in = (uInt)n;
        do {
            z.next_out = plain;
            z.avail_out = sizeof plain;
            inflate(&z, Z_SYNC_FLUSH);
            g_string_append_len(s->heard, (const char *)plain, (gssize)(sizeof plain - z.avail_out));
        } while (z.avail_out == 0);
    }
    inflateEnd(&z);
}

/* ---- what comes ---- */

static void what_stands_behind_the_go_is_inflated(void **state) {
    world *w = *state;
    speech said = {.text = "* 1 EXISTS\r\n", .len = 12};
    server s;
    client *c;
    uint64_t in, out;

    server_start(&s, speak_and_wait, &w->good, &said, 1);
    c = client_start(w, s.port);
    until(w, c->data->len || c->closed);
    assert_string_equal(c->data->str, "* 1 EXISTS\r\n");
    g_autoptr(GByteArray) packed = pack(said.text, said.len);
    transport_traffic(c->t, &in, &out);
    assert_int_equal(in, 3 + packed->len);
    assert_int_equal(out, 0);
    client_free(c);
    server_stop(&s);
}

static void a_bomb_is_inflated_turn_by_turn(void **state) {
    world *w = *state;
    size_t len = 100 * MEGABYTE, before;
    g_autofree char *zeros = g_malloc0(len);
    speech said = {.text = zeros, .len = len};
    server s;
    client *c;

    server_start(&s, speak_and_wait, &w->good, &said, 1);
    c = client_start(w, s.port);
    until(w, c->compressed || c->closed);
    while (c->data->len < len && !c->closed) {
        before = c->data->len;
        loop_turn(w->loop, true);
        assert_true(c->data->len - before <= TURN_MOST);
    }
    assert_int_equal(c->data->len, len);
    client_free(c);
    server_stop(&s);
}

static void a_pause_holds_what_is_not_inflated_yet(void **state) {
    world *w = *state;
    size_t len = 10 * MEGABYTE;
    g_autofree char *zeros = g_malloc0(len);
    speech said = {.text = zeros, .len = len};
    server s;
    client *c;

    server_start(&s, speak_and_close, &w->good, &said, 1);
    c = client_start(w, s.port);
    c->pause_on_data = true;
    until(w, c->data->len || c->closed);
    size_t before = c->data->len;
    assert_true(before <= 64 * 1024);
    for (int i = 0; i < 10; i++) {
        loop_turn(w->loop, false);
    }
    assert_int_equal(c->data->len, before);
    assert_false(c->closed);
    c->pause_on_data = false;
    transport_pause(c->t, false);
    until(w, c->closed);
    assert_int_equal(c->data->len, len);
    assert_null(c->err);
    client_free(c);
    server_stop(&s);
}

static void it_may_be_freed_while_there_is_more(void **state) {
    world *w = *state;
    size_t len = 10 * MEGABYTE;
    g_autofree char *zeros = g_malloc0(len);
    speech said = {.text = zeros, .len = len};
    server s;
    client *c;

    server_start(&s, speak_and_close, &w->good, &said, 1);
    c = client_start(w, s.port);
    c->free_on_data = true;
    until(w, c->data->len || c->closed);
    assert_null(c->t);
    loop_turn(w->loop, false);
    assert_true(c->data->len <= 64 * 1024);
    client_free(c);
    server_stop(&s);
}

static void ends(world *w, const speech *how, size_t whole, const char *why) {
    speech said = {.text = how->text, .len = how->len, .cut = how->cut, .behind = how->behind};
    server s;
    client *c;

    server_start(&s, speak_and_close, &w->good, &said, 1);
    c = client_start(w, s.port);
    until(w, c->closed);
    assert_int_equal(c->data->len, whole);
    if (!why) {
        assert_null(c->err);
    } else {
        assert_non_null(c->err);
        assert_int_equal(c->err->code, ERROR_PROTOCOL);
        assert_non_null(strstr(c->err->text, why));
    }
    client_free(c);
    server_stop(&s);
}

static void how_it_ends_is_told_apart(void **state) {
    ends(*state, &(speech){.text = "* BYE\r\n", .len = 7}, 7, NULL);
    ends(*state, &(speech){.text = "* BYE\r\n", .len = 7, .cut = 3}, 7, "end in the middle");
    ends(*state, &(speech){.text = "* BYE\r\n", .len = 7, .behind = "\x07"}, 7, "damaged: invalid block type");
    ends(*state, &(speech){.text = "* BYE\r\n", .len = 7, .behind = "\x03"}, 7, "end in the middle");
}

/* ---- what is sent ---- */

static void all_that_was_sent_arrives_in_its_order(void **state) {
    world *w = *state;
    size_t len = 24 * MEGABYTE, sum = 0;
    g_autofree char *noise = g_malloc(len);
    speech said = {.text = "* 1 EXISTS\r\n", .len = 12, .heard = g_string_new(NULL)};
    GRand *rand = g_rand_new_with_seed(7);
    uint64_t in, out;
    server s;
    client *c;

    for (size_t i = 0; i < len; i++) { /* hardly to be compressed: the server does not take it at once */
        noise[i] = (char)(g_rand_int(rand) >> 24);
    }
    server_start(&s, speak_and_listen, &w->good, &said, 1);
    c = client_start(w, s.port);
    until(w, c->data->len || c->closed);
    for (size_t piece = 1; sum < len; sum += piece) {
        piece = MIN(piece * 3, len - sum);
        transport_send(c->t, noise + sum, piece);
    }
    assert_true(transport_queued(c->t) > 0);
    atomic_store(&said.listen, true);
    until(w, !transport_queued(c->t) || c->closed);
    transport_traffic(c->t, &in, &out);
    client_free(c);
    server_stop(&s);
    assert_int_equal(said.heard->len, len);
    assert_memory_equal(said.heard->str, noise, len);
    assert_int_equal(said.heard_wire, out);
    g_string_free(said.heard, TRUE);
    g_rand_free(rand);
}

static void each_write_is_one_flush(void **state) {
    world *w = *state;
    speech said = {.text = "* 1 EXISTS\r\n", .len = 12, .heard = g_string_new(NULL)};
    uint64_t in, out[3];
    server s;
    client *c;

    server_start(&s, speak_and_listen, &w->good, &said, 1);
    c = client_start(w, s.port);
    until(w, c->data->len || c->closed);
    for (int i = 0; i < 3; i++) {
        g_autofree char *line =
            g_strdup_printf("q%d UID FETCH %d:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n", i, 100 + i);
        transport_send(c->t, line, strlen(line));
        transport_traffic(c->t, &in, &out[i]);
    }
    atomic_store(&said.listen, true);
    client_free(c);
    server_stop(&s);
    assert_true(out[0] > 0 && out[0] < 80);
    assert_true(out[1] > out[0] && out[1] - out[0] < 30);
    assert_true(out[2] > out[1] && out[2] - out[1] < 30);
    assert_true(g_str_has_suffix(said.heard->str, "q2 UID FETCH 102:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n"));
    g_string_free(said.heard, TRUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_behind_the_go_is_inflated),
        cmocka_unit_test(a_bomb_is_inflated_turn_by_turn),
        cmocka_unit_test(a_pause_holds_what_is_not_inflated_yet),
        cmocka_unit_test(it_may_be_freed_while_there_is_more),
        cmocka_unit_test(how_it_ends_is_told_apart),
        cmocka_unit_test(all_that_was_sent_arrives_in_its_order),
        cmocka_unit_test(each_write_is_one_flush),
    };

    peer_watchdog();
    return cmocka_run_group_tests_name("transport_compress", tests, set_up, tear_down);
}
