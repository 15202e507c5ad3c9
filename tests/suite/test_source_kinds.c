// What every source must do, whatever its rows come from: the chunks tile its inputs, rows
// are cut as told, a resume reads exactly what is missing, halves are the whole; and its
// worker half finds in the chunks the rows that were put in.

#include "common/batch.h"
#include "coordinator/source.h"
#include "worker/reader.h"

#include "tests/csv_noise.h"
#include "tests/source_kinds.h"
#include "tests/test.h"

#include <inttypes.h>

enum { ROWS_MAX = 700, CHUNKS_MAX = 2 * ROWS_MAX };

// ---- a source, opened, and its worker half ----

struct opened {
    const struct kind *kind;
    struct folder folder;
    struct job job;
    struct source *s;
    uint64_t rows;
    struct spec spec;
    const struct reader_ops *reader;
    void *state;
};

static void reopen(struct opened *o)
{
    struct err e;
    source_close(&o->s);
    PASS(&e, source_open(&o->s, &o->job, &e));
}

static struct opened open_kind(const struct kind *k, uint64_t rows, uint64_t batch_rows)
{
    struct opened o = { .kind = k, .folder = folder_new(), .rows = rows };
    struct err e;
    struct buf trial = { 0 };
    uint64_t about;
    k->make(&o.folder, &o.job, rows);
    o.job.batch_rows = batch_rows;
    reopen(&o);
    PASS(&e, source_infer(o.s, &o.job, &o.spec.in, &trial, &about, &e));
    EQ_I64(rows, about);
    buf_free(&trial);
    o.spec.dialect = *source_dialect(o.s);
    o.spec.fields = o.job.fields;
    o.spec.list = o.job.list;
    o.spec.query = (char *)(uintptr_t)source_query(o.s);
    o.reader = reader_find(source_reader(o.s));
    assert_non_null(o.reader);
    PASS(&e, o.reader->open(&o.state, &o.spec, NULL, &e));
    return o;
}

static void close_kind(struct opened *o)
{
    o->reader->close(&o->state);
    source_close(&o->s);
    schema_free(&o->spec.in);
    job_free(&o->job);
    folder_rm(&o->folder);
}

struct chunks {
    size_t n;
    struct chunk_data *v[CHUNKS_MAX];
};

static void read_all(struct opened *o, uint64_t target, struct chunks *c)
{
    struct err e;
    for (c->n = 0;; c->n++) {
        _Atomic uint64_t t = target;
        struct chunk_data *bad;
        assert_true(c->n < CHUNKS_MAX);
        PASS(&e, source_next(o->s, &t, &c->v[c->n], &bad, &e));
        if (!c->v[c->n]) return;
    }
}

static void chunks_free(struct chunks *c)
{
    for (size_t i = 0; i < c->n; i++)
        chunk_data_free(&c->v[i]);
    c->n = 0;
}

// ---- the numbers that the worker half finds ----

static long long number(const struct opened *o, const struct batch *b, uint32_t row)
{
    const struct vec *v = &b->col[o->kind->column];
    char text[64] = "";
    if (v->type == TYPE_ANY) return v->any[row].i;
    assert_true(vec_valid(v, row));
    if (v->type == TYPE_INTEGER) return v->i64[row];
    memcpy(text, v->bytes + v->off[row], v->off[row + 1] - v->off[row]);
    assert_memory_equal(text, o->kind->text_before, strlen(o->kind->text_before));
    return strtoll(text + strlen(o->kind->text_before), NULL, 10);
}

