// Files of the output on the disk. A step is on the disk for good when its function
// returns.

#include "coordinator/warehouse_file.h"

#include "common/crash.h"
#include "common/csv_read.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_MAX = 1 << 20 }; // bytes that a header is looked for in

static err_t fail(const struct wf *f, struct err *e, const char *doing)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return err_set(e, ERR_FULL, "no space left for %s (%s)", f->shown, strerror(errno));
    return err_sys(e, "%s: %s failed", f->shown, doing);
}

char *wf_path(const struct wf *f, const char *name, bool unfinished_part)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s%s", f->dir, name, unfinished_part ? ".tranche" : "") < 0)
        return NULL;
    return path;
}

err_t wf_stat(const struct wf *f, const char *path, struct stat *st, bool *there,
              struct err *e)
{
    *there = lstat(path, st) == 0;
    if (!*there && errno != ENOENT) return err_sys(e, "%s", f->shown);
    if (!*there || S_ISREG(st->st_mode)) return ERR_OK;
    return err_set(e, ERR_INVALID, "%s is %s: rows go into regular files only", f->shown,
                   S_ISDIR(st->st_mode)   ? "a folder"
                   : S_ISLNK(st->st_mode) ? "a symbolic link"
                                          : "no file");
}

err_t wf_sync_folder(const struct wf *f, struct err *e)
{
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail(f, e, "opening its folder");
    err_t rc = fsync(fd) == 0 ? ERR_OK : fail(f, e, "writing its folder to the disk");
    close(fd);
    return rc;
}

static err_t write_at(const struct wf *f, int fd, const uint8_t *p, size_t n, uint64_t at,
                      struct err *e)
{
    while (n) {
        ssize_t k = pwrite(fd, p, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return fail(f, e, "writing");
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return ERR_OK;
}

static err_t write_header(const struct wf *f, int fd, uint64_t *ino, struct err *e)
{
    struct stat st;
    TRY(write_at(f, fd, f->header.p, f->header.n, 0, e));
    if (fsync(fd) != 0 || fstat(fd, &st) != 0) return fail(f, e, "writing");
    *ino = st.st_ino;
    return ERR_OK;
}

// What stands there is what a crash left, or what somebody has put there who may write to
// the folder, too: a link to another file, or one that he can go on writing to.
int wf_new(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) return -1;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
}

err_t wf_create(const struct wf *f, const char *path, bool visible, uint64_t *ino,
                struct err *e)
{
    char *first = NULL;
    if (asprintf(&first, "%s%s", path, visible ? ".tranche" : "") < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    int fd = wf_new(first);
    err_t rc = fd >= 0 ? write_header(f, fd, ino, e) : fail(f, e, "creating");
    if (fd >= 0) close(fd);
    if (rc != ERR_OK && fd >= 0) unlink(first);
    crash_point("file-after-create");
    if (rc == ERR_OK && visible) rc = rename(first, path) ? fail(f, e, "naming") : ERR_OK;
    if (rc == ERR_OK) rc = wf_sync_folder(f, e);
    free(first);
    return rc;
}

void wf_close_fd(struct wf *f)
{
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

err_t wf_open_at(struct wf *f, const char *path, uint64_t bytes, struct err *e)
{
    struct stat st;
    wf_close_fd(f);
    f->fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) return fail(f, e, "opening");
    f->at = bytes;
    return (uint64_t)st.st_size > bytes ? wf_cut(f, bytes, e) : ERR_OK;
}

err_t wf_still_there(const struct wf *f, struct err *e)
{
    struct stat mine, there;
    char *path = wf_path(f, f->current, false);
    if (!path) return err_set(e, ERR_NOMEM, "out of memory");
    bool same = fstat(f->fd, &mine) == 0 && lstat(path, &there) == 0 &&
                mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
    free(path);
    if (same) return ERR_OK;
    return err_set(e, ERR_DB, "%s was moved, deleted or replaced while it was in use",
                   f->shown);
}

err_t wf_write(struct wf *f, const uint8_t *p, size_t n, struct err *e)
{
    TRY(write_at(f, f->fd, p, n, f->at, e));
    f->at += n;
    return ERR_OK;
}

err_t wf_write_on(struct wf *f, const uint8_t *p, size_t n, struct err *e)
{
    enum { PART = 4 << 20 };
    uint64_t from = f->at / PART * PART;
    TRY(wf_write(f, p, n, e));
    uint64_t to = f->at / PART * PART;
    // What cannot be begun early is done by the sync.
    if (to > from)
        (void)sync_file_range(f->fd, (off_t)from, (off_t)(to - from),
                              SYNC_FILE_RANGE_WRITE);
    return ERR_OK;
}

err_t wf_sync(struct wf *f, struct err *e)
{
    return fdatasync(f->fd) == 0 ? ERR_OK : fail(f, e, "writing to the disk");
}

err_t wf_cut(struct wf *f, uint64_t bytes, struct err *e)
{
    if (ftruncate(f->fd, (off_t)bytes) != 0) return fail(f, e, "cutting off what is extra");
    return fsync(f->fd) == 0 ? ERR_OK : fail(f, e, "writing to the disk");
}

err_t wf_rename(const struct wf *f, const char *from, const char *to, bool new_name,
                struct err *e)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, new_name ? RENAME_NOREPLACE : 0) != 0) {
        if (errno == EEXIST)
            return err_set(e, ERR_INVALID,
                           "%s is there already and is none of this output: move it away "
                           "and run the same command again",
                           to);
        if (errno != EINVAL) return fail(f, e, "renaming"); // EINVAL: no such flag here
        if (access(to, F_OK) == 0 || rename(from, to) != 0) return fail(f, e, "renaming");
    }
    return wf_sync_folder(f, e);
}

