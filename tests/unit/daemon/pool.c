/*
 * The pool against evaluators that misbehave on purpose. This program is its own nursery: started with the argument
 * "evaluator" it reads the config, forks, and does with each message what the message's folder says. The config is a
 * file of words: the names of rules, or "mistake", "dies" (while reading), "unfit" (evaluators are never ready).
 */
#include "daemon/pool.h"
#include "tests/unit/unit.h"
#include "wire/board.h"
#include "wire/frame.h"
#include "wire/nursery.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE_MS 100

/* --- the evaluator ------------------------------------------------------------------------------------------------ */

struct fake {
    wire_board *board;
    char *config;
    uint64_t ids[100]; /* of children, by order of birth */
    pid_t pids[100];
    unsigned n;
};

static int wire_fd = WIRE_FD;

static void send_message(wire_message *m) {
    GByteArray *out = g_byte_array_new();

    if (wire_encode(m, out) || write(wire_fd, out->data, out->len) != (ssize_t)out->len) {
        _exit(9);
    }
    g_byte_array_free(out, TRUE);
    wire_message_free(m);
}

static void spin(void) {
    for (volatile unsigned i = 0;; i++) {
    }
}

static void fake_load(struct fake *f, const wire_load *load) {
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

static char *own_pid(wire_message *m) {
    char text[32];

    g_snprintf(text, sizeof text, "%d", (int)getpid());
    return wire_str(m, text);
}

static void send_need(uint64_t job) {
    wire_message *m = wire_message_new(WIRE_NEED);

    m->u.need.job = job;
    m->u.need.kind = WIRE_NEED_HEADER;
    m->u.need.rule = own_pid(m);
    send_message(m);
}

static void send_plan(struct fake *f, uint64_t job, wire_bytes data) {
    wire_message *m = wire_message_new(WIRE_PLAN);

    m->u.plan.job = job;
    m->u.plan.identity = own_pid(m);
    m->u.plan.message_id = wire_str(m, f->config);
    m->u.plan.subject = wire_strn(m, (const char *)data.data, data.len);
    send_message(m);
}

static void send_fail(uint64_t job) {
    wire_message *m = wire_message_new(WIRE_FAIL);

    m->u.fail.job = job;
    m->u.fail.error.text = wire_str(m, "a rule's own error");
    send_message(m);
}

static void fake_eval(struct fake *f, const wire_eval *e) {
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

static void fake_scope(const wire_scope *s) {
    wire_message *m = wire_message_new(WIRE_SCOPE_REPLY);

    m->u.scope_reply.job = s->job;
    m->u.scope_reply.rules = 7;
    send_message(m);
}

static int fake_evaluator(struct fake *f, int fd, int board_fd) {
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

static void notify_death(uint64_t id, int status) {
    struct nursery_notice notice = {.event = NURSERY_DEAD, .id = id};

    notice.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    notice.signum = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (send(WIRE_NURSERY_FD, &notice, sizeof notice, 0) < 0) {
        _exit(8);
    }
}

static void fake_request(struct fake *f) {
    struct nursery_request request;
    char control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec part = {&request, sizeof request};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
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

static void fake_reap(struct fake *f, int signals) {
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

static void fake_read_load(struct fake *f, wire_decoder *in) {
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

static int fake_nursery(void) {
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

/* --- the fixture -------------------------------------------------------------------------------------------------- */

struct fixture {
    clock_source clock;
    event_loop *loop;
    pool *pool;
    char *path;
    unsigned loaded, refused, rooms;
    bool refused_with_config;
    GString *order; /* first letters of the accounts, as their jobs end */
};

struct message {
    struct fixture *f;
    uint64_t job;
    char account[16];
    unsigned needs, plans, fails, deaths;
    int pid; /* of the evaluator that asked or planned last */
    char config[64], subject[64], reason[128], rule[32];
    uint32_t line;
};

static void on_loaded(void *user, wire_message *config) {
    ((struct fixture *)user)->loaded++;
    wire_message_free(config);
}

static void on_refused(void *user, wire_message *config, error *err) {
    struct fixture *f = user;

    f->refused++;
    f->refused_with_config = config != NULL;
    assert_true((config == NULL) == (err != NULL));
    wire_message_free(config);
    error_free(err);
}

static void on_room(void *user) {
    ((struct fixture *)user)->rooms++;
}

static void on_need(void *user, wire_message *m) {
    struct message *msg = user;

    msg->needs++;
    msg->pid = atoi(m->u.need.rule);
    wire_message_free(m);
}

static void on_plan(void *user, wire_message *m) {
    struct message *msg = user;

    msg->plans++;
    msg->pid = atoi(m->u.plan.identity);
    g_strlcpy(msg->config, m->u.plan.message_id, sizeof msg->config);
    g_strlcpy(msg->subject, m->u.plan.subject ? m->u.plan.subject : "", sizeof msg->subject);
    g_string_append_c(msg->f->order, msg->account[0]);
    wire_message_free(m);
}

static void on_fail(void *user, wire_message *m) {
    ((struct message *)user)->fails++;
    wire_message_free(m);
}

static void on_died(void *user, const pool_death *death) {
    struct message *msg = user;

    msg->deaths++;
    g_strlcpy(msg->reason, death->reason, sizeof msg->reason);
    g_strlcpy(msg->rule, death->rule ? death->rule : "", sizeof msg->rule);
    msg->line = death->place.line;
}

static void write_config(struct fixture *f, const char *text) {
    assert_true(g_file_set_contents(f->path, text, -1, NULL));
}

static void turn_until(struct fixture *f, const unsigned *counter, unsigned value) {
    while (*counter < value) {
        assert_true(loop_turn(f->loop, true));
    }
}

static void begin(struct fixture *f, const char *config, unsigned size, unsigned window) {
    static const pool_events events = {on_loaded, on_refused, on_room};
    pool_options options = {.executable = "/proc/self/exe", .size = size, .window = window};

    memset(f, 0, sizeof *f);
    f->order = g_string_new(NULL);
    f->path = g_strdup("/tmp/pool-config-XXXXXX");
    close(g_mkstemp(f->path));
    write_config(f, config);
    clock_init_real(&f->clock);
    assert_null(loop_new(&f->clock, &f->loop));
    options.loop = f->loop;
    options.config = f->path;
    error *err = pool_new(&options, &events, f, &f->pool);
    if (err) {
        fail_msg("%s", err->text);
    }
}

static void end(struct fixture *f) {
    pool_free(f->pool);
    loop_free(f->loop);
    unlink(f->path);
    g_free(f->path);
    g_string_free(f->order, TRUE);
}

static void submit(struct fixture *f, struct message *msg, const char *account, const char *folder, unsigned attempt) {
    static const pool_job_events events = {on_need, on_plan, on_fail, on_died};
    wire_message *m = wire_message_new(WIRE_EVAL);

    memset(msg, 0, sizeof *msg);
    msg->f = f;
    g_strlcpy(msg->account, account, sizeof msg->account);
    m->u.eval.account = wire_str(m, account);
    m->u.eval.folder = wire_str(m, folder);
    assert_null(pool_submit(f->pool, m, attempt, &events, msg, &msg->job));
}

static void answer(struct fixture *f, const struct message *msg, const char *text) {
    wire_message *m = wire_message_new(WIRE_ANSWER);

    m->u.answer.data = wire_copy(m, text, strlen(text));
    pool_answer(f->pool, msg->job, m);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void a_job_ends_with_the_plan_or_the_failure_of_its_rules(void **state) {
    struct fixture f;
    struct message good, bad;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &good, "work", "plan", 1);
    submit(&f, &bad, "work", "fail", 1);
    turn_until(&f, &good.plans, 1);
    turn_until(&f, &bad.fails, 1);
    assert_int_equal(f.loaded, 1);
    assert_string_equal(good.config, "a b");
    assert_int_equal(pool_get_stats(f.pool).finished, 2);
    assert_int_equal(pool_get_stats(f.pool).in_flight, 0);
    end(&f);
}

static void a_need_is_answered_and_the_job_goes_on(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &msg, "work", "need", 1);
    answer(&f, &msg, "too early: dropped");
    turn_until(&f, &msg.needs, 1);
    answer(&f, &msg, "Subject: x");
    answer(&f, &msg, "twice: dropped");
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.subject, "Subject: x");
    end(&f);
}

static void on_scope(void *user, wire_message *reply) {
    *(unsigned *)user = reply->u.scope_reply.rules;
    wire_message_free(reply);
}

static void a_scope_is_asked(void **state) {
    struct fixture f;
    wire_message *m = wire_message_new(WIRE_SCOPE);
    unsigned rules = 0;
    uint64_t job;

    (void)state;
    begin(&f, "a b", 2, 0);
    m->u.scope.account = m->u.scope.folder = wire_str(m, "x");
    assert_null(pool_scope(f.pool, m, on_scope, &rules, &job));
    turn_until(&f, &rules, 7);
    end(&f);
}

static void fault_61_a_job_that_spins_is_killed_and_named_and_the_others_are_done(void **state) {
    struct fixture f;
    struct message spinner, others[40];

    (void)state;
    begin(&f, "a b", 2, 64);
    for (unsigned i = 0; i < 40; i++) {
        if (i == 10) {
            submit(&f, &spinner, "work", "spin", 1);
        }
        submit(&f, &others[i], "work", "plan", 1);
    }
    turn_until(&f, &spinner.deaths, 1);
    assert_string_equal(spinner.reason, "exceeded 100 ms");
    assert_string_equal(spinner.rule, "b");
    assert_int_equal(spinner.line, 2);
    for (unsigned i = 0; i < 40; i++) {
        turn_until(&f, &others[i].plans, 1);
        assert_int_equal(others[i].plans, 1);
        assert_int_equal(others[i].deaths, 0);
    }
    end(&f);
}

static void fault_61_a_job_that_spins_lets_no_other_wait_for_its_end(void **state) {
    struct fixture f;
    struct message spinner, others[40];

    (void)state;
    begin(&f, "patient b", 2, 64);
    for (unsigned i = 0; i < 40; i++) {
        if (i == 10) {
            submit(&f, &spinner, "work", "spin", 1);
        }
        submit(&f, &others[i], i % 2 ? "work" : "home", i % 3 ? "plan" : "fail", 1);
    }
    turn_until(&f, &spinner.deaths, 1);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(others[i].plans + others[i].fails, 1);
    }
    end(&f);
}

static void fault_60_a_job_that_crashes_its_evaluator_each_time_is_told_each_time(void **state) {
    struct fixture f;
    struct message crash, other;

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        submit(&f, &crash, "work", "crash", attempt);
        submit(&f, &other, "home", "plan", 1);
        turn_until(&f, &crash.deaths, 1);
        turn_until(&f, &other.plans, 1);
        assert_non_null(strstr(crash.reason, "killed by signal 11"));
        assert_string_equal(crash.rule, "b");
    }
    assert_int_equal(pool_get_stats(f.pool).deaths, 3);
    end(&f);
}

static void fault_60_jobs_whose_evaluator_was_killed_from_outside_begin_again(void **state) {
    struct fixture f;
    struct message msgs[6];

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned i = 0; i < 6; i++) {
        submit(&f, &msgs[i], "work", "need", 1);
    }
    for (unsigned i = 0; i < 6; i++) {
        turn_until(&f, &msgs[i].needs, 1);
    }
    int victim = msgs[0].pid;
    kill(victim, SIGKILL);
    for (unsigned i = 0; i < 6; i++) {
        turn_until(&f, &msgs[i].needs, msgs[i].pid == victim ? 2 : 1);
        assert_int_not_equal(msgs[i].pid, victim);
        answer(&f, &msgs[i], "again");
        turn_until(&f, &msgs[i].plans, 1);
        assert_int_equal(msgs[i].deaths, 0);
    }
    assert_int_equal(pool_get_stats(f.pool).deaths, 1);
    end(&f);
}

static void turn_until_handed_out_after_deaths(struct fixture *f, uint64_t deaths) {
    while (pool_get_stats(f->pool).deaths < deaths || pool_get_stats(f->pool).queued) {
        assert_true(loop_turn(f->loop, true));
    }
}

/* As when all are killed at once: of each the end is seen only after the job went there. */
static void fault_60_evaluators_that_died_before_they_read_a_job_do_not_count_against_it(void **state) {
    struct fixture f;
    struct message msg, deaf[4];

    (void)state;
    begin(&f, "a b", 5, 1);
    while (pool_get_stats(f.pool).ready < 5) {
        assert_true(loop_turn(f.loop, true));
    }
    submit(&f, &msg, "work", "need", 1);
    for (unsigned i = 0; i < 4; i++) {
        submit(&f, &deaf[i], "work", "deaf", 1);
    }
    turn_until(&f, &msg.needs, 1);
    for (unsigned i = 0; i < 4; i++) {
        turn_until(&f, &deaf[i].needs, 1);
        pool_cancel(f.pool, deaf[i].job);
    }
    kill(msg.pid, SIGKILL);
    for (unsigned i = 0; i < 4; i++) {
        turn_until_handed_out_after_deaths(&f, i + 1);
        assert_int_equal(msg.deaths, 0);
        assert_int_equal(msg.needs, 1);
        kill(deaf[i].pid, SIGKILL);
    }
    turn_until_handed_out_after_deaths(&f, 5);
    assert_int_equal(msg.deaths, 0);
    turn_until(&f, &msg.needs, 2);
    answer(&f, &msg, "x");
    turn_until(&f, &msg.plans, 1);
    end(&f);
}

static void a_job_that_no_evaluator_survives_is_given_up_even_if_none_was_at_work(void **state) {
    struct fixture f;
    struct message vanish, garbage;

    (void)state;
    begin(&f, "a b", 2, 1);
    submit(&f, &vanish, "work", "vanish", 1);
    submit(&f, &garbage, "home", "garbage", 1);
    turn_until(&f, &vanish.deaths, 1);
    turn_until(&f, &garbage.deaths, 1);
    assert_string_equal(vanish.reason, "died with 3 evaluators, lastly: ended with status 3");
    assert_string_equal(vanish.rule, "");
    assert_non_null(strstr(garbage.reason, "bad frame"));
    end(&f);
}

static void a_suspect_shares_its_evaluator_with_nobody(void **state) {
    struct fixture f;
    struct message suspects[2], others[10];

    (void)state;
    begin(&f, "a b", 2, 0);
    for (unsigned i = 0; i < 10; i++) {
        submit(&f, &others[i], "work", "need", 1);
    }
    submit(&f, &suspects[0], "home", "need", 2);
    submit(&f, &suspects[1], "home", "need", 3);
    for (unsigned i = 0; i < 10; i++) {
        turn_until(&f, &others[i].needs, 1);
        if (i % 2) {
            answer(&f, &others[i], "done");
            turn_until(&f, &others[i].plans, 1);
        }
    }
    for (unsigned s = 0; s < 2; s++) {
        for (unsigned i = 0; s == 0 && i < 10; i += 2) {
            answer(&f, &others[i], "done");
            turn_until(&f, &others[i].plans, 1);
            submit(&f, &others[i], "work", "need", 1);
        }
        turn_until(&f, &suspects[s].needs, 1);
        assert_int_equal(suspects[1].needs, s);
        for (unsigned i = 0; i < 10; i += 2) {
            turn_until(&f, &others[i].needs, 1);
            assert_int_not_equal(others[i].pid, suspects[s].pid);
        }
        answer(&f, &suspects[s], "done");
        turn_until(&f, &suspects[s].plans, 1);
    }
    end(&f);
}

static void accounts_are_served_in_turn(void **state) {
    struct fixture f;
    struct message a[5], b[2], c;

    (void)state;
    begin(&f, "a b", 1, 1);
    for (unsigned i = 0; i < 5; i++) {
        submit(&f, &a[i], "a", "plan", 1);
    }
    submit(&f, &b[0], "b", "plan", 1);
    submit(&f, &b[1], "b", "plan", 1);
    submit(&f, &c, "c", "plan", 1);
    turn_until(&f, &a[4].plans, 1);
    assert_string_equal(f.order->str, "abcabaaa");
    end(&f);
}

static void room_is_refused_and_comes_back(void **state) {
    struct fixture f;
    struct message msgs[4];

    (void)state;
    begin(&f, "a b", 1, 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(pool_has_room(f.pool));
        submit(&f, &msgs[i], "a", "plan", 1);
    }
    assert_false(pool_has_room(f.pool));
    turn_until(&f, &f.rooms, 1);
    assert_true(pool_has_room(f.pool));
    turn_until(&f, &msgs[3].plans, 1);
    assert_int_equal(f.rooms, 1);
    end(&f);
}

static void a_cancelled_job_calls_nobody(void **state) {
    struct fixture f;
    struct message queued, waiting, last;

    (void)state;
    begin(&f, "a b", 1, 1);
    submit(&f, &queued, "a", "plan", 1);
    pool_cancel(f.pool, queued.job);
    submit(&f, &waiting, "a", "need", 1);
    turn_until(&f, &waiting.needs, 1);
    pool_cancel(f.pool, waiting.job);
    answer(&f, &waiting, "nobody asks");
    submit(&f, &last, "a", "plan", 1);
    turn_until(&f, &last.plans, 1);
    assert_int_equal(queued.plans + waiting.plans, 0);
    assert_int_equal(pool_get_stats(f.pool).in_flight, 0);
    end(&f);
}

static void a_config_with_mistakes_is_refused_and_may_be_mended(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "mistake", 2, 0);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &f.refused, 1);
    assert_true(f.refused_with_config);
    write_config(&f, "mended");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &msg.plans, 1);
    assert_int_equal(f.loaded, 1);
    assert_string_equal(msg.config, "mended");
    end(&f);
}

