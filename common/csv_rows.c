#include "common/csv_rows.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIELDS = 12288, MIN_ROWS = 64, MAX_ROWS = 512 };

err_t csv_rows_init(struct csv_rows *r, const struct csv_dialect *d, uint32_t n_cols,
                    struct err *e)
{
    size_t rows = BLOCK_FIELDS / n_cols;
    if (rows < MIN_ROWS) rows = MIN_ROWS;
    if (rows > MAX_ROWS) rows = MAX_ROWS;
    *r = (struct csv_rows){ .n_cols = n_cols, .full = rows * n_cols, .dialect = d };
    size_t room = 1 + r->full + CSV_INDEX_SLACK;
    r->at = malloc(room * sizeof *r->at);
    r->picked = malloc((room + room / n_cols + 1) * sizeof *r->picked);
    if (r->at && r->picked) return ERR_OK;
    csv_rows_close(r);
    return err_set(e, ERR_NOMEM, "out of memory: index of %zu fields", room);
}

void csv_rows_close(struct csv_rows *r)
{
    free(r->at);
    free(r->picked);
    *r = (struct csv_rows){ 0 };
}

uint32_t csv_rows_max(const struct csv_rows *r)
{
    return (uint32_t)((r->full + CSV_INDEX_SLACK) / r->n_cols) + 1;
}

void csv_rows_start(struct csv_rows *r, const uint8_t *p, size_t n)
{
    r->p = p;
    r->n = n;
    r->scanned = r->used = 0;
    r->lost = r->blank = 0;
    r->tail = false;
    r->at[0] = UINT32_MAX;
    r->index = (struct csv_index){ .at = r->at + 1, .full = r->full, .plain = true };
    csv_scan_init(&r->scan, r->dialect, NULL);
}

// Forgets the last block; its last entry is the byte before what follows.
static void drop_used(struct csv_rows *r)
{
    if (r->used == 0) return;
    r->index.n -= r->used;
    memmove(r->at, r->at + r->used, (r->index.n + 1) * sizeof *r->at);
    r->used = 0;
    if (r->index.plain) return;
    r->index.plain = true; // unless what is left says otherwise
    for (size_t i = r->at[0] + 1; i < r->scanned; i++)
        r->index.plain &= (uint8_t)(r->p[i] - 1) < 0x7f;
}

// Fills the index until it holds a record end; false when nothing is left.
static bool fill(struct csv_rows *r)
{
    for (;;) {
        r->scanned = r->scan.ops->index(&r->scan, r->p, r->scanned, r->n, &r->index);
        bool over = r->scanned == r->n;
        if (over && !r->tail && r->n &&
            (r->p[r->n - 1] != '\n' || r->scan.state == CSV_IN_QUOTED)) {
            r->tail = true;
            r->index.at[r->index.n++] = (uint32_t)r->n;
            r->index.ends++;
        }
        if (r->index.ends) return true;
        if (over) return false;
        r->lost += r->index.n;
        r->index.n = 0;
    }
}

static bool is_end(const struct csv_rows *r, uint32_t at)
{
    return at == r->n || r->p[at] == '\n';
}

// Whether the index is nothing but rows of n_cols fields, with perhaps the begin of one
// more behind, and all bytes are in order: then it is a grid as it is. Returns the rows.
static size_t all_good(const struct csv_rows *r)
{
    if (r->lost || r->tail) return 0;
    size_t rows = r->index.n / r->n_cols, fields = rows * r->n_cols, ends = rows;
    const uint32_t *last = r->at;
    for (size_t i = 0; i < rows; i++) {
        last += r->n_cols;
        if (r->p[*last] != '\n') return 0;
    }
    for (size_t i = fields; i < r->index.n; i++)
        ends += r->p[r->index.at[i]] == '\n';
    if (rows == 0 || ends != r->index.ends) return 0;
    size_t begin = (uint32_t)(r->at[0] + 1), size = *last - begin;
    if (size > CSV_FIELD_MAX) return 0;
    return r->index.plain || utf8_bad(r->p + begin, size) == size ? rows : 0;
}

// What is wrong with a record of the right number of fields, if anything.
static bool find_fault(const struct csv_rows *r, const uint32_t *at, struct csv_fault *f)
{
    size_t size = f->end - f->begin;
    for (uint32_t j = 0; j < r->n_cols && size > CSV_FIELD_MAX; j++) {
        f->number = at[j + 1] - (at[j] + 1);
        f->column = j;
        f->kind = CSV_FAULT_LONG;
        if (f->number > CSV_FIELD_MAX) return true;
    }
    f->column = CSV_NO_COLUMN;
    size_t bad = r->index.plain ? size : utf8_bad(r->p + f->begin, size);
    f->kind = bad < size && r->p[f->begin + bad] ? CSV_FAULT_UTF8 : CSV_FAULT_NUL;
    f->number = f->begin + bad;
    return bad < size;
}

// Copies the good rows among the first `ends` records to r->picked.
static err_t pick(struct csv_rows *r, uint32_t *rows, struct csv_faults *faults,
                  struct err *e)
{
    uint32_t *out = r->picked;
    const uint32_t *at = r->at, *stop = r->at + r->index.n;
    *rows = 0;
    while (at < stop) {
        const uint32_t *end = at + 1;
        while (end <= stop && !is_end(r, *end))
            end++;
        if (end > stop) break;
        struct csv_fault f = { .begin = *at + 1, .end = *end, .column = CSV_NO_COLUMN };
        f.end -= *end < r->n && f.end > f.begin && r->p[f.end - 1] == '\r';
        uint64_t fields = r->lost + (uint64_t)(end - at);
        bool bad = false;
        if (f.end == f.begin && r->n_cols > 1) {
            r->blank++;
        } else if (*end == r->n && r->scan.state == CSV_IN_QUOTED) {
            f.kind = CSV_FAULT_OPEN;
            f.number = (uint32_t)(end[-1] + 1);
            bad = true;
        } else if (fields != r->n_cols) {
            f.kind = CSV_FAULT_FIELDS;
            f.number = fields;
            bad = true;
        } else if (!(bad = find_fault(r, at, &f))) {
            memcpy(out, at, (r->n_cols + 1) * sizeof *out);
            out += r->n_cols + 1;
            ++*rows;
        }
        if (bad) TRY(csv_faults_add(faults, &f, e));
        at = end;
        r->lost = 0;
    }
    r->used = (size_t)(at - r->at);
    return ERR_OK;
}

err_t csv_rows_next(struct csv_rows *r, struct csv_grid *g, bool *more,
                    struct csv_faults *faults, struct err *e)
{
    drop_used(r);
    *more = fill(r);
    *g = (struct csv_grid){ .p = r->p,
                            .at = r->at,
                            .stride = r->n_cols,
                            .n_cols = r->n_cols,
                            .size = (uint32_t)r->n };
    if (!*more) return ERR_OK;
    g->rows = (uint32_t)all_good(r);
    r->used = (size_t)g->rows * r->n_cols;
    if (g->rows) {
        r->index.ends -= g->rows;
        return ERR_OK;
    }
    g->at = r->picked;
    g->stride = r->n_cols + 1;
    TRY(pick(r, &g->rows, faults, e));
    r->index.ends = 0;
    return ERR_OK;
}
