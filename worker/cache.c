#include "worker/cache.h"

#include "common/rmtree.h"
#include "worker/own_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { ENTRY = FILE_HEX + 2 }; // "DIGEST" or "DIGEST-x"

static void entry_name(const struct job_file *f, char out[ENTRY])
{
    char hex[FILE_HEX];
    file_hex(&f->digest, hex);
    snprintf(out, ENTRY, "%s%s", hex, f->mode & 0100 ? "-x" : "");
}

static bool is_entry(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    return n == FILE_HEX - 1 && (name[n] == 0 || strcmp(name + n, "-x") == 0);
}

// ---- the folder ----

static const char *from_env(const char *name)
{
    const char *v = getenv(name);
    return v && v[0] == '/' ? v : NULL;
}

// Root may have another user's, who could put what he likes there.
static const char *own_home(void)
{
    struct stat st;
    const char *p = from_env("HOME");
    return p && access(p, W_OK) == 0 && stat(p, &st) == 0 && st.st_uid == geteuid() ? p
                                                                                    : NULL;
}

static void choose(char *out, size_t cap)
{
    const char *p;
    if ((p = getenv("TRANCHE_HOME")) && p[0])
        snprintf(out, cap, "%s/cache/files", p);
    else if ((p = from_env("XDG_CACHE_HOME")))
        snprintf(out, cap, "%s/tranche/files", p);
    else if ((p = own_home()))
        snprintf(out, cap, "%s/.cache/tranche/files", p);
    else
        snprintf(out, cap, "%s/tranche-%u/files", (p = from_env("TMPDIR")) ? p : "/tmp",
                 (unsigned)getuid());
}

static err_t make_all(char *path, struct err *e)
{
    for (char *s = strchr(path + 1, '/');; s = strchr(s + 1, '/')) {
        if (s) *s = 0;
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (!made) err_sys(e, "cannot make the folder %s for files of jobs", path);
        if (s) *s = '/';
        if (!made) return ERR_IO;
        if (!s) return ERR_OK;
    }
}

// Who may rename a folder above it can put one of his own in its place. With the sticky bit
// (/tmp) only owners may, and the group may be the user's own, as ssh has it.
static bool is_open(const struct stat *st)
{
    if (!(st->st_mode & 022) || st->st_mode & S_ISVTX) return false;
    return st->st_mode & 002 || !own_group(geteuid(), st->st_gid);
}

static err_t check_above(const char *dir, struct err *e)
{
    struct stat st;
    char *path = realpath(dir, NULL);
    err_t rc = path ? ERR_OK : err_sys(e, "%s", dir);
    for (char *s; rc == ERR_OK && (s = strrchr(path, '/'));) {
        *s = 0;
        const char *above = s == path ? "/" : path;
        if (stat(above, &st)) {
            rc = err_sys(e, "cannot stat %s", above);
        } else {
            bool foreign = st.st_uid != geteuid() && st.st_uid != 0;
            if (foreign || is_open(&st))
                rc = err_set(e, ERR_INVALID,
                             "%s %s: programs would run from %s below it; set TRANCHE_HOME "
                             "to a folder elsewhere",
                             above,
                             foreign ? "belongs to another user"
                                     : "may be written to by others",
                             dir);
        }
    }
    free(path);
    return rc;
}

// Its owner decides what runs from it: that must be us.
static err_t check_private(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st)) return err_sys(e, "cannot stat %s", path);
    if (st.st_uid == geteuid() && !(st.st_mode & 022)) return ERR_OK;
    return err_set(
        e, ERR_INVALID,
        "%s belongs to another user or others may write to it: programs would run "
        "from there; remove it, or set TRANCHE_HOME",
        path);
}

static void remove_job(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        rmtree_below(fd); // links, and the folders that programs find theirs in
        unlinkat(dir, name, AT_REMOVEDIR);
    }
    close(fd);
}

static void remove_part(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dir, name, 0);
    close(fd);
}

static DIR *list(const struct cache *c)
{
    int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0) close(fd);
    return d;
}