static void a_config_that_kills_its_reader_is_refused(void **state) {
    struct fixture f;

    (void)state;
    begin(&f, "dies", 2, 0);
    turn_until(&f, &f.refused, 1);
    assert_false(f.refused_with_config);
    end(&f);
}

static void fault_58_a_reload_lets_jobs_at_work_end_with_the_old_rules(void **state) {
    struct fixture f;
    struct message before, after;

    (void)state;
    begin(&f, "old", 2, 0);
    submit(&f, &before, "a", "need", 1);
    turn_until(&f, &before.needs, 1);
    write_config(&f, "new");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &f.loaded, 2);
    submit(&f, &after, "a", "plan", 1);
    turn_until(&f, &after.plans, 1);
    answer(&f, &before, "x");
    turn_until(&f, &before.plans, 1);
    assert_string_equal(before.config, "old");
    assert_string_equal(after.config, "new");
    end(&f);
}

static void fault_58_a_reload_of_a_broken_config_keeps_the_old_rules(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "old", 2, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "mistake");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &f.refused, 1);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "old");
    end(&f);
}

static void a_replacement_has_the_rules_in_use_whatever_became_of_the_file(void **state) {
    struct fixture f;
    struct message crash, msg;

    (void)state;
    begin(&f, "old b", 1, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "dies");
    submit(&f, &crash, "a", "crash", 1);
    turn_until(&f, &crash.deaths, 1);
    submit(&f, &msg, "a", "plan", 1);
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "old b");
    assert_int_equal(f.loaded, 1);
    end(&f);
}

