// Text of workers is not trusted: one that leaves a quote open would swallow what others
// send.

#include "coordinator/warehouse_text.h"

#include "common/csv_scan.h"
#include "common/csv_write.h"

#include <inttypes.h>
#include <string.h>

static const struct csv_dialect DIALECT = { .delimiter = ',', .quote = '"' };

struct rows { // of CSV, as far as they were looked at
    uint64_t n;
    uint64_t delimiters; // of the row that is open
    uint64_t bad;        // rows with another number of fields
};

static void count_block(struct rows *rows, const struct csv_block *b, uint64_t want)
{
    uint64_t delim = b->delim;
    for (uint64_t ends = b->end; ends; ends &= ends - 1) {
        uint64_t below = (ends & -ends) - 1;
        rows->delimiters += (uint64_t)__builtin_popcountll(delim & below);
        rows->bad += rows->delimiters != want;
        rows->delimiters = 0;
        rows->n++;
        delim &= ~below;
    }
    rows->delimiters += (uint64_t)__builtin_popcountll(delim);
}

static err_t check_csv(const uint8_t *p, size_t n, uint32_t columns, uint64_t rows_said,
                       struct err *e)
{
    struct csv_scan scan;
    struct rows rows = { 0 };
    uint8_t tail[64] = { 0 };
    csv_scan_init(&scan, &DIALECT, NULL);
    size_t whole = n & ~(size_t)63;
    for (size_t at = 0; at < whole; at += 64) {
        struct csv_block b = csv_scan_block(&scan, p + at, 64);
        count_block(&rows, &b, columns - 1);
    }
    if (n > whole) {
        memcpy(tail, p + whole, n - whole);
        struct csv_block b = csv_scan_block(&scan, tail, n - whole);
        count_block(&rows, &b, columns - 1);
    }
    if (n && (p[n - 1] != '\n' || scan.state != CSV_FIELD_START))
        return err_set(e, ERR_PROTO, "the text does not end where a row ends");
    if (rows.n != rows_said)
        return err_set(e, ERR_PROTO, "%" PRIu64 " rows were announced, %" PRIu64 " came",
                       rows_said, rows.n);
    if (rows.bad)
        return err_set(e, ERR_PROTO, "%" PRIu64 " rows do not have %u fields", rows.bad,
                       columns);
    return ERR_OK;
}

static err_t check_jsonl(const uint8_t *p, size_t n, uint64_t rows_said, struct err *e)
{
    uint64_t rows = 0;
    for (const uint8_t *end = p + n, *lf; p < end; p = lf + 1, rows++) {
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf || lf - p < 2 || p[0] != '{' || lf[-1] != '}')
            return err_set(e, ERR_PROTO,
                           "row %" PRIu64 " is no object on a line of its own", rows + 1);
    }
    if (rows == rows_said) return ERR_OK;
    return err_set(e, ERR_PROTO, "%" PRIu64 " rows were announced, %" PRIu64 " came",
                   rows_said, rows);
}

err_t text_check(const char *format, const struct schema *s, const struct result *r,
                 struct err *e)
{
    return strcmp(format, "csv") == 0
               ? check_csv(r->image, r->image_bytes, s->n, r->row.rows_emitted, e)
               : check_jsonl(r->image, r->image_bytes, r->row.rows_emitted, e);
}

err_t text_header(const char *format, const struct schema *s, struct buf *out,
                  struct err *e)
{
    struct csv_writer *writer = NULL;
    size_t room = 64;
    out->n = 0;
    if (strcmp(format, "csv") != 0) return ERR_OK;
    for (uint32_t i = 0; i < s->n; i++)
        room += 2 * strlen(s->f[i].name) + 40;
    TRY(buf_reserve(out, room, e));
    struct region to = { out->p, room, 0 };
    TRY(csv_writer_new(&writer, &DIALECT, s, e));
    err_t rc = csv_write_header(writer, &to, e);
    csv_writer_free(&writer);
    out->n = to.n;
    return rc;
}
