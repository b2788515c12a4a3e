#include "pool_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- frames: LOAD out, CONFIG and LOG in -------------------------------------------------------------------------- */

static error *send_load(struct generation *g) {
    wire_message *m = wire_message_new(WIRE_LOAD);
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    m->u.load.version = WIRE_VERSION;
    m->u.load.path = wire_str(m, g->p->path);
    m->u.load.check_only = g->p->options.check_only;
    error *err = wire_encode(m, bytes);
    wire_message_free(m);
    if (!err) {
        stream_write(g->stream, bytes->data, bytes->len);
    }
    return err;
}

static void on_frame(struct generation *g, wire_message *m) {
    if (m->type == WIRE_LOG) {
        pool_log(g->p, m);
    } else if (m->type == WIRE_CONFIG && !g->config && !g->dead) {
        pool_on_loaded(g, m);
    } else {
        generation_give_up(g, g_strdup("sent a frame out of turn"));
        wire_message_free(m);
    }
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    struct generation *g = generation_ref(user);
    enum wire_result result = WIRE_HAVE;

    wire_decoder_feed(g->in, bytes, len);
    while (result == WIRE_HAVE && g->refs > 1) {
        wire_message *m = NULL;
        error *err = NULL;
        result = wire_decoder_next(g->in, &m, &err);
        if (result == WIRE_HAVE) {
            on_frame(g, m);
        } else if (result == WIRE_BAD) {
            generation_give_up(g, g_strdup_printf("sent %s", err->text));
            error_free(err);
        }
    }
    generation_unref(g);
}

/* --- requests and notices ----------------------------------------------------------------------------------------- */

static struct worker *find_worker(const pool *p, uint64_t id) {
    for (guint i = 0; i < p->workers->len; i++) {
        struct worker *w = p->workers->pdata[i];
        if (w->id == id) {
            return w;
        }
    }
    return NULL;
}

static void on_notices(void *user, int events) {
    struct generation *g = generation_ref(user);
    struct nursery_notice notice;

    (void)events;
    for (ssize_t n = 1; n > 0 && g->refs > 1;) {
        n = recv(g->fd, &notice, sizeof notice, MSG_DONTWAIT);
        struct worker *w = n == sizeof notice ? find_worker(g->p, notice.id) : NULL;
        if (w) {
            worker_on_exit(w, notice.status, notice.signum);
        }
        if (n == 0) {
            loop_watch_set(g->watch, 0); /* it has ended: its exit status comes, or has come */
        }
    }
    generation_unref(g);
}

error *generation_fork(struct generation *g, uint64_t id, int fd, int board_fd) {
    struct nursery_request request = {.op = NURSERY_FORK, .id = id};
    const int fds[2] = {fd, board_fd};
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {&request, sizeof request};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    if (sendmsg(g->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        return error_new(ERROR_IO, "asking for an evaluator: %s", g_strerror(errno));
    }
    return NULL;
}

void generation_kill(struct generation *g, uint64_t id) {
    struct nursery_request request = {.op = NURSERY_KILL, .id = id};

    if (send(g->fd, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        generation_give_up(g, NULL); /* takes its evaluators along */
    }
}

/* --- the nursery's process ---------------------------------------------------------------------------------------- */

void generation_give_up(struct generation *g, char *reason) {
    if (g->reason) {
        g_free(reason);
    } else {
        g->reason = reason;
    }
    process_kill(g->process, SIGKILL);
}

/* Its evaluators went with it, and nobody is left to say how. */
static void lose_workers(struct generation *g) {
    pool *p = g->p;

    for (guint i = p->workers->len; i-- > 0;) {
        struct worker *w = p->workers->pdata[i];
        if (w->generation == g && !w->exited) {
            worker_on_exit(w, -1, SIGKILL);
            i = MIN(i, p->workers->len);
        }
    }
}

static void on_exit_status(void *user, int status, int signum) {
    struct generation *g = generation_ref(user);
    const char *why = g->reason;

    on_notices(g, 0); /* what it told before */
    g->dead = true;
    g_autofree char *how = why      ? g_strdup(why)
                           : signum ? g_strdup_printf("was killed by signal %d", signum)
                                    : g_strdup_printf("ended with status %d", status);
    lose_workers(g);
    pool_on_nursery_lost(g, error_new(ERROR_DEADLINE, "the evaluator that read the config %s", how));
    generation_unref(g);
}

static void on_closed(void *user, error *err) {
    error_free(err);
    generation_give_up(user, NULL);
}

/* What a process needs to read a config and dates; nothing that could be a secret. */
static char **make_env(void) {
    static const char *const names[] = {"LANG",         "LC_ALL",        "LC_CTYPE",     "TZ",
                                        "HOME",         "ASAN_OPTIONS",  "UBSAN_OPTIONS", "LSAN_OPTIONS",
                                        "MAILRULED_LIBDIR"};
    char **env = g_new0(char *, G_N_ELEMENTS(names) + 1);
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *value = getenv(names[i]);
        if (value) {
            env[n++] = g_strdup_printf("%s=%s", names[i], value);
        }
    }
    return env;
}

static error *spawn(struct generation *g, int wire_fd, int nursery_fd) {
    const char *argv[] = {g->p->executable, "evaluator", NULL};
    char **env = make_env();
    process_options options = {.argv = argv,
                               .env = (const char *const *)env,
                               .out = -1,
                               .err = 2,
                               .fds = {wire_fd, nursery_fd},
                               .fd_count = 2};
    error *err = process_spawn(g->p->options.loop, &options, on_exit_status, g, &g->process);

    g_strfreev(env);
    return error_prefix(err, "starting an evaluator");
}

static error *begin(struct generation *g) {
    static const stream_events events = {.on_data = on_data, .on_closed = on_closed};
    int wire[2] = {-1, -1}, nursery[2] = {-1, -1};
    error *err = NULL;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, nursery) != 0) {
        err = error_new(ERROR_IO, "evaluator socket: %s", g_strerror(errno));
    }
    g->fd = nursery[0];
    if (!err) {
        err = stream_new(g->p->options.loop, wire[0], NULL, &events, g, &g->stream);
        wire[0] = -1;
    }
    if (!err) {
        err = loop_watch_new(g->p->options.loop, g->fd, on_notices, g, &g->watch);
    }
    if (!err) {
        loop_watch_set(g->watch, LOOP_READABLE);
        err = spawn(g, wire[1], nursery[1]);
    }
    const int spare[] = {wire[0], wire[1], nursery[1]};
    for (size_t i = 0; i < G_N_ELEMENTS(spare); i++) {
        if (spare[i] >= 0) {
            close(spare[i]);
        }
    }
    return err ? err : send_load(g);
}

error *generation_new(pool *p, struct generation **generation_out) {
    struct generation *g = g_new0(struct generation, 1);

    g->refs = 1;
    g->p = p;
    g->fd = -1;
    g->in = wire_decoder_new();
    error *err = begin(g);
    if (err) {
        generation_unref(g);
        return err;
    }
    *generation_out = g;
    watch_start(p);
    return NULL;
}

struct generation *generation_ref(struct generation *g) {
    g->refs++;
    return g;
}

void generation_unref(struct generation *g) {
    if (!g || --g->refs) {
        return;
    }
    process_free(g->process);
    stream_free(g->stream);
    loop_watch_free(g->watch);
    if (g->fd >= 0) {
        close(g->fd);
    }
    wire_decoder_free(g->in);
    wire_message_free(g->config);
    g_free(g->reason);
    g_free(g);
}
