#include "tests/script/recording.h"
#include "tests/script/script_priv.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct replay {
    const recording *recording;
    replay_options options;
    int listener, stop_pipe[2];
    uint16_t port;
    GThread *thread;
    atomic_int next; /* step that answers the next command; 0 = whichever fits */
    atomic_uint made_up;
    uint8_t *used; /* ever */
    GMutex lock;   /* for used */
};

/* One connection. */
typedef struct visit {
    replay *server;
    wire wire;
    uint8_t *used;
    char *caps;   /* the last list of capabilities that was told */
    char *idling; /* tag of an IDLE */
    const recorded_step *idle_step;
    bool logged_in, over;
} visit;

/* ---- saying things ---- */

static void say(visit *v, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(visit *v, const char *format, ...) {
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    wire_send(&v->wire, text, strlen(text));
}

/* "CAPABILITY a b c" wherever a reply has it, up to the bracket or the end of the line. */
static void learn_caps(visit *v, const GString *reply) {
    const char *at = strstr(reply->str, "CAPABILITY ");

    if (at) {
        at += strlen("CAPABILITY ");
        g_free(v->caps);
        v->caps = g_strndup(at, strcspn(at, "]\r\n"));
    }
}

static GString *with_tag(const recorded_step *step, const char *tag) {
    GString *out = g_string_new_len(step->reply->str, (gssize)step->reply->len);

    if (step->tag && tag) {
        g_string_replace(out, step->tag, tag, 0);
    }
    return out;
}

static bool has_line(const GString *text, const char *start) {
    size_t len = strlen(start);

    for (const char *line = text->str; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, start, len) == 0) {
            return true;
        }
    }
    return false;
}

static void mark(visit *v, unsigned index) {
    v->used[index] = 1;
    g_mutex_lock(&v->server->lock);
    v->server->used[index] = 1;
    g_mutex_unlock(&v->server->lock);
}

/* The recorded reply, and an end to it where it was cut off. */
static void play_step(visit *v, unsigned index, const recorded_command *command) {
    const recorded_step *step = v->server->recording->steps->pdata[index];
    g_autoptr(GString) reply = with_tag(step, command->tag);
    g_autofree char *tagged = g_strdup_printf("%s ", command->tag), *ok = g_strdup_printf("%sOK", tagged);
    bool waits = has_line(reply, "+ ") && strcmp(command->verb, "IDLE") == 0;

    mark(v, index);
    learn_caps(v, reply);
    wire_send(&v->wire, reply->str, reply->len);
    if (waits && !has_line(reply, tagged)) {
        g_free(v->idling);
        v->idling = g_strdup(command->tag);
        v->idle_step = step;
    } else if (has_line(reply, "* BYE")) {
        v->over = true;
    } else if (!has_line(reply, tagged)) {
        say(v, "%s done\r\n", ok);
    }
    const char *kind = recorded_kind(command->verb);
    if (kind && strcmp(kind, "LOGIN") == 0) {
        v->logged_in = has_line(reply, ok);
    }
    v->over = v->over || strcmp(command->verb, "LOGOUT") == 0;
}

/* ---- what was not recorded ---- */

static bool about_inbox(const recorded_command *command) {
    return strstr(command->args, "INBOX") || strstr(command->args, "Inbox");
}

static void make_up_login(visit *v, const recorded_command *command) {
    g_autofree char *name =
        g_build_filename(v->server->recording->dir, v->server->recording->server, "authenticate.txt", NULL);
    g_autofree char *text = NULL;

    v->logged_in = true;
    if (g_file_get_contents(name, &text, NULL, NULL)) {
        g_autoptr(GString) reply = g_string_new(text);
        g_string_replace(reply, "A########", command->tag, 0);
        learn_caps(v, reply);
        wire_send(&v->wire, reply->str, reply->len);
    } else {
        say(v, "%s OK welcome\r\n", command->tag);
    }
}

