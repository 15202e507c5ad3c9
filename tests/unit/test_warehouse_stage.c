// Aggregates and merge.sql into text: the table that is made at the end, exactly once,
// whatever happens before.

#include "tests/warehouse_text.h"

#include <fcntl.h>
#include <sys/resource.h>

struct staged {
    struct kit k;
    struct spec spec;
    struct load_merge merge;
};

static void staged_init(struct staged *s, const char *format, const char *name)
{
    *s = (struct staged){ 0 };
    text_kit(&s->k, format, name);
    s->k.ops = s->k.ops->merging;
    s->merge = (struct load_merge){ .spec = &s->spec,
                                    .rows = &s->k.schema,
                                    .sql = "SELECT * FROM parts ORDER BY a",
                                    .memory_bytes = 1 << 20 };
    s->k.id.mode = MODE_REPLACE;
    s->k.id.merge = &s->merge;
}

static int set_up(void **state)
{
    struct staged *s = malloc(sizeof *s);
    if (!s) return -1;
    staged_init(s, "csv", "out.csv");
    kit_open(&s->k);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct staged *s = *state;
    kit_free(&s->k);
    free(s);
    return 0;
}

// The same output as one that rows are appended to.
static void plain(struct staged *s, bool plainly)
{
    kit_close(&s->k);
    s->k.ops = warehouse_find(s->k.url);
    if (!plainly) s->k.ops = s->k.ops->merging;
    s->k.id.mode = plainly ? MODE_APPEND : MODE_REPLACE;
    s->k.id.merge = plainly ? NULL : &s->merge;
    kit_open(&s->k);
}

static void finish(struct kit *k, uint64_t end, bool swap)
{
    struct err e;
    struct ledger_row totals[3];
    PASS(&e, k->ops->finish(k->w, (const uint64_t[]){ end }, swap, totals, &e));
}

static void load(struct kit *k, uint64_t end)
{
    kit_begin(k);
    kit_commit(k, 0, 10, end);
    finish(k, end, true);
}

static void ledger_has(const struct kit *k, long long tables, const char *like)
{
    struct kit ledger = *k;
    char sql[200];
    snprintf(ledger.path, sizeof ledger.path, "%s/out.csv.ledger", k->dir);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%s'",
             like);
    EQ_I64(tables, kit_count(&ledger, sql));
}

static void nothing_is_staged(const struct kit *k)
{
    ledger_has(k, 0, "%!_!_tranche%' ESCAPE '!");
    for (int load = 1; load < 5; load++) {
        char name[40];
        snprintf(name, sizeof name, "out.csv__tranche_%d", load);
        is(k, name, NULL);
    }
}

// ---- exactly once

static const struct death {
    const char *name; // the point, and how often it is passed
    const char *format;
} DEATHS[] = {
#define AT(point)      \
    { point, "csv" },  \
    {                  \
        point, "jsonl" \
    }
    AT("begin-before"),          AT("begin-before-commit"),  AT("begin-after-commit"),
    AT("note-after-commit"),     AT("commit-before-begin"),  AT("commit-after-rows:2"),
    AT("commit-after-ledger:9"), AT("commit-before-commit"), AT("commit-after-commit"),
    AT("finish-before-begin"),   AT("merge-before"),         AT("merge-after-aggregate"),
    AT("merge-after-sql"),       AT("file-after-create"),    AT("stage-after-write"),
    AT("stage-after-rename"),    AT("finish-before-commit"), AT("finish-after-commit"),
};

