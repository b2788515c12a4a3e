/*
 * daemon_priv.h - the keeper's parts and who owns whom.
 *
 *     keeper ── account ── watcher (one connection) ── folder ── message
 *            └─ outbox     (webhooks)     └─ session      └─ action_queue
 *            └─ pool       (evaluators)
 *            └─ control    (socket)
 *
 * Everything runs on the loop's thread. A struct is freed by its owner only; what points upwards is borrowed. The way
 * of one message: watcher.c (connected) -> folder.c (selected, synchronised) -> look.c (fetch what is above the cursor)
 * -> message.c (journal, evaluator, plan, steps) -> action/queue.h and outbox.c. After a look roll.c proves that the
 * folder holds what it should, and changes.c compares flags; what they find goes the same way.
 */
#ifndef DAEMON_PRIV_H
#define DAEMON_PRIV_H

#include "action/queue.h"
#include "daemon/keeper.h"
#include "daemon/admission.h"
#include "daemon/pool.h"
#include "net/backoff.h"
#include "net/http.h"
#include "net/notify.h"
#include "state/changes.h"
#include "state/journal.h"
#include "state/kv.h"
#include "state/outbox.h"

struct outbox;
struct control;
struct watcher;
struct folder;

struct keeper {
    const keeper_options *options;
    log_ctx log;
    event_loop *loop;
    const clock_source *clock;
    tls_trust *trust;
    transport_pool *transports;
    admission *admission;
    random_source random;
    http_client *http;
    state *state;
    loop_async *state_wake;
    pool *pool;
    notify *notify;
    wire_message *config; /* WIRE_CONFIG in use; NULL before the first */
    GPtrArray *accounts;  /* struct account */
    struct outbox *outbox;
    struct control *control;
    GHashTable *meters; /* limit.c's, by rule */
    GPtrArray *signals; /* loop_signal */
    loop_timer *tick;   /* watchdog, pruning, status line, --once */
    char *refusal;      /* why no message is evaluated: the config had to be read again and is not good; NULL = it is */
    char *state_dir, *control_path;
    uint64_t started, pruned, last_tick;
    bool stopping, reloading;
    unsigned calm;     /* ticks in a row with nothing to do, for --once */
    unsigned failures; /* messages parked, steps refused: --once then exits 1 */
    error *fatal;
    void (*reload_done)(void *user, bool ok, const char *text);
    void *reload_user;
};

/* --- account.c: what an account's connections share --------------------------------------------------------------- */

struct account {
    struct keeper *keeper;
    char *name;                 /* stays when the config is read again */
    const wire_account *config; /* in the keeper's config */
    log_ctx log;
    mailboxes *boxes;
    GPtrArray *watchers; /* struct watcher; the first lists the folders and asks for the STATUS of others */
    GPtrArray *folders;  /* struct folder, in watch order */
    struct round *round; /* round.c */
    unsigned folder_changes; /* counted: folders that came or went */
    int64_t listed, listed_before; /* wall clock, seconds: the last two LISTs of folders; 0 = none */
    bool wants_changes;      /* some rule for it is on another event than "new" */
    int64_t kept;            /* the one that the journal has (recall.c); 0 = none of this run */
    uint64_t no_push_until; /* elapsed ms; the server refused NOTIFY or could not keep up */
    session_idle_memory idle_memory;
    session_pace pace;
    struct traffic {
        uint64_t in, out;             /* on the wire */
        uint64_t plain_in, plain_out; /* before they were compressed */
    } traffic; /* of connections that have ended */
    unsigned in_flight;  /* messages in memory */
    unsigned auth_failures;
    bool paused;         /* by the user */
    bool bound_told;     /* see pace_tell_bound() */
    bool gave_up;        /* --once: could not be reached */
    bool parked;         /* credentials refused again and again */
    uint64_t throttled_until; /* elapsed ms; nothing connects before */
    char *trouble;       /* last error in words; NULL = fine */
};

struct account *account_new(struct keeper *keeper, const wire_account *config);
void account_free(struct account *a);
void account_start(struct account *a);
/* The same settings in a new config: names may have moved, rules are new. */
void account_reconfigured(struct account *a);
void account_stop(struct account *a, bool now); /* connections close; messages in memory stay in the journal */
void account_drained(struct account *a); /* a message left memory */
bool account_has_room(const struct account *a);
void account_set_trouble(struct account *a, const error *err);
/* The same settings? (Where they stand in the file does not matter.) */
bool account_same(const wire_account *a, const wire_account *b);
bool account_settled(const struct account *a); /* all folders seen once, no work under way: for --once */
struct folder *account_folder(const struct account *a, const char *name); /* NULL = not watched */

