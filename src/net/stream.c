#include "loop_priv.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define HIGH_WATER (1024 * 1024)
#define READS_A_TURN 16    /* so that one busy stream does not starve the others */
#define PIECES_A_WRITE 16
#define JOIN_BELOW 4096    /* small writes are joined to one piece up to this size */

struct stream {
    event_loop *loop;
    loop_watch *watch;
    int fd;
    size_t high_water, read_chunk;
    stream_events events;
    void *user;
    GQueue pieces; /* GBytes, or the GByteArray `tail` as the last one */
    GByteArray *tail;
    size_t sent; /* of the first piece */
    size_t queued;
    bool over;
    bool paused, finishing, closed;
    bool busy, freed; /* inside a callback; freed meanwhile */
};

static void update_watch(stream *s) {
    int events = 0;

    if (!s->closed) {
        events |= s->paused || s->finishing ? 0 : LOOP_READABLE;
        events |= s->queued || s->finishing ? LOOP_WRITABLE : 0;
    }
    loop_watch_set(s->watch, events);
}

static void drop_queue(stream *s) {
    GBytes *piece;

    g_clear_pointer(&s->tail, g_byte_array_unref);
    while ((piece = g_queue_pop_head(&s->pieces))) {
        g_bytes_unref(piece);
    }
    s->queued = s->sent = 0;
}

/* Takes err. */
static void end(stream *s, error *err) {
    s->closed = true;
    drop_queue(s);
    update_watch(s);
    s->events.on_closed(s->user, err);
}

static error *io_error(const char *what) {
    return error_new(ERROR_IO, "%s: %s", what, strerror(errno));
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static void seal_tail(stream *s) {
    if (s->tail) {
        g_queue_push_tail(&s->pieces, g_byte_array_free_to_bytes(g_steal_pointer(&s->tail)));
    }
}

static int gather(stream *s, struct iovec *pieces) {
    int count = 0;

    for (GList *l = s->pieces.head; l && count < PIECES_A_WRITE; l = l->next, count++) {
        gsize len;
        const uint8_t *bytes = g_bytes_get_data(l->data, &len);
        size_t skip = count == 0 ? s->sent : 0;

        pieces[count] = (struct iovec){.iov_base = (void *)(uintptr_t)(bytes + skip), .iov_len = len - skip};
    }
    return count;
}

static void consume(stream *s, size_t n) {
    s->queued -= n;
    s->sent += n;
    while (s->pieces.head) {
        size_t len = g_bytes_get_size(s->pieces.head->data);

        if (s->sent < len) {
            return;
        }
        s->sent -= len;
        g_bytes_unref(g_queue_pop_head(&s->pieces));
    }
}

/* False on an error other than "not now"; errno says which. */
static bool flush(stream *s) {
    struct iovec pieces[PIECES_A_WRITE];

    while (s->queued) {
        seal_tail(s);
        ssize_t n = writev(s->fd, pieces, gather(s, pieces));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN;
        }
        consume(s, (size_t)n);
    }
    return true;
}

static void after_write(stream *s, size_t added) {
    if (added == s->queued) {
        flush(s); /* an error shows again, as an event, in the next turn */
    }
    s->over = s->over || s->queued > s->high_water;
    update_watch(s);
}

void stream_write(stream *s, const void *bytes, size_t len) {
    if (s->closed || s->finishing || !len) {
        return;
    }
    if (!s->tail) {
        s->tail = g_byte_array_new();
    }
    g_byte_array_append(s->tail, bytes, (guint)len);
    s->queued += len;
    if (s->tail->len >= JOIN_BELOW) {
        seal_tail(s);
    }
    after_write(s, len);
}

void stream_write_bytes(stream *s, GBytes *bytes) {
    size_t len = g_bytes_get_size(bytes);

    if (s->closed || s->finishing || !len) {
        return;
    }
    seal_tail(s);
    g_queue_push_tail(&s->pieces, g_bytes_ref(bytes));
    s->queued += len;
    after_write(s, len);
}

static void writable(stream *s) {
    if (!flush(s)) {
        end(s, io_error("writing"));
    } else if (!s->queued && s->finishing) {
        shutdown(s->fd, SHUT_WR);
        end(s, NULL);
    } else if (s->over && s->queued < s->high_water / 2) {
        s->over = false;
        if (s->events.on_drained) {
            s->events.on_drained(s->user);
        }
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void readable(stream *s) {
    for (int i = 0; i < READS_A_TURN && !s->freed && !s->closed && !s->paused && !s->finishing; i++) {
        uint8_t *buffer = loop_read_buffer(s->loop);
        ssize_t n = read(s->fd, buffer, s->read_chunk);

        if (n > 0) {
            s->events.on_data(s->user, buffer, (size_t)n);
        } else if (n == 0) {
            end(s, NULL);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            end(s, io_error("reading"));
        }
    }
}

static void free_memory(stream *s) {
    drop_queue(s);
    g_free(s);
}

static void ready(void *user, int events) {
    stream *s = user;

    s->busy = true;
    if (events & LOOP_READABLE) {
        readable(s);
    }
    if ((events & LOOP_WRITABLE) && !s->freed && !s->closed) {
        writable(s);
    }
    s->busy = false;
    if (s->freed) {
        free_memory(s);
    } else {
        update_watch(s);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

error *stream_new(event_loop *loop, int fd, const stream_options *options, const stream_events *events, void *user,
                  stream **stream_out) {
    stream *s = g_new0(stream, 1);
    error *err;

    *stream_out = NULL;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    *s = (stream){.loop = loop, .fd = fd, .events = *events, .user = user};
    s->high_water = options && options->high_water ? options->high_water : HIGH_WATER;
    s->read_chunk = options && options->read_chunk ? MIN(options->read_chunk, LOOP_READ_BUFFER) : LOOP_READ_BUFFER;
    g_queue_init(&s->pieces);
    err = loop_watch_new(loop, fd, ready, s, &s->watch);
    if (err) {
        close(fd);
        g_free(s);
        return err;
    }
    update_watch(s);
    *stream_out = s;
    return NULL;
}

void stream_free(stream *s) {
    if (!s || s->freed) {
        return;
    }
    s->freed = true;
    loop_watch_free(s->watch);
    close(s->fd);
    if (!s->busy) {
        free_memory(s);
    }
}

size_t stream_queued(const stream *s) {
    return s->queued;
}

bool stream_over_high_water(const stream *s) {
    return s->over;
}

void stream_pause(stream *s, bool paused) {
    s->paused = paused;
    update_watch(s);
}

void stream_finish(stream *s) {
    s->finishing = true;
    update_watch(s);
}

bool stream_peer(const stream *s, pid_t *pid_out, uid_t *uid_out) {
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid == 0) {
        return false;
    }
    *pid_out = cred.pid;
    *uid_out = cred.uid;
    return true;
}
