#include "coordinator/plan_write.h"

#include "common/conf.h"
#include "common/job_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 4200 };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n > k && strcasecmp(s + n - k, end) == 0;
}

err_t plan_write_allowed(const struct job *j, struct err *e)
{
    if (!j->write && j->force)
        return err_set(e, ERR_INVALID, "--force is about --write, which is not given");
    if (!j->write) return ERR_OK;
    if (!ends_with(j->write, ".yaml") && !ends_with(j->write, ".yml"))
        return err_set(e, ERR_INVALID, "--write: %s is no name of a job file; e.g. %s.yaml",
                       j->write, j->name);
    if (strlen(j->write) > PATH - 100)
        return err_set(e, ERR_INVALID, "--write: the path is too long");
    if (!j->force && access(j->write, F_OK) == 0)
        return err_set(e, ERR_INVALID, "--write: %s is there already; --force replaces it",
                       j->write);
    return ERR_OK;
}

// ---- its text ----

static err_t line(struct strings *to, const char *text, struct err *e)
{
    return strings_add(to, text, strlen(text), e);
}

static err_t about(const struct plan_found *f, struct strings *to, struct err *e)
{
    char text[PLAN_LINE];
    TRY(line(to, "Written by tranche plan. docs/JOBFILE.md describes every key.", e));
    for (uint32_t i = 0; plan_prediction(f, i, text); i++)
        TRY(line(to, text, e));
    return ERR_OK;
}

// Not given: a value that does not fit later is kept as text, and counted.
static err_t columns(const struct plan_found *f, struct strings *to, struct err *e)
{
    const struct schema *in = &f->plan->spec.in;
    char why[PLAN_EVIDENCE], text[PLAN_LINE];
    if (f->job->source == SOURCE_RANGE || f->job->source == SOURCE_LINES) return ERR_OK;
    TRY(line(to, "Types are inferred when a run begins. One that is given here rejects",
             e));
    TRY(line(to, "the rows that do not fit. types, as they were found:", e));
    for (uint32_t i = 0; i < in->n; i++) {
        plan_evidence(f, i, why);
        snprintf(text, sizeof text, "  %.100s: %s%s%s", in->f[i].name,
                 type_name(in->f[i].type), why[0] ? "  # " : "", why);
        TRY(line(to, text, e));
    }
    return ERR_OK;
}

static err_t make_text(const struct plan_found *f, struct buf *out, struct err *e)
{
    struct job_comments c = { 0 };
    char *folder = conf_folder(f->job->write);
    err_t rc = folder ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
    if (rc == ERR_OK) rc = about(f, &c.about, e);
    if (rc == ERR_OK) rc = columns(f, &c.columns, e);
    if (rc == ERR_OK) rc = job_write(f->job, folder, &c, out, e);
    strings_free(&c.about);
    strings_free(&c.columns);
    free(folder);
    return rc;
}

// ---- reading it back ----

static err_t read_back(const struct plan_found *f, const struct buf *text, struct job *j,
                       struct err *e)
{
    struct conf c;
    struct strings mistakes = { 0 };
    job_init(j);
    conf_init(&c, j, &mistakes);
    err_t rc = conf_text(&c, f->job->write, (const char *)text->p, text->n, e);
    if (rc == ERR_OK) rc = conf_finish(&c, e);
    strings_free(&mistakes);
    return rc;
}

// Whatever a name holds: the file gives the job that was planned, or is not written. Paths
// may be written otherwise when they are seen from another folder.
static err_t check_text(const struct plan_found *f, const struct buf *text, struct err *e)
{
    struct job j;
    struct buf want = { 0 }, got = { 0 };
    err_t rc = read_back(f, text, &j, e);
    if (rc == ERR_OK) rc = job_canonical(f->job, &want, e);
    if (rc == ERR_OK) rc = job_canonical(&j, &got, e);
    bool moved = rc == ERR_OK && j.file_paths.n == f->job->file_paths.n &&
                 (j.file_paths.n == 0 || strcmp(j.files.v[0], f->job->files.v[0]) != 0 ||
                  strcmp(j.into_written, f->job->into_written) != 0);
    bool same = want.n == got.n && want.n && memcmp(want.p, got.p, want.n) == 0;
    if (rc == ERR_OK && !same && !moved)
        rc = err_set(e, ERR_INVALID, "it would not be the same job");
    job_free(&j);
    buf_free(&want);
    buf_free(&got);
    return rc;
}

// ---- the file ----

static err_t put_bytes(int fd, const struct buf *text, const char *path, struct err *e)
{
    for (size_t done = 0; done < text->n;) {
        ssize_t n = write(fd, text->p + done, text->n - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return err_sys(e, "cannot write %s", path);
        done += (size_t)n;
    }
    return fsync(fd) ? err_sys(e, "cannot write %s", path) : ERR_OK;
}

static err_t put_file(const struct job *j, const struct buf *text, struct err *e)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s.XXXXXX", j->write);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return err_sys(e, "cannot create %s", j->write);
    err_t rc = put_bytes(fd, text, j->write, e);
    if (rc == ERR_OK && fchmod(fd, 0644)) rc = err_sys(e, "cannot write %s", j->write);
    if (close(fd) && rc == ERR_OK) rc = err_sys(e, "cannot write %s", j->write);
    int moved = rc != ERR_OK ? 0
                : j->force   ? rename(path, j->write)
                             : link(path, j->write); // not over one that came meanwhile
    if (moved) rc = err_sys(e, "cannot write %s", j->write);
    unlink(path);
    return rc;
}

err_t plan_write(const struct plan_found *f, struct err *e)
{
    struct buf text = { 0 };
    if (!f->job->write) return ERR_OK;
    err_t rc = make_text(f, &text, e);
    if (rc == ERR_OK) rc = check_text(f, &text, e);
    if (rc == ERR_OK) rc = put_file(f->job, &text, e);
    buf_free(&text);
    if (rc == ERR_OK) return ERR_OK;
    return err_wrap(e, rc, "--write: %s", f->job->write);
}
