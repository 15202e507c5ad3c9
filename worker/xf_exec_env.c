// What a program gets of the environment; docs/EXEC.md has the list for users.

#include "worker/xf_exec.h"

#include "common/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

// Where programs and their libraries are, who the user is, how text looks, the way out.
static const char *const passed[] = {
    "PATH",          "HOME",         "USER",
    "LOGNAME",       "SHELL",        "LANG",
    "LANGUAGE",      "TZ",           "VIRTUAL_ENV",
    "CONDA_PREFIX",  "PYTHONPATH",   "PYTHONHOME",
    "PERL5LIB",      "NODE_PATH",    "R_LIBS",
    "R_LIBS_USER",   "JAVA_HOME",    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy",
    "https_proxy",   "no_proxy",     "HTTP_PROXY",
    "HTTPS_PROXY",   "NO_PROXY",
};

static bool is_passed(const char *variable)
{
    size_t n = strcspn(variable, "=");
    if (strncmp(variable, "LC_", 3) == 0) return true;
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (strlen(passed[i]) == n && strncmp(passed[i], variable, n) == 0) return true;
    return false;
}

static err_t add(struct strings *env, const char *name, const char *value, struct err *e)
{
    char *text = NULL;
    for (size_t i = 0, n = strlen(name); i < env->n; i++)
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=') {
            if (asprintf(&text, "%s=%s", name, value) < 0)
                return err_set(e, ERR_NOMEM, "out of memory");
            free(env->v[i]);
            env->v[i] = text;
            return ERR_OK;
        }
    if (asprintf(&text, "%s=%s", name, value) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = strings_add(env, text, strlen(text), e);
    free(text);
    return rc;
}

static err_t value_text(const struct cell *c, struct buf *to, struct err *e)
{
    TRY(buf_reserve(to, 2 * (size_t)c->len + NUMBER_MAX + 3, e));
    uint8_t *p = to->p;
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: break;
    case CELL_INTEGER: p += number_put_integer((char *)p, c->i); break;
    case CELL_REAL: p += number_put_real((char *)p, c->r); break;
    case CELL_TEXT:
        if (memchr(c->p, 0, c->len))
            return err_set(e, ERR_INVALID,
                           "its text holds a NUL, which no environment can");
        memcpy(p, c->p, c->len);
        p += c->len;
        break;
    case CELL_BLOB:
        memcpy(p, "\\x", 2);
        p = number_put_hex(p + 2, c->p, c->len);
        break;
    }
    *p = 0;
    return ERR_OK;
}

// NULL is no variable.
static err_t add_params(struct strings *env, const struct spec *spec, struct err *e)
{
    struct buf text = { 0 };
    err_t rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < spec->n_params; i++) {
        const struct spec_param *p = &spec->params[i];
        char name[300];
        if (p->value.kind == CELL_NULL) continue;
        snprintf(name, sizeof name, "TRANCHE_PARAM_%.200s", p->name);
        rc = value_text(&p->value, &text, e);
        if (rc == ERR_OK) rc = add(env, name, (const char *)text.p, e);
        if (rc != ERR_OK) err_wrap(e, rc, "params.%.200s", p->name);
    }
    buf_free(&text);
    return rc;
}

static err_t make_env(struct xf_exec *x, const struct spec *spec, struct err *e)
{
    struct strings *env = &x->env;
    for (char **v = environ; *v; v++)
        if (is_passed(*v)) TRY(strings_add(env, *v, strlen(*v), e));
    TRY(add(env, "TMPDIR", x->scratch.room, e));
    TRY(add(env, "TRANCHE_FORMAT", x->step.format == STEP_CSV ? "csv" : "jsonl", e));
    TRY(add(env, "TRANCHE_PERSISTENT", x->step.persistent ? "1" : "0", e));
    if (x->sample) TRY(add(env, "TRANCHE_SAMPLE", "1", e));
    TRY(add_params(env, spec, e));
    for (size_t i = 0; i < x->step.env.n; i++)
        TRY(add(env, x->step.env.v[i].name, x->step.env.v[i].value, e));
    return ERR_OK;
}

// Where a file that is an argument stands: beside the others, if there are any.
static void path_of(const struct xf_exec *x, const struct spec *spec, uint32_t file,
                    char out[2 * CACHE_PATH])
{
    snprintf(out, 2 * CACHE_PATH, "%s", spec->files.v[file].path);
    for (size_t i = 0; *x->beside && i < x->step.n_places; i++)
        if (x->step.places[i].file == file)
            snprintf(out, 2 * CACHE_PATH, "%s/%s", x->beside, x->step.places[i].path);
}

static err_t make_argv(struct xf_exec *x, const struct spec *spec, struct err *e)
{
    for (size_t i = 0; i < x->step.argv.n; i++) {
        const char *text = x->step.argv.v[i];
        char path[2 * CACHE_PATH];
        for (size_t k = 0; k < x->step.n_files; k++)
            if (x->step.files[k].argument == i)
                path_of(x, spec, x->step.files[k].file, path), text = path;
        TRY(strings_add(&x->argv, text, strlen(text), e));
    }
    return ERR_OK;
}

static err_t as_list(char ***out, const struct strings *s, struct err *e)
{
    *out = calloc(s->n + 1, sizeof **out);
    if (!*out) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(*out, s->v, s->n * sizeof **out);
    return ERR_OK;
}

err_t xf_exec_arguments(struct xf_exec *x, const struct spec *spec, struct err *e)
{
    TRY(make_argv(x, spec, e));
    TRY(make_env(x, spec, e));
    TRY(as_list(&x->argv_list, &x->argv, e));
    return as_list(&x->env_list, &x->env, e);
}
