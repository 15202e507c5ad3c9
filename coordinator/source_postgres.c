// The rows of a query on a PostgreSQL database, in its order: one COPY in binary, in one
// read-only transaction that sees the state of its beginning. A table may be copied by
// several connections (source_postgres_table.c).

#include "coordinator/source_postgres.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

err_t postgres_source_fail(struct pg *pg, const PGresult *r, const char *sql, struct err *e)
{
    err_t code = pg_fail(pg, r, sql, e);
    bool blamed = pg_blames_statement(pg) || pg_blames_writing(pg);
    if (blamed) return err_wrap(e, ERR_INVALID, "source.query");
    return code;
}

// ---- parameters ----

// Below every value, as long as nothing is loaded; NULL: the type has no such value.
static const char *least_of(const char *type)
{
    static const char *const least[][2] = {
        { "smallint", "-32768" },
        { "integer", "-2147483648" },
        { "bigint", "-9223372036854775808" },
        { "real", "-Infinity" },
        { "double precision", "-Infinity" },
        { "numeric", "-Infinity" },
        { "date", "-infinity" },
        { "timestamp without time zone", "-infinity" },
        { "timestamp with time zone", "-infinity" },
        { "text", "" },
        { "character varying", "" },
        { "character", "" },
    };
    for (size_t i = 0; i < sizeof least / sizeof *least; i++)
        if (strcmp(least[i][0], type) == 0) return least[i][1];
    return NULL;
}

static err_t watermark_text(const struct cell *w, const char *type, struct buf *to,
                            struct err *e)
{
    const char *least = least_of(type);
    switch (w ? (enum cell_kind)w->kind : CELL_NULL) {
    case CELL_INTEGER: TRY(buf_printf(to, e, "%" PRId64, w->i)); break;
    case CELL_REAL: TRY(buf_printf(to, e, "%.17g", w->r)); break;
    case CELL_TEXT: TRY(buf_add(to, w->p, w->len, e)); break;
    case CELL_BLOB:
        return err_set(e, ERR_INVALID, "source.query: a blob cannot be a watermark");
    case CELL_NULL:
        if (!least)
            return err_set(e, ERR_INVALID,
                           "source.query: nothing is below every %s: cast :watermark to "
                           "an integer, a date or a text",
                           type);
        TRY(buf_printf(to, e, "%s", least));
    }
    return buf_add(to, "", 1, e);
}

// 'value'::type, for where no parameter can stand; malloced.
static err_t make_literal(const struct source *s, uint32_t oid, char **out, struct err *e)
{
    struct postgres_source *x = s->own;
    char number[16];
    const char *args[] = { number };
    PGresult *r;
    struct buf value = { 0 };
    snprintf(number, sizeof number, "%u", oid);
    TRY(pg_query(x->pg, &r, "SELECT format_type($1::oid, NULL)", 1, args, e));
    const char *type = PQgetvalue(r, 0, 0);
    err_t rc = watermark_text(s->watermark, type, &value, e);
    char *quoted =
        rc == ERR_OK ? PQescapeLiteral(x->pg->c, (char *)value.p, value.n - 1) : NULL;
    if (rc == ERR_OK && (!quoted || asprintf(out, "%s::%s", quoted, type) < 0))
        rc = err_set(e, ERR_NOMEM, "out of memory");
    PQfreemem(quoted);
    buf_free(&value);
    PQclear(r);
    return rc;
}

static err_t check_parameters(const struct job *j, const struct pg_query_text *q, int n,
                              struct err *e)
{
    if (n > (int)q->watermark)
        return err_set(e, ERR_INVALID,
                       "source.query: $%d is nothing that is bound here: there is "
                       ":watermark, with load.mode incremental",
                       n);
    if (q->watermark && j->mode != MODE_INCREMENTAL)
        return err_set(e, ERR_INVALID,
                       "source.query: :watermark is what an incremental load has seen; "
                       "give load.mode incremental, and load.watermark");
    return ERR_OK;
}

// ---- what it gives ----

static err_t describe(struct source *s, const PGresult *r, struct err *e)
{
    struct postgres_source *x = s->own;
    int n = PQnfields(r);
    if (n == 0) return err_set(e, ERR_INVALID, "source.query: it gives no columns");
    if (n > SCHEMA_MAX_COLUMNS)
        return err_set(e, ERR_TOOBIG, "source.query: it gives %d columns; %d are the most",
                       n, SCHEMA_MAX_COLUMNS);
    x->rows.n_cols = (uint32_t)n;
    x->kind = calloc((size_t)n, sizeof *x->kind);
    if (!x->kind) return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) {
        const char *name = PQfname(r, i);
        x->kind[i] = pg_kind_of(PQftype(r, i), PQfmod(r, i));
        TRY(strings_add(&x->rows.names, name, strlen(name), e));
    }
    return ERR_OK;
}

static err_t ask(struct source *s, int sent, const char *sql, PGresult **out, struct err *e)
{
    struct postgres_source *x = s->own;
    PGresult *r, *end;
    *out = NULL;
    if (!sent) return postgres_source_fail(x->pg, NULL, NULL, e);
    TRY(pg_result(x->pg, &r, e));
    ExecStatusType status = PQresultStatus(r);
    err_t rc = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK
                   ? ERR_OK
                   : postgres_source_fail(x->pg, r, sql, e);
    while (rc == ERR_OK && (rc = pg_result(x->pg, &end, e)) == ERR_OK && end)
        PQclear(end);
    if (rc == ERR_OK)
        *out = r;
    else
        PQclear(r);
    return rc;
}

