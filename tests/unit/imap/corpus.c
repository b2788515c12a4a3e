/*
 * Replies of real servers (CORPUS_DIR/imap): each is the same in whatever pieces it comes, and each response in it is
 * understood, or is of a kind that is passed over, or is refused with a reason that is written down here. Skipped where
 * the corpus is absent.
 */
#include "tests/unit/imap/expect.h"

#include <stdlib.h>

/* What is refused, and why: a change shows. */
static const struct refused {
    const char *file, *reason; /* the reason's beginning */
} refusals[] = {
    /* A header literal that is 3 octets longer than it says. */
    {"gmail/headers.1+unsolicited-info.txt", "list not closed"},
    {"gmail/headers.1+unsolicited-info.txt", "server sent what is no response"},
};

/* Names of responses that are known and passed over: nothing that is asked for is answered by one. */
static const char *const passed_over[] = {"ACL",      "LISTRIGHTS", "MYRIGHTS", "METADATA", "SORT",
                                          "THREAD",   "NOOP",       "XPIG-LATIN", NULL};

typedef struct tally {
    const char *folder;
    unsigned files, responses, kinds[IMAP_KINDS], unfinished, refused;
} tally;

static void refuse(tally *t, const char *file, const char *reason) {
    t->refused++;
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        if (g_str_has_suffix(file, refusals[i].file) && g_str_has_prefix(reason, refusals[i].reason)) {
            print_message("%s: %s\n", file, reason);
            return;
        }
    }
    fail_msg("%s: refused, which is new: %s", file, reason);
}

static void check_unknown(tally *t, const char *file, const imap_response *r) {
    g_autofree char *raw = g_strndup(r->raw.data ? r->raw.data : "", r->raw.len);
    g_autofree char *word = g_strndup(raw, strcspn(raw, " "));

    if (r->reason) {
        refuse(t, file, r->reason);
        return;
    }
    for (size_t i = 0; passed_over[i]; i++) {
        if (g_ascii_strcasecmp(passed_over[i], word) == 0) {
            return;
        }
    }
    if (!g_str_has_prefix(raw, "5 VANISHED ")) { /* which has no number before it */
        fail_msg("%s: unknown, and no reason: %s", file, raw);
    }
}

/* Typed, yet not to be used: as good as refused. */
static void check_typed(tally *t, const char *file, const imap_response *r) {
    const imap_structure *s = &r->fetch.structure;

    if (r->kind == IMAP_FETCH && r->fetch.have & IMAP_HAVE_STRUCTURE && !s->usable) {
        refuse(t, file, s->reason);
    } else if ((r->kind == IMAP_SEARCH || r->kind == IMAP_ESEARCH) && !r->search.valid) {
        refuse(t, file, "search");
    } else if (r->kind == IMAP_VANISHED && !r->vanished.valid) {
        refuse(t, file, "vanished");
    }
}

static void check_responses(tally *t, const char *file, const char *bytes, size_t len) {
    const struct limits limits = LIMITS_DEFAULT;
    g_autoptr(imap_parser) parser = imap_parser_new(&limits);
    const imap_response *r;
    enum imap_got got;
    error *err = NULL;

    imap_parser_feed(parser, bytes, len);
    while ((got = imap_parser_next(parser, &r, &err)) == IMAP_HAVE) {
        t->responses++;
        t->kinds[r->kind]++;
        if (r->kind == IMAP_UNKNOWN) {
            check_unknown(t, file, r);
        } else {
            check_typed(t, file, r);
        }
    }
    if (got == IMAP_BAD) {
        refuse(t, file, err->text);
        error_free(err);
    } else {
        t->unfinished += imap_parser_pending(parser) > 0;
    }
}

/* Fed in pieces it says the same. */
static void check_pieces(const char *file, const char *bytes, size_t len) {
    static const size_t steps[] = {1, 2, 5, 1000};
    const struct limits limits = LIMITS_DEFAULT;
    g_autoptr(GString) whole = g_string_new(NULL);

    dump_stream(whole, bytes, len, 0, &limits);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autoptr(GString) pieces = g_string_new(NULL);
        dump_stream(pieces, bytes, len, steps[i], &limits);
        if (strcmp(whole->str, pieces->str) != 0) {
            fail_msg("%s differs when fed %zu bytes at a time", file, steps[i]);
        }
    }
}

