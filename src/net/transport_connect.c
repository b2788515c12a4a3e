#include "net/address.h"
#include "transport_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 30000
#define HANDSHAKE_MS 30000
#define KEEPALIVE_S 60
#define KEEPALIVE_PROBE_S 15
#define KEEPALIVE_PROBES 3 /* unanswered: the kernel gives up at the user timeout, after one probe if that is over */
#define CURL_BUFFER 8192  /* a longer line of the server is cut by libcurl, and a CAPABILITY line must not be */

enum phase { PHASE_CONNECT, PHASE_GREETING, PHASE_STARTTLS, PHASE_TLS, PHASE_CAPABILITY };
static const char *const waiting_for[] = {
    [PHASE_CONNECT] = "a connection", [PHASE_GREETING] = "the greeting", [PHASE_STARTTLS] = "the answer to STARTTLS",
    [PHASE_TLS] = "the TLS handshake", [PHASE_CAPABILITY] = "the answer to CAPABILITY",
};

struct transport_setup {
    transport_options options; /* strings owned */
    X509_STORE *store;
    tls_verdict verdict;
    enum phase phase;
    unsigned tagged;      /* tagged answers so far */
    bool encrypted;       /* what is read now came through TLS */
    char *greeting;       /* without "* " */
    char *capability;
    char *last_tagged;
    error *violation;     /* why we hung up ourselves */
    uint64_t started, connected; /* loop_now() */
    char peer[ADDRESS_TEXT_MAX + 16];
    char errbuf[CURL_ERROR_SIZE];
};

/* --- options ---------------------------------------------------------------------------------------------------- */

bool transport_host_is_loopback(const char *host) {
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, host, &four.sin_addr) == 1) {
        return address_is_loopback((struct sockaddr *)&four);
    }
    if (inet_pton(AF_INET6, host, &six.sin6_addr) == 1) {
        return address_is_loopback((struct sockaddr *)&six);
    }
    return g_ascii_strcasecmp(host, "localhost") == 0;
}

static bool proxy_ok(const char *proxy) {
    static const char *const schemes[] = {"http://", "https://", "socks4://", "socks4a://", "socks5://", "socks5h://"};

    for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (g_str_has_prefix(proxy, schemes[i])) {
            return true;
        }
    }
    return false;
}

static error *check_options(const transport_options *options) {
    if (!options->host || !*options->host) {
        return error_new(ERROR_CONFIG, "no host");
    }
    if (options->proxy && !proxy_ok(options->proxy)) {
        return error_new(ERROR_CONFIG, "proxy has to begin with socks5h://, socks5://, socks4a://, socks4://, http:// "
                                       "or https://");
    }
    if (options->tls == TRANSPORT_TLS_NONE && (options->proxy || !transport_host_is_loopback(options->host))) {
        return error_new(ERROR_CONFIG, "%s: without TLS only to a loopback address, and without a proxy",
                         options->host);
    }
    return NULL;
}

static void fill_defaults(transport_options *options) {
    options->host = g_strdup(options->host);
    options->tls_ca = g_strdup(options->tls_ca);
    options->proxy = g_strdup(options->proxy);
    options->port = options->port ? options->port : options->tls == TRANSPORT_TLS_IMPLICIT ? 993 : 143;
    options->connect_ms = options->connect_ms ? options->connect_ms : CONNECT_MS;
    options->handshake_ms = options->handshake_ms ? options->handshake_ms : HANDSHAKE_MS;
    options->keepalive_s = options->keepalive_s ? options->keepalive_s : KEEPALIVE_S;
    if (!options->user_timeout_ms) {
        options->user_timeout_ms = (options->keepalive_s + KEEPALIVE_PROBES * KEEPALIVE_PROBE_S) * 1000;
    }
}

static error *make_url(const transport_options *options, char **url_out) {
    bool six = strchr(options->host, ':') != NULL;
    g_autofree char *host = six ? g_strdup_printf("[%s]", options->host) : g_strdup(options->host);
    char port[8], *url = NULL;
    CURLU *parts = curl_url();
    CURLUcode code;

    g_snprintf(port, sizeof port, "%u", options->port);
    code = curl_url_set(parts, CURLUPART_SCHEME, options->tls == TRANSPORT_TLS_IMPLICIT ? "imaps" : "imap", 0);
    code = code ? code : curl_url_set(parts, CURLUPART_HOST, host, 0);
    code = code ? code : curl_url_set(parts, CURLUPART_PORT, port, 0);
    code = code ? code : curl_url_set(parts, CURLUPART_PATH, "/", 0);
    code = code ? code : curl_url_get(parts, CURLUPART_URL, &url, 0);
    curl_url_cleanup(parts);
    if (code) {
        return error_new(ERROR_CONFIG, "host %s: %s", options->host, curl_url_strerror(code));
    }
    *url_out = g_strdup(url);
    curl_free(url);
    return NULL;
}

