/* Doubles integers, slowly: every batch sleeps once, so many milliseconds a row. It stands
 * for whatever answers late: a service, a device, another program. */

#include "worker/plugin.h"

#include <errno.h>
#include <time.h>

struct slow {
    double ms_per_row;
};

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct slow *s = (struct slow *)calloc(1, sizeof *s);
    if (!s) return tranche_fail(e, "out of memory");
    s->ms_per_row = atof(tranche_arg(job, "ms_per_row", "10"));
    *state = s;
    return 0;
}

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    (void)state, (void)reads;
    if (in->n_children != 1 || strcmp(in->children[0]->format, "l") != 0)
        return tranche_fail(e, "takes one column of integers");
    tranche_schema_begin(out);
    if (tranche_schema_add(out, "doubled", "l")) return tranche_fail(e, "out of memory");
    return 0;
}

static void sleep_ms(double ms)
{
    struct timespec t = { (time_t)(ms / 1000), 0 };
    t.tv_nsec = (long)((ms - 1000 * (double)t.tv_sec) * 1e6);
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const struct slow *s = (const struct slow *)state;
    sleep_ms(s->ms_per_row * (double)in->length);
    const int64_t *from = tranche_int64s(in, 0);
    int64_t *to = NULL;
    if (tranche_array_begin(out, in->length) == 0)
        to = (int64_t *)tranche_array_add(out, sizeof *to);
    if (!to) return tranche_fail(e, "out of memory");
    for (int64_t i = 0; i < out->length; i++)
        to[i] = 2 * from[i];
    return 0;
}

static void close_slow(void *state)
{
    free(state);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = {
        TRANCHE_PLUGIN_ABI, sizeof(struct tranche_plugin), "slow-double", init, bind, apply,
        close_slow
    };
    (void)abi;
    return &table;
}
