// tranche_runs and tranche_ledger: one row a load, one row a range.

#include "coordinator/load_inputs.h"
#include "coordinator/warehouse_pg.h"

#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEDGER_COLUMNS = 24, REJECT_COLUMNS = 7, LOCK = 0x7472616e };

static const char RUNS[] =
    "load_id bigint PRIMARY KEY, table_name text NOT NULL, sources text NOT NULL, spec "
    "text NOT NULL, mode text NOT NULL, state text NOT NULL, epoch bigint NOT NULL, inputs "
    "text NOT NULL, params bytea NOT NULL, staging text, started text NOT NULL, finished "
    "text, host text NOT NULL, pid bigint NOT NULL, watermark_from text, watermark text";

static const char LEDGER[] =
    "load bigint NOT NULL, input bigint NOT NULL, byte_begin bigint NOT NULL, byte_end "
    "bigint NOT NULL, state text NOT NULL, records bigint NOT NULL, lines bigint NOT NULL, "
    "unterminated boolean NOT NULL, rows_read bigint NOT NULL, rows_parsed bigint NOT "
    "NULL, rows_rejected bigint NOT NULL, rows_emitted bigint NOT NULL, rows_loaded bigint "
    "NOT NULL, rows_refused bigint NOT NULL, misfits bigint NOT NULL, digest text NOT "
    "NULL, result_digest text NOT NULL, epoch bigint NOT NULL, attempt bigint NOT NULL, "
    "worker text NOT NULL, xact bigint, rows_replaced bigint NOT NULL, rows_skipped bigint "
    "NOT NULL, watermark text, PRIMARY KEY(load, input, byte_begin, byte_end)";

// Of both tables: rows are written by their order, and read by their names.
#define COLUMNS                                                                       \
    "load_id,table_name,sources,spec,mode,state,epoch,inputs,params,staging,started," \
    "finished,host,pid,watermark_from,watermark,"                                     \
    "load,input,byte_begin,byte_end,state,records,lines,unterminated,rows_read,"      \
    "rows_parsed,rows_rejected,rows_emitted,rows_loaded,rows_refused,misfits,digest," \
    "result_digest,epoch,attempt,worker,xact,rows_replaced,rows_skipped,watermark"

err_t wpg_ledger_create(struct warehouse *w, struct err *e)
{
    int64_t n;
    bool found;
    // Two that make the same table at a time would get in each other's way.
    TRY(wpg_do(w, e, "waiting for another load that begins",
               "SELECT pg_advisory_xact_lock(%d)", LOCK));
    TRY(wpg_table_need(w, "tranche_runs", RUNS, "creating the ledger", e));
    TRY(wpg_table_need(w, "tranche_ledger", LEDGER, "creating the ledger", e));
    TRY(wpg_int(
        w, e, &n, &found,
        "SELECT (string_agg(attname, ',' ORDER BY attrelid = to_regclass('tranche_ledger'),"
        " attnum) = '" COLUMNS "')::int FROM pg_attribute WHERE attnum > 0 AND NOT "
        "attisdropped AND attrelid IN (to_regclass('tranche_runs'), "
        "to_regclass('tranche_ledger'))",
        0, NULL));
    if (n != 1)
        return err_set(e, ERR_INVALID, LEDGER_STRANGE, w->shown,
                       "another database or schema");
    return ERR_OK;
}

err_t wpg_ledger_fence(struct warehouse *w, struct err *e)
{
    PGresult *r;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_query(w, &r, e, "checking the epoch",
                  "SELECT epoch, state, host, pid, pg_current_xact_id()::text FROM "
                  "tranche_runs WHERE load_id = $1 FOR SHARE",
                  1, values));
    err_t rc = ERR_OK;
    if (PQntuples(r) == 0)
        rc = err_set(e, ERR_FENCED, "load %" PRIu64 " is no longer in %s", w->load_id,
                     w->shown);
    else if (wpg_u64(r, 0, 0) != w->epoch)
        rc = err_set(e, ERR_FENCED,
                     "another run took load %" PRIu64 " over: process %s on host %.200s",
                     w->load_id, PQgetvalue(r, 0, 3), PQgetvalue(r, 0, 2));
    else if (strcmp(PQgetvalue(r, 0, 1), "loading") != 0 &&
             !(w->untouched && strcmp(PQgetvalue(r, 0, 1), "complete") == 0))
        rc = err_set(e, ERR_FENCED, "load %" PRIu64 " is %.40s already", w->load_id,
                     PQgetvalue(r, 0, 1));
    else
        snprintf(w->xact, sizeof w->xact, "%s", PQgetvalue(r, 0, 4));
    PQclear(r);
    return rc;
}

// ---- ranges

#define OVERLAP                                                                            \
    "byte_begin, byte_end, state, rows_loaded, rows_refused, rows_emitted, rows_replaced," \
    " rows_skipped FROM tranche_ledger WHERE load = $1 AND input = $2 AND "

