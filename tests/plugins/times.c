// Dates and timestamps as numbers, a day and an hour later. `args: text` names a column
// that is asked for as a time although it is none.

#include "worker/plugin.h"

struct times {
    int64_t day, moment, text;
};

static int init(void **state, const struct tranche_job *job, struct tranche_error *e)
{
    struct times *t = (struct times *)calloc(1, sizeof *t);
    if (!t) return tranche_fail(e, "out of memory");
    t->text = *tranche_arg(job, "text", "") != 0;
    *state = t;
    return 0;
}

static int bind(void *state, const struct ArrowSchema *in, unsigned char *reads,
                struct ArrowSchema *out, struct tranche_error *e)
{
    struct times *t = (struct times *)state;
    int64_t id = tranche_column(in, "id");
    t->day = tranche_column(in, "day");
    t->moment = tranche_column(in, "moment");
    if (id != 0 || t->day < 0 || t->moment < 0)
        return tranche_fail(e, "a column is missing");
    reads[t->day] = reads[t->moment] = TRANCHE_READ_TIME;
    if (t->text) reads[id] = TRANCHE_READ_TIME;
    tranche_schema_begin(out);
    return tranche_schema_add(out, "id", "l") || tranche_schema_add(out, "day", "tdD") ||
           tranche_schema_add(out, "moment", "tsu:");
}

static int apply(void *state, struct ArrowArray *in, struct ArrowArray *out,
                 struct tranche_error *e)
{
    const struct times *t = (const struct times *)state;
    const int32_t *day = (const int32_t *)in->children[t->day]->buffers[1];
    const int64_t *moment = tranche_int64s(in, t->moment);
    if (tranche_array_begin(out, in->length) || tranche_array_move(out, in, 0)) return 1;
    int32_t *to_day = (int32_t *)tranche_array_add(out, sizeof *to_day);
    int64_t *to_moment = (int64_t *)tranche_array_add(out, sizeof *to_moment);
    if (!to_day || !to_moment) return tranche_fail(e, "out of memory");
    for (int64_t row = 0; row < in->length; row++) {
        if (tranche_is_null(in, t->day, row) || tranche_is_null(in, t->moment, row))
            return tranche_fail(e, "a time is missing");
        to_day[row] = day[row] + 1;
        to_moment[row] = moment[row] + 3600000000;
    }
    return 0;
}

static void close_times(void *state)
{
    free(state);
}

const struct tranche_plugin *tranche_plugin(uint32_t abi)
{
    static const struct tranche_plugin table = {
        TRANCHE_PLUGIN_ABI, sizeof(struct tranche_plugin), "times", init, bind, apply,
        close_times
    };
    (void)abi;
    return &table;
}
