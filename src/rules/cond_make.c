#include "cond_priv.h"

#include "base/text.h"

#include <string.h>

static const struct cond_field fields[] = {
    {"from", FIELD_ADDRESSES, RANK_FIELDS, MAIL_FROM, FLAGS_SET},
    {"to", FIELD_ADDRESSES, RANK_FIELDS, MAIL_TO, FLAGS_SET},
    {"cc", FIELD_ADDRESSES, RANK_FIELDS, MAIL_CC, FLAGS_SET},
    {"bcc", FIELD_ADDRESSES, RANK_FIELDS, MAIL_BCC, FLAGS_SET},
    {"reply_to", FIELD_ADDRESSES, RANK_FIELDS, MAIL_REPLY_TO, FLAGS_SET},
    {"sender", FIELD_ADDRESSES, RANK_FIELDS, MAIL_SENDER, FLAGS_SET},
    {"recipient", FIELD_ADDRESSES, RANK_FIELDS, MAIL_RECIPIENT, FLAGS_SET},
    {"subject", FIELD_STRINGS, RANK_FIELDS, MAIL_SUBJECT, FLAGS_SET},
    {"list_id", FIELD_STRINGS, RANK_FIELDS, MAIL_LIST_ID, FLAGS_SET},
    {"header", FIELD_STRINGS, RANK_FIELDS, MAIL_QUERIES, FLAGS_SET},
    {"text", FIELD_STRINGS, RANK_TEXT, MAIL_TEXT, FLAGS_SET},
    {"body", FIELD_STRINGS, RANK_TEXT, MAIL_HTML, FLAGS_SET},
    {"attachment", FIELD_THING, RANK_STRUCTURE, MAIL_ATTACHMENTS, FLAGS_SET},
    {"attachment.name", FIELD_STRINGS, RANK_STRUCTURE, MAIL_ATTACHMENTS, FLAGS_SET},
    {"attachment.type", FIELD_STRINGS, RANK_STRUCTURE, MAIL_STRUCTURE, FLAGS_SET},
    {"has_flag", FIELD_FLAGS, RANK_NOTHING, MAIL_QUERIES, FLAGS_SET},
    {"flag_added", FIELD_FLAGS, RANK_NOTHING, MAIL_QUERIES, FLAGS_ADDED},
    {"flag_removed", FIELD_FLAGS, RANK_NOTHING, MAIL_QUERIES, FLAGS_REMOVED},
    {"size", FIELD_SIZE, RANK_NOTHING, MAIL_QUERIES, FLAGS_SET},
    {"age", FIELD_AGE, RANK_NOTHING, MAIL_DATE, FLAGS_SET},
    {"is_auto", FIELD_CLASS, RANK_FIELDS, MAIL_IS_AUTO, FLAGS_SET},
    {"is_bounce", FIELD_CLASS, RANK_FIELDS, MAIL_IS_BOUNCE, FLAGS_SET},
    {"is_list", FIELD_CLASS, RANK_FIELDS, MAIL_IS_LIST, FLAGS_SET},
    {"is_reply", FIELD_CLASS, RANK_FIELDS, MAIL_IS_REPLY, FLAGS_SET},
    {"is_encrypted", FIELD_CLASS, RANK_FIELDS, MAIL_IS_ENCRYPTED, FLAGS_SET},
    {"is_signed", FIELD_CLASS, RANK_FIELDS, MAIL_IS_SIGNED, FLAGS_SET},
};

