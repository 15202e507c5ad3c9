#include "common/sink.h"

#include "common/csv_write.h"

static const struct csv_dialect DIALECT = { .delimiter = ',', .quote = '"' };

static err_t open_writer(void **state, const struct schema *out, struct err *e)
{
    struct csv_writer *w = NULL;
    TRY(csv_writer_new(&w, &DIALECT, out, e));
    *state = w;
    return ERR_OK;
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    uint32_t row = 0;
    size_t before = to->n;
    err_t rc = csv_write_rows(state, b, &row, to, e);
    if (rc == ERR_OK && row < b->rows)
        rc = err_set(e, ERR_TOOBIG, "the batch has more than %zu bytes as CSV",
                     to->cap - before);
    if (rc != ERR_OK) to->n = before;
    return rc;
}

static void close_writer(void **state)
{
    struct csv_writer *w = *state;
    csv_writer_free(&w);
    *state = NULL;
}

const struct sink_ops sink_csv = { "csv", open_writer, encode, close_writer };
