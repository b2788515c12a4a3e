/*
 * Replies of real servers (CORPUS_DIR/imap): each is the same in whatever pieces it comes, and none is worse than
 * refused with a reason. Skipped where the corpus is absent.
 */
#include "tests/unit/imap/expect.h"

typedef struct tally {
    unsigned files, responses, refused;
} tally;

static void check_file(const char *path, tally *t) {
    static const size_t steps[] = {1, 2, 5, 1000};
    const struct limits limits = LIMITS_DEFAULT;
    GString *whole = g_string_new(NULL);
    char *bytes;
    gsize len;

    assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    dump_stream(whole, bytes, len, 0, &limits);
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        GString *pieces = g_string_new(NULL);
        dump_stream(pieces, bytes, len, steps[i], &limits);
        if (strcmp(whole->str, pieces->str) != 0) {
            fail_msg("%s differs when fed %zu bytes at a time", path, steps[i]);
        }
        g_string_free(pieces, TRUE);
    }
    t->files++;
    for (const char *line = whole->str; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        t->responses += !g_str_has_prefix(line, " ");
        if (g_str_has_prefix(line, "BAD ") || strstr(line, " reason: ")) {
            t->refused += g_str_has_prefix(line, "BAD ");
            assert_non_null(strchr(line, ':'));
        }
    }
    g_free(bytes);
    g_string_free(whole, TRUE);
}

static void check_directory(const char *path, tally *t) {
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (!dir) {
        return;
    }
    while ((name = g_dir_read_name(dir))) {
        char *child = g_build_filename(path, name, NULL);
        if (g_file_test(child, G_FILE_TEST_IS_DIR)) {
            check_directory(child, t);
        } else if (g_str_has_suffix(name, ".txt")) {
            check_file(child, t);
        }
        g_free(child);
    }
    g_dir_close(dir);
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
    tally t = {0};

    (void)state;
    check_directory(path, &t);
    assert_true(t.files > 300);
    assert_true(t.responses > 1000);
    assert_true(t.refused <= 1); /* one file's literal is longer than it says */
}

static void single_replies_and_traces_never_differ_by_their_pieces(void **state) {
    g_autofree char *path = corpus("imap-codec");
    tally t = {0};

    (void)state;
    check_directory(path, &t);
    assert_true(t.files > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_of_real_servers_are_understood),
        cmocka_unit_test(single_replies_and_traces_never_differ_by_their_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
