/*
 * tests/unit/daemon/fake_nursery.h - evaluators that misbehave on purpose. A test of the pool is its own nursery:
 * started with the argument "evaluator" it reads the config, forks, and does with each message what the message's
 * folder says. The config is a file of words: the names of rules, or "mistake", "dies" (while reading), "unfit"
 * (evaluators are never ready).
 */
#ifndef TESTS_UNIT_DAEMON_FAKE_NURSERY_H
#define TESTS_UNIT_DAEMON_FAKE_NURSERY_H

#include "base/limits.h"
#include "wire/board.h"
#include "wire/frame.h"
#include "wire/nursery.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 100

struct fake {
    wire_board *board;
    char *config;
    uint64_t ids[100]; /* of children, by order of birth */
    pid_t pids[100];
    unsigned n;
};

static int wire_fd = WIRE_FD;

static inline void send_message(wire_message *m) {
    GByteArray *out = g_byte_array_new();

    if (wire_encode(m, out) || write(wire_fd, out->data, out->len) != (ssize_t)out->len) {
        _exit(9);
    }
    g_byte_array_free(out, TRUE);
    wire_message_free(m);
}

static inline void spin(void) {
    for (volatile unsigned i = 0;; i++) {
    }
}

static inline void fake_load(struct fake *f, const wire_load *load) {
    wire_message *m = wire_message_new(WIRE_CONFIG);
    wire_config *c = &m->u.config;

    if (!g_file_get_contents(load->path, &f->config, NULL, NULL) || strcmp(f->config, "dies") == 0) {
        abort();
    }
    c->limits = (struct limits)LIMITS_DEFAULT;
    c->limits.deadline = strcmp(f->config, "patient b") == 0 ? 10 * DEADLINE_MS : DEADLINE_MS;
    g_auto(GStrv) words = g_strsplit(f->config, " ", -1);
    c->n_rules = g_strv_length(words);
    c->rules = wire_array(m, wire_rule, c->n_rules);
    for (size_t i = 0; i < c->n_rules; i++) {
        c->rules[i].name = wire_str(m, words[i]);
        c->rules[i].place = (wire_place){wire_str(m, "rules.lua"), (uint32_t)i + 1};
    }
    if (strcmp(f->config, "mistake") == 0) {
        c->mistakes = wire_array(m, wire_mistake, 1);
        c->mistakes->text = wire_str(m, "no such key");
        c->n_mistakes = 1;
    }
    send_message(m);
}

static inline char *own_pid(wire_message *m) {
    char text[32];

    g_snprintf(text, sizeof text, "%d", (int)getpid());
    return wire_str(m, text);
}

static inline void send_need(uint64_t job) {
    wire_message *m = wire_message_new(WIRE_NEED);

    m->u.need.job = job;
    m->u.need.kind = WIRE_NEED_HEADER;
    m->u.need.rule = own_pid(m);
    send_message(m);
}

static inline void send_plan(struct fake *f, uint64_t job, wire_bytes data) {
    wire_message *m = wire_message_new(WIRE_PLAN);

    m->u.plan.job = job;
    m->u.plan.identity = own_pid(m);
    m->u.plan.message_id = wire_str(m, f->config);
    m->u.plan.subject = wire_strn(m, (const char *)data.data, data.len);
    send_message(m);
}

static inline void send_fail(uint64_t job) {
    wire_message *m = wire_message_new(WIRE_FAIL);

    m->u.fail.job = job;
    m->u.fail.error.text = wire_str(m, "a rule's own error");
    send_message(m);
}

