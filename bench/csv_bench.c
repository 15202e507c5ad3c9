// csv_bench - how fast the CSV modules are on a given file: GB/s of the scan and the
// splitter, the reader for all columns and for two. In CPU time, best of the rounds.
//
//   csv_bench FILE [rounds [name of the only line wanted]]

#include "common/clock.h"
#include "common/csv_read.h"
#include "common/csv_simd.h"
#include "common/csv_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 20, MAX_CHUNKS = 1 << 16 };

struct input {
    uint8_t *block, *p; // p: the first record, CSV_PAD before and behind
    size_t n;
    struct schema schema;
    struct csv_cut cut[MAX_CHUNKS];
    size_t n_cuts;
};

static const char *only = "";
static const char *const nulls[] = { "", "NA" };
static const struct csv_dialect dialect = { ',', '"', nulls, 2 };

static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "csv_bench: %s%s%s\n", what, e ? ": " : "", e ? e->text : "");
    exit(1);
}

static void slurp(struct input *in, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END)) die(path, NULL);
    size_t n = (size_t)ftell(f);
    rewind(f);
    in->block = calloc(1, n + 2 * CSV_PAD);
    if (!in->block || fread(in->block + CSV_PAD, 1, n, f) != n) die(path, NULL);
    fclose(f);
    in->p = in->block + CSV_PAD;
    in->n = n;
}

// The narrowest type that the first records fit.
static enum type guess(const struct input *in, struct arena *mem, uint32_t column)
{
    static const enum type order[] = { TYPE_INTEGER, TYPE_REAL, TYPE_TIMESTAMP };
    struct err e;
    size_t used, n_fields, at = 0;
    unsigned fits = 7;
    for (int row = 0; row < 500; row++, at += used) {
        struct csv_value *v;
        if (csv_read_record(&dialect, in->p + at, in->n - at, true, mem, &v, &n_fields,
                            &used, &e))
            die("record", &e);
        if (column >= n_fields || v[column].n == 0 || strcmp(v[column].p, "NA") == 0)
            continue;
        for (unsigned t = 0; t < 3; t++)
            if (!csv_value_fits(order[t], false, v[column].p, v[column].n))
                fits &= ~(1u << t);
    }
    return fits & 1   ? TYPE_INTEGER
           : fits & 2 ? TYPE_REAL
           : fits & 4 ? TYPE_TIMESTAMP
                      : TYPE_TEXT;
}

static void read_header(struct input *in)
{
    struct arena mem = { 0 };
    struct csv_value *v;
    struct err e;
    size_t used, n;
    if (csv_read_record(&dialect, in->p, in->n, true, &mem, &v, &n, &used, &e))
        die("header", &e);
    in->p += used;
    in->n -= used;
    for (uint32_t i = 0; i < n; i++)
        if (schema_add(&in->schema, v[i].p, v[i].n, guess(in, &mem, i), false, &e))
            die("schema", &e);
    arena_free(&mem);
}

static bool wanted(const char *what)
{
    return strncmp(what, only, strlen(only)) == 0;
}

static void report(const char *what, double bytes, double best_ns, const char *more)
{
    printf("%-28s %8.2f GB/s  %s\n", what, bytes / best_ns, more);
}

static ns_t split_once(struct input *in, const struct csv_scan_ops *ops, uint64_t *records)
{
    struct csv_split s;
    struct err e;
    bool found;
    size_t used;
    csv_split_init(&s, &dialect, 0, 0);
    s.scan.ops = ops;
    in->n_cuts = 0;
    *records = 0;
    ns_t begin = clock_cpu_ns();
    for (size_t i = 0; i < in->n; i += used) {
        struct csv_cut *cut = &in->cut[in->n_cuts];
        size_t n = in->n - i < CHUNK ? in->n - i : CHUNK;
        if (csv_split_feed(&s, in->p + i, n, CHUNK, &used, &found, cut, &e))
            die("split", &e);
        if (found) *records += in->cut[in->n_cuts++].records;
    }
    if (csv_split_finish(&s, &found, &in->cut[in->n_cuts], &e)) die("split", &e);
    if (found) *records += in->cut[in->n_cuts++].records;
    return clock_cpu_ns() - begin;
}

