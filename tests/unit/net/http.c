#include "tests/unit/net/world.h"

#include <gio/gio.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct answer {
    bool done;
    enum http_outcome outcome;
    int status;
    GString *body;
    char *header; /* value of x-test */
    uint64_t retry_after_ms;
    error *err;
} answer;

static void on_done(void *user, const http_result *result) {
    answer *a = user;

    a->done = true;
    a->outcome = result->outcome;
    a->status = result->status;
    a->body = g_string_new_len((const char *)result->body, (gssize)result->body_len);
    a->header = g_strdup(http_header(result, "x-test"));
    a->retry_after_ms = result->retry_after_ms;
    a->err = error_copy(result->err);
}

static void answer_release(answer *a) {
    if (a->body) {
        g_string_free(a->body, TRUE);
    }
    g_free(a->header);
    error_free(a->err);
    *a = (answer){0};
}

static void run(world *w, const http_request *request, answer *a) {
    assert_null(http_start(w->http, request, on_done, a, NULL));
    assert_false(a->done);
    while (!a->done) {
        loop_turn(w->loop, true);
    }
}

static void assert_outcome(const answer *a, enum http_outcome outcome, const char *part) {
    const char *text = a->err ? a->err->text : "";

    if (a->outcome != outcome || !strstr(text, part)) {
        print_error("expected %s \"...%s...\", got %s \"%s\"\n", http_outcome_name(outcome), part,
                    http_outcome_name(a->outcome), text);
        fail();
    }
}

static char *url_of(const char *scheme, uint16_t port, const char *path) {
    return g_strdup_printf("%s://127.0.0.1:%u%s", scheme, port, path);
}

/* --- scripts ---------------------------------------------------------------------------------------------------- */

typedef struct witness {
    world *w;
    GString *header; /* of the last request, as sent */
    GString *body;
    int requests;
    const char *response;
    size_t response_len;
    atomic_bool reached;
} witness;

/* One request: header lines and as many body bytes as Content-Length says. */
static bool read_request(peer *p) {
    witness *seen = p->user;
    size_t left = 0;

    g_string_truncate(seen->header, 0);
    g_string_truncate(seen->body, 0);
    while (peer_read_line(p) && *p->line) {
        g_string_append_printf(seen->header, "%s\n", p->line);
        if (g_ascii_strncasecmp(p->line, "content-length:", 15) == 0) {
            left = (size_t)atoll(p->line + 15);
        }
    }
    while (left) {
        char buffer[4096];
        ssize_t n = peer_read(p, buffer, MIN(left, sizeof buffer));

        if (n <= 0) {
            return false;
        }
        g_string_append_len(seen->body, buffer, n);
        left -= (size_t)n;
    }
    seen->requests += seen->header->len > 0;
    return seen->header->len > 0;
}

static void respond(peer *p) {
    witness *seen = p->user;

    while (read_request(p)) {
        if (!peer_write(p, seen->response, seen->response_len ? seen->response_len : strlen(seen->response))) {
            return;
        }
    }
}

static void respond_over_tls(peer *p) {
    if (peer_start_tls(p)) {
        respond(p);
    }
}

static void witness_init(witness *seen, world *w, const char *response) {
    *seen = (witness){.w = w, .header = g_string_new(NULL), .body = g_string_new(NULL), .response = response};
}

static void witness_release(witness *seen) {
    g_string_free(seen->header, TRUE);
    g_string_free(seen->body, TRUE);
}

#define OK_RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Test: \t yes \r\n\r\nhi"

/* --- what is sent ----------------------------------------------------------------------------------------------- */

static void capture_one(peer *p) {
    witness *seen = p->user;

    read_request(p);
    peer_say(p, seen->response);
}

static void the_request_holds_what_was_asked_for_and_no_more(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};
    const char *const headers[] = {"Content-Type", "application/json", "X-Empty", "", "X-Tab", "a\tb", NULL};
    g_autoptr(GBytes) body = g_bytes_new_static("{\"a\":\0}", 7);

    witness_init(&seen, w, OK_RESPONSE);
    server_start(&s, capture_one, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/hook?x=1");
    g_autofree char *expected = g_strdup_printf("POST /hook?x=1 HTTP/1.1\nHost: 127.0.0.1:%u\n"
                                                "User-Agent: mailruled/" MAILRULED_VERSION "\nAccept: */*\n"
                                                "Content-Type: application/json\nX-Empty:\nX-Tab: a\tb\n"
                                                "Content-Length: 7\n",
                                                s.port);
    run(w, &(http_request){.method = "POST", .url = url, .headers = headers, .body = body, .allow_private = true}, &a);
    server_stop(&s);
    assert_outcome(&a, HTTP_ANSWERED, "");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body->str, "hi");
    assert_string_equal(a.header, "yes");
    assert_string_equal(seen.header->str, expected);
    assert_memory_equal(seen.body->str, "{\"a\":\0}", 7);
    answer_release(&a);
    witness_release(&seen);
}

