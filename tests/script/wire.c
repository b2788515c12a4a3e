#include "tests/script/script_priv.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void wire_init(wire *w, int stop_fd) {
    *w = (wire){.fd = -1, .stop_fd = stop_fd, .in = g_string_new(NULL)};
}

void wire_release(wire *w) {
    wire_close(w, false);
    g_string_free(w->in, TRUE);
}

int wire_listen(uint16_t *port_out) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && (bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 16) != 0 ||
                    getsockname(fd, (struct sockaddr *)&addr, &len) != 0)) {
        close(fd);
        return -1;
    }
    *port_out = ntohs(addr.sin_port);
    return fd;
}

/* False: stopped, or nothing happened for too long. */
static bool wait_for(wire *w, int fd, short events) {
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = w->stop_fd, .events = POLLIN}};

    return poll(fds, 2, w->patient ? -1 : IMAP_SCRIPT_PATIENCE_MS) > 0 && !fds[1].revents;
}

bool wire_accept(wire *w, int listener) {
    const struct timeval patience = {.tv_sec = IMAP_SCRIPT_PATIENCE_MS / 1000};
    int one = 1;

    wire_close(w, false);
    if (!wait_for(w, listener, POLLIN)) {
        return false;
    }
    w->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (w->fd < 0) {
        return false;
    }
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    w->gone = false;
    w->split = w->always_split;
    g_string_truncate(w->in, 0);
    return true;
}

bool wire_start_tls(wire *w, SSL_CTX *ctx) {
    w->ssl = SSL_new(ctx);
    SSL_set_fd(w->ssl, w->fd);
    if (SSL_accept(w->ssl) == 1) {
        return true;
    }
    SSL_free(w->ssl);
    w->ssl = NULL;
    w->gone = true;
    return false;
}

static void send_piece(wire *w, const char *bytes, size_t len) {
    while (len > 0 && !w->gone) {
        ssize_t n = w->ssl ? SSL_write(w->ssl, bytes, (int)MIN(len, 1 << 20)) : send(w->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0) {
            w->gone = true;
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

void wire_send_raw(wire *w, const char *bytes, size_t len) {
    size_t piece = w->split ? w->split : len;

    if (w->held) {
        g_string_append_len(w->held, bytes, (gssize)len);
        return;
    }
    while (len > 0 && !w->gone && w->fd >= 0) {
        size_t n = MIN(piece, len);
        send_piece(w, bytes, n);
        bytes += n;
        len -= n;
    }
}

void wire_send(wire *w, const char *bytes, size_t len) {
    z_stream *z = &w->deflater;
    char chunk[16384];

    if (!w->compressed) {
        wire_send_raw(w, bytes, len);
        return;
    }
    z->next_in = (Bytef *)(uintptr_t)bytes;
    z->avail_in = (uInt)len;
    do {
        z->next_out = (Bytef *)chunk;
        z->avail_out = sizeof chunk;
        deflate(z, Z_SYNC_FLUSH);
        wire_send_raw(w, chunk, sizeof chunk - z->avail_out);
    } while (z->avail_out == 0);
}

/* What came, as it was before it was compressed; false: it is not compressed. */
static bool take_in(wire *w, char *bytes, size_t len) {
    z_stream *z = &w->inflater;
    char chunk[16384];

    if (!w->compressed) {
        g_string_append_len(w->in, bytes, (gssize)len);
        return true;
    }
    z->next_in = (Bytef *)bytes;
    z->avail_in = (uInt)len;
    do {
        z->next_out = (Bytef *)chunk;
        z->avail_out = sizeof chunk;
        int got = inflate(z, Z_SYNC_FLUSH);
        if (got != Z_OK && got != Z_BUF_ERROR) {
            return false;
        }
        g_string_append_len(w->in, chunk, (gssize)(sizeof chunk - z->avail_out));
    } while (z->avail_out == 0);
    return true;
}

void wire_compress(wire *w) {
    g_autoptr(GString) ahead = g_string_new_len(w->in->str, (gssize)w->in->len);

    deflateInit2(&w->deflater, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    inflateInit2(&w->inflater, -MAX_WBITS);
    w->compressed = true;
    g_string_truncate(w->in, 0);
    take_in(w, ahead->str, ahead->len); /* a client that did not wait for the answer meant it so */
}

void wire_flush(wire *w) {
    GString *held = w->held;

    w->held = NULL;
    if (held) {
        wire_send_raw(w, held->str, held->len);
        g_string_free(held, TRUE);
    }
}

/* More of what the client says. False: closed or given up. */
static bool read_more(wire *w, const char **why_out) {
    char chunk[65536];
    ssize_t n;

    if (w->fd < 0 || w->gone) {
        *why_out = "the connection is closed";
        return false;
    }
    if (!(w->ssl && SSL_pending(w->ssl)) && !wait_for(w, w->fd, POLLIN)) {
        *why_out = "nothing came";
        return false;
    }
    n = w->ssl ? SSL_read(w->ssl, chunk, sizeof chunk) : recv(w->fd, chunk, sizeof chunk, 0);
    if (n <= 0) {
        w->gone = true;
        *why_out = "the client closed the connection";
        return false;
    }
    if (!take_in(w, chunk, (size_t)n)) {
        *why_out = "what the client sent is not compressed";
        return false;
    }
    return true;
}

char *wire_read_line(wire *w, const char **why_out) {
    char *end;

    while (!(end = memchr(w->in->str, '\n', w->in->len))) {
        if (!read_more(w, why_out)) {
            return NULL;
        }
    }
    size_t len = (size_t)(end - w->in->str);
    if (len == 0 || end[-1] != '\r') {
        *why_out = "a line without CR";
        return NULL;
    }
    char *line = g_strndup(w->in->str, len - 1);
    g_string_erase(w->in, 0, (gssize)len + 1);
    return line;
}

bool wire_read(wire *w, size_t len, GString *into, const char **why_out) {
    while (w->in->len < len) {
        if (!read_more(w, why_out)) {
            return false;
        }
    }
    if (into) {
        g_string_append_len(into, w->in->str, (gssize)len);
    }
    g_string_erase(w->in, 0, (gssize)len);
    return true;
}

bool wire_has_more(const wire *w) {
    return w->in->len > 0;
}

bool wire_wait_closed(wire *w, bool tolerant, const char **why_out) {
    do {
        if (w->in->len && !tolerant) {
            *why_out = "it said more";
            return false;
        }
        g_string_truncate(w->in, 0);
    } while (read_more(w, why_out));
    return w->gone || w->fd < 0;
}

void wire_hang(wire *w) {
    struct pollfd fds[] = {{.fd = w->fd, .events = POLLRDHUP}, {.fd = w->stop_fd, .events = POLLIN}};

    poll(fds, 2, IMAP_SCRIPT_PATIENCE_MS);
}

void wire_close(wire *w, bool reset) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    const char *why;

    wire_flush(w);
    if (!reset && !w->gone && w->fd >= 0) { /* not close() at once: unread bytes would make that a reset */
        if (w->ssl) {
            SSL_shutdown(w->ssl);
        }
        shutdown(w->fd, SHUT_WR);
        wire_wait_closed(w, true, &why);
    }
    if (w->ssl) {
        SSL_free(w->ssl);
        w->ssl = NULL;
    }
    if (w->fd >= 0) {
        if (reset) {
            setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        close(w->fd);
        w->fd = -1;
    }
    if (w->compressed) {
        deflateEnd(&w->deflater);
        inflateEnd(&w->inflater);
        w->compressed = false;
    }
    g_string_truncate(w->in, 0);
}
