// spec_sql - what a spec gives to SQL: params, lookup tables, declared types; and what is
// said to somebody who names one that is not there.

#ifndef PROTO_SPEC_SQL_H
#define PROTO_SPEC_SQL_H

#include "proto/spec.h"

#include <sqlite3.h>

// The type of a column that spec_sql_create declared; TYPE_ANY for NULL and strangers.
enum type spec_sql_type(const char *decl);
// CREATE TABLE into.name("a" INTEGER, "b" DATE TEXT, ...): affinities as type_sqlite_decl,
// but every type its own words. sqlite3_free it; NULL: out of memory.
char *spec_sql_create(const char *into, const char *name, const struct schema *s);

// The statement's columns, their names made unique by suffixes; types where a column is one
// that spec_sql_create declared.
MUST_CHECK err_t spec_sql_columns(sqlite3_stmt *stmt, struct schema *out, struct err *e);

// Loads the lookup tables into the schema `into` ("main", "temp") and collects their names
// in `names`, each with its NUL. No transaction is open.
MUST_CHECK err_t spec_sql_tables_load(sqlite3 *db, const struct spec *spec,
                                      const char *into, struct buf *names, struct err *e);

// The rows of one, typed; batch_free it in any case. ERR_TRANSFORM: one cannot be read.
MUST_CHECK err_t spec_sql_table_read(const struct spec *spec, const struct spec_table *t,
                                     struct batch *out, struct err *e);

// A copy of the value; SQLite's code.
int spec_sql_bind_cell(sqlite3_stmt *stmt, int i, const struct cell *c);
// Binds the spec's params to :name, @name and $name.
MUST_CHECK err_t spec_sql_bind(sqlite3_stmt *stmt, const struct spec *spec, struct err *e);

// What was not found, after SQLite said so: completes *e, which has SQLite's message, with
// what there is. `of` is what `table` is called in a sentence: "the batch".
struct spec_sql_known {
    const char *table, *of;
    const struct schema *columns; // of that table
    const struct buf *names;      // of the lookup tables
};
err_t spec_sql_say_more(sqlite3 *db, const struct spec_sql_known *k, const char *sql,
                        err_t rc, struct err *e);
void spec_sql_say_params(const struct spec *spec, const char *wanted, struct err *e);

bool spec_sql_has_name(const struct buf *names, const char *name); // ASCII case ignored

#endif
