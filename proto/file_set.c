#include "proto/file_set.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };

void file_hex(const struct file_digest *d, char out[FILE_HEX])
{
    sodium_bin2hex(out, FILE_HEX, d->b, FILE_DIGEST);
}

// ---- digests ----

struct file_hash {
    crypto_generichash_state st;
};

err_t file_hash_new(struct file_hash **out, struct err *e)
{
    struct file_hash *h;
    if (sodium_init() < 0) return err_set(e, ERR_IO, "libsodium finds no randomness");
    size_t align = _Alignof(struct file_hash);
    h = aligned_alloc(align, (sizeof *h + align - 1) / align * align);
    if (!h) return err_set(e, ERR_NOMEM, "out of memory: a digest");
    int rc = crypto_generichash_init(&h->st, NULL, 0, FILE_DIGEST);
    assert(rc == 0);
    (void)rc;
    *out = h;
    return ERR_OK;
}

void file_hash_add(struct file_hash *h, const void *p, size_t n)
{
    crypto_generichash_update(&h->st, p, n);
}

struct file_digest file_hash_value(struct file_hash *h)
{
    struct file_digest d;
    int rc = crypto_generichash_final(&h->st, d.b, FILE_DIGEST);
    assert(rc == 0);
    (void)rc;
    return d;
}

void file_hash_free(struct file_hash **h)
{
    free(*h);
    *h = NULL;
}

static err_t add_all(struct file_hash *h, int fd, uint64_t *size, const char *path,
                     struct err *e)
{
    uint8_t *block = malloc(READ_BYTES);
    ssize_t n = 1;
    if (!block) return err_set(e, ERR_NOMEM, "out of memory: %s", path);
    for (*size = 0; n > 0 && *size <= FILE_MAX_BYTES;) {
        n = read(fd, block, READ_BYTES);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            file_hash_add(h, block, (size_t)n), *size += (uint64_t)n;
    }
    err_t rc = n < 0 ? err_sys(e, "cannot read %s", path) : ERR_OK;
    free(block);
    return rc;
}

static struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){
        .dev = (uint64_t)st->st_dev,
        .ino = (uint64_t)st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
    };
}

bool file_same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

// Digest and stamp of an open file. It must stand still for as long.
static err_t digest_open(int fd, const char *path, struct job_file *f, struct err *e)
{
    struct file_hash *h = NULL;
    struct stat before, after;
    uint64_t size = 0;
    if (fstat(fd, &before)) return err_sys(e, "cannot stat %s", path);
    if (!S_ISREG(before.st_mode))
        return err_set(e, ERR_INVALID, "%s is %s: only plain files go to workers", path,
                       S_ISDIR(before.st_mode) ? "a folder" : "no plain file");
    if ((uint64_t)before.st_size > FILE_MAX_BYTES)
        return err_set(e, ERR_TOOBIG, "%s has %llu bytes: files for workers may have %llu",
                       path, (unsigned long long)before.st_size,
                       (unsigned long long)FILE_MAX_BYTES);
    TRY(file_hash_new(&h, e));
    err_t rc = add_all(h, fd, &size, path, e);
    f->digest = file_hash_value(h);
    file_hash_free(&h);
    TRY(rc);
    if (fstat(fd, &after)) return err_sys(e, "cannot stat %s", path);
    f->stamp = stamp_of(&after);
    f->size = size;
    f->mode = after.st_mode & 0111 ? 0500 : 0400;
    struct file_stamp was = stamp_of(&before);
    if (size != f->stamp.size || !file_same_stamp(&was, &f->stamp))
        return err_set(e, ERR_CHANGED, "%s was written to while it was read", path);
    return ERR_OK;
}

static err_t open_path(const char *path, int *fd, struct err *e)
{
    // A fifo must not keep us waiting.
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *fd >= 0 ? ERR_OK : err_sys(e, "cannot open %s", path);
}

// ---- the set ----

bool file_name_ok(const char *name, size_t n)
{
    return n > 0 && n <= FILE_NAME_MAX && !memchr(name, '/', n) && !memchr(name, 0, n) &&
           !(n == 1 && name[0] == '.') && !(n == 2 && memcmp(name, "..", 2) == 0);
}