/* --- recall.c: when the folders were listed last, over a restart --------------------------------------------------- */

/* A new list of folders is there: the layout follows, at once or when the journal has answered. */
void recall_listed(struct account *a);
/* Nothing to do on a connection: keep it if all folders have been seen. */
void recall_keep(struct account *a);

/* --- layout.c: which connection watches which folder -------------------------------------------------------------- */

/* What a connection can watch has changed: folders for what `watch` names, each with a connection. Folders that a
 * pattern named and that are gone are forgotten. */
void layout_make(struct account *a);
/* A connection has been busy in one folder while others wait: the worker takes those. False if there is none. */
bool layout_relieve(struct watcher *w);
/* Are there patterns in `watch`, or roles that no folder has yet, so that a new folder may be to watch? */
bool layout_has_patterns(const struct account *a);

/* --- round.c: asking for the STATUS of folders that no connection has selected ------------------------------------ */

struct round *round_new(struct account *a);
void round_free(struct round *r);
void round_plan(struct round *r); /* something changed: when is the next one due? */
void round_now(struct round *r);  /* the first connection is there: what came meanwhile? */
/* What folders came may have been missed, and messages too; more such calls within a second are one. */
void round_soon(struct round *r, bool status_too);
void round_stop(struct round *r); /* the first connection is gone */
/* The folders of the account may have changed: LIST them again, soon. */
void round_relist(struct round *r);
void round_ask(struct folder *f); /* the selected one: is it still what its name stands for? */
bool round_under_way(const struct round *r);
/* A STATUS of f came, asked for or not: is there something to look for? */
void round_told(struct folder *f, const imap_status *status);

/* --- pace.c: what the account's connections may do together ------------------------------------------------------- */

unsigned pace_connections(const struct account *a);        /* how many there may be now */
uint64_t pace_connect_wait(const struct account *a);       /* ms until another may be made or is asked for; 0 = now */
bool pace_crowded(const struct account *a);                /* the server bears no more than there are */
uint64_t pace_poll_ms(const struct account *a);            /* how often to ask where nothing is pushed */
void pace_tell_bound(struct account *a); /* connect_bound() to the log, once */
void pace_connection_ended(struct account *a, const session *s); /* before s is freed; NULL = there was none */
/* "bytes_in":..,"bytes_out":..,"uncompressed_in":..,"uncompressed_out":..,"connections":..,"pauses":..,"paused_ms":..,
 * "quirks":".." for an object of JSON. */
void pace_json(const struct account *a, GString *out);

/* --- watcher.c: one connection ------------------------------------------------------------------------------------ */

struct push;

struct watcher {
    struct account *account;
    unsigned index;
    bool on_demand; /* connects when one of its folders has work, leaves when none has */
    char *id;       /* "support#1", in logs */
    log_ctx log;
    admission_ticket ticket; /* when it may connect */
    session *session; /* NULL = waiting to connect */
    bool ready;
    uint64_t ready_since;
    backoff backoff;
    loop_timer *retry; /* next connect */
    loop_timer *poll;  /* next look where nothing is pushed, reconcile; on_demand: when it leaves */
    loop_timer *turn;  /* deferred: what the connection does next */
    loop_timer *hold;  /* how long IDLE is kept back at most while commands are about to follow */
    bool held, hold_over;
    secret_request *secret;
    GPtrArray *folders; /* borrowed; more than one: visited where there is work */
    struct folder *at;  /* selected, or being selected */
    uint64_t at_since;  /* elapsed ms: since when the connection is busy there */
    bool polling;       /* IDLE does not work here */
    unsigned untold;    /* so many times in a row STATUS knew of new mail that this connection was not told of */
    bool stopping;
    bool leaving;       /* an on_demand connection that logs out, for now */
    struct push *push;  /* NULL = nothing was ever pushed here */
};

struct watcher *watcher_new(struct account *a, unsigned index);
void watcher_free(struct watcher *w);
void watcher_hang_up(struct watcher *w); /* at once and for good; its folders are still there */
void watcher_connect(struct watcher *w);
void watcher_stop(struct watcher *w, bool now);
void watcher_leave(struct watcher *w);   /* log out until there is work again */
/* Something changed: decide what the connection does next (from the loop, soon). */
void watcher_nudge(struct watcher *w);
/* "paused", "parked", "resting", why it waits (admission_why()), or the state of its session; static. */
const char *watcher_state_text(const struct watcher *w);

