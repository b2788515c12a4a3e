/*
 * cond_priv.h - conditions: `from:domain "example.com" & ~is_auto`.
 *
 *   cond_make.c    a field, a test and its operands -> struct cond; operators; what is wrong with them
 *   cond_set.c     every condition of a config; equal tests are one test; indexes over them
 *   cond_value.c   what a field is for one message
 *   cond_eval.c    conditions against one message: lazily, remembered, with captures
 *   cond_trace.c   why
 *   cond_lua.c     how the config writes them
 *
 * A condition is a tree that never changes once made and belongs to its set. Leaves are tests; a test that occurs
 * twice, in whatever rules, exists once and is evaluated once for a message. `&` and `|` look at their operands
 * cheapest first: what is known without asking, then header fields, the structure, the text; among equals in the order
 * written. The first operand that decides ends it, so the text of a message is fetched only when all that is cheaper
 * left it open.
 *
 * Tests for equality and, where a field has several of them, tests for what it contains are answered by an index: one
 * look at the message's value finds every test that holds; globs and regular expressions, every test that may. A rule
 * that needs one of these to hold (its guard) is not even looked at if none does; thus ten thousand rules cost little
 * more than ten.
 */
#ifndef RULES_COND_PRIV_H
#define RULES_COND_PRIV_H

#include "match_priv.h"
#include "regex_priv.h"
#include "rules_priv.h"

/* How far away the data is that a test looks at. */
enum cond_rank { RANK_NOTHING, RANK_FIELDS, RANK_STRUCTURE, RANK_TEXT };

enum cond_field_kind {
    FIELD_ADDRESSES,
    FIELD_STRINGS,
    FIELD_FLAGS,
    FIELD_SIZE,  /* a number of octets */
    FIELD_AGE,   /* a number of milliseconds */
    FIELD_CLASS, /* holds or not */
    FIELD_THING, /* is there or not */
};

/* Of a FIELD_FLAGS: which of the message's flags. */
enum cond_flags { FLAGS_SET, FLAGS_ADDED, FLAGS_REMOVED };

/* What the config calls a field; one table in cond_make.c. */
struct cond_field {
    const char *name; /* "from", "attachment.name" */
    enum cond_field_kind kind;
    enum cond_rank rank;
    enum mail_query query;
    enum cond_flags flags;
};

const struct cond_field *cond_field_find(const char *name); /* NULL if there is none */
const struct cond_field *cond_fields(size_t *count_out);

enum cond_op {
    OP_IS,
    OP_CONTAINS,
    OP_STARTS,
    OP_ENDS,
    OP_GLOB,
    OP_REGEX,
    OP_EXISTS,
    OP_ONE_OF,
    OP_OVER,
    OP_UNDER,
    OP_HOLDS
};

/* Which strings of a field are compared. An address list gives several views of itself. */
enum cond_aspect {
    ASPECT_VALUE,
    ASPECT_ADDRESS, /* "local@domain", domain in A-labels */
    ASPECT_FULL,    /* "Name <local@domain>" */
    ASPECT_WIDE,    /* each of: address, name, "Name <address>" */
    ASPECT_DOMAIN,
};

/* A field's strings, shared by all tests that look at them. */
struct cond_source {
    unsigned id;
    const struct cond_field *field;
    enum cond_aspect aspect;
    char *header; /* name for header"X", else NULL */
};

struct cond_test {
    unsigned id;
    enum cond_op op;
    struct cond_source *source;
    bool exact;    /* case counts */
    char *operand; /* folded unless exact; NULL for ONE_OF, REGEX, EXISTS, HOLDS */
    size_t operand_len;
    GHashTable *entries; /* ONE_OF: set of folded strings, else NULL */
    struct regex *regex;
    uint64_t number;
    int index;     /* of the set's index that answers it, -1 = none */
    bool sifted;   /* the index only says where it may hold: every match contains `literal` */
    char *literal; /* what the index looks for; NULL = none */
    bool literal_exact;
    char *shown; /* `from:domain "example.com"` */
    wire_place place;
};

enum cond_kind { COND_TEST, COND_ALL, COND_ANY, COND_NOT };

struct cond {
    enum cond_kind kind;
    wire_place place;
    struct cond_test *test;
    const struct cond **kids; /* as written */
    unsigned *order;          /* kids, cheapest first */
    unsigned n_kids;
    unsigned depth;
    uint64_t cost;
    enum cond_rank rank; /* what nearly every message costs: the cheapest operand of `&`, all of `|` */
    unsigned serial;     /* order of making, to find conditions that no rule uses */
    bool is_mistake;     /* stands in for one that could not be made */
    bool used;
};

struct cond_index {
    struct cond_source *source;
    bool exact;
    GHashTable *equal;       /* string -> GArray of test ids; NULL for substrings */
    struct needles *needles; /* NULL for equality */
};

/* The indexes whose answers a rule waits for; none: it is always evaluated. */
struct cond_guard {
    unsigned n;
    int index[4];
};

struct cond_set {
    GStringChunk *strings;
    GPtrArray *sources; /* struct cond_source, by id */
    GPtrArray *tests;   /* struct cond_test, by id */
    GHashTable *sources_by_key;
    GHashTable *tests_by_key;  /* text that tells tests apart -> struct cond_test */
    GPtrArray *conds;          /* struct cond: all, in order of making */
    GArray *indexes;           /* struct cond_index, after cond_set_index() */
    GArray **guarded;          /* by test id: the rules (int) it is a guard of, or NULL */
    struct cond_guard *guards; /* by rule */
    size_t n_rules;
};

/* --- making (cond_make.c, cond_set.c) ---------------------------------------------------------------------------- */

