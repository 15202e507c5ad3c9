#include "common/csv_read.h"
#include "worker/reader.h"

static err_t csv_open(void **state, const struct spec *spec, const bool *want,
                      struct err *e)
{
    struct csv_reader *r = NULL;
    err_t rc = csv_reader_new(&r, &spec->dialect, &spec->in, want, e);
    *state = r;
    return rc;
}

static err_t csv_read(void *state, const struct reader_chunk *c, struct batch *out,
                      struct rejects *rejects, struct reader_stats *stats, struct err *e)
{
    struct csv_read_stats s;
    struct csv_read_pos pos = { c->begin, c->first_line };
    TRY(csv_read_chunk(state, c->bytes, c->n, pos, out, rejects, &s, e));
    *stats = (struct reader_stats){ .rows = s.rows,
                                    .parsed = s.parsed,
                                    .rejected = s.rejected,
                                    .blank = s.blank,
                                    .misfits = s.misfits };
    return ERR_OK;
}

static void csv_close(void **state)
{
    struct csv_reader *r = *state;
    csv_reader_free(&r);
    *state = NULL;
}

const struct reader_ops reader_csv = {
    .name = "csv", .open = csv_open, .read = csv_read, .close = csv_close
};
