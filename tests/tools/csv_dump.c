// csv_dump - the C half of check_csv.py: reads cases from standard input and writes back
// what the CSV modules make of them.
//
// A case is u32 columns, u32 target, u8 delimiter, u8 quote, u32 length and the bytes of a
// file without a header. With columns = 0 the answer is all records by csv_read_record;
// else the rows of so many text columns by csv_split and csv_read_chunk, cut at `target`
// bytes. An answer is records of u32 fields and per field u32 length and bytes, then u32
// ~0.

#include "common/csv_read.h"
#include "common/csv_split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(err_t rc, const struct err *e)
{
    if (rc == ERR_OK) return;
    fprintf(stderr, "csv_dump: %s\n", e->text);
    exit(1);
}

static void put_u32(size_t n)
{
    uint32_t v = (uint32_t)n;
    fwrite(&v, sizeof v, 1, stdout);
}

static void put(const void *p, size_t n)
{
    put_u32(n);
    if (n) fwrite(p, 1, n, stdout);
}

static void dump_records(const struct csv_dialect *d, const uint8_t *p, size_t n)
{
    struct arena mem = { 0 };
    struct csv_value *v;
    struct err e;
    size_t fields, used;
    for (size_t at = 0; at < n; at += used) {
        must(csv_read_record(d, p + at, n - at, true, &mem, &v, &fields, &used, &e), &e);
        put_u32(fields);
        for (size_t i = 0; i < fields; i++)
            put(v[i].p, v[i].n);
        arena_reset(&mem);
    }
    arena_free(&mem);
}

static void dump_batch(const struct batch *b)
{
    for (uint32_t r = 0; r < b->rows; r++) {
        put_u32(b->n_cols);
        for (uint32_t i = 0; i < b->n_cols; i++) {
            const struct vec *v = &b->col[i];
            put(v->bytes + v->off[r], v->off[r + 1] - v->off[r]);
        }
    }
}

static void dump_chunk(struct csv_reader *r, const uint8_t *p, uint64_t begin, uint64_t end)
{
    struct batch b = { 0 };
    struct rejects rejects = { 0 };
    struct csv_read_stats stats;
    struct err e;
    struct csv_read_pos pos = { begin, 1 };
    must(csv_read_chunk(r, p + begin, end - begin, pos, &b, &rejects, &stats, &e), &e);
    dump_batch(&b);
    batch_free(&b);
    rejects_free(&rejects);
}

static void dump_rows(const struct csv_dialect *d, uint32_t columns, uint32_t target,
                      const uint8_t *p, size_t n)
{
    struct schema s = { 0 };
    struct csv_reader *r;
    struct csv_split split;
    struct csv_cut cut;
    struct err e;
    char name[16];
    for (uint32_t i = 0; i < columns; i++) {
        int len = snprintf(name, sizeof name, "c%u", i);
        must(schema_add(&s, name, (size_t)len, TYPE_TEXT, false, &e), &e);
    }
    must(csv_reader_new(&r, d, &s, NULL, &e), &e);
    csv_split_init(&split, d, 0, 0);
    bool found;
    for (size_t at = 0, used; at < n; at += used) {
        must(csv_split_feed(&split, p + at, n - at, target, &used, &found, &cut, &e), &e);
        if (found) dump_chunk(r, p, cut.begin, cut.end);
    }
    uint64_t bad = n;
    if (csv_split_finish(&split, &found, &cut, &e) != ERR_OK)
        found = csv_split_before_bad(&split, &cut, &bad);
    if (found) dump_chunk(r, p, cut.begin, cut.end);
    if (bad < n) dump_chunk(r, p, bad, n); // quotes never closed: a reject
    csv_reader_free(&r);
    schema_free(&s);
}

int main(void)
{
    static const char *const none[1];
    uint32_t columns, target, n;
    uint8_t delimiter, quote;
    while (fread(&columns, 4, 1, stdin) == 1 && fread(&target, 4, 1, stdin) == 1 &&
           fread(&delimiter, 1, 1, stdin) == 1 && fread(&quote, 1, 1, stdin) == 1 &&
           fread(&n, 4, 1, stdin) == 1) {
        struct csv_dialect d = { delimiter, quote, none, 0 }; // nothing is NULL
        uint8_t *block = malloc((size_t)n + 2 * CSV_PAD), *p = block + CSV_PAD;
        if (!block) return 1;
        memset(block, '"', (size_t)n + 2 * CSV_PAD);
        if (fread(p, 1, n, stdin) != n) return 1;
        if (columns)
            dump_rows(&d, columns, target, p, n);
        else
            dump_records(&d, p, n);
        put_u32(UINT32_MAX);
        free(block);
    }
    return fflush(stdout) != 0;
}
