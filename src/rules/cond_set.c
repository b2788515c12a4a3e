#include "cond_priv.h"

#include <string.h>

enum {
    NEEDLES_MIN = 4,   /* fewer substrings of a field are searched for one by one */
    ENTRIES_MAX = 256, /* of one list that an index takes in */
    GUARD_TESTS_MAX = 256,
};

static void free_test(gpointer data) {
    struct cond_test *test = data;

    regex_free(test->regex);
    if (test->entries) {
        g_hash_table_unref(test->entries);
    }
    g_free(test);
}

static void free_cond(gpointer data) {
    struct cond *cond = data;

    g_free(cond->kids);
    g_free(cond->order);
    g_free(cond);
}

static void clear_index(gpointer data) {
    struct cond_index *index = data;

    if (index->equal) {
        g_hash_table_unref(index->equal);
    }
    needles_free(index->needles);
}

struct cond_set *cond_set_new(void) {
    struct cond_set *set = g_new0(struct cond_set, 1);

    set->strings = g_string_chunk_new(4096);
    set->sources = g_ptr_array_new_with_free_func(g_free);
    set->tests = g_ptr_array_new_with_free_func(free_test);
    set->sources_by_key = g_hash_table_new(g_str_hash, g_str_equal);
    set->tests_by_key = g_hash_table_new(g_str_hash, g_str_equal);
    set->conds = g_ptr_array_new_with_free_func(free_cond);
    set->indexes = g_array_new(FALSE, TRUE, sizeof(struct cond_index));
    g_array_set_clear_func(set->indexes, clear_index);
    return set;
}

void cond_set_free(struct cond_set *set) {
    if (!set) {
        return;
    }
    for (unsigned i = 0; set->guarded && i < set->tests->len; i++) {
        if (set->guarded[i]) {
            g_array_unref(set->guarded[i]);
        }
    }
    g_free(set->guarded);
    g_free(set->guards);
    g_array_unref(set->indexes);
    g_ptr_array_unref(set->conds);
    g_hash_table_unref(set->tests_by_key);
    g_hash_table_unref(set->sources_by_key);
    g_ptr_array_unref(set->tests);
    g_ptr_array_unref(set->sources);
    g_string_chunk_free(set->strings);
    g_free(set);
}

char *cond_set_string(struct cond_set *set, const char *s) {
    return s ? g_string_chunk_insert_const(set->strings, s) : NULL;
}

struct cond_source *cond_set_source(struct cond_set *set, const struct cond_field *field, enum cond_aspect aspect,
                                    const char *header) {
    g_autofree char *lower = header ? g_ascii_strdown(header, -1) : NULL;
    g_autofree char *key = g_strdup_printf("%s %d %s", field->name, aspect, lower ? lower : "");
    struct cond_source *source = g_hash_table_lookup(set->sources_by_key, key);

    if (source) {
        return source;
    }
    source = g_new0(struct cond_source, 1);
    source->id = set->sources->len;
    source->field = field;
    source->aspect = aspect;
    source->header = cond_set_string(set, lower);
    g_ptr_array_add(set->sources, source);
    g_hash_table_insert(set->sources_by_key, cond_set_string(set, key), source);
    return source;
}

struct cond_test *cond_set_test(struct cond_set *set, const char *key, bool *is_new_out) {
    struct cond_test *test = g_hash_table_lookup(set->tests_by_key, key);

    *is_new_out = !test;
    if (!test) {
        test = g_new0(struct cond_test, 1);
        test->id = set->tests->len;
        test->index = -1;
        g_ptr_array_add(set->tests, test);
        g_hash_table_insert(set->tests_by_key, cond_set_string(set, key), test);
    }
    return test;
}

struct cond *cond_set_cond(struct cond_set *set, enum cond_kind kind, const wire_place *place) {
    struct cond *cond = g_new0(struct cond, 1);

