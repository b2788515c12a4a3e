/* One step of a plan: in words, and as the journal keeps it. */
#include "daemon_priv.h"

#include "wire/frame.h"

void step_describe(GString *text, const wire_step *s) {
    g_string_append_printf(text, "%s%s", text->len ? ", " : "", wire_verb_name(s->verb));
    if (s->folder || s->webhook) {
        g_string_append_printf(text, " %s", s->folder ? s->folder : s->webhook);
    }
    for (size_t i = 0; i < s->flags.n; i++) {
        g_string_append_printf(text, " %s", s->flags.v[i]);
    }
}

bool step_takes_away(const wire_step *s) {
    return s->verb == WIRE_VERB_MOVE || s->verb == WIRE_VERB_DELETE || s->verb == WIRE_VERB_JUNK ||
           s->verb == WIRE_VERB_ARCHIVE;
}

char *step_effect(const wire_step *s) {
    GString *text;

    if (step_takes_away(s)) {
        return g_strdup("x\n+\\Deleted"); /* a server without MOVE needs the flag */
    }
    if (s->verb != WIRE_VERB_FLAG && s->verb != WIRE_VERB_UNFLAG) {
        return NULL;
    }
    text = g_string_new(NULL);
    for (size_t i = 0; i < s->flags.n; i++) {
        g_string_append_printf(text, "%s%c%s", i ? "\n" : "", s->verb == WIRE_VERB_FLAG ? '+' : '-', s->flags.v[i]);
    }
    return g_string_free(text, FALSE);
}

GByteArray *step_encode(const wire_step *step) {
    wire_message *w = wire_message_new(WIRE_PLAN);
    GByteArray *bytes = g_byte_array_new();
    wire_step copy = *step;

    copy.body = (wire_bytes){NULL, 0};
    w->u.plan.steps = &copy;
    w->u.plan.n_steps = 1;
    error_free(wire_encode(w, bytes));
    wire_message_free(w);
    return bytes;
}

wire_message *step_decode(const void *args, size_t len) {
    wire_decoder *d = wire_decoder_new();
    wire_message *w = NULL;
    error *err = NULL;

    wire_decoder_feed(d, args, len);
    if (wire_decoder_next(d, &w, &err) != WIRE_HAVE || w->type != WIRE_PLAN || w->u.plan.n_steps != 1) {
        g_clear_pointer(&w, wire_message_free);
        error_free(err);
    }
    wire_decoder_free(d);
    return w;
}
