/* The nursery and what it forks, spoken to as the keeper does. */
#include "evaluator/evaluator.h"
#include "tests/unit/unit.h"
#include "wire/board.h"
#include "wire/frame.h"
#include "wire/nursery.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    int fd;
    wire_decoder *in;
};

struct nursery {
    struct peer wire;
    int fd;
    pid_t pid;
    char *folder, *path;
};

struct evaluator {
    struct peer wire;
    wire_board *board;
    pid_t pid;
};

/* --- frames ------------------------------------------------------------------------------------------------------- */

static void send_frame(struct peer *p, wire_message *m) {
    g_autoptr(GByteArray) out = g_byte_array_new();

    assert_null(wire_encode(m, out));
    assert_int_equal(write(p->fd, out->data, out->len), out->len);
    wire_message_free(m);
}

/* NULL: the other side has ended. */
static wire_message *next_of_any(struct peer *p) {
    uint8_t buffer[4096];
    wire_message *m = NULL;
    error *err = NULL;

    while (wire_decoder_next(p->in, &m, &err) != WIRE_HAVE) {
        ssize_t n = read(p->fd, buffer, sizeof buffer);
        if (n <= 0) {
            return NULL;
        }
        wire_decoder_feed(p->in, buffer, (size_t)n);
    }
    return m;
}

/* The next of this type; the log is passed over. */
static wire_message *next(struct peer *p, enum wire_type type) {
    wire_message *m;

    while ((m = next_of_any(p)) && m->type != type) {
        assert_int_equal(m->type, WIRE_LOG);
        wire_message_free(m);
    }
    return m;
}

static struct peer make_peer(int *other_out) {
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *other_out = fds[1];
    return (struct peer){fds[0], wire_decoder_new()};
}

static void close_peer(struct peer *p) {
    close(p->fd);
    wire_decoder_free(p->in);
}

/* --- the nursery -------------------------------------------------------------------------------------------------- */

