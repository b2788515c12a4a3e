/*
 * soak - a week of the daemon's life in minutes, see tests/soak/soak.h and docs/soak.md.
 *
 *     soak -d DIRECTORY -m MAILRULED -p CLOCK.so -c CERTIFICATE -k KEY [-s SEED] [-t HOURS] [-q CALM_HOURS] [-a ACCOUNTS]
 *          [-e SECONDS] [-x MINUTES] [-K KILLS] [-S SUSPENDS] [-A DAYS] [-R] [-v]
 *
 * In DIRECTORY: config, journal and control socket of the daemon, its log, and `events`, what happened to it. -t is how long
 * things happen (default 168 hours), -q how long they do not after that (default 12), -e the pause between letters to an
 * account (300 s), -x between cuts of an account's connections (120 min). -A: after all that it is stopped for so many days,
 * and what is old has to leave the journal when it runs again. -R: only mail, and logins that are refused. Says at the end what happened, how large the
 * daemon was, and what was not as it should be; exits 1 if anything was not.
 */
#include "tests/soak/soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_EVERY (6 * HOUR)
#define STUCK_S 120 /* real seconds in which the daemon does not come to rest */
#define FAILURES_SHOWN 50

G_GNUC_PRINTF(3, 0) static void say(const soak *s, FILE *f, const char *format, va_list args) {
    fprintf(f, "%3d:%02d:%02d.%03d ", (int)(s->now / HOUR), (int)(s->now / MINUTE % 60), (int)(s->now / SECOND % 60),
            (int)(s->now % SECOND));
    vfprintf(f, format, args);
    fputc('\n', f);
}

void soak_log(soak *s, const char *format, ...) {
    va_list args;

    va_start(args, format);
    say(s, s->log, format, args);
    va_end(args);
}

void soak_fail(soak *s, const char *format, ...) {
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    say(s, s->log, format, again);
    if (s->failures++ < FAILURES_SHOWN) {
        say(s, stdout, format, args);
    }
    va_end(again);
    va_end(args);
}

/* --- time ---------------------------------------------------------------------------------------------------------------- */

void soak_set_time(soak *s, int64_t now) {
    struct timespec real;

    clock_gettime(CLOCK_MONOTONIC, &real);
    s->now = now;
    atomic_store(&s->page->since, (int64_t)real.tv_sec * 1000000000 + real.tv_nsec);
    atomic_store(&s->page->elapsed, now);
    atomic_store(&s->page->wall, s->wall + now);
}

static void take_sample(soak *s, void *user, uint64_t number) {
    struct sample sample;

    (void)user, (void)number;
    if (s->pid && !s->stopped && !s->done) {
        keeper_sample(s, &sample);
        g_array_append_val(s->samples, sample);
        soak_log(s, "resident %u KB, heap %u KB, SQLite %u KB, evaluators %u KB, journal %u KB, %u descriptors, %u connections, %u letters",
                 (unsigned)(sample.resident >> 10), (unsigned)(sample.heap >> 10), (unsigned)(sample.cache >> 10),
                 (unsigned)(sample.evaluators >> 10), (unsigned)(sample.journal >> 10), sample.descriptors, sample.peers,
                 s->count.letters);
        fflush(s->log);
    }
    if (!s->done) {
        agenda_add(s, s->now + SAMPLE_EVERY, take_sample, NULL, 0);
    }
}

/* To the next thing that happens, in the world or in the daemon. */
static void jump(soak *s) {
    int64_t next = agenda_next(s), due = s->pid && !s->stopped ? atomic_load(&s->page->deadline) : 0;

    if (due && due < next) {
        next = due;
    }
    if (next > s->now) {
        s->count.jumps++;
        soak_set_time(s, next);
    }
    keeper_fire(s);
    agenda_run(s);
}

static bool is_alive(soak *s) {
    int status;

    if (s->pid && waitpid(s->pid, &status, WNOHANG) == s->pid) {
        soak_fail(s, "the daemon ended by itself with status 0x%x", (unsigned)status);
        s->pid = 0;
        return false;
    }
    return true;
}