// The first row's number; the others follow it.
static uint64_t check_rows(const struct opened *o, const struct chunk_data *c)
{
    struct err e;
    struct chunk_data *again[2] = { NULL, NULL };
    const struct chunk_data *bytes = c;
    uint32_t n;
    if (!c->bytes && (c->unread || !source_inputs(o->s, &n)->in_rows)) {
        PASS(&e, source_reread(o->s, c->range, c->first_line, c->digest, false, again, &e));
        bytes = again[0];
    }
    struct reader_chunk chunk = { bytes->bytes,   bytes->held,
                                  c->range.begin, c->range.end,
                                  c->first_line,  c->unread ? (uint32_t)c->records : 0 };
    struct batch b = { 0 };
    struct rejects rejects = { 0 };
    struct reader_stats stats;
    PASS(&e, o->reader->read(o->state, &chunk, &b, &rejects, &stats, &e));
    EQ_I64(0, rejects.n);
    EQ_I64(c->records, stats.rows);
    EQ_I64(c->records, stats.parsed + stats.blank);
    EQ_I64(c->records, b.rows);
    long long first = number(o, &b, 0);
    for (uint32_t i = 1; i < b.rows; i++)
        EQ_I64(first + i, number(o, &b, i));
    if (c->held) assert_true(hash_equal(c->digest, hash_bytes(c->bytes, c->held)));
    batch_free(&b);
    rejects_free(&rejects);
    chunk_data_free(&again[0]);
    return (uint64_t)first;
}

static int by_begin(const void *a, const void *b)
{
    const struct committed *x = a, *y = b;
    return (x->range.begin > y->range.begin) - (x->range.begin < y->range.begin);
}

static struct committed committed_of(const struct opened *o, const struct chunk_data *c)
{
    struct hash128 digest = c->digest;
    struct chunk_data *again[2] = { NULL, NULL };
    struct err e;
    if (c->unread) {
        PASS(&e, source_reread(o->s, c->range, 0, digest, false, again, &e));
        digest = again[0]->digest;
    }
    chunk_data_free(&again[0]);
    return (struct committed){ c->range, c->lines, c->records, c->unterminated, digest };
}

static void check_tiling(const struct opened *o, struct committed *c, size_t n)
{
    uint32_t inputs;
    const struct source_input *in = source_inputs(o->s, &inputs);
    uint64_t at = in->data_begin, rows = 0;
    EQ_I64(1, inputs);
    qsort(c, n, sizeof *c, by_begin);
    for (size_t i = 0; i < n; i++) {
        EQ_I64(at, c[i].range.begin);
        at = c[i].range.end;
        rows += c[i].records;
    }
    EQ_I64(in->data_end, at);
    EQ_I64(o->rows, rows);
}

static struct chunks all, rest; // large
static struct committed list[CHUNKS_MAX];

// ---- what must hold ----

static void chunks_tile_the_input(const struct kind *k)
{
    struct noise r = noise_new();
    for (int round = 0; round < 10; round++) {
        struct opened o = open_kind(k, noise_below(&r, ROWS_MAX), 0);
        uint64_t row = 0;
        read_all(&o, noise_below(&r, 3000), &all);
        for (size_t i = 0; i < all.n; i++) {
            EQ_I64(row, check_rows(&o, all.v[i]));
            row += all.v[i]->records;
            list[i] = committed_of(&o, all.v[i]);
        }
        check_tiling(&o, list, all.n);
        chunks_free(&all);
        close_kind(&o);
    }
}

static void batches_have_as_many_rows_as_told(const struct kind *k)
{
    static const uint64_t sizes[] = { 1, 2, 7, 63, 64, 300, 699, 700, 5000 };
    for (size_t t = 0; t < N_OF(sizes); t++) {
        struct opened o = open_kind(k, ROWS_MAX, sizes[t]);
        read_all(&o, 1, &all);
        EQ_I64((ROWS_MAX + sizes[t] - 1) / sizes[t], all.n);
        for (size_t i = 0; i < all.n; i++) {
            bool last = i + 1 == all.n;
            EQ_I64(last ? ROWS_MAX - i * sizes[t] : sizes[t], all.v[i]->records);
            EQ_I64(i * sizes[t], check_rows(&o, all.v[i]));
        }
        chunks_free(&all);
        close_kind(&o);
    }
}

static void a_resume_reads_exactly_the_gaps(const struct kind *k)
{
    struct noise r = noise_new();
    for (int round = 0; round < 20; round++) {
        struct opened o = open_kind(k, 1 + noise_below(&r, ROWS_MAX), 0);
        size_t n = 0, keep = noise_below(&r, 5);
        struct err e;
        read_all(&o, noise_below(&r, 1000), &all);
        for (size_t i = 0; i < all.n; i++)
            if (noise_below(&r, 4) < keep) list[n++] = committed_of(&o, all.v[i]);
        chunks_free(&all);
        reopen(&o);
        PASS(&e, source_skip(o.s, 0, list, n, noise_below(&r, 2), &e));
        read_all(&o, noise_below(&r, 1000), &rest);
        for (size_t i = 0; i < rest.n; i++) {
            check_rows(&o, rest.v[i]);
            list[n++] = committed_of(&o, rest.v[i]);
        }
        check_tiling(&o, list, n);
        chunks_free(&rest);
        close_kind(&o);
    }
}

