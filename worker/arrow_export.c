#include "worker/arrow.h"

#include "common/buf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arrow_loan {
    atomic_int structs; // that are not released yet
};

static void release_lent(struct ArrowArray *a)
{
    struct arrow_loan *loan = a->private_data;
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release) a->children[i]->release(a->children[i]);
    a->release = NULL;
    atomic_fetch_sub(&loan->structs, 1);
}

bool arrow_loan_end(struct arrow_loan **loan)
{
    bool whole = !*loan || atomic_load(&(*loan)->structs) == 0;
    if (whole) free(*loan);
    *loan = NULL;
    return whole;
}

struct writer {
    const struct field *f;
    const struct vec *v;
    uint32_t rows;
    struct arena *mem;
    struct ArrowArray *out;
    struct err *e;
};

static void *take(struct writer *w, uint64_t n)
{
    void *p = n <= SIZE_MAX ? arena_alloc(w->mem, (size_t)n) : NULL;
    if (!p) err_set(w->e, ERR_NOMEM, "out of memory: a batch for the plugin");
    return p;
}

// A row with such a value would silently lose it.
static err_t no_fit(const struct writer *w, uint32_t row, const char *value, size_t n)
{
    return err_set(w->e, ERR_TRANSFORM,
                   "row %u of the batch, column '%s': '%.*s' is no %s, as the plugin was "
                   "promised; say `source.types: {%s: text}`, or CAST it in the sql before "
                   "the plugin",
                   row + 1, w->f->name, (int)(n < 60 ? n : 60), value,
                   type_name(w->f->type), w->f->name);
}

static int64_t count_nulls(const uint64_t *valid, uint32_t rows)
{
    int64_t n = 0;
    for (uint32_t w = 0; w < rows / 64; w++)
        n += __builtin_popcountll(~valid[w]);
    if (rows % 64) n += __builtin_popcountll(~valid[rows / 64] & ((1ull << rows % 64) - 1));
    return n;
}

static void set(struct writer *w, const uint64_t *valid, const void *values,
                const void *bytes)
{
    w->out->buffers[0] = valid;
    w->out->buffers[1] = values;
    if (w->out->n_buffers == 3) w->out->buffers[2] = bytes ? bytes : "";
    w->out->null_count = count_nulls(valid, w->rows);
}

// Booleans stand in 8 bytes each, Arrow's in a bit.
static err_t write_bits(struct writer *w, const uint64_t *valid, const int64_t *values)
{
    uint64_t *bits = take(w, batch_words(w->rows) * sizeof *bits);
    if (!bits) return ERR_NOMEM;
    memset(bits, 0, batch_words(w->rows) * sizeof *bits);
    for (uint32_t r = 0; r < w->rows; r++)
        bits[r / 64] |= (uint64_t)(values[r] != 0) << r % 64;
    set(w, valid, bits, NULL);
    return ERR_OK;
}

static err_t write_typed(struct writer *w)
{
    const struct vec *v = w->v;
    if (v->n_misfits)
        return no_fit(w, v->misfit[0].row, (const char *)v->misfit[0].p, v->misfit[0].len);
    if (v->type == TYPE_BOOLEAN) return write_bits(w, v->valid, v->i64);
    if (type_is_text(v->type) && v->off[w->rows] > INT32_MAX)
        return err_set(w->e, ERR_TOOBIG,
                       "column '%s' has more than 2 GiB of text in one batch; make batches "
                       "smaller",
                       w->f->name);
    if (type_is_text(v->type))
        set(w, v->valid, v->off, v->bytes);
    else
        set(w, v->valid, v->i64, NULL);
    return ERR_OK;
}

static err_t write_nothing(struct writer *w)
{
    uint64_t n = 8 * (uint64_t)(w->rows + 1ull);
    uint8_t *zeros = take(w, n + 8);
    if (!zeros) return ERR_NOMEM;
    memset(zeros, 0, n + 8);
    set(w, (const uint64_t *)zeros, zeros, NULL);
    return ERR_OK;
}

// ---- ANY: what SQL gave ----

static uint64_t *clear_valid(struct writer *w)
{
    uint64_t *valid = take(w, batch_words(w->rows) * sizeof *valid);
    if (valid) memset(valid, 0, batch_words(w->rows) * sizeof *valid);
    return valid;
}

static err_t cell_does_not_fit(const struct writer *w, uint32_t row)
{
    const struct cell *c = &w->v->any[row];
    char text[40];
    if (c->kind == CELL_TEXT) return no_fit(w, row, (const char *)c->p, c->len);
    if (c->kind == CELL_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)c->i);
    else if (c->kind == CELL_REAL)
        snprintf(text, sizeof text, "%.17g", c->r);
    else
        snprintf(text, sizeof text, "a blob");
    return no_fit(w, row, text, strlen(text));
}

