// Text files as a warehouse: exactly once whatever happens, and what people do to files.

#include "coordinator/warehouse_file.h"
#include "tests/warehouse_job.h"
#include "tests/warehouse_text.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    text_kit(k, "csv", "out.csv");
    kit_open(k);
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit_free(*state);
    free(*state);
    return 0;
}

static void finish(struct kit *k, uint64_t end)
{
    struct err e;
    struct ledger_row totals[3];
    PASS(&e, kit_try_finish(k, end, totals, &e));
}

static void load(struct kit *k, uint64_t end)
{
    kit_begin(k);
    kit_commit(k, 0, 10, end);
    finish(k, end);
}

// ---- exactly once

static const struct death {
    const char *name; // the point, and how often it is passed
    const char *format, *file;
    enum job_mode mode;
} DEATHS[] = {
#define AT(point)                                      \
    { point, "csv", "out.csv", MODE_APPEND },          \
        { point, "jsonl", "out.jsonl", MODE_REPLACE }, \
    {                                                  \
        point, "csv", "part-*.csv", MODE_APPEND        \
    }
    AT("begin-before"),
    AT("begin-before-commit"),
    AT("begin-after-commit"),
    AT("file-after-create"),
    AT("note-after-commit"),
    AT("commit-before-begin"),
    AT("file-after-write"),
    AT("file-after-write:4"),
    AT("commit-after-rows:2"),
    AT("commit-after-ledger:9"),
    AT("file-after-sync"),
    AT("file-after-sync:2"),
    AT("commit-before-commit"),
    AT("commit-after-commit"),
    AT("commit-before-commit:2"),
    AT("finish-before-begin"),
    AT("finish-before-commit"),
    AT("finish-after-commit"),
    { "file-after-rename", "csv", "out.csv", MODE_APPEND },
    { "file-after-cut", "csv", "out.csv", MODE_APPEND },
    { "file-after-cut", "csv", "out.csv", MODE_REPLACE },
    { "file-after-swap", "csv", "out.csv", MODE_REPLACE },
    { "file-after-part", "csv", "part-*.csv", MODE_APPEND },
    { "file-after-part:2", "csv", "part-*.csv", MODE_APPEND },
};

static unsigned in_parts(const struct kit *k, unsigned *seen, unsigned *headers)
{
    unsigned n = 0;
    char name[32];
    for (int i = 1; i < 100; i++) {
        snprintf(name, sizeof name, "part-%05d.csv", i);
        const char *text = whole(k, name);
        if (text) count_rows(text, seen, headers);
        n += text != NULL;
        snprintf(name, sizeof name, "part-%05d.csv.tranche", i);
        is(k, name, NULL);
    }
    return n;
}

static void rows_stand_there_once(const struct kit *k, const char *file)
{
    unsigned seen[N_CHUNKS * CHUNK / 10 + 1] = { 0 }, headers = 0, files = 1;
    if (strchr(file, '*'))
        files = in_parts(k, seen, &headers);
    else
        count_rows(whole(k, file), seen, &headers);
    assert_true(files > 0);
    EQ_I64(strcmp(k->ops->sink, "csv") == 0 ? files : 0, headers);
    for (int i = 1; i <= N_CHUNKS * CHUNK / 10; i++)
        if (seen[i] != 1) fail_msg("row %d is there %u times", i, seen[i]);
}

static void the_same_command_goes_on_after_death(void **state)
{
#ifdef TRANCHE_TEST_HOOKS
    const struct death *d = *state;
    struct kit k;
    struct err e;
    text_kit(&k, d->format, d->file);
    k.id.mode = d->mode;
    text_die_at(&k, d->name);
    PASS(&e, run_job(&k, 0, &e));
    rows_stand_there_once(&k, d->file);
    kit_free(&k);
#else
    (void)state, (void)text_die_at, (void)rows_stand_there_once;
    skip(); // this build has no points to die at
#endif
}

