#include "explain_priv.h"

#include "base/text.h"

static void key(GString *out, const char *name) {
    g_string_append(out, out->str[out->len - 1] == '{' ? "\"" : ", \"");
    g_string_append(out, name);
    g_string_append(out, "\": ");
}

static void put_string(GString *out, const char *name, const char *value) {
    key(out, name);
    if (value) {
        text_append_json(out, value, -1);
    } else {
        g_string_append(out, "null");
    }
}

static void put_bool(GString *out, const char *name, bool value) {
    key(out, name);
    g_string_append(out, value ? "true" : "false");
}

static void put_strings(GString *out, const char *name, const wire_strings *list) {
    key(out, name);
    g_string_append_c(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        g_string_append(out, i ? ", " : "");
        text_append_json(out, list->v[i], -1);
    }
    g_string_append_c(out, ']');
}

static void put_rule(GString *out, const wire_rule_trace *rule) {
    g_string_append_c(out, '{');
    put_string(out, "name", rule->name);
    put_bool(out, "matched", rule->matched);
    if (rule->skipped) {
        put_bool(out, "skipped", true);
    }
    put_strings(out, "why", &rule->why);
    g_string_append_c(out, '}');
}

static void put_step(GString *out, const wire_step *step) {
    g_string_append_c(out, '{');
    put_string(out, "step", wire_verb_name(step->verb));
    put_string(out, "rule", step->rule);
    if (step->folder) {
        put_string(out, "folder", step->folder);
    }
    if (step->flags.n) {
        put_strings(out, "flags", &step->flags);
    }
    if (step->webhook) {
        put_string(out, "webhook", step->webhook);
    }
    if (step->dry_run) {
        put_bool(out, "dry_run", true);
    }
    g_string_append_c(out, '}');
}

static void put_failure(GString *out, const wire_rule_error *e) {
    g_string_append_c(out, '{');
    put_string(out, "rule", e->rule);
    put_string(out, "text", e->text);
    g_string_append_c(out, '}');
}

#define PUT_LIST(out, name, list, count, put)                                                                          \
    do {                                                                                                               \
        key((out), (name));                                                                                            \
        g_string_append_c((out), '[');                                                                                 \
        for (size_t i = 0; i < (count); i++) {                                                                         \
            g_string_append((out), i ? ", " : "");                                                                     \
            put((out), &(list)[i]);                                                                                    \
        }                                                                                                              \
        g_string_append_c((out), ']');                                                                                 \
    } while (0)

void explain_json(GString *out, const struct explanation *e) {
    g_string_append_c(out, '{');
    put_string(out, "source", e->source);
    put_string(out, "message_id", e->message_id);
    put_string(out, "subject", e->subject);
    PUT_LIST(out, "rules", e->rules, e->n_rules, put_rule);
    PUT_LIST(out, "plan", e->plan->steps, e->plan ? e->plan->n_steps : 0, put_step);
    if (e->plan && e->plan->n_errors) {
        PUT_LIST(out, "rule_errors", e->plan->errors, e->plan->n_errors, put_failure);
    }
    if (e->plan && e->plan->unparsable) {
        put_bool(out, "unparsable", true);
    }
    put_string(out, "error", e->error);
    g_string_append_c(out, '}');
}
