// CPU seconds of writing 3,000,000 rows like those of a table of flights as CSV and as JSON
// lines, from columns to text.

#include "common/clock.h"
#include "common/csv_write.h"
#include "common/jsonl_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 30000, BATCHES = 100, ROOM = 64 << 20, TEXT = 10 };

static const struct {
    const char *name;
    enum type type;
} COLUMNS[] = { { "date", TYPE_DATE },        { "delay", TYPE_INTEGER },
                { "distance", TYPE_INTEGER }, { "origin", TYPE_TEXT },
                { "destination", TYPE_TEXT }, { "price", TYPE_REAL },
                { "share", TYPE_REAL } };
enum { N_COLUMNS = sizeof COLUMNS / sizeof *COLUMNS };

static void *room(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    if (!p) abort();
    return p;
}

static void fill(struct batch *b, struct vec *v, uint32_t column)
{
    v->absent = false;
    v->valid = room(b, batch_words(ROWS) * 8);
    memset(v->valid, 0xff, batch_words(ROWS) * 8);
    v->i64 = room(b, (ROWS + 1) * 8);
    v->bytes = room(b, (size_t)(ROWS + 2) * (TEXT + 6));
    for (uint32_t r = 0; r < ROWS; r++) {
        uint32_t x = r * 2654435761u + column;
        if (type_is_text(v->type)) {
            v->off[0] = 0;
            int n = v->type == TYPE_DATE ? sprintf((char *)v->bytes + v->off[r],
                                                   "2008-%02u-%02u", 1 + x % 12, 1 + x % 28)
                                         : sprintf((char *)v->bytes + v->off[r], "%c%c%c",
                                                   'A' + x % 26, 'A' + x % 7, 'A' + x % 5);
            v->off[r + 1] = v->off[r] + (uint32_t)n;
        } else if (v->type == TYPE_REAL) { // cents, and what arithmetic makes of a number
            v->f64[r] = column + 1 == N_COLUMNS ? x / 3.0 : x % 100000 / 100.0;
        } else {
            v->i64[r] = (int64_t)(x % 2000) - 60;
        }
    }
}

static void report(const char *what, ns_t took, size_t bytes)
{
    double s = (double)took / NS_S;
    printf("%-6s %6.2f s  %5.1f M rows/s  %6.0f MB/s\n", what, s, ROWS / 1e6 * BATCHES / s,
           (double)bytes / 1e6 / s);
}

int main(void)
{
    struct err e = { 0 };
    struct schema s = { 0 };
    struct batch b = { 0 };
    struct csv_writer *csv;
    struct jsonl_writer *jsonl;
    struct csv_dialect d = { .delimiter = ',', .quote = '"' };
    struct region to = { .p = malloc(ROOM), .cap = ROOM };
    size_t bytes = 0;
    for (uint32_t i = 0; i < N_COLUMNS; i++)
        if (schema_add(&s, COLUMNS[i].name, strlen(COLUMNS[i].name), COLUMNS[i].type, false,
                       &e) != ERR_OK)
            return 1;
    if (batch_start(&b, &s, &e) || csv_writer_new(&csv, &d, &s, &e) ||
        jsonl_writer_new(&jsonl, &s, &e) || !to.p)
        return 1;
    b.rows = ROWS;
    for (uint32_t i = 0; i < N_COLUMNS; i++)
        fill(&b, &b.col[i], i);
    ns_t start = clock_cpu_ns();
    for (int i = 0; i < BATCHES; i++, bytes += to.n) {
        uint32_t row = 0;
        to.n = 0;
        if (csv_write_rows(csv, &b, &row, &to, &e) != ERR_OK || row != ROWS) return 1;
    }
    report("csv", clock_cpu_ns() - start, bytes);
    start = clock_cpu_ns();
    bytes = 0;
    for (int i = 0; i < BATCHES; i++, bytes += to.n) {
        uint32_t row = 0;
        to.n = 0;
        jsonl_write_rows(jsonl, &b, &row, &to);
        if (row != ROWS) return 1;
    }
    report("jsonl", clock_cpu_ns() - start, bytes);
    csv_writer_free(&csv);
    jsonl_writer_free(&jsonl);
    batch_free(&b);
    schema_free(&s);
    free(to.p);
    return 0;
}