static void what_a_crash_left_behind_the_committed_bytes_is_cut_off(void **state)
{
    struct kit *k = *state;
    kit_begin(k);
    kit_commit(k, 0, 10, 30);
    kit_close(k);
    put(k, "out.csv", "a", "3,r3\n4,\"torn");
    kit_open(k);
    kit_begin(k);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n");
    kit_commit(k, 0, 30, 40);
    finish(k, 40);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n3,r3\n");
}

static void a_run_that_was_taken_over_cuts_nothing_off(void **state)
{
    struct kit *k = *state, second = *k;
    struct err e;
    const uint8_t row[] = "7,seven\n";
    char want[1 << 12];
    kit_begin(k);
    kit_commit(k, 0, 10, 20);
    second.load = (struct load_state){ 0 };
    kit_open(&second);
    kit_begin(&second);
    PASS(&e, wsq_txn_begin(second.w, &e));
    PASS(&e, wf_store.start(second.w, &e));
    PASS(&e, wf_write(second.w->files, row, sizeof row - 1, &e));
    PASS(&e, wf_store.sync(second.w, &e));
    snprintf(want, sizeof want, "%s", whole(k, "out.csv"));
    says(want, (const char *)row);

    wsq_set_busy_ms(k->w, 0);
    EXPECT(ERR_BUSY, &e, wf_store.settle(k->w, &e));
    is(k, "out.csv", want);
    PASS(&e, wsq_txn_commit(second.w, &e));
    EXPECT(ERR_FENCED, &e, wf_store.settle(k->w, &e));
    is(k, "out.csv", want);
    kit_close(&second);
    load_state_free(&second.load);
}

static void no_space_means_nothing_is_in_and_try_again(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    struct rlimit old, small = { 0 };
    kit_begin(k);
    kit_commit(k, 0, 10, 30);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ 40000, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    err_t rc = kit_try_commit(k, 0, 30, 60000, &dup, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(ERR_FULL, rc);
    says(e.text, "no space left for");
    k->images.n = 0;
    kit_commit(k, 0, 30, 50);
    finish(k, 50);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n3,r3\n4,r4\n");
}

static void a_disk_without_space_at_the_start_is_said(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct rlimit old, none;
    getrlimit(RLIMIT_FSIZE, &old);
    none = (struct rlimit){ 2, old.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    err_t rc = kit_try_begin(k, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    if (rc != ERR_FULL && rc != ERR_IO && rc != ERR_UNKNOWN) fail_msg("%d %s", rc, e.text);
    load(k, 30);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n");
}

static void a_file_that_is_moved_away_during_a_load_ends_it(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    char to[200];
    kit_begin(k);
    snprintf(to, sizeof to, "%s.old", k->path);
    rename(k->path, to);
    EXPECT(ERR_DB, &e, kit_try_commit(k, 0, 10, 20, &dup, &e));
    says(e.text, "was moved, deleted or replaced");
}

// ---- files of people

static void rows_are_added_to_a_file_that_was_there(void **state)
{
    struct kit *k = *state;
    put(k, "out.csv", "w", "\"a\",b\n-1,mine\n");
    load(k, 30);
    put(k, "out.csv", "a", "-2,mine\n");
    k->inputs[0].size = 2000;
    kit_begin(k);
    assert_true(k->load.complete_before);
    kit_commit(k, 0, 30, 40);
    finish(k, 40);
    is(k, "out.csv", "\"a\",b\n-1,mine\n1,r1\n2,r2\n-2,mine\n3,r3\n");
}

static const struct unfit {
    const char *name, *text, *complaint;
} UNFIT[] = {
    { "without_a_line_end", "a,b\n1,x", "its last line has no line end" },
    { "with_other_columns", "a,c\n1,x\n", "has other columns than the rows" },
    { "with_more_columns", "a,b,c\n1,x,y\n", "has other columns than the rows" },
};

static void a_file_that_does_not_fit_is_left_alone(void **state)
{
    const struct unfit *u = *state;
    struct kit *k = NULL;
    struct err e;
    assert_int_equal(set_up((void **)&k), 0);
    put(k, "out.csv", "w", u->text);
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, u->complaint);
    is(k, "out.csv", u->text);
    tear_down((void **)&k);
}

static void an_empty_file_gets_a_header(void **state)
{
    struct kit *k = *state;
    put(k, "out.csv", "w", "");
    load(k, 20);
    is(k, "out.csv", "a,b\n1,r1\n");
}

static void other_jobs_append_behind_each_other(void **state)
{
    struct kit *k = *state;
    load(k, 20);
    k->id.sources = "other.csv";
    load(k, 30);
    is(k, "out.csv", "a,b\n1,r1\n1,r1\n2,r2\n");
}

static void rows_that_are_gone_are_missed(void **state)
{
    struct kit *k = *state;
    struct err e;
    load(k, 30);
    put(k, "out.csv", "w", "a,b\n");
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "is shorter than it was");
    assert_int_equal(unlink(k->path), 0);
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "is gone");
    k->id.fresh = true;
    load(k, 30);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n");
}

