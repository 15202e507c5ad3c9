#include "coordinator/cache_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    STALE_S = 3600, // a file under its own name for so long was left by a crash
    OWN_NAME = 48,
};

int cache_files_open(const char *state_dir, bool create)
{
    static const char *const parts[] = { "", "/cache", "/cache/results" };
    char path[4200];
    for (size_t i = 0; create && i < sizeof parts / sizeof *parts; i++) {
        snprintf(path, sizeof path, "%s%s", state_dir, parts[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) return -1;
    }
    snprintf(path, sizeof path, "%s/cache/results", state_dir);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

// What stands behind the digits; NULL: it does not begin with so many.
static const char *behind_digits(const char *s)
{
    return strspn(s, "0123456789abcdef") == HASH_HEX - 1 ? s + HASH_HEX - 1 : NULL;
}

bool cache_files_is_result(const char *name)
{
    const char *end = behind_digits(name);
    return end && !*end;
}

static bool is_name(const char *name)
{
    const char *end = behind_digits(name);
    return end && (!*end || strcmp(end, CACHE_FILES_COLUMNS) == 0);
}

static err_t add(struct cache_file **v, size_t *n, size_t *cap, const char *name,
                 const struct stat *st, struct err *e)
{
    if (*n == *cap) {
        size_t more = *cap ? 2 * *cap : 64;
        struct cache_file *larger = realloc(*v, more * sizeof **v);
        if (!larger) return err_set(e, ERR_NOMEM, "out of memory");
        *v = larger;
        *cap = more;
    }
    struct cache_file *f = &(*v)[(*n)++];
    snprintf(f->name, sizeof f->name, "%.*s", (int)sizeof f->name - 1, name);
    f->bytes = (uint64_t)st->st_size;
    f->used_s = st->st_mtim.tv_sec;
    return ERR_OK;
}

static int newest_first(const void *a, const void *b)
{
    const struct cache_file *x = a, *y = b;
    return (x->used_s < y->used_s) - (x->used_s > y->used_s);
}

err_t cache_files_list(int dir, struct cache_file **out, size_t *n, struct err *e)
{
    size_t cap = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = NULL;
    *n = 0;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        err_t rc = err_sys(e, "cannot read the cache");
        if (fd >= 0) close(fd);
        return rc;
    }
    err_t rc = ERR_OK;
    for (struct dirent *x; rc == ERR_OK && (x = readdir(d));) {
        struct stat st;
        if (x->d_name[0] == '.' || fstatat(dir, x->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (is_name(x->d_name))
            rc = add(out, n, &cap, x->d_name, &st, e);
        else if (now.tv_sec - st.st_mtim.tv_sec > STALE_S)
            unlinkat(dir, x->d_name, 0);
    }
    closedir(d);
    if (*n) qsort(*out, *n, sizeof **out, newest_first);
    return rc;
}

void cache_files_fit(int dir, uint64_t max_bytes)
{
    struct cache_file *v = NULL;
    struct err e;
    size_t n = 0;
    uint64_t sum = 0, all = 0;
    if (cache_files_list(dir, &v, &n, &e) == ERR_OK) {
        for (size_t i = 0; i < n; i++)
            all += v[i].bytes;
        for (size_t i = 0; all > max_bytes && i < n; i++) {
            sum += v[i].bytes;
            if (sum > max_bytes / 10 * 9) unlinkat(dir, v[i].name, 0);
        }
    }
    free(v);
}

bool cache_files_read(int fd, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t k = read(fd, (uint8_t *)p + done, n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

void cache_files_touch(int fd)
{
    futimens(fd, (struct timespec[2]){ { 0, UTIME_OMIT }, { 0, UTIME_NOW } });
}

static bool write_all(int fd, struct slice s)
{
    for (size_t done = 0; done < s.n;) {
        ssize_t k = write(fd, s.p + done, s.n - done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

// What another one writes, or a crash left, has a name of its own.
static int open_new(int dir, char own[OWN_NAME])
{
    static _Atomic unsigned serial;
    for (int tries = 0;; tries++) {
        snprintf(own, OWN_NAME, "new-%d-%u", (int)getpid(), atomic_fetch_add(&serial, 1));
        int fd =
            openat(dir, own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST || tries == 1000) return fd;
    }
}

bool cache_files_put(int dir, const char *name, struct slice head, struct slice body)
{
    char own[OWN_NAME];
    int fd = open_new(dir, own);
    if (fd < 0) return false;
    bool ok = write_all(fd, head) && write_all(fd, body);
    ok &= close(fd) == 0;
    if (ok && renameat(dir, own, dir, name) == 0) return true;
    int why = errno;
    unlinkat(dir, own, 0);
    errno = why;
    return false;
}