static void evaluators_that_are_never_ready_cost_no_message(void **state) {
    struct fixture f;
    struct message msg;

    (void)state;
    begin(&f, "unfit", 1, 0);
    submit(&f, &msg, "a", "plan", 1);
    while (pool_get_stats(f.pool).deaths < 3) {
        assert_true(loop_turn(f.loop, true));
    }
    assert_int_equal(msg.deaths, 0);
    write_config(&f, "fit");
    assert_null(pool_reload(f.pool, NULL));
    turn_until(&f, &msg.plans, 1);
    end(&f);
}

static void when_the_nursery_dies_the_config_is_read_again(void **state) {
    struct fixture f;
    struct message waiting, queued, killer;

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &waiting, "a", "need", 1);
    turn_until(&f, &waiting.needs, 1);
    write_config(&f, "new b");
    submit(&f, &killer, "a", "nursery", 1);
    turn_until(&f, &f.loaded, 2);
    submit(&f, &queued, "a", "need", 1);
    turn_until(&f, &queued.needs, 1);
    turn_until(&f, &waiting.needs, 2);
    answer(&f, &queued, "x");
    turn_until(&f, &queued.plans, 1);
    assert_string_equal(queued.config, "new b");
    end(&f);
}

static void the_config_is_read_until_it_is_good_when_the_nursery_has_died(void **state) {
    struct fixture f;
    struct message msg, killer;

    (void)state;
    begin(&f, "a b", 2, 0);
    turn_until(&f, &f.loaded, 1);
    write_config(&f, "mistake");
    submit(&f, &killer, "a", "nursery", 1);
    turn_until(&f, &f.refused, 1);
    assert_true(f.refused_with_config);
    submit(&f, &msg, "a", "plan", 1);
    write_config(&f, "dies");
    turn_until(&f, &f.refused, 2);
    assert_false(f.refused_with_config);
    write_config(&f, "new b");
    turn_until(&f, &msg.plans, 1);
    assert_string_equal(msg.config, "new b");
    assert_int_equal(f.loaded, 2);
    end(&f);
}

