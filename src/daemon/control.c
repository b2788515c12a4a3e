/*
 * The control socket: one request a connection, words ended by NUL, the last one empty. The answer is an exit status as
 * a decimal line, then text for people (or JSON), then the end.
 */
#include "daemon_priv.h"

#include "base/text.h"
#include "net/stream.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX (64 * 1024)
#define LIST_MAX 200

struct control {
    struct keeper *keeper;
    listener *listener;
    GPtrArray *clients;
};

struct client {
    struct control *control;
    stream *stream;
    GByteArray *request;
    GString *answer;
    GPtrArray *words; /* views into request; NULL until it is whole */
    bool json;
    unsigned waiting; /* answers of the journal that are due */
};

static void client_free(struct client *c) {
    g_ptr_array_remove(c->control->clients, c);
    if (c->control->keeper->state) {
        state_cancel(c->control->keeper->state, c);
    }
    if (c->control->keeper->reload_user == c) {
        c->control->keeper->reload_done = NULL;
    }
    stream_free(c->stream);
    g_byte_array_unref(c->request);
    g_string_free(c->answer, TRUE);
    if (c->words) {
        g_ptr_array_free(c->words, TRUE);
    }
    g_free(c);
}

static void reply(struct client *c, int status) {
    char line[16];

    g_snprintf(line, sizeof line, "%d\n", status);
    stream_write(c->stream, line, strlen(line));
    stream_write(c->stream, c->answer->str, c->answer->len);
    stream_finish(c->stream);
}

static void reply_text(struct client *c, int status, const char *text) {
    g_string_append(c->answer, text);
    g_string_append_c(c->answer, '\n');
    reply(c, status);
}

/* --- status ------------------------------------------------------------------------------------------------------- */

static void counts_known(void *user, const error *err, const struct state_count *counts, size_t n) {
    struct client *c = user;
    uint64_t parked = 0, waiting = 0;

    for (size_t i = 0; i < n; i++) {
        *(counts[i].stage == STATE_PARKED ? &parked : &waiting) += counts[i].n;
    }
    if (c->json) {
        g_string_append_printf(c->answer, ",\"parked\":%" G_GUINT64_FORMAT ",\"unfinished\":%" G_GUINT64_FORMAT "}\n",
                               parked, waiting);
    } else {
        g_string_append_printf(c->answer, "journal %" G_GUINT64_FORMAT " unfinished, %" G_GUINT64_FORMAT " parked%s\n",
                               waiting, parked, parked ? " (see `mailruled queue`)" : "");
    }
    reply(c, err ? 1 : 0);
}

static void do_status(struct client *c) {
    struct keeper *k = c->control->keeper;

    status_describe(k, c->answer, c->json);
    state_counts(k->state, counts_known, c);
}

/* --- queue -------------------------------------------------------------------------------------------------------- */

static void append_row_json(GString *out, const struct state_message *m, bool first) {
    g_string_append_printf(out, "%s{\"id\":%" G_GINT64_FORMAT ",\"stage\":\"%s\",\"account\":", first ? "" : ",",
                           m->row, state_stage_name(m->stage));
    text_append_json(out, m->account, -1);
    g_string_append(out, ",\"folder\":");
    text_append_json(out, m->folder, -1);
    g_string_append_printf(out, ",\"event\":\"%s\"", m->event);
    g_string_append_printf(out,
                           ",\"uid\":%u,\"uidvalidity\":%u,\"attempts\":%u,\"arrived_at\":%" G_GINT64_FORMAT
                           ",\"next_at\":%" G_GINT64_FORMAT ",\"waiting\":%s,\"rule\":",
                           m->uid, m->uidvalidity, m->attempts, m->arrived_at, m->next_at,
                           m->waiting ? "true" : "false");
    if (m->error_rule) {
        text_append_json(out, m->error_rule, -1);
    } else {
        g_string_append(out, "null");
    }
    g_string_append(out, ",\"error\":");
    if (m->error_text) {
        text_append_json(out, m->error_text, -1);
    } else {
        g_string_append(out, "null");
    }
    g_string_append_c(out, '}');
}

static void append_row(struct client *c, const struct state_message *m) {
    int64_t now = clock_wall_ms(c->control->keeper->clock);
    g_autofree char *age = text_format_duration((uint64_t)MAX(now - m->arrived_at, 0));
    const char *what = m->stage == STATE_PARKED ? "parked" : m->waiting ? "webhook" : "waiting";

    g_string_append_printf(c->answer, "%-6" G_GINT64_FORMAT " %-8s %-8s ", m->row, what, age);
    text_append_escaped(c->answer, m->account, -1);
    g_string_append_c(c->answer, '/');
    text_append_escaped(c->answer, m->folder, -1);
    g_string_append_printf(c->answer, "/%u", m->uid);
    if (strcmp(m->event, "new") != 0) {
        g_string_append_printf(c->answer, " (%s)", m->event);
    }
    if (m->error_rule) {
        g_string_append(c->answer, "  rule ");
        text_append_escaped(c->answer, m->error_rule, -1);
    }
    if (m->error_text) {
        g_string_append(c->answer, ": ");
        text_append_escaped(c->answer, m->error_text, -1);
    }
    g_string_append_c(c->answer, '\n');
}

