#include "explain_priv.h"

#include "base/text.h"

#include <string.h>

#define NAME_WIDTH_MAX 30

struct style {
    const char *bold, *good, *dim, *bad, *off;
};

static const struct style plain = {"", "", "", "", ""};
static const struct style coloured = {"\033[1m", "\033[32m", "\033[2m", "\033[31m", "\033[0m"};

static void put_line(GString *out, const char *label, const char *value) {
    if (value) {
        g_string_append_printf(out, "  %-12s", label);
        text_append_escaped(out, value, -1);
        g_string_append_c(out, '\n');
    }
}

static void pad(GString *out, const char *s, size_t width) {
    g_autofree char *safe = text_escape(s, -1);
    size_t len = (size_t)g_utf8_strlen(safe, -1);

    g_string_append(out, safe);
    for (; len < width; len++) {
        g_string_append_c(out, ' ');
    }
}

static size_t name_width(const struct explanation *e) {
    size_t width = 0;

    for (size_t i = 0; i < e->n_rules; i++) {
        width = MAX(width, (size_t)g_utf8_strlen(e->rules[i].name, -1));
    }
    return MIN(width, NAME_WIDTH_MAX);
}

static void put_rule(GString *out, const wire_rule_trace *rule, size_t width, const struct style *s) {
    const char *verdict = rule->matched ? "yes" : rule->skipped ? "skip" : "no";

    g_string_append_printf(out, "  %s%-4s%s  ", rule->matched ? s->good : s->dim, verdict, s->off);
    pad(out, rule->name, width);
    for (size_t i = 0; i < rule->why.n; i++) {
        g_string_append(out, i ? "\n        " : "  ");
        if (i) {
            pad(out, "", width + 2);
        }
        text_append_escaped(out, rule->why.v[i], -1);
    }
    g_string_append_c(out, '\n');
}

static void put_step(GString *out, size_t number, const wire_step *step, const struct style *s) {
    g_string_append_printf(out, "  %s%zu. %s%s", s->bold, number, wire_verb_name(step->verb), s->off);
    if (step->webhook) {
        g_string_append_c(out, ' ');
        text_append_escaped(out, step->webhook, -1);
    }
    for (size_t i = 0; i < step->flags.n; i++) {
        g_string_append_c(out, ' ');
        text_append_escaped(out, step->flags.v[i], -1);
    }
    if (step->folder) {
        g_string_append(out, step->verb == WIRE_VERB_MOVE || step->verb == WIRE_VERB_COPY ? " to " : " ");
        text_append_escaped(out, step->folder, -1);
    }
    if (step->rule) {
        g_string_append_printf(out, "%s  (", s->dim);
        text_append_escaped(out, step->rule, -1);
        g_string_append_printf(out, "%s)%s", step->dry_run ? ", dry run: not done" : "", s->off);
    }
    g_string_append_c(out, '\n');
}

static void put_plan(GString *out, const wire_plan *plan, const struct style *s) {
    if (plan->unparsable) {
        g_string_append_printf(out, "  %sthe message could not be parsed wholly%s\n", s->bad, s->off);
    }
    for (size_t i = 0; i < plan->n_errors; i++) {
        g_string_append_printf(out, "  %srule failed and was passed over:%s ", s->bad, s->off);
        text_append_escaped(out, plan->errors[i].text, -1);
        g_string_append_c(out, '\n');
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        put_step(out, i + 1, &plan->steps[i], s);
    }
    if (!plan->n_steps) {
        g_string_append(out, "  nothing to do\n");
    }
}

void explain_text(GString *out, const struct explanation *e, bool colour) {
    const struct style *s = colour ? &coloured : &plain;
    size_t width = name_width(e);

    g_string_append(out, s->bold);
    text_append_escaped(out, e->source, -1);
    g_string_append_printf(out, "%s\n", s->off);
    put_line(out, "subject", e->subject);
    put_line(out, "message-id", e->message_id);
    if (e->n_rules) {
        g_string_append_c(out, '\n');
    }
    for (size_t i = 0; i < e->n_rules; i++) {
        put_rule(out, &e->rules[i], width, s);
    }
    g_string_append_c(out, '\n');
    if (e->error) {
        g_string_append_printf(out, "  %serror: ", s->bad);
        text_append_escaped(out, e->error, -1);
        g_string_append_printf(out, "%s\n", s->off);
    }
    if (e->plan) {
        put_plan(out, e->plan, s);
    }
}
