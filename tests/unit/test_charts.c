// Charts of a run: read from a warehouse that may hold anything, and drawn.

#include "coordinator/chart_draw.h"
#include "coordinator/charts.h"
#include "coordinator/journal_charts.h"
#include "coordinator/journal_stats.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char top[TEST_FOLDER], path[100], dir[100];
static struct err e;

static void execute(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_charts") != 0) return -1;
    snprintf(path, sizeof path, "%s/wh.db", top);
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    execute(
        "CREATE TABLE n(x REAL, y REAL, z, lo, hi, g TEXT);"
        "INSERT INTO n VALUES(1, 10, 'a', 9, 11, 'p'), (2, NULL, 5, NULL, NULL, 'q'),"
        " (3, 30, 9e999, 20, 45, NULL), (9e999, 1, 1, 1, 1, 'p');"
        "CREATE TABLE d(day TEXT, y INT, g TEXT); INSERT INTO d VALUES"
        "('2024-01-01', 5, 'a'), ('2024-01-02', 6, 'a'), ('2024-01-02', 7, 'b'),"
        " ('2024-01-01x', 7, 'b');"
        "CREATE TABLE f(g TEXT, ds TEXT, yhat REAL, yhat_lower REAL, yhat_upper REAL);"
        "INSERT INTO f VALUES('a', '2024-01-03', 5.5, 4, 7), ('c', '2024-01-03', 1, 1, 1);"
        "CREATE TABLE t(k, y, z); INSERT INTO t VALUES('one', 1, -5), ('two', 2, NULL),"
        " ('one', 3, 1), (NULL, 4, 1);"
        "CREATE TABLE \"a\"\"b; DROP TABLE n;--<b>\"(\"x'y\"\"<i>\" INT, \"v]\" INT);"
        "INSERT INTO \"a\"\"b; DROP TABLE n;--<b>\" VALUES(1, 2), (2, 3);"
        "CREATE TABLE empty(x, y); CREATE TABLE blobs(x, y);"
        "INSERT INTO blobs VALUES(x'00ff', 1);"
        "CREATE TABLE words(x INT, y TEXT); INSERT INTO words VALUES(1, 'abc'), (2, 'd');"
        "CREATE TABLE huge(x, y); INSERT INTO huge VALUES(-1.7e308, 1.7e308),"
        " (1.7e308, -1.7e308);"
        "CREATE TABLE one(x, y); INSERT INTO one VALUES(7, 7);"
        "CREATE TABLE many(x INT, y INT, g INT); WITH RECURSIVE c(i) AS (VALUES(0) UNION"
        " ALL SELECT i + 1 FROM c WHERE i < 29999) INSERT INTO many SELECT i / 20,"
        " CASE i WHEN 17777 THEN 99 ELSE i % 7 END, i % 20 FROM c;"
        "CREATE TABLE kinds(x, y); WITH RECURSIVE c(i) AS (VALUES(0) UNION ALL SELECT i +"
        " 1 FROM c WHERE i < 59) INSERT INTO kinds SELECT 'k' || i, i FROM c;"
        "CREATE TABLE commas(x INT, y INT, z INT, g TEXT); INSERT INTO commas VALUES(1, 0,"
        " 0, 'a'), (1, 9, 9, 'a, b'), (1, 9, 9, 'b'), (1, 9, 9, 'c'), (1, 9, 9, 'd'),"
        " (1, 9, 9, 'e'), (1, 9, 9, 'f');"
        "CREATE TABLE long(x, y INT, g TEXT); INSERT INTO long VALUES(printf('%.*c', 5000,"
        " 'a'), 1, printf('%.*c', 5000, 'b'));"
        "CREATE VIEW v AS SELECT x, y FROM n WHERE x < 3;"
        "CREATE VIEW broken AS SELECT x, y FROM nowhere");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

#define FIFTY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct row {
    const char *name, *table, *x, *y, *by, *band, *forecast;
    uint32_t last;
    enum chart_kind kind;
    const char *series; // "NAME:POINTS+AHEAD NAME:..."
    const char *notes;  // all of them, lines
};