    cond->kind = kind;
    cond->place.file = cond_set_string(set, place->file);
    cond->place.line = place->line;
    cond->serial = set->conds->len;
    g_ptr_array_add(set->conds, cond);
    return cond;
}

const struct cond *cond_make_mistake(struct cond_set *set, const wire_place *place) {
    struct cond *cond = cond_set_cond(set, COND_ANY, place);

    cond->is_mistake = true;
    cond->depth = 1;
    return cond;
}

/* Stable. */
static void sort_order(struct cond *cond) {
    for (unsigned i = 0; i < cond->n_kids; i++) {
        unsigned at = i;
        for (; at > 0 && cond->kids[cond->order[at - 1]]->cost > cond->kids[i]->cost; at--) {
            cond->order[at] = cond->order[at - 1];
        }
        cond->order[at] = i;
    }
}

static void weigh(struct cond *cond) {
    cond->rank = cond->kids[0]->rank;
    for (unsigned i = 0; i < cond->n_kids; i++) {
        const struct cond *kid = cond->kids[i];
        cond->cost += kid->cost;
        cond->depth = MAX(cond->depth, kid->depth + 1);
        cond->rank = cond->kind == COND_ANY ? MAX(cond->rank, kid->rank) : MIN(cond->rank, kid->rank);
    }
}

const struct cond *cond_make_node(struct cond_set *set, enum cond_kind kind, const struct cond *const *kids, size_t n,
                                  const wire_place *place) {
    GPtrArray *flat = g_ptr_array_new();

    for (size_t i = 0; i < n; i++) {
        bool same = kids[i]->kind == kind && kind != COND_NOT && !kids[i]->is_mistake;
        for (unsigned k = 0; same && k < kids[i]->n_kids; k++) {
            g_ptr_array_add(flat, (gpointer)(uintptr_t)kids[i]->kids[k]);
        }
        if (same) {
            ((struct cond *)(uintptr_t)kids[i])->used = true;
        } else {
            g_ptr_array_add(flat, (gpointer)(uintptr_t)kids[i]);
        }
    }
    struct cond *cond = cond_set_cond(set, kind, place);
    cond->n_kids = flat->len;
    cond->kids = (const struct cond **)g_ptr_array_free(flat, FALSE);
    cond->order = g_new0(unsigned, cond->n_kids);
    sort_order(cond);
    weigh(cond);
    return cond->depth <= LIMIT_COND_DEPTH ? cond : NULL;
}

void cond_mark_used(const struct cond *cond) {
    ((struct cond *)(uintptr_t)cond)->used = true;
    for (unsigned i = 0; i < cond->n_kids; i++) {
        cond_mark_used(cond->kids[i]);
    }
}

void cond_fields_needed(const struct cond *cond, GHashTable *names) {
    for (unsigned i = 0; i < cond->n_kids; i++) {
        cond_fields_needed(cond->kids[i], names);
    }
    if (cond->kind == COND_TEST && cond->rank == RANK_FIELDS) {
        const struct cond_source *source = cond->test->source;
        if (source->header) {
            g_hash_table_add(names, g_strdup(source->header));
            return;
        }
        for (const char *const *f = mail_query_fields(source->field->query); *f; f++) {
            g_hash_table_add(names, g_ascii_strdown(*f, -1));
        }
    }
}

void cond_foreach_positive(const struct cond *cond, void (*f)(const struct cond_test *test, void *user), void *user) {
    if (cond->kind == COND_TEST) {
        f(cond->test, user);
    }
    for (unsigned i = 0; cond->kind != COND_NOT && i < cond->n_kids; i++) {
        cond_foreach_positive(cond->kids[i], f, user);
    }
}

void cond_foreach_test(const struct cond *cond,
                       void (*f)(const struct cond_test *test, const wire_place *place, void *user), void *user) {
    if (cond->kind == COND_TEST) {
        f(cond->test, &cond->place, user);
    }
    for (unsigned i = 0; i < cond->n_kids; i++) {
        cond_foreach_test(cond->kids[i], f, user);
    }
}

