// What an incremental load takes: rows whose watermark is above the greatest one that
// earlier complete loads of the same identity put in. The column has one type, so values
// compare as that does: numbers as numbers, dates and timestamps as their text, which sorts
// like time, and text byte by byte.

#include "coordinator/warehouse_pg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_number(const struct cell *c)
{
    return c->kind == CELL_INTEGER || (c->kind == CELL_REAL && !isnan(c->r));
}

static int compare_numbers(const struct cell *a, const struct cell *b)
{
    if (a->kind == CELL_INTEGER && b->kind == CELL_INTEGER)
        return a->i < b->i ? -1 : a->i > b->i;
    // Exact for every int64_t and every double: long double has at least 64 bits.
    _Static_assert(__LDBL_MANT_DIG__ >= 64, "int64_t and double compared as long double");
    long double x = a->kind == CELL_INTEGER ? (long double)a->i : (long double)a->r;
    long double y = b->kind == CELL_INTEGER ? (long double)b->i : (long double)b->r;
    return x < y ? -1 : x > y;
}

static int compare(const struct cell *a, const struct cell *b)
{
    if (is_number(a)) return compare_numbers(a, b);
    size_t n = a->len < b->len ? a->len : b->len;
    int rc = n ? memcmp(a->p, b->p, n) : 0;
    return rc ? rc : a->len < b->len ? -1 : a->len > b->len;
}

enum wpg_above wpg_watermark_judge(const struct wpg_watermark *m, const struct cell *c)
{
    const struct cell *floor = &m->floor.cell;
    if (!is_number(c) && c->kind != CELL_TEXT) return WPG_UNFIT;
    if (floor->kind == CELL_NULL) return WPG_ABOVE;
    if (is_number(c) != is_number(floor)) return WPG_UNFIT;
    return compare(c, floor) > 0 ? WPG_ABOVE : WPG_BELOW;
}

static err_t keep(struct wpg_value *v, const struct cell *c, struct err *e)
{
    v->cell = *c;
    if (c->kind != CELL_TEXT) return ERR_OK;
    v->text.n = 0;
    TRY(buf_reserve(&v->text, (size_t)c->len + 1, e));
    if (c->len) TRY(buf_add(&v->text, c->p, c->len, e));
    v->cell.p = v->text.p;
    return ERR_OK;
}

err_t wpg_watermark_raise(struct wpg_value *greatest, const struct cell *c, struct err *e)
{
    const struct cell *have = &greatest->cell;
    if (have->kind != CELL_NULL &&
        (is_number(have) != is_number(c) || compare(c, have) <= 0))
        return ERR_OK;
    return keep(greatest, c, e);
}

void wpg_value_free(struct wpg_value *v)
{
    buf_free(&v->text);
    v->cell = (struct cell){ .kind = CELL_NULL };
}

void wpg_watermark_free(struct wpg_watermark *m)
{
    wpg_value_free(&m->floor);
    wpg_value_free(&m->greatest);
    m->column = -1;
}

// ---- in the ledger: "i" or "r" or "t", and the value

err_t wpg_value_text(const struct cell *c, char **out, struct err *e)
{
    int n = 0;
    *out = NULL;
    if (c->kind == CELL_INTEGER) n = asprintf(out, "i%lld", (long long)c->i);
    if (c->kind == CELL_REAL) n = asprintf(out, "r%.17g", c->r);
    if (c->kind == CELL_TEXT) n = asprintf(out, "t%.*s", (int)c->len, (const char *)c->p);
    if (n >= 0) return ERR_OK;
    *out = NULL;
    return err_set(e, ERR_NOMEM, "out of memory");
}

