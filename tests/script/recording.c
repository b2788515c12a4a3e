#include "tests/script/recording.h"

#include <stdlib.h>
#include <string.h>

#define TAG "A########"

static void free_step(gpointer data) {
    recorded_step *step = data;

    g_free(step->command);
    g_free(step->from);
    g_free(step->own_tag);
    g_string_free(step->reply, TRUE);
    g_free(step);
}

void recording_free(recording *r) {
    if (!r) {
        return;
    }
    g_ptr_array_free(r->steps, TRUE);
    g_free(r->dir);
    g_free(r->name);
    g_free(r->server);
    g_free(r);
}

/* ---- commands ---- */

void recorded_command_release(recorded_command *command) {
    g_free(command->tag);
    g_free(command->verb);
    g_free(command->args);
    *command = (recorded_command){0};
}

/* Up to the next blank. */
static char *take_word(const char **at) {
    size_t len = strcspn(*at, " ");
    char *word = g_strndup(*at, len);

    *at += len + ((*at)[len] == ' ');
    return word;
}

static void read_verb(const char *text, recorded_command *out) {
    g_autofree char *verb = take_word(&text);

    out->uid = g_ascii_strcasecmp(verb, "UID") == 0;
    if (out->uid) {
        g_free(verb);
        verb = take_word(&text);
    }
    out->verb = g_ascii_strup(verb, -1);
    out->args = g_strdup(text);
}

void recorded_command_parse(const char *line, recorded_command *out) {
    *out = (recorded_command){0};
    out->tag = take_word(&line);
    read_verb(line, out);
}

/* Which word of a command names its mailbox; 0 = none. */
static const struct kind {
    const char *verb, *kind;
    int mailbox;
} kinds[] = {
    {"LOGIN", "LOGIN", 0},       {"AUTHENTICATE", "LOGIN", 0}, {"CAPABILITY", "CAPABILITY", 0},
    {"SELECT", "SELECT", 1},     {"EXAMINE", "SELECT", 1},     {"STATUS", "STATUS", 1},
    {"LIST", "LIST", 2},         {"XLIST", "LIST", 2},         {"LSUB", "LSUB", 2},
    {"CREATE", "CREATE", 1},     {"DELETE", "DELETE", 1},      {"RENAME", "RENAME", 1},
    {"SUBSCRIBE", "SUBSCRIBE", 1}, {"UNSUBSCRIBE", "UNSUBSCRIBE", 1}, {"APPEND", "APPEND", 1},
    {"COPY", "COPY", 2},         {"MOVE", "MOVE", 2},          {"FETCH", "FETCH", 0},
    {"STORE", "STORE", 0},       {"SEARCH", "SEARCH", 0},      {"SORT", "SORT", 0},
    {"THREAD", "THREAD", 0},     {"EXPUNGE", "EXPUNGE", 0},    {"NAMESPACE", "NAMESPACE", 0},
    {"ID", "ID", 0},             {"ENABLE", "ENABLE", 0},      {"NOOP", "NOOP", 0},
    {"CHECK", "CHECK", 0},       {"CLOSE", "CLOSE", 0},        {"UNSELECT", "UNSELECT", 0},
    {"IDLE", "IDLE", 0},         {"NOTIFY", "NOTIFY", 0},      {"LOGOUT", "LOGOUT", 0},
    {"STARTTLS", "STARTTLS", 0}, {"COMPRESS", "COMPRESS", 0},  {"REPLACE", "REPLACE", 0},
    {"GETQUOTA", "GETQUOTA", 0}, {"GETQUOTAROOT", "GETQUOTAROOT", 1}, {"SETQUOTA", "SETQUOTA", 0},
    {"GETACL", "GETACL", 1},     {"SETACL", "SETACL", 1},      {"DELETEACL", "DELETEACL", 1},
    {"LISTRIGHTS", "LISTRIGHTS", 1}, {"MYRIGHTS", "MYRIGHTS", 1},
    {"GETMETADATA", "GETMETADATA", 1}, {"SETMETADATA", "SETMETADATA", 1},
};

static const struct kind *find_kind(const char *verb) {
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i].verb, verb) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *recorded_kind(const char *verb) {
    const struct kind *kind = find_kind(verb);

    return kind ? kind->kind : NULL;
}

/* One argument: a quoted string without its quotes, a parenthesised list as it stands, or a word. */
static char *take_argument(const char **at) {
    const char *p = *at;
    GString *out = g_string_new(NULL);

    if (*p == '"') {
        for (p++; *p && *p != '"'; p++) {
            p += *p == '\\' && p[1];
            g_string_append_c(out, *p);
        }
        p += *p == '"';
    } else if (*p == '(') {
        size_t len = strcspn(p, ")");
        len += p[len] == ')';
        g_string_append_len(out, p, (gssize)len);
        p += len;
    } else {
        size_t len = strcspn(p, " ");
        g_string_append_len(out, p, (gssize)len);
        p += len;
    }
    *at = p + (*p == ' ');
    return g_string_free(out, FALSE);
}

