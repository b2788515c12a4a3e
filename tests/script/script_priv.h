/* What the files of the scripted server share: play.c reads and plays a dialogue, wire.c holds the
 * socket and TLS, cert.c makes certificates; replay.c plays what recording.c has read. */
#ifndef TESTS_IMAP_SCRIPT_PRIV_H
#define TESTS_IMAP_SCRIPT_PRIV_H

#include "tests/script/imap_script.h"

#include <glib.h>
#include <openssl/ssl.h>
#include <zlib.h>

/* One connection, or none (fd < 0). */
typedef struct wire {
    int fd, stop_fd;
    SSL *ssl;
    GString *in;  /* read, not yet consumed */
    size_t split, always_split; /* octets a segment; 0 = as they come */
    GString *held; /* between "join" and "send"; NULL = not holding */
    bool gone;    /* the client is: what is sent is dropped */
    bool patient; /* waits for what comes without end */
    bool compressed; /* both ways: COMPRESS=DEFLATE */
    z_stream deflater, inflater;
} wire;

/* A loopback port that the kernel chose; < 0: none. */
int wire_listen(uint16_t *port_out);
void wire_init(wire *w, int stop_fd);
void wire_release(wire *w);
bool wire_accept(wire *w, int listener); /* false: stopped or nobody came */
bool wire_start_tls(wire *w, SSL_CTX *ctx); /* false: the handshake failed; gone is set */
/* From here on what is sent is compressed, and what comes is too. */
void wire_compress(wire *w);
void wire_send(wire *w, const char *bytes, size_t len);
void wire_send_raw(wire *w, const char *bytes, size_t len); /* past the compression */
void wire_flush(wire *w);
/* One line without its CRLF; NULL: closed, stopped, too long waited, or no CRLF (why_out, static). g_free. */
char *wire_read_line(wire *w, const char **why_out);
/* into: NULL = drop it. */
bool wire_read(wire *w, size_t len, GString *into, const char **why_out);
bool wire_has_more(const wire *w);  /* something came with what was read */
/* Waits for the client to close. tolerant: drops what it sends before. */
bool wire_wait_closed(wire *w, bool tolerant, const char **why_out);
void wire_hang(wire *w); /* reads nothing until the client goes */
void wire_close(wire *w, bool reset);

/* kind: "good", "expired", "wrong-host", "self-signed". ca_file gets what the client is to trust. NULL on failure. */
SSL_CTX *cert_context(const char *kind, const char *ca_file);

#endif
