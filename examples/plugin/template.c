/* A plugin to start from: doubles one column of numbers, and passes the others on.
 *
 *     cc -O2 -shared -fPIC -I ../.. -o libtemplate.so template.c
 *     tranche run --csv in.csv --plugin ./libtemplate.so --plugin-arg column=price ...
 *
 * Everything it needs is in worker/plugin.h, which also says who owns what. */

#include "worker/plugin.h"

#include <stdio.h>

struct doubler { /* one instance; used by one thread at a time */
    const char *name;
    int64_t column;
    int whole; /* it is a column of integers */
};

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct doubler *d = (struct doubler *)calloc(1, sizeof *d);
    if (!d) return tranche_fail(e, "out of memory");
    d->name = tranche_arg(job, "column", NULL);
    *state = d;
    if (d->name) return 0;
    free(d);
    return tranche_fail(e, "args: {column: NAME} is missing");
}

/* Which columns go out for those that come in. */
static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    struct doubler *d = (struct doubler *)state;
    (void)reads; /* it passes every column on: all are needed */
    d->column = tranche_column(in, d->name);
    if (d->column < 0) return tranche_fail(e, "there is no such column");
    const char *format = in->children[d->column]->format;
    d->whole = strcmp(format, "l") == 0;
    if (!d->whole && strcmp(format, "g") != 0)
        return tranche_fail(e, "the column is neither integer nor real");
    tranche_schema_begin(out);
    for (int64_t i = 0; i < in->n_children; i++)
        if (tranche_schema_add(out, in->children[i]->name, in->children[i]->format))
            return tranche_fail(e, "out of memory");
    return 0;
}

static int doubled(const struct doubler *d, struct ArrowArray *in, struct ArrowArray *out,
                   struct tranche_error *e)
{
    char text[80];
    void *to = tranche_array_add(out, 8);
    if (!to) return tranche_fail(e, "out of memory");
    for (int64_t row = 0; row < in->length; row++) {
        if (tranche_is_null(in, d->column, row)) {
            snprintf(text, sizeof text, "row %lld has no value", (long long)row + 1);
            return tranche_fail(e, text); /* the batch is bisected until it stands alone */
        }
        if (d->whole)
            ((int64_t *)to)[row] =
                (int64_t)(2 * (uint64_t)tranche_int64s(in, d->column)[row]);
        else
            ((double *)to)[row] = 2 * tranche_doubles(in, d->column)[row];
    }
    return 0;
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const struct doubler *d = (const struct doubler *)state;
    if (tranche_array_begin(out, in->length)) return tranche_fail(e, "out of memory");
    for (int64_t i = 0; i < in->n_children; i++) {
        if (i == d->column) {
            if (doubled(d, in, out, e)) return 1;
        } else if (tranche_array_move(out, in, i)) {
            return tranche_fail(e, "out of memory");
        }
    }
    return 0;
}

static void close_doubler(void *state)
{
    free(state);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = {
        TRANCHE_PLUGIN_ABI, sizeof(struct tranche_plugin), "doubler", init, bind, apply,
        close_doubler,
    };
    (void)abi; /* there is one so far */
    return &table;
}
