#include "sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static error *held(const char *dir, int fd) {
    char pid[24];
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

    pid[MAX(n, 0)] = '\0';
    g_strstrip(pid);
    return error_new(ERROR_STATE, "%s is in use by another mailruled (process %s): stop it, or use another `state`",
                     dir, *pid ? pid : "unknown");
}

error *state_lock_take(const char *dir, int *fd_out) {
    g_autofree char *path = g_build_filename(dir, "lock", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    error *err = NULL;
    char pid[24];

    if (fd < 0) {
        return error_new(ERROR_IO, "%s: %s", path, g_strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? held(dir, fd) : error_new(ERROR_IO, "%s: %s", path, g_strerror(errno));
        close(fd);
        return err;
    }
    /* The number only helps people; a full disk must not keep the journal shut. */
    int n = g_snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0) {
        ssize_t written = pwrite(fd, pid, (size_t)n, 0);
        (void)written;
    }
    *fd_out = fd;
    return NULL;
}