/* False: the daemon ended, or does not come to rest. */
static bool run_until(soak *s, int64_t end) {
    struct timespec now, last;

    clock_gettime(CLOCK_MONOTONIC, &last);
    while (s->now < end) {
        if (wire_turn(s, 0)) {
            continue;
        }
        if (!keeper_quiet(s)) {
            wire_turn(s, 30);
            clock_gettime(CLOCK_MONOTONIC, &now);
            if (!is_alive(s) || now.tv_sec - last.tv_sec > STUCK_S) {
                soak_fail(s, "the daemon is gone, or does not come to rest");
                return false;
            }
            continue;
        }
        clock_gettime(CLOCK_MONOTONIC, &last);
        jump(s);
        if (s->count.jumps % 256 == 0 && !is_alive(s)) {
            return false;
        }
    }
    return true;
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

static void print_samples(const soak *s) {
    printf("  hour  resident KB  heap KB  SQLite KB  evaluators KB  journal KB  descriptors  connections\n");
    for (guint i = 0; i < s->samples->len; i++) {
        const struct sample *m = &g_array_index(s->samples, struct sample, i);
        if (i < 4 || i + 4 >= s->samples->len || i % 4 == 0) {
            printf("  %4d  %11u  %7u  %9u  %13u  %10u  %11u  %11u\n", (int)(m->at / HOUR), (unsigned)(m->resident >> 10),
                   (unsigned)(m->heap >> 10), (unsigned)(m->cache >> 10), (unsigned)(m->evaluators >> 10),
                   (unsigned)(m->journal >> 10), m->descriptors, m->peers);
        }
    }
}

static void print_counts(const soak *s, time_t seconds) {
    printf("seed %" G_GUINT64_FORMAT ": %d hours in %d s, %u jumps; %u starts, %u kills, %u suspends\n", s->seed,
           (int)(s->now / HOUR), (int)seconds, s->count.jumps, s->starts, s->count.kills, s->count.suspends);
    printf("%u letters (%u ghosts, %u tidied away), %u commands, %u logins, %u IDLEs\n", s->count.letters, s->count.ghosts,
           s->count.tidied, s->count.commands, s->count.logins, s->count.renewals);
    printf("%u cuts, %u answers lost, %u refusals, %u hang-ups after silence, %u token expiries, %u tokens refused, %u outages, "
           "%u throttled, %u UIDVALIDITYs\n",
           s->count.cuts, s->count.lost_answers, s->count.refusals, s->count.hangups, s->count.token_expiries,
           s->count.tokens_refused, s->count.outages, s->count.throttles, s->count.validities);
    printf("%u webhook requests, %u of them with a fault\n", s->count.hooks, s->count.hook_faults);
}

/* The least of a quarter of the samples: what is never given back. */
static uint64_t least(const GArray *samples, guint from, guint to, size_t offset) {
    uint64_t value = UINT64_MAX;

    for (guint i = from; i < to; i++) {
        uint64_t one = *(const uint64_t *)(const void *)(samples->data + i * sizeof(struct sample) + offset);
        value = MIN(value, one);
    }
    return value;
}

static void check_growth(soak *s, const char *what, size_t offset, uint64_t allowed) {
    guint n = s->samples->len;

    if (n < 8) {
        return;
    }
    uint64_t early = least(s->samples, n / 4, n / 2, offset), late = least(s->samples, n - n / 4, n, offset);
    printf("%s: %" G_GUINT64_FORMAT " KB in the second quarter, %" G_GUINT64_FORMAT " KB in the last\n", what, early >> 10,
           late >> 10);
    if (late > early + early / 50 + allowed) {
        soak_fail(s, "%s grows", what);
    }
}

/* Apart from those of connections; one or two to the receiver of webhooks may be kept open. */
static void check_descriptors(soak *s) {
    guint n = s->samples->len;
    int before = 0, last = 0;

    for (guint i = 0; i < n; i++) {
        const struct sample *m = &g_array_index(s->samples, struct sample, i);
        last = (int)m->descriptors - (int)m->peers;
        before = i <= n / 2 ? MAX(before, last) : before;
    }
    if (n >= 2 && last > before + 2) {
        soak_fail(s, "%d descriptors besides connections at the end, at most %d before", last, before);
    }
}

/* Stopped for a month, say; what the journal keeps for so long only is to go, a day's worth an hour: it does not trust a
 * clock that leaps. */
static void come_back(soak *s) {
    struct sample before, after;

    keeper_sample(s, &before);
    if (!keeper_finish(s)) {
        return;
    }
    soak_set_time(s, s->now + s->away);
    keeper_start(s);
    if (!run_until(s, s->now + (s->away / DAY + 3) * HOUR)) {
        return;
    }
    keeper_sample(s, &after);
    printf("journal: %u KB before it was stopped for %d days, %u KB behind\n", (unsigned)(before.journal >> 10),
           (int)(s->away / DAY), (unsigned)(after.journal >> 10));
    if (after.journal > before.journal) {
        soak_fail(s, "the journal keeps what is old");
    }
    keeper_asked(s);
}

static void conclude(soak *s) {
    check_all(s);
    print_samples(s);
    check_descriptors(s);
    if (!s->count.kills) { /* a process that has just begun is small */
        check_growth(s, "heap of the keeper", offsetof(struct sample, heap), 64 << 10);
        check_growth(s, "heap of the evaluators", offsetof(struct sample, evaluators), 256 << 10);
    }
    printf(s->failures ? "%u failures\n" : "every letter was handled once\n", s->failures);
}

static void live(soak *s) {
    keeper_start(s);
    if (!run_until(s, s->now + MINUTE)) { /* first sight of every folder: what is there is not looked at */
        return;
    }
    faults_plan(s);
    if (!run_until(s, s->length)) {
        return;
    }
    s->over = true;
    keeper_stop(s, false);
    if (!run_until(s, s->length + s->calm)) {
        return;
    }
    take_sample(s, NULL, 0);
    s->done = true;
    keeper_asked(s);
    if (s->away) {
        come_back(s);
    }
    if (s->pid) {
        keeper_finish(s);
    }
}

/* --- the beginning ---------------------------------------------------------------------------------------------------------- */

static void make_page(soak *s) {
    g_autofree char *timer = NULL;
    int fd;

    s->page_path = g_build_filename(s->directory, "page", NULL);
    timer = g_strconcat(s->page_path, PAGE_TIMER, NULL);
    fd = open(s->page_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct page)) != 0 || mkfifo(timer, 0600) != 0) {
        perror(s->page_path);
        exit(1);
    }
    s->page = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    s->timer = open(timer, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void read_options(soak *s, int argc, char **argv) {
    int c;

    while ((c = getopt(argc, argv, "d:m:p:c:k:s:t:q:a:e:x:K:S:A:Rv")) != -1) {
        switch (c) {
        case 'd': s->directory = optarg; break;
        case 'm': s->daemon = optarg; break;
        case 'p': s->preload = optarg; break;
        case 'c': s->certificate = optarg; break;
        case 'k': s->key = optarg; break;
        case 's': s->seed = strtoull(optarg, NULL, 10); break;
        case 't': s->length = strtoll(optarg, NULL, 10) * HOUR; break;
        case 'q': s->calm = strtoll(optarg, NULL, 10) * HOUR; break;
        case 'a': s->accounts = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'e': s->mail_every = strtoll(optarg, NULL, 10) * SECOND; break;
        case 'x': s->cut_every = strtoll(optarg, NULL, 10) * MINUTE; break;
        case 'K': s->kills = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'S': s->suspends = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'A': s->away = strtoll(optarg, NULL, 10) * DAY; break;
        case 'R': s->refused = true; break;
        case 'v': s->verbose = true; break;
        default: exit(2);
        }
    }
    if (!s->directory || !s->daemon || !s->preload || !s->certificate || !s->key || s->length < 6 * HOUR) {
        fputs("usage: soak -d DIRECTORY -m MAILRULED -p CLOCK.so -c CERTIFICATE -k KEY [-s SEED] [-t HOURS, 6 or more] ...\n", stderr);
        exit(2);
    }
}

static void init(soak *s) {
    g_autofree char *events = g_build_filename(s->directory, "events", NULL);
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
    s->log = fopen(events, "we");
    s->wall = (int64_t)now.tv_sec * 1000;
    s->agenda = g_ptr_array_new();
    s->servers = g_ptr_array_new();
    s->all_accounts = g_ptr_array_new();
    s->letters = g_ptr_array_new();
    keeper_watch(s);
    s->samples = g_array_new(FALSE, FALSE, sizeof(struct sample));
    make_page(s);
    soak_set_time(s, 1000 * SECOND); /* 0 means "never" to many */
    s->length += s->now;
    store_init(s);
    wire_init(s);
    hook_init(s);
    keeper_config(s);
    take_sample(s, NULL, 0);
}

static void release(soak *s) {
    hook_release(s);
    wire_release(s);
    store_release(s);
    agenda_release(s);
    g_array_free(s->tasks, TRUE);
    g_array_free(s->samples, TRUE);
    g_free(s->page_path);
    fclose(s->log);
}

int main(int argc, char **argv) {
    soak s = {.seed = 1, .length = 168 * HOUR, .calm = 12 * HOUR, .accounts = 20, .mail_every = 300 * SECOND,
              .cut_every = 120 * MINUTE};
    struct timespec begin, end;

    read_options(&s, argc, argv);
    init(&s);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    live(&s);
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_counts(&s, end.tv_sec - begin.tv_sec);
    conclude(&s);
    if (s.pid) {
        keeper_kill(&s);
    }
    release(&s);
    return s.failures > 0;
}
