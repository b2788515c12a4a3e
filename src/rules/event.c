#include "rules_priv.h"

bool verb_needs_message(enum wire_verb verb) {
    return verb != WIRE_VERB_POST && verb != WIRE_VERB_STOP;
}

const char *rules_event_name(enum wire_event event) {
    static const char *const events[] = {"new", "flags", "gone", "every"};

    return events[event];
}
