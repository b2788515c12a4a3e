/*
 * recording - conversations with real servers, as a directory of recorded replies holds them, and a server that plays
 * them. tests/dialog/README.md tells how to run it by hand.
 *
 * The directory: SERVER/NAME.txt is one reply, whole, with its CRLFs; "A########" stands for the tag. conversations.tsv
 * has a line for each command of a conversation: class, method, number, command, and what answered it:
 * "SERVER/NAME.txt", "inline:TEXT" (both texts C-escaped), "OK", "NO", "BAD", or "Plus" for a continuation. A
 * conversation is called "CLASS/METHOD"; it is played as that server, one command after the other, whatever words a
 * client has for it.
 *
 * A server is called by its directory. It is made of all that is recorded of it, each reply as often as it is asked
 * for.
 *
 * Nothing of such a directory is ever part of this project: where it is absent, tests are skipped.
 */
#ifndef TESTS_RECORDING_H
#define TESTS_RECORDING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* One command and its answer. */
typedef struct recorded_step {
    unsigned number;  /* in the conversation; 0 = the greeting */
    char *command;    /* without tag and CRLF: "UID FETCH 1:* (FLAGS)" */
    char *from;       /* "gmail/namespace.txt", "OK", "inline" */
    GString *reply;   /* as recorded, its tag as `tag` */
    const char *tag;  /* "A########", or the one of the recorded command (static or in `own_tag`) */
    char *own_tag;
    bool go_on;       /* a continuation: the reply to the next line follows */
    const char *cut; /* why the answer is not known, so that it cannot be played; NULL */
} recorded_step;

typedef struct recording {
    char *dir, *name, *server; /* server: of the greeting */
    GPtrArray *steps;          /* recorded_step *; the first is the greeting */
    bool reusable;             /* a server, not a conversation: steps are not used up */
} recording;

/* All conversations, "CLASS/METHOD", in the order recorded. NULL if there is no conversations.tsv. */
GPtrArray *recording_names(const char *dir);
/* name: a conversation, a method alone (the first of that name), or a server. NULL with why_out (g_free). */
recording *recording_load(const char *dir, const char *name, char **why_out);
void recording_free(recording *r);

/* A command line of a client, taken apart. */
typedef struct recorded_command {
    char *tag, *verb, *args; /* verb in capitals, without "UID" */
    bool uid;
} recorded_command;
void recorded_command_parse(const char *line, recorded_command *out);
void recorded_command_release(recorded_command *command);
/* What answers this best: same kind of command on the same mailbox; rather what was not used yet, rather in its very
 * words, rather the first. used: a flag for each step, or NULL. -1 if nothing does. */
int recording_find(const recording *r, const recorded_command *command, const uint8_t *used);
/* The kind of a command, as recording_find() compares it: "EXAMINE" is a "SELECT", "XLIST" a "LIST". NULL: not IMAP. */
const char *recorded_kind(const char *verb);

/* ---- the server ---- */

typedef struct replay replay;

typedef struct replay_options {
    bool again;     /* serve connection after connection; else one */
    void (*finished)(void *user); /* from the server's thread, when a connection has ended; may be NULL */
    void *user;
} replay_options;

/* Borrows the recording. NULL with why_out if there is no port. */
replay *replay_new(const recording *r, const replay_options *options, char **why_out);
uint16_t replay_port(const replay *s);
void replay_start(replay *s); /* in a thread */
void replay_run(replay *s);   /* here, until killed */
void replay_free(replay *s);  /* stops and joins it */
/* The answer to the next command is this step's, whatever the command. */
void replay_answer_next(replay *s, unsigned step);
/* Has this step been played, on any connection? */
bool replay_used(replay *s, unsigned step);
/* Commands for which nothing was recorded and that were answered as such a server would. */
unsigned replay_made_up(const replay *s);

#endif