/* --- libcurl asks ----------------------------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *addr) {
    transport *t = user;
    transport_setup *setup = t->setup;
    int fd;

    (void)purpose;
    if (setup->options.tls == TRANSPORT_TLS_NONE && !address_is_loopback(&addr->addr)) {
        char text[ADDRESS_TEXT_MAX];

        address_format(&addr->addr, text);
        error_free(setup->violation);
        setup->violation = error_new(ERROR_TLS, "%s is no loopback address: not without TLS", text);
        return CURL_SOCKET_BAD;
    }
    fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
    if (fd >= 0) {
        unsigned timeout = setup->options.user_timeout_ms;

        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    } else if (!setup->violation && (errno == EMFILE || errno == ENFILE)) {
        setup->violation = error_new(ERROR_LIMIT, "socket: %s", strerror(errno));
    }
    return fd;
}

static CURLcode setup_ctx(CURL *easy, void *ctx, void *user) {
    transport *t = user;

    (void)easy;
    tls_setup_ctx(ctx, t->setup->store, &t->setup->verdict);
    /* Whatever was said before came in clear: anyone may have said it (RFC 9051 section 6.2.1). */
    g_clear_pointer(&t->setup->capability, g_free);
    t->setup->encrypted = true;
    t->setup->phase = PHASE_TLS;
    return CURLE_OK;
}

static bool starts(const char *line, const char *word) {
    size_t len = strlen(word);

    return g_ascii_strncasecmp(line, word, len) == 0 && (line[len] == ' ' || line[len] == '\0');
}

/* False: hang up. */
static bool greeted(transport_setup *setup, const char *line) {
    setup->greeting = g_strdup(g_str_has_prefix(line, "* ") ? line + 2 : line);
    setup->phase = PHASE_CAPABILITY;
    if (starts(setup->greeting, "PREAUTH") && setup->options.tls == TRANSPORT_TLS_STARTTLS) {
        setup->violation = error_new(ERROR_TLS, "preauth without TLS: the greeting leaves no way to STARTTLS");
    } else if (starts(setup->greeting, "BYE")) {
        setup->violation = error_new(ERROR_BUSY, "server says: %s", setup->greeting);
    } else if (line[0] != '*' || (!starts(setup->greeting, "OK") && !starts(setup->greeting, "PREAUTH"))) {
        setup->violation = error_new(ERROR_PROTOCOL, "not an IMAP greeting: %.100s", line);
    }
    return !setup->violation;
}

static void answered(transport_setup *setup, const char *line) {
    const char *text = strchr(line, ' ');

    g_free(setup->last_tagged);
    setup->last_tagged = g_strdup(text ? text + 1 : line);
    setup->tagged++;
    if (setup->options.tls == TRANSPORT_TLS_STARTTLS && !setup->encrypted) {
        setup->phase = PHASE_STARTTLS;
    }
}

/* A line of the server, before libcurl acts on it: returning less than its length hangs up. */
static size_t server_line(char *bytes, size_t size, size_t count, void *user) {
    transport *t = user;
    transport_setup *setup = t->setup;
    size_t len = size * count;
    g_autofree char *line = NULL;

    if (!setup) {
        return len;
    }
    line = g_strndup(bytes, MIN(len, (size_t)CURL_BUFFER));
    g_strchomp(line);
    if (!setup->greeting) {
        return greeted(setup, line) ? len : 0;
    }
    if (g_ascii_strncasecmp(line, "* CAPABILITY ", 13) == 0) {
        g_free(setup->capability);
        setup->capability = g_strdup(line + 13);
    } else if (starts(line, "* BYE")) {
        setup->violation = error_new(ERROR_BUSY, "server says: %s", line + 2);
        return 0;
    } else if (line[0] != '*' && line[0] != '+') {
        answered(setup, line);
    }
    return len;
}

static size_t no_data(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes, (void)user;
    return size * count;
}

static void setup_easy(transport *t, const char *url) {
    const transport_options *o = &t->setup->options;
    CURL *easy = t->easy;

    tls_setup_easy(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, o->tls == TRANSPORT_TLS_IMPLICIT ? "imaps" : "imap");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(o->tls == TRANSPORT_TLS_NONE ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* giving up does not wait for a name server */
    curl_easy_setopt(easy, CURLOPT_PROXY, o->proxy ? o->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* server_line() is for the IMAP server */
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)CURL_BUFFER);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms + (long)o->handshake_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)o->keepalive_s);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_PROBE_S);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, setup_ctx);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, server_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, no_data);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->setup->errbuf);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

error *transport_setup_new(transport *t, const transport_options *options) {
    transport_setup *setup;
    g_autofree char *url = NULL;
    error *err = check_options(options);

    if (err) {
        return err;
    }
    setup = g_new0(transport_setup, 1);
    setup->options = *options;
    fill_defaults(&setup->options);
    err = make_url(&setup->options, &url);
    if (!err && options->tls != TRANSPORT_TLS_NONE) {
        err = tls_trust_store(transport_pool_trust(t->pool), options->tls_ca, &setup->store);
    }
    if (err) {
        transport_setup_free(setup);
        return err;
    }
    t->setup = setup;
    setup->started = loop_now(transport_pool_loop(t->pool));
    setup_easy(t, url);
    loop_timer_start(t->turn, setup->options.connect_ms);
    return NULL;
}