static void an_input_is_no_output(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct stat st;
    put(k, "out.csv", "w", "a,b\n");
    assert_int_equal(stat(k->path, &st), 0);
    k->inputs[0] =
        (struct load_input){ .name = (char *)(uintptr_t) "out.csv",
                             .size = (uint64_t)st.st_size,
                             .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 +
                                         st.st_mtim.tv_nsec,
                             .ino = st.st_ino };
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "is among the inputs");
}

static const struct place {
    const char *name, *path, *complaint;
} PLACES[] = {
    { "no_folder", "nowhere/out.csv", "does not exist: create it first" },
    { "a_folder", "folder", "is a folder" },
    { "a_name_of_sqlites", "SQLite_out.csv", "names that begin with sqlite_ are SQLite's" },
    { "a_link", "link", "is a symbolic link" },
    { "a_device", "/dev/null", "is no file" },
    { "a_ledger_that_is_none", "odd.csv", "is not a SQLite database" },
};

static void a_place_that_will_not_do_is_refused(void **state)
{
    const struct place *p = *state;
    struct kit k;
    struct err e;
    char path[256];
    text_kit(&k, "csv", p->path);
    if (p->path[0] == '/') snprintf(k.url, sizeof k.url, "csv:%s", p->path);
    snprintf(path, sizeof path, "%s/folder", k.dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/link", k.dir);
    assert_int_equal(symlink("elsewhere", path), 0);
    put(&k, "odd.csv.ledger", "w", "this is a text, and long enough to be looked at");
    EXPECT(ERR_INVALID, &e, k.ops->open(&k.w, k.url, kit_say, &k, &e));
    says(e.text, p->complaint);
    kit_free(&k);
}

// ---- fresh, replace, parts

static void fresh_cuts_off_what_the_last_load_added(void **state)
{
    struct kit *k = *state;
    put(k, "out.csv", "w", "a,b\n-1,mine\n");
    load(k, 30);
    k->id.fresh = true;
    load(k, 20);
    is(k, "out.csv", "a,b\n-1,mine\n1,r1\n");
    k->id.fresh = false;
    k->id.sources = "other.csv";
    kit_begin(k);
    kit_commit(k, 0, 10, 40);
    k->id.sources = "third.csv"; // the one before is unfinished
    k->id.fresh = true;
    load(k, 30);
    is(k, "out.csv", "a,b\n-1,mine\n1,r1\n1,r1\n2,r2\n");
}

static void fresh_does_not_cut_what_others_added_behind(void **state)
{
    struct kit *k = *state;
    struct err e;
    load(k, 30);
    put(k, "out.csv", "a", "-1,mine\n");
    k->id.fresh = true;
    EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    says(e.text, "others stand behind or between them");
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n-1,mine\n");
}

static void replace_shows_the_old_file_until_the_end(void **state)
{
    struct kit *k = *state;
    put(k, "out.csv", "w", "what,ever\n");
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 30);
    is(k, "out.csv", "what,ever\n");
    finish(k, 30);
    is(k, "out.csv", "a,b\n1,r1\n2,r2\n");
    load(k, 20);
    is(k, "out.csv", "a,b\n1,r1\n");
    EQ_I64(1, (int)(whole(k, "out.csv__tranche_2") == NULL));
}