err_t wpg_value_read(const char *text, struct wpg_value *out, struct err *e)
{
    struct cell c = { .kind = CELL_NULL };
    if (!text) return keep(out, &c, e);
    const char *value = text + 1;
    switch (*text) {
    case 'i':
        c = (struct cell){ .kind = CELL_INTEGER, .i = strtoll(value, NULL, 10) };
        break;
    case 'r': c = (struct cell){ .kind = CELL_REAL, .r = strtod(value, NULL) }; break;
    case 't':
        c = (struct cell){ .kind = CELL_TEXT,
                           .len = (uint32_t)strlen(value),
                           .p = (const uint8_t *)value };
        break;
    default:
        return err_set(e, ERR_DB, "the ledger has a watermark that is none: '%.40s'", text);
    }
    return keep(out, &c, e);
}

static err_t read_one(struct warehouse *w, const char *sql, struct wpg_value *out,
                      struct err *e)
{
    PGresult *r;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_query(w, &r, e, "reading the watermark", sql, 1, values));
    err_t rc = wpg_value_read(PQntuples(r) ? wpg_cell(r, 0, 0) : NULL, out, e);
    PQclear(r);
    return rc;
}

#define FROM "SELECT watermark_from FROM tranche_runs WHERE load_id = $1"

err_t wpg_watermark_start(struct warehouse *w, struct err *e)
{
    if (w->watermark.column < 0) return ERR_OK;
    return read_one(w, FROM, &w->watermark.floor, e);
}

err_t wpg_watermark_end(struct warehouse *w, char **out, struct err *e)
{
    PGresult *r;
    struct wpg_number id;
    struct wpg_value greatest = { 0 }, one = { 0 };
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    *out = NULL;
    if (w->watermark.column < 0) return ERR_OK;
    TRY(wpg_query(w, &r, e, "reading the watermark",
                  FROM " UNION ALL SELECT watermark FROM tranche_ledger WHERE load = $1 "
                       "AND watermark IS NOT NULL",
                  1, values));
    err_t rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++) {
        rc = wpg_value_read(wpg_cell(r, i, 0), &one, e);
        if (rc == ERR_OK && one.cell.kind != CELL_NULL)
            rc = wpg_watermark_raise(&greatest, &one.cell, e);
    }
    PQclear(r);
    if (rc == ERR_OK) rc = wpg_value_text(&greatest.cell, out, e);
    wpg_value_free(&greatest);
    wpg_value_free(&one);
    return rc;
}

// An unfinished load goes on where it began.
err_t wpg_watermark_read(struct warehouse *w, const struct load_identity *id,
                         struct arena *mem, struct cell *value, struct err *e)
{
    char spec[HASH_HEX], *table;
    PGresult *r;
    int64_t n;
    bool known;
    struct wpg_value mark = { 0 };
    *value = (struct cell){ .kind = CELL_NULL };
    TRY(wpg_ready(w, e));
    TRY(wpg_int(w, e, &n, &known,
                "SELECT 1 FROM pg_class WHERE oid = "
                "to_regclass('tranche_runs')",
                0, NULL));
    if (!known || id->fresh) return ERR_OK;
    hash_hex(id->spec, spec);
    TRY(wpg_fold("table", id->table, WPG_TABLE_NAME_MAX, &table, e));
    const char *const values[] = { table, id->sources, spec };
    err_t rc = wpg_query(
        w, &r, e, "reading the watermark",
        "SELECT CASE state WHEN 'loading' THEN watermark_from ELSE watermark END FROM "
        "tranche_runs WHERE table_name = $1 AND sources = $2 AND spec = $3 AND mode = "
        "'incremental' AND state IN ('loading','complete') ORDER BY state = 'complete', "
        "load_id DESC LIMIT 1",
        3, values);
    free(table);
    TRY(rc);
    rc = wpg_value_read(PQntuples(r) ? wpg_cell(r, 0, 0) : NULL, &mark, e);
    PQclear(r);
    *value = mark.cell;
    if (rc == ERR_OK && mark.cell.kind == CELL_TEXT) {
        value->p = (uint8_t *)arena_strdup(mem, (const char *)mark.cell.p, mark.cell.len);
        if (!value->p) rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    wpg_value_free(&mark);
    return rc;
}
