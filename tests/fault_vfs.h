// fault_vfs - a SQLite VFS whose Nth dangerous operation on a file fails, once.
//
// Dangerous is what makes rows durable: write, truncate, sync, delete. A failing operation
// may have done its work all the same (`after`), as a failing fsync of a folder does.

#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum fault_op { FAULT_WRITE, FAULT_TRUNCATE, FAULT_SYNC, FAULT_DELETE };

static struct {
    sqlite3_vfs vfs, *real;
    sqlite3_io_methods io;
    long at;            // the operation that fails, from 1; 0: none does
    long passed;        // operations so far
    bool after;         // it does its work before it fails
    bool kill;          // the process ends there, as if by kill -9
    bool full;          // the failure is "no space" where it can be
    enum fault_op last; // what failed
} fault;

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real; // right behind this
};

static inline sqlite3_file *fault_real(sqlite3_file *f)
{
    return ((struct fault_file *)f)->real;
}

static inline bool fault_hits(enum fault_op op)
{
    if (++fault.passed != fault.at) return false;
    fault.last = op;
    return true;
}

static inline void fault_kill(void)
{
    if (fault.kill) kill(getpid(), SIGKILL);
}

#define FAULT_PASS(name, params, args)                \
    static inline int fault_##name params             \
    {                                                 \
        return fault_real(f)->pMethods->x##name args; \
    }
FAULT_PASS(Read, (sqlite3_file * f, void *p, int n, sqlite3_int64 at),
           (fault_real(f), p, n, at))
FAULT_PASS(FileSize, (sqlite3_file * f, sqlite3_int64 *n), (fault_real(f), n))
FAULT_PASS(Lock, (sqlite3_file * f, int l), (fault_real(f), l))
FAULT_PASS(Unlock, (sqlite3_file * f, int l), (fault_real(f), l))
FAULT_PASS(CheckReservedLock, (sqlite3_file * f, int *out), (fault_real(f), out))
FAULT_PASS(FileControl, (sqlite3_file * f, int op, void *arg), (fault_real(f), op, arg))
FAULT_PASS(SectorSize, (sqlite3_file * f), (fault_real(f)))
FAULT_PASS(DeviceCharacteristics, (sqlite3_file * f), (fault_real(f)))
FAULT_PASS(ShmMap, (sqlite3_file * f, int i, int n, int x, void volatile **p),
           (fault_real(f), i, n, x, p))
FAULT_PASS(ShmLock, (sqlite3_file * f, int at, int n, int flags),
           (fault_real(f), at, n, flags))
FAULT_PASS(ShmUnmap, (sqlite3_file * f, int del), (fault_real(f), del))

static inline void fault_ShmBarrier(sqlite3_file *f)
{
    fault_real(f)->pMethods->xShmBarrier(fault_real(f));
}

static inline int fault_Close(sqlite3_file *f)
{
    return fault_real(f)->pMethods->xClose(fault_real(f));
}

static inline int fault_Write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    sqlite3_file *r = fault_real(f);
    if (!fault_hits(FAULT_WRITE)) return r->pMethods->xWrite(r, p, n, at);
    if (fault.after) r->pMethods->xWrite(r, p, n / 2, at); // torn
    fault_kill();
    return fault.full ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static inline int fault_Truncate(sqlite3_file *f, sqlite3_int64 n)
{
    sqlite3_file *r = fault_real(f);
    if (!fault_hits(FAULT_TRUNCATE)) return r->pMethods->xTruncate(r, n);
    if (fault.after) r->pMethods->xTruncate(r, n);
    fault_kill();
    return SQLITE_IOERR_TRUNCATE;
}

static inline int fault_Sync(sqlite3_file *f, int flags)
{
    (void)f, (void)flags; // nothing here survives a power cut anyway
    if (!fault_hits(FAULT_SYNC)) return SQLITE_OK;
    fault_kill();
    return SQLITE_IOERR_FSYNC;
}

static inline int fault_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
    (void)v;
    if (!fault_hits(FAULT_DELETE)) return fault.real->xDelete(fault.real, path, sync_dir);
    if (fault.after) fault.real->xDelete(fault.real, path, sync_dir);
    fault_kill();
    return fault.after ? SQLITE_IOERR_DIR_FSYNC : SQLITE_IOERR_DELETE;
}

static inline int fault_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags,
                             int *out)
{
    (void)v;
    struct fault_file *ff = (struct fault_file *)f;
    ff->real = (sqlite3_file *)(ff + 1);
    memset(ff->real, 0, (size_t)fault.real->szOsFile);
    int rc = fault.real->xOpen(fault.real, path, ff->real, flags, out);
    f->pMethods = ff->real->pMethods ? &fault.io : NULL;
    return rc;
}

// Becomes the default for connections opened from now on.
static inline void fault_install(void)
{
    memset(&fault, 0, sizeof fault);
    fault.real = sqlite3_vfs_find(NULL);
    fault.vfs = *fault.real;
    fault.vfs.zName = "fault";
    fault.vfs.szOsFile = (int)sizeof(struct fault_file) + fault.real->szOsFile;
    fault.vfs.xOpen = fault_open;
    fault.vfs.xDelete = fault_delete;
    fault.io = (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = fault_Close,
        .xRead = fault_Read,
        .xWrite = fault_Write,
        .xTruncate = fault_Truncate,
        .xSync = fault_Sync,
        .xFileSize = fault_FileSize,
        .xLock = fault_Lock,
        .xUnlock = fault_Unlock,
        .xCheckReservedLock = fault_CheckReservedLock,
        .xFileControl = fault_FileControl,
        .xSectorSize = fault_SectorSize,
        .xDeviceCharacteristics = fault_DeviceCharacteristics,
        .xShmMap = fault_ShmMap,
        .xShmLock = fault_ShmLock,
        .xShmBarrier = fault_ShmBarrier,
        .xShmUnmap = fault_ShmUnmap,
    };
    sqlite3_vfs_register(&fault.vfs, 1);
}

static inline void fault_remove(void)
{
    sqlite3_vfs_unregister(&fault.vfs);
    sqlite3_vfs_register(fault.real, 1);
}

#endif