static const struct row rows[] = {
    { "numbers", .table = "n", .x = "x", .y = "y", .kind = CHART_OF_NUMBERS,
      .series = "y:3+0", .notes = "1 rows have no number in x, and are not drawn\n" },
    { "names_in_another_case", .table = "N", .x = "X", .y = "Y", .last = 1,
      .kind = CHART_EMPTY, .notes = "the column X of N has neither numbers nor texts\n" },
    { "text_where_a_number_should_be", .table = "n", .x = "x", .y = "z",
      .kind = CHART_OF_NUMBERS, .series = "z:1+0",
      .notes = "1 rows have no number in x, and are not drawn\n"
               "2 values are no numbers, and are not drawn; the first is 'a'\n" },
    { "no_number_at_all", .table = "words", .x = "x", .y = "y", .kind = CHART_OF_NUMBERS,
      .series = "y:0+0",
      .notes = "2 values are no numbers, and are not drawn; the first is 'abc'\n" },
    { "a_line_a_group", .table = "n", .x = "x", .y = "y", .by = "g",
      .kind = CHART_OF_NUMBERS, .series = "none:1+0 p:1+0 q:1+0",
      .notes = "1 rows have no number in x, and are not drawn\n" },
    { "lines_of_two_columns", .table = "n", .x = "x", .y = "y\nhi",
      .kind = CHART_OF_NUMBERS, .series = "y:3+0 hi:3+0",
      .notes = "1 rows have no number in x, and are not drawn\n" },
    { "groups_of_two_columns", .table = "t", .x = "y", .y = "y\nz", .by = "k",
      .kind = CHART_OF_NUMBERS,
      .series = "none, y:1+0 none, z:1+0 one, y:2+0 one, z:2+0 two, y:1+0 two, z:1+0" },
    { "a_band", .table = "n", .x = "x", .y = "y", .band = "lo\nhi", .last = 3,
      .kind = CHART_OF_NUMBERS, .series = "y:2+0",
      .notes = "1 rows have no number in x, and are not drawn\n" },
    { "dates", .table = "d", .x = "day", .y = "y", .by = "g", .kind = CHART_OF_TIMES,
      .series = "a:2+0 b:1+0", .notes = "1 rows have no date in day, and are not drawn\n" },
    { "dates_and_a_forecast", .table = "dates", .x = "day", .y = "y", .by = "g",
      .forecast = "f", .kind = CHART_OF_TIMES, .series = "a:2+1 b:1+0" },
    { "the_last_dates", .table = "dates", .x = "day", .y = "y", .last = 1,
      .kind = CHART_OF_TIMES, .series = "y:2+0",
      .notes = "1 values stand over a day that has one already; by draws a line for each "
               "value of a column\n" },
    { "a_forecast_of_numbers", .table = "one", .x = "x", .y = "y", .forecast = "f",
      .kind = CHART_OF_NUMBERS, .series = "y:1+0",
      .notes = "the forecast f is not drawn: x of both must be dates\n" },
    { "a_forecast_that_is_none", .table = "dates", .x = "day", .y = "y", .forecast = "one",
      .kind = CHART_OF_TIMES, .series = "y:3+0",
      .notes = "the table one has no column ds; it has x, y\n"
               "1 values stand over a day that has one already; by draws a line for each "
               "value of a column\n" },
    { "texts", .table = "t", .x = "k", .y = "y\nz", .kind = CHART_OF_TEXTS,
      .series = "y: z:",
      .notes = "2 values are not drawn: their k has a bar already, that of its first "
               "row\n" },
    { "many_texts", .table = "kinds", .x = "x", .y = "y", .kind = CHART_OF_TEXTS,
      .series = "y:",
      .notes = "the first 40 values of x are drawn, 20 rows have others\n" },
    { "many_groups", .table = "many", .x = "x", .y = "y", .by = "g",
      .kind = CHART_OF_NUMBERS,
      .notes = "12 of 20 values of g are drawn: those with most in y\n" },
    { "groups_with_commas", .table = "commas", .x = "x", .y = "y\nz", .by = "g",
      .kind = CHART_OF_NUMBERS,
      .series = "a, b, y:1+0 a, b, z:1+0 b, y:1+0 b, z:1+0 c, y:1+0 c, z:1+0 d, y:1+0 d, "
                "z:1+0 e, y:1+0 e, z:1+0 f, y:1+0 f, z:1+0",
      .notes = "6 of 7 values of g are drawn: those with most in y\n" },
    { "long_texts", .table = "long", .x = "x", .y = "y", .by = "g", .kind = CHART_OF_TEXTS,
      .series = FIFTY_B FIFTY_B FIFTY_B FIFTY_B ":" },
    { "hostile_names", .table = "a\"b; DROP TABLE n;--<b>", .x = "x'y\"<i>", .y = "v]",
      .kind = CHART_OF_NUMBERS, .series = "v]:2+0" },
    { "a_view", .table = "v", .x = "x", .y = "y", .kind = CHART_OF_NUMBERS,
      .series = "y:2+0" },
    { "a_view_of_nothing", .table = "broken", .x = "x", .y = "y",
      .notes = "the table broken cannot be drawn: no such table: main.nowhere\n" },
    { "no_rows", .table = "empty", .x = "x", .y = "y",
      .notes = "the table empty has no rows\n" },
    { "blobs", .table = "blobs", .x = "x", .y = "y",
      .notes = "the column x of blobs has neither numbers nor texts\n" },
    { "the_greatest_numbers", .table = "huge", .x = "x", .y = "y", .kind = CHART_OF_NUMBERS,
      .series = "y:2+0" },
    { "one_point", .table = "one", .x = "x", .y = "y", .kind = CHART_OF_NUMBERS,
      .series = "y:1+0" },
    { "no_such_table", .table = "nowhere", .x = "x", .y = "y",
      .notes = "there is no table nowhere in PATH\n" },
    { "no_such_column", .table = "one", .x = "x", .y = "why",
      .notes = "the table one has no column why; it has x, y\n" },
    { "no_such_group", .table = "one", .x = "x", .y = "y", .by = "g\"",
      .notes = "the table one has no column g\"; it has x, y\n" },
};

