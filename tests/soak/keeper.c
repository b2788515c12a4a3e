/* The daemon: its config, its life, whether it has anything left to do, how large it is. */
#include "tests/soak/soak.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOP_S 60 /* real seconds */

/* --- the config ----------------------------------------------------------------------------------------------------------- */

static const char rules[] =
    "rule \"lists\" { folder = \"Lists/*\", actions = { flag \"\\\\Seen\", move \"Lists-Done\" } }\n"
    "rule \"move\" { when = header \"X-Soak\":is \"move\", actions = { move \"Moved\" } }\n"
    "rule \"flag\" { when = header \"X-Soak\":is \"flag\", actions = { flag(\"\\\\Flagged\", \"Soaked\") } }\n"
    "rule \"copy\" { when = header \"X-Soak\":is \"copy\", actions = { copy \"Copies\", flag \"\\\\Seen\" } }\n"
    "rule \"hook\" { when = header \"X-Soak\":is \"hook\", actions = { post \"desk\", move \"Tickets\" } }\n"
    "rule \"body\" { when = header \"X-Soak\":is \"body\" & text:contains \"the needle\",\n"
    "  actions = { flag \"\\\\Flagged\", move \"Body\" } }\n"
    "rule \"attachment\" { when = header \"X-Soak\":is \"attachment\" & attachment.name:glob \"*.pdf\",\n"
    "  actions = { move \"Invoices\" } }\n"
    "rule \"junk\" { when = header \"X-Soak\":is \"junk\", actions = { junk } }\n"
    "rule \"delete\" { when = header \"X-Soak\":is \"delete\", actions = { delete } }\n"
    "rule \"lua\" {\n"
    "  when = header \"X-Soak\":is \"lua\",\n"
    "  run = function(msg)\n"
    "    local number = tonumber(msg.subject:match(\"(%d+)$\"))\n"
    "    kv.incr(\"count:\" .. msg.account)\n"
    "    kv.set(\"last:\" .. msg.account, msg.subject, \"1h\")\n"
    "    if not kv.get(\"last:\" .. msg.account) then error(\"what was just set is not there\") end\n"
    "    msg:move(\"Lua/\" .. number % 3)\n"
    "  end,\n"
    "}\n";

static void write_account(const soak *s, const account *a, FILE *f) {
    const provider *v = a->server->provider;

    fprintf(f, "account \"%s\" {\n  host = \"127.0.0.1\", port = %u, tls_ca = \"%s\", user = \"%s\", connections = %u,\n", a->name,
            a->server->port, s->certificate, a->name, 1 + a->index % 3);
    if (v->token) {
        fprintf(f, "  auth = \"xoauth2\", password = secret.command { \"%s/token\", \"%s\" },\n", s->directory, a->name);
    } else {
        fprintf(f, "  password = secret.file \"%s/password\",\n", s->directory);
    }
    fprintf(f, "  watch = { \"INBOX\"%s }%s\n}\n", a->lists ? ", \"Lists/a\", \"Lists/b\"" : "",
            v->uidplus ? "" : ", allow_expunge = true");
}

static FILE *create(const soak *s, const char *name, mode_t mode) {
    g_autofree char *path = g_build_filename(s->directory, name, NULL);
    FILE *f = fopen(path, "we");

    if (!f || chmod(path, mode) != 0) {
        perror(path);
        exit(1);
    }
    return f;
}

void keeper_config(soak *s) {
    FILE *f = create(s, "config.lua", 0600);

    fprintf(f, "state \"%s/state\"\ncontrol \"%s/control\"\n", s->directory, s->directory);
    fprintf(f, "webhook \"desk\" { url = \"http://127.0.0.1:%u/mail\", allow_private = true }\n", s->hooks->port);
    for (guint i = 0; i < s->all_accounts->len; i++) {
        write_account(s, s->all_accounts->pdata[i], f);
    }
    fputs(rules, f);
    fclose(f);
    f = create(s, "token", 0700);
    fputs("#!/bin/sh\n# The helper that fetches tokens: one that is made now.\necho \"$1.$(date +%s)\"\n", f);
    fclose(f);
    f = create(s, "password", 0600);
    fputs("secret\n", f);
    fclose(f);
}

/* --- its life -------------------------------------------------------------------------------------------------------------------- */

