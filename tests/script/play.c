#include "tests/script/script_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct player player;
typedef struct statement statement;

/* What a statement does: false, with player_fail(), if the dialogue was not followed. */
typedef bool (*play_fn)(player *p, const statement *st);

struct statement {
    const char *name;
    play_fn play;
    char *text;  /* after the word, as written */
    unsigned line;
    size_t end;  /* repeat, on: index of its "end" */
};

struct imap_script {
    char *path, *dir;
    imap_script_options options;
    GPtrArray *keys, *values; /* of the header */
    GArray *statements;
    int listener, stop_pipe[2];
    uint16_t port;
    SSL_CTX *tls;
    GThread *thread;
    atomic_bool finished;
    bool ok;
    char *report;
};

struct player {
    imap_script *script;
    wire wire;
    GHashTable *names; /* captured */
    GArray *handlers;  /* size_t: index of an "on" */
    size_t at;         /* the statement being played */
    char *last_line;   /* of the client */
};

/* ---- text ---- */

/* \r \n \t \0 \\ \xNN */
static GString *unescape(const char *text) {
    GString *out = g_string_new(NULL);

    for (const char *p = text; *p; p++) {
        static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";
        const char *hit = *p == '\\' && p[1] ? strchr(from, p[1]) : NULL;
        if (hit) {
            g_string_append_c(out, to[hit - from]);
            p++;
        } else if (*p == '\\' && p[1] == 'x' && isxdigit((unsigned char)p[2]) && isxdigit((unsigned char)p[3])) {
            char digits[] = {p[2], p[3], '\0'};
            g_string_append_c(out, (char)strtol(digits, NULL, 16));
            p += 3;
        } else {
            g_string_append_c(out, *p);
        }
    }
    return out;
}

/* "<name>" at p: its length with the brackets, 0 if it is none. */
static size_t name_at(const char *p, char name_out[32]) {
    size_t n = 0;

    if (*p != '<') {
        return 0;
    }
    for (p++; isalnum((unsigned char)*p) && n < 31; p++) {
        name_out[n++] = *p;
    }
    name_out[n] = '\0';
    return n && *p == '>' ? n + 2 : 0;
}

static GString *expand(player *p, const char *text) {
    g_autoptr(GString) raw = g_string_new(NULL);
    char name[32];

    while (*text) {
        size_t n = name_at(text, name);
        const char *value = n ? g_hash_table_lookup(p->names, name) : NULL;
        if (value) {
            g_string_append(raw, value);
            text += n;
        } else {
            g_string_append_c(raw, *text++);
        }
    }
    return unescape(raw->str);
}

/* "..." is any run, "<name>" a word, kept under that name; the rest is itself. */
static bool match(GHashTable *names, const char *pattern, const char *s) {
    char name[32];
    size_t n;

    if (strncmp(pattern, "...", 3) == 0) {
        for (;; s++) {
            if (match(names, pattern + 3, s)) {
                return true;
            }
            if (!*s) {
                return false;
            }
        }
    }
    if ((n = name_at(pattern, name))) {
        for (size_t len = strcspn(s, " "); len > 0; len--) {
            if (match(names, pattern + n, s + len)) {
                g_hash_table_replace(names, g_strdup(name), g_strndup(s, len));
                return true;
            }
        }
        return false;
    }
    if (!*pattern || !*s) {
        return *pattern == *s;
    }
    return *pattern == *s && match(names, pattern + 1, s + 1);
}

bool imap_script_match(const char *pattern, const char *text) {
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    bool fits = match(names, pattern, text);

    g_hash_table_unref(names);
    return fits;
}

G_GNUC_PRINTF(2, 3) static bool player_fail(player *p, const char *format, ...) {
    imap_script *script = p->script;
    const statement *st = &g_array_index(script->statements, statement, p->at);
    va_list args;

    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_free(script->report);
    script->report = g_strdup_printf("%s:%u: %s %s\n  %s\n", script->path, st->line, st->name, st->text, what);
    return false;
}

/* ---- the statements ---- */

static bool play_range(player *p, size_t from, size_t to);

static bool play_send(player *p, const statement *st) {
    g_autoptr(GString) text = expand(p, st->text);

    g_string_append(text, "\r\n");
    wire_send(&p->wire, text->str, text->len);
    return true;
}

static bool play_raw(player *p, const statement *st) {
    g_autoptr(GString) text = expand(p, st->text);

    wire_send(&p->wire, text->str, text->len);
    return true;
}

static bool play_literal(player *p, const statement *st) {
    g_autoptr(GString) text = expand(p, st->text);
    g_autofree char *head = g_strdup_printf("{%zu}\r\n", text->len);

    wire_send(&p->wire, head, strlen(head));
    wire_send(&p->wire, text->str, text->len);
    return true;
}

