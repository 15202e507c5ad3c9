// xf_sql - what the parts of the sql transform share.
//
//   xf_sql          opens, checks and runs the statement
//   xf_sql_vtab     shows the batch to SQLite as the table `batch`
//   xf_sql_tables   loads the lookup tables
//   xf_sql_decl     declares columns to SQLite and reads its declarations
//   spec_sql_bind     binds values and params
//   xf_sql_say      tells what there is
//   xf_sql_out      collects the result's rows
//   xf_sql_plain    finds columns that are only handed on
//   xf_sql_gathers  tells whether rows of the batch are summed up

#ifndef WORKER_XF_SQL_H
#define WORKER_XF_SQL_H

#include "proto/spec_sql.h"
#include "worker/transform.h"

#include <sqlite3.h>

struct xf_sql_batch { // what `batch` shows
    const struct schema *schema;
    const struct batch *in; // NULL: statements are only prepared
    bool *want;             // set for each column that a plan reads; NULL: nobody asks
    uint32_t row;           // that the cursor moved to last
};
// `b` must outlive the connection.
MUST_CHECK err_t xf_sql_vtab_add(sqlite3 *db, struct xf_sql_batch *b, struct err *e);

// The SQL function tranche_emit(...): an aggregate that takes each row of the result.
struct xf_sql_out {
    const struct batch *in; // text that lies in it is borrowed, all other is copied
    struct batch *out;      // started; its columns become ANY
    uint64_t max_bytes;
    struct err *e;
    err_t rc; // what went wrong, said in *e
    uint32_t n_cols, rows, cap;
    uint32_t guess; // how many rows to make room for at first
    // Columns of `in` that the result has as they are: of each of the result's its number,
    // or XF_SQL_COMPUTED; only those others are emitted. NULL: all are.
    const uint32_t *source;
    const uint32_t *at; // `in`'s row, while one is emitted
    uint32_t *row;      // of each row of the result
    struct cell **cells;
    struct xf_sql_span *spans; // where the batch keeps its text, sorted
    uint32_t n_spans;
    uint8_t *text; // room for copies
    size_t text_left;
};
enum { XF_SQL_COMPUTED = UINT32_MAX };
extern const char XF_SQL_EMIT[];
MUST_CHECK err_t xf_sql_out_add(sqlite3 *db, struct xf_sql_out *o, struct err *e);
// Before and after the statement ran. The arrays live in out's arena.
MUST_CHECK err_t xf_sql_out_begin(struct xf_sql_out *o, uint32_t n_cols);
void xf_sql_out_row(struct xf_sql_out *o, sqlite3_value **v); // sets o->rc
void xf_sql_out_end(struct xf_sql_out *o);                    // sets o->rc

extern const char *const XF_SQL_BATCH; // "batch"

// Fills source[] (one a column of the result) as xf_sql_out has it, and says how many
// columns of `in` there are in it. They may be taken from the batch where the statement
// that emits the others scans it once.
uint32_t xf_sql_plain(sqlite3_stmt *stmt, const struct schema *in, uint32_t *source);
// Whether the statement, which was prepared once, goes through `batch` once and emits while
// the cursor stands at the row that is emitted. What cannot be told is false.
bool xf_sql_scans_once(sqlite3 *db, const char *sql);
// to[i] is the value of row row[i].
void xf_sql_plain_fill(struct cell *to, const struct vec *from, const uint32_t *row,
                       uint32_t n);

// Whether the statement, which was prepared once, sums up rows of `batch` (count, GROUP BY
// with an aggregate function). What cannot be told is false.
bool xf_sql_gathers(sqlite3 *db, const char *sql);

#endif