static void queue_known(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct client *c = user;

    if (c->json) {
        g_string_append_c(c->answer, '[');
    } else if (!n) {
        g_string_append(c->answer, "nothing waits and nothing is parked\n");
    }
    for (size_t i = 0; i < n; i++) {
        if (c->json) {
            append_row_json(c->answer, &messages[i], i == 0);
        } else {
            append_row(c, &messages[i]);
        }
    }
    if (c->json) {
        g_string_append(c->answer, "]\n");
    } else if (more) {
        g_string_append(c->answer, "... and more\n");
    }
    reply(c, err ? 1 : 0);
}

static void do_queue(struct client *c) {
    state_list(c->control->keeper->state, &(struct state_filter){.stages = STATE_IN_OPEN, .limit = LIST_MAX},
               queue_known, c);
}

/* --- retry, drop -------------------------------------------------------------------------------------------------- */

static int64_t *rows_of(struct client *c, size_t *n_out) {
    int64_t *rows = g_new0(int64_t, c->words->len);

    *n_out = 0;
    for (guint i = 1; i < c->words->len; i++) {
        char *end_of;
        int64_t row = g_ascii_strtoll(c->words->pdata[i], &end_of, 10);
        if (row > 0 && !*end_of) {
            rows[(*n_out)++] = row;
        }
    }
    return rows;
}