/* next.c: what the connection does next. The callbacks of its timers, with a watcher. */
void next_step(void *watcher);
void next_poll(void *watcher);
void next_hold(void *watcher);
void next_left(struct watcher *w); /* it is not in its folder any more */
/* Keep IDLE back while commands are about to follow, or not any more: what this depends on has changed. */
void watcher_hold(struct watcher *w);
/* Where the connection stays when there is nothing to do. NULL: all are missing. */
struct folder *watcher_home(const struct watcher *w);
bool watcher_has_work(const struct watcher *w); /* in a folder other than the one it is in */

/* push.c: what the server pushes without being asked (NOTIFY, RFC 5465) */
bool push_offered(const struct account *a); /* on the first connection, and not given up */
void push_ask(struct watcher *w);           /* if what is asked for is not what should be */
void push_leave(struct watcher *w);         /* another SELECT follows */
bool push_covers(const struct folder *f);   /* the server tells of its news, selected or not */
void push_free(struct watcher *w);          /* the connection is gone */
void push_selected(struct folder *f);
void push_exists(struct watcher *w, uint32_t count, bool grew);
void push_gone(struct watcher *w);
/* A FETCH that nobody asked for; true if it was a new message and has been taken in. */
bool push_fetch(struct watcher *w, const imap_fetch *fetch);
void push_status(struct watcher *w, const char *name, const imap_status *status);
void push_overflow(struct watcher *w);

/* --- folder.c, look*.c, resume.c ---------------------------------------------------------------------------------- */

struct look;
struct roll;
struct changes;

enum delivery_kind { DELIVERY_HEADER, DELIVERY_TEXT, DELIVERY_KINDS };

struct folder {
    struct account *account;
    struct watcher *watcher;
    char *name;
    log_ctx log;
    const char *roles[4]; /* special-use names, NULL-terminated, static */
    bool selected;        /* the watcher's session has it selected */
    bool missing;         /* SELECT said it does not exist */
    int64_t appeared;     /* wall clock, seconds: it was not there then yet, and is there now; 0 = it was found there */
    bool by_pattern;      /* found by a pattern in `watch`: forgotten when it is gone */
    bool read_only;
    bool dirty;           /* wants to be visited */
    bool told_new;        /* because the server told of a few new messages */
    bool seen_once;       /* looked at since the start: for --once */
    uint32_t uidvalidity; /* of the selected state */
    bool cursor_known, cursor_asked;
    struct state_cursor cursor; /* as journaled, or on its way */
    wire_message *scope; /* WIRE_SCOPE_REPLY, NULL = not asked yet */
    unsigned scopes; /* counted: answers */
    uint64_t scope_job;
    const char **scope_fields; /* NULL-terminated, views into scope */
    imap_fetch_want want;      /* what the first look asks for */
    imap_section_want want_section;
    bool settling; /* first sight or UIDVALIDITY being settled */
    int64_t not_before; /* INTERNALDATE below which messages are passed over (after a UIDVALIDITY change); 0 = none */
    uint32_t new_from;  /* but not from this UID on; 0 = none */
    struct {
        int64_t seen;       /* wall clock, ms: what came until then has its row, or is old */
        int64_t there;      /* messages there were; -1 = not known */
        uint32_t first_new; /* UID; 0 = none */
    } before;               /* while a changed UIDVALIDITY is being settled */
    bool resumed, resuming;
    loop_timer *resume; /* when a message that failed is due again */
    struct look *look;  /* fetching what is above the cursor; NULL = not now */
    bool look_again;
    unsigned looks_vain;  /* that found nothing, one soon after the other */
    uint64_t vain_since;  /* elapsed: when the last of them ended */
    loop_timer *lull;     /* until the next look, after many in vain */
    bool starved; /* too many messages in flight: look when there is room */
    struct {
        bool delivered; /* since the last "not now" */
        unsigned put_offs;
    } deliveries[DELIVERY_KINDS];
    unsigned poison; /* chunks shrink to one message while the server refuses to deliver one */
    unsigned undecided; /* messages before their first step */
    GHashTable *by_uid; /* message.key -> struct message: those in memory; folder_message() finds one */
    struct roll *roll;
    struct changes *changes;
    bool resume_again; /* rows came while the journal was asked for them */
    unsigned arrivals_sent, arrivals_done;
    GPtrArray *needs;     /* struct need not answered yet */
    GPtrArray *refetches; /* resume.c's, under way */
    GHashTable *recent;   /* identity -> identity.c's struct recent: copies delivered at the same time */
    action_queue *actions;
    uint64_t last_proof; /* elapsed: when it was last known to be complete; 0 = never */
    uint64_t arrived;    /* messages since the start */
    char *trouble;
};

