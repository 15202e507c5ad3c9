#include "common/sink.h"

#include "common/jsonl_write.h"

static err_t open_writer(void **state, const struct schema *out, struct err *e)
{
    struct jsonl_writer *w = NULL;
    TRY(jsonl_writer_new(&w, out, e));
    *state = w;
    return ERR_OK;
}

static err_t encode(void *state, const struct batch *b, struct region *to, struct err *e)
{
    uint32_t row = 0;
    size_t before = to->n;
    jsonl_write_rows(state, b, &row, to);
    if (row == b->rows) return ERR_OK;
    to->n = before;
    return err_set(e, ERR_TOOBIG, "the batch has more than %zu bytes as JSON lines",
                   to->cap - before);
}

static void close_writer(void **state)
{
    struct jsonl_writer *w = *state;
    jsonl_writer_free(&w);
    *state = NULL;
}

const struct sink_ops sink_jsonl = { "jsonl", open_writer, encode, close_writer };