struct cond_set *cond_set_new(void);
void cond_set_free(struct cond_set *set); /* accepts NULL */

/* What a test is made of. Borrowed. */
struct cond_operand {
    const char *string; /* NULL if it is a number, a list, or absent */
    bool has_number;
    double number;
    const char *const *list; /* NULL-terminated, or NULL */
    bool has_case;           /* { case = ... } was given */
    bool exact;
    const char *file_text; /* in_file: the file's content; string is its name */
};

/* name: "is", "contains", "any_of", ... Fails with ERROR_CONFIG. The condition belongs to the set. */
error *cond_make_test(struct cond_set *set, const struct cond_field *field, const char *header, const char *name,
                      const struct cond_operand *operand, const wire_place *place,
                      const struct cond **cond_out) G_GNUC_WARN_UNUSED_RESULT;
/* The tests that a field understands, NULL-terminated, static. */
const char *const *cond_tests_of(const struct cond_field *field);
/* ALL, ANY of at least one, NOT of one. NULL: nested deeper than LIMIT_COND_DEPTH. */
const struct cond *cond_make_node(struct cond_set *set, enum cond_kind kind, const struct cond *const *kids, size_t n,
                                  const wire_place *place);
/* One that never holds, in place of one with a mistake. */
const struct cond *cond_make_mistake(struct cond_set *set, const wire_place *place);
void cond_mark_used(const struct cond *cond);

struct cond_source *cond_set_source(struct cond_set *set, const struct cond_field *field, enum cond_aspect aspect,
                                    const char *header);
/* A condition for the test that key tells apart: the one made before, or *test_out is a new one to be filled. */
struct cond_test *cond_set_test(struct cond_set *set, const char *key, bool *is_new_out);
struct cond *cond_set_cond(struct cond_set *set, enum cond_kind kind, const wire_place *place);
char *cond_set_string(struct cond_set *set, const char *s);

/* Once all rules are known: indexes, and each rule's guard. whens[i] is rule i's condition or NULL. */
void cond_set_index(struct cond_set *set, const struct cond *const *whens, size_t n);

/* Adds the names of header fields that a first look needs. */
void cond_fields_needed(const struct cond *cond, GHashTable *names);
/* Calls f for each test with the place of its condition, also under a NOT. */
void cond_foreach_test(const struct cond *cond,
                       void (*f)(const struct cond_test *test, const wire_place *place, void *user), void *user);
/* Calls f for each test that is not under a NOT: those whose captures a rule may use. */
void cond_foreach_positive(const struct cond *cond, void (*f)(const struct cond_test *test, void *user), void *user);

/* --- one message (cond_value.c, cond_eval.c) --------------------------------------------------------------------- */

enum cond_result { COND_FALSE, COND_TRUE, COND_NEED, COND_FAILED };

struct cond_string {
    const char *s;
    size_t len;
};

struct cond_values {
    bool read, folded;
    bool present;
    unsigned n;
    struct cond_string *raw;  /* [n] */
    struct cond_string *fold; /* [n], once folded */
    uint64_t number;
};

#define COND_MAYBE 0xff /* memo: the literal of a sifted test is there */

/* What is known about one message. */
struct cond_run;

/* matcher is borrowed. */
struct cond_run *cond_run_new(rules_job *job, const struct cond_set *set, struct regex_matcher *matcher);
void cond_run_free(struct cond_run *run); /* accepts NULL */

/*
 * Does the condition hold?
 *   COND_NEED    job->need is set; ask again after the answer
 *   COND_FAILED  *error_out says why (a pattern that hit its limits), *place_out where the test stands
 */
enum cond_result cond_eval(struct cond_run *run, const struct cond *cond, error **error_out, wire_place *place_out);
/* Reads what the rule's guard asks. False: job->need is set. Then cond_ruled_out() tells. */
bool cond_read_guard(struct cond_run *run, int rule);
/* Adds what the regexes that made cond hold have captured, in the order written; a name's first capture counts. Right
 * after cond_eval() gave COND_TRUE. */
void cond_captures(struct cond_run *run, const struct cond *cond, GArray *captures);
/* Adds a line (in job->reply's arena) for each test that was looked at. Right after cond_eval() gave TRUE or FALSE. */
void cond_trace(struct cond_run *run, const struct cond *cond, wire_strings *why);

/* cond_value.c. False: job->need is set. */
bool cond_values_read(struct cond_run *run, const struct cond_source *source, struct cond_values **values_out);
bool cond_values_fold(struct cond_run *run, const struct cond_source *source, struct cond_values **values_out);

struct cond_run {
    rules_job *job;
    const struct cond_set *set;
    struct regex_matcher *matcher;
    GPtrArray *owned;           /* strings and arrays of values, g_free'd with the run */
    struct cond_values *values; /* by source id */
    uint8_t *memo;              /* by test id: 0 unknown, enum cond_result + 1, or COND_MAYBE */
    bool *index_read;           /* by index */
    uint8_t *candidates;        /* bits, by rule: a guard of it holds */
    GHashTable *groups;         /* test id -> GPtrArray of strings, NULL where a group took no part */
    error *failure;
    const wire_place *failed_at;
};

/* Is it known that the rule's condition cannot hold? */
static inline bool cond_ruled_out(const struct cond_run *run, int rule) {
    const struct cond_guard *guard = &run->set->guards[rule];

    for (unsigned i = 0; i < guard->n; i++) {
        if (!run->index_read[guard->index[i]]) {
            return false;
        }
    }
    return guard->n > 0 && !(run->candidates[rule / 8] >> (rule % 8) & 1);
}

#endif
