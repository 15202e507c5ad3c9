#include "common/csv_read.h"

#include "common/csv_column.h"
#include "common/csv_faults.h"
#include "common/csv_field.h"
#include "common/csv_rows.h"

#include <stdlib.h>
#include <string.h>

struct csv_reader {
    struct csv_dialect dialect; // without its null strings: they are in `nulls`
    struct csv_nulls nulls;
    struct schema schema;
    struct csv_column *col; // the wanted ones
    uint32_t n_cols;
    struct csv_rows rows;
    struct csv_faults faults;
    uint64_t *dead; // see csv_block_rows
    uint32_t *scratch;
};

static err_t check(const struct csv_dialect *d, const struct schema *schema, struct err *e)
{
    static const char no[] = { 0, '\n', '\r' };
    if (memchr(no, d->delimiter, sizeof no) || d->delimiter == d->quote ||
        d->delimiter > 0x7f)
        return err_set(e, ERR_INVALID, "byte 0x%02x cannot be a delimiter", d->delimiter);
    if (d->quote && (memchr(no + 1, d->quote, sizeof no - 1) || d->quote > 0x7f))
        return err_set(e, ERR_INVALID, "byte 0x%02x cannot be a quote", d->quote);
    if (schema->n == 0 || schema->n > SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_INVALID, "a CSV file of %u columns", schema->n);
    for (uint32_t i = 0; i < schema->n; i++)
        if (schema->f[i].type == TYPE_ANY)
            return err_set(e, ERR_INVALID, "column '%s' has no type", schema->f[i].name);
    return ERR_OK;
}

static err_t prepare(struct csv_reader *r, const struct csv_dialect *d,
                     const struct schema *schema, const bool *want, struct err *e)
{
    r->dialect = (struct csv_dialect){ .delimiter = d->delimiter, .quote = d->quote };
    TRY(csv_nulls_init(&r->nulls, d, e));
    TRY(schema_copy(&r->schema, schema, e));
    TRY(csv_rows_init(&r->rows, &r->dialect, schema->n, e));
    size_t rows = csv_rows_max(&r->rows);
    r->col = calloc(schema->n, sizeof *r->col);
    r->dead = calloc(rows / 64 + 1, sizeof *r->dead);
    r->scratch = calloc(rows, 2 * sizeof *r->scratch);
    if (!r->col || !r->dead || !r->scratch)
        return err_set(e, ERR_NOMEM, "out of memory: a reader of %u columns", schema->n);
    for (uint32_t i = 0; i < schema->n; i++)
        if (!want || want[i])
            r->col[r->n_cols++] = (struct csv_column){
                .number = i,
                .given = schema->f[i].given,
                .quote = d->quote,
                .nulls = &r->nulls,
            };
    return ERR_OK;
}

err_t csv_reader_new(struct csv_reader **out, const struct csv_dialect *d,
                     const struct schema *schema, const bool *want, struct err *e)
{
    *out = NULL;
    TRY(check(d, schema, e));
    struct csv_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory: a CSV reader");
    err_t rc = prepare(r, d, schema, want, e);
    if (rc == ERR_OK)
        *out = r;
    else
        csv_reader_free(&r);
    return rc;
}

void csv_reader_free(struct csv_reader **r)
{
    struct csv_reader *x = *r;
    if (!x) return;
    for (uint32_t i = 0; i < x->n_cols; i++)
        csv_column_close(&x->col[i]);
    csv_nulls_close(&x->nulls);
    csv_rows_close(&x->rows);
    csv_faults_free(&x->faults);
    schema_free(&x->schema);
    free(x->col);
    free(x->dead);
    free(x->scratch);
    free(x);
    *r = NULL;
}

// Adds a block to the batch, columns first, and takes its bad rows out again.
static err_t add_block(struct csv_reader *r, const struct csv_grid *g, struct batch *out,
                       struct err *e)
{
    struct csv_block_rows b = {
        .grid = *g,
        .base = out->rows,
        .dead = r->dead,
        .scratch = r->scratch,
        .faults = &r->faults,
    };
    memset(b.dead, 0, (g->rows / 64 + 1) * sizeof *b.dead);
    for (uint32_t i = 0; i < r->n_cols; i++)
        TRY(csv_column_add(&r->col[i], &b, e));
    for (uint32_t i = 0; i < r->n_cols && b.n_dead; i++)
        csv_column_squeeze(&r->col[i], &b);
    out->rows += g->rows - b.n_dead;
    return ERR_OK;
}

err_t csv_read_chunk(struct csv_reader *r, const uint8_t *p, size_t n,
                     struct csv_read_pos pos, struct batch *out, struct rejects *rejects,
                     struct csv_read_stats *stats, struct err *e)
{
    *stats = (struct csv_read_stats){ 0 };
    if (n > UINT32_MAX - CSV_PAD)
        return err_set(e, ERR_TOOBIG, "a chunk of %zu bytes, at most 4 GiB are allowed", n);
    TRY(batch_start(out, &r->schema, e));
    for (uint32_t i = 0; i < r->n_cols; i++)
        csv_column_start(&r->col[i], &out->col[r->col[i].number], &out->mem);

    uint64_t before = rejects->n;
    struct csv_place place = {
        .p = p, .pos = pos, .quote = r->dialect.quote, .schema = &r->schema
    };
    struct csv_grid g;
    csv_rows_start(&r->rows, p, n);
    r->faults.n = 0;
    for (bool more = true; more;) {
        TRY(csv_rows_next(&r->rows, &g, &more, &r->faults, e));
        TRY(add_block(r, &g, out, e));
        TRY(csv_faults_tell(&r->faults, &place, rejects, e));
    }
    for (uint32_t i = 0; i < r->n_cols; i++) {
        TRY(csv_column_finish(&r->col[i], e));
        stats->misfits += r->col[i].n_misfits;
    }
    stats->parsed = out->rows;
    stats->rejected = rejects->n - before;
    stats->rows = stats->parsed + stats->rejected;
    stats->blank = r->rows.blank;
    return ERR_OK;
}
