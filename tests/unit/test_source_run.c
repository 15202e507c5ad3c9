// Files that change while they are read, several files in a row, and chunks read again.
#include "common/csv.h"
#include "tests/source_kit.h"
#include "tests/test.h"
#include <pthread.h>
#include <sys/stat.h>
// Rows enough for several reads of the file.
enum { ROWS = 200000 };
static const char ROW[] = "12345,abcdef\n";
static char *rows_text(size_t *n)
{
    size_t row = strlen(ROW);
    char *p = malloc(ROWS * row + 100);
    *n = (size_t)sprintf(p, "a,b\n");
    for (size_t i = 0; i < ROWS; i++, *n += row)
        memcpy(p + *n, ROW, row);
    return p;
}
struct run {
    struct folder f;
    char path[PATH_SPACE];
    char *text;
    size_t n;
    struct source *s;
    struct err e;
};
static void run_open(struct run *r, const char *tail)
{
    struct err e;
    *r = (struct run){ .f = folder_new() };
    r->text = rows_text(&r->n);
    strcpy(r->text + r->n, tail);
    r->n += strlen(tail);
    put_file(&r->f, "a.csv", r->text, r->n);
    in_folder(&r->f, "a.csv", r->path);
    struct job j = job_of(&r->f, "a.csv");
    PASS(&e, source_open(&r->s, &j, &e));
    job_free(&j);
}
static void run_close(struct run *r)
{
    source_close(&r->s);
    free(r->text);
    folder_rm(&r->f);
}
// Reads up to `max` chunks of 100 KB; *end is where they end.
static err_t run_on(struct run *r, size_t max, uint64_t *end)
{
    _Atomic uint64_t target = 100000;
    struct chunk_data *out = NULL, *bad = NULL;
    err_t rc = ERR_OK;
    for (size_t i = 0; i < max && rc == ERR_OK; i++) {
        rc = source_next(r->s, &target, &out, &bad, &r->e);
        if (!out) break;
        *end = out->range.end;
        chunk_data_free(&out);
    }
    chunk_data_free(&bad);
    return rc;
}
static const struct source_input *input(const struct run *r)
{
    uint32_t n;
    return source_inputs(r->s, &n);
}
static void said(const struct run *r, const char *text)
{
    if (!strstr(r->e.text, text)) fail_msg("'%s' is not in: %s", text, r->e.text);
}
static void a_truncated_file_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    assert_int_equal(truncate(r.path, 1000000), 0);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "a.csv was truncated during the run: bytes 1000000-2600004 are gone");
    run_close(&r);
}
static void a_file_truncated_after_its_last_read_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 25, &end)); // of 26; all bytes are read by now
    assert_int_equal(truncate(r.path, r.n - 1), 0);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "was truncated during the run");
    run_close(&r);
}
static void a_replaced_file_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    char other[PATH_SPACE];
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    put_file(&r.f, "b.csv", r.text, r.n);
    assert_int_equal(rename(in_folder(&r.f, "b.csv", other), r.path), 0);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "a.csv was replaced by another file during the run");
    run_close(&r);
}
static void a_removed_file_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    unlink(r.path);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "a.csv was removed during the run");
    run_close(&r);
}
static void touch(const char *path, time_t when)
{
    struct timespec t[2] = { { when, 0 }, { when, 0 } };
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}
static void a_file_written_in_place_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    touch(r.path, 1);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "a.csv was written to during the run");
    run_close(&r);
}
static void a_file_that_changes_before_its_turn_is_found(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    touch(r.path, 1);
    EQ_I64(ERR_CHANGED, run_on(&r, 1, &end));
    run_close(&r);
}
static void what_is_appended_is_left_to_a_later_run(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    put_bytes(r.path, "6,x\n", 4, "ab");
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    EQ_I64(r.n, end);
    EQ_I64(r.n, input(&r)->data_end);
    run_close(&r);
}
static void a_record_that_was_being_written_is_left_to_a_later_run(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "77,half");
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    put_bytes(r.path, "done\n", 5, "ab");
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    EQ_I64(r.n - 7, end);
    EQ_I64(r.n - 7, input(&r)->data_end);
    run_close(&r);
    run_open(&r, "77,\"half"); // not a quote that is never closed either
    EQ_I64(ERR_OK, run_on(&r, 3, &end));
    put_bytes(r.path, "done\"\n", 6, "ab");
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    EQ_I64(r.n - 8, input(&r)->data_end);
    run_close(&r);
}
static void a_record_that_nobody_goes_on_writing_is_whole(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "77,whole");
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    EQ_I64(r.n, end);
    EQ_I64(r.n, input(&r)->data_end);
    run_close(&r);
}
static void files_come_one_after_the_other(void **state)
{
    (void)state;
    struct folder f = folder_new();
    struct err e;
    struct source *s;
    put_text(&f, "a.csv", "h\n1\n2\n");
    put_text(&f, "b.csv", "h\n\"3\n");
    put_gz(&f, "c.csv.gz", "h\n4\n5", 5, 1);
    struct job j = job_of(&f, "a.csv b.csv c.csv.gz");
    PASS(&e, source_open(&s, &j, &e));
    job_free(&j);
    _Atomic uint64_t target = 1000;
    struct chunk_data *out, *bad;
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    EQ_I64(0, out->range.input);
    EQ_I64(2, out->records);
    chunk_data_free(&out);
    EXPECT(ERR_PARSE, &e, source_next(s, &target, &out, &bad, &e));
    assert_null(out);
    EQ_I64(1, bad->range.input);
    EQ_I64(2, bad->first_line);
    assert_memory_equal(bad->bytes, "\"3\n", 3);
    chunk_data_free(&bad);
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    EQ_I64(2, out->range.input);
    EQ_I64(2, out->first_line);
    EQ_I64(2, out->records);
    assert_true(out->unterminated);
    chunk_data_free(&out);
    PASS(&e, source_next(s, &target, &out, &bad, &e));
    assert_null(out);
    PASS(&e, source_next(s, &target, &out, &bad, &e)); // and stays at the end
    assert_null(out);
    source_close(&s);
    folder_rm(&f);
}
static void a_damaged_gzip_stops_the_run(void **state)
{
    (void)state;
    struct run r = { .f = folder_new() };
    uint64_t end = 0;
    size_t n;
    r.text = rows_text(&n);
    put_gz(&r.f, "a.csv.gz", r.text, n, 1);
    in_folder(&r.f, "a.csv.gz", r.path);
    struct stat st;
    assert_int_equal(stat(r.path, &st), 0);
    assert_int_equal(truncate(r.path, st.st_size - 100), 0);
    struct job j = job_of(&r.f, "a.csv.gz");
    PASS(&r.e, source_open(&r.s, &j, &r.e));
    job_free(&j);
    EQ_I64(ERR_CHANGED, run_on(&r, SIZE_MAX, &end));
    said(&r, "a.csv.gz is damaged: it stops in the middle (truncated?), after ");
    run_close(&r);
}
static void the_ledger_must_make_sense(void **state)
{
    (void)state;
    struct run r;
    run_open(&r, "");
    struct committed c[2] = { { .range = { 0, 4, 30 } }, { .range = { 0, 17, 43 } } };
    EXPECT(ERR_INVALID, &r.e, source_skip(r.s, 0, c, 2, true, &r.e));
    said(&r, "a.csv: the ledger's range 17-43 is out of order");
    c[0].range.begin = 3;
    EXPECT(ERR_CHANGED, &r.e, source_skip(r.s, 0, c, 1, true, &r.e));
    said(&r, "its data begin at byte 4, but bytes 3-30 were loaded");
    EXPECT(ERR_INVALID, &r.e, source_skip(r.s, 1, c, 1, true, &r.e));
    c[0].range = (struct range){ 0, 30, 30 };
    EXPECT(ERR_INVALID, &r.e, source_skip(r.s, 0, c, 1, true, &r.e));
    run_close(&r);
}
static void an_unchanged_file_is_not_read_again(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    struct committed c = { .range = { 0, 4, 4 + 13 }, .lines = 1 }; // with no right digest
    PASS(&r.e, source_skip(r.s, 0, &c, 1, true, &r.e));
    EXPECT(ERR_CHANGED, &r.e, source_skip(r.s, 0, &c, 1, false, &r.e));
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    run_close(&r);
}
// ---- chunks read again ----
static struct chunk_data *first_chunk(struct run *r)
{
    _Atomic uint64_t target = 100000;
    struct chunk_data *out, *bad;
    PASS(&r->e, source_next(r->s, &target, &out, &bad, &r->e));
    assert_non_null(out);
    return out;
}
static void a_range_is_read_again(void **state)
{
    (void)state;
    struct run r;
    run_open(&r, "");
    struct chunk_data *c = first_chunk(&r), *out[2];
    PASS(&r.e, source_reread(r.s, c->range, c->first_line, c->digest, false, out, &r.e));
    assert_null(out[1]);
    size_t n = c->range.end - c->range.begin;
    EQ_I64(n, out[0]->held);
    assert_memory_equal(out[0]->bytes, r.text + c->range.begin, n);
    EQ_I64(c->records, out[0]->records);
    EQ_I64(c->first_line, out[0]->first_line);
    chunk_data_free(&out[0]);
    chunk_data_free(&c);
    run_close(&r);
}
static void a_changed_range_is_not_read_again(void **state)
{
    (void)state;
    struct run r;
    run_open(&r, "");
    struct chunk_data *c = first_chunk(&r), *out[2];
    int fd = open(r.path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, (off_t)c->range.begin + 5), 1);
    EXPECT(ERR_CHANGED, &r.e,
           source_reread(r.s, c->range, c->first_line, c->digest, true, out, &r.e));
    said(&r, "a.csv changed during the run: bytes 4-100");
    assert_null(out[0]);
    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
    EXPECT(ERR_CHANGED, &r.e,
           source_reread(r.s, c->range, c->first_line, c->digest, false, out, &r.e));
    unlink(r.path);
    EXPECT(ERR_CHANGED, &r.e,
           source_reread(r.s, c->range, c->first_line, c->digest, false, out, &r.e));
    said(&r, "changed during the run: a.csv does not exist");
    struct range wrong = { 9, 0, 1 };
    EXPECT(ERR_INVALID, &r.e, source_reread(r.s, wrong, 1, c->digest, false, out, &r.e));
    chunk_data_free(&c);
    run_close(&r);
}
static void halving_ends_at_single_records(void **state)
{
    (void)state;
    struct run r;
    run_open(&r, "");
    struct chunk_data *c = first_chunk(&r), *out[2];
    size_t steps = 0;
    for (uint64_t records = c->records; records > 1; steps++) {
        PASS(&r.e, source_reread(r.s, c->range, c->first_line, c->digest, true, out, &r.e));
        assert_true(out[0]->records * 3 + 3 > records && out[1]->records * 3 + 3 > records);
        EQ_I64(records, out[0]->records + out[1]->records);
        EQ_I64(out[0]->first_line + out[0]->lines, out[1]->first_line);
        chunk_data_free(&c);
        chunk_data_free(&out[steps % 2]);
        c = out[!(steps % 2)];
        records = c->records;
    }
    assert_true(steps < 20);
    EQ_I64(strlen(ROW), c->range.end - c->range.begin);
    chunk_data_free(&c);
    run_close(&r);
}
struct rereader {
    struct run *r;
    const struct chunk_data *c;
    size_t done;
};
static void *reread_often(void *arg)
{
    struct rereader *t = arg;
    for (int i = 0; i < 20; i++) {
        struct chunk_data *out[2];
        struct err e;
        t->done += source_reread(t->r->s, t->c->range, t->c->first_line, t->c->digest,
                                 i % 2, out, &e) == ERR_OK;
        chunk_data_free(&out[0]);
        chunk_data_free(&out[1]);
    }
    return NULL;
}
static void other_threads_may_read_again(void **state)
{
    (void)state;
    struct run r;
    uint64_t end = 0;
    run_open(&r, "");
    struct chunk_data *c = first_chunk(&r);
    struct rereader t[2] = { { &r, c, 0 }, { &r, c, 0 } };
    pthread_t id[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&id[i], NULL, reread_often, &t[i]), 0);
    EQ_I64(ERR_OK, run_on(&r, SIZE_MAX, &end));
    for (size_t i = 0; i < 2; i++) {
        pthread_join(id[i], NULL);
        EQ_I64(20, t[i].done);
    }
    EQ_I64(r.n, end);
    chunk_data_free(&c);
    run_close(&r);
}
int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_truncated_file_is_found),
        cmocka_unit_test(a_file_truncated_after_its_last_read_is_found),
        cmocka_unit_test(a_replaced_file_is_found),
        cmocka_unit_test(a_removed_file_is_found),
        cmocka_unit_test(a_file_written_in_place_is_found),
        cmocka_unit_test(a_file_that_changes_before_its_turn_is_found),
        cmocka_unit_test(what_is_appended_is_left_to_a_later_run),
        cmocka_unit_test(a_record_that_was_being_written_is_left_to_a_later_run),
        cmocka_unit_test(a_record_that_nobody_goes_on_writing_is_whole),
        cmocka_unit_test(files_come_one_after_the_other),
        cmocka_unit_test(a_damaged_gzip_stops_the_run),
        cmocka_unit_test(the_ledger_must_make_sense),
        cmocka_unit_test(an_unchanged_file_is_not_read_again),
        cmocka_unit_test(a_range_is_read_again),
        cmocka_unit_test(a_changed_range_is_not_read_again),
        cmocka_unit_test(halving_ends_at_single_records),
        cmocka_unit_test(other_threads_may_read_again),
    };
    return test_main("source_run", tests, N_OF(tests), NULL, 0);
}
