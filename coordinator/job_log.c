#include "coordinator/job_log.h"

#include "common/rmtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4300, FILES_MAX = 2 };
#define NONE UINT64_MAX

struct parts { // the files of a log, oldest first
    uint64_t base[FILES_MAX];
    int n;
};

static void folder_of(const char *dir, int64_t id, char out[4200])
{
    snprintf(out, 4200, "%.4100s/%lld", dir, (long long)id);
}

static void path_of(const char *folder, uint64_t base, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%.4199s/%020llu.log", folder, (unsigned long long)base);
}

// The newest two. A crash may have left one more.
static err_t find_parts(const char *folder, struct parts *out, struct err *e)
{
    *out = (struct parts){ 0 };
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? ERR_OK : err_sys(e, "cannot read the log %s", folder);
    for (struct dirent *x; (x = readdir(d));) {
        char *end;
        if (x->d_name[0] < '0' || x->d_name[0] > '9') continue;
        uint64_t base = strtoull(x->d_name, &end, 10);
        if (strcmp(end, ".log") != 0) continue;
        if (out->n == FILES_MAX && base < out->base[0]) continue;
        if (out->n == FILES_MAX) out->base[0] = out->base[1], out->n--;
        int i = out->n++;
        for (; i > 0 && out->base[i - 1] > base; i--)
            out->base[i] = out->base[i - 1];
        out->base[i] = base;
    }
    closedir(d);
    return ERR_OK;
}

static err_t open_part(const struct job_log *l, uint64_t base, int *fd, struct err *e)
{
    char path[PATH_BYTES];
    path_of(l->folder, base, path);
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd < 0 ? err_sys(e, "cannot write the log %s", path) : ERR_OK;
}

err_t job_log_open(struct job_log *l, const char *dir, int64_t id, struct err *e)
{
    struct parts parts;
    struct stat st;
    *l = (struct job_log){ .fd = -1, .older = NONE };
    folder_of(dir, id, l->folder);
    if (mkdir(l->folder, 0700) != 0 && errno != EEXIST)
        return err_sys(e, "cannot make the folder %s", l->folder);
    TRY(find_parts(l->folder, &parts, e));
    if (parts.n > 0) l->base = parts.base[parts.n - 1];
    if (parts.n > 1) l->older = parts.base[0];
    TRY(open_part(l, l->base, &l->fd, e));
    if (fstat(l->fd, &st) != 0) {
        err_sys(e, "cannot read the log %s", l->folder);
        job_log_close(l);
        return ERR_IO;
    }
    l->end = l->base + (uint64_t)st.st_size;
    return ERR_OK;
}

// Where it cannot be begun the log goes on as soon as it can.
static err_t next_part(struct job_log *l, struct err *e)
{
    char path[PATH_BYTES];
    uint64_t before = l->base;
    int fd;
    TRY(open_part(l, l->end, &fd, e));
    close(l->fd);
    l->fd = fd;
    l->base = l->end;
    if (l->older != NONE) {
        path_of(l->folder, l->older, path);
        unlink(path);
    }
    l->older = before;
    return ERR_OK;
}

err_t job_log_add(struct job_log *l, const void *p, size_t n, struct err *e)
{
    if (l->fd >= 0 && l->end - l->base >= JOB_LOG_MAX / 2) TRY(next_part(l, e));
    for (size_t put = 0; put < n;) {
        ssize_t k = write(l->fd, (const char *)p + put, n - put);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot write the log %s", l->folder);
        put += (size_t)k;
        l->end += (uint64_t)k;
    }
    return ERR_OK;
}

void job_log_close(struct job_log *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

// ---- reading ----

static err_t read_part(int fd, uint64_t from, size_t max, struct buf *out, struct err *e)
{
    while (max) {
        size_t want = max < 65536 ? max : 65536;
        TRY(buf_reserve(out, want, e));
        ssize_t n = pread(fd, out->p + out->n, want, (off_t)from);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_sys(e, "cannot read the log");
        if (n == 0) break;
        out->n += (size_t)n;
        from += (uint64_t)n;
        max -= (size_t)n;
    }
    return ERR_OK;
}

// *fd stays -1 where it went in the meantime, to make room.
static err_t look_at_part(const char *folder, uint64_t base, int *fd, uint64_t *end,
                          struct err *e)
{
    struct stat st;
    char path[PATH_BYTES];
    path_of(folder, base, path);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 && errno == ENOENT) return ERR_OK;
    if (*fd < 0 || fstat(*fd, &st) != 0) return err_sys(e, "cannot read the log %s", path);
    *end = base + (uint64_t)st.st_size;
    return ERR_OK;
}

err_t job_log_read(const char *dir, int64_t id, uint64_t *at, size_t max, struct buf *out,
                   uint64_t *end, struct err *e)
{
    struct parts parts;
    char folder[4200];
    int fd[FILES_MAX] = { -1, -1 };
    uint64_t older_end = 0;
    err_t rc = ERR_OK;
    *end = 0;
    folder_of(dir, id, folder);
    TRY(find_parts(folder, &parts, e));
    for (int i = 0; rc == ERR_OK && i < parts.n; i++) {
        older_end = *end;
        rc = look_at_part(folder, parts.base[i], &fd[i], end, e);
    }
    if (parts.n && *at < parts.base[0]) *at = parts.base[0];
    if (*at > *end) *at = *end;
    // After a power cut the older part may end before the newer one begins.
    bool in_last = parts.n > 1 && *at >= older_end;
    if (in_last && *at < parts.base[1]) *at = parts.base[1];
    int i = in_last;
    if (rc == ERR_OK && fd[i] >= 0) rc = read_part(fd[i], *at - parts.base[i], max, out, e);
    for (i = 0; i < FILES_MAX; i++)
        if (fd[i] >= 0) close(fd[i]);
    return rc;
}

void job_log_prune(const char *dir, int64_t below, job_log_keep_fn *keep, const void *arg)
{
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        char *end;
        long long id = strtoll(x->d_name, &end, 10);
        if (*end || id <= 0 || id >= below || keep(arg, id)) continue;
        job_log_remove(dir, id);
    }
    closedir(d);
}

void job_log_remove(const char *dir, int64_t id)
{
    char folder[4200];
    folder_of(dir, id, folder);
    rmtree(folder);
}
