#include "coordinator/source_stream.h"

#include "common/csv.h"

#include "tests/source_kit.h"
#include "tests/test.h"

static uint8_t *text_of(size_t n)
{
    uint8_t *p = malloc(n);
    uint64_t x = 7;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        p[i] = i % 30 == 29 ? '\n' : (uint8_t)("abcdefgh"[x >> 61]);
    }
    return p;
}

// Reads everything in pieces of `piece`; *n is what came.
static err_t read_to_end(const struct folder *f, const char *name, size_t piece,
                         uint8_t *to, size_t cap, size_t *n, struct err *e)
{
    char path[PATH_SPACE];
    struct stream *s;
    *n = 0;
    TRY(stream_open(&s, in_folder(f, name, path), name, e));
    err_t rc = ERR_OK;
    for (size_t got = 1; got && rc == ERR_OK && *n < cap; *n += rc == ERR_OK ? got : 0) {
        EQ_I64(*n, stream_offset(s));
        rc = stream_read(s, to + *n, piece < cap - *n ? piece : cap - *n, &got, e);
    }
    stream_close(&s);
    return rc;
}

static void expect_same(const struct folder *f, const char *name, const uint8_t *p,
                        size_t n)
{
    static const size_t pieces[] = { 1000, 4096, 70000, 1 << 20 };
    struct err e;
    uint8_t *to = malloc(n + 100);
    size_t got;
    for (size_t i = 0; i < N_OF(pieces); i++) {
        PASS(&e, read_to_end(f, name, pieces[i], to, n + 100, &got, &e));
        EQ_I64(n, got);
        assert_memory_equal(to, p, n);
    }
    free(to);
}

static void every_kind_gives_the_same_bytes(void **state)
{
    (void)state;
    struct folder f = folder_new();
    size_t n = 700001;
    uint8_t *p = text_of(n);
    put_file(&f, "a.csv", p, n);
    expect_same(&f, "a.csv", p, n);
    for (size_t parts = 1; parts <= 7; parts += 3) {
        put_gz(&f, "a.csv.gz", p, n, parts);
        expect_same(&f, "a.csv.gz", p, n);
        put_zst(&f, "a.csv.zst", p, n, parts);
        expect_same(&f, "a.csv.zst", p, n);
    }
    free(p);
    folder_rm(&f);
}

static void empty_streams_are_empty(void **state)
{
    (void)state;
    struct folder f = folder_new();
    put_text(&f, "a.csv", "");
    put_gz(&f, "a.csv.gz", "", 0, 3);
    put_zst(&f, "a.csv.zst", "", 0, 3);
    expect_same(&f, "a.csv", (const uint8_t *)"", 0);
    expect_same(&f, "a.csv.gz", (const uint8_t *)"", 0);
    expect_same(&f, "a.csv.zst", (const uint8_t *)"", 0);
    folder_rm(&f);
}

static void zeros_after_gzip_are_padding(void **state)
{
    (void)state;
    struct folder f = folder_new();
    char path[PATH_SPACE];
    static const uint8_t zeros[200000];
    put_gz(&f, "a.gz", "x,y\n", 4, 1);
    put_bytes(in_folder(&f, "a.gz", path), zeros, sizeof zeros, "ab");
    expect_same(&f, "a.gz", (const uint8_t *)"x,y\n", 4);
    folder_rm(&f);
}

static void other_bytes_after_gzip_are_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    char path[PATH_SPACE];
    uint8_t to[100];
    size_t n;
    put_gz(&f, "a.gz", "x,y\n", 4, 1);
    put_bytes(in_folder(&f, "a.gz", path), "more", 4, "ab");
    EXPECT(ERR_CHANGED, &e, read_to_end(&f, "a.gz", 100, to, 100, &n, &e));
    assert_non_null(strstr(e.text,
                           "a.gz is damaged: bytes that are not gzip follow its data, "
                           "after 4 decompressed bytes"));
    folder_rm(&f);
}

static uint8_t *slurp(const struct folder *f, const char *name, size_t *n)
{
    char path[PATH_SPACE];
    FILE *in = fopen(in_folder(f, name, path), "rb");
    assert_non_null(in);
    uint8_t *p = malloc(1 << 20);
    *n = fread(p, 1, 1 << 20, in);
    fclose(in);
    return p;
}

struct damage_row {
    const char *name, *file;
};
static const struct damage_row damage_rows[] = {
    { "gzip", "a.csv.gz" },
    { "zstd", "a.csv.zst" },
};

static void put_packed(const struct folder *f, const char *name, const uint8_t *p, size_t n)
{
    if (strstr(name, ".gz"))
        put_gz(f, name, p, n, 2);
    else
        put_zst(f, name, p, n, 2);
}

static void every_truncation_is_found(void **state)
{
    const struct damage_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    size_t n = 3000, packed, got;
    uint8_t *p = text_of(n), to[4000];
    put_packed(&f, row->file, p, n);
    uint8_t *z = slurp(&f, row->file, &packed);
    size_t whole = 0;
    for (size_t cut = 0; cut < packed; cut++) {
        put_file(&f, row->file, z, cut);
        err_t rc = read_to_end(&f, row->file, 1000, to, sizeof to, &got, &e);
        if (rc == ERR_OK) { // cut between its two parts
            EQ_I64(n / 2, got);
            whole++;
        } else {
            assert_true(rc == ERR_CHANGED || (rc == ERR_INVALID && cut < 4));
            assert_memory_equal(to, p, got);
        }
    }
    EQ_I64(1, whole);
    free(z);
    free(p);
    folder_rm(&f);
}

