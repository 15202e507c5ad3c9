// What a server may send as a value, and what a person may write as a query: no byte of
// either may lead astray. The first byte picks.

#include "common/pg_value.h"
#include "coordinator/source_postgres.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void value(enum pg_kind kind, const uint8_t *p, size_t n)
{
    struct buf scratch = { 0 };
    struct cell c;
    struct err e;
    if (pg_value_cell(kind, p, (uint32_t)n, &scratch, &c, &e) == ERR_OK &&
        (c.kind == CELL_TEXT || c.kind == CELL_BLOB)) {
        unsigned sum = 0;
        for (uint32_t i = 0; i < c.len; i++) // every byte is there
            sum += c.p[i];
        assert(sum <= 255u * c.len);
    }
    buf_free(&scratch);
}

static void params(const char *text)
{
    static const char *const names[] = { "a", "long" };
    static const char *const texts[] = { "'x'::text", "$1" };
    char *bound = NULL;
    struct err e;
    if (postgres_query_params(text, names, texts, 2, &bound, &e) == ERR_OK)
        assert(strlen(bound) >= strlen(text));
    free(bound);
}

static void query(const uint8_t *p, size_t n)
{
    static const enum pg_kind kinds[] = { PG_TEXT, PG_OTHER };
    char *text = strndup((const char *)p, n), *bound = NULL, *copy = NULL;
    struct pg_query_text q = { 0 };
    struct err e;
    if (text) params(text);
    if (text && postgres_query_read(text, &q, &e) == ERR_OK) {
        assert(strlen(q.sql) <= strlen(text));
        if (postgres_query_bind(q.sql, "'x'::text", &bound, &e) == ERR_OK &&
            postgres_query_copy(bound, kinds, 2, &copy, &e) == ERR_OK)
            assert(strstr(copy, bound));
    }
    free(copy);
    free(bound);
    free(q.sql);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 16) return 0;
    if (data[0] <= PG_BYTES)
        value((enum pg_kind)data[0], data + 1, size - 1);
    else
        query(data + 1, size - 1);
    return 0;
}