static inline void fake_eval(struct fake *f, const wire_eval *e) {
    f->board->job = e->job;
    f->board->rule = 1;
    f->board->phase = WIRE_PHASE_RULE;
    f->board->turn++;
    if (strcmp(e->folder, "spin") == 0) {
        spin();
    } else if (strcmp(e->folder, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    } else if (strcmp(e->folder, "need") == 0) {
        send_need(e->job);
    } else if (strcmp(e->folder, "deaf") == 0) {
        f->board->phase = WIRE_PHASE_IDLE;
        send_need(e->job);
        pause();
    } else if (strcmp(e->folder, "fail") == 0) {
        send_fail(e->job);
    } else if (strcmp(e->folder, "garbage") == 0) {
        f->board->phase = WIRE_PHASE_IDLE;
        (void)!write(wire_fd, "\0\0\0\1\xc1", 5);
        pause();
    } else if (strcmp(e->folder, "nursery") == 0) {
        kill(getppid(), SIGKILL);
        _exit(4);
    } else if (strcmp(e->folder, "vanish") == 0) {
        f->board->phase = WIRE_PHASE_IDLE;
        _exit(3);
    } else {
        send_plan(f, e->job, e->data);
    }
    f->board->phase = WIRE_PHASE_IDLE;
}

static inline void fake_scope(const wire_scope *s) {
    wire_message *m = wire_message_new(WIRE_SCOPE_REPLY);

    m->u.scope_reply.job = s->job;
    m->u.scope_reply.rules = 7;
    send_message(m);
}

static inline int fake_evaluator(struct fake *f, int fd, int board_fd) {
    wire_decoder *in = wire_decoder_new();
    char buffer[4096];
    wire_message *m;
    error *err;
    ssize_t n;

    wire_fd = fd;
    if (strcmp(f->config, "unfit") == 0) {
        return 1;
    }
    m = wire_message_new(WIRE_READY);
    m->u.ready.pid = (uint32_t)getpid();
    send_message(m);
    f->board = mmap(NULL, sizeof(wire_board), PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
    while ((n = read(wire_fd, buffer, sizeof buffer)) > 0) {
        f->board->reads++;
        wire_decoder_feed(in, buffer, (size_t)n);
        while (wire_decoder_next(in, &m, &err) == WIRE_HAVE) {
            if (m->type == WIRE_EVAL) {
                fake_eval(f, &m->u.eval);
            } else if (m->type == WIRE_ANSWER) {
                send_plan(f, m->u.answer.job, m->u.answer.data);
            } else if (m->type == WIRE_SCOPE) {
                fake_scope(&m->u.scope);
            }
            wire_message_free(m);
        }
    }
    return 0;
}

static inline void notify_death(uint64_t id, int status) {
    struct nursery_notice notice = {.event = NURSERY_DEAD, .id = id};

    notice.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    notice.signum = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (send(WIRE_NURSERY_FD, &notice, sizeof notice, 0) < 0) {
        _exit(8);
    }
}

static inline void fake_request(struct fake *f) {
    struct nursery_request request;
    char control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec part = {&request, sizeof request};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fds[2];

    if (recvmsg(WIRE_NURSERY_FD, &header, 0) != sizeof request) {
        _exit(0);
    }
    if (request.op == NURSERY_KILL) {
        for (unsigned i = 0; i < f->n; i++) {
            if (f->ids[i] == request.id && f->pids[i]) {
                kill(f->pids[i], SIGKILL);
            }
        }
        return;
    }
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof fds);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(WIRE_FD);
        close(WIRE_NURSERY_FD);
        _exit(fake_evaluator(f, fds[0], fds[1]));
    }
    close(fds[0]);
    close(fds[1]);
    f->ids[f->n] = request.id;
    f->pids[f->n++] = pid;
}

static inline void fake_reap(struct fake *f, int signals) {
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    (void)!read(signals, &info, sizeof info);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned i = 0; i < f->n; i++) {
            if (f->pids[i] == pid) {
                f->pids[i] = 0;
                notify_death(f->ids[i], status);
            }
        }
    }
}

static inline void fake_read_load(struct fake *f, wire_decoder *in) {
    char buffer[4096];
    wire_message *m;
    error *err;
    ssize_t n = read(WIRE_FD, buffer, sizeof buffer);

    if (n <= 0) {
        _exit(0);
    }
    wire_decoder_feed(in, buffer, (size_t)n);
    if (wire_decoder_next(in, &m, &err) == WIRE_HAVE) {
        fake_load(f, &m->u.load);
        wire_message_free(m);
    }
}

static inline int fake_nursery(void) {
    struct fake f = {0};
    wire_decoder *in = wire_decoder_new();
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    struct pollfd p[] = {{.fd = WIRE_FD, .events = POLLIN},
                         {.fd = WIRE_NURSERY_FD, .events = POLLIN},
                         {.fd = signalfd(-1, &child, SFD_NONBLOCK), .events = POLLIN}};
    while (poll(p, 3, -1) > 0) {
        if (p[0].revents) {
            fake_read_load(&f, in);
        }
        if (p[1].revents) {
            fake_request(&f);
        }
        if (p[2].revents) {
            fake_reap(&f, p[2].fd);
        }
    }
    return 0;
}

#endif