static bool whole(double d, int64_t *out)
{
    if (!(d >= -0x1p63 && d < 0x1p63)) return false;
    *out = (int64_t)d;
    return (double)*out == d;
}

static bool number_of(const struct cell *c, enum type t, void *out)
{
    int64_t i;
    double d = c->kind == CELL_REAL ? c->r : (double)c->i;
    if (t == TYPE_REAL && (c->kind == CELL_REAL || c->kind == CELL_INTEGER))
        memcpy(out, &d, 8);
    else if (t != TYPE_REAL && c->kind == CELL_INTEGER)
        memcpy(out, &c->i, 8);
    else if (t == TYPE_INTEGER && c->kind == CELL_REAL && whole(c->r, &i))
        memcpy(out, &i, 8);
    else
        return false;
    return true;
}

static err_t write_numbers(struct writer *w)
{
    enum type t = w->f->type;
    uint64_t *valid = clear_valid(w);
    int64_t *values = take(w, 8 * (uint64_t)w->rows);
    if (!valid || !values) return ERR_NOMEM;
    for (uint32_t r = 0; r < w->rows; r++) {
        const struct cell *c = &w->v->any[r];
        values[r] = 0;
        if (c->kind == CELL_NULL) continue;
        if (!number_of(c, t, &values[r])) return cell_does_not_fit(w, r);
        valid[r / 64] |= 1ull << r % 64;
    }
    if (t == TYPE_BOOLEAN) return write_bits(w, valid, values);
    set(w, valid, values, NULL);
    return ERR_OK;
}

// The shortest decimal that reads back as the same number.
static size_t print_real(double d, char out[40])
{
    for (int digits = 15;; digits++) {
        int n = snprintf(out, 40, "%.*g", digits, d);
        if (digits == 17 || strtod(out, NULL) == d) return (size_t)n;
    }
}

// The cell's text, in `room` if it is a number; false: it has none.
static bool text_of(const struct cell *c, bool any, char room[40], struct slice *out)
{
    *out = (struct slice){ (const uint8_t *)room, 0 };
    if (c->kind == CELL_TEXT)
        *out = (struct slice){ c->p, c->len };
    else if (any && c->kind == CELL_INTEGER)
        out->n = (size_t)snprintf(room, 40, "%lld", (long long)c->i);
    else if (any && c->kind == CELL_REAL)
        out->n = print_real(c->r, room);
    else
        return c->kind == CELL_NULL;
    return true;
}

static err_t measure(struct writer *w, uint32_t *off)
{
    char room[40];
    struct slice text;
    uint64_t at = 0;
    for (uint32_t r = 0; r < w->rows; r++) {
        off[r] = (uint32_t)at;
        if (!text_of(&w->v->any[r], w->f->type == TYPE_ANY, room, &text))
            return cell_does_not_fit(w, r);
        at += text.n;
        if (at > INT32_MAX)
            return err_set(w->e, ERR_TOOBIG,
                           "column '%s' has more than 2 GiB of text in one batch; make "
                           "batches smaller",
                           w->f->name);
    }
    off[w->rows] = (uint32_t)at;
    return ERR_OK;
}

static err_t write_texts(struct writer *w)
{
    char room[40];
    struct slice text;
    uint64_t *valid = clear_valid(w);
    uint32_t *off = take(w, 4 * ((uint64_t)w->rows + 1));
    if (!valid || !off) return ERR_NOMEM;
    TRY(measure(w, off));
    uint8_t *bytes = take(w, off[w->rows]);
    if (!bytes) return ERR_NOMEM;
    for (uint32_t r = 0; r < w->rows; r++) {
        const struct cell *c = &w->v->any[r];
        if (!text_of(c, w->f->type == TYPE_ANY, room, &text))
            return cell_does_not_fit(w, r);
        if (text.n) memcpy(bytes + off[r], text.p, text.n);
        valid[r / 64] |= (uint64_t)(c->kind != CELL_NULL) << r % 64;
    }
    set(w, valid, off, bytes);
    return ERR_OK;
}

static err_t write_moments(struct writer *w)
{
    bool date = w->f->type == TYPE_DATE;
    uint64_t *valid = clear_valid(w);
    int64_t *values = take(w, 8 * (uint64_t)w->rows);
    if (!valid || !values) return ERR_NOMEM;
    for (uint32_t r = 0; r < w->rows; r++) {
        const struct cell *c = &w->v->any[r];
        int64_t v = 0;
        if (c->kind != CELL_NULL) {
            if (c->kind != CELL_TEXT || !arrow_moment_read(date, c->p, c->len, &v))
                return cell_does_not_fit(w, r);
            valid[r / 64] |= 1ull << r % 64;
        }
        if (date)
            ((int32_t *)values)[r] = (int32_t)v;
        else
            values[r] = v;
    }
    set(w, valid, values, NULL);
    return ERR_OK;
}