static void split(struct strings *to, const char *lines)
{
    for (const char *s = lines; s && *s;) {
        size_t n = strcspn(s, "\n");
        PASS(&e, strings_add(to, s, n, &e));
        s += n + (s[n] == '\n');
    }
}

static char *copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

static struct chart chart_of(const struct row *r)
{
    struct chart c = { .table = copy(r->table),
                       .x = copy(r->x),
                       .by = copy(r->by),
                       .forecast = copy(r->forecast),
                       .last = r->last,
                       .into = copy(path) };
    split(&c.y, r->y);
    split(&c.band, r->band);
    return c;
}

static void describe(const struct chart_data *d, char out[2000])
{
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct chart_series *s = &d->series[i];
        n += (size_t)snprintf(out + n, 2000 - n, "%s%s:", i ? " " : "", s->name);
        if (d->kind != CHART_OF_TEXTS)
            n += (size_t)snprintf(out + n, 2000 - n, "%u+%u", s->line.n, s->ahead.n);
    }
}

static void join_notes(const struct chart_data *d, char out[4000])
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < d->notes.n; i++) {
        const char *s = d->notes.v[i], *at = strstr(s, path);
        n += (size_t)snprintf(out + n, 4000 - n, "%.*s%s%s\n", at ? (int)(at - s) : 1000, s,
                              at ? "PATH" : "", at ? at + strlen(path) : "");
    }
}

// Nothing of the page comes from the table as it is.
static void draw(const struct chart *c, const struct chart_data *d, struct buf *out)
{
    struct page g = { 0 };
    chart_draw(&g, c, d);
    PASS(&g.e, g.rc);
    PASS(&e, buf_add(&g.out, "", 1, &e));
    const char *text = (char *)g.out.p;
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_null(strstr(text, "<b>"));
    assert_null(strstr(text, "<i>"));
    assert_null(strstr(text, "style="));
    *out = g.out;
}

static void a_table_is_read_and_drawn(void **state)
{
    const struct row *r = *state;
    struct chart_data d;
    struct buf page = { 0 };
    char series[2000], notes[4000];
    assert_int_equal(0, fresh(NULL));
    execute("CREATE VIEW dates AS SELECT * FROM d WHERE length(day) = 10");
    struct chart c = chart_of(r);
    PASS(&e, chart_read(&c, &(uint32_t){ CHART_PATIENCE }, &d, &e));
    describe(&d, series);
    join_notes(&d, notes);
    assert_string_equal(r->notes ? r->notes : "", notes);
    EQ_I64(r->kind, d.kind);
    if (r->series) assert_string_equal(r->series, series);
    draw(&c, &d, &page);
    buf_free(&page);
    chart_data_free(&d);
    chart_free(&c);
    assert_int_equal(0, finish(NULL));
}

