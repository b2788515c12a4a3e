#include "loop_priv.h"
#include "net/crypto.h"
#include "transport_priv.h"

#include <errno.h>
#include <string.h>

#define READS_A_TURN 32 /* TLS records; so that one busy connection does not starve the others */
#define COMPRESSED_READ (16 * 1024) /* so that what waits to be inflated stays small */

/* --- closing ---------------------------------------------------------------------------------------------------- */

static void drop_queue(transport *t) {
    while (t->first) {
        transport_chunk *chunk = t->first;

        t->first = chunk->next;
        crypto_wipe(chunk->bytes, chunk->len);
        g_free(chunk);
    }
    t->last = NULL;
    t->queued = 0;
}

static void release(transport *t) {
    g_clear_pointer(&t->watch, loop_watch_free);
    transport_group_leave(t);
    g_clear_pointer(&t->easy, curl_easy_cleanup);
    g_clear_pointer(&t->setup, transport_setup_free);
    g_clear_pointer(&t->turn, loop_timer_free);
    drop_queue(t);
    g_clear_pointer(&t->deflate, deflate_pair_free);
    g_clear_pointer(&t->broken, error_free);
}

void transport_free(transport *t) {
    if (!t || t->freed) {
        return;
    }
    t->freed = true;
    if (!t->busy) {
        release(t);
        g_free(t);
    }
}

/* Every entry from the loop is enclosed by these two: what runs between may free t. */
static void enter(transport *t) {
    t->busy = true;
}

static void leave(transport *t) {
    t->busy = false;
    if (t->freed) {
        release(t);
        g_free(t);
    }
}

/* Takes err. Between enter and leave. */
static void close_now(transport *t, error *err) {
    if (t->freed) {
        error_free(err);
        return;
    }
    release(t);
    log_debug(&t->log, "connection closed: %s", err ? err->text : "by the server");
    t->events.closed(t->user, err);
}

/* --- the open stream -------------------------------------------------------------------------------------------- */

static void update_watch(transport *t) {
    if (t->watch) {
        loop_watch_set(t->watch, (t->paused ? 0 : LOOP_READABLE) | (t->queued ? LOOP_WRITABLE : 0));
    }
}

static error *io_failure(transport *t, CURLcode code, const char *what) {
    long number = 0;

    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    return error_new(ERROR_NETWORK, "%s: %s", what,
                     number && number != EAGAIN ? strerror((int)number) : curl_easy_strerror(code));
}

static void flush(transport *t) {
    while (t->first && !t->broken) {
        transport_chunk *chunk = t->first;
        size_t n = 0;
        CURLcode code = curl_easy_send(t->easy, chunk->bytes + chunk->sent, chunk->len - chunk->sent, &n);

        if (code == CURLE_AGAIN) {
            t->waited = true;
            return;
        }
        if (code != CURLE_OK) {
            t->broken = io_failure(t, code, "sending");
            return;
        }
        chunk->sent += n;
        t->queued -= n;
        t->wire_out += n;
        if (chunk->sent == chunk->len) {
            t->first = chunk->next;
            t->last = t->first ? t->last : NULL;
            crypto_wipe(chunk->bytes, chunk->len);
            g_free(chunk);
        }
    }
}

/* Queued behind the rest and, unless something waits, sent. */
static void enqueue(transport *t, const void *bytes, size_t len) {
    transport_chunk *chunk = g_malloc(sizeof *chunk + len);

    *chunk = (transport_chunk){.len = len};
    memcpy(chunk->bytes, bytes, len);
    if (t->last) {
        t->last->next = chunk;
    } else {
        t->first = chunk;
    }
    t->last = chunk;
    t->queued += len;
    if (t->first == chunk) {
        flush(t);
    }
}

void transport_send(transport *t, const void *bytes, size_t len) {
    if (!t->watch || t->broken || t->freed || !len) {
        return;
    }
    if (t->deflate) {
        g_autoptr(GByteArray) packed = g_byte_array_new();
        deflate_pair_pack(t->deflate, bytes, len, packed);
        enqueue(t, packed->data, packed->len);
    } else {
        enqueue(t, bytes, len);
    }
    if (t->broken) {
        loop_timer_start(t->turn, 0);
    }
    update_watch(t);
}

static void ended(transport *t) {
    bool cut = t->deflate && !deflate_pair_at_rest(t->deflate);

    close_now(t, cut ? error_new(ERROR_PROTOCOL, "the server's compressed data end in the middle") : NULL);
}

/* Reads once. False: there is nothing, or the connection is closed. */
static bool receive(transport *t, uint8_t *buffer) {
    size_t n = 0;
    CURLcode code = curl_easy_recv(t->easy, buffer, t->deflate ? COMPRESSED_READ : LOOP_READ_BUFFER, &n);

    if (code == CURLE_AGAIN) {
        return false;
    }
    if (code != CURLE_OK) {
        close_now(t, io_failure(t, code, "reading"));
        return false;
    }
    if (n == 0) {
        ended(t);
        return false;
    }
    t->wire_in += n;
    if (t->deflate) {
        deflate_pair_feed(t->deflate, buffer, n);
    } else {
        t->events.data(t->user, buffer, n);
    }
    return true;
}