err_t wpg_ledger_overlap(struct warehouse *w, struct ledger_row *row, bool *dup, bool *same,
                         struct err *e)
{
    struct wpg_number n[4];
    struct range r = row->range;
    PGresult *x;
    const char *const values[] = { wpg_number(&n[0], (int64_t)w->load_id),
                                   wpg_number(&n[1], w->ids[r.input]),
                                   wpg_number(&n[2], (int64_t)r.begin),
                                   wpg_number(&n[3], (int64_t)r.end) };
    *dup = *same = false;
    // The nearest row on the left, and all that begin inside. Whole rows on the left do not
    // overlap each other, and a split on the left forbids nothing.
    TRY(wpg_query(w, &x, e, "reading the ledger",
                  "(SELECT " OVERLAP "byte_begin < $3 AND state <> 'split' ORDER BY "
                  "byte_begin DESC LIMIT 1) UNION ALL SELECT " OVERLAP
                  "byte_begin >= $3 AND byte_begin < $4",
                  4, values));
    for (int i = 0; i < PQntuples(x); i++) {
        struct range have = { r.input, wpg_u64(x, i, 0), wpg_u64(x, i, 1) };
        enum ledger_state state = LEDGER_DONE; // a state we don't know forbids most
        ledger_state_parse(PQgetvalue(x, i, 2), &state);
        *dup |= ledger_forbids(have, state, r);
        if (have.begin != r.begin || have.end != r.end) continue;
        *same = true;
        row->state = state;
        row->rows_loaded = wpg_u64(x, i, 3);
        row->rows_refused = wpg_u64(x, i, 4);
        row->rows_emitted = wpg_u64(x, i, 5);
        row->rows_replaced = wpg_u64(x, i, 6);
        row->rows_skipped = wpg_u64(x, i, 7);
    }
    PQclear(x);
    return ERR_OK;
}

err_t wpg_ledger_add(struct warehouse *w, const struct ledger_row *row, bool own,
                     struct err *e)
{
    struct wpg_number n[17];
    char digest[HASH_HEX], result[HASH_HEX], worker[sizeof row->worker + 1], *mark;
    PGresult *r;
    hash_hex(row->digest, digest);
    hash_hex(row->result_digest, result);
    snprintf(worker, sizeof worker, "%.*s", (int)sizeof row->worker, row->worker);
    worker[utf8_bad((const uint8_t *)worker, strlen(worker))] = 0;
    TRY(wpg_value_text(&w->watermark.greatest.cell, &mark, e));
    const char *const values[] = {
        wpg_number(&n[0], (int64_t)w->load_id),
        wpg_number(&n[1], w->ids[row->range.input]),
        wpg_number(&n[2], (int64_t)row->range.begin),
        wpg_number(&n[3], (int64_t)row->range.end),
        ledger_state_name(row->state),
        wpg_number(&n[4], (int64_t)row->records),
        wpg_number(&n[5], (int64_t)row->lines),
        row->unterminated ? "t" : "f",
        wpg_number(&n[6], (int64_t)row->rows_read),
        wpg_number(&n[7], (int64_t)row->rows_parsed),
        wpg_number(&n[8], (int64_t)row->rows_rejected),
        wpg_number(&n[9], (int64_t)row->rows_emitted),
        wpg_number(&n[10], (int64_t)row->rows_loaded),
        wpg_number(&n[11], (int64_t)row->rows_refused),
        wpg_number(&n[12], (int64_t)row->misfits),
        digest,
        result,
        wpg_number(&n[13], (int64_t)w->epoch),
        wpg_number(&n[14], row->attempt),
        worker,
        own ? w->xact : NULL,
        wpg_number(&n[15], (int64_t)row->rows_replaced),
        wpg_number(&n[16], (int64_t)row->rows_skipped),
        mark,
    };
    err_t rc = wpg_query(w, &r, e, "writing the ledger",
                         "INSERT INTO tranche_ledger VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,"
                         "$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24)",
                         LEDGER_COLUMNS, values);
    PQclear(r);
    free(mark);
    return rc;
}

// ---- all of them

static err_t hex_digest(const char *hex, struct hash128 *out, struct err *e)
{
    if (sscanf(hex, "%16" SCNx64 "%16" SCNx64, &out->hi, &out->lo) != 2)
        return err_set(e, ERR_DB, "tranche_ledger has a digest that is none: '%.40s'", hex);
    return ERR_OK;
}

static err_t read_row(const PGresult *r, int i, uint32_t input, struct ledger_row *row,
                      struct err *e)
{
    *row = (struct ledger_row){ .range.input = input };
    uint64_t *const numbers[] = {
        &row->range.begin,  &row->range.end,    &row->records,       &row->lines,
        &row->rows_read,    &row->rows_parsed,  &row->rows_rejected, &row->rows_emitted,
        &row->rows_loaded,  &row->rows_refused, &row->misfits,       &row->rows_replaced,
        &row->rows_skipped,
    };
    const int n = sizeof numbers / sizeof numbers[0];
    for (int k = 0; k < n; k++)
        *numbers[k] = wpg_u64(r, i, 1 + k);
    const char *state = PQgetvalue(r, i, n + 1);
    if (!ledger_state_parse(state, &row->state))
        return err_set(e, ERR_DB, "tranche_ledger has a state that is none: '%.40s'",
                       state);
    row->unterminated = *PQgetvalue(r, i, n + 2) == 't';
    TRY(hex_digest(PQgetvalue(r, i, n + 3), &row->digest, e));
    TRY(hex_digest(PQgetvalue(r, i, n + 4), &row->result_digest, e));
    row->attempt = (uint32_t)wpg_u64(r, i, n + 5);
    snprintf(row->worker, sizeof row->worker, "%s", PQgetvalue(r, i, n + 6));
    return ledger_check_stored(row, e);
}

