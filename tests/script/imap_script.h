/*
 * imap_script - an IMAP server that plays one dialogue file. The format: tests/dialog/README.md.
 *
 * It serves one connection at a time, on a loopback port that the kernel chose, in a thread of its own (tests that hold
 * the client) or in the calling thread (the stand-alone program). It never sleeps; waiting is bounded by
 * IMAP_SCRIPT_PATIENCE_MS, after which the dialogue counts as not followed.
 */
#ifndef TESTS_IMAP_SCRIPT_H
#define TESTS_IMAP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAP_SCRIPT_PATIENCE_MS 20000

typedef struct imap_script imap_script;

/* The callbacks are called in the server's thread; each may be NULL. */
typedef struct imap_script_options {
    const char *ca_file; /* where the certificate to be trusted is written; needed for dialogues with TLS */
    size_t split;        /* octets a segment from the start: 0 = as the dialogue says */
    void (*clock)(void *user, uint64_t ms);          /* "clock": let this much time pass for the client, then return */
    bool (*await)(void *user, const char *pattern); /* "await": return when the client has got so far; false: never */
    void (*finished)(void *user);
    void *user;
} imap_script_options;

/* Reads the file and listens. NULL with why_out (g_free) if either fails. */
imap_script *imap_script_new(const char *path, const imap_script_options *options, char **why_out);
void imap_script_free(imap_script *script); /* stops it */
uint16_t imap_script_port(const imap_script *script);
/* The n-th value of a header, from 0; NULL if there are fewer. */
const char *imap_script_header(const imap_script *script, const char *key, unsigned n);

/* Plays it here, to its end or its failure. True if the dialogue was followed. */
bool imap_script_run(imap_script *script);
/* The same in a thread. */
void imap_script_start(imap_script *script);
/* Has it nothing more to say, or has it failed? */
bool imap_script_finished(const imap_script *script);
/* Waits for the end of the thread: once the client has closed, that is near. True if the dialogue was followed. */
bool imap_script_join(imap_script *script);
/* Does the text fit the pattern ("..." is any run)? */
bool imap_script_match(const char *pattern, const char *text);
/* What was expected and what came, or NULL. After run or join. */
const char *imap_script_report(const imap_script *script);

#endif