static struct cell cell_of(const struct vec *v, uint32_t row)
{
    const struct misfit *m = v->n_misfits ? vec_misfit(v, row) : NULL;
    if (!vec_valid(v, row)) return (struct cell){ .kind = CELL_NULL };
    if (m) return (struct cell){ .kind = CELL_TEXT, .len = m->len, .p = m->p };
    if (v->type == TYPE_REAL) return (struct cell){ .kind = CELL_REAL, .r = v->f64[row] };
    if (!type_is_text(v->type))
        return (struct cell){ .kind = CELL_INTEGER, .i = v->i64[row] };
    return (struct cell){ .kind = CELL_TEXT,
                          .len = v->off[row + 1] - v->off[row],
                          .p = v->bytes + v->off[row] };
}

// A column whose values have a type, while its schema knows none, or another.
static err_t make_cells(struct writer *w, struct vec *any)
{
    struct cell *cells = take(w, w->rows * sizeof *cells);
    if (!cells) return ERR_NOMEM;
    for (uint32_t r = 0; r < w->rows; r++)
        cells[r] = cell_of(w->v, r);
    *any = (struct vec){ .type = TYPE_ANY, .any = cells };
    w->v = any;
    return ERR_OK;
}

static bool as_time(enum type t, unsigned char reads)
{
    return reads == TRANCHE_READ_TIME && (t == TYPE_DATE || t == TYPE_TIMESTAMP);
}

static err_t write_column(struct writer *w, unsigned char reads)
{
    struct vec any;
    enum type t = w->f->type;
    if (!reads || w->v->absent) return write_nothing(w);
    if (as_time(t, reads)) {
        if (w->v->type != TYPE_ANY) TRY(make_cells(w, &any));
        return write_moments(w);
    }
    bool same = w->v->type == t || (type_is_text(w->v->type) && type_is_text(t));
    if (same && t != TYPE_ANY) return write_typed(w);
    if (w->v->type != TYPE_ANY) TRY(make_cells(w, &any));
    return type_is_text(t) || t == TYPE_ANY ? write_texts(w) : write_numbers(w);
}

// Structs with room for their buffers, in one piece.
struct lent {
    struct ArrowArray array;
    const void *buffers[3];
};

static err_t write_columns(const struct schema *s, const struct batch *b,
                           const unsigned char *reads, struct arena *mem, struct lent *l,
                           struct ArrowArray **children, struct err *e)
{
    for (uint32_t i = 0; i < s->n; i++) {
        enum type t = s->f[i].type;
        bool text = (type_is_text(t) || t == TYPE_ANY) && !as_time(t, reads[i]);
        l[i].array = (struct ArrowArray){ .length = b->rows,
                                          .n_buffers = text ? 3 : 2,
                                          .buffers = l[i].buffers };
        struct writer w = { &s->f[i], &b->col[i], b->rows, mem, &l[i].array, e };
        TRY(write_column(&w, reads[i]));
        children[i] = &l[i].array;
    }
    return ERR_OK;
}

err_t arrow_lend(const struct schema *s, const struct batch *b, const unsigned char *reads,
                 struct arena *mem, struct ArrowArray *out, struct arrow_loan **loan,
                 struct err *e)
{
    *loan = NULL;
    *out = (struct ArrowArray){ 0 };
    struct lent *l = arena_alloc(mem, (s->n + 1) * sizeof *l);
    struct ArrowArray **children = arena_alloc(mem, (s->n + 1) * sizeof *children);
    if (!l || !children)
        return err_set(e, ERR_NOMEM, "out of memory: a batch for the plugin");
    memset(l, 0, (s->n + 1) * sizeof *l);
    TRY(write_columns(s, b, reads, mem, l, children, e));
    *loan = malloc(sizeof **loan);
    if (!*loan) return err_set(e, ERR_NOMEM, "out of memory: a batch for the plugin");
    atomic_init(&(*loan)->structs, (int)s->n + 1);
    for (uint32_t i = 0; i < s->n; i++) {
        l[i].array.release = release_lent;
        l[i].array.private_data = *loan;
    }
    *out = (struct ArrowArray){ .length = b->rows,
                                .n_buffers = 1,
                                .n_children = s->n,
                                .buffers = l[s->n].buffers,
                                .children = children,
                                .release = release_lent,
                                .private_data = *loan };
    return ERR_OK;
}
