// The rows of a COPY in binary (postgresql.org/docs/15/sql-copy.html, "Binary Format").

#include "common/pg_copy.h"
#include "common/row_code.h"
#include "coordinator/source_names.h"
#include "coordinator/source_postgres.h"

#include <string.h>

enum {
    SAMPLE_ROWS = 2000, // they become the first chunks
    SAMPLE_BYTES = 1 << 20,
};

struct message { // of the server: whole rows, one as a rule
    const uint8_t *p;
    size_t n;
};

static bool take(struct message *m, size_t n, uint64_t *value)
{
    if (m->n < n) return false;
    for (*value = 0; n; n--, m->n--)
        *value = *value << 8 | *m->p++;
    return true;
}

static err_t damaged(const struct pg_rows *r, struct err *e)
{
    return err_set(e, ERR_PROTO, "%s: the server sent something that is no row", r->name);
}

static err_t take_header(const struct pg_rows *r, struct message *m, struct err *e)
{
    uint64_t flags, more;
    if (m->n < PG_COPY_HEADER_BYTES ||
        memcmp(m->p, PG_COPY_HEADER, PG_COPY_MAGIC_BYTES) != 0)
        return damaged(r, e);
    m->p += PG_COPY_MAGIC_BYTES;
    m->n -= PG_COPY_MAGIC_BYTES;
    if (!take(m, 4, &flags) || !take(m, 4, &more) || m->n < more) return damaged(r, e);
    m->p += more;
    m->n -= more;
    return ERR_OK;
}

static err_t put_row(struct pg_rows *r, struct message *m, struct buf *to, struct err *e)
{
    for (uint32_t i = 0; i < r->n_cols; i++) {
        struct cell c = { .kind = CELL_NULL };
        uint64_t n;
        if (!take(m, 4, &n)) return damaged(r, e);
        if (n != UINT32_MAX) {
            if (m->n < n) return damaged(r, e);
            err_t rc = pg_value_cell(r->kind[i], m->p, (uint32_t)n, &r->scratch, &c, e);
            if (rc != ERR_OK) return err_wrap(e, rc, "%s", r->name);
            m->p += n;
            m->n -= n;
        }
        TRY(row_code_put(to, &c, e));
    }
    return ERR_OK;
}

// The header and the trailer may stand in messages of their own, or beside a row.
static err_t read_message(struct pg_rows *r, struct message m, struct buf *to, bool *got,
                          struct err *e)
{
    uint64_t n;
    if (!r->begun) TRY(take_header(r, &m, e));
    r->begun = true;
    if (m.n == 0) return ERR_OK;
    if (!take(&m, 2, &n)) return damaged(r, e);
    if (n == UINT16_MAX) return m.n ? damaged(r, e) : ERR_OK;
    if (n != r->n_cols) return damaged(r, e);
    TRY(put_row(r, &m, to, e));
    *got = true;
    if (m.n == 0) return ERR_OK;
    bool trailer = take(&m, 2, &n) && n == UINT16_MAX && m.n == 0;
    return trailer ? ERR_OK : damaged(r, e);
}

static err_t end(struct pg_rows *r, struct err *e)
{
    PGresult *last = NULL;
    err_t rc = ERR_OK;
    do {
        PQclear(last);
        rc = pg_result(r->pg, &last, e);
        if (rc == ERR_OK && last && PQresultStatus(last) != PGRES_COMMAND_OK)
            rc = postgres_source_fail(r->pg, last, NULL, e);
    } while (rc == ERR_OK && last);
    PQclear(last);
    return rc;
}

err_t postgres_rows_begin(struct pg_rows *r, const char *copy, struct err *e)
{
    PGresult *first;
    r->begun = false;
    if (!PQsendQuery(r->pg->c, copy)) return postgres_source_fail(r->pg, NULL, NULL, e);
    TRY(pg_result(r->pg, &first, e));
    err_t rc = PQresultStatus(first) == PGRES_COPY_OUT
                   ? ERR_OK
                   : postgres_source_fail(r->pg, first, NULL, e);
    PQclear(first);
    return rc;
}

err_t postgres_rows_next(struct pg_rows *r, struct buf *to, bool *got, struct err *e)
{
    *got = false;
    while (!*got) {
        char *p;
        int n = PQgetCopyData(r->pg->c, &p, 1);
        if (n == -2) return postgres_source_fail(r->pg, NULL, NULL, e);
        if (n == -1) return end(r, e);
        if (n == 0) {
            TRY(pg_wait(r->pg, e));
            continue;
        }
        struct message m = { (const uint8_t *)p, (size_t)n };
        err_t rc = read_message(r, m, to, got, e);
        PQfreemem(p);
        TRY(rc);
    }
    return ERR_OK;
}

static err_t step(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct postgres_source *x = s->own;
    struct pg_rows *r = &x->all;
    if (x->by_ctid) return postgres_table_step(s, to, got, e);
    if (!r->pg) {
        r->pg = x->pg;
        r->name = s->in->name;
        r->kind = x->kind;
        r->n_cols = x->rows.n_cols;
        TRY(postgres_rows_begin(r, x->copy, e));
    }
    return postgres_rows_next(r, to, got, e);
}

// With the last row the transaction ends: nothing is kept from being vacuumed, or swapped,
// any longer.
err_t postgres_step(const struct source *s, struct buf *to, bool *got, struct err *e)
{
    struct postgres_source *x = s->own;
    *got = false;
    if (x->rows.at_end) return ERR_OK;
    TRY(step(s, to, got, e));
    if (*got) return ERR_OK;
    x->rows.at_end = true;
    postgres_table_close((struct source *)(uintptr_t)s);
    pg_close(&x->pg);
    return ERR_OK;
}

// ---- types ----

static err_t sample(struct source *s, uint64_t *rows, struct err *e)
{
    struct postgres_source *x = s->own;
    bool got = true;
    for (*rows = 0; *rows < SAMPLE_ROWS && x->rows.head.n < SAMPLE_BYTES; ++*rows) {
        TRY(postgres_step(s, &x->rows.head, &got, e));
        if (!got) break;
    }
    return ERR_OK;
}

err_t postgres_infer(struct source *s, const struct job *j, struct schema *out,
                     struct buf *trial, uint64_t *estimate_rows, struct err *e)
{
    struct postgres_source *x = s->own;
    struct schema schema = { 0 };
    err_t rc = names_mend(&x->rows.names, true, &schema, NULL, e);
    if (rc == ERR_OK) rc = source_give_types(j, &schema, e);
    for (uint32_t i = 0; rc == ERR_OK && i < schema.n; i++)
        if (!schema.f[i].given) schema.f[i].type = pg_kind_type(x->kind[i]);
    if (rc == ERR_OK) rc = sample(s, estimate_rows, e);
    if (!x->rows.at_end && x->planned_rows > *estimate_rows)
        *estimate_rows = x->planned_rows;
    if (rc == ERR_OK) rc = rows_trial(&x->rows, trial, e);
    if (rc == ERR_OK)
        *out = schema;
    else
        schema_free(&schema);
    return rc;
}
