#include "mistakes_priv.h"

#include "base/text.h"

void mistakes_describe(const wire_config *config, GString *out) {
    for (size_t i = 0; i < config->n_mistakes; i++) {
        const wire_mistake *m = &config->mistakes[i];
        g_string_append(out, m->place.file ? m->place.file : config->path ? config->path : "config");
        if (m->place.line) {
            g_string_append_printf(out, ":%u", m->place.line);
        }
        g_string_append(out, ": ");
        text_append_escaped(out, m->text, -1);
        g_string_append_c(out, '\n');
    }
}
