// CPU seconds of the sql transform over 3,000,000 rows like those of a table of flights,
// and of encoding its result.
//
//   sql_bench [part of a line's name]

#include "common/clock.h"
#include "common/sink.h"
#include "worker/transform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 30000, DIFFERENT = 8, BATCHES = 100, ROOM = 64 << 20 };

static const struct line {
    const char *name, *sql;
} LINES[] = {
    { "filter", "SELECT origin, delay FROM batch WHERE delay > 60" },
    { "filter on text", "SELECT origin, delay FROM batch WHERE origin = 'A7A'" },
    { "filter on both",
      "SELECT origin, delay FROM batch WHERE delay > 60 AND origin < 'C'" },
    { "filter SQLite must judge", "SELECT origin, delay FROM batch WHERE delay + 0 > 60" },
    { "two columns", "SELECT origin, delay FROM batch" },
    { "all columns", "SELECT * FROM batch" },
    { "expression", "SELECT origin, delay * 2 FROM batch" },
    { "not null", "SELECT origin, coalesce(delay, 0) FROM batch" },
    { "group", "SELECT origin, count(*), avg(delay) FROM batch GROUP BY origin" },
    { "order", "SELECT origin, delay FROM batch ORDER BY delay DESC LIMIT 10" },
};

static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * n >> 32);
}

static int64_t delay(void) // one in sixteen over an hour
{
    return below(16) ? (int64_t)below(75) - 15 : 61 + below(300);
}

static void put_text(struct vec *v, uint32_t row)
{
    uint32_t at = v->off[row];
    if (v->type == TYPE_DATE)
        at += (uint32_t)sprintf((char *)v->bytes + at, "2008-%02u-%02u", 1 + below(12),
                                1 + below(28));
    else
        at += (uint32_t)sprintf((char *)v->bytes + at, "%c%u%c", 'A' + below(8), below(10),
                                'A' + below(4));
    v->off[row + 1] = at;
}

static void *room(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    if (!p) abort();
    return memset(p, 0, n);
}

static void fill(struct batch *b, const struct schema *s)
{
    if (batch_start(b, s, NULL) != ERR_OK) abort();
    b->rows = ROWS;
    for (uint32_t i = 0; i < s->n; i++) {
        struct vec *v = &b->col[i];
        v->absent = false;
        v->valid = room(b, batch_words(ROWS) * sizeof *v->valid);
        memset(v->valid, 0xff, batch_words(ROWS) * sizeof *v->valid);
        if (type_is_text(v->type)) {
            v->off = room(b, (ROWS + 1) * sizeof *v->off);
            v->bytes = room(b, ROWS * 10 + 16);
        } else {
            v->i64 = room(b, ROWS * sizeof *v->i64);
        }
        for (uint32_t r = 0; r < ROWS; r++) {
            if (below(50) == 0 && s->f[i].type == TYPE_INTEGER)
                v->valid[r / 64] &= ~(UINT64_C(1) << (r % 64));
            else if (type_is_text(v->type))
                put_text(v, r);
            else
                v->i64[r] = i == 1 ? delay() : below(2500);
        }
    }
}

struct cost {
    ns_t transform, encode;
    uint64_t rows;
};

static struct cost measure(const struct line *line, const struct schema *in,
                           const struct batch *batches, struct region *to)
{
    struct spec spec = { 0 };
    struct schema out_schema = { 0 };
    struct err e;
    bool want[5] = { false };
    void *state = NULL, *sink = NULL;
    const struct sink_ops *sqlite = sink_find("sqlite");
    struct batch out = { 0 };
    struct cost cost = { 0 };
    err_t rc = transform_sql.open(
        &state, &spec, in,
        &(struct step){ .kind = STEP_SQL, .sql = (char *)(uintptr_t)line->sql }, want,
        &out_schema, &e);
    if (rc == ERR_OK) rc = sqlite->open(&sink, &out_schema, &e);
    for (int i = 0; i < BATCHES && rc == ERR_OK; i++) {
        ns_t t0 = clock_cpu_ns();
        rc = transform_sql.apply(state, &batches[i % DIFFERENT], &out, NS_NEVER, &e);
        ns_t t1 = clock_cpu_ns();
        to->n = 0;
        if (rc == ERR_OK) rc = sqlite->encode(sink, &out, to, &e);
        cost.encode += clock_cpu_ns() - t1;
        cost.transform += t1 - t0;
        cost.rows += out.rows;
    }
    if (rc != ERR_OK) fprintf(stderr, "%s: %s\n", line->name, e.text);
    sqlite->close(&sink);
    transform_sql.close(&state);
    schema_free(&out_schema);
    batch_free(&out);
    return cost;
}

int main(int argc, char **argv)
{
    struct schema in = { 0 };
    static const struct {
        const char *name;
        enum type type;
    } columns[] = { { "date", TYPE_DATE },
                    { "delay", TYPE_INTEGER },
                    { "distance", TYPE_INTEGER },
                    { "origin", TYPE_TEXT },
                    { "destination", TYPE_TEXT } };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (schema_add(&in, columns[i].name, strlen(columns[i].name), columns[i].type,
                       false, NULL) != ERR_OK)
            abort();
    static struct batch batches[DIFFERENT];
    for (int i = 0; i < DIFFERENT; i++)
        fill(&batches[i], &in);
    struct region to = { .p = aligned_alloc(64, ROOM), .cap = ROOM };
    if (!to.p) abort();
    printf("%-26s %10s %14s %14s\n", "", "rows out", "transform s", "encode s");
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        if (argc > 1 && !strstr(LINES[i].name, argv[1])) continue;
        struct cost c = measure(&LINES[i], &in, batches, &to);
        printf("%-26s %10llu %14.3f %14.3f\n", LINES[i].name, (unsigned long long)c.rows,
               (double)c.transform / 1e9, (double)c.encode / 1e9);
    }
    for (int i = 0; i < DIFFERENT; i++)
        batch_free(&batches[i]);
    schema_free(&in);
    free(to.p);
    return 0;
}
