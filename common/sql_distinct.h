// sql_distinct - count_distinct(x), the aggregate function, for SQL: how many values of x
// differ, as in `aggregate` (agg.h). NULL is left out; 1 and 1.0 are one value, texts and
// blobs are compared byte by byte, and a text never equals a number or a blob. Memory grows
// with the values that differ, not with rows; in a worker it ends at SQLite's limit.

#ifndef COMMON_SQL_DISTINCT_H
#define COMMON_SQL_DISTINCT_H

#include <sqlite3.h>

void sql_distinct_step(sqlite3_context *c, int n, sqlite3_value **v);
void sql_distinct_final(sqlite3_context *c);

#endif
