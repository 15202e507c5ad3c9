// The files that go with a program, laid out as they stand in the job's folder: links to
// those in the cache, in a folder of its own beside them, which goes with the worker's.

#include "worker/xf_exec.h"

#include "common/rmtree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err_t make_folders(char *path, size_t from, struct err *e)
{
    for (char *s = strchr(path + from, '/'); s; s = strchr(s + 1, '/')) {
        *s = 0;
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (!made) err_sys(e, "cannot make the folder %s for a program's files", path);
        *s = '/';
        if (!made) return ERR_IO;
    }
    return ERR_OK;
}

static err_t lay_out_file(const struct xf_exec *x, const struct job_file *f,
                          const char *place, struct err *e)
{
    char path[2 * CACHE_PATH];
    if (snprintf(path, sizeof path, "%s/%s", x->beside, place) >= (int)sizeof path)
        return err_set(e, ERR_INVALID, "%s has too long a path", place);
    TRY(make_folders(path, strlen(x->beside) + 1, e));
    if (link(f->path, path)) return err_sys(e, "cannot lay out %s for a program", place);
    return ERR_OK;
}

err_t xf_exec_lay_out(struct xf_exec *x, const struct spec *spec, struct err *e)
{
    const struct step *s = &x->step;
    if (s->n_places == 0 || spec->files.v[s->places[0].file].in_place) return ERR_OK;
    const char *first = spec->files.v[s->places[0].file].path;
    int n = snprintf(x->beside, sizeof x->beside, "%.*s/beside-XXXXXX",
                     (int)(strrchr(first, '/') - first), first);
    bool made = n < (int)sizeof x->beside && mkdtemp(x->beside);
    if (!made) {
        x->beside[0] = 0;
        return err_sys(e, "cannot make a folder for a program's files beside %s", first);
    }
    for (size_t i = 0; i < s->n_places; i++)
        TRY(lay_out_file(x, &spec->files.v[s->places[i].file], s->places[i].path, e));
    return ERR_OK;
}

void xf_exec_clear_out(struct xf_exec *x)
{
    if (x->beside[0]) rmtree(x->beside);
    x->beside[0] = 0;
}
