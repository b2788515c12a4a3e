#include "lockdown_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define MAX_FILES 64

static error *limit(__rlimit_resource_t what, rlim_t value, const char *name) {
    struct rlimit now;

    if (getrlimit(what, &now) != 0) {
        return error_new(ERROR_IO, "getrlimit %s: %s", name, g_strerror(errno));
    }
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value) {
        value = now.rlim_max;
    }
    now.rlim_cur = now.rlim_max = value;
    if (setrlimit(what, &now) != 0) {
        return error_new(ERROR_IO, "setrlimit %s: %s", name, g_strerror(errno));
    }
    return NULL;
}

error *lockdown_early(void) {
    error *err = NULL;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return error_new(ERROR_IO, "prctl: %s", g_strerror(errno));
    }
    signal(SIGPIPE, SIG_IGN);
    /* A terminal and a service manager signal the whole group: it is the keeper who ends its evaluators. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    err = limit(RLIMIT_CORE, 0, "core");
    if (!err) {
        err = limit(RLIMIT_NOFILE, MAX_FILES, "nofile");
    }
    if (!err && !UNDER_ASAN) {
        err = limit(RLIMIT_FSIZE, 0, "fsize");
    }
    return err;
}

/* --- Landlock ---------------------------------------------------------------------------------------------------- */

static uint64_t file_rights(int abi) {
    static const unsigned last_bit[] = {12, 12, 13, 14, 14, 15}; /* of ABI 0 (unused), 1, 2, ... */
    size_t i = MIN((size_t)abi, ARRAY_LEN(last_bit) - 1);

    return (UINT64_C(2) << last_bit[i]) - 1;
}

/* A ruleset without rules denies all that it handles. A kernel without Landlock is no error. */
static error *deny_files(void) {
    struct landlock_ruleset_attr attr = {0};
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1) {
        return NULL;
    }
    attr.handled_access_fs = file_rights(abi);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (fd < 0) {
        return error_new(ERROR_IO, "landlock: %s", g_strerror(errno));
    }
    long rc = syscall(SYS_landlock_restrict_self, fd, 0);
    int saved = errno;
    close(fd);
    return rc == 0 ? NULL : error_new(ERROR_IO, "landlock: %s", g_strerror(saved));
}

/* --- seccomp ------------------------------------------------------------------------------------------------------ */

static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk),
    SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(membarrier), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Nothing honest tries these here. */
static const int deadly[] = {
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(clone3),
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
    SCMP_SYS(accept4), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmsg), SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kill), SCMP_SYS(tkill), SCMP_SYS(io_uring_setup), SCMP_SYS(bpf), SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount),
    SCMP_SYS(umount2), SCMP_SYS(chroot), SCMP_SYS(pivot_root), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(setuid),
    SCMP_SYS(setgid), SCMP_SYS(creat), SCMP_SYS(truncate), SCMP_SYS(ftruncate), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink),
    SCMP_SYS(symlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(mknod), SCMP_SYS(mknodat),
    SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchownat), SCMP_SYS(memfd_create),
};

/* Libraries look for locales and gconv modules late: they are to find nothing. */
static const int not_there[] = {
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(openat2), SCMP_SYS(statfs),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n) {
    int rc = 0;

    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = seccomp_rule_add(filter, action, calls[i], 0);
    }
    return rc;
}

/* Calls that depend on one argument: (argument & mask) == value. The conditions of one call exclude each other, since
 * their order is libseccomp's own. */
static int add_conditional(scmp_filter_ctx filter) {
    const scmp_datum_t all = ~(scmp_datum_t)0, how = O_ACCMODE | O_CREAT;
    const struct {
        uint32_t action;
        int call;
        unsigned arg;
        scmp_datum_t mask, value;
    } rules[] = {
        {SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 1, how, O_RDONLY},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 1, how, O_CREAT},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 1, O_ACCMODE, O_WRONLY},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 1, O_ACCMODE, O_RDWR},
        {SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 2, how, O_RDONLY},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 2, how, O_CREAT},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 2, O_ACCMODE, O_WRONLY},
        {SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 2, O_ACCMODE, O_RDWR},
        {SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH}, /* fstat() */
        {SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, 0},
        {SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, PROT_EXEC, 0},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
        {SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 0, all, (scmp_datum_t)getpid()}, /* abort() */
        {SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, all, F_GETFL},
        {SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, all, 0}, /* glibc asks for the stack's limit */
    };
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LEN(rules) && rc == 0; i++) {
        struct scmp_arg_cmp cmp = {rules[i].arg, SCMP_CMP_MASKED_EQ, rules[i].mask, rules[i].value};
        rc = seccomp_rule_add_array(filter, rules[i].action, rules[i].call, 1, &cmp);
    }
    return rc;
}

static error *deny_calls(void) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = filter ? 0 : -ENOMEM;

    if (rc == 0) {
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (rc == 0) {
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    if (rc == 0) {
        rc = add_all(filter, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed));
    }
    if (rc == 0) {
        rc = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly));
    }
    if (rc == 0) {
        rc = add_all(filter, SCMP_ACT_ERRNO(EACCES), not_there, ARRAY_LEN(not_there));
    }
    if (rc == 0) {
        rc = add_conditional(filter);
    }
    if (rc == 0) {
        rc = seccomp_load(filter);
    }
    seccomp_release(filter);
    return rc == 0 ? NULL : error_new(ERROR_IO, "seccomp: %s", g_strerror(rc < 0 ? -rc : rc));
}

error *lockdown_final(uint64_t memory) {
    error *err = memory && !UNDER_ASAN ? limit(RLIMIT_AS, memory, "as") : NULL;

    if (!err) {
        err = deny_files();
    }
    if (!err) {
        err = deny_calls();
    }
    return error_prefix(err, "locking down");
}
