// sql_functions - the functions that our SQL has beyond SQLite's own, for any connection.
//
//   strptime(text, format)  'YYYY-MM-DD HH:MM:SS' from a text in the format of strptime(3),
//                           in English; NULL when the whole text does not match or is no
//                           real time. What the format leaves out is 2000-01-01 00:00:00;
//                           %z gives UTC. %s and unknown conversions are errors.
//   x REGEXP pattern        Perl's regular expressions, matched anywhere in x (pattern.h);
//                           a bad or endless pattern is an error.
//   variance(x), stddev(x)  of a sample (n - 1), by Welford's method; NULL for n < 2
//   median(x)               = quantile(x, 0.5)
//   quantile(x, q)          exact, linear between neighbours (type 7 of Hyndman and Fan);
//                           q of 0 to 1, the same for all rows; NULL for no rows
//   count_distinct(x)       how many values differ (sql_distinct.h)
//
//   reject(text)            fails with that sentence (its first 400 bytes); in a
//                           transform that rejects the row
//
// The aggregates skip NULL; all but the last skip text that is no number. All but
// reject are deterministic.

#ifndef COMMON_SQL_FUNCTIONS_H
#define COMMON_SQL_FUNCTIONS_H

#include "common/err.h"

#include <sqlite3.h>

MUST_CHECK err_t sql_functions_add(sqlite3 *db, struct err *e);

#endif