static void replace_without_a_swap_leaves_nothing_behind(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    load(k, 20);
    k->id.mode = MODE_REPLACE;
    kit_begin(k);
    kit_commit(k, 0, 10, 30);
    PASS(&e, k->ops->finish(k->w, (const uint64_t[]){ 30 }, false, totals, &e));
    is(k, "out.csv", "a,b\n1,r1\n");
    is(k, "out.csv__tranche_2", NULL);
}

static void parts_get_their_names_when_they_are_whole(void **state)
{
    (void)state;
    struct kit k;
    struct err e;
    text_kit(&k, "csv", "parts/part-*.csv");
    kit_open(&k);
    k.w->files->part_bytes = 12;
    kit_begin(&k);
    kit_commit(&k, 0, 10, 20); // 9 bytes
    is(&k, "parts/part-00001.csv.tranche", "a,b\n1,r1\n");
    kit_commit(&k, 0, 20, 30); // 14: full
    kit_commit(&k, 0, 30, 40);
    is(&k, "parts/part-00001.csv", "a,b\n1,r1\n2,r2\n");
    is(&k, "parts/part-00002.csv", NULL);
    finish(&k, 40);
    is(&k, "parts/part-00002.csv", "a,b\n3,r3\n");
    kit_begin(&k); // a file that grew: parts of its own
    kit_commit(&k, 0, 40, 50);
    finish(&k, 50);
    is(&k, "parts/part-00003.csv", "a,b\n4,r4\n");

    put(&k, "parts/part-00002.csv", "w", "a,b\n");
    EXPECT(ERR_INVALID, &e, kit_try_begin(&k, &e));
    says(e.text, "part-00002.csv is shorter than it was");
    k.id.fresh = true;
    load(&k, 20);
    is(&k, "parts/part-00001.csv", NULL);
    is(&k, "parts/part-00004.csv", "a,b\n1,r1\n");
    kit_free(&k);
}

static void nothing_follows_a_last_part_that_is_just_full(void **state)
{
    (void)state;
    struct kit k;
    text_kit(&k, "csv", "part-*.csv");
    kit_open(&k);
    k.w->files->part_bytes = 12;
    kit_begin(&k);
    kit_commit(&k, 0, 10, 30); // 14: full
    finish(&k, 30);
    is(&k, "part-00001.csv", "a,b\n1,r1\n2,r2\n");
    is(&k, "part-00002.csv", NULL);
    kit_free(&k);
}

// The end of the load failed behind the name, and the file has grown since.
static void a_part_that_has_its_name_already_is_left_as_it_is(void **state)
{
    (void)state;
    struct kit k;
    char from[256], to[256];
    text_kit(&k, "csv", "part-*.csv");
    kit_open(&k);
    kit_begin(&k);
    kit_commit(&k, 0, 10, 20);
    kit_close(&k);
    snprintf(from, sizeof from, "%s/part-00001.csv.tranche", k.dir);
    snprintf(to, sizeof to, "%s/part-00001.csv", k.dir);
    assert_int_equal(rename(from, to), 0);
    kit_open(&k);
    kit_begin(&k);
    kit_commit(&k, 0, 20, 30);
    finish(&k, 30);
    is(&k, "part-00001.csv", "a,b\n1,r1\n");
    is(&k, "part-00002.csv", "a,b\n2,r2\n");
    kit_free(&k);
}