struct folder *folder_new(struct account *a, struct watcher *w, const char *name, uint32_t attrs);
void folder_free(struct folder *f);
void folder_select(struct folder *f);
void folder_selected(struct folder *f, const session_result *result); /* also after the queue had to leave it */
void folder_not_there(struct folder *f);  /* the server says so: should it appear, what it holds then is new */
void folder_unselected(struct folder *f); /* connection lost, or another folder is selected */
void folder_rescope(struct folder *f);    /* the rules changed */
/* What do rules on that event need of the folder's messages? As pool_scope(); job_out stays as it is where it cannot be
 * asked. */
void folder_ask_scope(struct folder *f, enum wire_event event, pool_scope_fn done, void *user, uint64_t *job_out);
const char **folder_scope_fields(const wire_scope_reply *scope); /* NULL-terminated, views into scope; g_free */
/* Do what is missing next: scope, cursor, UIDVALIDITY, resume, look. */
void folder_advance(struct folder *f);
/* Commands will follow in a moment: messages are on their way from FETCH to their first step. */
bool folder_about_to_act(const struct folder *f);
bool folder_busy(const struct folder *f); /* work on its messages is under way */
bool folder_engaged(const struct folder *f); /* something may still call back about it */
session *folder_session(const struct folder *f); /* NULL unless selected */
void folder_delivered(struct folder *f, enum delivery_kind kind); /* the server delivers such things */
void folder_set_trouble(struct folder *f, const error *err);
void folder_proved(struct folder *f); /* not while roll_doubts() */
/* The one in memory; NULL = none. */
struct message *folder_message(const struct folder *f, enum wire_event event, uint32_t uid);
/* Is the folder as this STATUS says, so that nothing is to be looked at? */
bool folder_fits(struct folder *f, const imap_status *status);
/* What the session tells by itself about the folder: nothing, if it has another one selected meanwhile. */
void folder_news(struct folder *f, const imap_fetch *fetch);
void folder_gone(struct folder *f, imap_ranges uids);
void folder_drop_messages(struct folder *f); /* all out of memory; the journal keeps what it has */
/* What failed, of a look, or of what is to be known before one, is tried again after... */
#define FOLDER_RETRY_MS 5000
/* Run again in delay_ms what waits in the journal. */
void folder_resume_in(struct folder *f, uint64_t delay_ms);

void look_start(struct folder *f, bool hint); /* hint: the server says that there is something */
void look_continue(struct folder *f); /* there is room again */
/* The server announces messages: look at once, but where it has done so again and again and there were none, in a
 * second. */
void look_announced(struct folder *f, bool hint);
void look_cancel(struct folder *f);
void look_ahead(struct folder *f); /* right behind its SELECT, whose answer is not there yet */
/* A new message's data that came by itself; true if it was the next above the cursor and has been taken in. */
bool look_pushed(struct folder *f, const imap_fetch *fetch);
/* Fetch these too, which are below the cursor. False: not now. */
bool look_below(struct folder *f, const imap_set *uids);

/* --- roll.c: which UIDs are there, and the proof that none was missed --------------------------------------------- */

struct roll *roll_new(struct folder *f);
void roll_free(struct roll *r);
/* Forget what was read: the journal's is another. */
void roll_reset(struct folder *f);
/* Is it known which UIDs were there? Else the journal is asked, and folder_advance() follows. */
bool roll_ready(struct folder *f);
/* These arrived. */
void roll_add(struct folder *f, const imap_set *uids);
/* These went; none named: one did. */
void roll_gone(struct folder *f, imap_ranges uids);
/* Nothing is above the cursor: compare, list the folder where it does not fit, then look at changes. Ends with
 * folder_proved(). */
