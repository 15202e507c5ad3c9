/* Row i of the input becomes the sum of n terms of Leibniz' series, from the (i * n)-th on:
 * four times the sum of all rows is pi, the closer the more rows there are. */

#include "worker/plugin.h"

struct pi {
    int64_t terms;
};

static double leibniz(int64_t from, int64_t terms)
{
    double sum = 0;
    for (int64_t k = from; k < from + terms; k++)
        sum += (k % 2 ? -1.0 : 1.0) / (double)(2 * k + 1);
    return sum;
}

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct pi *p = (struct pi *)calloc(1, sizeof *p);
    if (!p) return tranche_fail(e, "out of memory");
    p->terms = atoll(tranche_arg(job, "terms", "1000000"));
    *state = p;
    return 0;
}

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    (void)state, (void)reads;
    if (in->n_children != 1 || strcmp(in->children[0]->format, "l") != 0)
        return tranche_fail(e, "takes one column of integers");
    tranche_schema_begin(out);
    if (tranche_schema_add(out, "i", "l") || tranche_schema_add(out, "sum", "g"))
        return tranche_fail(e, "out of memory");
    return 0;
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const struct pi *p = (const struct pi *)state;
    const int64_t *i = tranche_int64s(in, 0);
    double *sum = NULL;
    if (!tranche_array_begin(out, in->length) && !tranche_array_move(out, in, 0))
        sum = (double *)tranche_array_add(out, sizeof *sum);
    if (!sum) return tranche_fail(e, "out of memory");
    for (int64_t row = 0; row < out->length; row++)
        sum[row] = leibniz(i[row] * p->terms, p->terms);
    return 0;
}

static void close_pi(void *state)
{
    free(state);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = {
        TRANCHE_PLUGIN_ABI, sizeof(struct tranche_plugin), "pi", init, bind, apply, close_pi
    };
    (void)abi;
    return &table;
}
