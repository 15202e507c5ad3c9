#include "worker/xf_plugin.h"

#include "common/text.h"
#include "worker/transform.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xf_plugin {
    const struct tranche_plugin *table;
    char name[64];
    void *state;
    bool made; // init was successful
    struct tranche_job job;
    struct tranche_arg *args;
    struct tranche_param *params;
    struct arena texts; // of args and params
    struct schema in, result;
    struct arrow_layout layout;
    unsigned char *reads;
    struct arena lent;       // what the batch on loan is made of
    struct ArrowArray out;   // the last result; released: release is NULL
    struct arrow_loan *loan; // of the last batch; NULL: none
};

static err_t no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: a plugin");
}

// What the plugin says is cut and checked: it goes into logs and tables.
static err_t failed(const struct xf_plugin *x, const char *where, struct tranche_error *why,
                    struct err *e)
{
    why->text[sizeof why->text - 1] = 0;
    size_t n = strlen(why->text);
    const char *text = n == 0                       ? "it gave no reason"
                       : text_is_utf8(why->text, n) ? why->text
                                                    : "its reason is not UTF-8 text";
    return err_set(e, ERR_TRANSFORM, "plugin %s%s: %.900s", x->name, where, text);
}

// ---- what the instance is given ----

static char *keep_text(struct xf_plugin *x, const void *p, size_t n)
{
    return arena_strdup(&x->texts, p ? p : "", n);
}

static err_t give_args(struct xf_plugin *x, const struct job_pairs *args, struct err *e)
{
    x->args = calloc(args->n + 1, sizeof *x->args);
    if (!x->args) return no_memory(e);
    for (size_t i = 0; i < args->n; i++) {
        const struct job_pair *p = &args->v[i];
        x->args[i] = (struct tranche_arg){ keep_text(x, p->name, strlen(p->name)),
                                           keep_text(x, p->value, strlen(p->value)) };
        if (!x->args[i].name || !x->args[i].value) return no_memory(e);
    }
    x->job.args = x->args;
    x->job.n_args = args->n;
    return ERR_OK;
}

static err_t give_param(struct xf_plugin *x, const struct spec_param *from,
                        struct tranche_param *to, struct err *e)
{
    const struct cell *c = &from->value;
    to->name = keep_text(x, from->name, strlen(from->name));
    if (!to->name) return no_memory(e);
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: to->kind = TRANCHE_NULL; return ERR_OK;
    case CELL_INTEGER:
        to->kind = TRANCHE_INTEGER;
        to->integer = c->i;
        return ERR_OK;
    case CELL_REAL:
        to->kind = TRANCHE_REAL;
        to->real = c->r;
        return ERR_OK;
    case CELL_TEXT: to->kind = TRANCHE_TEXT; break;
    case CELL_BLOB: to->kind = TRANCHE_BLOB; break;
    }
    to->text = keep_text(x, c->p, c->len);
    to->bytes = c->len;
    return to->text ? ERR_OK : no_memory(e);
}

static err_t give_params(struct xf_plugin *x, const struct spec *spec, struct err *e)
{
    x->params = calloc(spec->n_params + 1, sizeof *x->params);
    if (!x->params) return no_memory(e);
    for (size_t i = 0; i < spec->n_params; i++)
        TRY(give_param(x, &spec->params[i], &x->params[i], e));
    x->job.params = x->params;
    x->job.n_params = spec->n_params;
    return ERR_OK;
}

// ---- opening ----

static void take_name(struct xf_plugin *x, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = x->table->name;
    bool good = name && *name && strnlen(name, sizeof x->name) < sizeof x->name &&
                text_is_utf8(name, strlen(name)) && !text_has_control(name);
    snprintf(x->name, sizeof x->name, "%s", good ? name : slash ? slash + 1 : path);
}

static err_t init(struct xf_plugin *x, struct err *e)
{
    struct tranche_error why = { 0 };
    x->job.size = sizeof x->job;
    if (x->table->init && x->table->init(&x->state, &x->job, &why) != 0)
        return failed(x, " cannot be opened", &why, e);
    x->made = true;
    return ERR_OK;
}

static err_t check_reads(const struct xf_plugin *x, struct err *e)
{
    for (uint32_t i = 0; i < x->in.n; i++) {
        const struct field *f = &x->in.f[i];
        if (x->reads[i] == TRANCHE_READ_TIME && f->type != TYPE_DATE &&
            f->type != TYPE_TIMESTAMP)
            return err_set(e, ERR_TRANSFORM,
                           "plugin %s wants column '%.60s' as a time, but it is %s: say "
                           "`source.types: {%.60s: date}` or timestamp",
                           x->name, f->name, type_name(f->type), f->name);
    }
    return ERR_OK;
}

