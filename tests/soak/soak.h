/*
 * soak.h - a simulation of a week in the life of the daemon: the parts of tools/soak.
 *
 * One process, one thread. It is the IMAP servers, the receiver of webhooks, the people who send mail and tidy up, the
 * network that fails, and time itself: when nobody has anything left to do, it goes on to the next thing that happens
 * (page.h). Times are milliseconds since the start of the simulation. Everything that happens by chance follows from one
 * seed; each source of chance has its own numbers, so that what the daemon does changes nothing about what is to come.
 */
#ifndef TESTS_SOAK_H
#define TESTS_SOAK_H

#include "tests/soak/page.h"

#include <glib.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

typedef struct soak soak;
typedef struct account account;
typedef struct peer peer;

/* --- chance.c: numbers that follow from a seed ------------------------------------------------------------------------- */

typedef struct chance {
    uint64_t state;
} chance;
void chance_init(chance *c, uint64_t seed, const char *purpose, unsigned index);
uint64_t chance_below(chance *c, uint64_t n); /* 0 to n - 1 */
bool chance_percent(chance *c, unsigned percent);
int64_t chance_pause(chance *c, int64_t mean); /* between two events that happen at any time: at least 1 ms */

/* --- agenda.c: what happens when ---------------------------------------------------------------------------------------- */

typedef void (*agenda_fn)(soak *s, void *user, uint64_t number);
void agenda_add(soak *s, int64_t at, agenda_fn fn, void *user, uint64_t number);
int64_t agenda_next(const soak *s); /* INT64_MAX: nothing is to come */
void agenda_run(soak *s);           /* all that is due, in order */
void agenda_release(soak *s);

/* --- letter.c: messages, and what shall become of them -------------------------------------------------------------------- */

enum kind {
    KIND_MOVE, KIND_FLAG, KIND_COPY, KIND_HOOK, KIND_BODY, KIND_ATTACHMENT, KIND_LUA, KIND_JUNK, KIND_DELETE, KIND_NONE,
    KIND_LIST, /* is delivered into a folder of its own */
    KINDS
};

enum { FLAG_SEEN = 1, FLAG_ANSWERED = 2, FLAG_FLAGGED = 4, FLAG_DELETED = 8, FLAG_DRAFT = 16, FLAG_KEYWORD = 32 };

typedef struct letter {
    uint32_t id; /* from 1 */
    enum kind kind;
    account *to;
    int64_t at;
    bool tidied;             /* a person removed it after it was as it should be */
    uint8_t here, wrong;     /* counted at the end */
    uint8_t accepted;        /* webhooks that were accepted */
    uint8_t answers_lost;    /* of commands and webhooks that were about it */
    uint8_t marked;          /* how often the same flag was set */
    char hook_id[48];        /* of its webhook */
    uint64_t hook_body;      /* a hash */
} letter;

letter *letter_new(soak *s, account *to, enum kind kind);
/* Where and with which flags it shall be in the end, NULL: nowhere; second: where its copy is, else NULL. Static. */
const char *letter_home(const letter *l, uint32_t *flags_out, const char **second_out);
void letter_raw(const soak *s, const letter *l, GString *out);                       /* the whole message */
bool letter_part(const soak *s, const letter *l, const char *section, GString *out); /* of a body part; false: there is none */
void letter_structure(const soak *s, const letter *l, GString *out);                 /* BODYSTRUCTURE */
const char *kind_name(enum kind kind);

/* --- store.c: accounts and their folders ---------------------------------------------------------------------------------- */

typedef struct entry {
    uint32_t uid, flags;
    uint64_t modseq;
    letter *letter;
} entry;

typedef struct gone {
    uint32_t uid;
    uint64_t modseq;
} gone;

typedef struct folder {
    account *account;
    char *name;
    const char *role; /* "\\Junk" or NULL */
    uint32_t uidvalidity, uidnext;
    uint64_t modseq;
    GArray *entries; /* entry, by UID */
    GArray *gone;    /* gone: for QRESYNC */
} folder;

/* What a server offers and how it behaves. */
typedef struct provider {
    const char *name, *capabilities;
    bool idle, move, uidplus, esearch, condstore, qresync, notify, gmail;
    bool roles;           /* there are folders for spam and for what was deleted */
    bool token;           /* XOAUTH2 only */
    int64_t silence;      /* it hangs up after so long without a word; 0: never */
    int64_t latency;      /* of an answer, at least; twice that at most */
} provider;

typedef struct server {
    soak *soak;
    const provider *provider;
    unsigned index;
    int listener; /* bound, and listening unless `down` */
    uint16_t port;
    bool down;           /* connections are refused */
    bool unavailable;    /* greets with BYE */
    bool busy;           /* refuses logins for now */
    chance chance;       /* of latencies */
} server;

