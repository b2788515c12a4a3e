/* An evaluator whose rules hoard ends by itself, once its answers are out; others stay. */
#include "evaluator/evaluator.h"
#include "tests/unit/unit.h"
#include "wire/board.h"
#include "wire/frame.h"
#include "wire/nursery.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
    int fd; /* the nursery's, then the evaluator's */
    int load_fd, nursery;
    pid_t pid;
    wire_decoder *in;
    char *folder;
    char *path;
};

static void begin(struct peer *p, const char *rule) {
    int fds[2], nursery[2];

    *p = (struct peer){.in = wire_decoder_new(), .folder = g_strdup("/tmp/mailruled-worn-XXXXXX")};
    assert_non_null(g_mkdtemp(p->folder));
    p->path = g_build_filename(p->folder, "config.lua", NULL);
    g_autofree char *config = g_strconcat("account 'a' { host = 'h.example', user = 'u', password = secret.env 'P' }\n"
                                          "defaults { limits = { lua_memory = '1MB' } }\nlocal kept = {}\n",
                                          rule, NULL);
    assert_true(g_file_set_contents(p->path, config, -1, NULL));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, nursery), 0);
    p->pid = fork();
    if (p->pid == 0) {
        close(fds[0]);
        close(nursery[0]);
        _exit(evaluator_main(fds[1], nursery[1]));
    }
    close(fds[1]);
    close(nursery[1]);
    p->fd = p->load_fd = fds[0];
    p->nursery = nursery[0];
}

static void send_frame(struct peer *p, wire_message *m) {
    g_autoptr(GByteArray) out = g_byte_array_new();

    assert_null(wire_encode(m, out));
    assert_int_equal(write(p->fd, out->data, out->len), out->len);
    wire_message_free(m);
}

/* The next frame that is of this type; others (log, ready) are passed over. NULL: the evaluator has ended. */
static wire_message *next(struct peer *p, enum wire_type type) {
    uint8_t buffer[4096];
    wire_message *m = NULL;
    error *err = NULL;

    for (;;) {
        while (wire_decoder_next(p->in, &m, &err) == WIRE_HAVE) {
            if (m->type == type) {
                return m;
            }
            wire_message_free(m);
        }
        ssize_t n = read(p->fd, buffer, sizeof buffer);
        if (n <= 0) {
            return NULL;
        }
        wire_decoder_feed(p->in, buffer, (size_t)n);
    }
}

/* Asks the nursery for an evaluator; from here on p->fd speaks with that. */
static void hatch(struct peer *p) {
    struct nursery_request request = {.op = NURSERY_FORK, .id = 1};
    int pair[2], board = memfd_create("board", MFD_CLOEXEC);
    union {
        char bytes[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {&request, sizeof request};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);

    assert_int_equal(ftruncate(board, sizeof(wire_board)), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(c), (int[]){pair[1], board}, 2 * sizeof(int));
    assert_int_equal(sendmsg(p->nursery, &header, 0), sizeof request);
    close(pair[1]);
    close(board);
    p->fd = pair[0];
}

static void load(struct peer *p) {
    wire_message *m = wire_message_new(WIRE_LOAD);

    m->u.load.version = WIRE_VERSION;
    m->u.load.path = wire_str(m, p->path);
    send_frame(p, m);
    m = next(p, WIRE_CONFIG);
    assert_non_null(m);
    assert_int_equal(m->u.config.n_mistakes, 0);
    wire_message_free(m);
    hatch(p);
}

/* Its plan has one step. */
static void evaluate(struct peer *p, uint64_t job) {
    static const char mail[] = "Subject: x\n\n";
    wire_message *m = wire_message_new(WIRE_EVAL);

    m->u.eval.job = job;
    m->u.eval.account = wire_str(m, "a");
    m->u.eval.folder = wire_str(m, "INBOX");
    m->u.eval.uid = 1;
    m->u.eval.level = WIRE_LEVEL_RAW;
    m->u.eval.data = wire_copy(m, mail, strlen(mail));
    send_frame(p, m);
    m = next(p, WIRE_PLAN);
    assert_non_null(m);
    assert_int_equal(m->u.plan.n_steps, 1);
    wire_message_free(m);
}

static void end(struct peer *p) {
    struct nursery_notice notice;
    int status;

    close(p->fd);
    assert_int_equal(recv(p->nursery, &notice, sizeof notice, 0), sizeof notice);
    assert_int_equal(notice.event, NURSERY_DEAD);
    assert_int_equal(notice.status, 0);
    close(p->load_fd);
    close(p->nursery);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFEXITED(status));
    wire_decoder_free(p->in);
    g_unlink(p->path);
    g_rmdir(p->folder);
    g_free(p->path);
    g_free(p->folder);
}

static void an_evaluator_whose_rules_hoard_ends_after_its_answer(void **state) {
    struct peer p;

    begin(&p, "rule 'r' { run = function(msg) kept[1] = ('x'):rep(300000)\n"
             "kept[2] = ('y'):rep(300000) msg:flag 'x' end }");
    load(&p);
    evaluate(&p, 1);
    assert_null(next(&p, WIRE_PLAN));
    end(&p);
}

static void garbage_wears_no_evaluator_out(void **state) {
    struct peer p;

    begin(&p, "rule 'r' { run = function(msg) local gone = ('x'):rep(300000)\n"
             "gone = ('y'):rep(300000) msg:flag 'x' end }");
    load(&p);
    for (uint64_t job = 1; job <= 5; job++) {
        evaluate(&p, job);
    }
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_evaluator_whose_rules_hoard_ends_after_its_answer),
        cmocka_unit_test(garbage_wears_no_evaluator_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
