// The aggregate as the last step of a chunk: rows in, one row of states a group out.

#include "common/agg_chunk.h"
#include "worker/transform.h"

static err_t open_aggregate(void **state, const struct spec *spec, const struct schema *in,
                            const struct step *step, bool *want, struct schema *out_schema,
                            struct err *e)
{
    enum { USUAL = 512 << 20 };
    struct agg_chunk *c = NULL;
    (void)step;
    uint64_t max = spec->memory_bytes ? spec->memory_bytes / 2 : USUAL;
    TRY(agg_partial_schema(&spec->aggregate, out_schema, e));
    err_t rc = agg_chunk_new(&c, &spec->aggregate, in, max, want, e);
    if (rc != ERR_OK) schema_free(out_schema);
    *state = c;
    return rc;
}

static err_t apply_aggregate(void *state, const struct batch *in, struct batch *out,
                             ns_t deadline, struct err *e)
{
    TRY(agg_chunk_apply(state, in, out, e));
    if (clock_ns() < deadline) return ERR_OK;
    return err_set(e, ERR_TIMEOUT, "the aggregate ran past the time limit of its batch");
}

static void close_aggregate(void **state)
{
    struct agg_chunk *c = *state;
    agg_chunk_free(&c);
    *state = NULL;
}

const struct transform_ops transform_aggregate = {
    .name = "aggregate",
    .open = open_aggregate,
    .apply = apply_aggregate,
    .close = close_aggregate,
};