void transport_setup_free(transport_setup *setup) {
    if (setup) {
        g_free((char *)(uintptr_t)setup->options.host);
        g_free((char *)(uintptr_t)setup->options.tls_ca);
        g_free((char *)(uintptr_t)setup->options.proxy);
        X509_STORE_free(setup->store);
        tls_verdict_release(&setup->verdict);
        g_free(setup->greeting);
        g_free(setup->capability);
        g_free(setup->last_tagged);
        error_free(setup->violation);
        g_free(setup);
    }
}

void transport_setup_progress(transport *t) {
    transport_setup *setup = t->setup;
    curl_off_t connect_us = 0;

    if (!setup || setup->connected) {
        return;
    }
    curl_easy_getinfo(t->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    if (connect_us > 0) {
        setup->connected = loop_now(transport_pool_loop(t->pool));
        setup->phase = MAX(setup->phase, PHASE_GREETING);
        loop_timer_start(t->turn, setup->options.handshake_ms);
    }
}

error *transport_setup_deadline(transport *t) {
    const transport_setup *setup = t->setup;
    const char *what = waiting_for[setup->phase];
    curl_off_t lookup_us = 0;
    uint32_t ms = setup->connected ? setup->options.handshake_ms : setup->options.connect_ms;

    curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup_us);
    if (setup->phase == PHASE_CONNECT && !lookup_us) {
        what = "the name look-up";
    }
    return error_prefix(error_new(ERROR_NETWORK, "timed out after %u ms waiting for %s", ms, what), "%s port %u",
                        setup->options.host, setup->options.port);
}

/* --- result ----------------------------------------------------------------------------------------------------- */

/* libcurl does not tell: its look-up threads need descriptors too, and fail in other words. */
static bool out_of_descriptors(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

static error *failure(transport *t, CURLcode code) {
    transport_setup *setup = t->setup;
    const char *text = setup->errbuf[0] ? setup->errbuf : curl_easy_strerror(code);
    bool starttls = setup->options.tls == TRANSPORT_TLS_STARTTLS && !setup->encrypted;

    if (setup->violation) {
        return g_steal_pointer(&setup->violation);
    }
    if (starttls && code == CURLE_WEIRD_SERVER_REPLY && setup->tagged == 2) {
        return error_new(ERROR_TLS, "bytes in clear after the OK of STARTTLS: someone may be tampering");
    }
    if (starttls && code == CURLE_USE_SSL_FAILED && setup->tagged == 2) {
        return error_new(ERROR_TLS, "STARTTLS refused: %s", setup->last_tagged);
    }
    if (starttls && code == CURLE_USE_SSL_FAILED) {
        return error_new(ERROR_TLS, "server does not offer STARTTLS");
    }
    if (tls_is_failure(code)) {
        return tls_failure(&setup->verdict, setup->options.host, text);
    }
    if (setup->phase == PHASE_CONNECT && out_of_descriptors()) {
        return error_new(ERROR_LIMIT, "%s: %s", text, g_strerror(EMFILE));
    }
    if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_FTP_WEIRD_SERVER_REPLY) {
        return error_new(ERROR_PROTOCOL, "%s%s%s", text, setup->last_tagged ? ": " : "",
                         setup->last_tagged ? setup->last_tagged : "");
    }
    if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING) {
        return error_new(ERROR_NETWORK, "the server hung up where %s was expected", waiting_for[setup->phase]);
    }
    return error_new(ERROR_NETWORK, "%s", text);
}

static void describe(transport *t) {
    transport_setup *setup = t->setup;
    const char *address = NULL;
    long port = 0;

    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &address);
    curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_PORT, &port);
    g_snprintf(setup->peer, sizeof setup->peer, "%s port %ld", address ? address : "?", port);
}

error *transport_setup_result(transport *t, CURLcode code, transport_greeting *greeting_out) {
    transport_setup *setup = t->setup;
    error *err = NULL;

    if (code != CURLE_OK) {
        err = failure(t, code);
    } else if (setup->violation) {
        err = g_steal_pointer(&setup->violation);
    } else if (setup->options.tls != TRANSPORT_TLS_NONE && !setup->encrypted) {
        err = error_new(ERROR_TLS, "connected without TLS");
    }
    if (err) {
        return error_prefix(err, "%s port %u", setup->options.host, setup->options.port);
    }
    describe(t);
    *greeting_out = (transport_greeting){
        .text = setup->greeting,
        .preauth = starts(setup->greeting, "PREAUTH"),
        .capability = setup->capability,
        .tls = setup->encrypted ? setup->verdict.cipher : NULL,
        .peer = setup->peer,
    };
    return NULL;
}