static void bench_split(struct input *in, const char *set, int rounds)
{
    const struct csv_scan_ops *ops = csv_scan_ops(set);
    if (!ops) return;
    ns_t best = NS_NEVER;
    uint64_t records = 0;
    char what[64], more[64];
    snprintf(what, sizeof what, "split %s", set);
    if (!wanted(what)) return;
    for (int i = 0; i < rounds; i++) {
        ns_t t = split_once(in, ops, &records);
        if (t < best) best = t;
    }
    snprintf(more, sizeof more, "%llu records, %zu chunks", (unsigned long long)records,
             in->n_cuts);
    report(what, (double)in->n, (double)best, more);
}

static void bench_index(const struct input *in, const char *set, int rounds)
{
    const struct csv_scan_ops *ops = csv_scan_ops(set);
    if (!ops) return;
    enum { FULL = 12288 };
    static uint32_t at[FULL + CSV_INDEX_SLACK];
    ns_t best = NS_NEVER;
    uint64_t fields = 0;
    char what[64], more[64];
    snprintf(what, sizeof what, "index %s", set);
    if (!wanted(what)) return;
    for (int i = 0; i < rounds; i++) {
        struct csv_scan s;
        csv_scan_init(&s, &dialect, ops);
        fields = 0;
        ns_t begin = clock_cpu_ns();
        for (size_t j = 0; j < in->n;) {
            struct csv_index x = { .at = at, .full = FULL };
            j = ops->index(&s, in->p, j, in->n, &x);
            fields += x.n;
        }
        ns_t t = clock_cpu_ns() - begin;
        if (t < best) best = t;
    }
    snprintf(more, sizeof more, "%llu fields", (unsigned long long)fields);
    report(what, (double)in->n, (double)best, more);
}

static void bench_read(const struct input *in, const bool *want, const char *what,
                       int rounds)
{
    struct csv_reader *r;
    struct err e;
    struct batch b = { 0 };
    ns_t best = NS_NEVER;
    struct csv_read_stats sum = { 0 };
    if (!wanted(what)) return;
    if (csv_reader_new(&r, &dialect, &in->schema, want, &e)) die("reader", &e);
    for (int i = 0; i < rounds; i++) {
        sum = (struct csv_read_stats){ 0 };
        ns_t begin = clock_cpu_ns();
        for (size_t k = 0; k < in->n_cuts; k++) {
            const struct csv_cut *cut = &in->cut[k];
            struct rejects rejects = { 0 };
            struct csv_read_stats stats;
            struct csv_read_pos pos = { cut->begin, 1 };
            if (csv_read_chunk(r, in->p + cut->begin, cut->end - cut->begin, pos, &b,
                               &rejects, &stats, &e))
                die("read", &e);
            sum.parsed += stats.parsed;
            sum.rejected += stats.rejected;
            sum.misfits += stats.misfits;
            rejects_free(&rejects);
        }
        ns_t t = clock_cpu_ns() - begin;
        if (t < best) best = t;
    }
    char more[128];
    snprintf(more, sizeof more, "%llu rows, %llu rejected, %llu misfits",
             (unsigned long long)sum.parsed, (unsigned long long)sum.rejected,
             (unsigned long long)sum.misfits);
    report(what, (double)in->n, (double)best, more);
    csv_reader_free(&r);
    batch_free(&b);
}

int main(int argc, char **argv)
{
    static struct input in;
    if (argc < 2) die("usage: csv_bench FILE [rounds]", NULL);
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (argc > 3) only = argv[3];
    slurp(&in, argv[1]);
    read_header(&in);
    for (uint32_t i = 0; i < in.schema.n; i++)
        printf("%s%s %s", i ? ", " : "", in.schema.f[i].name,
               type_name(in.schema.f[i].type));
    printf("\n");
    static const char *const sets[] = { "scalar", "sse2", "avx2" };
    for (size_t i = 0; i < 3; i++)
        bench_index(&in, sets[i], rounds);
    for (size_t i = 0; i < 3; i++)
        bench_split(&in, sets[i], rounds);
    uint64_t records;
    split_once(&in, csv_scan_ops(NULL), &records); // for the chunks
    bool want[SCHEMA_MAX_COLUMNS] = { false };
    bench_read(&in, NULL, "read all columns", rounds);
    want[in.schema.n / 2] = want[0] = true;
    bench_read(&in, want, "read two columns", rounds);
    schema_free(&in.schema);
    free(in.block);
    return 0;
}