static err_t walk(struct warehouse *w, const PGresult *r, const int64_t *here,
                  wpg_ledger_fn *fn, void *arg, struct err *e)
{
    struct ledger_row row;
    for (int i = 0; i < PQntuples(r); i++) {
        uint64_t input = wpg_u64(r, i, 0);
        if (input >= w->n_stored)
            return err_set(e, ERR_DB,
                           "tranche_ledger names an input that is not in tranche_runs: "
                           "%" PRIu64,
                           input);
        if (here[input] < 0) continue;
        TRY(read_row(r, i, (uint32_t)here[input], &row, e));
        TRY(fn(arg, &row, e));
    }
    return ERR_OK;
}

err_t wpg_ledger_each(struct warehouse *w, wpg_ledger_fn *fn, void *arg, struct err *e)
{
    PGresult *r;
    struct wpg_number id;
    const char *const values[] = { wpg_number(&id, (int64_t)w->load_id) };
    TRY(wpg_query(w, &r, e, "reading the ledger",
                  "SELECT input, byte_begin, byte_end, records, lines, rows_read, "
                  "rows_parsed, rows_rejected, rows_emitted, rows_loaded, rows_refused, "
                  "misfits, rows_replaced, rows_skipped, state, unterminated, digest, "
                  "result_digest, attempt, worker FROM tranche_ledger WHERE load = $1 "
                  "ORDER BY input, byte_begin, byte_end",
                  1, values));
    int64_t *here = load_inputs_numbers(w->ids, w->n_inputs, w->n_stored);
    err_t rc = here ? walk(w, r, here, fn, arg, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(here);
    PQclear(r);
    return rc;
}

// ---- rejects

err_t wpg_bytes_add(struct buf *b, const void *p, size_t n, struct err *e)
{
    uint8_t length[4];
    pg_put32(length, (uint32_t)n);
    TRY(buf_add(b, length, sizeof length, e));
    return n ? buf_add(b, p, n, e) : ERR_OK;
}

static err_t add_null(struct buf *b, struct err *e)
{
    return buf_add(b, "\xff\xff\xff\xff", 4, e);
}

static err_t add_number(struct buf *b, uint64_t v, struct err *e)
{
    uint8_t bytes[8];
    pg_put64(bytes, v);
    return wpg_bytes_add(b, bytes, sizeof bytes, e);
}

// Up to what no text of PostgreSQL can have. NULL when there is nothing.
static err_t add_words(struct buf *b, struct slice s, struct err *e)
{
    return s.n ? wpg_bytes_add(b, s.p, utf8_bad(s.p, s.n), e) : add_null(b, e);
}

err_t wpg_reject_add(struct warehouse *w, uint32_t input, const struct reject *r,
                     struct err *e)
{
    struct buf *b = &w->reject_rows;
    const char *file = input == WPG_NO_INPUT ? "" : w->inputs[input].name;
    TRY(buf_add(b, (const uint8_t[]){ 0, REJECT_COLUMNS }, 2, e));
    TRY(add_number(b, w->load_id, e));
    TRY(add_words(b, (struct slice){ (const uint8_t *)file, strlen(file) }, e));
    TRY(r->line ? add_number(b, r->line, e) : add_null(b, e));
    TRY(r->byte == REJECT_NO_BYTE ? add_null(b, e) : add_number(b, r->byte, e));
    TRY(add_words(b, r->column, e));
    TRY(add_words(b, r->reason, e));
    return wpg_bytes_add(b, r->raw.p, r->raw.n, e);
}

err_t wpg_rejects_write(struct warehouse *w, struct err *e)
{
    struct wpg_rows rows = { w->reject_rows.p, w->reject_rows.n, 0 };
    char *table, *sql = NULL;
    uint64_t taken;
    if (rows.bytes == 0) return ERR_OK;
    table = pg_quoted(w->rejects);
    if (table && asprintf(&sql,
                          "COPY %s(run, file, line, byte_offset, \"column\", reason, raw) "
                          "FROM STDIN (FORMAT binary)",
                          table) < 0)
        sql = NULL;
    err_t rc =
        sql ? wpg_copy(w, sql, &rows, &taken, e) : err_set(e, ERR_NOMEM, "out of memory");
    free(table);
    free(sql);
    w->reject_rows.n = 0;
    // Nobody else's rows are to blame.
    return rc == ERR_INVALID ? err_wrap(e, ERR_DB, "%s: adding rejects", w->shown) : rc;
}