static void halve_down(struct opened *o, const struct chunk_data *c, uint64_t first)
{
    struct chunk_data *half[2];
    struct err e;
    if (c->bytes)
        PASS(&e, source_halve(o->s, c, half, &e));
    else
        PASS(&e, source_reread(o->s, c->range, c->first_line, c->digest, true, half, &e));
    assert_int_equal(half[1] != NULL, c->records > 1);
    EQ_I64(c->range.begin, half[0]->range.begin);
    EQ_I64(c->range.end, half[half[1] != NULL]->range.end);
    EQ_I64(first, check_rows(o, half[0]));
    if (half[1]) {
        EQ_I64(half[0]->range.end, half[1]->range.begin);
        EQ_I64(c->records, half[0]->records + half[1]->records);
        EQ_I64(first + half[0]->records, check_rows(o, half[1]));
        uint64_t middle = first + half[0]->records;
        halve_down(o, half[0], first);
        halve_down(o, half[1], middle);
    }
    chunk_data_free(&half[0]);
    chunk_data_free(&half[1]);
}

static void halves_are_the_whole_down_to_one_row(const struct kind *k)
{
    struct opened o = open_kind(k, 100, 50);
    read_all(&o, 1, &all);
    EQ_I64(2, all.n);
    halve_down(&o, all.v[1], 50);
    chunks_free(&all);
    close_kind(&o);
}

static void nothing_is_no_chunk(const struct kind *k)
{
    struct opened o = open_kind(k, 0, 0);
    read_all(&o, 1, &all);
    EQ_I64(0, all.n);
    check_tiling(&o, list, 0);
    close_kind(&o);
}

static void a_single_row_can_be_told(const struct kind *k)
{
    struct opened o = open_kind(k, 20, 1);
    struct err e;
    read_all(&o, 1, &all);
    const struct chunk_data *c = all.v[17];
    struct chunk_data *again[2] = { NULL, NULL };
    if (!c->bytes) {
        PASS(&e, source_reread(o.s, c->range, c->first_line, c->digest, false, again, &e));
        c = again[0];
    }
    struct buf text = { 0 };
    size_t at = 0;
    PASS(&e, source_show(o.s, c, &at, &text, &e));
    EQ_I64(c->held, at);
    assert_non_null(memmem(text.p, text.n, "17", 2));
    assert_null(memchr(text.p, '\r', text.n));
    buf_free(&text);
    chunk_data_free(&again[0]);
    chunks_free(&all);
    close_kind(&o);
}

// ---- every test with every kind ----

#define TESTS(X)                            \
    X(chunks_tile_the_input)                \
    X(batches_have_as_many_rows_as_told)    \
    X(a_resume_reads_exactly_the_gaps)      \
    X(halves_are_the_whole_down_to_one_row) \
    X(nothing_is_no_chunk)                  \
    X(a_single_row_can_be_told)

struct test {
    const char *name;
    void (*fn)(const struct kind *k);
    const struct kind *kind;
};

static void run_one(void **state)
{
    const struct test *t = *state;
    t->fn(t->kind);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*fn)(const struct kind *k);
    } fns[] = {
#define X(name) { #name, name },
        TESTS(X)
#undef X
    };
    static struct test tests[N_OF(fns) * N_OF(kinds)];
    static char names[N_OF(tests)][100];
    for (size_t i = 0; i < N_OF(tests); i++) {
        const struct kind *k = &kinds[i % N_OF(kinds)];
        snprintf(names[i], sizeof names[i], "%s: %s", k->name, fns[i / N_OF(kinds)].name);
        tests[i] = (struct test){ names[i], fns[i / N_OF(kinds)].fn, k };
    }
    pg_kit_start(&server);
    int failed = test_main("source_kinds", NULL, 0, TABLE(tests, run_one), N_OF(tests));
    pg_kit_end(&server);
    return failed;
}
