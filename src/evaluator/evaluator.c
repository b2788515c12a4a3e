#include "evaluator/evaluator.h"

#include "lockdown_priv.h"
#include "mail/runtime.h"
#include "serve_priv.h"
#include "title_priv.h"
#include "wire/nursery.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct nursery {
    struct evaluator evaluator; /* holds the rules; becomes the forked process's own */
    mail_runtime *runtime;
    int fd;          /* requests and notices */
    int children;    /* signalfd */
    uint64_t memory; /* of an evaluator, bytes */
    GHashTable *ids; /* pid -> &id */
    bool loaded;
    bool is_over;  /* the keeper has closed */
    bool is_child; /* forked: an evaluator from here on */
};

/* --- loading ------------------------------------------------------------------------------------------------------ */

static void add_mistake(wire_message *config, const char *path, const char *text) {
    wire_config *c = &config->u.config;

    c->mistakes = wire_array(config, wire_mistake, 1);
    c->mistakes[0].text = wire_str(config, text);
    c->mistakes[0].place.file = wire_str(config, path);
    c->n_mistakes = 1;
}

static void load(struct nursery *n, const wire_load *load) {
    struct evaluator *e = &n->evaluator;
    wire_message *config = wire_message_new(WIRE_CONFIG);
    error *err = rules_load(load->path, load->check_only, &e->host, config, &e->rules);

    if (err) {
        add_mistake(config, load->path, err->text);
        error_free(err);
    }
    n->loaded = true;
    n->memory = config->u.config.limits.evaluator_memory;
    serve_give_up(e, serve_put(e, config));
    serve_flush(e);
}

static void on_message(struct evaluator *e, wire_message *m) {
    struct nursery *n = (struct nursery *)(void *)((char *)e - offsetof(struct nursery, evaluator));

    if (m->type == WIRE_LOAD && !n->loaded && m->u.load.version == WIRE_VERSION) {
        load(n, &m->u.load);
    } else {
        serve_give_up(e, error_new(ERROR_PROTOCOL, "unexpected %s frame, or another version", wire_type_name(m->type)));
    }
    wire_message_free(m);
}

static void on_readable(struct nursery *n) {
    char buffer[4096];
    ssize_t len = read(n->evaluator.fd, buffer, sizeof buffer);

    if (len > 0) {
        serve_feed(&n->evaluator, buffer, (size_t)len, on_message);
    } else if (len == 0) {
        n->is_over = true;
    } else {
        n->evaluator.failed = errno != EINTR;
    }
}

/* --- children ----------------------------------------------------------------------------------------------------- */

static void notify_death(struct nursery *n, uint64_t id, int status, int signum) {
    struct nursery_notice notice = {.event = NURSERY_DEAD, .id = id, .status = status, .signum = signum};

    if (send(n->fd, &notice, sizeof notice, 0) != sizeof notice) {
        n->is_over = true;
    }
}

static error *become_evaluator(struct nursery *n, pid_t parent, int fd, int board_fd) {
    struct evaluator *e = &n->evaluator;
    sigset_t none;

    n->is_child = true;
    close(n->fd);
    close(e->fd);
    close(n->children);
    serve_begin(e, fd);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Not inherited; and the parent may have died before it was asked for. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        return error_new(ERROR_CANCELLED, "the nursery is gone");
    }
    wire_board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
    close(board_fd);
    if (board == MAP_FAILED) {
        return error_new(ERROR_IO, "board: %s", g_strerror(errno));
    }
    e->board = board;
    title_set("mailruled: evaluator");
    return lockdown_final(n->memory);
}

static void tell_ready(struct evaluator *e) {
    wire_message *m = wire_message_new(WIRE_READY);

    m->u.ready.pid = (uint32_t)getpid();
    serve_give_up(e, serve_put(e, m));
    serve_flush(e);
}

static void fork_evaluator(struct nursery *n, uint64_t id, int fd, int board_fd) {
    pid_t parent = getpid();
    pid_t pid = n->evaluator.rules ? fork() : -1;

    if (pid == 0) {
        serve_give_up(&n->evaluator, become_evaluator(n, parent, fd, board_fd));
        tell_ready(&n->evaluator);
        return;
    }
    close(fd);
    close(board_fd);
    if (pid > 0) {
        g_hash_table_insert(n->ids, GINT_TO_POINTER(pid), g_memdup2(&id, sizeof id));
    } else {
        notify_death(n, id, 1, 0);
    }
}

static void kill_evaluator(struct nursery *n, uint64_t id) {
    GHashTableIter iter;
    gpointer pid, known;

    g_hash_table_iter_init(&iter, n->ids);
    while (g_hash_table_iter_next(&iter, &pid, &known)) {
        if (*(uint64_t *)known == id) {
            kill(GPOINTER_TO_INT(pid), SIGKILL);
        }
    }
}

static void on_request(struct nursery *n) {
    struct nursery_request request;
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {&request, sizeof request};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t len = recvmsg(n->fd, &header, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = len == sizeof request ? CMSG_FIRSTHDR(&header) : NULL;
    int fds[2];

    if (len == 0) {
        n->is_over = true;
    } else if (len != sizeof request) {
        n->evaluator.failed = len > 0 || errno != EINTR;
    } else if (request.op == NURSERY_KILL) {
        kill_evaluator(n, request.id);
    } else if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fds)) {
        memcpy(fds, CMSG_DATA(c), sizeof fds);
        fork_evaluator(n, request.id, fds[0], fds[1]);
    }
}

static void on_children(struct nursery *n) {
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    if (read(n->children, &info, sizeof info) < 0 && errno != EAGAIN) {
        return;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        const uint64_t *id = g_hash_table_lookup(n->ids, GINT_TO_POINTER(pid));
        bool killed = WIFSIGNALED(status);
        if (id) {
            notify_death(n, *id, killed ? -1 : WEXITSTATUS(status), killed ? WTERMSIG(status) : 0);
            g_hash_table_remove(n->ids, GINT_TO_POINTER(pid));
        }
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void nurse(struct nursery *n) {
    struct pollfd p[] = {{.fd = n->evaluator.fd, .events = POLLIN},
                         {.fd = n->fd, .events = POLLIN},
                         {.fd = n->children, .events = POLLIN}};
    void (*const handlers[])(struct nursery *) = {on_readable, on_request, on_children};

    while (!n->evaluator.failed && !n->is_over && !n->is_child) {
        int ready = poll(p, G_N_ELEMENTS(p), -1);
        if (ready < 0 && errno != EINTR) {
            return;
        }
        for (size_t i = 0; ready > 0 && i < G_N_ELEMENTS(p) && !n->is_child; i++) {
            if (p[i].revents) {
                handlers[i](n);
            }
        }
    }
}

static error *init(struct nursery *n, int fd, int nursery_fd) {
    sigset_t child;

    serve_init(&n->evaluator, fd);
    n->fd = nursery_fd;
    n->ids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    n->children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (n->children < 0) {
        return error_new(ERROR_IO, "signalfd: %s", g_strerror(errno));
    }
    error *err = lockdown_early();
    if (!err) {
        n->runtime = mail_runtime_new();
    }
    return err;
}

int evaluator_main(int fd, int nursery_fd) {
    struct nursery n = {0};

    title_set("mailruled: nursery");
    serve_give_up(&n.evaluator, init(&n, fd, nursery_fd));
    nurse(&n);
    if (n.is_child) {
        serve_jobs(&n.evaluator);
    }
    g_hash_table_destroy(n.ids);
    serve_release(&n.evaluator);
    rules_free(n.evaluator.rules);
    mail_runtime_free(n.runtime);
    return n.evaluator.failed;
}
