// What every kind of input must do, whatever it is read through.

#include "common/csv_split.h"
#include "coordinator/source.h"

#include "tests/csv_noise.h"
#include "tests/source_kit.h"
#include "tests/test.h"

// ---- kinds of input ----

static void put_plain(const struct folder *f, const void *p, size_t n)
{
    put_file(f, "in.csv", p, n);
}
static void put_gz_1(const struct folder *f, const void *p, size_t n)
{
    put_gz(f, "in.csv.gz", p, n, 1);
}
static void put_gz_5(const struct folder *f, const void *p, size_t n)
{
    put_gz(f, "in.csv.gz", p, n, 5);
}
static void put_zst_1(const struct folder *f, const void *p, size_t n)
{
    put_zst(f, "in.csv.zst", p, n, 1);
}
static void put_zst_5(const struct folder *f, const void *p, size_t n)
{
    put_zst(f, "in.csv.zst", p, n, 5);
}

struct kind {
    const char *name, *files;
    void (*put)(const struct folder *f, const void *p, size_t n);
    bool by_value;
};
static const struct kind kinds[] = {
    { "plain", "in.csv", put_plain, false },
    { "gzip", "in.csv.gz", put_gz_1, true },
    { "gzip_of_5_members", "in.csv.gz", put_gz_5, true },
    { "zstd", "in.csv.zst", put_zst_1, true },
    { "zstd_of_5_frames", "in.csv.zst", put_zst_5, true },
    { "stdin", "-", put_plain, true },
};

// ---- one input, opened, read to its end ----

static const char HEADER[] = "ab\n";

struct input {
    struct folder folder;
    const struct kind *kind;
    struct csv_dialect dialect;
    uint8_t *p; // the whole stream with its header, padded
    size_t n, cap;
};

static struct input input_new(const struct kind *k, size_t n)
{
    struct input in = { .folder = folder_new(), .kind = k, .n = n, .cap = n };
    in.dialect = (struct csv_dialect){ .delimiter = ',', .quote = '"' };
    in.p = (uint8_t *)calloc(1, n + 2 * CSV_PAD) + CSV_PAD;
    memcpy(in.p, HEADER, strlen(HEADER));
    return in;
}

static void input_free(struct input *in)
{
    folder_rm(&in->folder);
    free(in->p - CSV_PAD);
}

static struct input input_of_text(const struct kind *k, const char *text)
{
    struct input in = input_new(k, strlen(HEADER) + strlen(text));
    memcpy(in.p + strlen(HEADER), text, strlen(text));
    k->put(&in.folder, in.p, in.n);
    return in;
}

static struct input input_of_noise(const struct kind *k, struct noise *r, size_t n)
{
    struct input in = input_new(k, strlen(HEADER) + n);
    in.dialect = noise_dialect(r);
    noise_fill(r, &in.dialect, in.p + strlen(HEADER), n);
    for (size_t i = 0; i < in.n; i++)
        if (in.p[i] == 0) in.p[i] = '0'; // NULs would make it binary
    k->put(&in.folder, in.p, in.n);
    return in;
}

struct opened {
    struct source *s;
    int old_stdin;
    bool has_stdin;
};

static struct opened input_open(const struct input *in)
{
    struct opened o = { 0 };
    struct err e;
    char path[PATH_SPACE];
    struct job j = job_of(&in->folder, in->kind->files);
    j.delimiter = in->dialect.delimiter;
    j.quote = in->dialect.quote;
    o.has_stdin = strcmp(in->kind->files, "-") == 0;
    if (o.has_stdin) o.old_stdin = stdin_from(in_folder(&in->folder, "in.csv", path));
    PASS(&e, source_open(&o.s, &j, &e));
    job_free(&j);
    return o;
}

static void input_close(struct opened *o)
{
    source_close(&o->s);
    if (o->has_stdin) stdin_back(o->old_stdin);
}

enum { CHUNKS_MAX = 20000 };
struct chunks {
    size_t n;
    struct chunk_data *v[CHUNKS_MAX];
    bool bad; // the last one is
    err_t rc;
    struct err e;
};

static void chunks_free(struct chunks *c)
{
    for (size_t i = 0; i < c->n; i++)
        chunk_data_free(&c->v[i]);
    c->n = 0;
}