static void changed(void *user, const error *err, const struct state_row *rows, size_t n) {
    struct client *c = user;
    struct keeper *k = c->control->keeper;
    size_t gone = 0;

    if (err) {
        reply_text(c, 1, err->text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        gone += rows[i].gone;
        if (!rows[i].gone && !rows[i].waiting && strcmp(c->words->pdata[0], "retry") == 0) {
            resume_rows(k, &rows[i].row, 1);
        }
    }
    outbox_kick(k->outbox, NULL);
    g_string_append_printf(c->answer, "%zu message(s)%s", n - gone, gone ? ", the others are not in the queue" : "");
    reply_text(c, gone ? 1 : 0, "");
}

static void all_parked(void *user, const error *err, const struct state_message *messages, size_t n, bool more) {
    struct client *c = user;
    int64_t *rows = g_new0(int64_t, n + 1);

    for (size_t i = 0; i < n; i++) {
        rows[i] = messages[i].row;
    }
    if (err || !n) {
        reply_text(c, err ? 1 : 0, err ? err->text : "nothing is parked");
    } else {
        state_retry(c->control->keeper->state, rows, n, changed, c);
    }
    g_free(rows);
}

static void drop_from_memory(struct keeper *k, const int64_t *rows, size_t n) {
    for (guint i = 0; i < k->accounts->len; i++) {
        const struct account *a = k->accounts->pdata[i];
        for (guint j = 0; j < a->folders->len; j++) {
            struct folder *f = a->folders->pdata[j];
            GList *list = g_hash_table_get_values(f->by_uid);
            for (GList *at = list; at; at = at->next) {
                struct message *m = at->data;
                for (size_t r = 0; r < n; r++) {
                    if (m->row == rows[r] && !m->item.batch) {
                        message_free(m);
                        break;
                    }
                }
            }
            g_list_free(list);
        }
    }
}

static void do_rows(struct client *c) {
    state *st = c->control->keeper->state;
    bool retry = strcmp(c->words->pdata[0], "retry") == 0;
    size_t n;
    int64_t *rows = rows_of(c, &n);

    if (retry && c->words->len == 2 && strcmp(c->words->pdata[1], "--all") == 0) {
        state_list(st, &(struct state_filter){.stages = STATE_IN(STATE_PARKED), .limit = LIST_MAX}, all_parked, c);
    } else if (!n || n + 1 != c->words->len) {
        reply_text(c, 2, "which? Give the numbers that `mailruled queue` shows");
    } else if (retry) {
        state_retry(st, rows, n, changed, c);
    } else {
        drop_from_memory(c->control->keeper, rows, n);
        state_drop(st, rows, n, changed, c);
    }
    g_free(rows);
}

/* --- pause, resume, reload ---------------------------------------------------------------------------------------- */

static void set_paused(struct account *a, bool paused) {
    if (paused && !a->paused) {
        a->paused = true;
        account_stop(a, false);
    } else if (!paused) {
        a->paused = a->parked = false;
        a->auth_failures = 0;
        for (guint i = 0; i < a->watchers->len; i++) {
            struct watcher *w = a->watchers->pdata[i];
            w->stopping = false;
            backoff_healthy(&w->backoff);
        }
        account_start(a);
    }
}

static void do_pause(struct client *c) {
    struct keeper *k = c->control->keeper;
    bool paused = strcmp(c->words->pdata[0], "pause") == 0;
    unsigned n = 0;

    for (guint i = 0; i < k->accounts->len; i++) {
        struct account *a = k->accounts->pdata[i];
        if (c->words->len < 2 || strcmp(c->words->pdata[1], a->name) == 0) {
            set_paused(a, paused);
            n++;
        }
    }
    if (!n) {
        reply_text(c, 1, "no such account");
        return;
    }
    g_string_append_printf(c->answer, "%u account(s) %s", n, paused ? "paused" : "resumed");
    reply_text(c, 0, "");
}

static void reloaded(void *user, bool ok, const char *text) {
    reply_text(user, ok ? 0 : 78, text);
}

static void do_reload(struct client *c) {
    g_autoptr(error) err = keeper_reload(c->control->keeper, reloaded, c);

    if (err) {
        reply_text(c, 75, err->text);
    }
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void dispatch(struct client *c) {
    static const struct {
        const char *name;
        void (*run)(struct client *c);
    } verbs[] = {{"status", do_status}, {"queue", do_queue},   {"retry", do_rows},   {"drop", do_rows},
                 {"pause", do_pause},   {"resume", do_pause}, {"reload", do_reload}};

    for (guint i = 1; i < c->words->len;) {
        if (strcmp(c->words->pdata[i], "--json") == 0) {
            c->json = true;
            g_ptr_array_remove_index(c->words, i);
        } else {
            i++;
        }
    }
    for (size_t i = 0; c->words->len && i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(c->words->pdata[0], verbs[i].name) == 0) {
            verbs[i].run(c);
            return;
        }
    }
    reply_text(c, 2, "unknown request");
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    struct client *c = user;

    if (c->words || c->request->len + len > REQUEST_MAX) {
        client_free(c);
        return;
    }
    g_byte_array_append(c->request, bytes, (guint)len);
    guint n = c->request->len;
    bool whole = (n >= 2 && !c->request->data[n - 1] && !c->request->data[n - 2]) || (n == 1 && !c->request->data[0]);
    if (!whole) {
        return;
    }
    c->words = g_ptr_array_new();
    for (guint at = 0; at < n && c->request->data[at];) {
        char *word = (char *)c->request->data + at;
        g_ptr_array_add(c->words, word);
        at += (guint)strlen(word) + 1;
    }
    dispatch(c);
}

static void on_closed(void *user, error *err) {
    error_free(err);
    client_free(user);
}

static void on_connect(void *user, int fd) {
    static const stream_events events = {.on_data = on_data, .on_closed = on_closed};
    struct control *control = user;
    struct client *c = g_new0(struct client, 1);

    c->control = control;
    c->request = g_byte_array_new();
    c->answer = g_string_new(NULL);
    g_ptr_array_add(control->clients, c);
    error *err = stream_new(control->keeper->loop, fd, NULL, &events, c, &c->stream);
    if (err) {
        error_free(err);
        client_free(c);
    }
}

char *control_path_of(const wire_config *config) {
    const char *runtime = g_getenv("RUNTIME_DIRECTORY");
    g_autofree char *dir = NULL;

    if (config->control) {
        return g_strdup(config->control);
    }
    if (runtime && *runtime) {
        dir = g_strndup(runtime, strcspn(runtime, ":"));
    } else {
        dir = config->state_dir ? g_strdup(config->state_dir) : keeper_default_state_dir();
    }
    return g_build_filename(dir, "control.sock", NULL);
}

error *control_new(struct keeper *k, struct control **control_out) {
    struct control *c = g_new0(struct control, 1);

    c->keeper = k;
    c->clients = g_ptr_array_new();
    k->control_path = control_path_of(keeper_config(k));
    error *err = listener_new_unix(k->loop, k->control_path, 0600, on_connect, c, &c->listener);
    if (err) {
        control_free(c);
        return error_prefix(err, "control socket %s", k->control_path);
    }
    *control_out = c;
    return NULL;
}

void control_free(struct control *c) {
    if (!c) {
        return;
    }
    while (c->clients->len) {
        client_free(c->clients->pdata[0]);
    }
    g_ptr_array_free(c->clients, TRUE);
    listener_free(c->listener);
    g_free(c);
}