static void make_up_list(visit *v, const recorded_command *command) {
    if (g_str_has_suffix(command->args, "\"\" \"\"")) {
        say(v, "* LIST (\\Noselect) \"/\" \"\"\r\n");
    } else if (about_inbox(command) || strpbrk(command->args, "*%")) {
        say(v, "* LIST () \"/\" INBOX\r\n");
    }
    say(v, "%s OK done\r\n", command->tag);
}

static void make_up_select(visit *v, const recorded_command *command) {
    if (!about_inbox(command)) {
        say(v, "%s NO [NONEXISTENT] no such mailbox\r\n", command->tag);
        return;
    }
    say(v, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 0 EXISTS\r\n* 0 RECENT\r\n"
           "* OK [UIDVALIDITY 1] valid\r\n* OK [UIDNEXT 1] next\r\n%s OK [READ-WRITE] done\r\n", command->tag);
}

static void make_up_status(visit *v, const recorded_command *command) {
    if (about_inbox(command)) {
        say(v, "* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n%s OK done\r\n", command->tag);
    } else {
        say(v, "%s NO [NONEXISTENT] no such mailbox\r\n", command->tag);
    }
}

static void make_up_search(visit *v, const recorded_command *command) {
    if (strstr(command->args, "RETURN")) {
        say(v, "* ESEARCH (TAG \"%s\") UID\r\n%s OK done\r\n", command->tag, command->tag);
    } else {
        say(v, "* SEARCH\r\n%s OK done\r\n", command->tag);
    }
}