void roll_step(struct folder *f);
void roll_cancel(struct folder *f); /* not selected any more */
bool roll_doubts(const struct folder *f);
bool roll_busy(const struct folder *f);
/* So many should be there; -1 = not known. */
int64_t roll_expected(const struct folder *f);
/* The folder, not selected, holds so many: false if it has to be looked at. */
bool roll_told(struct folder *f, uint32_t messages);
const imap_set *roll_known(const struct folder *f);
bool roll_has(const struct folder *f, uint32_t uid);
void roll_taken(struct folder *f); /* one went by our own doing */
uint64_t roll_others(const struct folder *f); /* how many went without a UID, not by us; counts up */
/* A listing is due although the number fits: something went, and it matters what. */
void roll_want_listing(struct folder *f);
/* state_range of a set; g_free. */
struct state_range *roll_ranges(const imap_set *set, size_t *n_out);

/* --- changes.c: flags that somebody changed, messages that somebody took away ------------------------------------- */

/* Does the config have rules on such events for this account? Then its sessions enable CONDSTORE and QRESYNC. */
bool changes_wanted(const struct keeper *k, const wire_account *account);
void changes_free(struct changes *c);
void changes_rescope(struct folder *f); /* the rules changed */
/* Is it known what the rules want? Else they are asked, and folder_advance() follows. */
bool changes_ready(struct folder *f);
bool changes_undecided(const struct folder *f); /* not known yet whether some rule of this folder is */
bool changes_on(const struct folder *f); /* some rule of this folder is on another event than "new" */
bool changes_busy(const struct folder *f);
void changes_selected(struct folder *f); /* whatever happened meanwhile is to be found */
void changes_cancel(struct folder *f);   /* not selected any more */
/* Compare flags if that is due. True: it is under way, roll_step() follows. */
bool changes_step(struct folder *f);
void changes_fetch(struct folder *f, const imap_fetch *fetch);
/* What a FETCH says, for the journal; and its end. */
struct state_seen changes_seen(const imap_fetch *fetch);
void changes_seen_clear(GArray *seen); /* of struct state_seen */
const imap_section_want *changes_message_id(void); /* to be fetched where it is to be told once the message is gone */
void changes_gone(struct folder *f, const imap_set *uids);
bool changes_want_gone(const struct folder *f);
/* These are there as of now, and become part of what is compared with; before their rows are made. */
void changes_arrived(struct folder *f, const struct state_seen *seen, size_t n);
/* The server has carried out these steps on flags: before the journal hears of it. */
void changes_applied(void *folder, action_item *const *items, size_t n);
bool changes_fit(const struct folder *f, const imap_status *status);
uint32_t changes_status_items(const struct watcher *w); /* what a STATUS asked for there has to tell besides */
/* The scope of rules on that event, and its fields NULL-terminated; NULL = none. */
const wire_scope_reply *changes_scope(const struct folder *f, enum wire_event event, const char *const **fields_out);

void resume_start(struct folder *f);
/* New rows wait in the journal. */
void resume_soon(struct folder *f);
void resume_drop_all(struct folder *f); /* the folder goes away, its session is gone */
/* These rows may go on (a webhook accepted, the user said so). */
void resume_rows(struct keeper *k, const int64_t *rows, size_t n);

/* validity.c: where the cursor starts, and what a changed UIDVALIDITY means. Ends with folder_advance(). */
void validity_settle(struct folder *f);

/* --- message*.c, need.c ------------------------------------------------------------------------------------------- */

enum message_stage {
    MESSAGE_ARRIVING,   /* fetched, its row on the way into the journal */
    MESSAGE_FETCHING,   /* its row is there, its data is asked for again */
    MESSAGE_EVALUATING, /* at the evaluators */
    MESSAGE_PLANNING,   /* its plan on the way into the journal */
    MESSAGE_ACTING,     /* a step is in the action queue */
    MESSAGE_STAGES
};

struct message {
    struct folder *folder;
    enum message_stage stage;
    int64_t row;
    enum wire_event event;
    uint64_t key; /* in folder.by_uid */
    uint32_t uid, uidvalidity;
    uint32_t attempts;
    bool followed;    /* another row of the same kind and UID waits for its end */
    unsigned arrival; /* which of the folder's arrivals it belongs to; 0 = none yet */
    bool own;
    bool sizes_change; /* on this server, as UIDs do: see identity_of() */
    int64_t date;      /* INTERNALDATE; 0 = not told */
    char *flags, *flags_added, *flags_removed, *event_id; /* of events but "new" */
    wire_message *eval; /* until it is submitted */
    uint64_t job;       /* 0 = not at the evaluators */
    GPtrArray *steps;   /* const wire_step by seq - 1; NULL before the plan */
    GPtrArray *owners;  /* wire_message that they live in */
    char *message_id;
    char *blame; /* how its evaluator died */
    char *blamed_rule; /* and which rule was at work; NULL = none */
    action_item item;
};

