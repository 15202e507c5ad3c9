// Results for PostgreSQL, as a worker that lies may send them: what passes the check can be
// walked and shown.

#include "common/pg_copy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum type types[] = { TYPE_INTEGER, TYPE_REAL, TYPE_TEXT,
                                       TYPE_BOOLEAN, TYPE_DATE, TYPE_TIMESTAMP,
                                       TYPE_ANY };
    struct schema s = { 0 };
    struct buf csv = { 0 };
    if (n < 2) return 0;
    uint32_t columns = data[0] % 7 + 1u;
    for (uint32_t i = 0; i < columns; i++)
        if (schema_add(&s, (const char[]){ (char)('a' + i) }, 1, types[i], false, NULL) !=
            ERR_OK)
            abort();
    if (pg_copy_check(data + 2, n - 2, &s, data[1], NULL) == ERR_OK) {
        struct slice t = pg_copy_parts(data + 2, n - 2).tuples;
        for (const uint8_t *p = t.p; p < t.p + t.n; p = pg_copy_skip(p))
            if (pg_copy_csv(&s, p, &csv, NULL) != ERR_OK) abort();
    }
    buf_free(&csv);
    schema_free(&s);
    return 0;
}
