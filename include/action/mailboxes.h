/*
 * action/mailboxes.h - which folders an account has, what they are for, and making the ones that are missing.
 *
 * One an account, shared by its connections. Names are decoded UTF-8 with the server's delimiter (imap/mailbox.h). The
 * list is as old as the last refresh; what create() made is added at once. LIST with special use (RFC 6154) where
 * offered, else roles are guessed by the usual names.
 */
#ifndef ACTION_MAILBOXES_H
#define ACTION_MAILBOXES_H

#include "session/session.h"

typedef struct mailboxes mailboxes;

typedef struct mailbox {
    char *name;
    uint32_t attrs; /* enum imap_attr; guessed special use included */
} mailbox;

mailboxes *mailboxes_new(const log_ctx *log); /* log's strings outlive it */
void mailboxes_free(mailboxes *m);            /* after its sessions. Accepts NULL */

/* err (borrowed) NULL: the list is new. Once, from the loop. */
typedef void (*mailboxes_fn)(void *user, const error *err);
void mailboxes_refresh(mailboxes *m, session *s, mailboxes_fn done, void *user);
bool mailboxes_known(const mailboxes *m); /* was there ever a list? */

size_t mailboxes_count(const mailboxes *m);
const mailbox *mailboxes_at(const mailboxes *m, size_t i); /* sorted by name; valid until the next refresh or create */
const mailbox *mailboxes_find(const mailboxes *m, const char *name); /* NULL if not in the list */
const mailbox *mailboxes_role(const mailboxes *m, uint32_t attr);    /* NULL if there is none */
char mailboxes_delimiter(const mailboxes *m);

/* A name as a rule wrote it ("Work/2024", "inbox", "\\Junk") to the server's own: an existing folder is preferred, with
 * or without the personal namespace's prefix; else the name it would get. ERROR_NO_FOLDER for a role nobody has,
 * ERROR_INVALID for what cannot be a name. g_free. */
error *mailboxes_resolve(const mailboxes *m, const char *name, char **name_out) G_GNUC_WARN_UNUSED_RESULT;

/* The other way: the server's own name as a rule would write it, "/" between levels, without the prefix. g_free. */
char *mailboxes_written(const mailboxes *m, const char *name);

/* CREATE and SUBSCRIBE, logged. Several requests for one name are one command. ALREADYEXISTS is success. done as above,
 * from the loop. */
void mailboxes_create(mailboxes *m, session *s, const char *name, mailboxes_fn done, void *user);
/* It turned out not to be there. */
void mailboxes_forget(mailboxes *m, const char *name);

#endif
