#include "source_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
    GQueue todo;      /* paths, owned */
    GQueue preloaded; /* source_message, for the imap: paths in their order */
    uint64_t max_size;
    /* the mbox being read */
    GMappedFile *mbox;
    char *mbox_name;
    int64_t mbox_time;
    const char *at; /* a "From " line */
    unsigned number;
};

source *source_new(char *const *paths, size_t n, uint64_t max_size) {
    source *s = g_new0(source, 1);

    s->max_size = max_size;
    for (size_t i = 0; i < n; i++) {
        g_queue_push_tail(&s->todo, g_strdup(paths[i]));
    }
    return s;
}

static void close_mbox(source *s) {
    g_clear_pointer(&s->mbox, g_mapped_file_unref);
    g_clear_pointer(&s->mbox_name, g_free);
}

void source_free(source *s) {
    if (s) {
        close_mbox(s);
        g_queue_clear_full(&s->todo, g_free);
        g_free(s);
    }
}

void source_message_clear(source_message *m) {
    g_free(m->name);
    g_clear_pointer(&m->raw, g_bytes_unref);
    g_strfreev(m->flags);
    g_free(m->account);
    g_free(m->folder);
    g_free(m->error);
    *m = (source_message){0};
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static const char *line_end(const char *p, const char *end) {
    const char *lf = memchr(p, '\n', (size_t)(end - p));

    return lf ? lf + 1 : end;
}

static void append_crlf_line(GByteArray *out, const char *line, const char *end) {
    size_t len = (size_t)(end - line);
    bool lf = len && line[len - 1] == '\n';
    bool crlf = lf && len > 1 && line[len - 2] == '\r';

    g_byte_array_append(out, (const uint8_t *)line, (guint)(len - (lf && !crlf)));
    if (lf && !crlf) {
        g_byte_array_append(out, (const uint8_t *)"\r\n", 2);
    }
}

/* The lines of a message with CRLF; of an mbox also without the ">" before ">From ". */
static void set_raw(const source *s, source_message *m, const char *p, const char *end, bool mbox) {
    GByteArray *out = g_byte_array_sized_new((guint)MIN((uint64_t)(end - p), s->max_size));

    while (p < end && out->len < s->max_size) {
        const char *next = line_end(p, (uint64_t)(end - p) > s->max_size ? p + s->max_size : end);
        const char *quoted = p;
        while (mbox && quoted < next && *quoted == '>') {
            quoted++;
        }
        bool unquote = quoted > p && next - quoted > 5 && memcmp(quoted, "From ", 5) == 0;
        append_crlf_line(out, unquote ? p + 1 : p, next);
        p = next;
    }
    m->truncated = p < end || out->len > s->max_size;
    if (out->len > s->max_size) {
        g_byte_array_set_size(out, (guint)s->max_size);
    }
    m->raw = g_byte_array_free_to_bytes(out);
}

/* --- mbox --------------------------------------------------------------------------------------------------------- */

/* "From sender Sat Jan  1 12:00:00 2000": the time is asked for, because mboxo does not quote every "From " of a
 * body. */
static bool is_from_line(const char *line, const char *end) {
    if (end - line < 6 || memcmp(line, "From ", 5) != 0) {
        return false;
    }
    for (const char *p = line + 5; p + 4 < end; p++) {
        if (g_ascii_isdigit(p[0]) && g_ascii_isdigit(p[1]) && p[2] == ':' && g_ascii_isdigit(p[3])) {
            return true;
        }
    }
    return false;
}

static bool is_blank(const char *line, const char *end) {
    return end - line == 1 || (end - line == 2 && *line == '\r');
}

static bool next_in_mbox(source *s, source_message *m) {
    const char *end = g_mapped_file_get_contents(s->mbox) + g_mapped_file_get_length(s->mbox);
    const char *body = line_end(s->at, end), *p = body, *stop = end;
    bool blank = true;

    if (s->at >= end) {
        return false;
    }
    while (p < end) {
        const char *next = line_end(p, end);
        if (blank && is_from_line(p, next)) {
            stop = p;
            break;
        }
        blank = is_blank(p, next);
        p = next;
    }
    s->at = stop;
    /* The blank line before a "From " belongs to the mbox. */
    if (stop < end && stop > body) {
        stop -= stop - body > 1 && stop[-2] == '\r' ? 2 : 1;
    }
    m->name = g_strdup_printf("%s#%u", s->mbox_name, ++s->number);
    m->internaldate = s->mbox_time;
    set_raw(s, m, body, stop, true);
    return true;
}

/* --- files and folders -------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is in the folder goes to the head of the list, in the order of names. */
static char *push_folder(source *s, const char *path) {
    GError *gerr = NULL;
    GDir *dir = g_dir_open(path, 0, &gerr);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *name;

    if (!dir) {
        char *text = g_strdup(gerr->message);
        g_error_free(gerr);
        return text;
    }
    while ((name = g_dir_read_name(dir))) {
        if (*name != '.') {
            g_ptr_array_add(names, g_build_filename(path, name, NULL));
        }
    }
    g_dir_close(dir);
    qsort(names->pdata, names->len, sizeof(char *), compare_names);
    for (guint i = names->len; i-- > 0;) {
        g_queue_push_head(&s->todo, names->pdata[i]);
    }
    return NULL;
}

/* Of a Maildir only these two hold messages. */
static bool push_maildir(source *s, const char *path) {
    g_autofree char *cur = g_build_filename(path, "cur", NULL);
    g_autofree char *new_ = g_build_filename(path, "new", NULL);
    bool has_cur = g_file_test(cur, G_FILE_TEST_IS_DIR), has_new = g_file_test(new_, G_FILE_TEST_IS_DIR);

    if (has_new) {
        g_queue_push_head(&s->todo, g_steal_pointer(&new_));
    }
    if (has_cur) {
        g_queue_push_head(&s->todo, g_steal_pointer(&cur));
    }
    return has_cur || has_new;
}

static char **maildir_flags(const char *path) {
    static const struct {
        char letter;
        const char *flag;
    } known[] = {{'D', "\\Draft"}, {'F', "\\Flagged"}, {'R', "\\Answered"}, {'S', "\\Seen"}, {'T', "\\Deleted"}};
    const char *info = strstr(path, ":2,");
    GPtrArray *flags;

    if (!info || strchr(info, '/')) {
        return NULL;
    }
    flags = g_ptr_array_new();
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        if (strchr(info + 3, known[i].letter)) {
            g_ptr_array_add(flags, g_strdup(known[i].flag));
        }
    }
    g_ptr_array_add(flags, NULL);
    return (char **)g_ptr_array_free(flags, FALSE);
}

