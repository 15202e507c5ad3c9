#include "common/vec_build.h"

#include "common/csv_value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_PAD = 16, BYTES_FIRST = 16 << 10 };

err_t vec_build_start(struct vec_build *b, const struct field *f, struct vec *v,
                      struct arena *mem, uint32_t rows_most, struct err *e)
{
    size_t rows = rows_most;
    b->type = v->type = f->type;
    b->given = f->given;
    b->vec = v;
    b->mem = mem;
    b->byte_cap = 0;
    b->n_misfits = 0;
    v->absent = false;
    v->valid = arena_alloc(mem, 8 * (rows / 64 + 1));
    bool text = type_is_text(f->type);
    if (text)
        v->off = arena_alloc(mem, 4 * (rows + 1));
    else
        v->i64 = arena_alloc(mem, 8 * (rows + 1));
    if (text) v->bytes = arena_alloc(mem, BYTES_FIRST + TEXT_PAD);
    if (!v->valid || !v->i64 || (text && !v->bytes))
        return err_set(e, ERR_NOMEM, "out of memory: a column of %u rows", rows_most);
    memset(v->valid, 0, 8 * (rows / 64 + 1));
    if (text) {
        b->byte_cap = BYTES_FIRST;
        v->off[0] = 0;
    }
    return ERR_OK;
}

static bool moved(struct arena *mem, void *at, size_t used, size_t size)
{
    void *old, *p = arena_alloc(mem, size);
    memcpy(&old, at, sizeof old);
    if (!p) return false;
    memset((char *)p + used, 0, size - used);
    memcpy(p, old, used);
    memcpy(at, &p, sizeof p);
    return true;
}

err_t vec_build_grow(struct vec_build *b, uint32_t rows, uint32_t rows_most, struct err *e)
{
    struct vec *v = b->vec;
    size_t most = rows_most, kept = rows;
    assert(most >= kept);
    bool ok = moved(b->mem, &v->valid, 8 * (kept / 64 + 1), 8 * (most / 64 + 1));
    if (ok && type_is_text(b->type))
        ok = moved(b->mem, &v->off, 4 * (kept + 1), 4 * (most + 1));
    else if (ok)
        ok = moved(b->mem, &v->i64, 8 * kept, 8 * (most + 1));
    return ok ? ERR_OK
              : err_set(e, ERR_NOMEM, "out of memory: a column of %u rows", rows_most);
}

void vec_build_close(struct vec_build *b)
{
    free(b->misfit);
    *b = (struct vec_build){ 0 };
}

// Forgets what stood in this row before, and behind it.
static void begin_row(struct vec_build *b, uint32_t row)
{
    while (b->n_misfits && b->misfit[b->n_misfits - 1].row >= row)
        b->n_misfits--;
    b->vec->valid[row / 64] &= ~(1ull << row % 64);
    if (type_is_text(b->type))
        b->vec->off[row + 1] = b->vec->off[row];
    else
        b->vec->i64[row] = 0;
}

static void set_valid(struct vec_build *b, uint32_t row)
{
    b->vec->valid[row / 64] |= 1ull << row % 64;
}

void vec_build_null(struct vec_build *b, uint32_t row)
{
    begin_row(b, row);
}

static err_t add_misfit(struct vec_build *b, uint32_t row, const uint8_t *p, size_t n,
                        bool *fits, struct err *e)
{
    *fits = !b->given;
    if (b->given) return ERR_OK;
    if (b->n_misfits == b->misfit_cap) {
        uint32_t cap = b->misfit_cap ? 2 * b->misfit_cap : 64;
        struct misfit *m = realloc(b->misfit, cap * sizeof *m);
        if (!m) return err_set(e, ERR_NOMEM, "out of memory: %u misfits", cap);
        b->misfit = m;
        b->misfit_cap = cap;
    }
    b->misfit[b->n_misfits++] = (struct misfit){ row, (uint32_t)n, p };
    set_valid(b, row);
    return ERR_OK;
}

static err_t reserve_bytes(struct vec_build *b, size_t used, size_t n, struct err *e)
{
    if (n <= b->byte_cap - used) return ERR_OK;
    if (n > UINT32_MAX - used)
        return err_set(e, ERR_TOOBIG, "a column of more than 4 GiB of text in one batch");
    size_t cap = 2 * b->byte_cap < used + n ? used + n : 2 * b->byte_cap;
    uint8_t *p = arena_alloc(b->mem, cap + TEXT_PAD);
    if (!p) return err_set(e, ERR_NOMEM, "out of memory: a column of %zu bytes", cap);
    memcpy(p, b->vec->bytes, used);
    b->vec->bytes = p;
    b->byte_cap = cap;
    return ERR_OK;
}

static err_t add_bytes(struct vec_build *b, uint32_t row, const uint8_t *p, size_t n,
                       struct err *e)
{
    size_t used = b->vec->off[row];
    TRY(reserve_bytes(b, used, n, e));
    if (n) memcpy(b->vec->bytes + used, p, n);
    b->vec->off[row + 1] = (uint32_t)(used + n);
    set_valid(b, row);
    return ERR_OK;
}

static bool parse(const struct vec_build *b, uint32_t row, const uint8_t *p, size_t n)
{
    struct vec *v = b->vec;
    switch (b->type) {
    case TYPE_INTEGER: return csv_parse_integer(p, n, b->given, &v->i64[row]);
    case TYPE_REAL: return csv_parse_real(p, n, b->given, &v->f64[row]);
    case TYPE_BOOLEAN: return csv_parse_boolean(p, n, &v->i64[row]);
    case TYPE_DATE: return csv_is_date(p, n);
    case TYPE_TIMESTAMP: return csv_is_timestamp(p, n);
    case TYPE_TEXT:
    case TYPE_ANY: break;
    }
    return true;
}

err_t vec_build_text(struct vec_build *b, uint32_t row, const uint8_t *p, size_t n,
                     bool *fits, struct err *e)
{
    begin_row(b, row);
    *fits = true;
    if (!parse(b, row, p, n)) return add_misfit(b, row, p, n, fits, e);
    if (type_is_text(b->type)) return add_bytes(b, row, p, n, e);
    set_valid(b, row);
    return ERR_OK;
}

err_t vec_build_words(struct vec_build *b, uint32_t row, const uint8_t *p, size_t n,
                      bool *fits, struct err *e)
{
    if (type_is_text(b->type) || b->given) return vec_build_text(b, row, p, n, fits, e);
    begin_row(b, row);
    return add_misfit(b, row, p, n, fits, e);
}

err_t vec_build_finish(struct vec_build *b, uint32_t rows, struct err *e)
{
    // A row that was given up last may have left its bit.
    b->vec->valid[rows / 64] &= (1ull << rows % 64) - 1;
    while (b->n_misfits && b->misfit[b->n_misfits - 1].row >= rows)
        b->n_misfits--;
    if (b->n_misfits == 0) return ERR_OK;
    size_t size = b->n_misfits * sizeof *b->misfit;
    b->vec->misfit = arena_alloc(b->mem, size);
    if (!b->vec->misfit)
        return err_set(e, ERR_NOMEM, "out of memory: %u misfits", b->n_misfits);
    memcpy(b->vec->misfit, b->misfit, size);
    b->vec->n_misfits = b->n_misfits;
    return ERR_OK;
}