/* --- indexes ----------------------------------------------------------------------------------------------------- */

static int index_for(struct cond_set *set, const struct cond_test *test, bool exact, bool needles) {
    struct cond_index fresh = {.source = test->source, .exact = exact};

    for (unsigned i = 0; i < set->indexes->len; i++) {
        const struct cond_index *index = &g_array_index(set->indexes, struct cond_index, i);
        if (index->source == test->source && index->exact == exact && (index->needles != NULL) == needles) {
            return (int)i;
        }
    }
    if (needles) {
        fresh.needles = needles_new();
    } else {
        fresh.equal = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_array_unref);
    }
    g_array_append_val(set->indexes, fresh);
    return (int)set->indexes->len - 1;
}

static void add_equal(struct cond_index *index, char *key, unsigned id) {
    GArray *ids = g_hash_table_lookup(index->equal, key);

    if (!ids) {
        ids = g_array_new(FALSE, FALSE, sizeof(unsigned));
        g_hash_table_insert(index->equal, key, ids);
    }
    g_array_append_val(ids, id);
}

static void index_equality(struct cond_set *set, struct cond_test *test) {
    bool list = test->op == OP_ONE_OF && g_hash_table_size(test->entries) <= ENTRIES_MAX;

    if (test->op != OP_IS && !list) {
        return;
    }
    test->index = index_for(set, test, test->exact, false);
    struct cond_index *index = &g_array_index(set->indexes, struct cond_index, test->index);
    if (!list) {
        add_equal(index, test->operand, test->id);
        return;
    }
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, test->entries);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        add_equal(index, key, test->id);
    }
}

/* What the test's field must contain for it to hold, if that is known. */
static void find_literal(struct cond_set *set, struct cond_test *test) {
    bool caseless = !test->exact;
    g_autofree char *literal = NULL;

    switch (test->op) {
    case OP_CONTAINS:
    case OP_STARTS:
    case OP_ENDS:
        test->literal = test->operand;
        break;
    case OP_GLOB:
        literal = match_glob_literal(test->operand);
        break;
    case OP_REGEX:
        literal = match_regex_literal(test->operand, &caseless);
        break;
    default:
        return;
    }
    test->literal_exact = !caseless;
    test->sifted = !test->literal;
    test->literal = test->literal ? test->literal : cond_set_string(set, literal);
}

static void add_needle(struct cond_set *set, struct cond_test *test) {
    enum needle_place place = test->op == OP_STARTS ? NEEDLE_AT_START
                              : test->op == OP_ENDS ? NEEDLE_AT_END
                                                    : NEEDLE_ANYWHERE;

    test->index = index_for(set, test, test->literal_exact, true);
    needles_add(g_array_index(set->indexes, struct cond_index, test->index).needles, test->literal,
                strlen(test->literal), place, test->id);
}

static void index_substrings(struct cond_set *set) {
    unsigned *count = g_new0(unsigned, 2 * set->sources->len + 1);

    for (unsigned i = 0; i < set->tests->len; i++) {
        struct cond_test *test = set->tests->pdata[i];
        find_literal(set, test);
        count[test->source->id * 2 + test->literal_exact] += test->literal != NULL;
    }
    for (unsigned i = 0; i < set->tests->len; i++) {
        struct cond_test *test = set->tests->pdata[i];
        if (test->literal && count[test->source->id * 2 + test->literal_exact] >= NEEDLES_MIN) {
            add_needle(set, test);
        }
    }
    for (unsigned i = 0; i < set->indexes->len; i++) {
        struct needles *needles = g_array_index(set->indexes, struct cond_index, i).needles;
        if (needles) {
            needles_prepare(needles);
        }
    }
    g_free(count);
}

/* How many rules look at each test, by test id: a test that many share tells them apart badly. */
static void count_uses(const struct cond *cond, unsigned *uses) {
    if (cond->kind == COND_TEST) {
        uses[cond->test->id]++;
    }
    for (unsigned i = 0; i < cond->n_kids; i++) {
        count_uses(cond->kids[i], uses);
    }
}

