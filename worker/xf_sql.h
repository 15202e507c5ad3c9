// xf_sql - what the parts of the sql transform share.
//
//   xf_sql          opens, checks and runs the statement
//   xf_sql_vtab     shows the batch to SQLite as the table `batch`
//   xf_sql_tables   loads the lookup tables
//   xf_sql_decl     declares columns to SQLite and reads its declarations
//   xf_sql_bind     binds values and params
//   xf_sql_say      tells what there is
//   xf_sql_out      collects the result's rows

#ifndef WORKER_XF_SQL_H
#define WORKER_XF_SQL_H

#include "worker/transform.h"

#include <sqlite3.h>

// The type of a column that xf_sql_create declared; TYPE_ANY for NULL and strangers.
enum type xf_sql_type(const char *decl);
// CREATE TABLE name("a" INTEGER, "b" DATE TEXT, ...): affinities as type_sqlite_decl, but
// every type its own words. sqlite3_free it; NULL: out of memory.
char *xf_sql_create(const char *name, const struct schema *s);

struct xf_sql_batch { // what `batch` shows
    const struct schema *schema;
    const struct batch *in; // NULL: statements are only prepared
    bool *want;             // set for each column that a plan reads; NULL: nobody asks
};
// `b` must outlive the connection.
MUST_CHECK err_t xf_sql_vtab_add(sqlite3 *db, struct xf_sql_batch *b, struct err *e);

// Loads the lookup tables and collects their names in `names`, each with its NUL.
MUST_CHECK err_t xf_sql_tables_load(sqlite3 *db, const struct spec *spec, struct buf *names,
                                    struct err *e);

// Says what there is, after SQLite said what there is not.
// `quoted`: the name stood in double quotes, as text must not.
void xf_sql_say_columns(const struct schema *in, const char *wanted, bool quoted,
                        struct err *e);
void xf_sql_say_tables(const struct buf *names, const char *wanted, struct err *e);
void xf_sql_say_params(const struct spec *spec, const char *wanted, struct err *e);
// A copy of the value; SQLite's code.
int xf_sql_bind_cell(sqlite3_stmt *stmt, int i, const struct cell *c);
// Binds the spec's params to :name, @name and $name.
MUST_CHECK err_t xf_sql_bind(sqlite3_stmt *stmt, const struct spec *spec, struct err *e);

// The SQL function tranche_emit(...): an aggregate that takes each row of the result.
struct xf_sql_out {
    const struct batch *in; // text that lies in it is borrowed, all other is copied
    struct batch *out;      // started; its columns become ANY
    uint64_t max_bytes;
    struct err *e;
    err_t rc; // what went wrong, said in *e
    uint32_t n_cols, rows, cap;
    uint32_t guess; // how many rows to make room for at first
    struct cell **cells;
    struct xf_sql_span *spans; // where the batch keeps its text, sorted
    uint32_t n_spans;
    uint8_t *text; // room for copies
    size_t text_left;
};
extern const char XF_SQL_EMIT[];
MUST_CHECK err_t xf_sql_out_add(sqlite3 *db, struct xf_sql_out *o, struct err *e);
// Before and after the statement ran. The arrays live in out's arena.
MUST_CHECK err_t xf_sql_out_begin(struct xf_sql_out *o, uint32_t n_cols);
void xf_sql_out_row(struct xf_sql_out *o, sqlite3_value **v); // sets o->rc
void xf_sql_out_end(struct xf_sql_out *o);

extern const char *const XF_SQL_BATCH; // "batch"

#endif
