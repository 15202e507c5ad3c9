// What a program that is a step may answer: its frame's line, the columns that are learned
// from it, and its rows. First byte: bit 0 JSON lines instead of CSV.
//
// More bytes never turn a frame into another one, and what the columns were learned from
// has rows that all fit them.

#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "worker/xf_exec.h"

#include <assert.h>

static bool same_frame(const struct xf_exec_frame *a, const struct xf_exec_frame *b)
{
    return a->error == b->error && a->head == b->head && a->bytes == b->bytes &&
           a->rows == b->rows;
}

static void frames(const uint8_t *p, size_t n)
{
    struct xf_exec_frame all, part;
    enum xf_exec_framing whole = xf_exec_frame(p, n, &all);
    if (whole == FRAMING_WHOLE) assert(all.head + all.bytes <= n);
    for (size_t k = n < 120 ? n : 120; k > 0; k--) {
        enum xf_exec_framing so_far = xf_exec_frame(p, k, &part);
        if (so_far == FRAMING_BAD) assert(whole == FRAMING_BAD);
        if (so_far == FRAMING_WHOLE)
            assert(whole == FRAMING_WHOLE && same_frame(&all, &part));
    }
}

static void look_at(const struct vec *v, uint32_t rows)
{
    if (!type_is_text(v->type)) return;
    for (uint32_t r = 0; r < rows; r++) {
        size_t n = v->off[r + 1] - v->off[r];
        assert(v->off[r + 1] >= v->off[r] && utf8_bad(v->bytes + v->off[r], n) == n);
    }
}

static void rows(struct xf_exec *x, const uint8_t *p, size_t n)
{
    struct batch out = { 0 };
    struct err e = { 0 };
    must(batch_start(&out, &x->out, NULL));
    err_t rc = xf_exec_rows(x, p, n, &out, &e);
    assert(rc == ERR_OK || (rc == ERR_TRANSFORM && e.text[0]));
    for (uint32_t i = 0; rc == ERR_OK && i < out.n_cols; i++) {
        assert(out.col[i].n_misfits == 0);
        look_at(&out.col[i], out.rows);
    }
    batch_free(&out);
}

static void answer(enum step_format format, const uint8_t *p, size_t n)
{
    static const struct csv_dialect plain = { .delimiter = ',', .quote = '"' };
    struct xf_exec x = { .step = { .format = format } };
    struct err e = { 0 };
    err_t rc = xf_exec_columns(format, p, n, &x.out, &e);
    if (rc != ERR_OK) {
        assert(rc == ERR_TRANSFORM && e.text[0] && !x.out.n);
        return;
    }
    assert(x.out.n);
    for (uint32_t i = 0; i < x.out.n; i++)
        assert(x.out.f[i].name[0] && schema_find(&x.out, x.out.f[i].name) == (int)i);
    if (format == STEP_CSV)
        must(csv_reader_new(&x.reader, &plain, &x.out, NULL, NULL));
    else
        must(xf_exec_json_open(&x, NULL));
    rows(&x, p, n);
    csv_reader_free(&x.reader);
    if (x.json_reader) reader_jsonl.close(&x.json_reader);
    schema_free(&x.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1 << 16) return 0;
    size_t n = size - 1;
    uint8_t *frame = exact_copy(data + 1, n), *block = calloc(1, n + 2 * CSV_PAD);
    assert(block);
    if (n) frames(frame, n);
    memcpy(block + CSV_PAD, data + 1, n);
    answer(data[0] & 1 ? STEP_JSONL : STEP_CSV, block + CSV_PAD, n);
    free(block);
    free(frame);
    return 0;
}
