// chart_read - what a chart draws, read from its warehouse: lines over numbers or times, or
// bars for texts. In bounds whatever the table holds: PLOT_POINTS a line, CHART_LINES
// lines, CHART_BARS texts, and so much work of the database that it takes some seconds.

#ifndef COORDINATOR_CHART_READ_H
#define COORDINATOR_CHART_READ_H

#include "common/chart.h"
#include "common/plot_line.h"

enum { CHART_BARS = 40, CHART_NOTES = 12, CHART_TEXT_MAX = 200 /* of a group or an x */ };

enum chart_kind { CHART_EMPTY, CHART_OF_NUMBERS, CHART_OF_TIMES, CHART_OF_TEXTS };

struct chart_series {
    char *name;             // of the group, of the column, or of both; of each once
    struct plot_line line;  // OF_NUMBERS, OF_TIMES
    struct plot_line ahead; // of the forecast, likewise
    double bar[CHART_BARS]; // OF_TEXTS: one a text; not finite: none
};

struct chart_data { // owns all of it
    enum chart_kind kind;
    double x_lo, x_hi; // of lines
    bool band;         // some point has one
    struct chart_series *series;
    uint32_t n;
    struct strings texts; // x of the bars
    struct strings notes; // sentences: why there is nothing, what is left out
};

// How many times 100,000 instructions of SQLite's machine a chart may take. A row takes
// some ten, three times at most; 100,000 take about a millisecond.
enum { CHART_PATIENCE = 4000 };

// ERR_NOMEM only: what is wrong with the table, the file or the values becomes a note.
// `out` is freed by the caller in any case. *patience is less by what it took.
MUST_CHECK err_t chart_read(const struct chart *c, uint32_t *patience,
                            struct chart_data *out, struct err *e);
void chart_data_free(struct chart_data *d);

#endif