static void peaks_and_gaps_are_drawn(void **state)
{
    (void)state;
    struct chart_data d;
    const struct row all = { .table = "many", .x = "x", .y = "y" };
    const struct row gap = { .table = "n", .x = "x", .y = "y", .band = "lo\nhi" };
    struct buf page = { 0 };
    double most = 0;
    struct chart c = chart_of(&all);
    PASS(&e, chart_read(&c, &(uint32_t){ CHART_PATIENCE }, &d, &e));
    assert_true(plot_line_thinned(&d.series[0].line));
    for (uint32_t i = 0; i < d.series[0].line.n; i++)
        most = fmax(most, d.series[0].line.v[i].y);
    assert_true(most == 99);
    assert_non_null(strstr(d.notes.v[0], "30000 values: of each part of the width"));
    draw(&c, &d, &page);
    assert_non_null(strstr((char *)page.p, "The last 400 of 1"));
    buf_free(&page);
    chart_data_free(&d);
    chart_free(&c);
    c = chart_of(&gap);
    PASS(&e, chart_read(&c, &(uint32_t){ CHART_PATIENCE }, &d, &e));
    draw(&c, &d, &page);
    const char *line = strstr((char *)page.p, "<path class=\"line k0\" d=\"M");
    assert_non_null(line);
    assert_non_null(strstr(line, "h0M")); // two points alone, the gap between them
    assert_non_null(strstr((char *)page.p, "10 (9 to 11)"));
    assert_non_null(strstr((char *)page.p, "lo to hi"));
    buf_free(&page);
    chart_data_free(&d);
    chart_free(&c);
}

static void a_table_that_is_too_large_is_said(void **state)
{
    (void)state;
    const struct row r = { .table = "endless", .x = "x", .y = "y" };
    struct chart_data d;
    uint32_t patience = 10;
    execute(
        "CREATE VIEW endless AS WITH RECURSIVE c(i) AS (VALUES(0) UNION ALL SELECT i + 1"
        " FROM c) SELECT i AS x, i AS y FROM c");
    struct chart c = chart_of(&r);
    PASS(&e, chart_read(&c, &patience, &d, &e));
    EQ_I64(CHART_EMPTY, d.kind);
    EQ_I64(0, patience);
    EQ_I64(1, d.notes.n);
    assert_non_null(strstr(d.notes.v[0], "endless is too large to be read for a page"));
    chart_data_free(&d);
    chart_free(&c);
}

static void a_file_that_is_no_warehouse_is_said(void **state)
{
    (void)state;
    const struct row r = { .table = "n", .x = "x", .y = "y" };
    static const char *const into[] = { "/nowhere/at/all.db", "/dev/null/x",
                                        "postgresql://h/d" };
    static const char *const says[] = { "/nowhere/at/all.db cannot be read: ",
                                        "/dev/null/x cannot be read: ",
                                        "is in PostgreSQL, whose tables are not drawn" };
    for (size_t i = 0; i < N_OF(into); i++) {
        struct chart_data d;
        struct chart c = chart_of(&r);
        free(c.into);
        c.into = strdup(into[i]);
        PASS(&e, chart_read(&c, &(uint32_t){ CHART_PATIENCE }, &d, &e));
        EQ_I64(1, d.notes.n);
        if (!strstr(d.notes.v[0], says[i])) fail_msg("%s", d.notes.v[0]);
        chart_data_free(&d);
        chart_free(&c);
    }
}

static void damage(const char *from)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    for (long at = 4096; fseek(f, at, SEEK_SET) == 0 && at < 40960; at += 512)
        fputs(from, f);
    fclose(f);
}

static void a_damaged_warehouse_does_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct chart_data d;
        struct buf page = { 0 };
        struct chart c = chart_of(&rows[i]);
        damage(i % 2 ? "\xff\xff\xff\xff\xff\xff\xff\xff" : "\x0d\x01\x02\x7f");
        PASS(&e, chart_read(&c, &(uint32_t){ CHART_PATIENCE }, &d, &e));
        draw(&c, &d, &page);
        buf_free(&page);
        chart_data_free(&d);
        chart_free(&c);
    }
}