static void read_all(struct source *s, uint64_t target, struct chunks *c)
{
    *c = (struct chunks){ 0 };
    for (;;) {
        _Atomic uint64_t t = target;
        struct chunk_data *out, *bad;
        err_t rc = source_next(s, &t, &out, &bad, &c->e);
        assert_true(c->n < CHUNKS_MAX);
        if (rc == ERR_PARSE) {
            assert_non_null(bad);
            c->v[c->n++] = bad;
            c->bad = true;
        } else if (rc != ERR_OK) {
            assert_null(out);
            c->rc = rc;
            return;
        } else if (!out) {
            return;
        } else {
            c->v[c->n++] = out;
        }
    }
}

// ---- what must hold ----

static uint64_t count_lf(const uint8_t *p, size_t n)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n';
    return lines;
}

// What the splitter says of the bytes in one go.
static struct csv_cut records_of(const struct input *in, uint64_t begin, uint64_t end)
{
    struct csv_split s;
    struct csv_cut cut = { 0 };
    struct err e;
    size_t used;
    bool found;
    csv_split_init(&s, &in->dialect, begin, 0);
    PASS(&e, csv_split_feed(&s, in->p + begin, end - begin, UINT64_MAX, &used, &found, &cut,
                            &e));
    PASS(&e, csv_split_finish(&s, &found, &cut, &e));
    assert_true(found);
    return cut;
}

static void check_chunk(const struct input *in, const struct chunk_data *c, bool bad)
{
    size_t n = c->range.end - c->range.begin;
    const uint8_t *p = in->p + c->range.begin;
    assert_true(c->range.begin < c->range.end && c->range.end <= in->n);
    EQ_I64(1 + count_lf(in->p, c->range.begin), c->first_line);
    EQ_I64(count_lf(p, n), c->lines);
    assert_true(hash_equal(hash_bytes(p, n), c->digest));
    if (bad) {
        EQ_I64(1, c->records);
        EQ_I64(in->n, c->range.end);
        EQ_I64(n < REJECT_RAW_MAX ? n : REJECT_RAW_MAX, c->held);
        assert_true(c->unterminated);
    } else {
        struct csv_cut cut = records_of(in, c->range.begin, c->range.end);
        EQ_I64(cut.records, c->records);
        assert_int_equal(cut.unterminated, c->unterminated);
        assert_false(cut.unterminated && c->range.end < in->n);
        EQ_I64(in->kind->by_value ? n : 0, c->held);
    }
    if (c->held) {
        assert_memory_equal(c->bytes, p, c->held);
        volatile uint8_t pad = c->bytes[-CSV_PAD] + c->bytes[c->held + CSV_PAD - 1];
        (void)pad; // asan looks here
    } else {
        assert_null(c->block);
    }
}

