// States of an aggregate as a worker sends them: records of u8 state, u16 length, bytes.
// Whatever comes, merging takes it or refuses it, and gives a result.

#include "common/agg_merge.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const FUNCTIONS[] = {
    "count(*)", "count(x)", "sum(x)",         "avg(y)",           "stddev(y)",
    "min(x)",   "max(x)",   "quantile(x, 1)", "quantile(x, 0.3)", "count_distinct(x)",
};
enum { N = sizeof FUNCTIONS / sizeof *FUNCTIONS, STATES_MAX = N };

static void must(err_t rc)
{
    if (rc != ERR_OK) abort();
}

// What an honest worker gives for no row.
static void nothing(struct cell *c)
{
    static const uint8_t sum[] = { 0, 0, 0, 0, 0, 0 }, values[] = { 0, 0 };
    static const uint8_t squares[] = { 8, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, distinct[4] = { 0 };
    const struct cell empty[] = {
        { .kind = CELL_INTEGER, .i = 0 },
        { .kind = CELL_INTEGER, .i = 0 },
        { .kind = CELL_BLOB, .len = sizeof sum, .p = sum },
        { .kind = CELL_BLOB, .len = sizeof squares, .p = squares },
        { .kind = CELL_NULL },
        { .kind = CELL_NULL },
        { .kind = CELL_BLOB, .len = sizeof values, .p = values },
        { .kind = CELL_BLOB, .len = sizeof distinct, .p = distinct },
    };
    memcpy(c, empty, sizeof empty);
}

static struct cell any_cell(const uint8_t *p, uint32_t n)
{
    struct cell c = { .kind = CELL_BLOB, .len = n, .p = p };
    if (n != 9 || p[0] > 2) return c;
    c = (struct cell){ .kind = p[0] };
    memcpy(&c.i, p + 1, sizeof c.i);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agg a = { 0 };
    struct agg_merge *m = NULL;
    struct cell states[STATES_MAX], out[N];
    struct err e;
    for (size_t i = 0; i < N; i++)
        must(agg_add_fn(&a, "f", FUNCTIONS[i], &e));
    must(agg_merge_new(&m, &a, 4096, &e)); // so little that it goes to disk
    if (agg_merge_states(m) != 8) abort();
    agg_merge_start(m);
    err_t rc = ERR_OK;
    while (size >= 3 && rc == ERR_OK) {
        uint32_t n = (uint32_t)(data[1] | data[2] << 8);
        if (n > size - 3) n = (uint32_t)(size - 3);
        uint8_t *copy = malloc(n ? n : 1); // so that one byte past it is seen
        if (n) memcpy(copy, data + 3, n);
        nothing(states);
        states[data[0] % 8] = any_cell(copy, n);
        rc = agg_merge_add(m, states, &e);
        free(copy);
        data += 3 + n;
        size -= 3 + n;
    }
    if (rc != ERR_OK && rc != ERR_PROTO) abort();
    if (rc == ERR_OK) must(agg_merge_result(m, out, &e));
    agg_merge_free(&m);
    agg_free(&a);
    return 0;
}
