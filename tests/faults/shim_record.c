// What reached the disk, in order, for power_cut.py.
//
// A record is a line of text, "KIND INODE OFFSET LENGTH PATH[\tPATH]\n", and LENGTH bytes.
// W write, T size, S sync (of a file with its content, or of a folder), C created, R
// renamed, U unlinked, D folder made, M a step that the program named
// (TRANCHE_CRASH_TRACE).

#include "tests/faults/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CONTENT_MAX = 1 << 18, LOG_FD = 900 };

static struct {
    int log; // -1: nothing is recorded
    bool started;
    const char *keep, *trace;
    pthread_mutex_t lock;
} rec = { .log = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static void start(void)
{
    const char *path = getenv("FAULT_RECORD"), *role = getenv("FAULT_ROLE");
    rec.started = true;
    if (!path || !role || strcmp(program_invocation_short_name, "tranche") != 0) return;
    rec.keep = getenv("FAULT_KEEP");
    rec.trace = getenv("TRANCHE_CRASH_TRACE");
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    rec.log = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD) : -1;
    if (fd >= 0) syscall(SYS_close, fd);
}

bool shim_records(void)
{
    if (!rec.started) start();
    return rec.log >= 0;
}

static bool whole(int dir, const char *path, char *to) // of PATH_MAX bytes
{
    char link[40], base[PATH_MAX];
    if (path[0] == '/') return snprintf(to, PATH_MAX, "%s", path) < PATH_MAX;
    snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d",
             dir);
    ssize_t n = readlink(link, base, sizeof base - 1);
    base[n > 0 ? n : 0] = 0;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    return snprintf(to, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static bool is_trace(const char *path)
{
    return rec.trace && strcmp(path, rec.trace) == 0;
}

bool shim_records_path(int dir, const char *path)
{
    char full[PATH_MAX];
    return shim_records() && whole(dir, path, full) &&
           (shim_is_under(full) || is_trace(full));
}

bool shim_records_fd(int fd)
{
    char link[40], path[PATH_MAX];
    if (!shim_records()) return false;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = before;
    path[n > 0 ? n : 0] = 0;
    return n > 0 && shim_is_under(path); // "(deleted)" behind it does no harm
}

void shim_record_lock(void)
{
    pthread_mutex_lock(&rec.lock);
}

void shim_record_unlock(void)
{
    pthread_mutex_unlock(&rec.lock);
}

static void put(const void *p, size_t n)
{
    for (const char *at = p; n;) {
        ssize_t k = syscall(SYS_write, rec.log, at, n);
        if (k <= 0) _exit(98);
        at += k;
        n -= (size_t)k;
    }
}

static unsigned long inode(int fd)
{
    struct stat st = { 0 };
    fstat(fd, &st);
    return (unsigned long)st.st_ino;
}

static void record(char kind, unsigned long ino, off_t at, size_t n, const void *p,
                   const char *path, const char *to)
{
    char line[2 * PATH_MAX + 80];
    int before = errno;
    int k = snprintf(line, sizeof line, "%c %lu %lld %zu %s%s%s\n", kind, ino,
                     (long long)at, n, path, *to ? "\t" : "", to);
    put(line, (size_t)k);
    if (n) put(p, n);
    errno = before;
}

void shim_record_write(int fd, const void *p, size_t n, off_t at)
{
    record('W', inode(fd), at, n, p, "", "");
}

void shim_record_size(int fd, off_t size)
{
    record('T', inode(fd), size, 0, NULL, "", "");
}

// FILEs write past the shim: small files show what they hold. (Databases are open for
// reading, too: to open and close one more would drop the locks that the process has on
// it.)
static void record_content(char kind, int fd, const char *path, const char *to)
{
    static char content[CONTENT_MAX];
    struct stat st = { 0 };
    fstat(fd, &st);
    ssize_t n = -1;
    if (st.st_size <= CONTENT_MAX) n = syscall(SYS_pread64, fd, content, sizeof content, 0);
    if (n < 0 && st.st_size <= CONTENT_MAX) {
        char link[40];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int own = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        if (own >= 0) n = syscall(SYS_pread64, own, content, sizeof content, 0);
        if (own >= 0) syscall(SYS_close, own);
    }
    record(kind, (unsigned long)st.st_ino, n, n > 0 ? (size_t)n : 0, content, path, to);
}

void shim_record_sync(int fd)
{
    struct stat st = { 0 };
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    fstat(fd, &st);
    if (S_ISDIR(st.st_mode)) {
        ssize_t n = readlink(link, path, sizeof path - 1);
        path[n > 0 ? n : 0] = 0;
        record('S', (unsigned long)st.st_ino, 0, 0, NULL, path, "");
        return;
    }
    record_content('S', fd, "", "");
}

void shim_record_name(char kind, int dir, const char *path, int to_dir, const char *to)
{
    char a[PATH_MAX] = "", b[PATH_MAX] = "";
    struct stat st = { 0 };
    whole(dir, path, a);
    if (*to) whole(to_dir, to, b);
    int fd = *to ? (int)syscall(SYS_openat, AT_FDCWD, b, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (fd >= 0) {
        record_content(kind, fd, a, b);
        syscall(SYS_close, fd);
        return;
    }
    lstat(*to ? b : a, &st);
    record(kind, (unsigned long)st.st_ino, 0, 0, NULL, a, b);
}

void shim_record_open(int fd, int dir, const char *path, bool was_there, int flags)
{
    char full[PATH_MAX], kept[PATH_MAX];
    whole(dir, path, full);
    if (is_trace(full)) {
        record('M', 0, 0, 0, NULL, full, "");
        return;
    }
    unsigned long ino = inode(fd);
    if (!was_there) {
        snprintf(kept, sizeof kept, "%s/%lu", rec.keep ? rec.keep : "", ino);
        syscall(SYS_linkat, AT_FDCWD, full, AT_FDCWD, kept, 0);
        record('C', ino, 0, 0, NULL, full, "");
    } else if (flags & O_TRUNC) {
        record('T', ino, 0, 0, NULL, "", "");
    }
}