const struct cond_field *cond_field_find(const char *name) {
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

const struct cond_field *cond_fields(size_t *count_out) {
    *count_out = G_N_ELEMENTS(fields);
    return fields;
}

const char *const *cond_tests_of(const struct cond_field *field) {
    static const char *const strings[] = {"is",    "contains", "starts", "ends",    "glob",
                                          "regex", "exists",   "any_of", "in_file", NULL};
    static const char *const addresses[] = {"is",     "contains", "starts",  "ends",    "glob",   "regex",
                                            "exists", "any_of",   "in_file", "address", "domain", NULL};
    static const char *const numbers[] = {"over", "under", NULL};
    static const char *const thing[] = {"exists", NULL};
    static const char *const none[] = {NULL};

    switch (field->kind) {
    case FIELD_ADDRESSES:
        return addresses;
    case FIELD_STRINGS:
        return strings;
    case FIELD_SIZE:
    case FIELD_AGE:
        return numbers;
    case FIELD_THING:
        return thing;
    case FIELD_FLAGS:
    case FIELD_CLASS:
        break;
    }
    return none;
}

/* --- leaves ------------------------------------------------------------------------------------------------------ */

/* The maker at work. */
struct maker {
    struct cond_set *set;
    const struct cond_field *field;
    const char *header;
    const char *name; /* of the test, as written */
    bool exact;
    const wire_place *place;
};

static uint64_t leaf_cost(enum cond_rank rank, enum cond_op op) {
    static const uint64_t far[] = {0, 1000, 1000000, 1000000000};
    static const unsigned work[] = {
        [OP_IS] = 2,     [OP_CONTAINS] = 5, [OP_STARTS] = 3, [OP_ENDS] = 3,  [OP_GLOB] = 8,  [OP_REGEX] = 50,
        [OP_EXISTS] = 1, [OP_ONE_OF] = 3,   [OP_OVER] = 1,   [OP_UNDER] = 1, [OP_HOLDS] = 10};

    return far[rank] + work[op];
}

static const struct cond *wrap(const struct maker *m, struct cond_test *test) {
    struct cond *cond = cond_set_cond(m->set, COND_TEST, m->place);

    cond->test = test;
    cond->rank = m->field->rank;
    cond->cost = leaf_cost(cond->rank, test->op);
    cond->depth = 1;
    return cond;
}

/* Appends "s" so that a reader of a trace recognises it. */
static void append_quoted(GString *out, const char *s) {
    enum { MAX = 80 };
    size_t len = strlen(s);
    const char *end = len > MAX ? g_utf8_find_prev_char(s, s + MAX) : s + len;

    g_string_append_c(out, '"');
    text_append_escaped(out, s, end - s);
    g_string_append(out, *end ? "...\"" : "\"");
}

static char *shown_test(const struct maker *m, const char *operand) {
    GString *out = g_string_new(m->field->name);

    if (m->header) {
        g_string_append_c(out, ' ');
        append_quoted(out, m->header);
    }
    if (m->field->kind == FIELD_FLAGS) {
        g_string_append_c(out, ' ');
    } else if (m->field->kind != FIELD_CLASS) {
        g_string_append_printf(out, ":%s%s", m->name, operand ? " " : "()");
    }
    if (operand) {
        append_quoted(out, operand);
    }
    return g_string_free(out, FALSE);
}

/* The one test of these properties; operand as compared, written as the user has it. */
static struct cond_test *leaf(const struct maker *m, enum cond_op op, enum cond_aspect aspect, const char *operand,
                              const char *written, bool *is_new_out) {
    struct cond_source *source = cond_set_source(m->set, m->field, aspect, m->header);
    g_autofree char *key = g_strdup_printf("%u %d %d %s", source->id, op, m->exact, operand ? operand : "");
    struct cond_test *test = cond_set_test(m->set, key, is_new_out);

    if (*is_new_out) {
        g_autofree char *shown = shown_test(m, written);
        test->op = op;
        test->source = source;
        test->exact = m->exact;
        test->operand = cond_set_string(m->set, operand);
        test->operand_len = operand ? strlen(operand) : 0;
        test->shown = cond_set_string(m->set, shown);
        test->place.file = cond_set_string(m->set, m->place->file);
        test->place.line = m->place->line;
    }
    return test;
}

static const struct cond *simple(const struct maker *m, enum cond_op op, enum cond_aspect aspect, const char *operand,
                                 const char *written) {
    bool is_new;
    size_t len;
    g_autofree char *compared = !operand || m->exact ? g_strdup(operand) : match_fold(operand, strlen(operand), &len);

    return wrap(m, leaf(m, op, aspect, compared, written, &is_new));
}

/* Where substrings, starts, ends and patterns are looked for. */
static enum cond_aspect wide(const struct maker *m) {
    return m->field->kind == FIELD_ADDRESSES ? ASPECT_WIDE : ASPECT_VALUE;
}

/* --- the tests --------------------------------------------------------------------------------------------------- */

static char *normal_address(const char *s) {
    const char *at = strrchr(s, '@');

    if (!at) {
        return g_strdup(s);
    }
    g_autofree char *domain = mail_domain_normalize(at + 1);
    return g_strdup_printf("%.*s@%s", (int)(at - s), s, domain ? domain : at + 1);
}

static error *make_address(const struct maker *m, const char *s, const struct cond **cond_out) {
    if (strpbrk(s, "<>") || (strchr(s, ' ') && !strchr(s, '@'))) {
        return error_new(ERROR_CONFIG,
                         "%s:%s compares the address alone (\"user@example.com\"); for names use "
                         "%s:contains",
                         m->field->name, m->name, m->field->name);
    }
    if (strcmp(m->name, "address") == 0 && !strchr(s, '@')) {
        return error_new(ERROR_CONFIG, "\"%s\" is no address; %s:domain compares the domain", s, m->field->name);
    }
    g_autofree char *address = normal_address(s);
    *cond_out = simple(m, OP_IS, ASPECT_ADDRESS, address, s);
    return NULL;
}

static error *make_domain(const struct maker *m, const char *s, const struct cond **cond_out) {
    const char *rest = s + (*s == '@');
    bool below = g_str_has_prefix(rest, "*.");

    if (!*rest || strchr(rest, '@')) {
        return error_new(ERROR_CONFIG, "\"%s\" is no domain; %s:address compares addresses", s, m->field->name);
    }
    if (match_is_glob(below ? rest + 2 : rest)) {
        const char *mistake = match_glob_mistake(rest);
        if (mistake) {
            return error_new(ERROR_CONFIG, "\"%s\" is no pattern: %s", s, mistake);
        }
        *cond_out = simple(m, OP_GLOB, ASPECT_DOMAIN, rest, s);
        return NULL;
    }
    g_autofree char *domain = mail_domain_normalize(below ? rest + 2 : rest);
    g_autofree char *ending = below ? g_strconcat(".", domain, NULL) : NULL;
    *cond_out = simple(m, below ? OP_ENDS : OP_IS, ASPECT_DOMAIN, below ? ending : domain, s);
    return NULL;
}

/* A glob that is only a comparison, a start, an end or a substring becomes that: indexes know those. */
static error *make_glob(const struct maker *m, const char *s, const struct cond **cond_out) {
    const char *mistake = match_glob_mistake(s);
    size_t len = strlen(s);
    bool front = len > 0 && s[0] == '*', back = len > 1 && s[len - 1] == '*';

    if (mistake) {
        return error_new(ERROR_CONFIG, "\"%s\" is no pattern: %s", s, mistake);
    }
    g_autofree char *middle = g_strndup(s + front, len - front - back);
    if (match_is_glob(middle) || strchr(middle, '\\') || !*middle) {
        *cond_out = simple(m, OP_GLOB, wide(m), s, s);
    } else {
        static const enum cond_op plain[2][2] = {{OP_IS, OP_STARTS}, {OP_ENDS, OP_CONTAINS}};
        *cond_out = simple(m, plain[front][back], wide(m), middle, s);
    }
    return NULL;
}

static error *make_regex(const struct maker *m, const char *s, const struct cond **cond_out) {
    bool is_new;
    struct cond_test *test = leaf(m, OP_REGEX, wide(m), s, s, &is_new);

    if (is_new || !test->regex) {
        error *err = regex_compile(s, strlen(s), m->exact ? 0 : REGEX_CASELESS, &test->regex);
        if (err) {
            return error_prefix(err, "regular expression");
        }
    }
    *cond_out = wrap(m, test);
    return NULL;
}

static error *make_string(const struct maker *m, const char *s, const struct cond **cond_out) {
    static const struct {
        const char *name;
        enum cond_op op;
        enum cond_aspect aspect; /* of addresses */
    } plain[] = {{"is", OP_IS, ASPECT_ADDRESS},
                 {"contains", OP_CONTAINS, ASPECT_FULL},
                 {"starts", OP_STARTS, ASPECT_WIDE},
                 {"ends", OP_ENDS, ASPECT_WIDE}};
    bool addresses = m->field->kind == FIELD_ADDRESSES;

    if (!g_utf8_validate(s, -1, NULL)) {
        return error_new(ERROR_CONFIG, "%s:%s: the string is not UTF-8", m->field->name, m->name);
    }
    if (strcmp(m->name, "regex") == 0) {
        return make_regex(m, s, cond_out);
    }
    if (strcmp(m->name, "glob") == 0) {
        return make_glob(m, s, cond_out);
    }
    if (strcmp(m->name, "domain") == 0) {
        return make_domain(m, s, cond_out);
    }
    if (strcmp(m->name, "address") == 0 || (addresses && strcmp(m->name, "is") == 0)) {
        return make_address(m, s, cond_out);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
        if (strcmp(plain[i].name, m->name) == 0) {
            if (!*s && plain[i].op != OP_IS) {
                return error_new(ERROR_CONFIG, "%s:%s \"\" holds for every text", m->field->name, m->name);
            }
            *cond_out = simple(m, plain[i].op, addresses ? plain[i].aspect : ASPECT_VALUE, s, s);
            return NULL;
        }
    }
    return error_new(ERROR_INTERNAL, "test %s", m->name);
}

/* --- lists ------------------------------------------------------------------------------------------------------- */

static GHashTable *new_entries(void) {
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void add_entry(const struct maker *m, GHashTable *entries, const char *s) {
    size_t len;

    g_hash_table_add(entries, m->exact ? g_strdup(s) : match_fold(s, strlen(s), &len));
}

static const struct cond *one_of(const struct maker *m, enum cond_aspect aspect, GHashTable *entries, const char *key,
                                 const char *written) {
    bool is_new;
    struct cond_test *test = leaf(m, OP_ONE_OF, aspect, key, written, &is_new);

    if (is_new) {
        test->entries = g_hash_table_ref(entries);
    }
    return wrap(m, test);
}

/* Of an address list "@example.com" and "example.com" are domains. */
static bool is_domain_entry(const struct maker *m, const char *s) {
    return m->field->kind == FIELD_ADDRESSES && (*s == '@' || (!strchr(s, '@') && strchr(s, '.')));
}

static error *make_one_of(const struct maker *m, const char *const *list, const char *key, const char *written,
                          const struct cond **cond_out) {
    bool addresses = m->field->kind == FIELD_ADDRESSES;
    g_autoptr(GHashTable) values = new_entries();
    g_autoptr(GHashTable) domains = new_entries();
    const struct cond *kids[2];
    size_t n = 0;

    for (; *list; list++) {
        if (!g_utf8_validate(*list, -1, NULL)) {
            g_autofree char *shown = text_escape(*list, -1);
            return error_new(ERROR_CONFIG, "%s:%s: \"%s\" is not UTF-8", m->field->name, m->name, shown);
        }
        bool is_domain = is_domain_entry(m, *list);
        g_autofree char *normal = is_domain   ? mail_domain_normalize(*list + (**list == '@'))
                                  : addresses ? normal_address(*list)
                                              : g_strdup(*list);
        add_entry(m, is_domain ? domains : values, normal ? normal : *list);
    }
    if (g_hash_table_size(domains)) {
        kids[n++] = one_of(m, ASPECT_DOMAIN, domains, key, written);
    }
    if (g_hash_table_size(values) || n == 0) {
        kids[n++] = one_of(m, addresses ? ASPECT_ADDRESS : ASPECT_VALUE, values, key, written);
    }
    *cond_out = n == 1 ? kids[0] : cond_make_node(m->set, COND_ANY, kids, n, m->place);
    return NULL;
}

/* One entry a line, white space around it removed; empty lines and those that start with "#" are none. */
static error *make_in_file(const struct maker *m, const char *name, const char *text, const struct cond **cond_out) {
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    size_t n = 0;

    for (size_t i = 0; lines[i]; i++) {
        char *line = g_strstrip(lines[i]);
        if (*line && *line != '#') {
            memmove(line - (line - lines[i]), line, strlen(line) + 1);
            char *kept = lines[i];
            lines[i] = lines[n];
            lines[n++] = kept;
        }
    }
    char *end = lines[n];
    lines[n] = NULL;
    g_autofree char *key = g_strconcat("file ", name, NULL);
    error *err = make_one_of(m, (const char *const *)lines, key, name, cond_out);
    lines[n] = end;
    return err;
}

static error *make_list(const struct maker *m, const char *const *list, const struct cond **cond_out) {
    size_t n = g_strv_length((char **)(uintptr_t)list);

    if (n == 0) {
        return error_new(ERROR_CONFIG, "%s:%s {}: the list is empty, this can never hold", m->field->name, m->name);
    }
    if (strcmp(m->name, "any_of") == 0) {
        g_autofree char *joined = g_strjoinv("\x1f", (char **)(uintptr_t)list);
        g_autofree char *written = g_strjoinv(", ", (char **)(uintptr_t)list);
        return make_one_of(m, list, joined, written, cond_out);
    }
    const struct cond **kids = g_new0(const struct cond *, n);
    error *err = NULL;
    for (size_t i = 0; i < n && !err; i++) {
        err = make_string(m, list[i], &kids[i]);
    }
    if (!err) {
        *cond_out = n == 1 ? kids[0] : cond_make_node(m->set, COND_ANY, kids, n, m->place);
    }
    g_free(kids);
    return err;
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

static error *make_number(const struct maker *m, const struct cond_operand *o, const struct cond **cond_out) {
    bool size = m->field->kind == FIELD_SIZE, is_new;
    uint64_t n = 0;
    g_autofree char *text = NULL;

    if (o->has_number && o->number >= 0 && o->number < 1e15) {
        n = (uint64_t)(o->number * (size ? 1 : 1000));
        text = g_strdup_printf(size ? "%.0f" : "%.0fs", o->number);
    } else if (o->string && (size ? text_parse_size(o->string, &n) : text_parse_duration(o->string, &n))) {
        text = g_strdup(o->string);
    } else {
        return error_new(ERROR_CONFIG, "%s:%s needs %s", m->field->name, m->name,
                         size ? "a size such as \"10MB\"" : "a duration such as \"7d\"");
    }
    g_autofree char *key = g_strdup_printf("%" G_GUINT64_FORMAT, n);
    struct cond_test *test =
        leaf(m, strcmp(m->name, "over") == 0 ? OP_OVER : OP_UNDER, ASPECT_VALUE, key, text, &is_new);
    test->number = n;
    *cond_out = wrap(m, test);
    return NULL;
}

/* --- entry ------------------------------------------------------------------------------------------------------- */

static error *unknown_test(const struct maker *m) {
    const char *const *known = cond_tests_of(m->field);
    const char *near = text_nearest(m->name, known);
    g_autofree char *all = g_strjoinv(", ", (char **)(uintptr_t)known);

    return near ? error_new(ERROR_CONFIG, "%s has no test \"%s\"; did you mean \"%s\"?", m->field->name, m->name, near)
                : error_new(ERROR_CONFIG, "%s has no test \"%s\"; it has %s", m->field->name, m->name, all);
}

static error *make_by_name(const struct maker *m, const struct cond_operand *o, const struct cond **cond_out) {
    bool is_new;

    if (m->field->kind == FIELD_CLASS) {
        *cond_out = wrap(m, leaf(m, OP_HOLDS, ASPECT_VALUE, NULL, NULL, &is_new));
        return NULL;
    }
    if (m->field->kind == FIELD_FLAGS) {
        if (!o->string || !*o->string) {
            return error_new(ERROR_CONFIG, "%s needs a flag: %s \"\\\\Seen\", %s \"Invoice\"", m->field->name,
                             m->field->name, m->field->name);
        }
        *cond_out = simple(m, OP_IS, ASPECT_VALUE, o->string, o->string);
        return NULL;
    }
    if (!g_strv_contains(cond_tests_of(m->field), m->name)) {
        return unknown_test(m);
    }
    if (strcmp(m->name, "exists") == 0) {
        *cond_out = wrap(m, leaf(m, OP_EXISTS, ASPECT_VALUE, NULL, NULL, &is_new));
        return NULL;
    }
    if (m->field->kind == FIELD_SIZE || m->field->kind == FIELD_AGE) {
        return make_number(m, o, cond_out);
    }
    if (o->file_text) {
        return make_in_file(m, o->string, o->file_text, cond_out);
    }
    if (o->list) {
        return make_list(m, o->list, cond_out);
    }
    if (!o->string || strcmp(m->name, "any_of") == 0) {
        return error_new(ERROR_CONFIG, "%s:%s needs %s", m->field->name, m->name,
                         strcmp(m->name, "any_of") == 0 ? "a list: { \"a\", \"b\" }" : "a string");
    }
    return make_string(m, o->string, cond_out);
}

error *cond_make_test(struct cond_set *set, const struct cond_field *field, const char *header, const char *name,
                      const struct cond_operand *operand, const wire_place *place, const struct cond **cond_out) {
    struct maker m = {set, field, header, name, operand->exact, place};

    *cond_out = NULL;
    if (!operand->has_case) {
        m.exact = strcmp(name, "regex") == 0; /* a pattern says itself what it wants: (?i) */
    }
    return make_by_name(&m, operand, cond_out);
}