static err_t bind(struct xf_plugin *x, bool *want, struct err *e)
{
    struct tranche_error why = { 0 };
    struct ArrowSchema in, out = { 0 };
    TRY(arrow_schema_write(&x->in, &in, e));
    memset(x->reads, 1, x->in.n + 1);
    int no = x->table->bind(x->state, &in, x->reads, &out, &why);
    err_t rc = no ? failed(x, " does not take these columns", &why, e)
                  : arrow_schema_read(&out, &x->result, &x->layout, e);
    arrow_schema_release(&out);
    arrow_schema_release(&in);
    if (rc == ERR_OK) rc = check_reads(x, e);
    for (uint32_t i = 0; rc == ERR_OK && i < x->in.n; i++)
        want[i] = x->reads[i] != 0;
    return rc;
}

static err_t open_instance(struct xf_plugin *x, const struct spec *spec,
                           const struct schema *in, const struct step *step, bool *want,
                           struct schema *out_schema, struct err *e)
{
    TRY(schema_copy(&x->in, in, e));
    x->reads = malloc((size_t)in->n + 1);
    if (!x->reads) return no_memory(e);
    TRY(give_args(x, &step->args, e));
    TRY(give_params(x, spec, e));
    const char *at = step->path; // of another host it is a copy that stands elsewhere
    if (step->n_files && step->files[0].file >= spec->files.n)
        return err_set(e, ERR_PROTO, "plugin %s: the job has no file %u", step->path,
                       step->files[0].file);
    if (step->n_files) at = spec->files.v[step->files[0].file].path;
    TRY(xf_plugin_load(step->path, at, &x->table, e));
    take_name(x, step->path);
    TRY(init(x, e));
    TRY(bind(x, want, e));
    return schema_copy(out_schema, &x->result, e);
}

// Both ends of a batch: the result goes first, it may be made of what was lent.
static bool end_batch(struct xf_plugin *x)
{
    arrow_release(&x->out);
    x->out.release = NULL;
    bool whole = arrow_loan_end(&x->loan);
    arena_reset(&x->lent);
    return whole;
}

static void close_plugin(void **state)
{
    struct xf_plugin *x = *state;
    *state = NULL;
    if (!x) return;
    end_batch(x);
    if (x->made && x->table->close) x->table->close(x->state);
    arrow_layout_free(&x->layout);
    schema_free(&x->in);
    schema_free(&x->result);
    arena_free(&x->texts);
    arena_free(&x->lent);
    free(x->args);
    free(x->params);
    free(x->reads);
    free(x);
}

static err_t open_plugin(void **state, const struct spec *spec, const struct schema *in,
                         const struct step *step, bool *want, struct schema *out_schema,
                         struct err *e)
{
    struct xf_plugin *x = calloc(1, sizeof *x);
    *state = x;
    if (!x) return no_memory(e);
    err_t rc = open_instance(x, spec, in, step, want, out_schema, e);
    if (rc != ERR_OK) close_plugin(state);
    return rc;
}

// ---- batches ----

static err_t call(struct xf_plugin *x, const struct batch *in, struct batch *out,
                  struct err *e)
{
    struct tranche_error why = { 0 };
    struct ArrowArray lent;
    TRY(arrow_lend(&x->in, in, x->reads, &x->lent, &lent, &x->loan, e));
    int no = x->table->apply(x->state, &lent, &x->out, &why);
    arrow_release(&lent);
    if (no) return failed(x, "", &why, e);
    return arrow_read(&x->layout, &x->out, out, e);
}

static err_t apply_plugin(void *state, const struct batch *in, struct batch *out,
                          ns_t deadline, struct err *e)
{
    struct xf_plugin *x = state;
    (void)deadline; // the runner's parent sees to it: nobody can stop a call from inside
    assert(in->n_cols == x->in.n);
    end_batch(x); // of one that failed, or that nobody ended
    TRY(batch_start(out, &x->result, e));
    err_t rc = call(x, in, out, e);
    if (rc != ERR_OK && !end_batch(x))
        return err_wrap(e, rc, "plugin %s keeps batches past the call; besides", x->name);
    return rc;
}

static err_t done_plugin(void *state, struct err *e)
{
    struct xf_plugin *x = state;
    if (end_batch(x)) return ERR_OK;
    return err_set(
        e, ERR_TRANSFORM,
        "plugin %s keeps part of a batch past the call: what it was lent must be "
        "released when its result is",
        x->name);
}

const struct transform_ops transform_plugin = { .name = "plugin",
                                                .waits = true,
                                                .open = open_plugin,
                                                .apply = apply_plugin,
                                                .done = done_plugin,
                                                .close = close_plugin };
