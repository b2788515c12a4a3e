/*
 * wire.h - reads a command the way a server does, to prove that it is exactly one.
 *
 * Quoted strings may hold neither line breaks nor NULs nor stray backslashes; a literal's octets are skipped, and
 * without
 * "+" a segment has to end before them; the first CRLF outside of literals ends the command, and nothing follows it.
 */
#ifndef TESTS_IMAP_WIRE_H
#define TESTS_IMAP_WIRE_H

#include "imap/command.h"

typedef struct wire {
    const char *at, *end;
    const imap_command *command;
    size_t segment;   /* the one that `at` is in */
    const char *stop; /* where it ends */
    bool utf8;
    const char *fault; /* NULL while all is well */
} wire;

static inline bool wire_fail(wire *w, const char *fault) {
    w->fault = w->fault ? w->fault : fault;
    return false;
}

static inline bool wire_quoted(wire *w) {
    for (w->at++; w->at < w->end && *w->at != '"'; w->at++) {
        if (*w->at == '\r' || *w->at == '\n' || *w->at == '\0') {
            return wire_fail(w, "a line break or NUL in a quoted string");
        }
        if ((*w->at & 0x80) && !w->utf8) {
            return wire_fail(w, "an 8-bit quoted string");
        }
        if (*w->at == '\\' && (++w->at == w->end || (*w->at != '"' && *w->at != '\\'))) {
            return wire_fail(w, "a bad escape");
        }
    }
    return w->at++ < w->end || wire_fail(w, "a quoted string not closed");
}

static inline bool wire_literal(wire *w) {
    char *after;
    guint64 n = g_ascii_strtoull(w->at + 1, &after, 10);
    bool now = *after == '+';

    after += now;
    if (after == w->at + 1 || w->end - after < 3 || memcmp(after, "}\r\n", 3) != 0) {
        return wire_fail(w, "a malformed literal");
    }
    after += 3;
    if (!now) {
        size_t len;
        if (after != w->stop || ++w->segment >= imap_command_segments(w->command)) {
            return wire_fail(w, "a synchronizing literal that nobody waits for");
        }
        imap_command_segment(w->command, w->segment, &len);
        w->stop += len;
    }
    if ((guint64)(w->end - after) < n || memchr(after, '\0', n)) {
        return wire_fail(w, "a literal that is too short or holds NUL");
    }
    w->at = after + n;
    return true;
}

/* NULL if the command is one; else what is wrong. Not for AUTHENTICATE, whose second segment follows no literal. */
static inline const char *wire_fault(const imap_command *command, bool utf8) {
    size_t len;
    const char *bytes = imap_command_segment(command, 0, &len);
    wire w = {bytes, bytes + imap_command_size(command), command, 0, bytes + len, utf8, NULL};

    while (w.at < w.end && !w.fault) {
        if (*w.at == '"') {
            wire_quoted(&w);
        } else if (*w.at == '{') {
            wire_literal(&w);
        } else if (*w.at == '\r') {
            if (w.end - w.at != 2 || w.at[1] != '\n') {
                return "a line end before the end";
            }
            return w.segment + 1 == imap_command_segments(command) && w.stop == w.end ? NULL : "segments left over";
        } else if ((uint8_t)*w.at < 0x20 || (uint8_t)*w.at >= 0x7f) {
            return "a control or 8-bit character outside of strings";
        } else {
            w.at++;
        }
    }
    return w.fault ? w.fault : "no line end";
}

/* The segments as text, " | " where "+" is waited for; g_free. */
static inline char *wire_text(const imap_command *command) {
    GString *out = g_string_new(NULL);

    for (size_t i = 0; i < imap_command_segments(command); i++) {
        size_t len;
        const char *bytes = imap_command_segment(command, i, &len);
        g_string_append(out, i ? " | " : "");
        g_string_append_len(out, bytes, (gssize)len);
    }
    return g_string_free(out, FALSE);
}

#endif
