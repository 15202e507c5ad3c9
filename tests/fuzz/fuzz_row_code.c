// Reads any bytes as encoded rows: nothing is read past the end, what was read is written
// as the same bytes or shorter ones that read the same, and the worker's reader agrees on
// what is whole.

#include "common/row_code.h"
#include "worker/reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind || a->len != b->len) return false;
    if (a->kind == CELL_TEXT || a->kind == CELL_BLOB)
        return a->len == 0 || memcmp(a->p, b->p, a->len) == 0;
    return memcmp(&a->i, &b->i, sizeof a->i) == 0;
}

static uint64_t values(const uint8_t *p, size_t n, bool *whole)
{
    struct buf again = { 0 };
    struct cell c, back;
    size_t at = 0, begin, count = 0;
    while (begin = at, row_code_next(p, n, &at, &c)) {
        size_t zero = 0;
        again.n = 0;
        if (at <= begin || at > n || row_code_put(&again, &c, NULL) != ERR_OK) abort();
        if (again.n > at - begin) abort();
        if (!row_code_next(again.p, again.n, &zero, &back) || zero != again.n) abort();
        if (!same(&c, &back)) abort();
        count++;
    }
    *whole = at == n;
    buf_free(&again);
    return count;
}

// With `keyed` a row has its number before its columns, which must be an integer.
static void read_rows(uint32_t columns, bool keyed, const uint8_t *p, size_t n, bool whole,
                      uint64_t count)
{
    static const enum type types[] = { TYPE_ANY, TYPE_INTEGER, TYPE_TEXT };
    char query[] = "?";
    struct spec spec = { .query = keyed ? query : NULL };
    uint32_t values = columns + keyed;
    struct batch b = { 0 };
    struct rejects rejects = { 0 };
    struct reader_stats stats = { 0 };
    void *state = NULL;
    for (uint32_t i = 0; i < columns; i++) {
        char name[2] = { (char)('a' + i), 0 };
        if (schema_add(&spec.in, name, 1, types[i], i > 0, NULL) != ERR_OK) abort();
    }
    if (reader_rows.open(&state, &spec, NULL, NULL) != ERR_OK) abort();
    struct reader_chunk c = { .bytes = p, .n = n, .end = count };
    if (keyed) c.rows = (uint32_t)(count / values);
    err_t rc = reader_rows.read(state, &c, &b, &rejects, &stats, NULL);
    bool good = whole && count % values == 0;
    if (rc == ERR_PROTO && keyed) good = false;
    if (rc != (good ? ERR_OK : ERR_PROTO)) abort();
    if (good && (stats.rows != count / values || b.rows + rejects.n != stats.rows)) abort();
    reader_rows.close(&state);
    batch_free(&b);
    rejects_free(&rejects);
    schema_free(&spec.in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    uint32_t columns = data[0] % 3 + 1;
    uint8_t *copy = malloc(size); // asan sees past it
    bool whole;
    if (!copy) return 0;
    memcpy(copy, data + 1, size - 1);
    uint64_t count = values(copy, size - 1, &whole);
    read_rows(columns, false, copy, size - 1, whole, count);
    read_rows(columns, true, copy, size - 1, whole, count);
    free(copy);
    return 0;
}