// How many rows the server expects: "Seq Scan on t  (cost=0.00..15406.00 rows=1000000 ...".
static err_t explain(struct source *s, const char *sql, struct err *e)
{
    struct postgres_source *x = s->own;
    PGresult *r;
    char *explain_sql;
    if (asprintf(&explain_sql, "EXPLAIN %s", sql) < 0)
        return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = ask(s, PQsendQuery(x->pg->c, explain_sql), NULL, &r, e);
    free(explain_sql);
    TRY(rc);
    const char *rows = PQntuples(r) ? strstr(PQgetvalue(r, 0, 0), " rows=") : NULL;
    if (rows) x->planned_rows = strtoull(rows + strlen(" rows="), NULL, 10);
    PQclear(r);
    return ERR_OK;
}

static err_t make_copy(struct source *s, const char *sql, const char *literal,
                       struct err *e)
{
    struct postgres_source *x = s->own;
    char *bound;
    TRY(postgres_query_bind(sql, literal, &bound, e));
    err_t rc = explain(s, bound, e);
    if (rc == ERR_OK) rc = postgres_query_copy(bound, x->kind, x->rows.n_cols, &x->copy, e);
    free(bound);
    return rc;
}

static err_t prepare(struct source *s, const struct job *j, const struct pg_query_text *q,
                     struct err *e)
{
    struct postgres_source *x = s->own;
    PGconn *c = x->pg->c;
    PGresult *r;
    char *literal = NULL;
    TRY(ask(s, PQsendPrepare(c, "", q->sql, 0, NULL), q->sql, &r, e));
    PQclear(r);
    TRY(ask(s, PQsendDescribePrepared(c, ""), q->sql, &r, e));
    uint32_t type = PQnparams(r) ? PQparamtype(r, 0) : 0;
    err_t rc = check_parameters(j, q, PQnparams(r), e);
    if (rc == ERR_OK) rc = describe(s, r, e);
    PQclear(r);
    if (rc == ERR_OK && type) rc = make_literal(s, type, &literal, e);
    if (rc == ERR_OK) rc = make_copy(s, q->sql, literal, e);
    free(literal);
    return rc;
}

// A table's name as it is, or as SQL would take it: schema.name, "Odd name".
static err_t find_table(struct source *s, const char *table, PGresult **r, struct err *e)
{
    static const char *const ways[] = { "SELECT to_regclass(quote_ident($1))",
                                        "SELECT to_regclass($1)" };
    struct postgres_source *x = s->own;
    const char *args[] = { table };
    char shown[TEXT_QUOTED];
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        err_t rc = pg_query(x->pg, r, ways[i], 1, args, e);
        if (rc == ERR_OK && !PQgetisnull(*r, 0, 0)) return ERR_OK;
        PQclear(*r);
        if (rc != ERR_OK && !pg_blames_statement(x->pg)) return rc;
    }
    return err_set(e, ERR_INVALID, "source.postgres_table: %s has no table %s", s->in->name,
                   text_quoted(table, shown));
}

static err_t table_query(struct source *s, const char *table, char **out, struct err *e)
{
    struct postgres_source *x = s->own;
    PGresult *r;
    TRY(find_table(s, table, &r, e));
    x->table = strdup(PQgetvalue(r, 0, 0));
    PQclear(r);
    if (x->table && asprintf(out, "SELECT * FROM %s", x->table) >= 0) return ERR_OK;
    *out = NULL;
    return err_set(e, ERR_NOMEM, "out of memory");
}

static err_t open_query(struct source *s, const struct job *j, struct err *e)
{
    struct pg_query_text q = { 0 };
    err_t rc = j->query ? postgres_query_read(j->query, &q, e)
                        : table_query(s, j->postgres_table, &q.sql, e);
    if (rc == ERR_OK) rc = prepare(s, j, &q, e);
    free(q.sql);
    return rc;
}

static err_t postgres_open(struct source *s, const struct job *j, struct err *e)
{
    struct postgres_source *x = s->own = calloc(1, sizeof *x);
    if (!x) return err_set(e, ERR_NOMEM, "out of memory");
    x->rows.step = postgres_step;
    TRY(rows_start(s, j->postgres_public, e));
    TRY(pg_open(&x->pg, j->postgres, s->stop_fd, e));
    TRY(pg_do(x->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e));
    TRY(open_query(s, j, e));
    if (x->table) TRY(postgres_table_open(s, j->postgres, e));
    return rows_open_groups(s, j, e);
}

static void postgres_close(struct source *s)
{
    struct postgres_source *x = s->own;
    if (!x) return;
    postgres_table_close(s);
    pg_close(&x->pg);
    free(x->table);
    free(x->one_only);
    free(x->copy);
    free(x->kind);
    buf_free(&x->all.scratch);
    rows_close(&x->rows);
    free(x);
}

static err_t postgres_names(struct source *s, struct schema *names_as_text,
                            struct strings *notes, struct err *e)
{
    const char *why = ((struct postgres_source *)s->own)->one_only;
    if (why && notes) TRY(strings_add(notes, why, strlen(why), e));
    return rows_names(s, names_as_text, notes, e);
}

const struct source_ops source_postgres = {
    .reader = "rows",
    .open = postgres_open,
    .names = postgres_names,
    .infer = postgres_infer,
    .skip = rows_skip,
    .next = rows_next,
    .reread = rows_reread,
    .halve = rows_halve,
    .show = rows_show,
    .close = postgres_close,
};
