// merge.sql, in the words of PostgreSQL: the user's SELECT becomes a temporary view, which
// the server allows of one statement that only reads, and the result is a table made of it.
// `parts` is a temporary name too, so it hides a table of the user's that is called so.

#include "coordinator/source_postgres.h"
#include "coordinator/warehouse_pg.h"

#include "common/crash.h"

#include <stdio.h>
#include <stdlib.h>

// Type numbers never change (src/include/catalog/pg_type.dat).
enum { OID_UNKNOWN = 0, OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_FLOAT8 = 701 };

#define PARTS  "parts"
#define MERGED "tranche_merged"

// ---- params

struct bound { // the params of the statement
    size_t n;
    const char **names, **texts;
    char **owned; // of texts
    Oid *types;
};

static void bound_free(struct bound *b)
{
    for (size_t i = 0; b->owned && i < b->n; i++)
        free(b->owned[i]);
    free(b->owned);
    free(b->names);
    free(b->texts);
    free(b->types);
}

static err_t bound_start(struct bound *b, const struct spec *spec, struct err *e)
{
    *b = (struct bound){ .n = spec->n_params,
                         .names = calloc(spec->n_params + 1, sizeof *b->names),
                         .texts = calloc(spec->n_params + 1, sizeof *b->texts),
                         .owned = calloc(spec->n_params + 1, sizeof *b->owned),
                         .types = calloc(spec->n_params + 1, sizeof *b->types) };
    if (!b->names || !b->texts || !b->owned || !b->types)
        return err_set(e, ERR_NOMEM, "out of memory");
    return ERR_OK;
}

static err_t put_quoted(struct buf *b, const struct cell *c, struct err *e)
{
    for (uint32_t i = 0; i < c->len; i++)
        TRY(buf_printf(b, e, c->p[i] == '\'' ? "''" : "%c", c->p[i]));
    return ERR_OK;
}

static err_t put_literal(struct buf *b, const struct cell *c, Oid *type, struct err *e)
{
    switch (c->kind) {
    case CELL_INTEGER:
        *type = OID_INT8;
        return buf_printf(b, e, "('%lld'::int8)", (long long)c->i);
    case CELL_REAL: *type = OID_FLOAT8; return buf_printf(b, e, "('%.17g'::float8)", c->r);
    case CELL_TEXT:
        *type = OID_TEXT;
        TRY(buf_printf(b, e, "('"));
        TRY(put_quoted(b, c, e));
        return buf_printf(b, e, "'::text)");
    case CELL_BLOB:
        *type = OID_BYTEA;
        TRY(buf_printf(b, e, "('\\x"));
        for (uint32_t i = 0; i < c->len; i++)
            TRY(buf_printf(b, e, "%02x", c->p[i]));
        return buf_printf(b, e, "'::bytea)");
    default: *type = OID_UNKNOWN; return buf_printf(b, e, "NULL");
    }
}

// With the values, or with $1 ... for the names; *out is malloced.
static err_t bind(const struct load_merge *m, bool values, char **out, struct bound *b,
                  struct err *e)
{
    TRY(bound_start(b, m->spec, e));
    for (size_t i = 0; i < b->n; i++) {
        struct buf text = { 0 };
        err_t rc = put_literal(&text, &m->spec->params[i].value, &b->types[i], e);
        if (rc == ERR_OK && !values) {
            text.n = 0;
            rc = buf_printf(&text, e, "$%zu", i + 1);
        }
        b->names[i] = m->spec->params[i].name;
        b->texts[i] = b->owned[i] = (char *)text.p;
        TRY(rc);
    }
    return postgres_query_params(m->sql, b->names, b->texts, b->n, out, e);
}

// ---- whose fault

static err_t blame(struct warehouse *w, err_t rc, const char *what, struct err *e)
{
    if (rc == ERR_OK) return ERR_OK;
    if (rc != ERR_DB || !pg_blames_statement(w->pg)) return wpg_fail(w, rc, e, "merging");
    return err_wrap(e, ERR_INVALID, "%s", what);
}

static err_t done(struct warehouse *w, PGresult *r, const char *sql, struct err *e)
{
    ExecStatusType s = PQresultStatus(r);
    err_t rc =
        s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? ERR_OK : pg_fail(w->pg, r, sql, e);
    PQclear(r);
    return rc;
}

// ---- the statement

// As it was written, so that the server points to the place of a mistake.
static err_t prepare(struct warehouse *w, struct err *e)
{
    struct bound b;
    char *sql = NULL;
    err_t rc = bind(w->merge, false, &sql, &b, e);
    if (rc == ERR_OK) {
        PGresult *r = PQprepare(w->pg->c, "", sql, (int)b.n, b.types);
        rc = blame(w, done(w, r, sql, e), "merge.sql", e);
    }
    free(sql);
    bound_free(&b);
    return rc;
}

static err_t make_view(struct warehouse *w, struct err *e)
{
    struct bound b;
    char *bound = NULL, *sql = NULL;
    err_t rc = bind(w->merge, true, &bound, &b, e);
    bound_free(&b);
    if (rc == ERR_OK && asprintf(&sql, "CREATE TEMP VIEW " MERGED " AS\n%s", bound) < 0) {
        sql = NULL;
        rc = err_set(e, ERR_NOMEM, "out of memory");
    }
    free(bound);
    TRY(rc);
    PGresult *r = PQexecParams(w->pg->c, sql, 0, NULL, NULL, NULL, NULL, 0);
    free(sql);
    return blame(w, done(w, r, NULL, e),
                 "merge.sql must be one SELECT that only reads and gives every column a "
                 "name of its own",
                 e);
}