static void on_plan_submit_next(void *user, wire_message *m) {
    struct message *msg = user;
    static const pool_job_events events = {on_need, on_plan_submit_next, on_fail, on_died};

    wire_message_free(m);
    msg->plans++;
    if (msg->plans < 200) {
        wire_message *eval = wire_message_new(WIRE_EVAL);
        eval->u.eval.account = eval->u.eval.folder = wire_str(eval, "plan");
        pool_cancel(msg->f->pool, msg->job);
        assert_null(pool_submit(msg->f->pool, eval, 1, &events, msg, &msg->job));
    }
}

static void callbacks_may_submit_and_cancel(void **state) {
    static const pool_job_events events = {on_need, on_plan_submit_next, on_fail, on_died};
    struct fixture f;
    struct message msg = {.f = &f};
    wire_message *m = wire_message_new(WIRE_EVAL);

    (void)state;
    begin(&f, "a b", 2, 0);
    m->u.eval.account = m->u.eval.folder = wire_str(m, "plan");
    assert_null(pool_submit(f.pool, m, 1, &events, &msg, &msg.job));
    turn_until(&f, &msg.plans, 200);
    end(&f);
}

static void large_messages_pass(void **state) {
    struct fixture f;
    struct message msg;
    char *large = g_strnfill(20 << 20, 'x');

    (void)state;
    begin(&f, "a b", 2, 0);
    submit(&f, &msg, "a", "need", 1);
    turn_until(&f, &msg.needs, 1);
    answer(&f, &msg, large);
    turn_until(&f, &msg.plans, 1);
    assert_int_equal(strspn(msg.subject, "x"), sizeof msg.subject - 1);
    g_free(large);
    end(&f);
}

