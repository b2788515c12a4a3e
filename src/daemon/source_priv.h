/*
 * source_priv.h - messages out of files, one after the other.
 *
 * A path may be a file with one message, an mbox (mboxrd or mboxo: recognised by its first line), a Maildir (a folder
 * with cur/ or new/), a folder with any of these in it, or "-" for one message on standard input. Folders are read in
 * the order of names; dot files are passed over. An mbox is mapped, so its size does not matter. What stands on a
 * server (imap:ACCOUNT/FOLDER/UID) is read before, with source_from_server(), and handed over with source_preload().
 */
#ifndef DAEMON_SOURCE_PRIV_H
#define DAEMON_SOURCE_PRIV_H

#include "base/error.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct source source;

typedef struct source_message {
    char *name;           /* the file; "FILE#3" for the third message of an mbox */
    GBytes *raw;          /* lines end in CRLF, as a server would send them; NULL with error */
    bool truncated;       /* longer than max_size: cut there */
    char **flags;         /* what a Maildir's file name says, as IMAP flags; NULL = says nothing */
    int64_t internaldate; /* modification time */
    char *account, *folder; /* where it is, on a server; NULL = as the command says */
    char *error;          /* it could not be read, in words */
} source_message;

/* paths are borrowed. */
source *source_new(char *const *paths, size_t n, uint64_t max_size);
void source_free(source *s);
/* The message of the next imap: path. Takes over what message points to. */
void source_preload(source *s, const source_message *message);
struct offline;
/* Connects, reads one message, disconnects. message_out is filled as far as it came, also with an error. */
error *source_from_server(struct offline *o, const char *path, uint64_t max_size, source_message *message_out);
/* False: that was all. What is handed out is released with source_message_clear(). */
bool source_next(source *s, source_message *message_out);
void source_message_clear(source_message *message);

#endif