// ---- runs.db ----

static void record(struct charts *all)
{
    struct journal *j = NULL;
    struct journal_run run = { .name = "n", .status = "running", .into = "sqlite:wh.db" };
    struct journal_place p = { .load = "load", .load_id = 1, .database = path };
    PASS(&e, journal_open(&j, dir, "k", &e));
    EXPECT(ERR_INVALID, &e, journal_charts_put(j, all, &e));
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &p, &e));
    PASS(&e, journal_charts_put(j, all, &e));
    PASS(&e, journal_charts_put(j, all, &e)); // again does no harm
    run.status = "loaded";
    PASS(&e, journal_run_end(j, &run, &e));
    journal_close(&j);
}

static void figures_of_a_run_are_those_of_its_job(void **state)
{
    (void)state;
    struct charts all = { 0 }, got = { 0 };
    struct past p;
    struct buf out = { 0 };
    const struct row r[] = { { .table = "n", .x = "x", .y = "y\nz", .by = "g", .last = 9 },
                             { .table = "f",
                               .x = "ds",
                               .y = "yhat",
                               .band = "yhat_lower\nyhat_upper",
                               .forecast = "f" } };
    for (int i = 0; i < 2; i++) {
        struct chart c = chart_of(&r[i]);
        if (i) c.title = strdup("A <b>title</b>");
        PASS(&e, charts_add(&all, &c, &e));
    }
    record(&all);
    PASS(&e, past_open(&p, dir, "last", &e));
    PASS(&e, journal_charts_get(p.db, p.seq, &got, &e));
    EQ_I64(2, got.n);
    assert_null(got.v[0].title);
    assert_string_equal("g", got.v[0].by);
    assert_string_equal("z", got.v[0].y.v[1]);
    EQ_I64(9, got.v[0].last);
    assert_string_equal("A <b>title</b>", got.v[1].title);
    assert_string_equal("yhat_upper", got.v[1].band.v[1]);
    assert_string_equal(path, got.v[1].into);
    PASS(&e, buf_add(&out, "before", 6, &e));
    PASS(&e, charts_html(&p, &out, &e));
    PASS(&e, buf_add(&out, "", 1, &e));
    const char *text = (char *)out.p;
    assert_int_equal(0, strncmp(text, "before<h2>Charts</h2>", 21));
    assert_non_null(strstr(text, "A &lt;b&gt;title&lt;/b&gt;"));
    assert_non_null(strstr(text, "y, z of n"));
    buf_free(&out);
    p.patience_ms = 2000;
    PASS(&e, charts_html(&p, &out, &e));
    p.goes_on = true;
    out.n = 0;
    PASS(&e, charts_html(&p, &out, &e));
    PASS(&e, buf_add(&out, "", 1, &e));
    assert_string_equal("<h2>Charts</h2>\n<p>They are drawn when the run has ended.</p>\n",
                        (char *)out.p);
    past_close(&p);
    buf_free(&out);
    charts_free(&all);
    charts_free(&got);
}

static void a_history_without_charts_has_none(void **state)
{
    (void)state;
    struct charts none = { 0 };
    struct past p;
    struct buf out = { 0 };
    record(&none);
    PASS(&e, past_open(&p, dir, "last", &e));
    PASS(&e, charts_html(&p, &out, &e));
    EQ_I64(0, out.n);
    past_close(&p);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test_setup_teardown(peaks_and_gaps_are_drawn, fresh, finish),
        cmocka_unit_test_setup_teardown(a_table_that_is_too_large_is_said, fresh, finish),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_warehouse_is_said, fresh, finish),
        cmocka_unit_test_setup_teardown(a_damaged_warehouse_does_no_harm, fresh, finish),
        cmocka_unit_test_setup_teardown(figures_of_a_run_are_those_of_its_job, fresh,
                                        finish),
        cmocka_unit_test_setup_teardown(a_history_without_charts_has_none, fresh, finish),
    };
    return test_main("charts", plain, N_OF(plain), TABLE(rows, a_table_is_read_and_drawn),
                     N_OF(rows));
}