static void a_part_of_somebody_else_is_not_overwritten(void **state)
{
    (void)state;
    struct kit k;
    struct err e;
    struct ledger_row totals[3];
    text_kit(&k, "csv", "part-*.csv");
    put(&k, "part-00001.csv", "w", "theirs\n");
    kit_open(&k);
    kit_begin(&k);
    kit_commit(&k, 0, 10, 20);
    EXPECT(ERR_INVALID, &e, kit_try_finish(&k, 20, totals, &e));
    says(e.text, "part-00001.csv is there already");
    is(&k, "part-00001.csv", "theirs\n");
    kit_free(&k);
}

// ---- rejects, damage

static void rejects_stand_in_a_file_of_their_own(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    size_t failed;
    struct rejects list = { 0 };
    struct result r = kit_result(k, 0, 10, 20);
    const struct reject one = { .line = 7,
                                .byte = 15,
                                .column = { (const uint8_t *)"a", 1 },
                                .reason = { (const uint8_t *)"no, \"no\"", 8 },
                                .raw = { (const uint8_t *)"x\ny", 3 } };
    PASS(&e, rejects_add(&list, &one, &e));
    r.row.rows_read++;
    r.row.rows_rejected = 1;
    r.rejects = (struct slice){ list.bytes.p, list.bytes.n };
    kit_begin(k);
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e));
    is(k, "out.csv.rejects", NULL);
    finish(k, 20);
    is(k, "out.csv.rejects",
       "run,file,line,byte_offset,column,reason,raw\n"
       "1,one.csv,7,15,a,\"no, \"\"no\"\"\",\"x\ny\"\n");
    k->id.mode = MODE_REPLACE;
    load(k, 20);
    is(k, "out.csv.rejects", NULL);
    rejects_free(&list);
}

// Who may write to the folder, too, knows the names of our files before we make them.
static void links_that_others_put_in_our_way_are_not_followed(void **state)
{
    struct kit *k = *state;
    char from[200], to[200];
    put(k, "precious", "w", "of somebody");
    snprintf(from, sizeof from, "%s/precious", k->dir);
    snprintf(to, sizeof to, "%s/out.csv.rejects.tranche", k->dir);
    assert_int_equal(0, symlink(from, to));
    snprintf(to, sizeof to, "%s/out.csv.tranche", k->dir);
    assert_int_equal(0, link(from, to));
    load(k, 20);
    is(k, "precious", "of somebody");
    is(k, "out.csv.tranche", NULL);
    is(k, "out.csv.rejects.tranche", NULL);
    k->id.mode = MODE_REPLACE;
    load(k, 20);
    is(k, "precious", "of somebody");
}

// Two loads that end at one time write their rejects one after the other.
static void rejects_are_written_under_the_ledgers_lock(void **state)
{
    struct kit *k = *state, second = *k;
    struct err e;
    load(k, 20);
    kit_begin(k); // nothing is new
    finish(k, 20);
    second.load = (struct load_state){ 0 };
    kit_open(&second);
    PASS(&e, wsq_txn_begin(second.w, &e));
    put(k, "out.csv.rejects.tranche", "w", "the other one writes this");
    wsq_set_busy_ms(k->w, 0);
    EXPECT(ERR_BUSY, &e, wf_store.done(k->w, false, true, &e));
    is(k, "out.csv.rejects.tranche", "the other one writes this");
    wsq_txn_rollback(second.w);
    PASS(&e, wf_store.done(k->w, false, true, &e));
    is(k, "out.csv.rejects.tranche", NULL);
    kit_close(&second);
}

