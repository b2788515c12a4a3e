#include "cond_priv.h"

#include <string.h>

struct cond_run *cond_run_new(rules_job *job, const struct cond_set *set, struct regex_matcher *matcher) {
    struct cond_run *run = g_new0(struct cond_run, 1);

    run->job = job;
    run->set = set;
    run->matcher = matcher;
    run->owned = g_ptr_array_new_with_free_func(g_free);
    run->values = g_new0(struct cond_values, set->sources->len + 1);
    run->memo = g_new0(uint8_t, set->tests->len + 1);
    run->index_read = g_new0(bool, set->indexes->len + 1);
    run->candidates = g_new0(uint8_t, set->n_rules / 8 + 1);
    return run;
}

void cond_run_free(struct cond_run *run) {
    if (!run) {
        return;
    }
    if (run->groups) {
        g_hash_table_unref(run->groups);
    }
    error_free(run->failure);
    g_free(run->candidates);
    g_free(run->index_read);
    g_free(run->memo);
    g_free(run->values);
    g_ptr_array_unref(run->owned);
    g_free(run);
}

/* --- indexes ----------------------------------------------------------------------------------------------------- */

static void found(void *user, unsigned id) {
    struct cond_run *run = user;

    if (run->memo[id]) {
        return;
    }
    run->memo[id] = ((const struct cond_test *)run->set->tests->pdata[id])->sifted ? COND_MAYBE : COND_TRUE + 1;
    const GArray *guarded = run->set->guarded[id];
    for (unsigned i = 0; guarded && i < guarded->len; i++) {
        int rule = g_array_index(guarded, int, i);
        run->candidates[rule / 8] |= (uint8_t)(1u << (rule % 8));
    }
}

/* Answers every test of the index at once. False: job->need is set. */
static bool read_index(struct cond_run *run, int at) {
    const struct cond_index *index = &g_array_index(run->set->indexes, struct cond_index, at);
    struct cond_values *values;

    if (run->index_read[at]) {
        return true;
    }
    if (!(index->exact ? cond_values_read : cond_values_fold)(run, index->source, &values)) {
        return false;
    }
    const struct cond_string *strings = index->exact ? values->raw : values->fold;
    for (unsigned i = 0; i < values->n; i++) {
        if (index->needles) {
            needles_scan(index->needles, strings[i].s, strings[i].len, found, run);
            continue;
        }
        const GArray *ids = g_hash_table_lookup(index->equal, strings[i].s);
        for (unsigned k = 0; ids && k < ids->len; k++) {
            found(run, g_array_index(ids, unsigned, k));
        }
    }
    run->index_read[at] = true;
    return true;
}

bool cond_read_guard(struct cond_run *run, int rule) {
    const struct cond_guard *guard = &run->set->guards[rule];

    for (unsigned i = 0; i < guard->n; i++) {
        if (!read_index(run, guard->index[i])) {
            return false;
        }
    }
    return true;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static bool compare(const struct cond_test *test, const struct cond_string *v) {
    switch (test->op) {
    case OP_IS:
        return v->len == test->operand_len && memcmp(v->s, test->operand, v->len) == 0;
    case OP_CONTAINS:
        return memmem(v->s, v->len, test->operand, test->operand_len) != NULL;
    case OP_STARTS:
        return v->len >= test->operand_len && memcmp(v->s, test->operand, test->operand_len) == 0;
    case OP_ENDS:
        return v->len >= test->operand_len &&
               memcmp(v->s + v->len - test->operand_len, test->operand, test->operand_len) == 0;
    case OP_GLOB:
        return match_glob(test->operand, v->s);
    case OP_ONE_OF:
        return g_hash_table_contains(test->entries, v->s);
    case OP_REGEX:
    case OP_EXISTS:
    case OP_OVER:
    case OP_UNDER:
    case OP_HOLDS:
        break;
    }
    return false;
}

static void keep_groups(struct cond_run *run, const struct cond_test *test, const char *s,
                        const struct regex_match *match) {
    GPtrArray *groups = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < match->n; i++) {
        size_t from = match->from[2 * i], to = match->from[2 * i + 1];
        g_ptr_array_add(groups, from == REGEX_UNSET || to < from ? NULL : g_strndup(s + from, to - from));
    }
    if (!run->groups) {
        run->groups = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    }
    g_hash_table_insert(run->groups, GUINT_TO_POINTER(test->id), groups);
}

static enum cond_result match_regex(struct cond_run *run, const struct cond_test *test,
                                    const struct cond_values *values) {
    for (unsigned i = 0; i < values->n; i++) {
        struct regex_match match;
        const struct cond_string *v = &values->raw[i];
        enum regex_status status = regex_match(run->matcher, test->regex, v->s, v->len, 0, &match, &run->failure);
        if (status == REGEX_FAILED) {
            run->failed_at = &test->place;
            return COND_FAILED;
        }
        if (status == REGEX_MATCH) {
            keep_groups(run, test, v->s, &match);
            return COND_TRUE;
        }
    }
    return COND_FALSE;
}