static err_t read_columns(struct warehouse *w, struct schema *out, struct err *e)
{
    PGresult *r;
    TRY(wpg_query(w, &r, e, "reading the columns of merge.sql",
                  "SELECT attname FROM pg_attribute WHERE attrelid = 'pg_temp." MERGED
                  "'::regclass AND attnum > 0 ORDER BY attnum",
                  0, NULL));
    err_t rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++) {
        const char *name = PQgetvalue(r, i, 0);
        rc = schema_add(out, name, strlen(name), TYPE_ANY, false, e);
    }
    PQclear(r);
    if (rc == ERR_OK && out->n == 0)
        return err_set(e, ERR_INVALID, "merge.sql: it gives no column");
    return rc;
}

static err_t check_indexes(struct warehouse *w, const struct schema *columns, struct err *e)
{
    for (size_t i = 0; i < w->n_merge_indexes; i++)
        for (size_t k = 0; k < w->merge_indexes[i].n; k++)
            if (schema_find(columns, w->merge_indexes[i].v[k]) < 0)
                return err_set(e, ERR_INVALID,
                               "load.indexes: the result of merge has no column '%.60s'",
                               w->merge_indexes[i].v[k]);
    return ERR_OK;
}

static err_t look_at(struct warehouse *w, struct schema *columns, struct err *e)
{
    TRY(prepare(w, e));
    TRY(make_view(w, e));
    TRY(read_columns(w, columns, e));
    return check_indexes(w, columns, e);
}

// ---- tried

// A function may write. What else fails may be because there is no row yet.
static err_t try_reading(struct warehouse *w, struct err *e)
{
    TRY(wpg_do(w, e, "trying merge.sql",
               "SET LOCAL statement_timeout = '5s'; SET TRANSACTION READ ONLY"));
    err_t rc = pg_do(w->pg, "SELECT FROM pg_temp." MERGED " LIMIT 1", e);
    if (rc == ERR_DB && pg_blames_writing(w->pg))
        return err_wrap(e, ERR_INVALID, "merge.sql may only read");
    return rc == ERR_CLOSED ? wpg_fail(w, rc, e, "trying merge.sql") : ERR_OK;
}

static err_t try_over_nothing(struct warehouse *w, const struct schema *parts,
                              struct err *e)
{
    struct schema columns = { 0 };
    TRY(wpg_temp_create(w, PARTS, parts, e));
    TRY(wpg_lookups_make(w, e));
    err_t rc = look_at(w, &columns, e);
    schema_free(&columns);
    return rc == ERR_OK ? try_reading(w, e) : rc;
}

err_t wpg_sql_try(struct warehouse *w, struct err *e)
{
    struct schema parts = { 0 };
    if (!w->merge || !w->merge->sql) return ERR_OK;
    TRY(wpg_txn_begin(w, e));
    err_t rc = wpg_schema_fold(&parts, w->merge->rows, e);
    if (rc == ERR_OK) rc = try_over_nothing(w, &parts, e);
    schema_free(&parts);
    wpg_txn_rollback(w);
    return rc;
}

// ---- run

static err_t make_table(struct warehouse *w, const char *result, struct err *e)
{
    char *sql = NULL;
    PGresult *r;
    if (asprintf(&sql, "CREATE TABLE %s AS TABLE pg_temp." MERGED, result) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = blame(w, pg_query(w->pg, &r, sql, 0, NULL, e), "merge.sql", e);
    free(sql);
    TRY(rc);
    w->merge->rows_out = strtoull(PQcmdTuples(r), NULL, 10);
    PQclear(r);
    return ERR_OK;
}

static err_t take_columns(struct warehouse *w, struct schema *columns, struct err *e)
{
    schema_free(&w->schema);
    w->schema = *columns;
    *columns = (struct schema){ 0 };
    free(w->columns);
    TRY(wpg_columns_text(&w->schema, NULL, &w->columns, e));
    return load_indexes_take(&w->indexes, &w->schema, w->merge_indexes, w->n_merge_indexes,
                             e);
}

static err_t run(struct warehouse *w, const char *parts, const char *result, struct err *e)
{
    struct schema columns = { 0 };
    TRY(wpg_do(w, e, "merging", "CREATE TEMP VIEW " PARTS " AS TABLE %s", parts));
    TRY(wpg_lookups_make(w, e));
    err_t rc = look_at(w, &columns, e);
    if (rc == ERR_OK) rc = make_table(w, result, e);
    crash_point("merge-after-sql");
    if (rc == ERR_OK) rc = take_columns(w, &columns, e);
    schema_free(&columns);
    TRY(rc);
    TRY(wpg_do(w, e, "dropping the parts",
               "DROP VIEW pg_temp." MERGED ", pg_temp." PARTS "; DROP TABLE %s", parts));
    return wpg_lookups_drop(w, e);
}

err_t wpg_sql_run(struct warehouse *w, const char *parts, const char *result, struct err *e)
{
    char *from = pg_quoted(parts), *to = pg_quoted(result);
    err_t rc = from && to ? run(w, from, to, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(from);
    free(to);
    return rc;
}