/* What is left of the last read first: the owner has had all that was inflated before. False as above. */
static bool inflate_or_receive(transport *t, uint8_t *buffer) {
    error *err = NULL;
    size_t n = deflate_pair_unpack(t->deflate, buffer, LOOP_READ_BUFFER, &err);

    if (n) {
        t->events.data(t->user, buffer, n);
        return true;
    }
    if (err || deflate_pair_ended(t->deflate)) {
        close_now(t, err);
        return false;
    }
    return receive(t, buffer);
}

/* TLS may hold decrypted bytes that no poll announces, and DEFLATE inflated ones: read until there is nothing, or come
 * back in the next turn. */
static void drain(transport *t) {
    uint8_t *buffer = loop_read_buffer(transport_pool_loop(t->pool));

    for (int i = 0; i < READS_A_TURN; i++) {
        if (t->freed || !t->easy || t->paused) {
            return;
        }
        if (!(t->deflate ? inflate_or_receive(t, buffer) : receive(t, buffer))) {
            return;
        }
    }
    if (!t->freed && t->easy) {
        loop_timer_start(t->turn, 0);
    }
}

static void ready(void *user, int events) {
    transport *t = user;

    enter(t);
    if (events & LOOP_WRITABLE) {
        flush(t);
    }
    if (events & LOOP_READABLE) {
        drain(t);
    }
    if (!t->freed && t->easy && t->broken) {
        close_now(t, g_steal_pointer(&t->broken));
    }
    if (!t->freed && t->easy && t->waited && !t->queued) {
        t->waited = false;
        if (t->events.drained) {
            t->events.drained(t->user);
        }
    }
    if (!t->freed) {
        update_watch(t);
    }
    leave(t);
}

void transport_compress(transport *t, const uint8_t *rest, size_t len) {
    if (!t->watch || t->freed || t->deflate) {
        return;
    }
    t->deflate = deflate_pair_new();
    deflate_pair_feed(t->deflate, rest, len);
    loop_timer_start(t->turn, 0);
}

void transport_traffic(const transport *t, uint64_t *in_out, uint64_t *out_out) {
    *in_out = t->wire_in;
    *out_out = t->wire_out;
}

size_t transport_queued(const transport *t) {
    return t->queued;
}

void transport_pause(transport *t, bool paused) {
    if (t->paused && !paused && t->watch && !t->freed) {
        loop_timer_start(t->turn, 0);
    }
    t->paused = paused;
    update_watch(t);
}

/* --- connecting ------------------------------------------------------------------------------------------------- */

static void open_stream(transport *t, const transport_greeting *greeting) {
    curl_socket_t fd = CURL_SOCKET_BAD;
    error *err = NULL;

    curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD) {
        err = error_new(ERROR_NETWORK, "the connection is gone already");
    }
    err = err ? err : loop_watch_new(transport_pool_loop(t->pool), fd, ready, t, &t->watch);
    if (err) {
        close_now(t, err);
        return;
    }
    log_debug(&t->log, "connected to %s, %s", greeting->peer, greeting->tls ? greeting->tls : "no TLS");
    t->events.connected(t->user, greeting);
}

void transport_connect_done(transport *t, CURLcode code) {
    transport_greeting greeting;
    error *err = transport_setup_result(t, code, &greeting);

    loop_timer_stop(t->turn);
    enter(t);
    if (err) {
        close_now(t, err);
    } else {
        open_stream(t, &greeting);
        if (!t->freed && t->easy) {
            curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
            g_clear_pointer(&t->setup, transport_setup_free);
            drain(t);
        }
    }
    if (!t->freed) {
        update_watch(t);
    }
    leave(t);
}

static void turn_came(void *user) {
    transport *t = user;

    enter(t);
    if (t->setup) {
        transport_setup_progress(t); /* TCP may have come through without an event yet: then there is more time */
        if (!loop_timer_active(t->turn)) {
            close_now(t, transport_setup_deadline(t));
        }
    } else if (t->broken) {
        close_now(t, g_steal_pointer(&t->broken));
    } else {
        drain(t);
    }
    if (!t->freed) {
        update_watch(t);
    }
    leave(t);
}

error *transport_open(transport_pool *pool, const transport_options *options, const transport_events *events,
                      void *user, const log_ctx *log, transport **transport_out) {
    transport *t = g_new0(transport, 1);
    error *err;

    *transport_out = NULL;
    *t = (transport){.pool = pool, .events = *events, .user = user};
    if (log) {
        t->log = *log;
    }
    t->turn = loop_timer_new(transport_pool_loop(pool), turn_came, t);
    t->easy = curl_easy_init();
    err = t->easy ? NULL : error_new(ERROR_NETWORK, "libcurl: out of memory");
    err = err ? err : transport_setup_new(t, options);
    err = err ? err : transport_group_join(t);
    if (err) {
        transport_free(t);
        return err;
    }
    *transport_out = t;
    return NULL;
}
