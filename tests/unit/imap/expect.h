/* expect.h - what the parser must make of bytes, whatever way they are cut. */
#ifndef TESTS_IMAP_EXPECT_H
#define TESTS_IMAP_EXPECT_H

#include "tests/unit/imap/dump.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static inline void expect_bytes(const char *bytes, size_t len, const char *expected, const char *file, int line) {
    static const size_t steps[] = {0, 1, 2, 3, 7, 64};
    const struct limits limits = LIMITS_DEFAULT;

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        GString *out = g_string_new(NULL);
        dump_stream(out, bytes, len, steps[i], &limits);
        if (strcmp(out->str, expected) != 0) {
            fprintf(stderr, "%s:%d: fed %zu bytes at a time\n--- got\n%s--- expected\n%s", file, line, steps[i],
                    out->str, expected);
            _fail(file, line);
        }
        g_string_free(out, TRUE);
    }
}

/* bytes: a string constant, which may hold NULs. */
#define EXPECT(bytes, expected) expect_bytes(bytes, sizeof(bytes) - 1, expected, __FILE__, __LINE__)

/* A parser that keeps the last response; for tests that look at fields. Free it with the parser. */
static inline const imap_response *parse_one(imap_parser **parser_out, const char *bytes) {
    const struct limits limits = LIMITS_DEFAULT;
    const imap_response *response = NULL;
    error *err = NULL;

    *parser_out = imap_parser_new(&limits);
    imap_parser_feed(*parser_out, bytes, strlen(bytes));
    assert_int_equal(imap_parser_next(*parser_out, &response, &err), IMAP_HAVE);
    return response;
}

#endif