static bool fail(source_message *m, const char *path, const char *text) {
    m->name = g_strdup(path);
    m->error = g_strdup(text);
    return true;
}

static bool read_file(source *s, const char *path, const struct stat *st, source_message *m) {
    GError *gerr = NULL;
    GMappedFile *file = g_mapped_file_new(path, FALSE, &gerr);

    if (!file) {
        fail(m, path, gerr->message);
        g_error_free(gerr);
        return true;
    }
    const char *p = g_mapped_file_get_contents(file);
    const char *end = p ? p + g_mapped_file_get_length(file) : NULL; /* an empty file has no contents */
    if (p && is_from_line(p, line_end(p, end))) {
        s->mbox = file;
        s->mbox_name = g_strdup(path);
        s->mbox_time = st->st_mtime;
        s->at = p;
        s->number = 0;
        return next_in_mbox(s, m);
    }
    m->name = g_strdup(path);
    m->internaldate = st->st_mtime;
    m->flags = maildir_flags(path);
    set_raw(s, m, p, end, false);
    g_mapped_file_unref(file);
    return true;
}

static bool read_stdin(source *s, source_message *m) {
    g_autoptr(GByteArray) all = g_byte_array_new();
    char buffer[65536];
    size_t n;

    while (all->len <= s->max_size && (n = fread(buffer, 1, sizeof buffer, stdin)) > 0) {
        g_byte_array_append(all, (const uint8_t *)buffer, (guint)n);
    }
    m->name = g_strdup("-");
    m->internaldate = g_get_real_time() / G_USEC_PER_SEC;
    set_raw(s, m, (const char *)all->data, (const char *)all->data + all->len, false);
    return true;
}

/* True: m is filled. False: there was nothing in it itself. */
static bool take(source *s, const char *path, source_message *m) {
    struct stat st;

    if (strcmp(path, "-") == 0) {
        return read_stdin(s, m);
    }
    if (g_str_has_prefix(path, "imap:")) {
        source_message *ready = g_queue_pop_head(&s->preloaded);
        if (!ready) {
            return fail(m, path, "not read from the server");
        }
        *m = *ready;
        g_free(ready);
        return true;
    }
    if (stat(path, &st) != 0) {
        return fail(m, path, g_strerror(errno));
    }
    if (S_ISREG(st.st_mode)) {
        return read_file(s, path, &st, m);
    }
    if (!S_ISDIR(st.st_mode)) {
        return fail(m, path, "neither a file nor a folder");
    }
    if (push_maildir(s, path)) {
        return false;
    }
    g_autofree char *text = push_folder(s, path);
    return text ? fail(m, path, text) : false;
}

void source_preload(source *s, const source_message *message) {
    g_queue_push_tail(&s->preloaded, g_memdup2(message, sizeof *message));
}

bool source_next(source *s, source_message *message_out) {
    *message_out = (source_message){0};
    if (s->mbox) {
        if (next_in_mbox(s, message_out)) {
            return true;
        }
        close_mbox(s);
    }
    for (char *path; (path = g_queue_pop_head(&s->todo));) {
        bool filled = take(s, path, message_out);
        g_free(path);
        if (filled) {
            return true;
        }
    }
    return false;
}