static void https_verifies_against_the_given_ca(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};

    witness_init(&seen, w, OK_RESPONSE "");
    server_start(&s, respond_over_tls, &w->good, &seen, 2);
    g_autofree char *url = url_of("https", s.port, "/");
    run(w, &(http_request){.url = url, .tls_ca = w->ca_file, .allow_private = true}, &a);
    assert_outcome(&a, HTTP_ANSWERED, "");
    answer_release(&a);
    /* A connection that one CA file vouched for is not used for calls that trust others. */
    run(w, &(http_request){.url = url, .allow_private = true}, &a);
    assert_outcome(&a, HTTP_TLS, "unknown issuer CN=Test CA");
    answer_release(&a);
    g_clear_pointer(&w->http, http_client_free);
    server_stop(&s);
    witness_release(&seen);
}

static void fault_70_a_line_break_in_a_header_is_refused(void **state) {
    world *w = *state;
    static const char *const bad[][2] = {
        {"X-Subject", "hello\r\nX-Evil: 1"}, {"X-Subject", "hello\n"}, {"X-Subject", "\r"}, {"X-Subject", "a\x01" "b"},
        {"X-Subject", "a\x7f"},             {"X Subject", "x"},       {"X-Subject:", "x"}, {"", "x"},
        {"X\r\nY", "x"},                    {"Content-Length", "5"},  {"Transfer-Encoding", "chunked"},
        {"transfer-encoding", "x"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *const headers[] = {bad[i][0], bad[i][1], NULL};
        http_request request = {.url = "http://127.0.0.1:1/", .headers = headers, .allow_private = true};
        g_autoptr(error) err = http_start(w->http, &request, on_done, NULL, NULL);

        if (!err) {
            print_error("accepted %s: %s\n", bad[i][0], bad[i][1]);
        }
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
        assert_null(strstr(err->text, "Evil"));
    }
}

static void only_http_urls_without_credentials_are_accepted(void **state) {
    world *w = *state;
    static const char *const bad[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "http://u:p@127.0.0.1/", "gopher://x/",
                                      "http://", "127.0.0.1", "http://127.0.0.1:99999/", "http://a b/",
                                      "http://127.0.0.1/\r\nX: y", ""};

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        http_request request = {.url = bad[i], .allow_private = true};
        g_autoptr(error) err = http_start(w->http, &request, on_done, NULL, NULL);

        if (!err) {
            print_error("accepted %s\n", bad[i]);
        }
        assert_non_null(err);
        assert_int_equal(err->code, ERROR_INVALID);
    }
}

/* --- failures --------------------------------------------------------------------------------------------------- */

static void refused(world *w, const char *host) {
    g_autofree char *url = g_strdup_printf("http://%s:9/", host);
    answer a = {0};

    run(w, &(http_request){.url = url}, &a);
    if (a.outcome != HTTP_REFUSED) {
        print_error("%s: %s %s\n", host, http_outcome_name(a.outcome), a.err ? a.err->text : "");
    }
    assert_int_equal(a.outcome, HTTP_REFUSED);
    assert_int_equal(a.err->code, ERROR_PERMISSION);
    assert_non_null(strstr(a.err->text, "is not allowed"));
    answer_release(&a);
}

static void fault_66_private_addresses_are_refused_however_they_are_written(void **state) {
    static const char *const hosts[] = {
        "127.0.0.1",       "localhost",        "2130706433",        "0x7f000001",    "0177.0.0.1",
        "127.1",           "[::1]",            "[::ffff:10.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254",
        "10.1.2.3",        "172.31.255.255",   "192.168.0.1",       "0.0.0.0",       "0",
        "100.64.0.1",      "100.100.100.200",  "224.0.0.1",         "[fe80::1]",     "[fd00:ec2::254]",
        "[64:ff9b::a00:1]", "[ff02::1]",        "[::]",              "255.255.255.255", "[2002:7f00:1::]",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        refused(*state, hosts[i]);
    }
}

