/* Walks the messages of CORPUS_DIR. */
#ifndef TESTS_MAIL_CORPUS_H
#define TESTS_MAIL_CORPUS_H

#include "tests/unit/mail/mail_test.h"

#include <ftw.h>

static GPtrArray *corpus_paths; /* nftw() has no user data */

static inline int corpus_note(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    if (kind == FTW_F) {
        g_ptr_array_add(corpus_paths, g_strdup(path));
    }
    return 0;
}

/* Calls use for every file. Skips the test where there is no corpus. */
static inline void corpus_each(void (*use)(const char *path, GBytes *bytes)) {
    const char *root = g_getenv("CORPUS_DIR");
    char *mail = g_build_filename(root ? root : "../shared/corpus", "mail", NULL);

    corpus_paths = g_ptr_array_new_with_free_func(g_free);
    nftw(mail, corpus_note, 16, FTW_PHYS);
    g_free(mail);
    size_t count = corpus_paths->len;
    for (guint i = 0; i < count; i++) {
        const char *path = g_ptr_array_index(corpus_paths, i);
        gchar *content;
        gsize len;
        if (g_file_get_contents(path, &content, &len, NULL)) {
            GBytes *bytes = g_bytes_new_take(content, len);
            use(path, bytes);
            g_bytes_unref(bytes);
        }
    }
    g_ptr_array_free(corpus_paths, TRUE);
    if (!count) {
        print_message("there is no corpus: set CORPUS_DIR\n");
        skip();
    }
}

#endif
