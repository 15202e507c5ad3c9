// Runs as runs.db remembers them: which one is meant, which of its chunks, what became of
// it; and a page of hostile names.

#include "common/rejects.h"
#include "coordinator/past.h"
#include "coordinator/past_html.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char top[TEST_FOLDER], dir[80];
static struct err e;
static const char load[] = "sqlite:wh.db#t@1-0";

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_past") != 0) return -1;
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

static void attempt(struct journal *j, struct range r, uint32_t n, const char *outcome,
                    const char *text)
{
    PASS(&e, journal_attempt(j, load, r, n, "w<1>", &e));
    PASS(&e, journal_flush(j, &e));
    PASS(&e, journal_attempt_end(j, load, r, n, outcome, 5, 100, text, &e));
}

// A run with large chunks, one of which failed and was lost, and small ones in a span.
static void make(struct journal_run *run)
{
    struct journal *j = NULL;
    const struct journal_input in[] = { { .name = "a/x.csv", .size = 900000 },
                                        { .name = "b/x.csv", .size = 10 },
                                        { .name = "<i>", .in_rows = true } };
    struct journal_place p = { load, 1, "", in, 3, 0 };
    *run = (struct journal_run){ .name = "n", .status = "running", .into = "null:" };
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &p, &e));
    attempt(j, (struct range){ 0, 0, 400000 }, 1, "ok", "");
    attempt(j, (struct range){ 0, 400000, 900000 }, 1, "died", "signal 11\n<script>");
    attempt(j, (struct range){ 0, 400000, 900000 }, 2, "lost", "its worker was gone");
    attempt(j, (struct range){ 0, 400000, 900000 }, 3, "ok", "");
    for (uint64_t i = 0; i < 3; i++)
        PASS(&e, journal_attempt(j, load, (struct range){ 2, i * 10, i * 10 + 10 }, 1, "w",
                                 &e));
    PASS(&e, journal_flush(j, &e));
    for (uint64_t i = 0; i < 3; i++)
        PASS(&e, journal_attempt_end(j, load, (struct range){ 2, i * 10, i * 10 + 10 }, 1,
                                     i == 1 ? "lost" : "ok", 1, 0, "", &e));
    PASS(&e, journal_event(j, "stall", "no progress: <b>", &e));
    PASS(&e, journal_reused_put(j, (struct range){ 1, 0, 10 }, 1, "", &e));
    run->status = "loaded";
    PASS(&e, journal_run_end(j, run, &e));
    journal_close(&j);
}

static struct past open_past(const char *run)
{
    struct past p;
    PASS(&e, past_open(&p, dir, run, &e));
    return p;
}

static void a_run_is_known_by_its_id_its_beginning_and_as_the_last(void **state)
{
    (void)state;
    struct past p;
    struct journal_run one, two;
    EXPECT(ERR_INVALID, &e, past_open(&p, dir, "last", &e));
    past_close(&p);
    make(&one);
    make(&two);
    p = open_past("last");
    assert_string_equal(two.id, p.run.id);
    past_close(&p);
    p = open_past(one.id);
    assert_string_equal(one.id, p.run.id);
    past_close(&p);
    EXPECT(ERR_INVALID, &e, past_open(&p, dir, "20", &e));
    assert_non_null(strstr(e.text, "several runs begin with 20"));
    past_close(&p);
    EXPECT(ERR_INVALID, &e, past_open(&p, dir, "x' OR 1", &e));
    assert_non_null(strstr(e.text, "the last one is"));
    past_close(&p);
}

static struct past_chunk find(struct past *p, const char *what)
{
    struct past_chunk c;
    struct past_rows rows;
    PASS(&e, past_find_chunk(p, what, &c, &rows, &e));
    assert_non_null(rows.unknown); // this one has no ledger
    return c;
}

static void a_chunk_has_all_its_attempts(void **state)
{
    (void)state;
    struct journal_run run;
    make(&run);
    struct past p = open_past("last");
    PASS(&e, past_load_chunks(&p, &e));
    EQ_I64(2, p.n_troubled);
    EQ_I64(2, p.troubled[0].number);
    EQ_I64(3, p.troubled[0].n);
    assert_string_equal("died", p.troubled[0].tries[0].outcome);
    assert_string_equal("lost", p.troubled[0].tries[1].outcome);
    EQ_I64(10, p.troubled[1].range.begin);
    EQ_I64(1, p.troubled[1].n); // and not that of its span, too
    EQ_I64(1, p.failed);
    EQ_I64(2, p.lost);
    const char *const same[] = { "2", "3", "a/x.csv@400000", "a/x.csv@899999" };
    for (int i = 0; i < 4; i++)
        EQ_I64(3, find(&p, same[i]).n);
    EQ_I64(3, find(&p, "<i>@25").chunks);
    past_close(&p);
}