static void sweep(const struct cache *c)
{
    DIR *d = list(c);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        if (strncmp(x->d_name, "job-", 4) == 0) remove_job(c->fd, x->d_name);
        if (strncmp(x->d_name, "part-", 5) == 0) remove_part(c->fd, x->d_name);
    }
    closedir(d);
}

// A sweeper may come between the folder and its lock: then there is another try.
static err_t make_job(struct cache *c, struct err *e)
{
    for (int tries = 0; tries < 10; tries++) {
        struct stat st;
        snprintf(c->job, sizeof c->job, "%s/job-XXXXXX", c->dir);
        if (!mkdtemp(c->job)) break;
        c->job_fd = open(c->job, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->job_fd >= 0 && flock(c->job_fd, LOCK_EX | LOCK_NB) == 0 &&
            stat(c->job, &st) == 0)
            return ERR_OK;
        if (c->job_fd >= 0) close(c->job_fd);
        c->job_fd = -1;
    }
    return err_sys(e, "cannot make a folder in %s", c->dir);
}

static err_t open_all(struct cache *c, struct err *e)
{
    struct statvfs fs;
    TRY(make_all(c->dir, e));
    c->fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->fd < 0) return err_sys(e, "cannot open %s", c->dir);
    TRY(check_private(c->fd, c->dir, e));
    TRY(check_above(c->dir, e));
    c->no_exec = fstatvfs(c->fd, &fs) == 0 && (fs.f_flag & ST_NOEXEC);
    sweep(c);
    return make_job(c, e);
}

err_t cache_open(struct cache *c, uint64_t max_bytes, struct err *e)
{
    char dir[PATH_MAX];
    *c = (struct cache){ .fd = -1, .job_fd = -1, .max_bytes = max_bytes };
    choose(dir, sizeof dir);
    if (strlen(dir) >= sizeof c->dir - 2)
        return err_set(e, ERR_INVALID, "the folder for files of jobs has too long a name");
    memcpy(c->dir, dir, strlen(dir) + 1);
    if (dir[0] != '/') { // programs are looked for from wherever a step runs
        char *here = getcwd(NULL, 0);
        int n = here ? snprintf(c->dir, sizeof c->dir, "%s/%s", here, dir) : -1;
        free(here);
        if (n < 0 || (size_t)n >= sizeof c->dir)
            return err_set(e, ERR_INVALID, "the folder for files of jobs has no full name");
    }
    err_t rc = open_all(c, e);
    if (rc != ERR_OK) cache_close(c);
    return rc;
}

void cache_close(struct cache *c)
{
    if (c->job_fd >= 0) {
        close(c->job_fd);
        const char *slash = strrchr(c->job, '/');
        remove_job(c->fd, slash + 1);
    }
    if (c->fd >= 0) close(c->fd);
    c->fd = c->job_fd = -1;
}

// ---- what is there ----

