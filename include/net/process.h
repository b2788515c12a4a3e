/*
 * net/process.h - child processes: long-lived ones with descriptors handed over, and short ones whose output is read.
 *
 * No shell is ever involved: argv is passed as it is, argv[0] looked up in PATH. Children start with default signal
 * dispositions, an empty signal mask, stdin /dev/null, and no descriptor but those listed.
 */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include "base/error.h"
#include "net/loop.h"

#include <stddef.h>
#include <sys/types.h>

#define PROCESS_FDS_MAX 8

typedef struct process process;
/* status: exit status (0-255), or -1 when a signal ended it; signum: that signal, else 0. Called once, never from
 * inside process_spawn(). The process may be freed in it. */
typedef void (*process_exit_fn)(void *user, int status, int signum);

typedef struct process_options {
    const char *const *argv;    /* NULL-terminated */
    const char *const *env;     /* "NAME=value", NULL-terminated; NULL = the caller's environment */
    const char *cwd;            /* NULL = the caller's */
    int out;                    /* descriptor to become stdout; 0 = /dev/null */
    int err;                    /* descriptor to become stderr; 0 = /dev/null; 2 = inherit */
    int fds[PROCESS_FDS_MAX];   /* fds[i] becomes descriptor 3 + i; borrowed: the caller closes its copies after */
    size_t fd_count;
} process_options;

/* ERROR_IO with errno's text when it cannot be started (not found, not executable, EAGAIN). */
error *process_spawn(event_loop *loop, const process_options *options, process_exit_fn on_exit, void *user,
                     process **process_out);
pid_t process_pid(const process *p);
/* Send a signal; does nothing once it has exited. */
void process_kill(process *p, int signum);
/* A process that still runs is killed (SIGKILL) and reaped later; on_exit is not called any more. Accepts NULL. */
void process_free(process *p);

/*
 * Run a command to its end and hand over what it printed. stderr is dropped. Ends with an error when it takes longer
 * than timeout_ms (killed), prints more than max_output bytes (killed), exits non-zero or dies of a signal.
 */
typedef struct process_capture process_capture;
/* out: exactly the bytes printed, wiped after the call returns (it may be a password); NULL with err. err is the
 * callee's. Called once, never from inside process_capture_start(); the capture is freed after it returns. */
typedef void (*process_capture_fn)(void *user, const char *out, size_t len, error *err);

error *process_capture_start(event_loop *loop, const char *const *argv, uint64_t timeout_ms, size_t max_output,
                             process_capture_fn fn, void *user, process_capture **capture_out);
/* Give up: kill it, fn is not called. Only before fn was called. Accepts NULL. */
void process_capture_cancel(process_capture *capture);

#endif