struct message *message_new(struct folder *f, enum wire_event event, uint32_t uid);
/* Out of memory; the journal keeps what it has. */
void message_free(struct message *m);
/* Fill an EVAL from what a FETCH brought. */
void message_fill(struct message *m, const imap_fetch *fetch);
/* Fill an EVAL of a message that is gone: message_id or NULL, as the journal has it. */
void message_fill_remains(struct message *m, const char *message_id);
void message_evaluate(struct message *m);
/* Go on with a plan from the journal. */
void message_continue(struct message *m, const struct state_message *stored);
void message_park(struct message *m, const error *err); /* frees m */
const imap_fetch_want *message_want(struct folder *f, enum wire_event event); /* valid until the next call */
void message_finished(void *folder, action_item *item, const action_outcome *outcome);
/* The message is not there any more: its row is done. Frees m. */
void message_gone(struct message *m);
/*
 * The server says "not now": again after hint_ms (0 = not told), with growing pauses. It counts as an attempt only if
 * the server has delivered the like of another message since it last said so. Frees m.
 */
void message_put_off(struct message *m, enum delivery_kind kind, uint64_t hint_ms);

/* step.c: "move Tickets", appended behind a comma where text is not empty. */
void step_describe(GString *text, const wire_step *step);
/* A PLAN frame with that step alone, a webhook's body left out (the outbox has it). */
GByteArray *step_encode(const wire_step *step);
bool step_takes_away(const wire_step *step); /* out of its folder */
/* state_step.effect of it; g_free. */
char *step_effect(const wire_step *step);
wire_message *step_decode(const void *args, size_t len); /* NULL if unusable */

/* limit.c: NULL, or why this plan may not be carried out. */
error *limit_check(struct keeper *k, const wire_plan *plan);

struct need;
void need_serve(struct message *m, wire_message *need); /* takes need */
void need_resume(struct folder *f); /* the folder is selected: serve those that wait */
void need_forget(struct message *m); /* the message goes away */
void need_drop_all(struct folder *f); /* the folder goes away, its session is gone */

/* --- outbox.c ----------------------------------------------------------------------------------------------------- */

struct outbox *outbox_new(struct keeper *k);
void outbox_free(struct outbox *o);
void outbox_configure(struct outbox *o); /* the config is new */
void outbox_kick(struct outbox *o, const char *webhook); /* something became due; NULL = look at all */
bool outbox_settled(const struct outbox *o);             /* nothing under way */
/* One line a webhook for `status`. */
void outbox_describe(const struct outbox *o, GString *out, bool json);

/* --- control.c ---------------------------------------------------------------------------------------------------- */

error *control_new(struct keeper *k, struct control **control_out);
void control_free(struct control *c);
/* Where the socket is: as the config says, else $RUNTIME_DIRECTORY, else the state directory. g_free. */
char *control_path_of(const wire_config *config);
void status_describe(struct keeper *k, GString *out, bool json);

/* --- descriptors.c ------------------------------------------------------------------------------------------------ */

void descriptors_raise(const log_ctx *log); /* as many as the process may have */
/* The config is new: warn if it needs more, and tell admission how many connections there is room for. */
void descriptors_plan(struct keeper *k);

/* --- dry_run.c ---------------------------------------------------------------------------------------------------- */

/* A copy of the state directory (g_free), and its end. */
error *dry_run_copy_state(const char *from, char **copy_out);
void dry_run_remove(const char *dir);

/* --- keeper_config.c ---------------------------------------------------------------------------------------------- */

/* Start the evaluators, which read the config; accounts start when it is good, else the keeper stops. */
error *keeper_load(struct keeper *k);
/* Read it again. done is called once, with text for people; ERROR_BUSY: another reload is asked for and not done. */
error *keeper_reload(struct keeper *k, void (*done)(void *user, bool ok, const char *text), void *user);

/* --- keeper.c ----------------------------------------------------------------------------------------------------- */

const wire_config *keeper_config(const struct keeper *k);
struct account *keeper_account(const struct keeper *k, const char *name); /* NULL = none of that name */
void keeper_begin(struct keeper *k); /* a config is in use: tick */
void keeper_stop(struct keeper *k, error *fatal); /* takes fatal; NULL = in order */
void keeper_check_settled(struct keeper *k);      /* --once: is there anything left to do? */

#endif
