/*
 * net/stream.h - a buffered byte stream over any non-blocking socket or pipe; listeners and connections for Unix-domain
 * sockets (control socket) and loopback TCP (metrics).
 *
 * Reads go through one buffer of the loop: an idle stream holds no read buffer. Writes are queued and sent as the peer
 * takes them; the queue has no bound of its own, the writer looks at stream_queued() and waits for on_drained.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/error.h"
#include "net/loop.h"

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct stream stream;

/* The stream may be freed inside any of these. After on_closed no other call comes. */
typedef struct stream_events {
    void (*on_data)(void *user, const uint8_t *bytes, size_t len); /* bytes valid during the call only */
    void (*on_drained)(void *user); /* the queue fell below half of high_water after being over it; may be NULL */
    void (*on_closed)(void *user, error *err); /* NULL: the peer closed in order. err is the callee's. Once. */
} stream_events;

typedef struct stream_options {
    size_t high_water;   /* bytes; 0 = 1 MiB */
    size_t read_chunk;   /* at most this many bytes an on_data call; 0 = 64 KiB */
} stream_options;

/* Takes the descriptor (closed by stream_free and on error) and makes it non-blocking. Options may be NULL. */
error *stream_new(event_loop *loop, int fd, const stream_options *options, const stream_events *events, void *user,
                  stream **stream_out);
void stream_free(stream *s); /* at once: what is queued is dropped. Accepts NULL */
/* Queue bytes: copied, or (GBytes) referenced without a copy. Sent at once as far as the peer takes them, but no
 * callback runs inside. After the peer is gone they are dropped. */
void stream_write(stream *s, const void *bytes, size_t len);
void stream_write_bytes(stream *s, GBytes *bytes);
size_t stream_queued(const stream *s);
bool stream_over_high_water(const stream *s);
/* Stop and go on reading (backpressure). */
void stream_pause(stream *s, bool paused);
/* Close once the queue is sent, then on_closed(NULL) comes. Reading stops now. */
void stream_finish(stream *s);
/* SO_PEERCRED of a Unix-domain socket: false if there is none. */
bool stream_peer(const stream *s, pid_t *pid_out, uid_t *uid_out);

typedef struct listener listener;
/* fd is the callee's (stream_new takes it), non-blocking and close-on-exec. */
typedef void (*listener_fn)(void *user, int fd);

/*
 * Listen on a Unix-domain socket at path with the given mode (e.g. 0600), set before anyone can connect. A socket file
 * that nobody listens on is removed first; a live one is ERROR_IO ("already in use"), anything that is no socket is
 * left alone and ERROR_IO. Path up to 107 bytes: ERROR_INVALID. listener_free() removes the file if it is still ours.
 */
error *listener_new_unix(event_loop *loop, const char *path, mode_t mode, listener_fn fn, void *user,
                         listener **listener_out);
/* Listen on TCP: host is a numeric address ("127.0.0.1", "::1"); port 0 = the kernel chooses. */
error *listener_new_tcp(event_loop *loop, const char *host, uint16_t port, listener_fn fn, void *user,
                        listener **listener_out);
uint16_t listener_port(const listener *l); /* TCP only, else 0 */
void listener_free(listener *l);

/* Connect to a Unix-domain socket, at once (a local connect does not block). ERROR_IO: nobody listens, no access. */
error *stream_connect_unix(const char *path, int *fd_out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(stream, stream_free)

#endif