static void what_was_halved_on_the_way_to_a_bad_row_is_only_counted(void **state)
{
    (void)state;
    static const struct range tried[] = { { 0, 0, 800 },   { 0, 0, 400 }, { 0, 300, 400 },
                                          { 0, 400, 800 }, { 0, 0, 100 }, { 1, 0, 50 } };
    struct journal *j = NULL;
    struct journal_place place = { .load = load, .load_id = 1, .database = "" };
    struct journal_run run = { .name = "n", .status = "running", .into = "null:" };
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &place, &e));
    for (size_t i = 0; i < N_OF(tried); i++)
        attempt(j, tried[i], 1, "failed", "no");
    PASS(&e, journal_run_end(j, &run, &e));
    journal_close(&j);
    struct past p = open_past("last");
    PASS(&e, past_load_chunks(&p, &e));
    EQ_I64(4, p.n_troubled); // of each line of halves the last
    EQ_I64(2, p.all_halved);
    EQ_I64(6, p.failed);
    EQ_I64(100, p.troubled[0].range.end);
    EQ_I64(300, p.troubled[1].range.begin);
    EQ_I64(400, p.troubled[2].range.begin);
    EQ_I64(1, p.troubled[3].range.input);
    past_close(&p);
}

struct wrong {
    const char *name, *what, *says;
};
static const struct wrong wrongs[] = {
    { "no_such_number", "77", "has no chunk 77" },
    { "a_number_past_all", "18446744073709551616", "has no chunk" },
    { "two_files_of_that_name", "x.csv@1", "2 inputs of this run are called x.csv" },
    { "no_such_file", "y.csv@1", "y.csv is no input of this run" },
    { "past_the_end", "a/x.csv@900000", "no chunk of this run has byte 900000" },
    { "a_line_without_a_ledger", "a/x.csv:1", "this destination keeps no ledger" },
    { "a_line_of_rows", "<i>:1", "has rows and no lines" },
    { "no_number", "a/x.csv@-1", "-1 is no byte" },
    { "nothing", "", "is no chunk" },
};

static void is_told(void **state)
{
    const struct wrong *w = *state;
    struct journal_run run;
    struct past_chunk c;
    struct past_rows rows;
    assert_int_equal(0, fresh(NULL));
    make(&run);
    struct past p = open_past("last");
    EXPECT(ERR_INVALID, &e, past_find_chunk(&p, w->what, &c, &rows, &e));
    if (!strstr(e.text, w->says)) fail_msg("%s", e.text);
    past_close(&p);
    assert_int_equal(0, finish(NULL));
}

static void a_page_of_hostile_names_has_no_tag_of_theirs(void **state)
{
    (void)state;
    struct journal_run run;
    struct buf page = { 0 };
    make(&run);
    struct past p = open_past("last");
    PASS(&e, past_load_stats(&p, &e));
    PASS(&e, past_load_chunks(&p, &e));
    PASS(&e, past_load_events(&p, &e));
    PASS(&e, past_load_rejects(&p, &e));
    PASS(&e, past_html(&p, &page, &e));
    PASS(&e, buf_add(&page, "", 1, &e));
    const char *text = (char *)page.p;
    assert_non_null(strstr(text, "&lt;script&gt;"));
    assert_non_null(strstr(text, "w&lt;1&gt;"));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<b>"));
    assert_null(strstr(text, "<i>"));
    assert_string_equal("</html>\n", text + strlen(text) - 8);
    buf_free(&page);
    past_close(&p);
}

// ---- rejects ----

static char warehouse[160];

static void make_with_rejects(const char *into, const char *sql)
{
    struct journal *j = NULL;
    sqlite3 *db;
    snprintf(warehouse, sizeof warehouse, "%s/wh.db", top);
    struct journal_place p = { .load = load, .load_id = 7, .database = warehouse };
    struct journal_run run = {
        .name = "n", .status = "running", .into = into, .table = "a\"b"
    };
    assert_int_equal(SQLITE_OK, sqlite3_open(warehouse, &db));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_close(db);
    PASS(&e, journal_open(&j, dir, "k", &e));
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &p, &e));
    PASS(&e, journal_run_end(j, &run, &e));
    journal_close(&j);
}

static const char with_rejects[] =
    "CREATE TABLE tranche_runs(x);"
    "CREATE TABLE \"a\"\"b_rejects\"(run INTEGER, file TEXT, line INTEGER,"
    " byte_offset INTEGER, \"column\" TEXT, reason TEXT, raw BLOB);"
    "INSERT INTO \"a\"\"b_rejects\" VALUES(7,'f',3,0,'c','r',x'ff00'),(8,'f',4,9,'','',''),"
    "(7,'f',NULL,NULL,NULL,NULL,NULL),(7,x'00ff',-5,'z','<i>',5,1.5)";

struct seen {
    struct past_reject r[8];
    uint32_t n, most;
    uint8_t raw[8];
};

static bool see(void *arg, const struct past_reject *r)
{
    struct seen *s = arg;
    if (r->raw.n) memcpy(s->raw, r->raw.p, r->raw.n < 8 ? r->raw.n : 8);
    s->r[s->n++] = *r;
    return s->n < s->most;
}

