#include "coordinator/beside.h"

#include "coordinator/source_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 32 };

static bool has_place(const struct step *s, const char *place)
{
    for (size_t i = 0; i < s->n_places; i++)
        if (strcmp(s->places[i].path, place) == 0) return true;
    return false;
}

static err_t add_file(struct spec *spec, struct step *s, const char *path,
                      const char *place, struct err *e)
{
    uint32_t number;
    if (has_place(s, place)) return ERR_OK;
    if (s->n_places == SPEC_PLACES_MAX)
        return err_set(e, ERR_TOOBIG, "%s is one file too many beside a program", path);
    TRY(file_set_add(&spec->files, path, &number, e));
    return step_add_place(s, number, place, e);
}

static int wanted(const struct dirent *x)
{
    return x->d_name[0] != '.' && strcmp(x->d_name, "__pycache__") != 0;
}

static err_t add_any(struct spec *spec, struct step *s, const char *path, const char *place,
                     int depth, struct err *e);

// In the order of their names: the job's identity has them.
static err_t add_folder(struct spec *spec, struct step *s, const char *path,
                        const char *place, int depth, struct err *e)
{
    struct dirent **list;
    int n = scandir(path, &list, wanted, alphasort);
    if (n < 0) return err_sys(e, "cannot list the folder %s", path);
    err_t rc = ERR_OK;
    for (int i = 0; i < n; i++) {
        char sub[FILE_PATH_MAX + 1], at[FILE_PATH_MAX + 1];
        if (rc == ERR_OK &&
            (snprintf(sub, sizeof sub, "%s/%s", path, list[i]->d_name) >= (int)sizeof sub ||
             snprintf(at, sizeof at, "%s/%s", place, list[i]->d_name) >= (int)sizeof at))
            rc = err_set(e, ERR_INVALID, "%s/%s is too long a path", path, list[i]->d_name);
        if (rc == ERR_OK) rc = add_any(spec, s, sub, at, depth + 1, e);
        free(list[i]);
    }
    free(list);
    return rc;
}

// Sockets and the like in a folder are nobody's files.
static err_t add_any(struct spec *spec, struct step *s, const char *path, const char *place,
                     int depth, struct err *e)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) {
        if (depth < DEEPEST) return add_folder(spec, s, path, place, depth, e);
        return err_set(e, ERR_INVALID, "%s is nested too deeply", path);
    }
    if (depth && (!there || !S_ISREG(st.st_mode))) return ERR_OK;
    return add_file(spec, s, path, place, e);
}

static err_t add_pattern(struct spec *spec, struct step *s, const char *pattern,
                         struct err *e)
{
    char path[FILE_PATH_MAX + 1];
    if (snprintf(path, sizeof path, "%s/%s", s->dir, pattern) >= (int)sizeof path)
        return err_set(e, ERR_INVALID, "%s is too long a path", pattern);
    struct strings written = { (char *[]){ (char *)pattern }, 1 };
    struct strings resolved = { (char *[]){ path }, 1 };
    struct source_files found = { 0 };
    err_t rc = source_files_expand(&written, &resolved, &found, e);
    for (size_t i = 0; i < found.n && rc == ERR_OK; i++)
        rc = add_any(spec, s, found.v[i].path, found.v[i].name, 0, e);
    source_files_free(&found);
    return rc;
}

// Beside its files stands the program itself.
static err_t add_arguments(struct spec *spec, struct step *s, struct err *e)
{
    for (size_t i = 0; i < s->n_files; i++) {
        const char *place = s->argv.v[s->files[i].argument];
        char path[FILE_PATH_MAX + 1];
        while (strncmp(place, "./", 2) == 0)
            place += 2;
        if (!step_place_ok(place)) continue;
        snprintf(path, sizeof path, "%s/%s", s->dir, place);
        TRY(add_file(spec, s, path, place, e));
    }
    return ERR_OK;
}

err_t beside_add(struct spec *spec, struct step *s, struct err *e)
{
    if (s->with.n == 0) return ERR_OK;
    TRY(add_arguments(spec, s, e));
    for (size_t i = 0; i < s->with.n; i++) {
        err_t rc = add_pattern(spec, s, s->with.v[i], e);
        if (rc != ERR_OK) return err_wrap(e, rc, "transform.files");
    }
    return ERR_OK;
}
