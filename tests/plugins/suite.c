// The steps of tests/suite/test_transform.c as a plugin; `args: what` says which.

#include "worker/plugin.h"

struct suite {
    const char *what;
    int64_t i, r;
};

static int is(const struct suite *s, const char *what)
{
    return strcmp(s->what, what) == 0;
}

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct suite *s = (struct suite *)calloc(1, sizeof *s);
    if (!s) return tranche_fail(e, "out of memory");
    s->what = tranche_arg(job, "what", "");
    *state = s;
    return 0;
}

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    struct suite *s = (struct suite *)state;
    int all = is(s, "identity");
    s->i = tranche_column(in, "i");
    s->r = tranche_column(in, "r");
    if (is(s, "broken") || s->i < 0 || s->r < 0)
        return tranche_fail(e, "there is no such column");
    tranche_schema_begin(out);
    for (int64_t k = 0; k < in->n_children; k++)
        reads[k] = all || k == s->i || (k == s->r && is(s, "some"));
    for (int64_t k = 0; all && k < in->n_children; k++)
        if (tranche_schema_add(out, in->children[k]->name, in->children[k]->format))
            return 1;
    if (is(s, "some") && tranche_schema_add(out, "r", "g")) return 1;
    return all ? 0 : tranche_schema_add(out, "i", "l");
}

static int identity(struct ArrowArray *in, struct ArrowArray *out)
{
    if (tranche_array_begin(out, in->length)) return 1;
    for (int64_t k = 0; k < in->n_children; k++)
        if (tranche_array_move(out, in, k)) return 1;
    return 0;
}

static int some(const struct suite *s, const struct ArrowArray *in, struct ArrowArray *out)
{
    const int64_t *i = tranche_int64s(in, s->i);
    const double *r = tranche_doubles(in, s->r);
    int64_t n = 0;
    if (tranche_array_begin(out, in->length)) return 1;
    double *to_r = (double *)tranche_array_add(out, sizeof *to_r);
    int64_t *to_i = (int64_t *)tranche_array_add(out, sizeof *to_i);
    if (!to_r || !to_i) return 1;
    for (int64_t row = 0; row < in->length; row++) {
        if (tranche_is_null(in, s->i, row) || i[row] < 100) continue;
        to_r[n] = r[row];
        to_i[n++] = i[row];
    }
    out->length = n; // its columns are longer than it
    return 0;
}

static int fails(const struct suite *s, const struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const int64_t *i = tranche_int64s(in, s->i);
    if (tranche_array_begin(out, in->length)) return 1;
    int64_t *to = (int64_t *)tranche_array_add(out, sizeof *to);
    for (int64_t row = 0; to && row < in->length; row++) {
        if (i[row] == 13) return tranche_fail(e, "thirteen is not welcome"); // leaves `out`
        to[row] = i[row];
    }
    return !to;
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const struct suite *s = (const struct suite *)state;
    if (is(s, "identity")) return identity(in, out);
    if (is(s, "some")) return some(s, in, out);
    if (is(s, "fails")) return fails(s, in, out, e);
    return tranche_array_begin(out, 0) || !tranche_array_add(out, 8);
}

static void close_suite(void *state)
{
    free(state);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = {
        TRANCHE_PLUGIN_ABI, sizeof(struct tranche_plugin), "suite", init, bind, apply,
        close_suite
    };
    (void)abi;
    return &table;
}