/* bytes N TEXT: TEXT again and again, N times. */
static bool play_bytes(player *p, const statement *st) {
    char *rest;
    unsigned long n = strtoul(st->text, &rest, 10);
    g_autoptr(GString) one = unescape(*rest ? rest + 1 : "x");
    g_autoptr(GString) many = g_string_new(NULL);

    while (n > 0 && !p->wire.gone) {
        g_string_truncate(many, 0);
        for (; n > 0 && many->len < 65536; n--) {
            g_string_append_len(many, one->str, (gssize)one->len);
        }
        wire_send(&p->wire, many->str, many->len);
    }
    return true;
}

/* Does an "on" answer this line? A later one goes before. */
static bool handled(player *p, const char *line, bool *ok_out) {
    for (size_t i = p->handlers->len; i-- > 0;) {
        size_t at = g_array_index(p->handlers, size_t, i);
        const statement *st = &g_array_index(p->script->statements, statement, at);
        if (match(p->names, st->text, line)) {
            *ok_out = play_range(p, at + 1, st->end);
            return true;
        }
    }
    return false;
}

static bool is_short_enough(player *p, const char *line) {
    const char *most = imap_script_header(p->script, "max-line", 0);

    return !most || strlen(line) + 2 <= strtoul(most, NULL, 10) ||
           player_fail(p, "a line of %zu octets: %.60s...", strlen(line) + 2, line);
}

static bool play_expect(player *p, const statement *st) {
    const char *why = NULL;
    bool ok = true;

    do {
        g_free(p->last_line);
        p->last_line = wire_read_line(&p->wire, &why);
        if (!p->last_line) {
            return player_fail(p, "%s", why);
        }
        if (!is_short_enough(p, p->last_line)) {
            return false;
        }
        if (match(p->names, st->text, p->last_line)) {
            return true;
        }
    } while (handled(p, p->last_line, &ok));
    return player_fail(p, "got: %s", p->last_line);
}

/* The literal that the last line announced. */
static bool play_take_literal(player *p, const statement *st) {
    const char *why = NULL, *open = p->last_line ? strrchr(p->last_line, '{') : NULL;

    (void)st;
    if (!open) {
        return player_fail(p, "no literal was announced: %s", p->last_line ? p->last_line : "");
    }
    return wire_read(&p->wire, strtoul(open + 1, NULL, 10), NULL, &why) || player_fail(p, "%s", why);
}

static bool play_together(player *p, const statement *st) {
    (void)st;
    return wire_has_more(&p->wire) || player_fail(p, "the line before came alone");
}

static bool play_alone(player *p, const statement *st) {
    (void)st;
    return !wire_has_more(&p->wire) || player_fail(p, "more came with the line before");
}

static bool play_split(player *p, const statement *st) {
    p->wire.split = p->wire.always_split ? p->wire.always_split : strtoul(st->text, NULL, 10);
    return true;
}

static bool play_join(player *p, const statement *st) {
    (void)st;
    if (!p->wire.held) {
        p->wire.held = g_string_new(NULL);
    }
    return true;
}

static bool play_send_held(player *p, const statement *st) {
    (void)st;
    wire_flush(&p->wire);
    return true;
}

/* A client that refuses the certificate is one that has closed: "expect-close" follows. */
static bool play_starttls(player *p, const statement *st) {
    (void)st;
    wire_start_tls(&p->wire, p->script->tls);
    return true;
}

static bool play_compress(player *p, const statement *st) {
    (void)st;
    wire_compress(&p->wire);
    return true;
}

static bool play_wire(player *p, const statement *st) {
    g_autoptr(GString) text = expand(p, st->text);

    wire_send_raw(&p->wire, text->str, text->len);
    return true;
}

static bool play_close(player *p, const statement *st) {
    (void)st;
    wire_close(&p->wire, false);
    return true;
}

static bool play_reset(player *p, const statement *st) {
    (void)st;
    wire_close(&p->wire, true);
    return true;
}

static bool play_hang(player *p, const statement *st) {
    (void)st;
    wire_hang(&p->wire);
    return true;
}

static bool play_expect_close(player *p, const statement *st) {
    const char *why = NULL;

    (void)st;
    return wire_wait_closed(&p->wire, false, &why) || player_fail(p, "%s", why);
}

static bool play_drain(player *p, const statement *st) {
    const char *why = NULL;

    (void)st;
    return wire_wait_closed(&p->wire, true, &why) || player_fail(p, "%s", why);
}