static const struct text {
    const char *name, *format, *text;
    uint64_t rows;
} TEXTS[] = {
    { "csv_with_fewer_rows", "csv", "1,x\n", 2 },
    { "csv_with_more_rows", "csv", "1,x\n2,y\n", 1 },
    { "csv_with_another_number_of_fields", "csv", "1,x\n2,y,z\n3\n", 3 },
    { "csv_with_an_open_quote", "csv", "1,x\n2,\"y\n", 2 },
    { "csv_without_a_last_line_end", "csv", "1,x\n2,y", 1 },
    { "jsonl_with_fewer_rows", "jsonl", "{\"a\":1}\n", 2 },
    { "jsonl_without_a_last_line_end", "jsonl", "{\"a\":1}\n{\"a\":2}", 2 },
    { "jsonl_that_is_no_object", "jsonl", "[1]\n", 1 },
    { "jsonl_with_a_blank_line", "jsonl", "{\"a\":1}\n\n", 2 },
};

static void text_that_is_not_what_it_says_is_refused(void **state)
{
    const struct text *t = *state;
    struct kit k;
    struct err e;
    bool dup;
    size_t failed;
    text_kit(&k, t->format, "out");
    kit_open(&k);
    kit_begin(&k);
    struct result r = {
        .row = { .range = { 0, 10, 20 }, .state = LEDGER_DONE, .rows_emitted = t->rows },
        .image = (const uint8_t *)t->text,
        .image_bytes = strlen(t->text)
    };
    EXPECT(ERR_PROTO, &e, k.ops->check(k.w, &r, &e));
    EXPECT(ERR_PROTO, &e, k.ops->commit(k.w, &r, 1, &dup, &failed, &e));
    kit_free(&k);
}

static void quoted_fields_may_hold_anything(void **state)
{
    struct kit *k = *state;
    struct err e;
    static const char text[] =
        "1,\"x,\n\"\"y\"\n2,\n3,\"a long text that goes over the edge of "
        "a block of 64 bytes, and, on, and\non\"\n";
    struct result r = {
        .row = { .range = { 0, 10, 20 }, .state = LEDGER_DONE, .rows_emitted = 3 },
        .image = (const uint8_t *)text,
        .image_bytes = sizeof text - 1
    };
    kit_begin(k);
    PASS(&e, k->ops->check(k->w, &r, &e));
}

#define EACH(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ROWS(rows, fn) failed += test_main(#fn, NULL, 0, TABLE(rows, fn), N_OF(rows))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(what_a_crash_left_behind_the_committed_bytes_is_cut_off),
        EACH(a_run_that_was_taken_over_cuts_nothing_off),
        EACH(no_space_means_nothing_is_in_and_try_again),
        EACH(a_disk_without_space_at_the_start_is_said),
        EACH(a_file_that_is_moved_away_during_a_load_ends_it),
        EACH(rows_are_added_to_a_file_that_was_there),
        EACH(an_empty_file_gets_a_header),
        EACH(other_jobs_append_behind_each_other),
        EACH(rows_that_are_gone_are_missed),
        EACH(an_input_is_no_output),
        EACH(fresh_cuts_off_what_the_last_load_added),
        EACH(fresh_does_not_cut_what_others_added_behind),
        EACH(replace_shows_the_old_file_until_the_end),
        EACH(replace_without_a_swap_leaves_nothing_behind),
        cmocka_unit_test(parts_get_their_names_when_they_are_whole),
        cmocka_unit_test(a_part_of_somebody_else_is_not_overwritten),
        cmocka_unit_test(nothing_follows_a_last_part_that_is_just_full),
        cmocka_unit_test(a_part_that_has_its_name_already_is_left_as_it_is),
        EACH(rejects_stand_in_a_file_of_their_own),
        EACH(links_that_others_put_in_our_way_are_not_followed),
        EACH(rejects_are_written_under_the_ledgers_lock),
        EACH(quoted_fields_may_hold_anything),
    };
    int failed = test_main("warehouse_file", plain, N_OF(plain), NULL, 0);
    ROWS(DEATHS, the_same_command_goes_on_after_death);
    ROWS(UNFIT, a_file_that_does_not_fit_is_left_alone);
    ROWS(PLACES, a_place_that_will_not_do_is_refused);
    ROWS(TEXTS, text_that_is_not_what_it_says_is_refused);
    return failed;
}