static void a_pool_with_jobs_in_every_state_can_be_freed(void **state) {
    struct fixture f;
    struct message msgs[9];

    (void)state;
    begin(&f, "a b", 2, 1);
    submit(&f, &msgs[0], "a", "need", 1);
    turn_until(&f, &msgs[0].needs, 1);
    for (unsigned i = 1; i < 9; i++) {
        submit(&f, &msgs[i], i % 2 ? "a" : "b", i == 3 ? "spin" : "plan", i == 4 ? 2 : 1);
    }
    loop_turn(f.loop, false);
    end(&f);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_ends_with_the_plan_or_the_failure_of_its_rules),
        cmocka_unit_test(a_need_is_answered_and_the_job_goes_on),
        cmocka_unit_test(a_scope_is_asked),
        cmocka_unit_test(fault_61_a_job_that_spins_is_killed_and_named_and_the_others_are_done),
        cmocka_unit_test(fault_61_a_job_that_spins_lets_no_other_wait_for_its_end),
        cmocka_unit_test(fault_60_a_job_that_crashes_its_evaluator_each_time_is_told_each_time),
        cmocka_unit_test(fault_60_jobs_whose_evaluator_was_killed_from_outside_begin_again),
        cmocka_unit_test(fault_60_evaluators_that_died_before_they_read_a_job_do_not_count_against_it),
        cmocka_unit_test(a_job_that_no_evaluator_survives_is_given_up_even_if_none_was_at_work),
        cmocka_unit_test(a_suspect_shares_its_evaluator_with_nobody),
        cmocka_unit_test(accounts_are_served_in_turn),
        cmocka_unit_test(room_is_refused_and_comes_back),
        cmocka_unit_test(a_cancelled_job_calls_nobody),
        cmocka_unit_test(a_config_with_mistakes_is_refused_and_may_be_mended),
        cmocka_unit_test(a_config_that_kills_its_reader_is_refused),
        cmocka_unit_test(fault_58_a_reload_lets_jobs_at_work_end_with_the_old_rules),
        cmocka_unit_test(fault_58_a_reload_of_a_broken_config_keeps_the_old_rules),
        cmocka_unit_test(a_replacement_has_the_rules_in_use_whatever_became_of_the_file),
        cmocka_unit_test(evaluators_that_are_never_ready_cost_no_message),
        cmocka_unit_test(when_the_nursery_dies_the_config_is_read_again),
        cmocka_unit_test(the_config_is_read_until_it_is_good_when_the_nursery_has_died),
        cmocka_unit_test(callbacks_may_submit_and_cancel),
        cmocka_unit_test(large_messages_pass),
        cmocka_unit_test(a_pool_with_jobs_in_every_state_can_be_freed),
    };

    if (argc > 1 && strcmp(argv[1], "evaluator") == 0) {
        return fake_nursery();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