static bool compare_number(const struct cond_test *test, const struct cond_values *values) {
    switch (test->op) {
    case OP_OVER:
        return values->present && values->number > test->number;
    case OP_UNDER:
        return values->present && values->number < test->number;
    default:
        return values->present;
    }
}

static enum cond_result look(struct cond_run *run, const struct cond_test *test) {
    struct cond_values *values;
    bool strings = test->op <= OP_GLOB || test->op == OP_ONE_OF;

    if (test->index >= 0) {
        if (!read_index(run, test->index)) {
            return COND_NEED;
        }
        if (!test->sifted || run->memo[test->id] != COND_MAYBE) {
            return run->memo[test->id] ? COND_TRUE : COND_FALSE;
        }
    }
    if (strings && !test->exact) {
        if (!cond_values_fold(run, test->source, &values)) {
            return COND_NEED;
        }
    } else if (!cond_values_read(run, test->source, &values)) {
        return COND_NEED;
    }
    if (test->op == OP_REGEX) {
        return match_regex(run, test, values);
    }
    if (!strings) {
        return compare_number(test, values) ? COND_TRUE : COND_FALSE;
    }
    for (unsigned i = 0; i < values->n; i++) {
        if (compare(test, test->exact ? &values->raw[i] : &values->fold[i])) {
            return COND_TRUE;
        }
    }
    return COND_FALSE;
}

static enum cond_result eval_test(struct cond_run *run, const struct cond_test *test) {
    if (run->memo[test->id] && run->memo[test->id] != COND_MAYBE) {
        return (enum cond_result)(run->memo[test->id] - 1);
    }
    enum cond_result result = look(run, test);
    if (result == COND_TRUE || result == COND_FALSE) {
        run->memo[test->id] = (uint8_t)(result + 1);
    }
    return result;
}

static enum cond_result eval(struct cond_run *run, const struct cond *cond) {
    enum cond_result decisive = cond->kind == COND_ANY ? COND_TRUE : COND_FALSE;

    if (cond->kind == COND_TEST) {
        return eval_test(run, cond->test);
    }
    if (cond->kind == COND_NOT) {
        enum cond_result result = eval(run, cond->kids[0]);
        return result == COND_TRUE ? COND_FALSE : result == COND_FALSE ? COND_TRUE : result;
    }
    for (unsigned i = 0; i < cond->n_kids; i++) {
        enum cond_result result = eval(run, cond->kids[cond->order[i]]);
        if (result == decisive || result == COND_NEED || result == COND_FAILED) {
            return result;
        }
    }
    return decisive == COND_TRUE ? COND_FALSE : COND_TRUE;
}

enum cond_result cond_eval(struct cond_run *run, const struct cond *cond, error **error_out, wire_place *place_out) {
    enum cond_result result = eval(run, cond);

    *error_out = NULL;
    if (result == COND_FAILED) {
        *error_out = run->failure;
        *place_out = *run->failed_at;
        run->failure = NULL;
    }
    return result;
}

/* --- captures ---------------------------------------------------------------------------------------------------- */

static void add_capture(struct cond_run *run, GArray *captures, const char *name, const char *value) {
    wire_message *reply = run->job->reply;

    for (unsigned i = 0; i < captures->len; i++) {
        if (strcmp(g_array_index(captures, struct capture, i).name, name) == 0) {
            return;
        }
    }
    struct capture c = {wire_str(reply, name), wire_str(reply, value)};
    g_array_append_val(captures, c);
}

static void add_groups(struct cond_run *run, const struct cond_test *test, GArray *captures) {
    const GPtrArray *groups = run->groups ? g_hash_table_lookup(run->groups, GUINT_TO_POINTER(test->id)) : NULL;

    for (unsigned i = 0; groups && i < groups->len; i++) {
        char number[16];
        const char *name = regex_group_name(test->regex, i);
        if (!groups->pdata[i]) {
            continue;
        }
        g_snprintf(number, sizeof number, "%u", i);
        add_capture(run, captures, number, groups->pdata[i]);
        if (name) {
            add_capture(run, captures, name, groups->pdata[i]);
        }
    }
}

void cond_captures(struct cond_run *run, const struct cond *cond, GArray *captures) {
    switch (cond->kind) {
    case COND_TEST:
        if (cond->test->op == OP_REGEX) {
            add_groups(run, cond->test, captures);
        }
        break;
    case COND_ALL:
        for (unsigned i = 0; i < cond->n_kids; i++) {
            cond_captures(run, cond->kids[i], captures);
        }
        break;
    case COND_ANY:
        for (unsigned i = 0; i < cond->n_kids; i++) {
            if (eval(run, cond->kids[cond->order[i]]) == COND_TRUE) {
                cond_captures(run, cond->kids[cond->order[i]], captures);
                return;
            }
        }
        break;
    case COND_NOT:
        break;
    }
}
