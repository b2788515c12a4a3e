/* --dry-run works on a copy of the journal, which is removed at the end. */
#include "daemon_priv.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

error *dry_run_copy_state(const char *from, char **copy_out) {
    g_autofree char *dir = g_dir_make_tmp("mailruled-dry-XXXXXX", NULL);
    GDir *list = g_dir_open(from, 0, NULL);
    const char *name;

    if (!dir) {
        return error_new(ERROR_IO, "no temporary directory for the dry run: %s", g_strerror(errno));
    }
    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *source = g_build_filename(from, name, NULL), *target = g_build_filename(dir, name, NULL);
        char *bytes;
        gsize len;
        if (strcmp(name, "lock") != 0 && g_file_test(source, G_FILE_TEST_IS_REGULAR) &&
            g_file_get_contents(source, &bytes, &len, NULL)) {
            g_file_set_contents_full(target, bytes, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
            g_free(bytes);
        }
    }
    if (list) {
        g_dir_close(list);
    }
    *copy_out = g_steal_pointer(&dir);
    return NULL;
}

void dry_run_remove(const char *dir) {
    GDir *list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);
        g_unlink(path);
    }
    if (list) {
        g_dir_close(list);
    }
    g_rmdir(dir);
}
