// Tuples into the table. Mostly the result's bytes go to the server as they are. Where the
// table refuses a row, it is found by halves: each COPY that fails takes back only its own
// rows, down to the one that is to blame.

#include "coordinator/warehouse_pg.h"

#include "common/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COPY_PIECE = 1 << 16 };

// ---- COPY

// Constraints, values that a column can't have, and what triggers raise.
static bool is_refusal(const char *state)
{
    static const char *const classes[] = { "23", "22", "44", "P0", "21" };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strncmp(state, classes[i], 2) == 0) return true;
    return false;
}

static void keep_why(struct warehouse *w, const PGresult *r)
{
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
    const char *column = PQresultErrorField(r, PG_DIAG_COLUMN_NAME);
    snprintf(w->why, sizeof w->why, "%.500s%s%.250s", said ? said : "", detail ? "; " : "",
             detail ? detail : "");
    w->why[utf8_bad((const uint8_t *)w->why, strlen(w->why))] = 0;
    snprintf(w->why_column, sizeof w->why_column, "%s", column ? column : "");
}

// ERR_INVALID: the table refuses a row; w->why says why. A right that is missing is no
// row's fault.
static err_t fail(struct warehouse *w, const PGresult *r, const char *sql, struct err *e)
{
    err_t rc = pg_fail(w->pg, r, sql, e);
    if (!r || rc != ERR_DB || !is_refusal(w->pg->state)) {
        rc = wpg_fail(w, rc, e, "adding rows");
        if (rc == ERR_INVALID && e) e->code = ERR_DB;
        return rc == ERR_INVALID ? ERR_DB : rc;
    }
    keep_why(w, r);
    return err_wrap(e, ERR_INVALID, "adding rows");
}

// A COPY that could not be sent to its end waits for the rest for ever.
static err_t cut_short(struct warehouse *w, struct err *e)
{
    err_set(e, ERR_BUSY, "%s: the rows could not be sent: %.200s", w->shown,
            PQerrorMessage(w->pg->c));
    wpg_give_up(w);
    return ERR_BUSY;
}

// Everything that is left to be heard of a statement; the first failure counts.
static err_t hear(struct warehouse *w, const char *sql, uint64_t *taken, struct err *e)
{
    PGresult *r;
    err_t rc = ERR_OK;
    while ((r = PQgetResult(w->pg->c))) {
        ExecStatusType is = PQresultStatus(r);
        if (is == PGRES_COPY_IN) {
            PQclear(r);
            return cut_short(w, e);
        }
        if (is != PGRES_COMMAND_OK && rc == ERR_OK) rc = fail(w, r, sql, e);
        if (is == PGRES_COMMAND_OK) *taken = strtoull(PQcmdTuples(r), NULL, 10);
        PQclear(r);
        if (!w->pg) return rc; // it was lost
    }
    return rc;
}

static bool send(PGconn *c, const uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n; at += COPY_PIECE) {
        size_t piece = n - at < COPY_PIECE ? n - at : COPY_PIECE;
        if (PQputCopyData(c, (const char *)p + at, (int)piece) != 1) return false;
    }
    return true;
}

err_t wpg_copy(struct warehouse *w, const char *sql, const struct wpg_rows *rows,
               uint64_t *taken, struct err *e)
{
    *taken = 0;
    if (!w->pg) return err_set(e, ERR_BUSY, "%s: the connection is lost", w->shown);
    PGconn *c = w->pg->c;
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COPY_IN) {
        err_t rc = fail(w, r, sql, e);
        PQclear(r);
        return rc;
    }
    PQclear(r);
    bool sent =
        send(c, PG_COPY_HEADER, PG_COPY_HEADER_BYTES) && send(c, rows->p, rows->bytes) &&
        send(c, PG_COPY_TRAILER, PG_COPY_TRAILER_BYTES) && PQputCopyEnd(c, NULL) == 1;
    err_t rc = hear(w, sql, taken, e);
    return rc == ERR_OK && !sent ? fail(w, NULL, sql, e) : rc;
}

// ---- one statement's rows

struct put {
    struct warehouse *w;
    struct ledger_row *row;
    struct rejects *refused;
    struct buf csv;
    bool care;
};

