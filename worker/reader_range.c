// Rows out of nothing: the numbers of a range, in one integer column.

#include "worker/reader.h"

#include <stdlib.h>
#include <string.h>

struct range_reader {
    struct schema schema;
    bool wanted;
};

static void range_close(void **state)
{
    struct range_reader *r = *state;
    if (!r) return;
    schema_free(&r->schema);
    free(r);
    *state = NULL;
}

static err_t range_open(void **state, const struct spec *spec, const bool *want,
                        struct err *e)
{
    *state = NULL;
    if (spec->in.n != 1 || spec->in.f[0].type != TYPE_INTEGER)
        return err_set(e, ERR_INVALID, "a range has one integer column");
    struct range_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory");
    r->wanted = !want || want[0];
    *state = r;
    err_t rc = schema_copy(&r->schema, &spec->in, e);
    if (rc != ERR_OK) range_close(state);
    return rc;
}

static err_t range_read(void *state, const struct reader_chunk *c, struct batch *out,
                        struct rejects *rejects, struct reader_stats *stats, struct err *e)
{
    const struct range_reader *r = state;
    (void)rejects;
    TRY(batch_start(out, &r->schema, e));
    if (c->end - c->begin > UINT32_MAX)
        return err_set(e, ERR_TOOBIG, "a batch of %llu rows",
                       (unsigned long long)(c->end - c->begin));
    uint32_t rows = (uint32_t)(c->end - c->begin);
    out->rows = rows;
    *stats = (struct reader_stats){ .rows = rows, .parsed = rows };
    if (!r->wanted) return ERR_OK;
    struct vec *v = &out->col[0];
    size_t words = batch_words(rows);
    v->absent = false;
    v->valid = arena_alloc(&out->mem, 8 * words);
    v->i64 = arena_alloc(&out->mem, 8 * ((size_t)rows + 1));
    if (!v->valid || !v->i64)
        return err_set(e, ERR_NOMEM, "out of memory: a batch of %u rows", rows);
    memset(v->valid, 0xff, 8 * words);
    v->valid[words - 1] = (1ull << rows % 64) - 1;
    for (uint32_t i = 0; i < rows; i++)
        v->i64[i] = (int64_t)(c->begin + i);
    return ERR_OK;
}

const struct reader_ops reader_range = {
    .name = "range", .open = range_open, .read = range_read, .close = range_close
};