static bool accept_client(player *p) {
    const char *tls = imap_script_header(p->script, "tls", 0);

    if (!wire_accept(&p->wire, p->script->listener)) {
        return player_fail(p, "nobody connected");
    }
    if (tls && strcmp(tls, "implicit") == 0) {
        wire_start_tls(&p->wire, p->script->tls);
    }
    return true;
}

static bool play_reconnect(player *p, const statement *st) {
    (void)st;
    return accept_client(p);
}

static bool play_clock(player *p, const statement *st) {
    if (!p->script->options.clock) {
        return player_fail(p, "nobody turns the clock here");
    }
    p->script->options.clock(p->script->options.user, strtoul(st->text, NULL, 10));
    return true;
}

static bool play_await(player *p, const statement *st) {
    if (!p->script->options.await) {
        return player_fail(p, "the client cannot be looked at here");
    }
    return p->script->options.await(p->script->options.user, st->text) || player_fail(p, "it never came");
}

static bool play_repeat(player *p, const statement *st) {
    size_t from = p->at + 1, to = st->end;
    unsigned long times = strtoul(st->text, NULL, 10);

    for (unsigned long i = 1; i <= times; i++) {
        g_hash_table_replace(p->names, g_strdup("n"), g_strdup_printf("%lu", i));
        if (!play_range(p, from, to)) {
            return false;
        }
    }
    p->at = to;
    return true;
}

static bool play_on(player *p, const statement *st) {
    size_t at = p->at;

    g_array_append_val(p->handlers, at);
    p->at = st->end;
    return true;
}

static bool play_end(player *p, const statement *st) {
    (void)p;
    (void)st;
    return true;
}

static const struct {
    const char *word;
    play_fn play;
} words[] = {
    {"S:", play_send},           {"S-:", play_raw},
    {"L:", play_literal},        {"bytes", play_bytes},
    {"C:", play_expect},         {"literal", play_take_literal},
    {"together", play_together}, {"alone", play_alone},
    {"split", play_split},       {"join", play_join},
    {"send", play_send_held},    {"starttls", play_starttls},
    {"close", play_close},       {"reset", play_reset},
    {"hang", play_hang},         {"expect-close", play_expect_close},
    {"drain", play_drain},       {"reconnect", play_reconnect},
    {"clock", play_clock},       {"await", play_await},
    {"repeat", play_repeat},     {"on", play_on},
    {"compress", play_compress}, {"W:", play_wire},
    {"end", play_end},
};

/* From a statement up to, not with, another. */
static bool play_range(player *p, size_t from, size_t to) {
    size_t back = p->at;

    for (p->at = from; p->at < to; p->at++) {
        const statement *st = &g_array_index(p->script->statements, statement, p->at);
        if (!st->play(p, st)) {
            return false;
        }
    }
    p->at = back;
    return true;
}

/* ---- playing ---- */

static gpointer play(gpointer data) {
    imap_script *script = data;
    player p = {.script = script,
                .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
                .handlers = g_array_new(FALSE, FALSE, sizeof(size_t))};
    const char *why;

    wire_init(&p.wire, script->stop_pipe[0]);
    p.wire.always_split = script->options.split;
    script->ok = accept_client(&p) && play_range(&p, 0, script->statements->len);
    wire_flush(&p.wire);
    atomic_store(&script->finished, true);
    if (script->options.finished) {
        script->options.finished(script->options.user);
    }
    if (script->ok) {
        wire_wait_closed(&p.wire, true, &why); /* the client closes when it has seen all of it */
    }
    wire_release(&p.wire);
    g_hash_table_unref(p.names);
    g_array_free(p.handlers, TRUE);
    g_free(p.last_line);
    return NULL;
}

bool imap_script_run(imap_script *script) {
    play(script);
    return script->ok;
}

void imap_script_start(imap_script *script) {
    script->thread = g_thread_new("imap-script", play, script);
}

bool imap_script_finished(const imap_script *script) {
    return atomic_load(&script->finished);
}

bool imap_script_join(imap_script *script) {
    if (script->thread) {
        g_thread_join(script->thread);
        script->thread = NULL;
    }
    return script->ok;
}

const char *imap_script_report(const imap_script *script) {
    return script->report;
}

/* ---- reading a dialogue ---- */

static char *read_dialogue(imap_script *script, const char *path, bool header);

static bool is_open(const statement *st) {
    return (strcmp(st->name, "repeat") == 0 || strcmp(st->name, "on") == 0) && st->end == 0;
}

