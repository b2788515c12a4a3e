/*
 * tests/unit/state/faulty_vfs.h - SQLite's file system with a fault in it: the n-th write, sync, truncation or removal
 * fails, once or from then on. Files it does not concern behave as ever.
 */
#ifndef TESTS_UNIT_STATE_FAULTY_VFS_H
#define TESTS_UNIT_STATE_FAULTY_VFS_H

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { FAULTY_KILL = -1 }; /* a code: the process dies there */

struct faulty {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    int countdown; /* 0 = no fault */
    bool for_good; /* it goes on failing */
    bool failing;  /* it has begun */
    int code;      /* what the failing call returns */
};

struct faulty_file {
    sqlite3_file base;
    struct faulty *faulty;
    sqlite3_file *real; /* behind this struct */
};

static bool faulty_now(struct faulty *v) {
    if (v->failing) {
        return v->for_good;
    }
    v->failing = v->countdown && --v->countdown == 0;
    if (v->failing && v->code == FAULTY_KILL) {
        kill(getpid(), SIGKILL);
    }
    return v->failing;
}

#define REAL(file) (((struct faulty_file *)(file))->real)
#define FAULTY(file) (((struct faulty_file *)(file))->faulty)

static int faulty_close(sqlite3_file *file) {
    return REAL(file)->pMethods->xClose(REAL(file));
}
static int faulty_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at) {
    return REAL(file)->pMethods->xRead(REAL(file), to, n, at);
}
/* A full disk takes a part of it: whole sectors. */
static int faulty_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at) {
    if (faulty_now(FAULTY(file))) {
        int part = n / 2 / 512 * 512;
        if (FAULTY(file)->code == SQLITE_FULL && part) {
            REAL(file)->pMethods->xWrite(REAL(file), from, part, at);
        }
        return FAULTY(file)->code;
    }
    return REAL(file)->pMethods->xWrite(REAL(file), from, n, at);
}
static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return faulty_now(FAULTY(file)) ? FAULTY(file)->code : REAL(file)->pMethods->xTruncate(REAL(file), size);
}
static int faulty_sync(sqlite3_file *file, int flags) {
    return faulty_now(FAULTY(file)) ? FAULTY(file)->code : REAL(file)->pMethods->xSync(REAL(file), flags);
}
static int faulty_size(sqlite3_file *file, sqlite3_int64 *size) {
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}
static int faulty_lock(sqlite3_file *file, int how) {
    return REAL(file)->pMethods->xLock(REAL(file), how);
}
static int faulty_unlock(sqlite3_file *file, int how) {
    return REAL(file)->pMethods->xUnlock(REAL(file), how);
}
static int faulty_reserved(sqlite3_file *file, int *out) {
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), out);
}
static int faulty_control(sqlite3_file *file, int op, void *arg) {
    return REAL(file)->pMethods->xFileControl(REAL(file), op, arg);
}
static int faulty_sector(sqlite3_file *file) {
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}
static int faulty_device(sqlite3_file *file) {
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    static const sqlite3_io_methods methods = {
        .iVersion = 1,
        .xClose = faulty_close,
        .xRead = faulty_read,
        .xWrite = faulty_write,
        .xTruncate = faulty_truncate,
        .xSync = faulty_sync,
        .xFileSize = faulty_size,
        .xLock = faulty_lock,
        .xUnlock = faulty_unlock,
        .xCheckReservedLock = faulty_reserved,
        .xFileControl = faulty_control,
        .xSectorSize = faulty_sector,
        .xDeviceCharacteristics = faulty_device,
    };
    struct faulty *v = (struct faulty *)vfs;
    struct faulty_file *f = (struct faulty_file *)file;
    int rc;

    f->faulty = v;
    f->real = (sqlite3_file *)(f + 1);
    rc = v->real->xOpen(v->real, name, f->real, flags, out);
    f->base.pMethods = f->real->pMethods ? &methods : NULL;
    return rc;
}

static int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    struct faulty *v = (struct faulty *)vfs;

    return faulty_now(v) ? v->code : v->real->xDelete(v->real, name, sync);
}

/* What has no fault goes to the real one, which finds its own state through its own pointer. */
static int faulty_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    sqlite3_vfs *real = ((struct faulty *)vfs)->real;
    return real->xAccess(real, name, flags, out);
}
static int faulty_path(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    sqlite3_vfs *real = ((struct faulty *)vfs)->real;
    return real->xFullPathname(real, name, n, out);
}
static int faulty_error(sqlite3_vfs *vfs, int n, char *out) {
    sqlite3_vfs *real = ((struct faulty *)vfs)->real;
    return real->xGetLastError ? real->xGetLastError(real, n, out) : 0;
}

static void faulty_install(struct faulty *v) {
    sqlite3_initialize();
    memset(v, 0, sizeof *v);
    v->real = sqlite3_vfs_find(NULL);
    v->vfs = *v->real;
    v->vfs.zName = "faulty";
    v->vfs.szOsFile = (int)sizeof(struct faulty_file) + v->real->szOsFile;
    v->vfs.xOpen = faulty_open;
    v->vfs.xDelete = faulty_delete;
    v->vfs.xAccess = faulty_access;
    v->vfs.xFullPathname = faulty_path;
    v->vfs.xGetLastError = faulty_error;
    sqlite3_vfs_register(&v->vfs, 1);
}

static void faulty_arm(struct faulty *v, int countdown, int code, bool for_good) {
    v->countdown = countdown;
    v->code = code;
    v->for_good = for_good;
    v->failing = false;
}

static void faulty_disarm(struct faulty *v) {
    faulty_arm(v, 0, 0, false);
}

static void faulty_uninstall(struct faulty *v) {
    sqlite3_vfs_unregister(&v->vfs);
}

#endif
