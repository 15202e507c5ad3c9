// The values of `params:`: one statement of the user's, read only, one value.

#include "coordinator/warehouse_pg.h"

#include <stdlib.h>

// Type numbers are part of the protocol and never change (src/include/catalog/pg_type.dat).
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_NUMERIC = 1700,
};

static err_t copy_bytes(const void *p, size_t n, uint32_t kind, struct arena *mem,
                        struct cell *out, struct err *e)
{
    char *copy = arena_strdup(mem, p, n);
    if (!copy) return err_set(e, ERR_NOMEM, "out of memory");
    *out = (struct cell){ .kind = kind, .len = (uint32_t)n, .p = (const uint8_t *)copy };
    return ERR_OK;
}

static err_t copy_blob(const char *text, struct arena *mem, struct cell *out, struct err *e)
{
    size_t n;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &n);
    if (!bytes) return err_set(e, ERR_NOMEM, "out of memory");
    err_t rc = copy_bytes(bytes, n, CELL_BLOB, mem, out, e);
    PQfreemem(bytes);
    return rc;
}

static err_t copy_value(const PGresult *r, struct arena *mem, struct cell *out,
                        struct err *e)
{
    const char *text = wpg_cell(r, 0, 0);
    *out = (struct cell){ .kind = CELL_NULL };
    if (!text) return ERR_OK;
    switch (PQftype(r, 0)) {
    case OID_BOOL: *out = (struct cell){ .kind = CELL_INTEGER, .i = *text == 't' }; break;
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
    case OID_OID:
        *out = (struct cell){ .kind = CELL_INTEGER, .i = strtoll(text, NULL, 10) };
        break;
    case OID_NUMERIC: // sum() of whole numbers is one
        if (strspn(text, "-0123456789") == strlen(text) && strlen(text) < 19) {
            *out = (struct cell){ .kind = CELL_INTEGER, .i = strtoll(text, NULL, 10) };
            break;
        }
        // fall through
    case OID_FLOAT4:
    case OID_FLOAT8:
        *out = (struct cell){ .kind = CELL_REAL, .r = strtod(text, NULL) };
        break;
    case OID_BYTEA: return copy_blob(text, mem, out, e);
    default: return copy_bytes(text, strlen(text), CELL_TEXT, mem, out, e);
    }
    return ERR_OK;
}

static err_t read_value(struct warehouse *w, const char *sql, struct arena *mem,
                        struct cell *value, struct err *e)
{
    PGresult *r;
    TRY(wpg_do(w, e, "reading a parameter", "BEGIN READ ONLY"));
    err_t rc = pg_query(w->pg, &r, sql, 0, NULL, e);
    bool copies = rc == ERR_INVALID;
    if (copies ||
        (rc == ERR_DB && (pg_blames_statement(w->pg) || pg_blames_writing(w->pg))))
        return err_wrap(e, ERR_INVALID, "it can't be done");
    if (rc != ERR_OK) return wpg_fail(w, rc, e, "reading a parameter");
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        rc = err_set(e, ERR_INVALID, "it is no query: a parameter is one value");
    else if (PQnfields(r) != 1)
        rc = err_set(e, ERR_INVALID, "it gives %d columns: a parameter is one value",
                     PQnfields(r));
    else if (PQntuples(r) == 0)
        rc = err_set(e, ERR_INVALID,
                     "it gives no row: a parameter is one value (an aggregate such as "
                     "max(x) always gives a row)");
    else if (PQntuples(r) > 1)
        rc =
            err_set(e, ERR_INVALID, "it gives more than one row: a parameter is one value");
    else
        rc = copy_value(r, mem, value, e);
    PQclear(r);
    return rc;
}

err_t wpg_query_value(struct warehouse *w, const char *sql, struct arena *mem,
                      struct cell *value, struct err *e)
{
    TRY(wpg_ready(w, e));
    err_t rc = read_value(w, sql, mem, value, e);
    if (w->pg) wpg_txn_rollback(w);
    return rc;
}