// ---- a file that was there before

static err_t same_columns(const struct wf *f, const struct csv_value *v, size_t n,
                          const struct schema *s, struct err *e)
{
    bool same = n == s->n;
    for (size_t i = 0; same && i < n; i++)
        same = strlen(s->f[i].name) == v[i].n && memcmp(s->f[i].name, v[i].p, v[i].n) == 0;
    if (same) return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        "%s has other columns than the rows (%zu, the first is '%.60s'; the rows "
        "have %u, the first is '%.60s'). Take another file, or mode: replace",
        f->shown, n, n ? v[0].p : "", s->n, s->f[0].name);
}

static err_t check_header(const struct wf *f, const uint8_t *p, size_t n,
                          const struct schema *s, struct err *e)
{
    static const struct csv_dialect dialect = { .delimiter = ',', .quote = '"' };
    struct arena mem = { 0 };
    struct csv_value *v;
    size_t fields, used, bom = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    err_t rc =
        csv_read_record(&dialect, p + bom, n - bom, true, &mem, &v, &fields, &used, e);
    if (rc == ERR_OK) rc = same_columns(f, v, fields, s, e);
    arena_free(&mem);
    return rc;
}

// As many bytes as there are, up to n; negative: errno says why not.
static ssize_t read_at(int fd, uint8_t *to, size_t n, uint64_t at)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = pread(fd, to + got, n - got, (off_t)(at + got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return -1;
        if (k == 0) break;
        got += (size_t)k;
    }
    return (ssize_t)got;
}

err_t wf_check_there(const struct wf *f, const char *path, uint64_t size,
                     const struct schema *s, struct err *e)
{
    uint8_t last = 0, *head = malloc(HEAD_MAX);
    int fd = head ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    ssize_t n = fd >= 0 ? read_at(fd, head, HEAD_MAX, 0) : -1;
    err_t rc = ERR_OK;
    if (!head)
        rc = err_set(e, ERR_NOMEM, "out of memory");
    else if (n < 0 || read_at(fd, &last, 1, size - 1) != 1)
        rc = err_sys(e, "%s can't be read", f->shown);
    else if (last != '\n')
        rc = err_set(e, ERR_INVALID,
                     "%s: its last line has no line end, and no row can be added to it",
                     f->shown);
    else if (f->header.n)
        rc = check_header(f, head, (size_t)n, s, e);
    if (fd >= 0) close(fd);
    free(head);
    return rc;
}