static void rejected_rows_come_one_after_the_other(void **state)
{
    (void)state;
    const char *unknown;
    struct seen s = { .most = 1 };
    make_with_rejects("sqlite:wh.db", with_rejects);
    struct past p = open_past("last");
    PASS(&e, past_each_reject(&p, 0, see, &s, &unknown, &e));
    assert_null(unknown);
    EQ_I64(1, s.n);
    EQ_I64(3, s.r[0].line);
    EQ_I64(0, s.r[0].byte);
    EQ_I64(2, s.r[0].raw.n);
    assert_memory_equal("\xff\0", s.raw, 2);
    s.most = 8;
    PASS(&e, past_each_reject(&p, s.r[0].id, see, &s, &unknown, &e));
    EQ_I64(3, s.n); // not that of another load
    EQ_I64(0, s.r[1].line);
    assert_true(s.r[1].byte == REJECT_NO_BYTE);
    EQ_I64(0, s.r[1].raw.n);
    EQ_I64(0, s.r[2].line); // whatever somebody wrote there
    PASS(&e, past_each_reject(&p, s.r[2].id, see, &s, &unknown, &e));
    EQ_I64(3, s.n);
    past_close(&p);
}

static void reasons_that_differ_in_value_or_place_are_counted_together(void **state)
{
    (void)state;
    make_with_rejects("sqlite:wh.db",
                      "CREATE TABLE tranche_runs(x);"
                      "CREATE TABLE \"a\"\"b_rejects\"(run INTEGER, reason TEXT);"
                      "INSERT INTO \"a\"\"b_rejects\" VALUES(7,'byte 88 is not UTF-8'),"
                      "(7,'byte 9 is not UTF-8'),(7,'byte 3'),(7,'''x'' is no date'),"
                      "(7,'''y'' is no date'),(7,'''it''''s'' is no date')");
    struct past p = open_past("last");
    PASS(&e, past_load_rejects(&p, &e));
    EQ_I64(3, p.n_reasons);
    assert_string_equal("'...' is no date", p.reasons[0].reason);
    EQ_I64(3, p.reasons[0].rows);
    assert_string_equal("byte ... is not UTF-8", p.reasons[1].reason);
    EQ_I64(2, p.reasons[1].rows);
    assert_string_equal("byte ...", p.reasons[2].reason);
    past_close(&p);
}

static void who_has_no_patience_is_told_where_to_ask(void **state)
{
    (void)state;
    const char *unknown;
    struct seen s = { .most = 8 };
    char sql[900];
    snprintf(sql, sizeof sql,
             "%s; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
             "20000) INSERT INTO \"a\"\"b_rejects\"(run, reason) SELECT 8, 'x' || i FROM n",
             with_rejects);
    make_with_rejects("sqlite:wh.db", sql);
    struct past p = open_past("last");
    p.patience_ms = -1; // it is over
    PASS(&e, past_load_rejects(&p, &e));
    assert_non_null(strstr(p.no_reasons, "ask 'tranche report'"));
    PASS(&e, past_each_reject(&p, 3, see, &s, &unknown, &e));
    assert_non_null(strstr(unknown, "too many"));
    past_close(&p);
}

static void why_rejected_rows_cannot_be_read_is_said(void **state)
{
    (void)state;
    const char *unknown;
    struct seen s = { .most = 8 };
    make_with_rejects("sqlite:wh.db", "CREATE TABLE tranche_runs(x)");
    struct past p = open_past("last");
    PASS(&e, past_each_reject(&p, 0, see, &s, &unknown, &e));
    assert_string_equal("the table of rejected rows is gone", unknown);
    assert_int_equal(0, unlink(warehouse));
    PASS(&e, past_each_reject(&p, 0, see, &s, &unknown, &e));
    assert_non_null(strstr(unknown, "cannot be read"));
    past_close(&p);
    make_with_rejects("csv:out.csv", "CREATE TABLE tranche_runs(x)");
    p = open_past("last");
    PASS(&e, past_each_reject(&p, 0, see, &s, &unknown, &e));
    assert_non_null(strstr(unknown, "not kept in a database"));
    past_close(&p);
    EQ_I64(0, s.n);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(a_run_is_known_by_its_id_its_beginning_and_as_the_last),
        T(a_chunk_has_all_its_attempts),
        T(what_was_halved_on_the_way_to_a_bad_row_is_only_counted),
        T(a_page_of_hostile_names_has_no_tag_of_theirs),
        T(rejected_rows_come_one_after_the_other),
        T(reasons_that_differ_in_value_or_place_are_counted_together),
        T(who_has_no_patience_is_told_where_to_ask),
        T(why_rejected_rows_cannot_be_read_is_said),
    };
    return test_main("past", plain, N_OF(plain), TABLE(wrongs, is_told), N_OF(wrongs));
}
