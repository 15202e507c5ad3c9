#include "worker/xf_http.h"

#include "common/env_text.h"
#include "common/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

enum { RESULT_MAX = 128 << 20, SAID_MAX = 1024 }; // where nothing else limits it

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a transform");
}

const char *xf_http_say(struct xf_http *x, const char *fmt, ...)
{
    char text[SAID_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : n < SAID_MAX ? (size_t)n : SAID_MAX - 1;
    return arena_strdup(x->mem, text, len);
}

// ---- open ----

static const char *from_environment(const char *name)
{
    return getenv(name);
}

static err_t add_line(struct xf_http *x, struct curl_slist **list, const char *line,
                      struct err *e)
{
    struct curl_slist *longer = x->lib->slist_append(*list, line);
    if (!longer) return no_memory(e);
    *list = longer;
    return ERR_OK;
}

// A value that is empty needs a semicolon, or libcurl would leave the header out.
static err_t add_header(struct xf_http *x, const struct job_pair *h, struct err *e)
{
    struct buf line = { 0 };
    err_t rc = buf_printf(&line, e, "%s: ", h->name);
    size_t head = line.n;
    if (rc == ERR_OK) rc = env_text_expand(h->value, from_environment, &line, e);
    bool empty = rc == ERR_OK && line.n == head;
    if (empty) line.n -= 2;
    if (rc == ERR_OK) rc = buf_add(&line, empty ? ";" : "", 1, e);
    if (rc == ERR_OK && empty) rc = buf_add(&line, "", 1, e);
    if (rc == ERR_OK && text_has_control((const char *)line.p))
        rc = err_set(e, ERR_INVALID, "its value holds a control character");
    if (rc == ERR_OK) rc = add_line(x, &x->headers, (const char *)line.p, e);
    buf_free(&line);
    if (rc == ERR_INVALID) return err_wrap(e, ERR_TRANSFORM, "header %.100s", h->name);
    return rc;
}

static bool is_given(const struct step_http *h, const char *name)
{
    for (size_t i = 0; i < h->headers.n; i++)
        if (strcasecmp(h->headers.v[i].name, name) == 0) return true;
    return false;
}

static err_t open_headers(struct xf_http *x, struct err *e)
{
    static const char json[] = "Accept: application/json";
    const struct step_http *h = &x->step.http;
    if (h->rows) TRY(add_line(x, &x->plain, json, e));
    if (h->rows && !is_given(h, "Accept")) TRY(add_line(x, &x->headers, json, e));
    for (size_t i = 0; i < h->headers.n; i++)
        TRY(add_header(x, &h->headers.v[i], e));
    return ERR_OK;
}

static err_t open_keep(struct xf_http *x, struct err *e)
{
    const struct step_http *h = &x->step.http;
    x->n_keep = h->keep_given ? (uint32_t)h->keep.n : x->in.n;
    x->keep = calloc(x->n_keep + 1, sizeof *x->keep);
    if (!x->keep) return no_memory(e);
    for (uint32_t i = 0; i < x->n_keep; i++) {
        int column = h->keep_given ? schema_find(&x->in, h->keep.v[i]) : (int)i;
        if (column < 0)
            return err_set(e, ERR_TRANSFORM, "keep: there is no column '%.100s'",
                           h->keep.v[i]);
        x->keep[i] = (uint32_t)column;
        const struct field *f = &x->in.f[column];
        TRY(schema_add(&x->out, f->name, strlen(f->name), f->type, f->given, e));
    }
    return xf_http_columns(x, &x->out, e);
}

static uint32_t number_of(const struct spec *spec, const struct step *step)
{
    uint32_t n = 0;
    for (size_t i = 0; i < spec->n_steps && &spec->steps[i] != step; i++)
        n += spec->steps[i].kind == STEP_HTTP;
    return n;
}

static bool has_plugin(const struct spec *spec)
{
    for (size_t i = 0; i < spec->n_steps; i++)
        if (spec->steps[i].kind == STEP_PLUGIN) return true;
    return false;
}

static void set_limits(struct xf_http *x, const struct spec *spec)
{
    if (!has_plugin(spec)) curl_lib_keep_stacks_small();
    uint64_t most = spec->result_max_bytes ? spec->result_max_bytes : RESULT_MAX;
    if (spec->memory_bytes && most > spec->memory_bytes / 4) most = spec->memory_bytes / 4;
    x->max_bytes = (size_t)most;
    struct rlimit files; // a connection each
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static err_t open_parts(struct xf_http *x, const struct spec *spec, const struct schema *in,
                        const struct step *step, struct err *e)
{
    TRY(step_copy(&x->step, step, e));
    TRY(schema_copy(&x->in, in, e));
    TRY(xf_http_bind_url(x, spec, e));
    TRY(open_keep(x, e));
    TRY(xf_http_open_paths(x, e));
    TRY(curl_lib_get(&x->lib, e));
    TRY(open_headers(x, e));
    set_limits(x, spec);
    http_share_open(&x->share, number_of(spec, step), &step->http);
    x->random = (uint64_t)clock_ns() * 2654435761u | 1;
    x->multi = x->lib->multi_init();
    return x->multi ? ERR_OK : no_memory(e);
}

static void end_batch(struct xf_http *x)
{
    if (x->multi) xf_http_drop(x);
    free(x->row);
    x->row = NULL;
    x->rejects = NULL;
    x->n_rejects = 0;
}

static void close_http(void **state)
{
    struct xf_http *x = *state;
    *state = NULL;
    if (!x) return;
    end_batch(x);
    for (size_t i = 0; i < x->n_idle; i++)
        x->lib->easy_cleanup(x->idle[i]);
    if (x->multi) x->lib->multi_cleanup(x->multi);
    if (x->headers) x->lib->slist_free_all(x->headers);
    if (x->plain) x->lib->slist_free_all(x->plain);
    free(x->idle);
    heap_free(&x->waiting);
    json_pick_free(&x->rows);
    json_pick_free(&x->next);
    for (size_t i = 0; x->param && i < x->url.n; i++)
        free(x->param[i]);
    free(x->param);
    free(x->from);
    free(x->keep);
    url_template_free(&x->url);
    buf_free(&x->cells);
    buf_free(&x->text);
    schema_free(&x->in);
    schema_free(&x->out);
    step_free(&x->step);
    free(x);
}

static err_t open_http(void **state, const struct spec *spec, const struct schema *in,
                       const struct step *step, bool *want, struct schema *out_schema,
                       struct err *e)
{
    struct xf_http *x = *state = calloc(1, sizeof *x);
    if (!x) return no_memory(e);
    err_t rc = open_parts(x, spec, in, step, e);
    if (rc == ERR_OK) rc = schema_copy(out_schema, &x->out, e);
    if (rc != ERR_OK) {
        close_http(state);
        return rc;
    }
    for (uint32_t i = 0; i < x->n_keep; i++)
        want[x->keep[i]] = true;
    for (size_t i = 0; i < x->url.n; i++)
        if (x->url.v[i].column && x->from[i] != XF_HTTP_NO_COLUMN) want[x->from[i]] = true;
    return ERR_OK;
}

// ---- the batch ----

static err_t start_columns(struct batch *out, uint64_t rows, struct err *e)
{
    if (rows > UINT32_MAX / 2)
        return err_set(e, ERR_TOOBIG, "a batch of %llu rows", (unsigned long long)rows);
    out->rows = (uint32_t)rows;
    for (uint32_t i = 0; i < out->n_cols; i++) {
        out->col[i] = (struct vec){ .type = TYPE_ANY };
        out->col[i].any = arena_alloc(&out->mem, (rows + 1) * sizeof(struct cell));
        if (!out->col[i].any) return no_memory(e);
    }
    return ERR_OK;
}

static uint32_t put_page(const struct xf_http *x, const struct xf_http_page *p,
                         uint32_t row, uint32_t at, struct batch *out)
{
    for (uint32_t r = 0; r < p->rows; r++, at++) {
        for (uint32_t i = 0; i < x->n_keep; i++)
            out->col[i].any[at] = vec_cell(&x->batch->col[x->keep[i]], row);
        for (uint32_t i = 0; i < x->n_answer; i++)
            out->col[x->n_keep + i].any[at] = p->cells[(size_t)r * x->n_answer + i];
    }
    return at;
}

static err_t give_rows(struct xf_http *x, struct batch *out, struct err *e)
{
    uint64_t rows = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < x->batch->rows; i++)
        for (const struct xf_http_page *p = x->row[i].first; p; p = p->next)
            rows += p->rows;
    TRY(start_columns(out, rows, e));
    for (uint32_t i = 0; i < x->batch->rows; i++)
        for (const struct xf_http_page *p = x->row[i].first; p; p = p->next)
            at = put_page(x, p, i, at, out);
    return ERR_OK;
}

static err_t give_rejects(struct xf_http *x, struct err *e)
{
    size_t n = 0;
    for (uint32_t i = 0; i < x->batch->rows; i++)
        n += x->row[i].why != NULL;
    if (n == 0) return ERR_OK;
    x->rejects = arena_alloc(x->mem, n * sizeof *x->rejects);
    if (!x->rejects) return no_memory(e);
    for (uint32_t i = 0; i < x->batch->rows; i++)
        if (x->row[i].why)
            x->rejects[x->n_rejects++] = (struct transform_reject){
                .row = i, .column = "url", .reason = x->row[i].why
            };
    return ERR_OK;
}

static err_t apply_http(void *state, const struct batch *in, struct batch *out,
                        ns_t deadline, struct err *e)
{
    struct xf_http *x = state;
    assert(in->n_cols == x->in.n);
    end_batch(x);
    TRY(batch_start(out, &x->out, e));
    x->batch = in;
    x->mem = &out->mem;
    x->next_row = x->n_done = 0;
    x->row = calloc(in->rows + 1, sizeof *x->row);
    if (!x->row) return no_memory(e);
    TRY(xf_http_fetch(x, deadline, e));
    TRY(give_rows(x, out, e));
    return give_rejects(x, e);
}

static const struct transform_reject *rejected_http(void *state, size_t *n)
{
    struct xf_http *x = state;
    *n = x->n_rejects;
    return x->rejects;
}

static err_t done_http(void *state, struct err *e)
{
    (void)e;
    end_batch(state);
    return ERR_OK;
}

const struct transform_ops transform_http = { .name = "http",
                                              .waits = true,
                                              .asks_others = true,
                                              .open = open_http,
                                              .apply = apply_http,
                                              .rejected = rejected_http,
                                              .done = done_http,
                                              .close = close_http };
