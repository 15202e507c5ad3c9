// The lookup tables of a job as merge.sql has them in PostgreSQL: temporary tables of the
// session, made in the transaction that reads them.

#include "coordinator/warehouse_pg.h"

#include "coordinator/load_tables.h"
#include "proto/spec_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM_A_ROW = 64 };

// ---- rows

// A result of pg_copy.h, in as much room as it turns out to need.
static err_t encode(const struct schema *s, const struct batch *b, size_t guess,
                    struct region *out, struct err *e)
{
    struct pg_copy_writer *writer;
    TRY(pg_copy_writer_new(&writer, s, e));
    err_t rc = ERR_TOOBIG;
    for (size_t cap = guess; rc == ERR_TOOBIG && cap < SIZE_MAX / 2; cap *= 2) {
        free(out->p);
        *out = (struct region){ .p = malloc(cap), .cap = cap };
        rc = out->p ? pg_copy_write(writer, b, out, e)
                    : err_set(e, ERR_NOMEM, "out of memory");
    }
    pg_copy_writer_free(&writer);
    return rc;
}

// A row that is missing would be missing from every join.
static err_t check_refused(const char *table, struct slice list, struct err *e)
{
    size_t at = 0;
    bool bad;
    struct reject r;
    if (!rejects_next(list, &at, &r, &bad)) return ERR_OK;
    return err_set(e, ERR_INVALID, "table %s: %.*s%s%.*s (in the row %.*s)", table,
                   (int)r.column.n, (const char *)r.column.p, r.column.n ? ": " : "",
                   (int)r.reason.n, (const char *)r.reason.p,
                   (int)(r.raw.n < 200 ? r.raw.n : 200), (const char *)r.raw.p);
}

static err_t copy_rows(struct warehouse *w, const char *quoted, const struct batch *b,
                       struct slice tuples, struct err *e)
{
    struct wpg_rows rows = { tuples.p, tuples.n, b->rows };
    uint64_t taken;
    char *sql;
    if (asprintf(&sql, "COPY pg_temp.%s FROM STDIN (FORMAT binary)", quoted) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = wpg_copy(w, sql, &rows, &taken, e);
    free(sql);
    TRY(rc);
    return wpg_do(w, e, "looking at a lookup table", "ANALYZE pg_temp.%s", quoted);
}

static err_t put_rows(struct warehouse *w, const struct spec *spec,
                      const struct spec_table *t, const char *quoted, struct err *e)
{
    struct batch b;
    struct region made = { 0 };
    err_t rc = spec_sql_table_read(spec, t, &b, e);
    if (rc == ERR_TRANSFORM && e) e->code = ERR_INVALID;
    if (rc == ERR_TRANSFORM) rc = ERR_INVALID;
    if (rc == ERR_OK)
        rc = encode(&t->schema, &b, 4096 + 2 * t->csv_bytes + ROOM_A_ROW * (size_t)b.rows,
                    &made, e);
    if (rc == ERR_OK) {
        struct pg_copy parts = pg_copy_parts(made.p, made.n);
        rc = check_refused(t->name, parts.refused, e);
        if (rc == ERR_OK) rc = copy_rows(w, quoted, &b, parts.tuples, e);
    }
    free(made.p);
    batch_free(&b);
    return rc;
}

// ---- tables

static err_t fold(const struct spec_table *t, char **quoted, char **name, struct err *e)
{
    *quoted = NULL;
    TRY(wpg_fold("table", t->name, WPG_NAME_MAX, name, e));
    *quoted = pg_quoted(*name);
    return *quoted ? ERR_OK : err_set(e, ERR_NOMEM, "out of memory");
}

static err_t create(struct warehouse *w, const struct spec_table *t, const char *name,
                    struct err *e)
{
    struct schema folded = { 0 };
    err_t rc = wpg_schema_fold(&folded, &t->schema, e);
    if (rc == ERR_OK) rc = wpg_temp_create(w, name, &folded, e);
    schema_free(&folded);
    return rc;
}

static err_t make(struct warehouse *w, const struct spec *spec, const struct spec_table *t,
                  struct err *e)
{
    char *name = NULL, *quoted = NULL;
    err_t rc = fold(t, &quoted, &name, e);
    if (rc == ERR_OK) rc = create(w, t, name, e);
    if (rc == ERR_OK) rc = put_rows(w, spec, t, quoted, e);
    free(name);
    free(quoted);
    return rc;
}

err_t wpg_lookups_make(struct warehouse *w, struct err *e)
{
    struct spec spec;
    err_t rc = load_tables_read(w->merge->spec, &spec, e);
    for (size_t i = 0; rc == ERR_OK && i < spec.n_tables; i++)
        rc = make(w, &spec, &spec.tables[i], e);
    load_tables_free(w->merge->spec, &spec);
    return rc;
}

err_t wpg_lookups_drop(struct warehouse *w, struct err *e)
{
    const struct spec *spec = w->merge->spec;
    for (size_t i = 0; i < spec->n_tables; i++) {
        char *name = NULL, *quoted = NULL;
        err_t rc = fold(&spec->tables[i], &quoted, &name, e);
        if (rc == ERR_OK)
            rc = wpg_do(w, e, "dropping a lookup table", "DROP TABLE pg_temp.%s", quoted);
        free(name);
        free(quoted);
        TRY(rc);
    }
    return ERR_OK;
}