static err_t ignored(struct warehouse *w, struct err *e)
{
    snprintf(w->why, sizeof w->why, "a trigger of the table ignored the row");
    w->why_column[0] = 0;
    return err_set(e, ERR_INVALID, "adding rows: %s", w->why);
}

// From the passage into the table.
static err_t lay_over(struct warehouse *w, uint64_t rows, uint64_t *fresh, struct err *e)
{
    PGresult *r = PQexec(w->pg->c, w->upsert_sql);
    err_t rc = PQresultStatus(r) == PGRES_TUPLES_OK ? ERR_OK : fail(w, r, w->upsert_sql, e);
    if (rc == ERR_OK && wpg_u64(r, 0, 0) != wpg_u64(r, 0, 1)) rc = ignored(w, e);
    if (rc == ERR_OK) *fresh = wpg_u64(r, 0, 2);
    PQclear(r);
    assert(rc != ERR_OK || *fresh <= rows);
    return rc;
}

// All of them; ERR_INVALID: not all, and the transaction or its savepoint has to go.
static err_t put_all(struct put *x, const struct wpg_rows *rows, struct err *e)
{
    struct warehouse *w = x->w;
    uint64_t taken, fresh = rows->n;
    if (w->upsert_sql) TRY(wpg_do(w, e, "adding rows", "TRUNCATE pg_temp.tranche_rows"));
    TRY(wpg_copy(w, w->copy_sql, rows, &taken, e));
    if (taken != rows->n) return ignored(w, e);
    if (w->upsert_sql) TRY(lay_over(w, rows->n, &fresh, e));
    x->row->rows_loaded += rows->n;
    x->row->rows_replaced += rows->n - fresh;
    return ERR_OK;
}

static err_t refuse(struct put *x, const uint8_t *tuple, const char *why,
                    const char *column, struct err *e)
{
    char reason[REJECT_REASON_MAX];
    int n = snprintf(reason, sizeof reason,
                     "%.800s (in the batch from %" PRIu64 " to %" PRIu64 ")", why,
                     x->row->range.begin, x->row->range.end);
    TRY(pg_copy_csv(&x->w->schema, tuple, &x->csv, e));
    struct reject r = { .byte = REJECT_NO_BYTE,
                        .column = { (const uint8_t *)column, strlen(column) },
                        .reason = { (const uint8_t *)reason, (size_t)n },
                        .raw = { x->csv.p, x->csv.n } };
    x->row->rows_refused++;
    return rejects_add(x->refused, &r, e);
}

static struct wpg_rows first_half(const struct wpg_rows *rows)
{
    const uint8_t *p = rows->p;
    for (uint64_t i = 0; i < rows->n / 2; i++)
        p = pg_copy_skip(p);
    return (struct wpg_rows){ rows->p, (size_t)(p - rows->p), rows->n / 2 };
}

static err_t put_with_care(struct put *x, const struct wpg_rows *rows, struct err *e)
{
    struct warehouse *w = x->w;
    if (rows->n == 0) return ERR_OK;
    TRY(wpg_do(w, e, "adding rows", "SAVEPOINT result"));
    err_t rc = put_all(x, rows, e);
    if (rc == ERR_OK) return wpg_do(w, e, "adding rows", "RELEASE result");
    if (rc != ERR_INVALID || !w->pg) return rc;
    TRY(wpg_do(w, e, "adding rows", "ROLLBACK TO result; RELEASE result"));
    if (rows->n == 1) return refuse(x, rows->p, w->why, w->why_column, e);
    struct wpg_rows left = first_half(rows);
    struct wpg_rows right = { left.p + left.bytes, rows->bytes - left.bytes,
                              rows->n - left.n };
    TRY(put_with_care(x, &left, e));
    return put_with_care(x, &right, e);
}

// ---- which rows the mode takes

static const char *unfit(const struct warehouse *w)
{
    enum type t = w->schema.f[w->watermark.column].type;
    return t == TYPE_INTEGER || t == TYPE_REAL || t == TYPE_BOOLEAN
               ? "the watermark is no number, and can't be compared with those loaded"
               : "the watermark is no text, and can't be compared with those loaded";
}

