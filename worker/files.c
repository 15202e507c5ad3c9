#include "worker/files.h"

#include "worker/channel.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static err_t list(int fd, const struct job_file *f, struct err *e)
{
    static struct runner_file r;
    r = (struct runner_file){ .stamp = f->stamp, .in_place = f->in_place };
    snprintf(r.path, sizeof r.path, "%s", f->path);
    if (write(fd, &r, sizeof r) != (ssize_t)sizeof r)
        return err_sys(e, "cannot keep the list of files");
    return ERR_OK;
}

static err_t find_in_place(int fd, struct file_set *s, struct err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        s->v[i].in_place = true;
        TRY(file_check(&s->v[i], e));
        TRY(list(fd, &s->v[i], e));
    }
    return ERR_OK;
}

err_t files_find(int *list_fd, struct slice spec, bool in_place, struct err *e)
{
    struct spec s;
    *list_fd = memfd_create("tranche-files", MFD_CLOEXEC);
    if (*list_fd < 0) return err_sys(e, "cannot keep the list of files");
    TRY(spec_decode(&s, spec.p, spec.n, e));
    err_t rc = ERR_OK;
    if (in_place)
        rc = find_in_place(*list_fd, &s.files, e);
    else if (s.files.n)
        rc = err_set(e, ERR_INVALID, "%s cannot come to this host", s.files.v[0].name);
    spec_free(&s);
    return rc;
}
