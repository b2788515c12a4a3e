/*
 * explain_priv.h - what `explain` found out about one message, and its two ways of saying so.
 */
#ifndef DAEMON_EXPLAIN_PRIV_H
#define DAEMON_EXPLAIN_PRIV_H

#include "wire/message.h"

#include <glib.h>

struct explanation {
    const char *source;
    const char *message_id, *subject; /* NULL = unknown */
    const wire_rule_trace *rules;
    size_t n_rules;
    const wire_plan *plan; /* NULL with error */
    const char *error;     /* NULL = none */
};

/* One JSON object, as INTERFACE.md has it. */
void explain_json(GString *out, const struct explanation *e);
/* For people; strangers' characters are escaped. */
void explain_text(GString *out, const struct explanation *e, bool colour);

#endif
