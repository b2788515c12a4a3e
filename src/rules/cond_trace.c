#include "cond_priv.h"

#include "base/text.h"

#include <string.h>

enum { VALUE_MAX = 80, VALUES_MAX = 3, LINES_MAX = 200 };

static void append_cut(GString *out, const struct cond_string *v) {
    size_t len = v->len;

    if (len > VALUE_MAX) {
        len = VALUE_MAX;
        while (len > 0 && (v->s[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    g_string_append_c(out, '"');
    text_append_escaped(out, v->s, (gssize)len);
    g_string_append(out, len < v->len ? "...\"" : "\"");
}

static void append_number(GString *out, const struct cond_test *test, const struct cond_values *values) {
    if (test->source->field->kind == FIELD_AGE) {
        g_autofree char *age = text_format_duration(values->number);
        g_string_append_printf(out, "it is %s", age);
    } else {
        g_string_append_printf(out, "it has %" G_GUINT64_FORMAT " octets", values->number);
    }
}

static void append_value(GString *out, const struct cond_test *test, const struct cond_values *values) {
    static const char *const what_flags[][2] = {[FLAGS_SET] = {"flags are ", "no flags"},
                                                [FLAGS_ADDED] = {"added were ", "no flag was added"},
                                                [FLAGS_REMOVED] = {"removed were ", "no flag was removed"}};
    const struct cond_source *source = test->source;
    unsigned shown = MIN(values->n, VALUES_MAX);

    switch (source->field->kind) {
    case FIELD_FLAGS:
        g_string_append(out, what_flags[source->field->flags][values->n == 0]);
        break;
    case FIELD_SIZE:
    case FIELD_AGE:
        if (values->present) {
            append_number(out, test, values);
        }
        return;
    case FIELD_CLASS:
    case FIELD_THING:
        break;
    default:
        if (test->op == OP_EXISTS && values->present) {
            return;
        }
        g_string_append(out, source->field->name);
        if (source->header) {
            g_string_append_printf(out, " \"%s\"", source->header);
        }
        g_string_append(out, values->n ? " is " : " is absent");
    }
    for (unsigned i = 0; i < shown; i++) {
        g_string_append(out, i ? ", " : "");
        append_cut(out, &values->raw[i]);
    }
    if (values->n > shown) {
        g_string_append_printf(out, " and %u more", values->n - shown);
    }
}

static void trace_test(struct cond_run *run, const struct cond_test *test, bool holds, wire_strings *why) {
    struct cond_values *values;
    GString *line = g_string_new(test->shown);
    GString *value = g_string_new(NULL);

    g_string_append(line, holds ? " -> yes" : " -> no");
    if (cond_values_read(run, test->source, &values)) {
        append_value(value, test, values);
    }
    if (value->len) {
        g_string_append_printf(line, " (%s)", value->str);
    }
    wire_strings_add(run->job->reply, why, line->str);
    g_string_free(line, TRUE);
    g_string_free(value, TRUE);
}

/* Walks as cond_eval() did; every test on the way is decided, so nothing is asked for. */
static bool trace(struct cond_run *run, const struct cond *cond, wire_strings *why) {
    if (cond->kind == COND_TEST) {
        bool holds = run->memo[cond->test->id] == COND_TRUE + 1;
        if (why->n < LINES_MAX) {
            trace_test(run, cond->test, holds, why);
        } else if (why->n == LINES_MAX) {
            wire_strings_add(run->job->reply, why, "...");
        }
        return holds;
    }
    if (cond->kind == COND_NOT) {
        return !trace(run, cond->kids[0], why);
    }
    for (unsigned i = 0; i < cond->n_kids; i++) {
        bool holds = trace(run, cond->kids[cond->order[i]], why);
        if (holds == (cond->kind == COND_ANY)) {
            return holds;
        }
    }
    return cond->kind == COND_ALL;
}

void cond_trace(struct cond_run *run, const struct cond *cond, wire_strings *why) {
    trace(run, cond, why);
}
