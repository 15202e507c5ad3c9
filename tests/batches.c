#include "tests/batches.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void schema_of(struct schema *s, const char *columns)
{
    *s = (struct schema){ 0 };
    char name[100], type[20];
    int used;
    while (sscanf(columns, " %99[^ ,] %19[a-z] %n", name, type, &used) == 2) {
        enum type t;
        assert(type_parse(type, &t));
        err_t rc = schema_add(s, name, strlen(name), t, false, NULL);
        assert(rc == ERR_OK);
        columns += used;
        if (*columns == ',') columns++;
    }
    assert(!*columns);
}

static void *take(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    assert(p);
    return memset(p, 0, n);
}

static const char *quoted(struct batch *b, const char *p, struct cell *c)
{
    uint8_t *to = take(b, strlen(p));
    c->p = to;
    for (p++; *p != '\'' || p[1] == '\''; p++) {
        assert(*p);
        if (*p == '\'') p++;
        *to++ = (uint8_t)*p;
    }
    c->len = (uint32_t)(to - c->p);
    return p + 1;
}

static const char *hex(struct batch *b, const char *p, struct cell *c)
{
    const char *end = strchr(p + 2, '\'');
    assert(end);
    uint8_t *to = take(b, (size_t)(end - p));
    c->p = to;
    for (p += 2; p < end; p += 2)
        sscanf(p, "%2hhx", to++);
    c->len = (uint32_t)(to - c->p);
    return end + 1;
}

static const char *literal(struct batch *b, const char *p, struct cell *c)
{
    *c = (struct cell){ 0 };
    p += strspn(p, " \n");
    if (strncmp(p, "NULL", 4) == 0) {
        c->kind = CELL_NULL;
        return p + 4;
    }
    c->kind = *p == '\'' ? CELL_TEXT : *p == 'x' ? CELL_BLOB : CELL_INTEGER;
    if (*p == '\'') return quoted(b, p, c);
    if (*p == 'x') return hex(b, p, c);
    char *end;
    c->i = strtoll(p, &end, 10);
    if (*end == '.' || *end == 'e') {
        c->kind = CELL_REAL;
        c->r = strtod(p, &end);
    }
    assert(end > p);
    return end;
}

static uint32_t count_rows(const char *rows)
{
    uint32_t n = 0;
    bool open = false, any = false;
    for (; *rows; rows++) {
        if (*rows == '\'') open = !open;
        if (*rows != ' ' && *rows != '\n') any = true;
        n += !open && *rows == ';';
    }
    return any ? n + 1 : 0;
}

static void column_of(struct batch *b, struct vec *v, const struct cell *cells,
                      uint32_t step)
{
    uint32_t rows = b->rows, at = 0;
    v->absent = false;
    v->valid = take(b, batch_words(rows) * sizeof *v->valid);
    v->misfit = take(b, (rows + 1) * sizeof *v->misfit);
    v->i64 = take(b, (rows + 1) * sizeof(struct cell)); // as wide as the widest
    size_t bytes = 16;
    for (uint32_t r = 0; r < rows; r++)
        bytes += cells[r * step].len;
    v->bytes = take(b, bytes);
    for (uint32_t r = 0; r < rows; r++) {
        const struct cell *c = &cells[r * step];
        if (v->type == TYPE_ANY) {
            v->any[r] = *c;
            continue;
        }
        if (c->kind != CELL_NULL) v->valid[r / 64] |= UINT64_C(1) << (r % 64);
        if (type_is_text(v->type)) {
            assert(c->kind == CELL_NULL || c->kind == CELL_TEXT);
            if (c->len) memcpy(v->bytes + at, c->p, c->len);
            v->off[r + 1] = at += c->len;
        } else if (c->kind == CELL_TEXT) {
            v->misfit[v->n_misfits++] = (struct misfit){ r, c->len, c->p };
        } else if (v->type == TYPE_REAL) {
            v->f64[r] = c->kind == CELL_REAL ? c->r : (double)c->i;
        } else {
            assert(c->kind != CELL_REAL && c->kind != CELL_BLOB);
            v->i64[r] = c->i;
        }
    }
}