bool cache_take(struct cache *c, const struct job_file *f, uint32_t number,
                char path[CACHE_PATH])
{
    char entry[ENTRY], name[FILE_NAME_MAX + 16];
    struct stat st;
    entry_name(f, entry);
    snprintf(name, sizeof name, "%s", f->name);
    int rc = linkat(c->fd, entry, c->job_fd, name, 0);
    if (rc != 0 && errno == EEXIST) {
        snprintf(name, sizeof name, "%u-%.240s", number, f->name);
        rc = linkat(c->fd, entry, c->job_fd, name, 0);
    }
    if (rc != 0) return false;
    snprintf(path, CACHE_PATH, "%s/%s", c->job, name);
    if (fstatat(c->job_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        (uint64_t)st.st_size == f->size) {
        utimensat(c->job_fd, name, NULL, 0);
        return true;
    }
    cache_spoilt(c, f, path);
    return false;
}

void cache_spoilt(struct cache *c, const struct job_file *f, const char *path)
{
    char entry[ENTRY];
    entry_name(f, entry);
    unlinkat(c->fd, entry, 0);
    unlink(path);
}

// ---- room ----

struct oldest {
    char name[ENTRY];
    struct timespec used;
    uint64_t total;
};

static bool before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// Bytes in the folder, and what of it was not used for longest and is not in use.
static void look(const struct cache *c, struct oldest *o)
{
    struct stat st;
    *o = (struct oldest){ .total = 0 };
    DIR *d = list(c);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));) {
        bool part = strncmp(x->d_name, "part-", 5) == 0;
        if ((!part && !is_entry(x->d_name)) ||
            fstatat(c->fd, x->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        o->total += (uint64_t)st.st_size;
        if (part || st.st_nlink > 1 || (o->name[0] && !before(st.st_mtim, o->used)))
            continue;
        snprintf(o->name, sizeof o->name, "%.*s", ENTRY - 1, x->d_name);
        o->used = st.st_mtim;
    }
    closedir(d);
}

static bool throw_one_out(struct cache *c, const struct oldest *o)
{
    return o->name[0] && (unlinkat(c->fd, o->name, 0) == 0 || errno == ENOENT);
}

static void make_room(struct cache *c, uint64_t more)
{
    struct oldest o;
    do
        look(c, &o);
    while ((o.total > c->max_bytes || more > c->max_bytes - o.total) &&
           throw_one_out(c, &o));
}

// ---- what comes ----

err_t cache_begin(struct cache *c, const struct job_file *f, struct cache_part *part,
                  struct err *e)
{
    char path[CACHE_PATH];
    if (c->no_exec && (f->mode & 0100))
        return err_set(
            e, ERR_INVALID,
            "%s cannot be run from %s, which is mounted noexec: set TRANCHE_HOME "
            "to a folder elsewhere",
            f->name, c->dir);
    make_room(c, f->size);
    // A sweeper may come between the file and its lock: then there is another try.
    for (int tries = 0; tries < 10; tries++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/part-XXXXXX", c->dir);
        part->fd = mkostemp(path, O_CLOEXEC);
        if (part->fd < 0) break;
        snprintf(part->name, sizeof part->name, "%.*s", (int)sizeof part->name - 1,
                 strrchr(path, '/') + 1);
        if (flock(part->fd, LOCK_EX | LOCK_NB) == 0 && fstat(part->fd, &st) == 0 &&
            st.st_nlink == 1)
            return ERR_OK;
        cache_drop(c, part);
    }
    return err_sys(e, "cannot make a file in %s", c->dir);
}

err_t cache_write(struct cache *c, struct cache_part *part, const void *p, size_t n,
                  uint64_t at, struct err *e)
{
    for (size_t put = 0; put < n;) {
        struct oldest o;
        ssize_t k = pwrite(part->fd, (const uint8_t *)p + put, n - put, (off_t)(at + put));
        if (k > 0) put += (size_t)k;
        if (k >= 0 || errno == EINTR) continue;
        if (errno != ENOSPC && errno != EDQUOT)
            return err_sys(e, "cannot write to %s", c->dir);
        look(c, &o);
        if (!throw_one_out(c, &o))
            return err_set(e, ERR_FULL,
                           "no space is left in %s for the files of the job: free some, or "
                           "set TRANCHE_HOME to a folder elsewhere",
                           c->dir);
    }
    return ERR_OK;
}

err_t cache_commit(struct cache *c, struct cache_part *part, const struct job_file *f,
                   struct err *e)
{
    char entry[ENTRY];
    entry_name(f, entry);
    // The digest would not tell an empty file after a power cut from this one before its
    // use.
    if (fchmod(part->fd, (mode_t)f->mode) != 0 || fsync(part->fd) != 0)
        return err_sys(e, "cannot write to %s", c->dir);
    if (renameat(c->fd, part->name, c->fd, entry) != 0)
        return err_sys(e, "cannot rename a file in %s", c->dir);
    close(part->fd);
    part->fd = -1;
    return ERR_OK;
}

void cache_drop(struct cache *c, struct cache_part *part)
{
    if (part->fd < 0) return;
    unlinkat(c->fd, part->name, 0);
    close(part->fd);
    part->fd = -1;
}
