// The reader against its oracle: every row, every reject. First byte: bits 0-2 the types,
// 3-4 the dialect, 5-6 the nulls, 7 whether every column is wanted.

#include "tests/csv_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct csv_dialect *d, const struct schema *s, const bool *want,
                  const uint8_t *p, size_t n)
{
    struct csv_reader *r;
    struct batch b = { 0 };
    struct rejects rejects = { 0 };
    struct csv_read_stats stats;
    struct oracle_rows expected = { 0 }, rows = { 0 };
    struct csv_read_pos pos = { 1000, 10 };
    err_t rc = csv_reader_new(&r, d, s, want, NULL);
    assert(rc == ERR_OK);
    rc = csv_read_chunk(r, p, n, pos, &b, &rejects, &stats, NULL);
    assert(rc == ERR_OK);
    oracle_read(d, s, want, p, n, pos, &expected);
    oracle_batch(&b, &rows);
    assert(stats.parsed == b.rows && stats.parsed + stats.rejected == stats.rows);
    assert(stats.rows == expected.n && stats.parsed == expected.n_parsed);
    assert(stats.blank == expected.n_blank && stats.misfits == expected.n_misfits);

    struct slice all = { rejects.bytes.p, rejects.bytes.n };
    struct reject x;
    size_t row = 0, at = 0;
    bool bad;
    for (size_t i = 0; i < expected.n; i++) {
        if (strncmp(expected.v[i], "REJECT", 6) != 0) {
            assert(strcmp(expected.v[i], rows.v[row++]) == 0);
            continue;
        }
        bool more = rejects_next(all, &at, &x, &bad);
        assert(more);
        unsigned long long line, byte;
        int column;
        assert(sscanf(expected.v[i], "REJECT %llu %llu %d", &line, &byte, &column) == 3);
        assert(x.line == line && x.byte == byte && x.reason.n > 0);
        assert(column < 0 || x.column.n > 0);
        assert(memcmp(x.raw.p, p + (byte - pos.byte), x.raw.n) == 0);
        assert(utf8_bad(x.reason.p, x.reason.n) == x.reason.n);
    }
    assert(row == rows.n && at == all.n);
    oracle_free(&expected);
    oracle_free(&rows);
    rejects_free(&rejects);
    batch_free(&b);
    csv_reader_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const char *const types[] = {
        "i", "t", "it", "rd", "IRT", "btsi", "SDB", "TrIt"
    };
    static const char quotes[] = { '"', '"', '\'', 0 };
    static const char *const nulls[] = { "NA", "", "0" };
    if (n < 1 || n > 1 << 16) return 0;
    struct csv_dialect d = { .delimiter = p[0] & 8 ? ',' : ';',
                             .quote = (uint8_t)quotes[p[0] >> 3 & 3] };
    if (p[0] >> 5 & 3) d.nulls = nulls;
    d.n_nulls = p[0] >> 5 & 3;
    struct schema s = { 0 };
    for (const char *t = types[p[0] & 7]; *t; t++) {
        enum type type = TYPE_TEXT;
        switch (*t | 32) {
        case 'i': type = TYPE_INTEGER; break;
        case 'r': type = TYPE_REAL; break;
        case 'b': type = TYPE_BOOLEAN; break;
        case 'd': type = TYPE_DATE; break;
        case 's': type = TYPE_TIMESTAMP; break;
        default: break;
        }
        char name[] = { 'c', (char)('0' + s.n) };
        err_t rc = schema_add(&s, name, 2, type, *t < 'a', NULL);
        assert(rc == ERR_OK);
    }
    bool want[] = { true, false, true, true };
    uint8_t *block = malloc(n - 1 + 2 * CSV_PAD);
    assert(block);
    memset(block, '7', n - 1 + 2 * CSV_PAD);
    memcpy(block + CSV_PAD, p + 1, n - 1);
    check(&d, &s, p[0] & 128 ? want : NULL, block + CSV_PAD, n - 1);
    schema_free(&s);
    free(block);
    return 0;
}