static void fault_66_a_kept_connection_of_a_private_call_is_not_reused(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};

    witness_init(&seen, w, OK_RESPONSE);
    server_start(&s, respond, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/");
    run(w, &(http_request){.url = url, .allow_private = true}, &a);
    assert_int_equal(a.status, 200);
    answer_release(&a);
    run(w, &(http_request){.url = url}, &a);
    assert_outcome(&a, HTTP_REFUSED, "127.0.0.1 (loopback) is not allowed");
    answer_release(&a);
    g_clear_pointer(&w->http, http_client_free);
    server_stop(&s);
    assert_int_equal(seen.requests, 1);
    witness_release(&seen);
}

static void answered(world *w, const char *response, int status, answer *a) {
    witness seen;
    server s;

    witness_init(&seen, w, response);
    server_start(&s, capture_one, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/");
    run(w, &(http_request){.url = url, .allow_private = true}, a);
    server_stop(&s);
    witness_release(&seen);
    if (status) {
        assert_outcome(a, HTTP_ANSWERED, "");
        assert_int_equal(a->status, status);
    }
}

static void fault_64_a_redirect_is_an_answer_and_not_followed(void **state) {
    answer a = {0};

    answered(*state, "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 302,
             &a);
    answer_release(&a);
}

static void fault_64_retry_after_is_read_and_capped(void **state) {
    answer a = {0};

    answered(*state, "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, &a);
    assert_int_equal(a.retry_after_ms, 7000);
    answer_release(&a);
    answered(*state, "HTTP/1.1 503 No\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n", 503, &a);
    assert_int_equal(a.retry_after_ms, HTTP_RETRY_AFTER_MAX_MS);
    answer_release(&a);
    answered(*state, "HTTP/1.1 503 No\r\nRetry-After: Tue, 14 Nov 2023 22:13:50 GMT\r\nContent-Length: 0\r\n\r\n", 503,
             &a);
    assert_int_equal(a.retry_after_ms, 30000); /* the clock stands at 22:13:20 */
    answer_release(&a);
    assert_int_equal(http_parse_retry_after("Tue, 14 Nov 2023 22:13:19 GMT", 1700000000000), 0);
    assert_int_equal(http_parse_retry_after("soon", 0), 0);
    assert_int_equal(http_parse_retry_after("-5", 0), 0);
    assert_int_equal(http_parse_retry_after("", 0), 0);
}

static void fault_64_a_foreign_certificate_is_a_tls_error(void **state) {
    world *w = *state;
    identity other = identity_new(NULL, "localhost", "IP:127.0.0.1", -1, 10);
    witness seen;
    server s;
    answer a = {0};

    witness_init(&seen, w, OK_RESPONSE);
    server_start(&s, respond_over_tls, &other, &seen, 1);
    g_autofree char *url = url_of("https", s.port, "/");
    run(w, &(http_request){.url = url, .tls_ca = w->ca_file, .allow_private = true}, &a);
    assert_outcome(&a, HTTP_TLS, "self-signed certificate");
    server_stop(&s);
    assert_int_equal(seen.requests, 0);
    answer_release(&a);
    witness_release(&seen);
    identity_release(&other);
}

static void reset_after_request(peer *p) {
    read_request(p);
    peer_reset(p);
}

static void fault_64_a_reset_and_a_silent_close_are_network_errors(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};

    witness_init(&seen, w, "");
    server_start(&s, reset_after_request, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/");
    run(w, &(http_request){.url = url, .allow_private = true}, &a);
    assert_outcome(&a, HTTP_NETWORK, "reset");
    assert_int_equal(a.err->code, ERROR_NETWORK);
    answer_release(&a);
    server_stop(&s);
    witness_release(&seen);
    answered(w, "", 0, &a);
    assert_outcome(&a, HTTP_NETWORK, "Empty reply");
    answer_release(&a);
}

static void drip(peer *p) {
    witness *seen = p->user;

    read_request(p);
    peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx");
    atomic_store(&seen->reached, true);
    loop_async_wake(seen->w->nudge);
    peer_read_out(p);
}

static void fault_68_a_dripping_answer_ends_at_the_time_limit(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};
    http_call *call;

    witness_init(&seen, w, "");
    server_start(&s, drip, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/");
    assert_null(http_start(w->http, &(http_request){.url = url, .timeout_ms = 5000, .allow_private = true}, on_done,
                           &a, &call));
    while (!atomic_load(&seen.reached)) {
        loop_turn(w->loop, true);
    }
    clock_fake_advance(&w->clock, 4999);
    loop_turn(w->loop, false);
    assert_false(a.done);
    clock_fake_advance(&w->clock, 1);
    loop_turn(w->loop, false);
    assert_true(a.done);
    assert_outcome(&a, HTTP_TIMEOUT, "no complete answer after 5000 ms");
    server_stop(&s);
    answer_release(&a);
    witness_release(&seen);
}

static void endless_body(peer *p) {
    g_autofree char *bytes = g_malloc0(65536);

    read_request(p);
    peer_say(p, "HTTP/1.1 200 OK\r\n\r\n");
    while (peer_write(p, bytes, 65536)) {
    }
}

static void endless_header(peer *p) {
    read_request(p);
    peer_say(p, "HTTP/1.1 200 OK\r\n");
    while (peer_say(p, "X-More: and more and more and more and more and more\r\n")) {
    }
}

static void endless_interim(peer *p) {
    read_request(p);
    while (peer_say(p, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")) {
    }
}

/* 10 MB of zeros in 10 KB. */
static void gzip_bomb(peer *p) {
    GString *gzip = g_string_new(NULL);
    GConverter *zlib = G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
    g_autofree char *zeros = g_malloc0(10u << 20), *packed = g_malloc(1u << 20);
    gsize read = 0, written = 0;

    g_converter_convert(zlib, zeros, 10u << 20, packed, 1u << 20, G_CONVERTER_INPUT_AT_END, &read, &written, NULL);
    g_object_unref(zlib);
    read_request(p);
    g_string_append_printf(gzip, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", written);
    peer_write(p, gzip->str, gzip->len);
    peer_write(p, packed, written);
    g_string_free(gzip, TRUE);
}

static void fault_68_endless_and_exploding_answers_are_cut(void **state) {
    static const peer_script scripts[] = {endless_body, endless_header, endless_interim, gzip_bomb};
    world *w = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        witness seen;
        server s;
        answer a = {0};

        witness_init(&seen, w, "");
        server_start(&s, scripts[i], NULL, &seen, 1);
        g_autofree char *url = url_of("http", s.port, "/");
        run(w, &(http_request){.url = url, .max_response = 100000, .allow_private = true, .compressed = true}, &a);
        assert_outcome(&a, HTTP_TOO_LARGE, "larger than 100000 bytes");
        assert_int_equal(a.err->code, ERROR_LIMIT);
        assert_true(a.body->len <= 100000);
        server_stop(&s);
        answer_release(&a);
        witness_release(&seen);
    }
}

static void a_large_announced_length_is_cut_before_it_comes(void **state) {
    answer a = {0};

    answered(*state, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 0, &a);
    assert_outcome(&a, HTTP_TOO_LARGE, "");
    answer_release(&a);
}

static void a_cancelled_call_says_nothing(void **state) {
    world *w = *state;
    witness seen;
    server s;
    answer a = {0};
    http_call *call;

    witness_init(&seen, w, "");
    server_start(&s, drip, NULL, &seen, 1);
    g_autofree char *url = url_of("http", s.port, "/");
    assert_null(http_start(w->http, &(http_request){.url = url, .allow_private = true}, on_done, &a, &call));
    while (!atomic_load(&seen.reached)) {
        loop_turn(w->loop, true);
    }
    http_cancel(call);
    server_stop(&s);
    loop_turn(w->loop, false);
    assert_false(a.done);
    witness_release(&seen);
}

static void proxies_of_the_environment_are_ignored(void **state) {
    answer a = {0};

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    answered(*state, OK_RESPONSE, 200, &a);
    answer_release(&a);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(the_request_holds_what_was_asked_for_and_no_more),
        T(https_verifies_against_the_given_ca),
        T(only_http_urls_without_credentials_are_accepted),
        T(fault_64_a_redirect_is_an_answer_and_not_followed),
        T(fault_64_retry_after_is_read_and_capped),
        T(fault_64_a_foreign_certificate_is_a_tls_error),
        T(fault_64_a_reset_and_a_silent_close_are_network_errors),
        T(fault_66_private_addresses_are_refused_however_they_are_written),
        T(fault_66_a_kept_connection_of_a_private_call_is_not_reused),
        T(fault_68_a_dripping_answer_ends_at_the_time_limit),
        T(fault_68_endless_and_exploding_answers_are_cut),
        T(fault_70_a_line_break_in_a_header_is_refused),
        T(a_large_announced_length_is_cut_before_it_comes),
        T(a_cancelled_call_says_nothing),
        T(proxies_of_the_environment_are_ignored),
    };

    peer_watchdog();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