static void the_same_command_goes_on_after_death(void **state)
{
#ifdef TRANCHE_TEST_HOOKS
    const struct death *d = *state;
    struct staged s;
    struct err e;
    unsigned seen[N_CHUNKS * CHUNK / 10 + 1] = { 0 }, headers = 0;
    staged_init(&s, d->format, "out.csv");
    put(&s.k, "out.csv", "w", "old\n");
    text_die_at(&s.k, d->name);
    const char *now = whole(&s.k, "out.csv");
    if (strcmp(now, "old\n") != 0) count_rows(now, seen, &headers); // never a part of it
    memset(seen, 0, sizeof seen);
    headers = 0;
    PASS(&e, run_job(&s.k, 0, &e));
    count_rows(whole(&s.k, "out.csv"), seen, &headers);
    EQ_I64(strcmp(d->format, "csv") == 0, headers);
    for (int i = 1; i <= N_CHUNKS * CHUNK / 10; i++)
        EQ_I64(1, seen[i]);
    nothing_is_staged(&s.k);
    kit_free(&s.k);
#else
    (void)state, (void)text_die_at, (void)count_rows;
    skip(); // this build has no points to die at
#endif
}

// ---- what stands in the file

static void the_table_takes_the_old_files_place_at_the_end(void **state)
{
    struct staged *s = *state;
    put(&s->k, "out.csv", "w", "what,ever\n");
    s->merge.sql = "SELECT b, a * 0.5 AS half, NULL AS none, '' AS empty FROM parts "
                   "WHERE a <> 2 ORDER BY a DESC";
    kit_begin(&s->k);
    kit_commit(&s->k, 0, 10, 40);
    is(&s->k, "out.csv", "what,ever\n");
    finish(&s->k, 40, true);
    is(&s->k, "out.csv", "b,half,none,empty\nr3,1.5,,\"\"\nr1,0.5,,\"\"\n");
    EQ_I64(2, s->merge.rows_out);
    nothing_is_staged(&s->k);
    load(&s->k, 20);
    is(&s->k, "out.csv", "b,half,none,empty\nr1,0.5,,\"\"\n");
}

static void a_table_without_a_row_is_a_header(void **state)
{
    struct staged *s = *state;
    s->merge.sql = "SELECT a FROM parts WHERE a < 0";
    load(&s->k, 40);
    is(&s->k, "out.csv", "a\n");
}

static void many_rows_and_long_texts_are_all_there(void **state)
{
    struct staged *s = *state;
    s->merge.sql = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE "
                   "n < 3000) SELECT n, printf('%.*c', 1 + n % 700, '\"') AS t FROM i";
    load(&s->k, 20);
    char path[200], line[2000];
    snprintf(path, sizeof path, "%s/out.csv", s->k.dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    for (size_t n = 1; n <= 3000; n++) {
        assert_non_null(fgets(line, sizeof line, f));
        EQ_I64(n, atoll(line));
        size_t digits = strcspn(line, ",");
        EQ_I64(digits + 1 + 2 + 2 * (1 + n % 700) + 1, strlen(line)); // quotes are doubled
    }
    assert_null(fgets(line, sizeof line, f));
    fclose(f);
}

static void past_the_limit_of_bad_rows_the_old_file_stands(void **state)
{
    struct staged *s = *state;
    load(&s->k, 20);
    kit_begin(&s->k);
    kit_commit(&s->k, 0, 10, 40);
    finish(&s->k, 40, false);
    is(&s->k, "out.csv", "a,b\n1,r1\n");
    nothing_is_staged(&s->k);
}

static void room_that_the_parts_took_is_given_back(void **state)
{
    struct staged *s = *state;
    struct stat st;
    char path[200];
    kit_begin(&s->k);
    for (uint64_t i = 0; i < 40; i++) { // some MiB
        s->k.images.n = 0;
        kit_commit(&s->k, 0, 10 + i * 100000, 10 + (i + 1) * 100000);
    }
    s->merge.sql = "SELECT count(*) AS n FROM parts";
    finish(&s->k, 10 + 40 * 100000, true);
    is(&s->k, "out.csv", "n\n400000\n");
    snprintf(path, sizeof path, "%s/out.csv.ledger", s->k.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 1 << 20);
}

// ---- other loads of the same file

static void rows_of_another_job_are_appended_behind_the_table(void **state)
{
    struct staged *s = *state;
    load(&s->k, 30);
    plain(s, true);
    load(&s->k, 20);
    is(&s->k, "out.csv", "a,b\n1,r1\n2,r2\n1,r1\n");
    plain(s, false);
    load(&s->k, 20);
    is(&s->k, "out.csv", "a,b\n1,r1\n");
}

static void an_unfinished_table_stands_in_the_way_of_other_jobs(void **state)
{
    struct staged *s = *state;
    struct err e;
    kit_begin(&s->k);
    kit_commit(&s->k, 0, 10, 40);
    plain(s, true);
    EXPECT(ERR_INVALID, &e, kit_try_begin(&s->k, &e));
    says(e.text, "has another unfinished load: load 1");
    s->k.id.fresh = true;
    load(&s->k, 30);
    is(&s->k, "out.csv", "a,b\n1,r1\n2,r2\n");
    nothing_is_staged(&s->k);
}

// What was appended and dropped must not come back as rows of somebody else.
static void what_fresh_drops_of_an_append_is_cut_off(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct staged s;
        staged_init(&s, "csv", "out.csv");
        plain(&s, true);
        load(&s.k, 20);
        s.k.id.sources = "more";
        kit_begin(&s.k);
        kit_commit(&s.k, 0, 10, 40);
        kit_close(&s.k);
        put(&s.k, "out.csv", "a", "4,\"torn");
        plain(&s, false);
        s.k.id.fresh = true;
        kit_begin(&s.k);
        is(&s.k, "out.csv", "a,b\n1,r1\n");
        kit_commit(&s.k, 0, 10, 40);
        finish(&s.k, 40, swap);
        s.k.id.fresh = false;
        plain(&s, true);
        load(&s.k, 30);
        is(&s.k, "out.csv",
           swap ? "a,b\n1,r1\n2,r2\n3,r3\n1,r1\n2,r2\n" : "a,b\n1,r1\n1,r1\n2,r2\n");
        kit_free(&s.k);
    }
}