static void become(const soak *s) {
    g_autofree char *config = g_build_filename(s->directory, "config.lua", NULL);
    g_autofree char *log = g_build_filename(s->directory, "log", NULL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    dup2(fd, STDERR_FILENO);
    setenv("LD_PRELOAD", s->preload, 1);
    setenv(PAGE_ENV, s->page_path, 1);
    execl(s->daemon, "mailruled", "run", "-c", config, "--log-level", s->verbose ? "debug" : "info", (char *)NULL);
    perror(s->daemon);
    _exit(127);
}

void keeper_start(soak *s) {
    atomic_store(&s->page->deadline, 0);
    atomic_store(&s->page->seed, s->seed + 1000003 * ++s->starts);
    s->pid = fork();
    if (!s->pid) {
        become(s);
    }
    soak_log(s, "started as process %d", (int)s->pid);
}

/* Its evaluators die with it; the next one finds nobody in its way. */
static void await_children(const soak *s) {
    for (int i = 0; i < PAGE_SLOTS; i++) {
        pid_t pid = atomic_load(&s->page->slots[i].pid);
        while (pid && pid != s->pid && kill(pid, 0) == 0) {
            usleep(1000);
        }
        atomic_store(&s->page->slots[i].pid, 0);
    }
}

void keeper_kill(soak *s) {
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
    await_children(s);
}

bool keeper_finish(soak *s) {
    int status = -1;

    kill(s->pid, SIGTERM);
    for (int waited = 0; waitpid(s->pid, &status, WNOHANG) == 0;) {
        if (!wire_turn(s, 200) && keeper_quiet(s)) {
            int64_t due = atomic_load(&s->page->deadline), next = agenda_next(s);
            due = due && due < next ? due : next;
            if (due == INT64_MAX && ++waited > STOP_S * 1000) {
                kill(s->pid, SIGKILL);
            } else if (due != INT64_MAX) {
                soak_set_time(s, MAX(s->now, due));
                keeper_fire(s);
                agenda_run(s);
            }
        }
    }
    s->pid = 0;
    await_children(s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        soak_fail(s, "the daemon ended with status 0x%x", (unsigned)status);
        return false;
    }
    return true;
}

void keeper_stop(soak *s, bool stopped) {
    s->stopped = stopped;
    if (s->pid) {
        kill(s->pid, stopped ? SIGSTOP : SIGCONT);
    }
}

void keeper_fire(soak *s) {
    int64_t due = atomic_load(&s->page->deadline);
    uint64_t one = 1;

    if (s->pid && !s->stopped && due && due <= s->now) {
        atomic_store(&s->page->deadline, 0);
        if (write(s->timer, &one, sizeof one) != sizeof one) {
            perror("timer");
            exit(1);
        }
    }
}

/* --- is there anything left to do? ------------------------------------------------------------------------------------------------- */

struct task {
    pid_t id;
    int stat, schedstat, children; /* files in /proc, kept open */
    unsigned long threads;         /* of its process */
    char kids[512];
    unsigned long long runs; /* how often it was given a processor */
};

static int open_proc(pid_t pid, pid_t id, const char *name) {
    char path[96];

    g_snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)id, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool read_again(int fd, char *out, size_t room) {
    ssize_t n = pread(fd, out, room - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

static void task_clear(void *data) {
    struct task *task = data;

    close(task->stat);
    close(task->schedstat);
    close(task->children);
}

static void list_process(pid_t pid, GArray *tasks);

static void list_children(char *kids, GArray *tasks) {
    char *end;

    for (pid_t pid; (pid = (pid_t)strtol(kids, &end, 10)) > 0 && end != kids; kids = end) {
        list_process(pid, tasks);
    }
}

static void list_process(pid_t pid, GArray *tasks) {
    char path[64];

    g_snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        struct task task = {.id = (pid_t)strtol(d->d_name, NULL, 10)};
        if (task.id <= 0) {
            continue;
        }
        task.stat = open_proc(pid, task.id, "stat");
        task.schedstat = open_proc(pid, task.id, "schedstat");
        task.children = open_proc(pid, task.id, "children");
        read_again(task.children, task.kids, sizeof task.kids);
        g_array_append_val(tasks, task);
        list_children(task.kids, tasks);
    }
    if (dir) {
        closedir(dir);
    }
}

enum rest { AT_REST, AT_WORK, ANOTHER }; /* ANOTHER: it went, or there are threads or children that are not known */

static enum rest look_at_task(struct task *task) {
    char text[1024];
    unsigned long threads = 0;
    unsigned long long runs = 0, before = task->runs;
    const char *at;

    if (!read_again(task->stat, text, sizeof text) || !(at = strrchr(text, ')')) ||
        sscanf(at + 4, "%*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lu", &threads) != 1) {
        return ANOTHER;
    }
    char state = at[2];
    read_again(task->schedstat, text, sizeof text);
    sscanf(text, "%*u %*u %llu", &runs);
    task->runs = runs;
    read_again(task->children, text, sizeof text);
    if (threads != task->threads || strcmp(text, task->kids) != 0) {
        task->threads = threads;
        return ANOTHER;
    }
    return strchr("SZXTt", state) && runs == before ? AT_REST : AT_WORK;
}

/* Packets that are on their way: a machine that is busy delivers them when it comes to it. */
static bool network_rests(const soak *s) {
    char text[16384];
    unsigned waiting = 0;

    if (!read_again(s->softnet, text, sizeof text)) {
        return true;
    }
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL) {
        if (sscanf(line, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x", &waiting) == 1 && waiting) {
            return false;
        }
    }
    return true;
}

bool keeper_quiet(soak *s) {
    enum rest rest = s->tasks->len && s->pid ? AT_REST : ANOTHER;

    if (!s->pid) {
        g_array_set_size(s->tasks, 0);
        return network_rests(s);
    }
    if (!network_rests(s)) {
        return false;
    }
    for (guint i = 0; i < s->tasks->len && rest == AT_REST; i++) {
        rest = look_at_task(&g_array_index(s->tasks, struct task, i));
    }
    if (rest == ANOTHER) {
        g_array_set_size(s->tasks, 0);
        list_process(s->pid, s->tasks);
        for (guint i = 0; i < s->tasks->len; i++) {
            look_at_task(&g_array_index(s->tasks, struct task, i));
        }
    }
    return rest == AT_REST;
}

void keeper_watch(soak *s) {
    s->tasks = g_array_new(FALSE, FALSE, sizeof(struct task));
    g_array_set_clear_func(s->tasks, task_clear);
    s->softnet = open("/proc/net/softnet_stat", O_RDONLY | O_CLOEXEC);
}

/* --- how large is it? ------------------------------------------------------------------------------------------------------------------ */

static bool read_file(const char *path, char *out, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool there = fd >= 0 && read_again(fd, out, room);

    if (fd >= 0) {
        close(fd);
    }
    return there;
}

static uint64_t size_of_files(const char *path) {
    DIR *dir = opendir(path);
    uint64_t size = 0;
    struct stat st;

    for (struct dirent *d; dir && (d = readdir(dir));) {
        g_autofree char *name = g_build_filename(path, d->d_name, NULL);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode)) {
            size += (uint64_t)st.st_size;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return size;
}

static unsigned count_files(const char *path) {
    DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *d; dir && (d = readdir(dir));) {
        n += d->d_name[0] != '.';
    }
    if (dir) {
        closedir(dir);
    }
    return n;
}

/* Those that both sides have. */
static unsigned count_peers(soak *s) {
    g_autoptr(GPtrArray) list = peers_of(s, NULL, NULL);
    unsigned n = 0;

    for (guint i = 0; i < list->len; i++) {
        n += !((peer *)list->pdata[i])->silent;
    }
    return n;
}

void keeper_sample(soak *s, struct sample *sample_out) {
    g_autofree char *state = g_build_filename(s->directory, "state", NULL);
    char path[64], text[128];
    unsigned long long total, pages = 0;

    *sample_out = (struct sample){.at = s->now, .peers = count_peers(s)};
    for (int i = 0; i < PAGE_SLOTS; i++) {
        struct page_slot *slot = &s->page->slots[i];
        pid_t pid = atomic_load(&slot->pid);
        if (pid && kill(pid, 0) != 0) {
            atomic_store(&slot->pid, 0);
        } else if (pid) {
            uint64_t heap = atomic_load(&slot->heap), cache = MIN(heap, atomic_load(&slot->cache));
            *(pid == s->pid ? &sample_out->heap : &sample_out->evaluators) += heap - cache;
            sample_out->cache += cache;
        }
    }
    g_snprintf(path, sizeof path, "/proc/%d/statm", (int)s->pid);
    if (read_file(path, text, sizeof text) && sscanf(text, "%llu %llu", &total, &pages) == 2) {
        sample_out->resident = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    g_snprintf(path, sizeof path, "/proc/%d/fd", (int)s->pid);
    sample_out->descriptors = count_files(path);
    sample_out->journal = size_of_files(state);
}

void keeper_command(soak *s, const char *verb, const char *name) {
    g_autofree char *command =
        g_strdup_printf("'%s' %s -c '%s/config.lua' '%s' >/dev/null 2>&1", s->daemon, verb, s->directory, name);

    if (system(command) != 0) {
        soak_fail(s, "`mailruled %s %s` failed", verb, name);
    }
}

void keeper_asked(soak *s) {
    g_autofree char *command = g_strdup_printf("'%s' queue -c '%s/config.lua' 2>&1", s->daemon, s->directory);
    char line[512];
    FILE *f = popen(command, "r");

    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (!strstr(line, "nothing waits and nothing is parked")) {
            soak_fail(s, "left in the queue: %s", line);
        }
    }
    if (f) {
        pclose(f);
    }
}