struct account {
    soak *soak;
    server *server;
    unsigned index;
    char name[16];
    GPtrArray *folders; /* folder */
    bool lists;         /* watches Lists/a and Lists/b too */
    unsigned refusals;  /* so many logins more are refused */
    /* refused.c */
    bool unwelcome;            /* its password is refused */
    int64_t unavailable_until; /* its logins are put off */
    unsigned refused, put_off; /* how often */
    int64_t refused_at;
    int64_t throttled;  /* commands are refused until */
    unsigned kv;        /* how often its Lua rule has counted, at least */
    chance mail;        /* of what arrives */
    /* What happens to the next command of that kind: see faults.c. */
    const char *armed;
    int armed_how;
};

folder *folder_find(const account *a, const char *name);
folder *folder_make(account *a, const char *name, const char *role);
uint32_t folder_add(folder *f, letter *l, uint32_t flags); /* its UID */
entry *folder_entry(const folder *f, uint32_t uid);        /* NULL: none */
void folder_remove(folder *f, uint32_t uid);
void folder_set_flags(folder *f, entry *e, uint32_t flags);
void folder_renumber(soak *s, folder *f); /* another UIDVALIDITY */
void store_init(soak *s);
void store_release(soak *s);

/* --- wire.c: connections of IMAP -------------------------------------------------------------------------------------------- */

enum fate { FATE_RESET, FATE_CLOSE, FATE_BYE, FATE_SILENCE, FATES };

struct peer {
    soak *soak;
    server *server;
    account *account; /* after the login */
    uint64_t id;
    SSL *ssl;
    int fd;
    bool greeted, closing, silent; /* silent: what comes is not read, nothing is said any more */
    bool wants_write;
    bool lose_answer; /* the answer that is being made is not said: the connection ends instead */
    enum fate lose_how;
    GString *in;        /* what came */
    size_t literal_told;   /* octets of `in` for which "+" was said */
    GString *saying;    /* the answer that is being made */
    GQueue later;       /* struct speech: said when it is time */
    GString *out;       /* being written */
    int64_t said_at;    /* the last speech is due then */
    int64_t since, heard_at, silent_since;
    /* of the session */
    folder *selected;
    bool read_only, select_refused, condstore, qresync;
    uint64_t seen;     /* modseq of the folder when the view was made */
    GArray *view;      /* uint32_t: the UIDs that the client knows, by sequence number */
    char *idle_tag;    /* while it idles */
    char *auth_tag;    /* while it authenticates */
    GPtrArray *touched; /* letter: of commands whose answers are on their way */
    /* NOTIFY (RFC 5465) */
    GPtrArray *pushed;    /* char *: what comes with a new message of the selected folder; NULL: not asked for */
    GPtrArray *told_of;   /* char *: folders whose STATUS is told; NULL: none */
    bool told_of_all, told_names; /* every folder; those that are made */
};

void wire_init(soak *s);
void wire_release(soak *s);
bool wire_turn(soak *s, int wait_us); /* serve what is ready; false: nothing was */
void wire_listen(server *v, bool on);
void peer_say(peer *p, const char *format, ...) G_GNUC_PRINTF(2, 3); /* into the answer */
void peer_send(peer *p); /* the answer goes out, after the provider's latency */
void peer_end(peer *p, enum fate fate);
/* Of a server, of an account, NULL: of any. They stay valid until the next wire_turn(), but some may be closing by then. */
GPtrArray *peers_of(soak *s, const server *v, const account *a);
void peer_end_all(soak *s, const server *v, const account *a, enum fate fate);

/* --- imap.c, words.c, login.c, mailbox.c, fetch.c, search.c, notify.c: what is asked ---------------------------------------------------------------------------------- */

typedef struct words {
    GPtrArray *at; /* char *; "(" and ")" stand for themselves */
} words;

void imap_greet(peer *p);
void imap_take(peer *p); /* commands that are complete in p->in */
void imap_push(peer *p); /* what is new in its folder, if it idles */
void imap_news(folder *f); /* push to all who have it selected, or want to be told of it */
bool imap_in_list(const GPtrArray *names, const char *name);
void imap_status(peer *p, const folder *f, const char *const *items, unsigned n);
void imap_sync(peer *p); /* EXPUNGE or VANISHED, and EXISTS, into the answer */
bool imap_read_set(const peer *p, const char *text, GArray *uids_out); /* uint32_t: those that are there */
void imap_fetch(peer *p, const char *tag, const words *w);
void imap_fetch_entry(peer *p, const entry *e, const char *const *items, unsigned n);
void imap_tell_vanished(peer *p, uint64_t since); /* what went from the selected folder above that modseq, in a line */
void imap_notify(peer *p, const char *tag, const words *w);
void notify_tell(peer *p, const folder *f); /* of a folder that is not selected, if that was asked for */
void notify_named(const folder *f);         /* of one that was made */
void notify_forget(peer *p);
void imap_search(peer *p, const char *tag, const words *w);
uint32_t imap_flag(const char *name); /* 0: not one that is kept */
void imap_flags_text(uint32_t flags, GString *out);
unsigned imap_number_of(const peer *p, uint32_t uid); /* in the client's view; 0: it does not know it */