/* What the server says in a transcript ("C: ...", "S: ...", "//S: ..."); NULL: it is none, but the bytes themselves. */
static GString *server_lines(const char *bytes) {
    if (!g_str_has_prefix(bytes, "C: ") && !g_str_has_prefix(bytes, "S: ")) {
        return NULL;
    }
    GString *out = g_string_new(NULL);
    g_auto(GStrv) lines = g_strsplit(bytes, "\n", -1);
    for (char **line = lines; *line; line++) {
        const char *said = g_str_has_prefix(*line, "//") ? *line + 2 : *line;
        if (g_str_has_prefix(said, "S: ")) {
            g_string_append_printf(out, "%s\r\n", g_strchomp((char *)said + 3));
        }
    }
    return out;
}

static void check_file(const char *path, tally *t) {
    char *bytes;
    gsize len;

    assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    GString *lines = server_lines(bytes);
    check_pieces(path, bytes, len);
    if (lines) {
        check_pieces(path, lines->str, lines->len);
        check_responses(t, path, lines->str, lines->len);
        g_string_free(lines, TRUE);
    } else {
        check_responses(t, path, bytes, len);
    }
    t->files++;
    g_free(bytes);
}

static void add(tally *sum, const tally *t) {
    sum->files += t->files;
    sum->responses += t->responses;
    sum->refused += t->refused;
    sum->unfinished += t->unfinished;
    for (int i = 0; i < IMAP_KINDS; i++) {
        sum->kinds[i] += t->kinds[i];
    }
}

static void print(const tally *t) {
    g_autoptr(GString) kinds = g_string_new(NULL);

    for (int i = 0; i < IMAP_KINDS; i++) {
        if (t->kinds[i]) {
            g_string_append_printf(kinds, " %s %u", imap_kind_name((enum imap_kind)i), t->kinds[i]);
        }
    }
    print_message("%-10s %3u files, %4u responses, %u refused, %u files that end in the middle:%s\n", t->folder,
                  t->files, t->responses, t->refused, t->unfinished, kinds->str);
}

static void check_directory(const char *path, tally *sum) {
    GDir *dir = g_dir_open(path, 0, NULL);
    tally own = {.folder = strrchr(path, '/') + 1};
    const char *name;

    assert_non_null(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        if (g_file_test(child, G_FILE_TEST_IS_DIR)) {
            check_directory(child, sum);
        } else if (g_str_has_suffix(name, ".txt")) {
            check_file(child, &own);
        }
    }
    g_dir_close(dir);
    if (own.files) {
        print(&own);
    }
    add(sum, &own);
}

static char *corpus(const char *name) {
    const char *dir = g_getenv("CORPUS_DIR");
    char *path = g_build_filename(dir ? dir : "../shared/corpus", "imap", name, NULL);

    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        print_message("needs the corpus: %s is absent\n", path);
        g_free(path);
        skip();
    }
    return path;
}

static void replies_of_real_servers_are_understood(void **state) {
    g_autofree char *path = corpus("MailKit");
    tally t = {.folder = "all"};

    (void)state;
    check_directory(path, &t);
    print(&t);
    assert_true(t.files > 300);
    assert_true(t.responses > 1000);
    assert_int_equal(t.refused, G_N_ELEMENTS(refusals));
    assert_true(t.unfinished == 0);
}

/* Some of these end in the middle of a response, as their tests want it. */
static void single_replies_and_traces_are_understood(void **state) {
    g_autofree char *path = corpus("imap-codec");
    tally t = {.folder = "all"};

    (void)state;
    check_directory(path, &t);
    assert_true(t.files > 100);
    assert_int_equal(t.refused, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_of_real_servers_are_understood),
        cmocka_unit_test(single_replies_and_traces_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
