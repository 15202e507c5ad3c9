#include "coordinator/programs.h"

#include "common/text.h"
#include "coordinator/beside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err_t add_file(struct spec *spec, struct step *s, const char *path,
                      uint32_t argument, struct err *e)
{
    uint32_t number;
    TRY(file_set_add(&spec->files, path, &number, e));
    struct step_file *v = realloc(s->files, (s->n_files + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    s->files = v;
    v[s->n_files++] = (struct step_file){ argument, number };
    return ERR_OK;
}

// Programs in the job's folder: `./clean.py`, `clean.py` behind python3. What is found in
// PATH, and absolute paths, are each host's own.
static err_t add_files(struct spec *spec, struct step *s, struct err *e)
{
    for (size_t i = 0; i < s->argv.n; i++) {
        const char *text = s->argv.v[i];
        char path[FILE_PATH_MAX + 1];
        struct stat st;
        if (*text == '/' || !*text || (i == 0 && !strchr(text, '/'))) continue;
        if (snprintf(path, sizeof path, "%s/%s", s->dir, text) >= (int)sizeof path)
            continue;
        if (stat(path, &st) || !S_ISREG(st.st_mode)) continue;
        TRY(add_file(spec, s, path, (uint32_t)i, e));
    }
    return ERR_OK;
}

// "$NAME": a variable of ours. NULL: the text itself; "$$NAME" says "$NAME".
static const char *variable_of(const char *text)
{
    return *text == '$' && text_is_identifier(text + 1) ? text + 1 : NULL;
}

// From here on the spec has the values. What is written to history and hashed to the
// load's identity is the job's, with the names.
static err_t take_variables(struct step *s, struct err *e)
{
    for (size_t i = 0; i < s->env.n; i++) {
        struct job_pair *p = &s->env.v[i];
        const char *name = variable_of(p->value), *value = p->value;
        if (name && !(value = getenv(name)))
            return err_set(e, ERR_INVALID,
                           "transform.env: %s wants the variable %s of the environment, "
                           "which is not set; export it, or write $$%s for the text itself",
                           p->name, name, name);
        if (!name && *value == '$' && variable_of(value + 1)) value++;
        if (name && !text_is_utf8(value, strlen(value)))
            return err_set(e, ERR_INVALID, "transform.env: the variable %s is not UTF-8",
                           name);
        char *copy = strdup(value);
        if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
        free(p->value);
        p->value = copy;
    }
    return ERR_OK;
}

err_t programs_add(struct spec *spec, struct err *e)
{
    for (size_t i = 0; i < spec->n_steps; i++) {
        struct step *s = &spec->steps[i];
        if (s->kind == STEP_PLUGIN) {
            if (access(s->path, F_OK) && errno == ENOENT)
                return err_set(
                    e, ERR_INVALID,
                    "plugin %s does not exist: build it first, see docs/PLUGIN.md",
                    s->path);
            err_t rc = add_file(spec, s, s->path, 0, e);
            if (rc != ERR_OK) return err_wrap(e, rc, "plugin %s", s->path);
        }
        if (s->kind != STEP_EXEC) continue;
        char *dir = realpath(s->dir, NULL);
        if (!dir) return err_sys(e, "cannot find the folder %s", s->dir);
        free(s->dir);
        s->dir = dir;
        TRY(take_variables(s, e));
        TRY(add_files(spec, s, e));
        TRY(beside_add(spec, s, e));
    }
    return ERR_OK;
}

// The columns, and what was learned of steps that had to be tried for them.
err_t programs_learned(struct spec *spec, struct spec *answer, struct strings *notes,
                       struct err *e)
{
    if (answer->n_steps != spec->n_steps)
        return err_set(e, ERR_PROTO, "the worker speaks of other transforms");
    spec->out = answer->out;
    answer->out = (struct schema){ 0 };
    for (size_t i = 0; i < answer->n_steps; i++) {
        struct step *to = &spec->steps[i], *from = &answer->steps[i];
        struct schema unknown = to->out;
        char note[300];
        if (from->kind != to->kind || from->out.n == 0) continue;
        char *said = to->said;
        to->out = from->out;
        from->out = unknown;
        to->said = from->said;
        from->said = said;
        if (from->kind != STEP_EXEC) continue;
        snprintf(note, sizeof note, "exec %.100s: sandbox %.160s", to->argv.v[0], to->said);
        TRY(strings_add(notes, note, strlen(note), e));
    }
    return ERR_OK;
}