static void job_file_free(struct job_file *f)
{
    free(f->name);
    free(f->path);
    *f = (struct job_file){ 0 };
}

static err_t read_file(struct job_file *f, const char *path, struct err *e)
{
    int fd;
    f->path = realpath(path, NULL);
    if (!f->path) {
        err_sys(e, "cannot open %s", path);
        return e ? e->code = ERR_INVALID : ERR_INVALID;
    }
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strlen(f->path) > FILE_PATH_MAX || !file_name_ok(name, strlen(name)))
        return err_set(e, ERR_INVALID, "%s is no name of a file for workers", path);
    f->name = strdup(name);
    if (!f->name) return err_set(e, ERR_NOMEM, "out of memory: %s", path);
    if (open_path(f->path, &fd, e) != ERR_OK)
        return e ? e->code = ERR_INVALID : ERR_INVALID;
    err_t rc = digest_open(fd, path, f, e);
    close(fd);
    return rc;
}

static bool find(const struct file_set *s, const struct job_file *f, uint32_t *number)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->v[i].path, f->path) != 0 || strcmp(s->v[i].name, f->name) != 0)
            continue;
        *number = (uint32_t)i;
        return memcmp(&s->v[i].digest, &f->digest, sizeof f->digest) == 0;
    }
    return false;
}

err_t file_set_add(struct file_set *s, const char *path, uint32_t *number, struct err *e)
{
    struct job_file f = { .in_place = true };
    err_t rc = read_file(&f, path, e);
    if (rc != ERR_OK || find(s, &f, number)) {
        job_file_free(&f);
        return rc;
    }
    struct job_file *v = s->n < FILE_SET_MAX ? realloc(s->v, (s->n + 1) * sizeof *v) : NULL;
    if (!v) {
        job_file_free(&f);
        return s->n < FILE_SET_MAX
                   ? err_set(e, ERR_NOMEM, "out of memory: %s", path)
                   : err_set(e, ERR_TOOBIG, "%s is one file too many: a job may have %d",
                             path, FILE_SET_MAX);
    }
    s->v = v;
    *number = (uint32_t)s->n;
    s->v[s->n++] = f;
    return ERR_OK;
}

void file_set_free(struct file_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        job_file_free(&s->v[i]);
    free(s->v);
    *s = (struct file_set){ 0 };
}

// ---- later ----

static err_t changed(const struct job_file *f, struct err *e)
{
    return err_set(e, ERR_CHANGED,
                   "%s changed during the run: its digest no longer matches; start the run "
                   "again when the file stays as it is",
                   f->path);
}

err_t file_open(const struct job_file *f, int *fd, struct err *e)
{
    struct stat st;
    TRY(open_path(f->path, fd, e));
    if (!f->in_place) return ERR_OK;
    if (fstat(*fd, &st) == 0) {
        struct file_stamp now = stamp_of(&st);
        if (file_same_stamp(&now, &f->stamp)) return ERR_OK;
    }
    close(*fd);
    *fd = -1;
    return changed(f, e);
}

err_t file_stamp_fd(int fd, struct file_stamp *out, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st)) return err_sys(e, "cannot stat a file");
    *out = stamp_of(&st);
    return ERR_OK;
}

err_t file_check(struct job_file *f, struct err *e)
{
    struct stat st;
    struct job_file now = { 0 };
    int fd;
    if (stat(f->path, &st) == 0) {
        struct file_stamp stamp = stamp_of(&st);
        if (file_same_stamp(&stamp, &f->stamp)) return ERR_OK;
    }
    if (open_path(f->path, &fd, e) != ERR_OK) return changed(f, e);
    err_t rc = digest_open(fd, f->path, &now, e);
    close(fd);
    if (rc == ERR_NOMEM) return rc;
    if (rc != ERR_OK || memcmp(&now.digest, &f->digest, sizeof now.digest) != 0)
        return changed(f, e);
    f->stamp = now.stamp;
    return ERR_OK;
}
