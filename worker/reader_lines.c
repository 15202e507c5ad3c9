// One text column: a row a line. A line ends at LF or CR LF; a lone CR is data, and an
// empty line is a row with an empty text.

#include "common/csv.h"
#include "common/utf8.h"
#include "worker/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_PAD = 16 };

struct lines_reader {
    struct schema schema;
    bool wanted;
};

struct lines_out {
    struct vec *v;
    uint32_t rows;
    uint32_t at; // bytes of text
    struct rejects *rejects;
};

static void lines_close(void **state)
{
    struct lines_reader *r = *state;
    if (!r) return;
    schema_free(&r->schema);
    free(r);
    *state = NULL;
}

static err_t lines_open(void **state, const struct spec *spec, const bool *want,
                        struct err *e)
{
    *state = NULL;
    if (spec->in.n != 1 || spec->in.f[0].type != TYPE_TEXT)
        return err_set(e, ERR_INVALID, "lines have one text column");
    struct lines_reader *r = calloc(1, sizeof *r);
    if (!r) return err_set(e, ERR_NOMEM, "out of memory");
    r->wanted = !want || want[0];
    *state = r;
    err_t rc = schema_copy(&r->schema, &spec->in, e);
    if (rc != ERR_OK) lines_close(state);
    return rc;
}

static err_t reject(struct rejects *rejects, const struct reader_chunk *c, uint64_t line,
                    const uint8_t *p, size_t n, const char *reason, struct err *e)
{
    struct reject row = { .line = line,
                          .byte = c->begin + (size_t)(p - c->bytes),
                          .reason = { (const uint8_t *)reason, strlen(reason) },
                          .raw = { p, n } };
    return rejects_add(rejects, &row, e);
}

// What is wrong with a line, if anything.
static bool is_bad(const uint8_t *p, size_t n, uint64_t byte, char *why, size_t cap)
{
    size_t bad = utf8_bad(p, n);
    if (n > CSV_FIELD_MAX)
        snprintf(why, cap, "a line of %zu bytes, at most %d are allowed", n, CSV_FIELD_MAX);
    else if (bad < n && p[bad])
        snprintf(why, cap, "byte %llu is not UTF-8", (unsigned long long)(byte + bad));
    else if (bad < n)
        snprintf(why, cap, "NUL byte at %llu", (unsigned long long)(byte + bad));
    return n > CSV_FIELD_MAX || bad < n;
}

static void add(struct lines_out *out, const uint8_t *p, size_t n)
{
    struct vec *v = out->v;
    if (v->off) {
        memcpy(v->bytes + out->at, p, n);
        out->at += (uint32_t)n;
        v->off[out->rows + 1] = out->at;
    }
    out->rows++;
}

static err_t read_lines(const struct reader_chunk *c, struct lines_out *out, struct err *e)
{
    const uint8_t *p = c->bytes, *stop = c->bytes + c->n;
    char why[120];
    for (uint64_t line = c->first_line; p < stop; line++) {
        const uint8_t *lf = memchr(p, '\n', (size_t)(stop - p));
        const uint8_t *next = lf ? lf + 1 : stop, *end = lf ? lf : stop;
        if (lf && end > p && end[-1] == '\r') end--;
        size_t n = (size_t)(end - p);
        if (is_bad(p, n, c->begin + (size_t)(p - c->bytes), why, sizeof why))
            TRY(reject(out->rejects, c, line, p, n, why, e));
        else
            add(out, p, n);
        p = next;
    }
    return ERR_OK;
}

static size_t count_lines(const struct reader_chunk *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->bytes[i] == '\n';
    return n + (c->n && c->bytes[c->n - 1] != '\n');
}

static err_t lines_read(void *state, const struct reader_chunk *c, struct batch *out,
                        struct rejects *rejects, struct reader_stats *stats, struct err *e)
{
    const struct lines_reader *r = state;
    uint64_t before = rejects->n;
    if (c->n > UINT32_MAX - CSV_PAD)
        return err_set(e, ERR_TOOBIG, "a chunk of %zu bytes, at most 4 GiB are allowed",
                       c->n);
    TRY(batch_start(out, &r->schema, e));
    struct vec *v = &out->col[0];
    if (r->wanted) {
        size_t rows = count_lines(c);
        v->absent = false;
        v->valid = arena_alloc(&out->mem, 8 * ((size_t)rows / 64 + 1));
        v->off = arena_alloc(&out->mem, 4 * (rows + 1));
        v->bytes = arena_alloc(&out->mem, c->n + TEXT_PAD);
        if (!v->valid || !v->off || !v->bytes)
            return err_set(e, ERR_NOMEM, "out of memory: a batch of %zu rows", rows);
        v->off[0] = 0;
    }
    struct lines_out to = { .v = v, .rejects = rejects };
    TRY(read_lines(c, &to, e));
    out->rows = to.rows;
    if (v->valid) {
        memset(v->valid, 0xff, 8 * (size_t)batch_words(to.rows));
        v->valid[to.rows / 64] = (1ull << to.rows % 64) - 1;
    }
    *stats = (struct reader_stats){ .rows = to.rows + rejects->n - before,
                                    .parsed = to.rows,
                                    .rejected = rejects->n - before };
    return ERR_OK;
}

const struct reader_ops reader_lines = {
    .name = "lines", .open = lines_open, .read = lines_read, .close = lines_close
};