/* The innermost block still open ends here. */
static bool close_block(imap_script *script) {
    for (size_t i = script->statements->len; i-- > 0;) {
        statement *st = &g_array_index(script->statements, statement, i);
        if (is_open(st)) {
            st->end = script->statements->len;
            return true;
        }
    }
    return false;
}

static char *read_statement(imap_script *script, const char *path, const char *line, unsigned number) {
    size_t len = strcspn(line, " ");
    const char *text = line[len] ? line + len + 1 : line + len;

    if (len == 7 && strncmp(line, "include", 7) == 0) {
        g_autofree char *other = g_build_filename(script->dir, text, NULL);
        return read_dialogue(script, other, false);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (strlen(words[i].word) == len && strncmp(line, words[i].word, len) == 0) {
            const statement st = {.name = words[i].word, .play = words[i].play, .text = g_strdup(text), .line = number};
            if (words[i].play == play_end && !close_block(script)) {
                g_free(st.text);
                return g_strdup_printf("%s:%u: \"end\" without a block", path, number);
            }
            g_array_append_val(script->statements, st);
            return NULL;
        }
    }
    return g_strdup_printf("%s:%u: no such statement: %s", path, number, line);
}

static char *read_header(imap_script *script, const char *path, const char *line, unsigned number) {
    const char *colon = strchr(line, ':');

    if (!colon) {
        return g_strdup_printf("%s:%u: not \"key: value\": %s", path, number, line);
    }
    g_ptr_array_add(script->keys, g_strndup(line, (size_t)(colon - line)));
    g_ptr_array_add(script->values, g_strstrip(g_strdup(colon + 1)));
    return NULL;
}

static char *read_dialogue(imap_script *script, const char *path, bool header) {
    g_autofree char *text = NULL;
    char *why = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return g_strdup_printf("%s: cannot be read", path);
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] && !why; i++) {
        char *line = lines[i];
        while (*line == ' ') {
            line++;
        }
        if (*line == '#' || !*line) {
            continue;
        }
        if (header && strcmp(line, "---") == 0) {
            header = false;
        } else if (header) {
            why = read_header(script, path, line, i + 1);
        } else {
            why = read_statement(script, path, line, i + 1);
        }
    }
    return why;
}

const char *imap_script_header(const imap_script *script, const char *key, unsigned n) {
    for (guint i = 0; i < script->keys->len; i++) {
        if (strcmp(script->keys->pdata[i], key) == 0 && n-- == 0) {
            return script->values->pdata[i];
        }
    }
    return NULL;
}

static bool open_port(imap_script *script) {
    script->listener = wire_listen(&script->port);
    return script->listener >= 0 && pipe2(script->stop_pipe, O_CLOEXEC) == 0;
}

static bool prepare_tls(imap_script *script) {
    const char *tls = imap_script_header(script, "tls", 0), *cert = imap_script_header(script, "cert", 0);

    if (!tls || strcmp(tls, "none") == 0) {
        return true;
    }
    script->tls = cert_context(cert ? cert : "good", script->options.ca_file);
    return script->tls != NULL;
}

imap_script *imap_script_new(const char *path, const imap_script_options *options, char **why_out) {
    imap_script *script = g_new0(imap_script, 1);
    char *why;

    script->options = *options;
    script->path = g_strdup(path);
    script->dir = g_path_get_dirname(path);
    script->keys = g_ptr_array_new_with_free_func(g_free);
    script->values = g_ptr_array_new_with_free_func(g_free);
    script->statements = g_array_new(FALSE, TRUE, sizeof(statement));
    script->listener = script->stop_pipe[0] = script->stop_pipe[1] = -1;
    why = read_dialogue(script, path, true);
    if (!why && !open_port(script)) {
        why = g_strdup_printf("no port: %s", g_strerror(errno));
    }
    if (!why && !prepare_tls(script)) {
        why = g_strdup("no certificate");
    }
    if (why) {
        *why_out = why;
        imap_script_free(script);
        return NULL;
    }
    return script;
}

uint16_t imap_script_port(const imap_script *script) {
    return script->port;
}

void imap_script_free(imap_script *script) {
    const int fds[] = {script->listener, script->stop_pipe[0], script->stop_pipe[1]};

    if (script->thread) {
        ssize_t n = write(script->stop_pipe[1], "x", 1);
        (void)n;
        imap_script_join(script);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    for (guint i = 0; i < script->statements->len; i++) {
        g_free(g_array_index(script->statements, statement, i).text);
    }
    g_array_free(script->statements, TRUE);
    g_ptr_array_free(script->keys, TRUE);
    g_ptr_array_free(script->values, TRUE);
    SSL_CTX_free(script->tls);
    g_free(script->path);
    g_free(script->dir);
    g_free(script->report);
    g_free(script);
}