// Kept, passed over or refused.
static err_t sift(struct put *x, const uint8_t *tuple, bool *keep, struct err *e)
{
    struct warehouse *w = x->w;
    struct schema *s = &w->schema;
    char room[40];
    *keep = true;
    for (size_t i = 0; i < w->key.n; i++) {
        if (pg_copy_cell(s, tuple, w->key.v[i], room).kind != CELL_NULL) continue;
        *keep = false;
        return refuse(x, tuple, "the key is NULL: it can't be compared with those loaded",
                      s->f[w->key.v[i]].name, e);
    }
    if (w->watermark.column < 0) return ERR_OK;
    struct cell c = pg_copy_cell(s, tuple, (uint32_t)w->watermark.column, room);
    enum wpg_above is = wpg_watermark_judge(&w->watermark, &c);
    *keep = is == WPG_ABOVE;
    if (is == WPG_UNFIT)
        return refuse(x, tuple, unfit(w), s->f[w->watermark.column].name, e);
    if (is == WPG_BELOW) {
        x->row->rows_skipped++;
        return ERR_OK;
    }
    return wpg_watermark_raise(&w->watermark.greatest, &c, e);
}

static err_t take_rows(struct put *x, struct slice tuples, struct wpg_rows *out,
                       struct err *e)
{
    struct warehouse *w = x->w;
    const uint8_t *p = tuples.p, *end = p + tuples.n;
    bool keep;
    w->kept.n = 0;
    *out = (struct wpg_rows){ 0 };
    while (p < end) {
        const uint8_t *next = pg_copy_skip(p);
        TRY(sift(x, p, &keep, e));
        if (keep) TRY(buf_add(&w->kept, p, (size_t)(next - p), e));
        out->n += keep;
        p = next;
    }
    out->p = w->kept.p;
    out->bytes = w->kept.n;
    return ERR_OK;
}

// Rows that the worker knew that no table could take.
static err_t pass_on_refused(struct put *x, struct slice list, struct err *e)
{
    size_t at = 0;
    bool bad;
    struct reject one;
    char reason[REJECT_REASON_MAX];
    while (rejects_next(list, &at, &one, &bad)) {
        int n = snprintf(
            reason, sizeof reason, "%.*s (in the batch from %" PRIu64 " to %" PRIu64 ")",
            (int)(one.reason.n < 800 ? one.reason.n : 800), (const char *)one.reason.p,
            x->row->range.begin, x->row->range.end);
        one.reason = (struct slice){ (const uint8_t *)reason, (size_t)n };
        x->row->rows_refused++;
        TRY(rejects_add(x->refused, &one, e));
    }
    return ERR_OK;
}

static err_t add(struct put *x, struct pg_copy parts, struct err *e)
{
    struct warehouse *w = x->w;
    struct wpg_rows rows = { parts.tuples.p, parts.tuples.n, 0 };
    TRY(pass_on_refused(x, parts.refused, e));
    rows.n = x->row->rows_emitted - x->row->rows_refused;
    if (w->key.n || w->watermark.column >= 0) TRY(take_rows(x, parts.tuples, &rows, e));
    if (rows.n == 0) return ERR_OK;
    return x->care ? put_with_care(x, &rows, e) : put_all(x, &rows, e);
}

err_t wpg_rows_add(struct warehouse *w, struct result *r, bool care, bool *refusal,
                   struct rejects *refused, struct err *e)
{
    struct put x = { .w = w, .row = &r->row, .refused = refused, .care = care };
    r->row.rows_loaded = r->row.rows_refused = r->row.rows_replaced = r->row.rows_skipped =
        0;
    w->watermark.greatest.cell.kind = CELL_NULL;
    err_t rc = add(&x, pg_copy_parts(r->image, r->image_bytes), e);
    buf_free(&x.csv);
    *refusal = rc == ERR_INVALID && !care;
    if (rc != ERR_OK) return rc;
    r->row.rows_emitted -= r->row.rows_skipped;
    assert(r->row.rows_loaded + r->row.rows_refused == r->row.rows_emitted);
    return ERR_OK;
}
