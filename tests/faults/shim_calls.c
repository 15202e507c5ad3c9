// Calls that programs make to the kernel: see shim.h. Those that libc makes by itself (for
// FILEs) do not come here.

#include "tests/faults/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC    __attribute__((visibility("default")))
#define ALIAS(of) __attribute__((visibility("default"), alias(#of)))

static size_t half(bool is_short, size_t n)
{
    return is_short && n > 1 ? n / 2 : n;
}

// ---- reading

PUBLIC ssize_t read(int fd, void *p, size_t n)
{
    bool is_short = false;
    if (shim_fails_fd(SHIM_read, fd, &is_short) && !is_short) return -1;
    return syscall(SYS_read, fd, p, half(is_short, n));
}

PUBLIC ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room)
{
    if (n > room) abort();
    return read(fd, p, n);
}

PUBLIC ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    bool is_short = false;
    if (shim_fails_fd(SHIM_pread, fd, &is_short) && !is_short) return -1;
    return syscall(SYS_pread64, fd, p, half(is_short, n), at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at) ALIAS(pread);

PUBLIC ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t room);
ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t room)
{
    if (n > room) abort();
    return pread(fd, p, n, at);
}

ssize_t __pread64_chk(int fd, void *p, size_t n, off_t at, size_t room) ALIAS(__pread_chk);

// ---- writing

static ssize_t put(int fd, const void *p, size_t n, off_t at, bool here)
{
    if (!shim_records_fd(fd))
        return here ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, at);
    shim_record_lock();
    if (here)
        at =
            fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    ssize_t k = here ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, at);
    if (k > 0) shim_record_write(fd, p, (size_t)k, at);
    shim_record_unlock();
    return k;
}

PUBLIC ssize_t write(int fd, const void *p, size_t n)
{
    bool is_short = false;
    if (shim_fails_fd(SHIM_write, fd, &is_short) && !is_short) return -1;
    return put(fd, p, half(is_short, n), 0, true);
}

PUBLIC ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    bool is_short = false;
    if (shim_fails_fd(SHIM_pwrite, fd, &is_short) && !is_short) return -1;
    return put(fd, p, half(is_short, n), at, false);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) ALIAS(pwrite);

PUBLIC int ftruncate(int fd, off_t size)
{
    if (shim_fails_fd(SHIM_ftruncate, fd, NULL)) return -1;
    if (!shim_records_fd(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    shim_record_lock();
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0) shim_record_size(fd, size);
    shim_record_unlock();
    return rc;
}

int ftruncate64(int fd, off_t size) ALIAS(ftruncate);

static int sync_fd(enum shim_call call, long number, int fd)
{
    if (shim_fails_fd(call, fd, NULL)) return -1;
    if (!shim_records_fd(fd)) return (int)syscall(number, fd);
    shim_record_lock();
    int rc = (int)syscall(number, fd);
    if (rc == 0) shim_record_sync(fd);
    shim_record_unlock();
    return rc;
}

PUBLIC int fsync(int fd)
{
    return sync_fd(SHIM_fsync, SYS_fsync, fd);
}

PUBLIC int fdatasync(int fd)
{
    return sync_fd(SHIM_fdatasync, SYS_fdatasync, fd);
}

// ---- names

static int open_at(int dir, const char *path, int flags, mode_t mode)
{
    struct stat st;
    if (shim_fails_path(SHIM_open, path)) return -1;
    if (!shim_records() || !(flags & (O_CREAT | O_TRUNC)) ||
        (flags & O_TMPFILE) == O_TMPFILE || !shim_records_path(dir, path))
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    shim_record_lock();
    bool was_there = fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0) shim_record_open(fd, dir, path, was_there, flags);
    shim_record_unlock();
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

PUBLIC int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_at(AT_FDCWD, path, flags, mode);
}

PUBLIC int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open_at(dir, path, flags, mode);
}

int open64(const char *path, int flags, ...) ALIAS(open);
int openat64(int dir, const char *path, int flags, ...) ALIAS(openat);

PUBLIC int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_at(AT_FDCWD, path, flags, 0);
}

PUBLIC int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
    return open_at(dir, path, flags, 0);
}

int __open64_2(const char *path, int flags) ALIAS(__open_2);
int __openat64_2(int dir, const char *path, int flags) ALIAS(__openat_2);

PUBLIC int renameat2(int from_dir, const char *from, int to_dir, const char *to,
                     unsigned flags)
{
    if (shim_fails_path(SHIM_rename, to)) return -1;
    if (!shim_records() || !shim_records_path(to_dir, to))
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    shim_record_lock();
    int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (rc == 0) shim_record_name('R', from_dir, from, to_dir, to);
    shim_record_unlock();
    return rc;
}

PUBLIC int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

PUBLIC int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return renameat2(from_dir, from, to_dir, to, 0);
}

PUBLIC int unlinkat(int dir, const char *path, int flags)
{
    if (shim_fails_path(SHIM_unlink, path)) return -1;
    if (!shim_records() || !shim_records_path(dir, path))
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    shim_record_lock();
    int rc = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (rc == 0) shim_record_name('U', dir, path, AT_FDCWD, "");
    shim_record_unlock();
    return rc;
}

PUBLIC int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

PUBLIC int mkdirat(int dir, const char *path, mode_t mode)
{
    int rc = (int)syscall(SYS_mkdirat, dir, path, mode);
    if (rc == 0 && shim_records() && shim_records_path(dir, path)) {
        shim_record_lock();
        shim_record_name('D', dir, path, AT_FDCWD, "");
        shim_record_unlock();
    }
    return rc;
}

PUBLIC int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

// ---- memory that is mapped, and the clock on the wall

PUBLIC void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    if (shim_fails(SHIM_mmap, NULL)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, from);
}

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off_t from) ALIAS(mmap);

static time_t clock_off(void)
{
    static _Atomic long off = -1;
    if (off == -1) {
        const char *s = getenv("FAULT_CLOCK");
        off = s ? strtol(s, NULL, 10) : 0;
    }
    return off;
}

PUBLIC int clock_gettime(clockid_t clock, struct timespec *ts)
{
    static int (*next)(clockid_t, struct timespec *);
    if (!next) *(void **)&next = shim_next("clock_gettime");
    int rc = next(clock, ts);
    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ts->tv_sec += clock_off();
    return rc;
}

PUBLIC int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
    return 0;
}

PUBLIC time_t time(time_t *to)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (to) *to = ts.tv_sec;
    return ts.tv_sec;
}