static void an_input_is_no_output(void **state)
{
    struct staged *s = *state;
    struct err e;
    struct stat st;
    put(&s->k, "out.csv", "w", "a,b\n");
    assert_int_equal(stat(s->k.path, &st), 0);
    s->k.inputs[0] =
        (struct load_input){ .name = (char *)(uintptr_t) "out.csv",
                             .size = (uint64_t)st.st_size,
                             .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
                                         st.st_mtim.tv_nsec,
                             .ino = st.st_ino };
    EXPECT(ERR_INVALID, &e, kit_try_begin(&s->k, &e));
    says(e.text, "is among the inputs");
}

// ---- no room

static void a_disk_that_is_full_at_the_end_is_said_and_tried_again(void **state)
{
    struct staged *s = *state;
    struct err e;
    struct ledger_row totals[3];
    struct rlimit was, few;
    s->merge.sql = "SELECT printf('%.*c', 3000, 'x') AS t, p.a FROM parts, parts AS p";
    kit_begin(&s->k);
    kit_commit(&s->k, 0, 10, 510);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    few = (struct rlimit){ 400000, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    EXPECT(ERR_FULL, &e, kit_try_finish(&s->k, 510, totals, &e));
    says(e.text, "no space left");
    is(&s->k, "out.csv", NULL);
    is(&s->k, "out.csv__tranche_1", NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    PASS(&e, kit_try_finish(&s->k, 510, totals, &e));
    EQ_I64(2500, s->merge.rows_out);
    nothing_is_staged(&s->k);
}

static void a_text_that_does_not_fit_leaves_no_file(void **state)
{
    struct staged *s = *state;
    struct err e;
    struct ledger_row totals[3];
    struct rlimit was, few;
    char sql[3000]; // short in the database, long as text
    kit_close(&s->k);
    s->k.ops = &warehouse_jsonl_merged;
    snprintf(s->k.url, sizeof s->k.url, "jsonl:%s", s->k.path);
    kit_open(&s->k);
    snprintf(sql, sizeof sql, "SELECT p.a AS \"%02000d\" FROM parts, parts AS p", 0);
    s->merge.sql = sql;
    kit_begin(&s->k);
    kit_commit(&s->k, 0, 10, 510);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    few = (struct rlimit){ 1 << 20, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    EXPECT(ERR_FULL, &e, kit_try_finish(&s->k, 510, totals, &e));
    says(e.text, "no space left for ");
    says(e.text, "out.csv (File too large)");
    is(&s->k, "out.csv", NULL);
    is(&s->k, "out.csv__tranche_1", NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    PASS(&e, kit_try_finish(&s->k, 510, totals, &e));
    nothing_is_staged(&s->k);
}

// ---- standard output

struct caught { // standard output, while it goes to a file
    int fd, was;
};

static struct caught catch_stdout(void)
{
    struct caught c = { open("/tmp", O_TMPFILE | O_RDWR, 0600), dup(STDOUT_FILENO) };
    assert_true(c.fd >= 0 && c.was >= 0);
    fflush(stdout);
    assert_true(dup2(c.fd, STDOUT_FILENO) >= 0);
    return c;
}

static void stdout_was(struct caught *c, const char *want)
{
    char got[4096];
    assert_true(dup2(c->was, STDOUT_FILENO) >= 0);
    ssize_t n = pread(c->fd, got, sizeof got - 1, 0);
    assert_true(n >= 0);
    got[n] = 0;
    close(c->fd);
    close(c->was);
    assert_string_equal(want, got);
}

static void open_stdout(struct staged *s, const char *url)
{
    staged_init(s, "csv", "out.csv");
    snprintf(s->k.url, sizeof s->k.url, "%s", url);
    s->k.ops = warehouse_find(url)->merging;
    kit_open(&s->k);
}

static void stdout_gets_the_table_when_all_is_in(void **state)
{
    static const char *const urls[] = { "stdout:", "stdout:jsonl" };
    static const char *const wants[] = {
        "b,a\nr2,2\nr1,1\n", "{\"b\":\"r2\",\"a\":2}\n{\"b\":\"r1\",\"a\":1}\n"
    };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct staged s;
        open_stdout(&s, urls[i]);
        s.merge.sql = "SELECT b, a FROM parts ORDER BY a DESC";
        kit_begin(&s.k);
        assert_true(s.k.ops->forgets);
        kit_commit(&s.k, 0, 10, 30);
        struct caught c = catch_stdout();
        finish(&s.k, 30, true);
        stdout_was(&c, wants[i]);
        kit_free(&s.k);
    }
}

static void stdout_gets_nothing_past_the_limit_of_bad_rows(void **state)
{
    (void)state;
    struct staged s;
    open_stdout(&s, "stdout:");
    kit_begin(&s.k);
    kit_commit(&s.k, 0, 10, 30);
    struct caught c = catch_stdout();
    finish(&s.k, 30, false);
    stdout_was(&c, "");
    kit_free(&s.k);
}

static void rejects_of_stdout_are_said(void **state)
{
    (void)state;
    struct staged s;
    struct err e;
    struct rejects list = { 0 };
    bool dup;
    size_t failed;
    open_stdout(&s, "stdout:");
    kit_begin(&s.k);
    struct result r = kit_result(&s.k, 0, 10, 20);
    for (unsigned i = 1; i <= 12; i++) {
        const struct reject one = { .line = i,
                                    .column = { (const uint8_t *)"a", 1 },
                                    .reason = { (const uint8_t *)"no", 2 },
                                    .raw = { (const uint8_t *)"x", 1 } };
        PASS(&e, rejects_add(&list, &one, &e));
    }
    r.row.rows_read = 13;
    r.row.rows_rejected = 12;
    r.rejects = (struct slice){ list.bytes.p, list.bytes.n };
    PASS(&e, s.k.ops->commit(s.k.w, &r, 1, &dup, &failed, &e));
    struct caught c = catch_stdout();
    finish(&s.k, 20, true);
    stdout_was(&c, "a,b\n1,r1\n");
    says(s.k.said, "rejected: one.csv, line 1, a: no\n");
    says(s.k.said, "rejected: one.csv, line 10, a: no\nfurther rejected rows are counted");
    assert_null(strstr(s.k.said, "line 11"));
    rejects_free(&list);
    kit_free(&s.k);
}

static void who_closes_stdout_ends_the_run(void **state)
{
    (void)state;
    struct staged s;
    struct err e;
    struct ledger_row totals[3];
    int ends[2], was = dup(STDOUT_FILENO);
    open_stdout(&s, "stdout:");
    kit_begin(&s.k);
    kit_commit(&s.k, 0, 10, 20);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    fflush(stdout);
    assert_true(dup2(ends[1], STDOUT_FILENO) >= 0);
    err_t rc = kit_try_finish(&s.k, 20, totals, &e);
    assert_true(dup2(was, STDOUT_FILENO) >= 0);
    close(ends[1]);
    close(was);
    assert_int_equal(rc, ERR_CLOSED);
    says(e.text, "has closed it");
    kit_free(&s.k);
}

static void a_temporary_file_that_is_lost_is_said(void **state)
{
    (void)state;
    struct staged s;
    struct err e;
    bool dup;
    open_stdout(&s, "stdout:");
    kit_begin(&s.k);
    kit_commit(&s.k, 0, 10, 20);
    wsq_give_up(s.k.w);
    EXPECT(ERR_DB, &e, kit_try_commit(&s.k, 0, 20, 30, &dup, &e));
    says(e.text, "the temporary file is lost after an error: run it again");
    kit_free(&s.k);
}

static void cap_pages(struct warehouse *w, const char *most)
{
    struct err e;
    PASS(&e, wsq_exec(w, &e, "limiting", "%s", most));
}

static void a_temporary_file_without_room_waits_and_goes_on(void **state)
{
    (void)state;
    struct staged s;
    struct err e;
    bool dup;
    open_stdout(&s, "stdout:");
    kit_begin(&s.k);
    kit_commit(&s.k, 0, 10, 20);
    cap_pages(s.k.w, "PRAGMA max_page_count=1"); // as many as there are
    EXPECT(ERR_FULL, &e, kit_try_commit(&s.k, 0, 20, 20000, &dup, &e));
    cap_pages(s.k.w, "PRAGMA max_page_count=1000000");
    PASS(&e, kit_try_commit(&s.k, 0, 20, 20000, &dup, &e));
    kit_free(&s.k);
}

static void params_of_text_are_refused(void **state)
{
    struct staged *s = *state;
    struct err e;
    struct arena mem = { 0 };
    struct cell value;
    EXPECT(ERR_INVALID, &e, s->k.ops->query_value(s->k.w, "SELECT 1", &mem, &value, &e));
    says(e.text, "has no tables to read parameters from");
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        EACH(the_table_takes_the_old_files_place_at_the_end),
        EACH(a_table_without_a_row_is_a_header),
        EACH(many_rows_and_long_texts_are_all_there),
        EACH(past_the_limit_of_bad_rows_the_old_file_stands),
        EACH(room_that_the_parts_took_is_given_back),
        EACH(rows_of_another_job_are_appended_behind_the_table),
        EACH(an_unfinished_table_stands_in_the_way_of_other_jobs),
        EACH(what_fresh_drops_of_an_append_is_cut_off),
        EACH(an_input_is_no_output),
        EACH(a_disk_that_is_full_at_the_end_is_said_and_tried_again),
        EACH(a_text_that_does_not_fit_leaves_no_file),
        cmocka_unit_test(stdout_gets_the_table_when_all_is_in),
        cmocka_unit_test(stdout_gets_nothing_past_the_limit_of_bad_rows),
        cmocka_unit_test(rejects_of_stdout_are_said),
        cmocka_unit_test(who_closes_stdout_ends_the_run),
        cmocka_unit_test(a_temporary_file_that_is_lost_is_said),
        cmocka_unit_test(a_temporary_file_without_room_waits_and_goes_on),
        EACH(params_of_text_are_refused),
    };
    return test_main("warehouse_stage", tests, N_OF(tests),
                     TABLE(DEATHS, the_same_command_goes_on_after_death), N_OF(DEATHS));
}