/* The mailbox, or pattern, that a command is about; "" if about none. */
static char *mailbox_of(const recorded_command *command) {
    const struct kind *kind = find_kind(command->verb);
    const char *at = command->args;
    char *word = NULL;
    int skip = kind ? kind->mailbox : 0;

    if (skip == 0) {
        return g_strdup("");
    }
    if (strcmp(kind->kind, "LIST") == 0 && *at == '(') { /* LIST (SPECIAL-USE) */
        skip++;
    }
    while (skip-- > 0) {
        g_free(word);
        word = take_argument(&at);
    }
    if (g_ascii_strcasecmp(word, "INBOX") == 0) {
        g_free(word);
        word = g_strdup("INBOX");
    }
    return word;
}

/* How well the step answers the command: 0 = not at all. */
static int fit(const recorded_step *step, const recorded_command *command) {
    recorded_command own = {0};
    int score = 0;

    read_verb(step->command, &own);
    const char *kind = recorded_kind(command->verb), *own_kind = recorded_kind(own.verb);
    if (kind && own_kind && strcmp(kind, own_kind) == 0) {
        g_autofree char *box = mailbox_of(command), *own_box = mailbox_of(&own);
        if (strcmp(box, own_box) == 0) {
            score = 1 + 2 * (strcmp(own.verb, command->verb) == 0 && own.uid == command->uid) +
                    (strcmp(kind, "LOGIN") != 0 && strcmp(own.args, command->args) == 0);
        }
    }
    recorded_command_release(&own);
    return score;
}

int recording_find(const recording *r, const recorded_command *command, const uint8_t *used) {
    int best = -1, best_score = 0;

    for (guint i = 1; i < r->steps->len; i++) {
        const recorded_step *step = r->steps->pdata[i];
        int score = step->cut ? 0 : fit(step, command);
        if (score && (r->reusable || !used || !used[i])) {
            score += 8;
        }
        if (score > best_score) {
            best = (int)i;
            best_score = score;
        }
    }
    return best;
}

/* ---- reading ---- */

static bool is_code_name(const char *text) {
    return text[strcspn(text, " *+[\r\n")] == '\0'; /* a variable of the program that it was taken from */
}

/* "inline:gmail.count.noop.txt" is a file, too. */
static bool inline_is_file(const char *dir, const char *text, char **path_out) {
    const char *dot = strchr(text, '.');

    if (!dot || !g_str_has_suffix(text, ".txt")) {
        return false;
    }
    g_autofree char *folder = g_strndup(text, (size_t)(dot - text));
    *path_out = g_build_filename(dir, folder, dot + 1, NULL);
    return true;
}

static void read_file(recorded_step *step, const char *path) {
    char *bytes;
    gsize len;

    if (!g_file_get_contents(path, &bytes, &len, NULL)) {
        step->cut = "its file is absent";
        return;
    }
    g_string_append_len(step->reply, bytes, (gssize)len);
    step->tag = TAG;
    g_free(bytes);
}

static void read_inline(recorded_step *step, const char *dir, const char *escaped) {
    g_autofree char *path = NULL;

    if (inline_is_file(dir, escaped, &path)) {
        read_file(step, path);
    } else if (is_code_name(escaped) || !step->own_tag) {
        step->cut = "its answer was not recorded";
    } else {
        g_autofree char *text = g_strcompress(escaped);
        g_string_append(step->reply, text);
        step->tag = step->own_tag;
        if (step->reply->len && !g_str_has_suffix(text, "\n")) { /* cut where a text was put together */
            g_string_append(step->reply, "\r\n");
        }
        step->cut = step->reply->len ? NULL : "its answer was not recorded";
    }
}

static void read_answer(recorded_step *step, const char *dir, const char *answer) {
    step->from = g_str_has_prefix(answer, "inline:") ? g_strdup("inline") : g_strdup(answer);
    if (g_str_has_prefix(answer, "inline:")) {
        read_inline(step, dir, answer + 7);
    } else if (strchr(answer, '/')) {
        g_autofree char *path = g_build_filename(dir, answer, NULL);
        read_file(step, path);
    } else if (strcmp(answer, "Plus") == 0 || strcmp(answer, "+") == 0) {
        g_string_append(step->reply, "+ \r\n");
        step->tag = TAG;
        step->go_on = true;
    } else {
        g_string_append_printf(step->reply, TAG " %s done\r\n", answer);
        step->tag = TAG;
    }
}