static int by_begin(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

static void check_tiling(const struct input *in, struct opened *o, struct range *r,
                         size_t n)
{
    uint32_t n_inputs;
    const struct source_input *pub = source_inputs(o->s, &n_inputs);
    EQ_I64(1, n_inputs);
    EQ_I64(strlen(HEADER), pub->data_begin);
    EQ_I64(in->n, pub->data_end);
    if (n) qsort(r, n, sizeof *r, by_begin);
    uint64_t at = pub->data_begin;
    for (size_t i = 0; i < n; i++) {
        EQ_I64(at, r[i].begin);
        at = r[i].end;
    }
    EQ_I64(in->n, at);
}

static struct chunks *once, *again; // large

static void chunks_tile_any_input(const struct kind *k)
{
    struct noise r = noise_new();
    for (int round = 0; round < 60; round++) {
        struct input in = input_of_noise(k, &r, noise_below(&r, 3000));
        uint64_t target = noise_below(&r, 3) ? noise_below(&r, 400) : 10000;
        struct opened o = input_open(&in);
        read_all(o.s, target, once);
        EQ_I64(ERR_OK, once->rc);
        static struct range ranges[CHUNKS_MAX];
        for (size_t i = 0; i < once->n; i++) {
            bool bad = once->bad && i == once->n - 1;
            check_chunk(&in, once->v[i], bad);
            ranges[i] = once->v[i]->range;
            if (!bad && i + 2 + once->bad < once->n)
                assert_true(ranges[i].end - ranges[i].begin >= target);
        }
        check_tiling(&in, &o, ranges, once->n);
        chunks_free(once);
        input_close(&o);
        input_free(&in);
    }
}

static void large_inputs_are_the_same_at_any_target(const struct kind *k)
{
    struct noise r = noise_new();
    static const uint64_t targets[] = { 0, 1000, 100 << 10, 1 << 20, UINT64_MAX };
    struct input in = input_new(k, 3 << 20);
    for (size_t i = strlen(HEADER); i < in.n; i++) // rare quotes, in pairs
        in.p[i] = i % 1009 < 2 || i % 997 == 3
                      ? '"'
                      : "ab,\n"[noise_below(&r, 500) == 0 ? 3 : noise_below(&r, 3)];
    k->put(&in.folder, in.p, in.n);
    uint64_t records = 0;
    for (size_t t = 1; t < N_OF(targets); t++) {
        struct opened o = input_open(&in);
        read_all(o.s, targets[t], once);
        EQ_I64(ERR_OK, once->rc);
        uint64_t sum = 0, at = strlen(HEADER);
        for (size_t i = 0; i < once->n; i++) {
            EQ_I64(at, once->v[i]->range.begin);
            at = once->v[i]->range.end;
            sum += once->v[i]->records;
            if (t > 1) check_chunk(&in, once->v[i], once->bad && i == once->n - 1);
        }
        EQ_I64(in.n, at);
        if (records) EQ_I64(records, sum);
        records = sum;
        chunks_free(once);
        input_close(&o);
    }
    input_free(&in);
}

static struct committed committed_of(const struct chunk_data *c)
{
    return (struct committed){ c->range, c->lines, c->records, c->unterminated, c->digest };
}

static void resume_reads_exactly_the_gaps(const struct kind *k)
{
    struct noise r = noise_new();
    for (int round = 0; round < 60; round++) {
        struct input in = input_of_noise(k, &r, noise_below(&r, 3000));
        struct opened o = input_open(&in);
        read_all(o.s, noise_below(&r, 300), once);
        input_close(&o);

        static struct committed done[CHUNKS_MAX];
        static struct range ranges[CHUNKS_MAX];
        size_t n = 0, all = 0, keep = noise_below(&r, 5);
        for (size_t i = 0; i < once->n; i++)
            if (noise_below(&r, 4) < keep) {
                done[n++] = committed_of(once->v[i]);
                ranges[all++] = once->v[i]->range;
            }
        bool bad_done = once->bad && n && done[n - 1].range.end == in.n;
        chunks_free(once);

        struct err e;
        o = input_open(&in);
        PASS(&e, source_skip(o.s, 0, done, n, noise_below(&r, 2), &e));
        read_all(o.s, noise_below(&r, 300), again);
        if (again->rc) fail_msg("round %d: %s", round, again->e.text);
        for (size_t i = 0; i < again->n; i++) {
            check_chunk(&in, again->v[i], again->bad && i == again->n - 1);
            ranges[all++] = again->v[i]->range;
        }
        if (bad_done) assert_false(again->bad);
        check_tiling(&in, &o, ranges, all);
        chunks_free(again);
        input_close(&o);
        input_free(&in);
    }
}

// Reads the text with `done` committed of another text; the error is in once->e.
static err_t resume_after(const struct kind *k, const char *before, const char *after,
                          size_t n_done, size_t changed_done)
{
    struct err e;
    struct input in = input_of_text(k, before);
    struct opened o = input_open(&in);
    read_all(o.s, 1, once);
    input_close(&o);
    struct committed done[8];
    assert_true(n_done <= once->n && n_done < N_OF(done));
    size_t n = 0;
    for (size_t i = 0; i < n_done; i++)
        if (i != changed_done) done[n++] = committed_of(once->v[i]);
    chunks_free(once);
    input_free(&in);

    in = input_of_text(k, after);
    o = input_open(&in);
    err_t rc = source_skip(o.s, 0, done, n, false, &e);
    if (rc == ERR_OK) {
        read_all(o.s, 1, once);
        rc = once->rc;
        if (rc == ERR_OK)
            EQ_I64(count_lf(in.p, in.n) - 1 + (in.p[in.n - 1] != '\n') - n, once->n);
        chunks_free(once);
    } else {
        once->e = e;
    }
    input_close(&o);
    input_free(&in);
    return rc;
}

static void said(const char *text)
{
    if (!strstr(once->e.text, text)) fail_msg("'%s' is not in: %s", text, once->e.text);
}

static void a_changed_part_is_refused(const struct kind *k)
{
    EQ_I64(ERR_OK, resume_after(k, "1\n2\n3\n4\n", "1\n2\n3\n4\n", 3, 99));
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2\n3\n4\n", "1\n9\n3\n4\n", 3, 99));
    said("changed: bytes 5-7 are not what was loaded; --fresh starts over");
}

static void a_changed_gap_is_welcome_when_its_records_end_at_its_end(const struct kind *k)
{
    EQ_I64(ERR_OK, resume_after(k, "1\n2\n3\n4\n", "1\n9\n3\n4\n", 3, 1));
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2\n3\n4\n", "1\n223\n4\n", 3, 1));
}

static void a_record_across_the_end_of_a_gap_is_refused(const struct kind *k)
{
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n22\n3\n4\n",
                                     "1\n222"
                                     "3\n4\n",
                                     3, 1));
    said("changed: no record ends at byte 8, where what was loaded before begins");
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n22\n3\n4\n", "1\n\"2\n3\n4\n", 3, 1));
    said("no record ends at byte 8");
}