static void a_truncation_says_where(void **state)
{
    const struct damage_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    size_t n = 300000, packed, got;
    uint8_t *p = text_of(n), *to = malloc(n);
    put_packed(&f, row->file, p, n);
    uint8_t *z = slurp(&f, row->file, &packed);
    put_file(&f, row->file, z, packed - 20);
    EXPECT(ERR_CHANGED, &e, read_to_end(&f, row->file, 1000, to, n, &got, &e));
    assert_non_null(
        strstr(e.text, " is damaged: it stops in the middle (truncated?), after "));
    assert_non_null(strstr(e.text, row->file));
    free(to);
    free(z);
    free(p);
    folder_rm(&f);
}

static void no_flipped_bit_of_gzip_gives_other_bytes(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    size_t n = 2000, packed, got;
    uint8_t *p = text_of(n), to[3000];
    put_gz(&f, "a.gz", p, n, 1);
    uint8_t *z = slurp(&f, "a.gz", &packed);
    for (size_t bit = 0; bit < packed * 8; bit += 7) {
        z[bit / 8] ^= (uint8_t)(1u << bit % 8);
        put_file(&f, "a.gz", z, packed);
        if (read_to_end(&f, "a.gz", 700, to, sizeof to, &got, &e) == ERR_OK) {
            EQ_I64(n, got); // a bit of the header that says nothing of the data
            assert_memory_equal(to, p, n);
        }
        z[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(z);
    free(p);
    folder_rm(&f);
}

static void a_name_that_lies_is_refused(void **state)
{
    const struct damage_row *row = *state;
    struct folder f = folder_new();
    struct err e;
    size_t n;
    uint8_t to[10];
    put_text(&f, row->file, "a,b\n1,2\n");
    EXPECT(ERR_INVALID, &e, read_to_end(&f, row->file, 10, to, 10, &n, &e));
    assert_non_null(strstr(e.text, "whatever its name says"));
    folder_rm(&f);
}

static void peeking_takes_nothing(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    char path[PATH_SPACE];
    size_t n = 300000, got;
    uint8_t *p = text_of(n), *to = malloc(n + 10);
    static const char *names[] = { "a.csv", "a.csv.gz", "a.csv.zst" };
    put_file(&f, names[0], p, n);
    put_gz(&f, names[1], p, n, 1);
    put_zst(&f, names[2], p, n, 1);
    for (size_t i = 0; i < N_OF(names); i++) {
        struct stream *s;
        struct slice ahead;
        PASS(&e, stream_open(&s, in_folder(&f, names[i], path), names[i], &e));
        for (size_t want = 10; want < 2 * n; want *= 7) {
            PASS(&e, stream_peek(s, want, &ahead, &e));
            EQ_I64(want < n ? want : n, ahead.n);
            assert_memory_equal(ahead.p, p, ahead.n);
            EQ_I64(0, ahead.p[-1] + ahead.p[-CSV_PAD]);
        }
        PASS(&e, stream_peek(s, 5, &ahead, &e));
        EQ_I64(5, ahead.n);
        PASS(&e, stream_read(s, to, 100, &got, &e));
        EQ_I64(100, stream_offset(s));
        PASS(&e, stream_read(s, to + 100, n, &got, &e));
        EQ_I64(n - 100, got);
        assert_memory_equal(to, p, n);
        stream_close(&s);
    }
    free(to);
    free(p);
    folder_rm(&f);
}

static void refusals_name_the_path(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct stream *s;
    char path[PATH_SPACE];
    EXPECT(ERR_INVALID, &e, stream_open(&s, in_folder(&f, "no.csv", path), "no.csv", &e));
    assert_string_equal(e.text, "no.csv does not exist");
    EXPECT(ERR_INVALID, &e, stream_open(&s, f.path, "data", &e));
    assert_string_equal(e.text,
                        "data is a folder: name the files in it, like 'data/*.csv'");
    EXPECT(ERR_INVALID, &e, stream_open(&s, "/dev/null", "/dev/null", &e));
    assert_string_equal(e.text, "/dev/null is neither a file nor a pipe");
    folder_rm(&f);
}

static void a_file_without_permission_is_refused(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct stream *s;
    char path[PATH_SPACE];
    put_text(&f, "secret.csv", "a\n1\n");
    chmod(in_folder(&f, "secret.csv", path), 0);
    chmod(f.path, 0755);
    uid_t me = geteuid();
    if (me == 0) assert_int_equal(seteuid(65534), 0);
    err_t rc = stream_open(&s, path, "secret.csv", &e);
    if (me == 0) assert_int_equal(seteuid(me), 0);
    assert_int_equal(rc, ERR_IO);
    assert_string_equal(e.text, "cannot open secret.csv: Permission denied");
    folder_rm(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_the_same_bytes),
        cmocka_unit_test(empty_streams_are_empty),
        cmocka_unit_test(zeros_after_gzip_are_padding),
        cmocka_unit_test(other_bytes_after_gzip_are_refused),
        cmocka_unit_test(no_flipped_bit_of_gzip_gives_other_bytes),
        cmocka_unit_test(peeking_takes_nothing),
        cmocka_unit_test(refusals_name_the_path),
        cmocka_unit_test(a_file_without_permission_is_refused),
    };
    size_t n = N_OF(damage_rows);
    int failed = test_main("source_stream", tests, N_OF(tests), NULL, 0);
    failed +=
        test_main("truncation", NULL, 0, TABLE(damage_rows, every_truncation_is_found), n);
    failed += test_main("where", NULL, 0, TABLE(damage_rows, a_truncation_says_where), n);
    return failed +
           test_main("lie", NULL, 0, TABLE(damage_rows, a_name_that_lies_is_refused), n);
}