static recorded_step *new_step(const char *command, unsigned number) {
    recorded_step *step = g_new0(recorded_step, 1);

    step->number = number;
    step->command = g_strdup(command);
    step->reply = g_string_new(NULL);
    return step;
}

/* "A00000003 LIST \"\" \"INBOX\"\r\n" into tag and command. */
static recorded_step *read_step(const char *dir, char **fields) {
    g_autofree char *text = g_strcompress(fields[3]);
    unsigned number = (unsigned)strtoul(fields[2], NULL, 10);
    recorded_step *step;

    g_strchomp(text);
    if (number == 0 && !*text) {
        step = new_step("", 0);
    } else if (*text == 'A' && strlen(text) > 9 && text[9] == ' ') {
        step = new_step(text + 10, number);
        step->own_tag = g_strndup(text, 9);
    } else { /* what continues a command, or a line that was put together */
        step = new_step(text, number);
        step->cut = "it is a part of a command";
    }
    const char *cut = step->cut;
    read_answer(step, dir, fields[4]);
    step->cut = cut ? cut : step->cut;
    return step;
}

static GPtrArray *read_lines(const char *dir) {
    g_autofree char *path = g_build_filename(dir, "conversations.tsv", NULL);
    g_autofree char *text = NULL;
    GPtrArray *lines;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return NULL;
    }
    lines = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_auto(GStrv) all = g_strsplit(text, "\n", -1);
    for (char **line = all; *line; line++) {
        char **fields = g_strsplit(*line, "\t", 5);
        if (**line == '#' || g_strv_length(fields) != 5) {
            g_strfreev(fields);
        } else {
            g_ptr_array_add(lines, fields);
        }
    }
    return lines;
}

/* A method may be there twice in one class: number 0 begins another conversation. */
static char *name_of(char **fields, unsigned nth) {
    return nth > 1 ? g_strdup_printf("%s/%s#%u", fields[0], fields[1], nth)
                   : g_strdup_printf("%s/%s", fields[0], fields[1]);
}

static void each_conversation(GPtrArray *lines, void (*fn)(void *user, const char *name, guint from, guint to),
                              void *user) {
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint from = 0, to; from < lines->len; from = to) {
        char **first = lines->pdata[from];
        g_autofree char *plain = name_of(first, 1);
        unsigned nth = GPOINTER_TO_UINT(g_hash_table_lookup(seen, plain)) + 1;
        g_autofree char *name = name_of(first, nth);
        g_hash_table_replace(seen, g_strdup(plain), GUINT_TO_POINTER(nth));
        for (to = from + 1; to < lines->len; to++) {
            char **fields = lines->pdata[to];
            if (strcmp(fields[1], first[1]) != 0 || strcmp(fields[0], first[0]) != 0 || strcmp(fields[2], "0") == 0) {
                break;
            }
        }
        fn(user, name, from, to);
    }
}

static void add_name(void *user, const char *name, guint from, guint to) {
    (void)from, (void)to;
    g_ptr_array_add(user, g_strdup(name));
}

GPtrArray *recording_names(const char *dir) {
    g_autoptr(GPtrArray) lines = read_lines(dir);
    GPtrArray *names;

    if (!lines) {
        return NULL;
    }
    names = g_ptr_array_new_with_free_func(g_free);
    each_conversation(lines, add_name, names);
    return names;
}

/* ---- one conversation ---- */

struct search {
    const char *name;
    guint from, to;
};

static void look_for(void *user, const char *name, guint from, guint to) {
    struct search *search = user;
    const char *method = strchr(name, '/') + 1;

    if (search->to == 0 && (strcmp(search->name, name) == 0 || strcmp(search->name, method) == 0)) {
        search->from = from;
        search->to = to;
    }
}

static bool load_conversation(recording *r, GPtrArray *lines) {
    struct search search = {.name = r->name};

    each_conversation(lines, look_for, &search);
    for (guint i = search.from; i < search.to; i++) {
        g_ptr_array_add(r->steps, read_step(r->dir, lines->pdata[i]));
    }
    return search.to > 0;
}

/* ---- a server ---- */

/* Its untagged lines before those of the step. */
static void add_lines_before(const recording *r, recorded_step *step, const char *name) {
    g_autofree char *path = g_strdup_printf("%s/%s/%s.txt", r->dir, r->name, name), *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        char *tagged = strstr(text, TAG);
        g_string_prepend_len(step->reply, text, tagged ? tagged - text : (gssize)strlen(text));
    }
}

static bool add_named(recording *r, const char *command, const char *name, const char *before) {
    g_autofree char *from = g_strdup_printf("%s/%s.txt", r->name, name);
    g_autofree char *path = g_build_filename(r->dir, from, NULL);

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        return false;
    }
    recorded_step *step = new_step(command, r->steps->len);
    read_answer(step, r->dir, from);
    if (before) {
        add_lines_before(r, step, before);
    }
    g_ptr_array_add(r->steps, step);
    return true;
}