void batch_of(struct batch *b, const struct schema *s, const char *rows)
{
    err_t rc = batch_start(b, s, NULL);
    assert(rc == ERR_OK);
    b->rows = count_rows(rows);
    struct cell *cells = take(b, ((size_t)b->rows * s->n + 1) * sizeof *cells);
    for (size_t i = 0; i < (size_t)b->rows * s->n; i++) {
        rows = literal(b, rows, &cells[i]);
        rows += strspn(rows, " \n");
        char end = (i + 1) % s->n ? ',' : ';';
        assert(*rows == end || (!*rows && i + 1 == (size_t)b->rows * s->n));
        rows += *rows == end;
    }
    for (uint32_t i = 0; i < s->n; i++)
        column_of(b, &b->col[i], cells + i, s->n);
}

struct cell batch_cell(const struct batch *b, uint32_t column, uint32_t row)
{
    const struct vec *v = &b->col[column];
    struct cell c = { .kind = CELL_NULL };
    if (v->absent) return c;
    if (v->type == TYPE_ANY) return v->any[row];
    if (!vec_valid(v, row)) return c;
    for (uint32_t i = 0; i < v->n_misfits; i++)
        if (v->misfit[i].row == row)
            return (struct cell){ CELL_TEXT, v->misfit[i].len, { .p = v->misfit[i].p } };
    if (type_is_text(v->type)) {
        uint32_t at = v->off[row];
        return (struct cell){ CELL_TEXT, v->off[row + 1] - at, { .p = v->bytes + at } };
    }
    if (v->type == TYPE_REAL) return (struct cell){ CELL_REAL, 0, { .r = v->f64[row] } };
    return (struct cell){ CELL_INTEGER, 0, { .i = v->i64[row] } };
}

static void show_text(const struct cell *c, struct buf *out)
{
    err_t rc = buf_add(out, "'", 1, NULL);
    for (uint32_t i = 0; i < c->len && !rc; i++)
        rc = buf_printf(out, NULL, c->p[i] == '\'' ? "''" : "%c", c->p[i]);
    if (!rc) rc = buf_add(out, "'", 1, NULL);
    assert(!rc);
}

void cell_show(const struct cell *c, struct buf *out)
{
    err_t rc = ERR_OK;
    switch ((enum cell_kind)c->kind) {
    case CELL_NULL: rc = buf_printf(out, NULL, "NULL"); break;
    case CELL_INTEGER: rc = buf_printf(out, NULL, "%lld", (long long)c->i); break;
    case CELL_REAL: {
        char text[64];
        snprintf(text, sizeof text, "%.15g", c->r);
        if (strtod(text, NULL) != c->r) snprintf(text, sizeof text, "%.17g", c->r);
        rc = buf_printf(out, NULL, "%s%s", text, strpbrk(text, ".eni") ? "" : ".0");
        break;
    }
    case CELL_TEXT: show_text(c, out); break;
    case CELL_BLOB:
        rc = buf_printf(out, NULL, "x'");
        for (uint32_t i = 0; i < c->len && !rc; i++)
            rc = buf_printf(out, NULL, "%02x", c->p[i]);
        if (!rc) rc = buf_printf(out, NULL, "'");
    }
    assert(!rc);
}

char *batch_show(const struct batch *b)
{
    struct buf out = { 0 };
    err_t rc = buf_add(&out, "", 0, NULL);
    for (uint32_t r = 0; r < b->rows && !rc; r++) {
        for (uint32_t i = 0; i < b->n_cols && !rc; i++) {
            if (i) rc = buf_printf(&out, NULL, ", ");
            struct cell c = batch_cell(b, i, r);
            cell_show(&c, &out);
        }
        if (r + 1 < b->rows && !rc) rc = buf_printf(&out, NULL, "; ");
    }
    if (!rc) rc = buf_add(&out, "", 1, NULL);
    assert(!rc);
    return (char *)out.p;
}