static void a_shrunken_input_is_refused(const struct kind *k)
{
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2\n3\n4\n", "1\n2\n", 3, 99));
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2\n3\n4\n", "1\n", 3, 1));
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2\n3\n4\n", "1\n2\n3", 3, 99));
}

static void what_is_appended_is_read(const struct kind *k)
{
    EQ_I64(ERR_OK, resume_after(k, "1\n2\n", "1\n2\n3\n4\n", 2, 99));
}

static void growth_after_a_line_without_end_is_refused(const struct kind *k)
{
    EQ_I64(ERR_OK, resume_after(k, "1\n2", "1\n2", 1, 99));
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2", "1\n23\n", 2, 99));
    said("grew after byte 6, where its last line had no line end");
    EQ_I64(ERR_CHANGED, resume_after(k, "1\n2", "1\n2\n3\n", 2, 99));
}

static void an_open_quote_is_one_bad_record(const struct kind *k)
{
    struct input in = input_of_text(k, "1\n2,\"x\n3\n");
    struct opened o = input_open(&in);
    read_all(o.s, 100, once);
    EQ_I64(2, once->n);
    assert_true(once->bad);
    check_chunk(&in, once->v[0], false);
    check_chunk(&in, once->v[1], true);
    EQ_I64(5, once->v[1]->range.begin);
    EQ_I64(3, once->v[1]->first_line);
    said("line 3: the quote at byte 7 is never closed");
    said(k->files[0] == '-' ? "-: " : k->files);
    chunks_free(once);
    input_close(&o);
    input_free(&in);
}

static void an_endless_record_is_held_in_part(const struct kind *k)
{
    struct input in = input_new(k, CSV_RECORD_MAX + (3 << 20));
    memset(in.p + strlen(HEADER), 'x', in.n - strlen(HEADER));
    in.p[10] = '\n';
    in.p[CSV_RECORD_MAX + 1000] = '\n';
    k->put(&in.folder, in.p, in.n);
    struct opened o = input_open(&in);
    read_all(o.s, 1 << 20, once);
    EQ_I64(2, once->n);
    check_chunk(&in, once->v[0], false);
    check_chunk(&in, once->v[1], true);
    EQ_I64(11, once->v[1]->range.begin);
    EQ_I64(REJECT_RAW_MAX, once->v[1]->held);
    said("line 3: the record that begins at byte 11 is longer than");
    chunks_free(once);
    input_close(&o);
    input_free(&in);
}

static void the_target_is_read_at_each_chunk(const struct kind *k)
{
    struct input in = input_of_text(k, "1\n2\n3\n4\n5\n6\n7\n8\n");
    struct opened o = input_open(&in);
    struct err e;
    _Atomic uint64_t target = 2;
    struct chunk_data *out, *bad;
    static const struct {
        uint64_t target, begin, end;
    } want[] = { { 2, 3, 5 }, { 6, 5, 11 }, { 1, 11, 13 }, { 100, 13, 19 } };
    for (size_t i = 0; i < N_OF(want); i++) {
        target = want[i].target;
        PASS(&e, source_next(o.s, &target, &out, &bad, &e));
        EQ_I64(want[i].begin, out->range.begin);
        EQ_I64(want[i].end, out->range.end);
        chunk_data_free(&out);
    }
    PASS(&e, source_next(o.s, &target, &out, &bad, &e));
    assert_null(out);
    input_close(&o);
    input_free(&in);
}

static void a_header_alone_is_no_chunk(const struct kind *k)
{
    struct input in = input_of_text(k, "");
    struct opened o = input_open(&in);
    read_all(o.s, 1, once);
    EQ_I64(ERR_OK, once->rc);
    EQ_I64(0, once->n);
    check_tiling(&in, &o, NULL, 0);
    input_close(&o);
    input_free(&in);
}

