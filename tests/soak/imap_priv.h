/*
 * imap_priv.h - what the files of the IMAP server share: imap.c runs the commands, words.c reads them.
 */
#ifndef TESTS_SOAK_IMAP_PRIV_H
#define TESTS_SOAK_IMAP_PRIV_H

#include "tests/soak/soak.h"

/* Octets of the first command in p->in, literals and all; 0: it is not complete. Asks for literals that wait for
 * that. */
size_t words_complete(peer *p);
words *words_split(const char *at, const char *end);
const char *word(const words *w, guint i); /* "" where there is none */
void words_free(words *w);

/* "UID", "FLAGS", "MODSEQ": the last one where CONDSTORE is. */
#define FLAG_ITEMS 3
extern const char *const flag_items[FLAG_ITEMS];

/* Commands: they make the answer, imap.c sends it. */
void do_authenticate(peer *p, const char *tag, const words *w);
void do_create(peer *p, const char *tag, const words *w);
void do_list(peer *p, const char *tag, const words *w);
void do_login(peer *p, const char *tag, const words *w);
void do_select(peer *p, const char *tag, const words *w);
void do_status(peer *p, const char *tag, const words *w);
void do_unselect(peer *p, const char *tag, const words *w);
/* The line behind a challenge: the initial response, or the end of a refused one. */
void login_line(peer *p, const char *line);

#endif