static void make_up_namespace(visit *v, const recorded_command *command) {
    if (v->caps && strstr(v->caps, "NAMESPACE")) {
        say(v, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK done\r\n", command->tag);
    } else {
        say(v, "%s BAD what?\r\n", command->tag);
    }
}

static void make_up_capability(visit *v, const recorded_command *command) {
    say(v, "* CAPABILITY %s\r\n%s OK done\r\n", v->caps ? v->caps : "IMAP4rev1", command->tag);
}

static void make_up_idle(visit *v, const recorded_command *command) {
    say(v, "+ idling\r\n");
    g_free(v->idling);
    v->idling = g_strdup(command->tag);
    v->idle_step = NULL;
}

static void make_up_logout(visit *v, const recorded_command *command) {
    say(v, "* BYE bye\r\n%s OK bye\r\n", command->tag);
    v->over = true;
}

static void make_up_target(visit *v, const recorded_command *command) {
    say(v, "%s NO [TRYCREATE] no such mailbox\r\n", command->tag);
}

static void make_up_ok(visit *v, const recorded_command *command) {
    say(v, "%s OK done\r\n", command->tag);
}

static const struct {
    const char *kind;
    void (*make_up)(visit *v, const recorded_command *command);
} inventions[] = {
    {"LOGIN", make_up_login},       {"LIST", make_up_list},     {"SELECT", make_up_select},
    {"STATUS", make_up_status},     {"SEARCH", make_up_search}, {"NAMESPACE", make_up_namespace},
    {"CAPABILITY", make_up_capability}, {"IDLE", make_up_idle}, {"LOGOUT", make_up_logout},
    {"COPY", make_up_target},       {"MOVE", make_up_target},   {"NOOP", make_up_ok},
    {"CHECK", make_up_ok},          {"CLOSE", make_up_ok},      {"UNSELECT", make_up_ok},
    {"SUBSCRIBE", make_up_ok},      {"UNSUBSCRIBE", make_up_ok}, {"CREATE", make_up_ok},
    {"EXPUNGE", make_up_ok},        {"STORE", make_up_ok},      {"FETCH", make_up_ok},
    {"APPEND", make_up_ok},         {"NOTIFY", make_up_ok},     {"ID", make_up_ok},
    {"ENABLE", make_up_ok},
};

static void make_up(visit *v, const recorded_command *command) {
    const char *kind = recorded_kind(command->verb);

    atomic_fetch_add(&v->server->made_up, 1);
    for (size_t i = 0; kind && i < G_N_ELEMENTS(inventions); i++) {
        if (strcmp(inventions[i].kind, kind) == 0) {
            inventions[i].make_up(v, command);
            return;
        }
    }
    say(v, "%s BAD what?\r\n", command->tag);
}

/* ---- one command ---- */

/* Where the login stands in the recording; its length if nobody logs in there. */
static guint login_step(const recording *r) {
    for (guint i = 1; i < r->steps->len; i++) {
        const recorded_step *step = r->steps->pdata[i];
        if (g_str_has_prefix(step->command, "LOGIN ") || g_str_has_prefix(step->command, "AUTHENTICATE ")) {
            return i;
        }
    }
    return r->steps->len;
}

/* Capabilities differ before and after the login. */
static int find_capability(const visit *v) {
    const recording *r = v->server->recording;
    guint login = login_step(r);

    for (guint i = v->logged_in ? login + 1 : 1; i < (v->logged_in ? r->steps->len : login); i++) {
        const recorded_step *step = r->steps->pdata[i];
        if (strcmp(step->command, "CAPABILITY") == 0 && !step->cut) {
            return (int)i;
        }
    }
    return -1;
}

static int find_step(visit *v, const recorded_command *command) {
    int forced = atomic_exchange(&v->server->next, 0);

    if (forced) {
        return forced;
    }
    if (strcmp(command->verb, "CAPABILITY") == 0) {
        return find_capability(v);
    }
    int index = recording_find(v->server->recording, command, v->used);
    bool again = index >= 0 && v->used[index];
    return again && strcmp(command->verb, "IDLE") == 0 ? -1 : index; /* news are news once */
}

static bool is_initial_response_missing(const recorded_command *command) {
    return strcmp(command->verb, "AUTHENTICATE") == 0 && !strchr(command->args, ' ');
}

/* Challenges, recorded or needed, up to the step that ends it; -1: what ends it is not known. */
static int go_through_login(visit *v, const recorded_command *command, int index) {
    const GPtrArray *steps = v->server->recording->steps;
    const char *why;
    bool asks = is_initial_response_missing(command);

    for (; index >= 0; index++) {
        const recorded_step *step = (guint)index < steps->len ? steps->pdata[index] : NULL;
        bool more = step && step->go_on;
        if (asks) {
            say(v, "+ \r\n");
            g_free(wire_read_line(&v->wire, &why));
        }
        if (!more) {
            return step && !step->cut ? index : -1;
        }
        mark(v, (unsigned)index);
        asks = asks && index + 1 < (int)steps->len && ((recorded_step *)steps->pdata[index + 1])->go_on;
    }
    if (asks) {
        say(v, "+ \r\n");
        g_free(wire_read_line(&v->wire, &why));
    }
    return -1;
}

static void answer(visit *v, const recorded_command *command) {
    const char *kind = recorded_kind(command->verb);
    int index = find_step(v, command);

    if (kind && strcmp(kind, "LOGIN") == 0) {
        index = go_through_login(v, command, index);
    }
    if (index < 0) {
        make_up(v, command);
    } else {
        play_step(v, (unsigned)index, command);
    }
}

/* "gmail/idle.txt" is followed by "gmail/idle-done.txt". */
static void end_idle(visit *v) {
    g_autofree char *tag = g_steal_pointer(&v->idling), *text = NULL, *path = NULL;

    if (v->idle_step && g_str_has_suffix(v->idle_step->from, ".txt")) {
        g_autofree char *base = g_strndup(v->idle_step->from, strlen(v->idle_step->from) - 4);
        path = g_strdup_printf("%s/%s-done.txt", v->server->recording->dir, base);
    }
    if (path && g_file_get_contents(path, &text, NULL, NULL)) {
        g_autoptr(GString) reply = g_string_new(text);
        g_string_replace(reply, "A########", tag, 0);
        wire_send(&v->wire, reply->str, reply->len);
    } else {
        say(v, "%s OK done\r\n", tag);
    }
}

/* A whole command: what its literals hold is part of the text. NULL: the client is gone. */
static char *read_command(visit *v) {
    GString *text = g_string_new(NULL);
    const char *why;

    for (;;) {
        g_autofree char *line = wire_read_line(&v->wire, &why);
        if (!line) {
            g_string_free(text, TRUE);
            return NULL;
        }
        g_string_append(text, line);
        const char *open = strrchr(line, '{');
        size_t len = strlen(line);
        if (!open || line[len - 1] != '}') {
            return g_string_free(text, FALSE);
        }
        if (line[len - 2] != '+' && line[len - 2] != '-') {
            say(v, "+ go ahead\r\n");
        }
        if (!wire_read(&v->wire, strtoul(open + 1, NULL, 10), text, &why)) {
            g_string_free(text, TRUE);
            return NULL;
        }
    }
}

static void serve(visit *v) {
    const recorded_step *greeting = v->server->recording->steps->pdata[0];
    char *line;

    mark(v, 0);
    v->logged_in = g_str_has_prefix(greeting->reply->str, "* PREAUTH");
    learn_caps(v, greeting->reply);
    wire_send(&v->wire, greeting->reply->str, greeting->reply->len);
    while (!v->over && (line = read_command(v))) {
        recorded_command command;
        if (v->idling && g_ascii_strcasecmp(line, "DONE") == 0) {
            end_idle(v);
        } else {
            recorded_command_parse(line, &command);
            answer(v, &command);
            recorded_command_release(&command);
        }
        g_free(line);
    }
}

/* ---- connections ---- */

static gpointer receive(gpointer data) {
    visit *v = data;
    replay *s = v->server;

    serve(v);
    wire_release(&v->wire);
    if (s->options.finished) {
        s->options.finished(s->options.user);
    }
    g_free(v->used);
    g_free(v->caps);
    g_free(v->idling);
    g_free(v);
    return NULL;
}

static gpointer listen_for_clients(gpointer data) {
    replay *s = data;

    do {
        visit *v = g_new0(visit, 1);
        v->server = s;
        v->used = g_new0(uint8_t, s->recording->steps->len);
        wire_init(&v->wire, s->stop_pipe[0]);
        v->wire.patient = true;
        if (!wire_accept(&v->wire, s->listener)) {
            wire_release(&v->wire);
            g_free(v->used);
            g_free(v);
            return NULL;
        }
        if (s->options.again) {
            g_thread_unref(g_thread_new("replay-visit", receive, v));
        } else {
            receive(v);
        }
    } while (s->options.again);
    return NULL;
}

void replay_run(replay *s) {
    listen_for_clients(s);
}

void replay_start(replay *s) {
    s->thread = g_thread_new("replay", listen_for_clients, s);
}

replay *replay_new(const recording *r, const replay_options *options, char **why_out) {
    replay *s = g_new0(replay, 1);

    s->recording = r;
    s->options = *options;
    s->used = g_new0(uint8_t, r->steps->len);
    g_mutex_init(&s->lock);
    s->listener = wire_listen(&s->port);
    if (s->listener < 0 || pipe2(s->stop_pipe, O_CLOEXEC) != 0) {
        *why_out = g_strdup("no port");
        g_free(s->used);
        g_free(s);
        return NULL;
    }
    return s;
}

uint16_t replay_port(const replay *s) {
    return s->port;
}

void replay_answer_next(replay *s, unsigned step) {
    atomic_store(&s->next, (int)step);
}

bool replay_used(replay *s, unsigned step) {
    g_mutex_lock(&s->lock);
    bool used = s->used[step];
    g_mutex_unlock(&s->lock);
    return used;
}

unsigned replay_made_up(const replay *s) {
    return atomic_load(&s->made_up);
}

void replay_free(replay *s) {
    if (!s) {
        return;
    }
    if (s->thread) {
        ssize_t n = write(s->stop_pipe[1], "x", 1);
        (void)n;
        g_thread_join(s->thread);
    }
    close(s->listener);
    close(s->stop_pipe[0]);
    close(s->stop_pipe[1]);
    g_mutex_clear(&s->lock);
    g_free(s->used);
    g_free(s);
}
