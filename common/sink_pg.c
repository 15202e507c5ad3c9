#include "common/sink.h"

#include "common/pg_copy.h"

static err_t open_writer(void **state, const struct schema *out, struct err *e)
{
    struct pg_copy_writer *w = NULL;
    TRY(pg_copy_writer_new(&w, out, e));
    *state = w;
    return ERR_OK;
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    return pg_copy_write(state, b, to, e);
}

static void close_writer(void **state)
{
    struct pg_copy_writer *w = *state;
    pg_copy_writer_free(&w);
    *state = NULL;
}

const struct sink_ops sink_pg = { "postgres", open_writer, encode, close_writer };