static void sampling_takes_nothing_away(const struct kind *k)
{
    struct input in = input_new(k, 1 << 20);
    for (size_t i = strlen(HEADER); i < in.n; i++)
        in.p[i] = i % 8 == 7 ? '\n' : (uint8_t)('1' + i % 8);
    k->put(&in.folder, in.p, in.n);
    struct opened o = input_open(&in);
    struct err e;
    struct schema schema;
    struct buf trial = { 0 };
    uint64_t rows;
    struct job none = { 0 };
    PASS(&e, source_infer(o.s, &none, &schema, &trial, &rows, &e));
    EQ_I64(1, schema.n);
    assert_int_equal(schema.f[0].type, TYPE_INTEGER);
    assert_true(trial.n > 200000 && trial.p[trial.n - 1] == '\n');
    assert_memory_equal(trial.p, in.p + strlen(HEADER), trial.n);
    read_all(o.s, 100000, once);
    EQ_I64(ERR_OK, once->rc);
    uint64_t at = strlen(HEADER);
    for (size_t i = 0; i < once->n; i++) {
        EQ_I64(at, once->v[i]->range.begin);
        check_chunk(&in, once->v[i], false);
        at = once->v[i]->range.end;
    }
    EQ_I64(in.n, at);
    chunks_free(once);
    schema_free(&schema);
    buf_free(&trial);
    input_close(&o);
    input_free(&in);
}

static void halves_are_the_whole(const struct kind *k)
{
    struct noise r = noise_new();
    for (int round = 0; round < 60; round++) {
        struct input in = input_of_noise(k, &r, 1 + noise_below(&r, 2000));
        struct opened o = input_open(&in);
        struct err e;
        read_all(o.s, noise_below(&r, 1000), once);
        for (size_t i = 0; i < once->n; i++) {
            const struct chunk_data *c = once->v[i];
            bool bad = once->bad && i == once->n - 1;
            struct chunk_data *half[2];
            if (k->by_value)
                PASS(&e, source_halve(o.s, c, half, &e));
            else
                PASS(&e, source_reread(o.s, c->range, c->first_line, c->digest, true, half,
                                       &e));
            if (bad && k->by_value) assert_int_equal(half[0]->held, c->held);
            EQ_I64(c->range.begin, half[0]->range.begin);
            EQ_I64(c->range.end, half[half[1] != NULL]->range.end);
            assert_int_equal(half[1] != NULL, c->records > 1);
            if (half[1]) {
                EQ_I64(half[0]->range.end, half[1]->range.begin);
                EQ_I64(c->records, half[0]->records + half[1]->records);
                check_chunk(&in, half[0], false);
                check_chunk(&in, half[1], false);
            } else {
                assert_true(hash_equal(c->digest, half[0]->digest));
            }
            chunk_data_free(&half[0]);
            chunk_data_free(&half[1]);
        }
        chunks_free(once);
        input_close(&o);
        input_free(&in);
    }
}

#define BODY(fn) \
    {            \
#fn, fn  \
    }
static const struct {
    const char *name;
    void (*run)(const struct kind *k);
} bodies[] = {
    BODY(chunks_tile_any_input),
    BODY(large_inputs_are_the_same_at_any_target),
    BODY(resume_reads_exactly_the_gaps),
    BODY(a_changed_part_is_refused),
    BODY(a_changed_gap_is_welcome_when_its_records_end_at_its_end),
    BODY(a_record_across_the_end_of_a_gap_is_refused),
    BODY(a_shrunken_input_is_refused),
    BODY(what_is_appended_is_read),
    BODY(growth_after_a_line_without_end_is_refused),
    BODY(an_open_quote_is_one_bad_record),
    BODY(an_endless_record_is_held_in_part),
    BODY(the_target_is_read_at_each_chunk),
    BODY(a_header_alone_is_no_chunk),
    BODY(sampling_takes_nothing_away),
    BODY(halves_are_the_whole),
};

struct row {
    const char *name;
    size_t kind, body;
};

static void run_row(void **state)
{
    const struct row *row = *state;
    bodies[row->body].run(&kinds[row->kind]);
}

int main(void)
{
    static struct row rows[N_OF(kinds) * N_OF(bodies)];
    static char names[N_OF(rows)][100];
    once = malloc(sizeof *once);
    again = malloc(sizeof *again);
    size_t n = 0;
    for (size_t k = 0; k < N_OF(kinds); k++)
        for (size_t b = 0; b < N_OF(bodies); b++, n++) {
            snprintf(names[n], sizeof names[n], "%s: %s", kinds[k].name, bodies[b].name);
            rows[n] = (struct row){ names[n], k, b };
        }
    int failed = test_main("source", NULL, 0, TABLE(rows, run_row), N_OF(rows));
    free(once);
    free(again);
    return failed;
}
