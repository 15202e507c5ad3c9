#include "common/step.h"

#include <stdlib.h>
#include <string.h>

const char *step_kind_name(enum step_kind k)
{
    switch (k) {
#define X(id, num, key) \
    case STEP_##id: return key;
        STEP_KINDS(X)
#undef X
    case STEP_NONE: break;
    }
    return "?";
}

static err_t copy_text(char **to, const char *from, struct err *e)
{
    if (!from) return ERR_OK;
    *to = strdup(from);
    return *to ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t copy_files(struct step *to, const struct step *from, struct err *e)
{
    if (from->n_files == 0) return ERR_OK;
    to->files = malloc(from->n_files * sizeof *to->files);
    if (!to->files) return err_set(e, ERR_NOMEM, "out of memory");
    memcpy(to->files, from->files, from->n_files * sizeof *to->files);
    to->n_files = from->n_files;
    return ERR_OK;
}

enum { PART_MAX = 255, PATH_BYTES_MAX = 4095 };

bool step_place_ok(const char *path)
{
    if (strlen(path) > PATH_BYTES_MAX) return false;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        bool dots = (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
        if (n == 0 || n > PART_MAX || dots) return false;
        p += n;
        if (!*p) return true;
    }
}

err_t step_add_place(struct step *s, uint32_t file, const char *path, struct err *e)
{
    struct step_place *v = realloc(s->places, (s->n_places + 1) * sizeof *v);
    if (!v) return err_set(e, ERR_NOMEM, "out of memory");
    s->places = v;
    v[s->n_places] = (struct step_place){ file, NULL };
    TRY(copy_text(&v[s->n_places].path, path, e));
    s->n_places++;
    return ERR_OK;
}

static err_t copy_places(struct step *to, const struct step *from, struct err *e)
{
    for (size_t i = 0; i < from->n_places; i++)
        TRY(step_add_place(to, from->places[i].file, from->places[i].path, e));
    return ERR_OK;
}

void step_http_init(struct step_http *h)
{
    *h = (struct step_http){ .pages = 100,
                             .redirects = 5,
                             .retries = 4,
                             .concurrency = 8,
                             .timeout_ms = 30 * 1000,
                             .connect_ms = 10 * 1000,
                             .body_bytes = 8 << 20 };
}

static err_t copy_http(struct step_http *to, const struct step_http *from, struct err *e)
{
    *to = *from;
    to->url = to->rows = to->next = NULL;
    to->headers = to->fields = (struct job_pairs){ 0 };
    to->keep = (struct strings){ 0 };
    TRY(copy_text(&to->url, from->url, e));
    TRY(copy_text(&to->rows, from->rows, e));
    TRY(copy_text(&to->next, from->next, e));
    TRY(job_pairs_copy(&to->headers, &from->headers, e));
    TRY(job_pairs_copy(&to->fields, &from->fields, e));
    return strings_copy(&to->keep, &from->keep, e);
}

err_t step_forecast_init(struct step_forecast *f, struct err *e)
{
    *f = (struct step_forecast){ .permille = 800 };
    TRY(copy_text(&f->ds, "ds", e));
    return copy_text(&f->y, "y", e);
}

static err_t copy_forecast(struct step_forecast *to, const struct step_forecast *from,
                           struct err *e)
{
    *to = *from;
    to->ds = to->y = NULL;
    to->by = (struct strings){ 0 };
    TRY(copy_text(&to->ds, from->ds, e));
    TRY(copy_text(&to->y, from->y, e));
    return strings_copy(&to->by, &from->by, e);
}

static void free_forecast(struct step_forecast *f)
{
    free(f->ds);
    free(f->y);
    strings_free(&f->by);
}

static void free_http(struct step_http *h)
{
    free(h->url);
    free(h->rows);
    free(h->next);
    job_pairs_free(&h->headers);
    job_pairs_free(&h->fields);
    strings_free(&h->keep);
}

static err_t copy_parts(struct step *to, const struct step *from, struct err *e)
{
    TRY(copy_text(&to->sql, from->sql, e));
    TRY(copy_text(&to->dir, from->dir, e));
    TRY(copy_text(&to->said, from->said, e));
    TRY(schema_copy(&to->out, &from->out, e));
    TRY(copy_files(to, from, e));
    TRY(copy_places(to, from, e));
    TRY(strings_copy(&to->with, &from->with, e));
    TRY(copy_text(&to->path, from->path, e));
    TRY(copy_text(&to->path_written, from->path_written, e));
    TRY(strings_copy(&to->argv, &from->argv, e));
    TRY(job_pairs_copy(&to->env, &from->env, e));
    TRY(job_pairs_copy(&to->args, &from->args, e));
    TRY(copy_http(&to->http, &from->http, e));
    return copy_forecast(&to->forecast, &from->forecast, e);
}

err_t step_copy(struct step *to, const struct step *from, struct err *e)
{
    *to = (struct step){ .kind = from->kind,
                         .line = from->line,
                         .column = from->column,
                         .format = from->format,
                         .persistent = from->persistent,
                         .sandbox = from->sandbox };
    err_t rc = copy_parts(to, from, e);
    if (rc != ERR_OK) step_free(to);
    return rc;
}

void step_free(struct step *s)
{
    free(s->sql);
    strings_free(&s->argv);
    job_pairs_free(&s->env);
    free(s->dir);
    free(s->files);
    for (size_t i = 0; i < s->n_places; i++)
        free(s->places[i].path);
    free(s->places);
    strings_free(&s->with);
    schema_free(&s->out);
    free(s->said);
    free(s->path);
    free(s->path_written);
    job_pairs_free(&s->args);
    free_http(&s->http);
    free_forecast(&s->forecast);
    *s = (struct step){ 0 };
}

err_t steps_add(struct step **v, size_t *n, struct step *s, struct err *e)
{
    struct step *grown = realloc(*v, (*n + 1) * sizeof *grown);
    if (!grown) return err_set(e, ERR_NOMEM, "out of memory");
    *v = grown;
    grown[(*n)++] = *s;
    *s = (struct step){ 0 };
    return ERR_OK;
}

void steps_free(struct step **v, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        step_free(&(*v)[i]);
    free(*v);
    *v = NULL;
    *n = 0;
}
