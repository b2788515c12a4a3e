/*
 * Messages a second from the keeper through its evaluators and back: header fields of one message against 20 rules, as
 * in the bench of the backlog. Prints one line for each number of evaluators.
 */
#include "daemon/pool.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES 50000

static const char fields[] =
    "From: Somebody <somebody@sender7.example.com>\r\nTo: me@example.com\r\n"
    "Subject: A subject of the usual length, about nothing\r\n"
    "Date: Sat, 1 Jan 2022 12:00:00 +0000\r\nMessage-ID: <1234567890@sender7.example.com>\r\n\r\n";

struct bench {
    event_loop *loop;
    pool *pool;
    unsigned submitted, done;
    bool loaded;
};

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(int who) {
    struct rusage r;

    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void on_loaded(void *user, wire_message *m) {
    ((struct bench *)user)->loaded = true;
    wire_message_free(m);
}

static void on_refused(void *user, wire_message *m, error *err) {
    (void)user;
    fprintf(stderr, "refused: %s\n", m ? m->u.config.mistakes[0].text : err->text);
    _exit(1);
}

static void on_end(void *user, wire_message *m) {
    ((struct bench *)user)->done++;
    wire_message_free(m);
}

static void on_died(void *user, const pool_death *death) {
    (void)user;
    fprintf(stderr, "died: %s\n", death->reason);
    _exit(1);
}

static void submit(struct bench *b) {
    static const char *const names[] = {"from", "to", "subject", "date", "message-id"};
    static const pool_job_events events = {on_end, on_end, on_end, on_died};
    wire_message *m = wire_message_new(WIRE_EVAL);
    uint64_t job;

    m->u.eval.account = wire_str(m, "work");
    m->u.eval.folder = wire_str(m, "INBOX");
    m->u.eval.uid = ++b->submitted;
    m->u.eval.size = 7000;
    m->u.eval.level = WIRE_LEVEL_FIELDS;
    m->u.eval.fields = wire_strv(m, names, G_N_ELEMENTS(names));
    m->u.eval.data = wire_copy(m, fields, sizeof fields - 1);
    error_free(pool_submit(b->pool, m, 1, &events, b, &job));
}

static char *write_config(void) {
    GString *s = g_string_new("account 'work' { host = 'imap.example.com', user = 'me', password = secret.env 'X' }\n");
    char *path = g_strdup_printf("/tmp/bench-pool-%d.lua", (int)getpid());

    for (int i = 0; i < 10; i++) {
        g_string_append_printf(
            s, "rule 'move%d' { when = from:domain 'sender%d.example.com', actions = { move 'F%d' } }\n", i, i + 10, i);
        g_string_append_printf(s, "rule 'flag%d' { when = subject:contains 'word%d', actions = { flag 'W%d' } }\n", i,
                               i, i);
    }
    g_file_set_contents(path, s->str, -1, NULL);
    g_string_free(s, TRUE);
    return path;
}

static void measure(const char *binary, const char *config, unsigned size) {
    static const pool_events events = {on_loaded, on_refused, NULL};
    clock_source clock;
    struct bench b = {0};
    pool_options options = {.executable = binary, .config = config, .size = size};

    clock_init_real(&clock);
    error_free(loop_new(&clock, &b.loop));
    options.loop = b.loop;
    error_free(pool_new(&options, &events, &b, &b.pool));
    while (!b.loaded) {
        loop_turn(b.loop, true);
    }
    double start = seconds(), cpu = cpu_seconds(RUSAGE_SELF);
    while (b.done < MESSAGES) {
        while (b.submitted < MESSAGES && pool_has_room(b.pool)) {
            submit(&b);
        }
        loop_turn(b.loop, true);
    }
    double took = seconds() - start, keeper = cpu_seconds(RUSAGE_SELF) - cpu;
    printf("pool: %u evaluators, 20 rules: %.0f messages a second; keeper: %.1f us of CPU a message\n", size,
           MESSAGES / took, keeper / MESSAGES * 1e6);
    pool_free(b.pool);
    loop_free(b.loop);
}

/* build/bench/daemon/pool -> build/mailruled */
int main(void) {
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *dir = g_path_get_dirname(self);
    g_autofree char *binary = g_build_filename(dir, "..", "..", "mailruled", NULL);
    g_autofree char *config = write_config();

    measure(binary, config, 1);
    measure(binary, config, 2);
    unlink(config);
    return 0;
}
