/*
 * request_priv.h - one request on its way: made and answered on the loop's thread, run on the state's.
 *
 * `in` and `out` belong to its type; everything they point to lives in the arena.
 */
#ifndef STATE_REQUEST_PRIV_H
#define STATE_REQUEST_PRIV_H

#include "arena_priv.h"
#include "state/changes.h"
#include "state/journal.h"
#include "state/kv.h"
#include "state/outbox.h"

enum request_type {
    REQUEST_CURSOR_LOAD,
    REQUEST_CURSOR_SET,
    REQUEST_FIND_RENAMED,
    REQUEST_ARRIVE,
    REQUEST_ATTEMPT,
    REQUEST_FAULT,
    REQUEST_PLAN,
    REQUEST_STEP_BEGIN,
    REQUEST_STEP_DONE,
    REQUEST_STEP_FAILED,
    REQUEST_STEP_CLAIM,
    REQUEST_PARK,
    REQUEST_RETRY,
    REQUEST_DROP,
    REQUEST_LIST,
    REQUEST_LOAD,
    REQUEST_COUNTS,
    REQUEST_FIND_HANDLED,
    REQUEST_UIDVALIDITY,
    REQUEST_REKEY,
    REQUEST_PRUNE,
    REQUEST_PRESENT_LOAD,
    REQUEST_PRESENT_SET,
    REQUEST_OBSERVE,
    REQUEST_OBSERVE_END,
    REQUEST_OUTBOX_DUE,
    REQUEST_OUTBOX_RESULT,
    REQUEST_OUTBOX_REPLAY,
    REQUEST_OUTBOX_LIST,
    REQUEST_OUTBOX_COUNTS,
    REQUEST_OUTBOX_NEXT,
    REQUEST_KV_GET,
    REQUEST_KV_SET,
    REQUEST_KV_DELETE,
    REQUEST_KV_INCR,
    REQUEST_CLOCK_BACK, /* the state's own: the wall clock jumped back to `now` */
    REQUEST_TYPES
};

union request_in {
    struct {
        const char *account, *folder;
        struct state_cursor cursor;
    } cursor;
    struct state_rename rename;
    struct state_arrive arrive;
    struct {
        const int64_t *v;
        size_t n;
        int by; /* ATTEMPT */
    } rows;     /* ATTEMPT, FAULT, RETRY, DROP, LOAD */
    struct state_plan plan;
    struct {
        const struct state_step_note *v;
        size_t n;
    } notes;
    struct {
        const struct state_step_result *v;
        size_t n;
    } results;
    struct {
        const struct state_step_failure *v;
        size_t n;
    } failures;
    struct state_claim claim;
    struct {
        int64_t row;
        const error *err;
    } park;
    struct state_filter list;
    struct {
        const char *account, *folder;
        const char *const *identities;
        size_t n;
    } handled;
    struct state_validity validity;
    struct {
        int64_t row;
        uint32_t uidvalidity, uid;
    } rekey;
    struct state_keep keep;
    struct {
        const char *account, *folder;
        uint32_t uidvalidity;
        const struct state_range *v;
        size_t n;
    } present; /* PRESENT_LOAD, PRESENT_SET, OBSERVE_END */
    struct state_observe observe;
    struct state_due due; /* OUTBOX_DUE, OUTBOX_NEXT */
    struct state_outbox_result result;
    const char *id;
    struct state_outbox_filter outbox_list;
    struct {
        const char *ns, *key;
        const void *value;
        size_t len;
        uint64_t ttl_ms;
        int64_t by;
    } kv;
};

union request_out {
    struct state_cursor *cursor;
    const char *from;
    struct {
        struct state_arrival *v;
        size_t n;
    } arrivals;
    struct {
        struct state_row *v;
        size_t n;
        const char **dropped; /* DROP: a line for the log each, NULL = none */
    } rows;
    struct state_planned planned;
    struct {
        struct state_message *v;
        size_t n;
        bool more;
    } messages;
    struct {
        struct state_count *v;
        size_t n;
    } counts;
    struct {
        struct state_handled *v;
        size_t n;
    } handled;
    struct state_validity_change validity;
    uint64_t removed;
    struct {
        struct state_range *v;
        size_t n;
    } ranges;
    size_t observed;
    struct {
        struct state_outbox_entry *v;
        size_t n;
        bool more;
    } entries;
    struct {
        struct state_outbox_count *v;
        size_t n;
    } outbox_counts;
    struct state_next_due next;
    struct {
        const void *value;
        size_t len;
    } kv;
    int64_t number; /* KV_INCR; STEP_CLAIM: the UID */
};

union request_done {
    state_done_fn plain;
    state_cursor_fn cursor;
    state_rename_fn rename;
    state_arrive_fn arrive;
    state_rows_fn rows;
    state_claim_fn claim;
    state_plan_fn plan;
    state_messages_fn messages;
    state_counts_fn counts;
    state_handled_fn handled;
    state_validity_fn validity;
    state_pruned_fn pruned;
    state_present_fn present;
    state_observe_fn observe;
    state_outbox_fn outbox;
    state_outbox_counts_fn outbox_counts;
    state_next_due_fn next;
    state_kv_fn kv;
    state_kv_number_fn number;
};

struct request {
    enum request_type type;
    struct request *next;                     /* in the queue or among the finished */
    struct request *owner_prev, *owner_next;  /* of the same user: loop's thread only, as all up to `now` */
    void (*deliver)(const struct request *r); /* calls done; NULL = nobody asked */
    union request_done done;
    void *user;
    bool cancelled;
    int64_t now; /* wall clock at submission */
    struct arena arena;
    size_t bytes; /* of the arena at submission */
    union request_in in;
    union request_out out;
    error *err;
};

/* A new request; the caller fills in and done, then submits it, which takes it. */
struct request *state_request_new(state *st, enum request_type type, void *user);
void state_request_submit(state *st, struct request *r);
/* For request.deliver: hands the answer to done.plain, done.rows. */
void state_deliver_plain(const struct request *r);
void state_deliver_rows(const struct request *r);
bool state_request_writes(enum request_type type);

#endif