struct merge {
    recording *r;
    GPtrArray *lines;
};

static bool has_command(const recording *r, const char *command) {
    for (guint i = 0; i < r->steps->len; i++) {
        if (strcmp(((recorded_step *)r->steps->pdata[i])->command, command) == 0) {
            return true;
        }
    }
    return false;
}

/* What is recorded of that server itself, in a conversation with it; the first answer to each command. */
static void merge(void *user, const char *name, guint from, guint to) {
    struct merge *m = user;
    char **greeting = m->lines->pdata[from];
    g_autofree char *own = g_strdup_printf("%s/", m->r->name);

    (void)name;
    if (!g_str_has_prefix(greeting[4], own)) {
        return;
    }
    for (guint i = from + 1; i < to; i++) {
        char **fields = m->lines->pdata[i];
        recorded_step *step = read_step(m->r->dir, fields);
        if (step->cut || !g_str_has_prefix(fields[4], own) || has_command(m->r, step->command)) {
            free_step(step);
        } else {
            g_ptr_array_add(m->r->steps, step);
        }
    }
}

/* Commands whose answers have the same name wherever they are recorded: what they are to the usual client. */
static const struct {
    const char *command, *file, *before;
} usual[] = {
    {"CAPABILITY", "capability", NULL},
    {"CAPABILITY", "capabilities", NULL},
    {"CAPABILITY", "capability-preauth", NULL},
    {"LOGIN u p", "authenticate", NULL},
    {"AUTHENTICATE PLAIN u", "authenticate", NULL},
    {"CAPABILITY", "capability-postauth", NULL},
    {"NAMESPACE", "namespace", NULL},
    {"LIST \"\" \"*\"", "xlist", NULL},
    {"LIST \"\" \"*\"", "list-all-no-status", NULL},
    {"LIST \"\" \"*\"", "list-special-use", "list-inbox"},
    {"LIST \"\" \"*\"", "list-inbox", NULL},
    {"LIST \"\" INBOX", "list-inbox", NULL},
    {"SELECT INBOX", "select-inbox", NULL},
    {"EXAMINE INBOX", "examine-inbox", NULL},
    {"LOGOUT", "logout", NULL},
};

struct mentioned {
    GPtrArray *lines;
    const char *server;
    guint from, to;
};

static void look_for_mention(void *user, const char *name, guint from, guint to) {
    struct mentioned *found = user;
    g_autofree char *own = g_strdup_printf("%s/", found->server);

    (void)name;
    for (guint i = from; i < to && found->to == 0; i++) {
        if (g_str_has_prefix(((char **)found->lines->pdata[i])[4], own)) {
            found->from = from;
            found->to = to;
        }
    }
}

/* A directory without a greeting of its own was seen in a conversation that began with another's. */
static bool load_mentioned(recording *r, GPtrArray *lines) {
    struct mentioned found = {.lines = lines, .server = r->name};

    each_conversation(lines, look_for_mention, &found);
    for (guint i = found.from; i < found.to; i++) {
        g_ptr_array_add(r->steps, read_step(r->dir, lines->pdata[i]));
    }
    return found.to > 0;
}

static bool load_server(recording *r, GPtrArray *lines) {
    struct merge m = {r, lines};

    r->reusable = true;
    if (!add_named(r, "", "greeting", NULL) && !add_named(r, "", "basic-greeting", NULL)) {
        return load_mentioned(r, lines);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(usual); i++) {
        if (!add_named(r, usual[i].command, usual[i].file, usual[i].before) &&
            strcmp(usual[i].file, "authenticate") == 0) {
            recorded_step *login = new_step(usual[i].command, r->steps->len);
            read_answer(login, r->dir, "OK");
            g_ptr_array_add(r->steps, login);
        }
    }
    each_conversation(lines, merge, &m);
    return true;
}

recording *recording_load(const char *dir, const char *name, char **why_out) {
    g_autoptr(GPtrArray) lines = read_lines(dir);
    recording *r = g_new0(recording, 1);

    r->dir = g_strdup(dir);
    r->name = g_strdup(name);
    r->steps = g_ptr_array_new_with_free_func(free_step);
    if (!lines || !(load_conversation(r, lines) || load_server(r, lines))) {
        *why_out = lines ? g_strdup_printf("%s: no conversation and no server of that name", name)
                         : g_strdup_printf("%s: no conversations.tsv", dir);
        recording_free(r);
        return NULL;
    }
    const char *from = ((recorded_step *)r->steps->pdata[0])->from;
    r->server = g_strndup(from, strcspn(from, "/"));
    return r;
}