/* --- hook.c: the receiver of webhooks -------------------------------------------------------------------------------------------- */

typedef struct receiver {
    int listener;
    uint16_t port;
    GHashTable *clients, *by_id;
    uint64_t ids;
    int64_t outage; /* until then nothing is accepted */
    chance chance;
} receiver;
void hook_init(soak *s);
void hook_release(soak *s);
bool hook_turn(soak *s, int fd); /* false: not one of its descriptors */

/* --- faults.c: what happens to servers, network and people ------------------------------------------------------------------------ */

enum { ARMED_LOSE_COMMAND, ARMED_LOSE_ANSWER, ARMED_HALF_ANSWER, ARMED_REFUSE, ARMED_HOW };

void faults_plan(soak *s);

/* --- refused.c: logins that are refused --- */

void refused_plan(soak *s);
bool refused_login(peer *p, const char *tag, account *a); /* true: it was, and is told */

/* --- keeper.c: the daemon -------------------------------------------------------------------------------------------------------- */

void keeper_watch(soak *s); /* first of all */
void keeper_start(soak *s);
void keeper_kill(soak *s);
bool keeper_finish(soak *s); /* SIGTERM; false if it did not end well */
bool keeper_quiet(soak *s);  /* all its processes are asleep, and have been since the last call */
void keeper_fire(soak *s);   /* its timer, if it is due */
void keeper_config(soak *s); /* writes its config */
void keeper_stop(soak *s, bool stopped); /* SIGSTOP, SIGCONT: a machine that is suspended */

struct sample {
    int64_t at;
    uint64_t resident, heap, cache, evaluators, journal; /* octets; heap: of the keeper, without SQLite's cache */
    unsigned descriptors, peers;
};
void keeper_sample(soak *s, struct sample *sample_out);
void keeper_command(soak *s, const char *verb, const char *name); /* `mailruled VERB NAME`, which has to succeed */
void keeper_asked(soak *s); /* what `mailruled queue` says: nothing must be left */

/* --- check.c: was every message handled once? ---------------------------------------------------------------------------------------- */

bool letter_is_done(const letter *l); /* as far as can be told by looking at the folders */
void check_all(soak *s);

/* --- the simulation ----------------------------------------------------------------------------------------------------------------- */

struct soak {
    /* options */
    uint64_t seed;
    int64_t length, calm;     /* of the part in which things happen, and of the rest */
    int64_t away;             /* then it is stopped for so long, and started again; 0: not */
    unsigned accounts, kills, suspends;
    int64_t mail_every;       /* a letter to each account, on average */
    int64_t cut_every;        /* a connection of each account ends */
    const char *directory, *daemon, *preload, *certificate, *key;
    bool verbose;
    bool refused; /* of all that may happen only mail, and logins that are refused */
    /* time */
    struct page *page;
    char *page_path;
    int timer;
    int64_t now, wall;        /* wall: of the start, ms since 1970 */
    GPtrArray *agenda;
    uint64_t agenda_order;
    /* the world */
    GPtrArray *servers, *all_accounts, *letters;
    GHashTable *peers, *by_fd; /* by id; by descriptor */
    GPtrArray *dead;           /* peer: ended, not freed yet */
    uint64_t peer_ids;
    int epoll;
    SSL_CTX *tls;
    receiver *hooks;
    bool over, done;          /* nothing more happens: calm; done: that, too, is over */
    /* the daemon */
    pid_t pid;                /* 0: does not run */
    unsigned starts;
    GArray *tasks;
    int softnet;
    bool stopped;
    /* what happened */
    struct {
        unsigned letters, commands, cuts, lost_answers, renewals, token_expiries, tokens_refused, logins, outages, throttles,
            validities, tidied, ghosts, kills, suspends, hooks, hook_faults, jumps, hangups, refusals;
    } count;
    GArray *samples; /* struct sample */
    unsigned failures;
    FILE *log;
};

void soak_set_time(soak *s, int64_t now);
void soak_log(soak *s, const char *format, ...) G_GNUC_PRINTF(2, 3);  /* with the time, into the file of events */
void soak_fail(soak *s, const char *format, ...) G_GNUC_PRINTF(2, 3); /* and count it */

#endif
