// chart_read_impl - what the files of chart_read share. Nobody else includes it.

#ifndef COORDINATOR_CHART_READ_IMPL_H
#define COORDINATOR_CHART_READ_IMPL_H

#include "coordinator/chart_read.h"
#include "coordinator/past_impl.h"

struct chart_reading {
    const struct chart *c;
    struct chart_data *d;
    struct err *e;
    sqlite3 *db;
    uint32_t *patience; // in INSTRUCTIONS
    bool broken;        // not all rows were read
    uint64_t no_x, no_y, again, beyond;
    char odd[60]; // the first value that is no number
};

struct chart_part { // what is read of a table: the chart's, or that of its forecast
    const char *table, *x;
    const char *const *y;
    size_t n_y;
    const char *lower, *upper, *by; // NULL: none
    uint32_t last;
    bool ahead;
    enum chart_kind kind;
    double x_lo, x_hi;
    char *rows; // a SELECT of x, b, lo, hi, y0, y1, ...
};

// ---- chart_source.c: the database ----

// A sentence for below the figure.
err_t chart_note(struct chart_reading *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
// r->db stays NULL when the file cannot be read, which has been noted.
MUST_CHECK err_t chart_open(struct chart_reading *r);
// Sets p->rows; NULL: the table or a column is missing, which has been noted.
MUST_CHECK err_t chart_select(struct chart_reading *r, struct chart_part *p);
// With the formats of sqlite3_mprintf. *q = NULL: it cannot be asked, which has been noted.
MUST_CHECK err_t chart_ask(struct chart_reading *r, const char *table, sqlite3_stmt **q,
                           const char *fmt, ...);
// A row. False at the end, and when that came early, which has been noted; q is gone then.
bool chart_next(struct chart_reading *r, const char *table, sqlite3_stmt *q, err_t *rc);

// ---- chart_rows.c: values ----

// A line for each y of each group.
MUST_CHECK err_t chart_add_lines(struct chart_reading *r, const struct chart_part *p);
MUST_CHECK err_t chart_add_rows(struct chart_reading *r, const struct chart_part *p);

#endif