static void begin(struct nursery *n, const char *rules) {
    g_autofree char *config = g_strconcat("account 'a' { host = 'h.example', user = 'u', password = secret.env 'P' }\n"
                                          "defaults { limits = { lua_memory = '1MB' } }\n",
                                          rules, NULL);
    int wire_fd, fds[2];

    n->folder = g_dir_make_tmp("mailruled-serve-XXXXXX", NULL);
    n->path = g_build_filename(n->folder, "config.lua", NULL);
    assert_true(g_file_set_contents(n->path, config, -1, NULL));
    n->wire = make_peer(&wire_fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    n->fd = fds[0];
    n->pid = fork();
    if (n->pid == 0) {
        close(n->wire.fd);
        close(n->fd);
        _exit(evaluator_main(wire_fd, fds[1]));
    }
    close(wire_fd);
    close(fds[1]);
}

static void send_load(struct nursery *n, uint32_t version) {
    wire_message *m = wire_message_new(WIRE_LOAD);

    m->u.load.version = version;
    m->u.load.path = wire_str(m, n->path);
    send_frame(&n->wire, m);
}

static void load(struct nursery *n) {
    send_load(n, WIRE_VERSION);
    wire_message *m = next(&n->wire, WIRE_CONFIG);
    assert_non_null(m);
    if (m->u.config.n_mistakes) {
        fail_msg("%s", m->u.config.mistakes[0].text);
    }
    wire_message_free(m);
}

static void end(struct nursery *n, int expected) {
    int status;

    close_peer(&n->wire);
    close(n->fd);
    assert_int_equal(waitpid(n->pid, &status, 0), n->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
    g_unlink(n->path);
    g_rmdir(n->folder);
    g_free(n->path);
    g_free(n->folder);
}

static void request_fork(struct nursery *n, uint64_t id, int fd, int board_fd) {
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
    assert_int_equal(sendmsg(n->fd, &header, 0), sizeof request);
}

static void fork_one(struct nursery *n, uint64_t id, struct evaluator *e) {
    int fd, board_fd = memfd_create("board", 0);

    assert_int_equal(ftruncate(board_fd, sizeof(wire_board)), 0);
    e->board = mmap(NULL, sizeof(wire_board), PROT_READ, MAP_SHARED, board_fd, 0);
    e->wire = make_peer(&fd);
    request_fork(n, id, fd, board_fd);
    close(fd);
    close(board_fd);
    wire_message *m = next(&e->wire, WIRE_READY);
    assert_non_null(m);
    e->pid = (pid_t)m->u.ready.pid;
    wire_message_free(m);
}

static void forget(struct evaluator *e) {
    close_peer(&e->wire);
    munmap(e->board, sizeof *e->board);
}

static void assert_dead(struct nursery *n, uint64_t id, int status, int signum) {
    struct nursery_notice notice;

    assert_int_equal(recv(n->fd, &notice, sizeof notice, 0), sizeof notice);
    assert_int_equal(notice.event, NURSERY_DEAD);
    assert_int_equal(notice.id, id);
    assert_int_equal(notice.status, status);
    assert_int_equal(notice.signum, signum);
}

static void send_eval(struct evaluator *e, uint64_t job, enum wire_level level) {
    static const char mail[] = "From: a@b.c\r\nSubject: x\r\n\r\n";
    wire_message *m = wire_message_new(WIRE_EVAL);

    m->u.eval.job = job;
    m->u.eval.account = wire_str(m, "a");
    m->u.eval.folder = wire_str(m, "INBOX");
    m->u.eval.uid = 1;
    m->u.eval.level = level;
    m->u.eval.data = wire_copy(m, mail, strlen(mail));
    send_frame(&e->wire, m);
}

static void assert_plan(struct evaluator *e, uint64_t job, size_t steps) {
    wire_message *m = next(&e->wire, WIRE_PLAN);

    assert_non_null(m);
    assert_int_equal(m->u.plan.job, job);
    assert_int_equal(m->u.plan.n_steps, steps);
    wire_message_free(m);
}

static void evaluate(struct evaluator *e, uint64_t job) {
    send_eval(e, job, WIRE_LEVEL_RAW);
    assert_plan(e, job, 1);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void forked_evaluators_have_the_rules_that_were_read(void **state) {
    struct nursery n;
    struct evaluator a, b;

    (void)state;
    begin(&n, "rule 'r' { actions = { flag 'x' } }");
    load(&n);
    assert_true(g_file_set_contents(n.path, "broken", -1, NULL));
    fork_one(&n, 1, &a);
    fork_one(&n, 2, &b);
    assert_int_not_equal(a.pid, b.pid);
    evaluate(&a, 1);
    evaluate(&b, 2);
    assert_int_equal(a.board->job, 1);
    assert_int_equal(a.board->phase, WIRE_PHASE_IDLE);
    assert_int_equal(b.board->job, 2);
    forget(&a);
    assert_dead(&n, 1, 0, 0);
    evaluate(&b, 3);
    forget(&b);
    assert_dead(&n, 2, 0, 0);
    end(&n, 0);
}

static void an_evaluator_is_killed_on_request_and_its_death_is_told(void **state) {
    struct nursery_request request = {.op = NURSERY_KILL, .id = 7};
    struct nursery n;
    struct evaluator e;

    (void)state;
    begin(&n, "rule 'r' { run = function() while true do pcall(string.rep, 'x', 10) end end }");
    load(&n);
    fork_one(&n, 7, &e);
    assert_int_equal(send(n.fd, &request, sizeof request, 0), sizeof request);
    assert_dead(&n, 7, -1, SIGKILL);
    assert_int_equal(send(n.fd, &request, sizeof request, 0), sizeof request); /* it is nobody's pid any more */
    forget(&e);
    end(&n, 0);
}

static void a_job_that_waits_lets_others_run_and_may_be_cancelled(void **state) {
    struct nursery n;
    struct evaluator e;
    wire_message *m;

    (void)state;
    begin(&n, "rule 'r' { when = text:contains 'needle', actions = { flag 'x' } }");
    load(&n);
    fork_one(&n, 1, &e);
    for (uint64_t job = 1; job <= 3; job++) {
        send_eval(&e, job, WIRE_LEVEL_HEADER);
        m = next(&e.wire, WIRE_NEED);
        assert_non_null(m);
        assert_int_equal(m->u.need.job, job);
        wire_message_free(m);
    }
    m = wire_message_new(WIRE_CANCEL);
    m->u.cancel.job = 2;
    send_frame(&e.wire, m);
    for (uint64_t job = 3; job >= 1; job--) {
        m = wire_message_new(WIRE_ANSWER);
        m->u.answer.job = job;
        m->u.answer.kind = WIRE_NEED_STRUCTURE;
        m->u.answer.failure = wire_str(m, "not now");
        send_frame(&e.wire, m);
        if (job != 2) {
            m = next_of_any(&e.wire);
            assert_non_null(m);
            assert_true(m->type == WIRE_NEED || m->type == WIRE_FAIL || m->type == WIRE_PLAN);
            assert_int_equal(m->type == WIRE_NEED   ? m->u.need.job
                             : m->type == WIRE_FAIL ? m->u.fail.job
                                                    : m->u.plan.job,
                             job);
            wire_message_free(m);
        }
    }
    forget(&e);
    assert_dead(&n, 1, 0, 0);
    end(&n, 0);
}

static void what_a_rule_logs_is_bounded(void **state) {
    struct nursery n;
    struct evaluator e;
    unsigned logs = 0;
    wire_message *m;

    (void)state;
    begin(&n, "rule 'r' { run = function(msg) for i = 1, 5000 do log.info(i) end msg:flag 'x' end }");
    load(&n);
    fork_one(&n, 1, &e);
    send_eval(&e, 1, WIRE_LEVEL_RAW);
    while ((m = next_of_any(&e.wire)) && m->type == WIRE_LOG) {
        logs++;
        wire_message_free(m);
    }
    assert_non_null(m);
    assert_int_equal(m->type, WIRE_PLAN);
    assert_in_range(logs, 2, 101);
    wire_message_free(m);
    forget(&e);
    assert_dead(&n, 1, 0, 0);
    end(&n, 0);
}

static void frames_out_of_turn_end_an_evaluator_and_only_that_one(void **state) {
    struct nursery n;
    struct evaluator a, b;
    wire_message *m = wire_message_new(WIRE_READY);

    (void)state;
    begin(&n, "rule 'r' { actions = { flag 'x' } }");
    load(&n);
    fork_one(&n, 1, &a);
    fork_one(&n, 2, &b);
    assert_int_equal(a.board->reads, 0);
    send_frame(&a.wire, m);
    assert_null(next(&a.wire, WIRE_PLAN));
    assert_dead(&n, 1, 1, 0);
    assert_int_equal(a.board->reads, 1);
    assert_int_equal(a.board->turn, 0);
    evaluate(&b, 1);
    uint64_t reads = b.board->reads;
    assert_int_equal(write(b.wire.fd, "\0\0\0\1\xc1", 5), 5);
    assert_null(next(&b.wire, WIRE_PLAN));
    assert_dead(&n, 2, 1, 0);
    assert_int_equal(b.board->reads, reads + 1);
    forget(&a);
    forget(&b);
    end(&n, 0);
}

static void another_version_of_the_protocol_is_refused(void **state) {
    struct nursery n;

    (void)state;
    begin(&n, "");
    send_load(&n, WIRE_VERSION + 1);
    assert_null(next(&n.wire, WIRE_CONFIG));
    end(&n, 1);
}

static void without_good_rules_nothing_is_forked(void **state) {
    struct nursery n;
    wire_message *m;

    (void)state;
    begin(&n, "rule 'r' { nonsense = 1 }");
    send_load(&n, WIRE_VERSION);
    m = next(&n.wire, WIRE_CONFIG);
    assert_int_equal(m->u.config.n_mistakes, 1);
    wire_message_free(m);
    request_fork(&n, 5, 0, 0);
    assert_dead(&n, 5, 1, 0);
    end(&n, 0);
}

static void an_evaluator_whose_rules_hoard_ends_after_its_answer(void **state) {
    struct nursery n;
    struct evaluator e;

    (void)state;
    begin(&n, "local kept = {}\nrule 'r' { run = function(msg) kept[1] = ('x'):rep(300000)\n"
             "kept[2] = ('y'):rep(300000) msg:flag 'x' end }");
    load(&n);
    fork_one(&n, 1, &e);
    evaluate(&e, 1);
    assert_null(next(&e.wire, WIRE_PLAN));
    assert_dead(&n, 1, 0, 0);
    forget(&e);
    end(&n, 0);
}

static void garbage_wears_no_evaluator_out(void **state) {
    struct nursery n;
    struct evaluator e;

    (void)state;
    begin(&n, "rule 'r' { run = function(msg) local gone = ('x'):rep(300000)\n"
             "gone = ('y'):rep(300000) msg:flag 'x' end }");
    load(&n);
    fork_one(&n, 1, &e);
    for (uint64_t job = 1; job <= 5; job++) {
        evaluate(&e, job);
    }
    forget(&e);
    assert_dead(&n, 1, 0, 0);
    end(&n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forked_evaluators_have_the_rules_that_were_read),
        cmocka_unit_test(an_evaluator_is_killed_on_request_and_its_death_is_told),
        cmocka_unit_test(a_job_that_waits_lets_others_run_and_may_be_cancelled),
        cmocka_unit_test(what_a_rule_logs_is_bounded),
        cmocka_unit_test(frames_out_of_turn_end_an_evaluator_and_only_that_one),
        cmocka_unit_test(another_version_of_the_protocol_is_refused),
        cmocka_unit_test(without_good_rules_nothing_is_forked),
        cmocka_unit_test(an_evaluator_whose_rules_hoard_ends_after_its_answer),
        cmocka_unit_test(garbage_wears_no_evaluator_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
