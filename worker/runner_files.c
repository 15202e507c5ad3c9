#include "worker/runner_files.h"

#include "worker/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err_t read_range(int fd, uint8_t *p, size_t n, uint64_t at, const char *what,
                        struct err *e)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = pread(fd, p + got, n - got, (off_t)(at + got));
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return err_sys(e, "cannot read %s", what);
        if (k == 0) return err_set(e, ERR_CHANGED, "%s ends too soon", what);
        got += (size_t)k;
    }
    return ERR_OK;
}

static err_t load_table(const struct spec *spec, struct spec_table *t, struct err *e)
{
    int fd;
    const struct job_file *f = &spec->files.v[t->file];
    TRY(file_open(f, &fd, e));
    t->csv = calloc(1, t->csv_bytes + CSV_PAD);
    err_t rc = t->csv ? read_range(fd, t->csv, t->csv_bytes, t->file_at, f->path, e)
                      : err_set(e, ERR_NOMEM, "out of memory: %s", f->path);
    close(fd);
    if (rc != ERR_OK || hash_equal(hash_bytes(t->csv, t->csv_bytes), t->digest)) return rc;
    return err_set(e, ERR_CHANGED,
                   "%s changed during the run: its digest no longer matches", f->path);
}

static err_t load_tables(struct spec *spec, struct err *e)
{
    for (size_t i = 0; i < spec->n_tables; i++) {
        struct spec_table *t = &spec->tables[i];
        err_t rc = t->csv ? ERR_OK : load_table(spec, t, e);
        if (rc != ERR_OK) return err_wrap(e, rc, "table %s", t->name);
    }
    return ERR_OK;
}

static err_t take_path(struct job_file *f, const struct runner_file *r, struct err *e)
{
    char *path = strndup(r->path, sizeof r->path - 1);
    if (!path) return err_set(e, ERR_NOMEM, "out of memory: %s", f->name);
    free(f->path);
    f->path = path;
    f->stamp = r->stamp;
    f->in_place = r->in_place;
    return ERR_OK;
}

err_t runner_files_open(struct spec *spec, int fd, struct err *e)
{
    struct runner_file *r = spec->files.n ? malloc(sizeof *r) : NULL;
    if (spec->files.n && !r) return err_set(e, ERR_NOMEM, "out of memory: files");
    err_t rc = ERR_OK;
    for (size_t i = 0; i < spec->files.n && rc == ERR_OK; i++) {
        rc = read_range(fd, (uint8_t *)r, sizeof *r, i * sizeof *r, "the list of files", e);
        if (rc == ERR_OK) rc = take_path(&spec->files.v[i], r, e);
    }
    free(r);
    return rc == ERR_OK ? load_tables(spec, e) : rc;
}

err_t runner_files_open_local(struct spec *spec, struct err *e)
{
    for (size_t i = 0; i < spec->files.n; i++) {
        spec->files.v[i].in_place = true;
        TRY(file_check(&spec->files.v[i], e)); // there is no stamp yet: it is read
    }
    return load_tables(spec, e);
}

err_t runner_files_check(struct spec *spec, struct err *e)
{
    for (size_t i = 0; i < spec->files.n; i++)
        if (spec->files.v[i].in_place) TRY(file_check(&spec->files.v[i], e));
    return ERR_OK;
}
