#include "coordinator/source_files.h"

#include "common/buf.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *absolute(const char *path)
{
    if (path[0] == '/') return strdup(path);
    char *cwd = getcwd(NULL, 0);
    if (!cwd) return NULL;
    struct buf b = { 0 };
    err_t rc = buf_printf(&b, NULL, "%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
    free(cwd);
    if (rc == ERR_OK) return (char *)b.p;
    buf_free(&b);
    return NULL;
}

static err_t add(struct source_files *f, const char *name, const char *path, struct err *e)
{
    struct source_file *v = realloc(f->v, (f->n + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    f->v = v;
    v[f->n] = (struct source_file){ strdup(name), path ? absolute(path) : NULL };
    f->n++; // half-built entries are freed with the list
    if (!v[f->n - 1].name || (path && !v[f->n - 1].path))
        return err_set(e, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

// The folder that a written path was resolved against, with its slash: what stands before
// the written text in the resolved one. 0: the two have nothing in common.
static size_t prefix_of(const char *written, const char *resolved)
{
    if (strncmp(written, "./", 2) == 0) written += 2;
    size_t w = strlen(written), r = strlen(resolved);
    return r >= w && strcmp(resolved + r - w, written) == 0 ? r - w : 0;
}

// Only what the user wrote is a pattern; the folder before it is not.
static char *pattern_of(const char *resolved, size_t prefix)
{
    size_t n = strlen(resolved);
    char *p = malloc(n + prefix + 1), *to = p;
    if (!p) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (i < prefix && strchr("*?[\\", resolved[i])) *to++ = '\\';
        *to++ = resolved[i];
    }
    *to = 0;
    return p;
}

static _Thread_local int unreadable_errno;
static _Thread_local char unreadable_path[256];

static int on_unreadable(const char *path, int error)
{
    if (error == ENOENT) return 0; // gone since its parent was listed
    unreadable_errno = error;
    strncpy(unreadable_path, path, sizeof unreadable_path - 1);
    return 1;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static err_t add_matches(struct source_files *f, const char *written, const char *resolved,
                         size_t prefix, glob_t *g, struct err *e)
{
    size_t dot = strncmp(written, "./", 2) == 0 ? 2 : 0;
    qsort(g->gl_pathv, g->gl_pathc, sizeof *g->gl_pathv, by_bytes);
    for (size_t i = 0; i < g->gl_pathc; i++) {
        const char *path = g->gl_pathv[i];
        bool ours = prefix && strncmp(path, resolved, prefix) == 0;
        struct buf name = { 0 };
        err_t rc = buf_printf(&name, e, "%.*s%s", (int)dot, ours ? "./" : "",
                              path + (ours ? prefix : 0));
        if (rc == ERR_OK) rc = add(f, (char *)name.p, path, e);
        buf_free(&name);
        TRY(rc);
    }
    return ERR_OK;
}

static err_t expand_glob(struct source_files *f, const char *written, const char *resolved,
                         struct err *e)
{
    size_t prefix = prefix_of(written, resolved);
    char *pattern = pattern_of(resolved, prefix);
    if (!pattern) return err_set(e, ERR_NOMEM, "out of memory");
    glob_t g = { 0 };
    unreadable_errno = 0;
    int rc = glob(pattern, GLOB_NOSORT, on_unreadable, &g);
    free(pattern);
    err_t bad = ERR_OK;
    if (rc == GLOB_NOMATCH)
        bad = err_set(e, ERR_INVALID, "no file matches '%s'", written);
    else if (rc == GLOB_NOSPACE)
        bad = err_set(e, ERR_NOMEM, "out of memory");
    else if (rc != 0)
        bad = err_set(e, ERR_IO, "'%s': cannot list folder %s: %s", written,
                      unreadable_path, strerror(unreadable_errno));
    else
        bad = add_matches(f, written, resolved, prefix, &g, e);
    globfree(&g);
    return bad;
}

static err_t expand_one(struct source_files *f, const char *written, const char *resolved,
                        bool *stdin_seen, struct err *e)
{
    if (strcmp(written, "-") == 0) {
        if (*stdin_seen)
            return err_set(e, ERR_INVALID, "'-' (standard input) can be read only once");
        *stdin_seen = true;
        return add(f, "-", NULL, e);
    }
    // A missing or unreadable file without wildcards is reported where it is opened.
    if (access(resolved, F_OK) == 0 || !strpbrk(written, "*?["))
        return add(f, written, resolved, e);
    return expand_glob(f, written, resolved, e);
}

struct seen {
    dev_t dev;
    ino_t ino;
    size_t at;
};

static int by_file(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    if (x->dev != y->dev) return x->dev < y->dev ? -1 : 1;
    if (x->ino != y->ino) return x->ino < y->ino ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

// The first mention of a file stays, whatever the other paths to it look like.
static err_t drop_repeats(struct source_files *f, struct err *e)
{
    struct seen *seen = malloc((f->n + 1) * sizeof *seen);
    if (!seen) return err_set(e, ERR_NOMEM, "out of memory");
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        struct stat st;
        if (f->v[i].path && stat(f->v[i].path, &st) == 0)
            seen[n++] = (struct seen){ st.st_dev, st.st_ino, i };
    }
    qsort(seen, n, sizeof *seen, by_file);
    for (size_t i = 1; i < n; i++) {
        if (seen[i].dev != seen[i - 1].dev || seen[i].ino != seen[i - 1].ino) continue;
        free(f->v[seen[i].at].name);
        f->v[seen[i].at].name = NULL;
    }
    free(seen);
    size_t kept = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (f->v[i].name)
            f->v[kept++] = f->v[i];
        else
            free(f->v[i].path);
    }
    f->n = kept;
    return ERR_OK;
}

err_t source_files_expand(const struct strings *written, const struct strings *resolved,
                          struct source_files *out, struct err *e)
{
    struct source_files f = { 0 };
    bool stdin_seen = false;
    if (written->n == 0)
        return err_set(e, ERR_INVALID, "no input: name a file, a glob or '-' under csv:");
    err_t rc = ERR_OK;
    for (size_t i = 0; i < written->n && rc == ERR_OK; i++)
        rc = expand_one(&f, written->v[i], i < resolved->n ? resolved->v[i] : written->v[i],
                        &stdin_seen, e);
    if (rc == ERR_OK) rc = drop_repeats(&f, e);
    if (rc != ERR_OK) {
        source_files_free(&f);
        return rc;
    }
    *out = f;
    return ERR_OK;
}

void source_files_free(struct source_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].name);
        free(f->v[i].path);
    }
    free(f->v);
    *f = (struct source_files){ 0 };
}
