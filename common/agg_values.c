#include "common/agg_values.h"

#include "common/agg_groups.h"
#include "common/csv_value.h"

#include <string.h>

static err_t nomem(uint32_t rows, struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory: aggregating %u rows", rows);
}

err_t agg_order_make(struct agg_order *o, const uint32_t *gid, uint32_t rows,
                     uint32_t groups, struct arena *mem, struct err *e)
{
    *o = (struct agg_order){ .rows = rows, .groups = groups };
    o->start = arena_alloc(mem, ((size_t)groups + 1) * sizeof *o->start);
    if (!o->start) return nomem(rows, e);
    memset(o->start, 0, ((size_t)groups + 1) * sizeof *o->start);
    if (groups <= 1) {
        o->start[groups] = rows;
        return ERR_OK;
    }
    uint32_t *at = arena_alloc(mem, groups * sizeof *at);
    o->row = arena_alloc(mem, rows * sizeof *o->row);
    if (!at || !o->row) return nomem(rows, e);
    for (uint32_t r = 0; r < rows; r++)
        o->start[gid[r] + 1]++;
    for (uint32_t g = 0; g < groups; g++) {
        at[g] = o->start[g];
        o->start[g + 1] += o->start[g];
    }
    for (uint32_t r = 0; r < rows; r++)
        o->row[at[gid[r]]++] = r;
    return ERR_OK;
}

// Eight bytes a value, of a typed column without misfits; NULLs are left out.
static void gather_words(const struct agg_order *o, const struct vec *v, uint64_t *out,
                         uint32_t *start)
{
    const uint64_t *from = (const uint64_t *)v->i64;
    uint32_t n = 0;
    for (uint32_t g = 0; g < o->groups; g++) {
        start[g] = n;
        for (uint32_t k = o->start[g]; k < o->start[g + 1]; k++) {
            uint32_t row = o->row ? o->row[k] : k;
            out[n] = from[row];
            n += vec_valid(v, row);
        }
    }
    start[o->groups] = n;
}

static void gather_texts(const struct agg_order *o, const struct vec *v, struct cell *out,
                         uint32_t *start)
{
    uint32_t n = 0;
    for (uint32_t g = 0; g < o->groups; g++) {
        start[g] = n;
        for (uint32_t k = o->start[g]; k < o->start[g + 1]; k++) {
            uint32_t row = o->row ? o->row[k] : k;
            uint32_t at = v->off[row];
            out[n] =
                (struct cell){ CELL_TEXT, v->off[row + 1] - at, { .p = v->bytes + at } };
            n += vec_valid(v, row);
        }
    }
    start[o->groups] = n;
}

static void read_number(struct cell *c)
{
    int64_t i;
    double r;
    if (c->kind == CELL_TEXT && csv_parse_integer(c->p, c->len, true, &i))
        *c = (struct cell){ .kind = CELL_INTEGER, .i = i };
    else if (c->kind == CELL_TEXT && csv_parse_real(c->p, c->len, true, &r))
        *c = (struct cell){ .kind = CELL_REAL, .r = r };
    else
        c->kind = CELL_NULL;
}

static void gather_any(const struct agg_order *o, const struct vec *v, bool numbers,
                       struct agg_values *out)
{
    uint32_t ni = 0, nr = 0, nt = 0;
    for (uint32_t g = 0; g < o->groups; g++) {
        out->i_start[g] = ni;
        out->r_start[g] = nr;
        out->t_start[g] = nt;
        for (uint32_t k = o->start[g]; k < o->start[g + 1]; k++) {
            struct cell c = agg_cell(v, o->row ? o->row[k] : k);
            if (numbers && (c.kind == CELL_TEXT || c.kind == CELL_BLOB)) read_number(&c);
            switch ((enum cell_kind)c.kind) {
            case CELL_NULL: break;
            case CELL_INTEGER: out->i[ni++] = c.i; break;
            case CELL_REAL: out->r[nr++] = c.r; break;
            case CELL_TEXT:
            case CELL_BLOB: out->t[nt++] = c; break;
            }
        }
    }
    out->i_start[o->groups] = ni;
    out->r_start[o->groups] = nr;
    out->t_start[o->groups] = nt;
    if (!ni) out->i_start = NULL;
    if (!nr) out->r_start = NULL;
    if (!nt) out->t_start = NULL;
}

static bool room(struct arena *mem, void *values, uint32_t rows, size_t size,
                 uint32_t **start, uint32_t groups)
{
    void *p = arena_alloc(mem, ((size_t)rows + 1) * size); // gathering writes one past
    *start = arena_alloc(mem, ((size_t)groups + 1) * sizeof **start);
    memcpy(values, &p, sizeof p);
    return p && *start;
}

err_t agg_values_make(struct agg_values *out, const struct agg_order *o,
                      const struct vec *v, bool numbers, struct arena *mem, struct err *e)
{
    bool plain = v->type != TYPE_ANY && !v->n_misfits, text = type_is_text(v->type);
    uint32_t rows = o->rows, groups = o->groups;
    *out = (struct agg_values){ 0 };
    bool ints = !plain || (!text && v->type != TYPE_REAL);
    bool reals = !plain || v->type == TYPE_REAL, texts = !plain || text;
    if (plain && text && numbers) ints = reals = true;
    bool ok = !ints || room(mem, &out->i, rows, sizeof *out->i, &out->i_start, groups);
    ok = ok && (!reals || room(mem, &out->r, rows, sizeof *out->r, &out->r_start, groups));
    ok = ok && (!texts || room(mem, &out->t, rows, sizeof *out->t, &out->t_start, groups));
    if (!ok) return nomem(rows, e);
    if (!plain || (text && numbers))
        gather_any(o, v, numbers, out);
    else if (text)
        gather_texts(o, v, out->t, out->t_start);
    else if (v->type == TYPE_REAL)
        gather_words(o, v, (uint64_t *)out->r, out->r_start);
    else
        gather_words(o, v, (uint64_t *)out->i, out->i_start);
    return ERR_OK;
}