static unsigned most_used(const GPtrArray *tests, unsigned from, const unsigned *uses) {
    unsigned most = 0;

    for (unsigned i = from; i < tests->len; i++) {
        most = MAX(most, uses[((const struct cond_test *)tests->pdata[i])->id]);
    }
    return most;
}

static bool find_guard(const struct cond *cond, const unsigned *uses, GPtrArray *tests);

/* Of an `&` any one operand will do: the one whose tests the fewest rules share. */
static bool find_best_guard(const struct cond *cond, const unsigned *uses, GPtrArray *tests) {
    unsigned start = tests->len, best = UINT_MAX;

    for (unsigned i = 0; i < cond->n_kids; i++) {
        unsigned before = tests->len;
        bool found = find_guard(cond->kids[cond->order[i]], uses, tests);
        unsigned used = found ? most_used(tests, before, uses) : UINT_MAX;
        if (used < best) {
            best = used;
            if (before > start) {
                g_ptr_array_remove_range(tests, start, before - start);
            }
        } else {
            g_ptr_array_set_size(tests, (int)before);
        }
    }
    return best != UINT_MAX;
}

/* Adds tests of which at least one holds whenever cond does. False: there are none such. */
static bool find_guard(const struct cond *cond, const unsigned *uses, GPtrArray *tests) {
    switch (cond->kind) {
    case COND_TEST:
        g_ptr_array_add(tests, cond->test);
        return cond->test->index >= 0 && cond->rank <= RANK_FIELDS;
    case COND_ANY:
        for (unsigned i = 0; i < cond->n_kids; i++) {
            if (!find_guard(cond->kids[i], uses, tests) || tests->len > GUARD_TESTS_MAX) {
                return false;
            }
        }
        return true;
    case COND_ALL:
        return find_best_guard(cond, uses, tests);
    case COND_NOT:
        break;
    }
    return false;
}

static bool guard_adds_index(struct cond_guard *guard, int index) {
    for (unsigned i = 0; i < guard->n; i++) {
        if (guard->index[i] == index) {
            return true;
        }
    }
    if (guard->n == G_N_ELEMENTS(guard->index)) {
        return false;
    }
    guard->index[guard->n++] = index;
    return true;
}

static void set_guard(struct cond_set *set, int rule, const struct cond *when, const unsigned *uses, GPtrArray *tests) {
    struct cond_guard guard = {0};

    g_ptr_array_set_size(tests, 0);
    if (!find_guard(when, uses, tests)) {
        return;
    }
    for (unsigned i = 0; i < tests->len; i++) {
        if (!guard_adds_index(&guard, ((struct cond_test *)tests->pdata[i])->index)) {
            return;
        }
    }
    for (unsigned i = 0; i < tests->len; i++) {
        GArray **guarded = &set->guarded[((struct cond_test *)tests->pdata[i])->id];
        if (!*guarded) {
            *guarded = g_array_new(FALSE, FALSE, sizeof(int));
        }
        g_array_append_val(*guarded, rule);
    }
    set->guards[rule] = guard;
}

void cond_set_index(struct cond_set *set, const struct cond *const *whens, size_t n) {
    GPtrArray *tests = g_ptr_array_new();

    for (unsigned i = 0; i < set->tests->len; i++) {
        index_equality(set, set->tests->pdata[i]);
    }
    index_substrings(set);
    set->n_rules = n;
    set->guarded = g_new0(GArray *, set->tests->len + 1);
    set->guards = g_new0(struct cond_guard, n + 1);
    unsigned *uses = g_new0(unsigned, set->tests->len + 1);
    for (size_t i = 0; i < n; i++) {
        if (whens[i]) {
            count_uses(whens[i], uses);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (whens[i]) {
            set_guard(set, (int)i, whens[i], uses, tests);
        }
    }
    g_ptr_array_unref(tests);
    g_free(uses);
}
