// The pages of a server: what others wrote stays text on every one of them, and lists are
// cut.

#include "coordinator/backlog.h"
#include "coordinator/job_log.h"
#include "coordinator/journal_crew.h"
#include "coordinator/journal_stats.h"
#include "coordinator/run_lock.h"
#include "coordinator/web_route.h"
#include "tests/source_kit.h"

#include <ctype.h>
#include <sqlite3.h>
#include <sys/stat.h>

// Out of an element, out of an attribute, a terminal's code, broken UTF-8, turned around.
#define HOSTILE                                                                        \
    "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[2J\x7f\xff\xc0\xbc" \
    "\xe2\x80\xae/?&lt;"

static struct folder top;
static char dir[100], db[160];
static struct err e;
static struct web_view view;
static struct journal *journal;
static struct journal_run run;
static int64_t job;

static void make_job(void)
{
    struct backlog *b = NULL;
    struct job_log log;
    char note[200], path[200];
    bool again;
    struct backlog_new n = { .token = { 1, 2 },
                             .priority = 50,
                             .name = HOSTILE,
                             .owner = HOSTILE,
                             .folder = HOSTILE,
                             .file = HOSTILE,
                             .loads = "x\n",
                             .spec = { (const uint8_t *)"spec", 4 } };
    PASS(&e, backlog_open(&b, dir, note, sizeof note, &e));
    PASS(&e, backlog_add(b, &n, &job, &again, &e));
    n.token.lo = 3;
    int64_t other;
    PASS(&e, backlog_add(b, &n, &other, &again, &e));
    PASS(&e, backlog_start(b, other, &e));
    PASS(&e, backlog_end(b, other, 1, "", HOSTILE, &e));
    backlog_close(&b);
    snprintf(path, sizeof path, "%s/serve", dir);
    assert_int_equal(0, mkdir(path, 0700));
    snprintf(path, sizeof path, "%s/serve/logs", dir);
    assert_int_equal(0, mkdir(path, 0700));
    PASS(&e, job_log_open(&log, path, job, &e));
    PASS(&e, job_log_add(&log, HOSTILE "\n", sizeof HOSTILE, &e));
    job_log_close(&log);
}

static void make_warehouse(void)
{
    sqlite3 *w;
    sqlite3_stmt *q;
    snprintf(db, sizeof db, "%s/wh.db", top.path);
    assert_int_equal(SQLITE_OK, sqlite3_open(db, &w));
    assert_int_equal(
        SQLITE_OK, sqlite3_exec(w,
                                "CREATE TABLE tranche_runs(x); CREATE TABLE t_rejects(run "
                                "INTEGER, file TEXT, line INTEGER, byte_offset INTEGER, "
                                "\"column\" TEXT, reason TEXT, raw BLOB); BEGIN",
                                NULL, NULL, NULL));
    assert_int_equal(
        SQLITE_OK, sqlite3_prepare_v2(w, "INSERT INTO t_rejects VALUES(7,?1,1,0,?1,?1,?1)",
                                      -1, &q, NULL));
    sqlite3_bind_text(q, 1, HOSTILE, -1, SQLITE_STATIC);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(SQLITE_DONE, sqlite3_step(q));
        sqlite3_reset(q);
    }
    sqlite3_finalize(q);
    assert_int_equal(SQLITE_OK, sqlite3_exec(w, "COMMIT", NULL, NULL, NULL));
    sqlite3_close(w);
}

static const char busy[] = "0192837465019283746501928374650192837465019283746501928374"
                           "65019283746501928374650192837465019283";

static void make_run_of(uint32_t workers, const char *worker)
{
    static char names[1000][sizeof HOSTILE + 16];
    static struct journal_worker w[1000];
    const struct journal_input in = { .name = HOSTILE, .size = 1000 };
    const struct journal_place p = {
        .load = "l", .load_id = 7, .database = db, .inputs = &in, .n_inputs = 1, .job = job
    };
    const struct journal_now now = { .at_ms = 1000,
                                     .rows_read = 12345,
                                     .rows_rejected = 60,
                                     .retries = 2,
                                     .bytes = 400,
                                     .bytes_total = 1000,
                                     .workers = workers,
                                     .to_come = -1 };
    run = (struct journal_run){ .name = HOSTILE,
                                .status = "running",
                                .job_file = HOSTILE,
                                .into = "sqlite:" HOSTILE,
                                .table = "t",
                                .error = HOSTILE };
    PASS(&e, journal_open(&journal, dir, "k", &e));
    PASS(&e, journal_run_begin(journal, &run, "spec", &e));
    PASS(&e, journal_stats_begin(journal, &p, &e));
    PASS(&e, journal_now_put(journal, &now, &e));
    for (uint32_t i = 0; i < workers; i++) {
        snprintf(names[i], sizeof names[i], "%04u %s", i, worker);
        w[i] = (struct journal_worker){ .name = names[i],
                                        .role = "remote",
                                        .host = worker,
                                        .cpu = HOSTILE,
                                        .slots = 1,
                                        .left_ms = -1,
                                        .bucket_ms = 100,
                                        .busy = busy };
    }
    PASS(&e, journal_workers_put(journal, w, workers, &e));
    PASS(&e, journal_attempt(journal, "l", (struct range){ 0, 0, 500 }, 1, names[0], &e));
    PASS(&e, journal_flush(journal, &e));
    PASS(&e, journal_attempt_end(journal, "l", (struct range){ 0, 0, 500 }, 1, "died", 5, 1,
                                 HOSTILE, &e));
    PASS(&e, journal_attempt(journal, "l", (struct range){ 0, 0, 500 }, 2, names[0], &e));
    PASS(&e, journal_event(journal, HOSTILE, HOSTILE, &e));
    PASS(&e, journal_flush(journal, &e));
}

static void make_run(uint32_t workers)
{
    make_run_of(workers, HOSTILE);
}

static int fresh(void **state)
{
    (void)state;
    static struct web_facts facts;
    struct run_lock *l;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    PASS(&e, run_lock_take(&l, dir, "x", &e)); // makes the folders, as a server does
    run_lock_release(&l);
    facts = (struct web_facts){ "0.1", dir, 1000, 1 };
    web_view_init(&view, &facts);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    journal_close(&journal);
    web_view_close(&view);
    folder_rm(&top);
    return 0;
}

// Names of elements and attributes that are ours; no other way out of the text.
static void check_attribute(const char *s, size_t n, const char *value)
{
    assert_false(n >= 2 && memcmp(s, "on", 2) == 0);
    assert_false(n == 5 && memcmp(s, "style", 5) == 0);
    if (n == 4 && memcmp(s, "href", 4) == 0 && *value != '/')
        assert_true(strncmp(value, "#main\"", 6) == 0 ||
                    strncmp(value, "data:image/svg+xml,", 19) == 0);
    if (n == 3 && memcmp(s, "src", 3) == 0)
        assert_int_equal(0, strncmp(value, "/page.js\"", 9));
}

static const char *check_tag(const char *s)
{
    static const char *const ours[] = {
        "!doctype", "html",   "head",    "meta",       "title",   "link",    "script",
        "body",     "a",      "div",     "header",     "svg",     "path",    "rect",
        "nav",      "ul",     "li",      "p",          "button",  "main",    "h1",
        "h2",       "h3",     "dl",      "dt",         "dd",      "article", "span",
        "progress", "table",  "caption", "thead",      "tbody",   "tr",      "th",
        "td",       "footer", "figure",  "figcaption", "details", "summary", "pre",
        "code",     "b",
    };
    s += *s == '/';
    size_t n = strcspn(s, " \n/>"), i = 0;
    while (i < N_OF(ours) && (strlen(ours[i]) != n || memcmp(ours[i], s, n) != 0))
        i++;
    if (i == N_OF(ours)) fail_msg("a tag of somebody else: <%.60s", s);
    for (s += n; *s != '>';) {
        s += strspn(s, " \n/");
        n = strcspn(s, "= \n/>");
        if (s[n] != '=') {
            s += n;
            continue;
        }
        assert_int_equal('"', s[n + 1]);
        check_attribute(s, n, s + n + 2);
        const char *end = strchr(s + n + 2, '"');
        assert_non_null(end);
        s = end + 1;
    }
    return s + 1;
}

static void check_html(const char *s)
{
    while ((s = strchr(s, '<')))
        s = check_tag(s + 1);
}

static struct buf get(const char *path, const char *name, const char *value)
{
    struct buf out = { 0 };
    struct web_request r = { .path = path,
                             .param = { { name, value } },
                             .n_params = name ? 1 : 0 };
    int status = 0;
    const struct web_route *route = web_route_find(path, r.name);
    assert_non_null(route);
    PASS(&e, web_view_refresh(&view, clock_ns() + NS_S * 60, &e));
    PASS(&e, web_route_answer(route, &view, &r, &status, &out, &e));
    if (status != WEB_OK) fail_msg("%s: %d\n%.*s", path, status, (int)out.n, out.p);
    PASS(&e, buf_add(&out, "", 1, &e));
    return out;
}

static void is_clean(const char *path, const char *wanted)
{
    struct buf out = get(path, NULL, NULL);
    const char *text = (char *)out.p;
    if (strlen(text) + 1 != out.n) fail_msg("%s has a zero byte", path);
    for (const char *c = text; *c; c++)
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 0x7f)
            fail_msg("%s has control character %d", path, *c);
    assert_null(strchr(text, '\xff'));
    assert_null(strstr(text, "\xe2\x80\xae"));
    check_html(text);
    if (!strstr(text, wanted)) fail_msg("%s does not show %s:\n%s", path, wanted, text);
    assert_non_null(strstr(text, "</main>"));
    buf_free(&out);
}

static void hostile_texts_stay_text_on_every_page(void **state)
{
    (void)state;
    char path[100], shown[] = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;&lt;img "
                              "src=x onerror=alert(1)&gt;";
    make_job();
    make_warehouse();
    make_run(3);
    is_clean("/", shown);
    is_clean("/jobs", shown);
    is_clean("/runs", shown);
    is_clean("/workers", shown);
    snprintf(path, sizeof path, "/jobs/%lld", (long long)job);
    is_clean(path, shown);
    snprintf(path, sizeof path, "/jobs/%lld", (long long)job + 1);
    is_clean(path, shown);
    snprintf(path, sizeof path, "/runs/%s", run.id);
    is_clean(path, shown);
    snprintf(path, sizeof path, "/runs/%s/rejects", run.id);
    is_clean(
        path,
        "<b>\\x1b</b>[2J<b>\\x7f</b><b>\\xff</b><b>\\xc0</b><b>\\xbc</b><b>\\xe2</b><b>"
        "\\x80</b><b>\\xae</b>");
    run.status = "failed";
    PASS(&e, journal_run_end(journal, &run, &e));
    snprintf(path, sizeof path, "/runs/%s", run.id);
    is_clean(path, shown);
    is_clean("/", shown);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    while ((text = strstr(text, what)))
        text += strlen(what), n++;
    return n;
}

static void a_page_of_a_list_leads_to_the_next(void **state)
{
    (void)state;
    char path[100], after[24];
    make_job();
    make_warehouse();
    make_run(250);
    struct buf out = get("/workers", NULL, NULL);
    EQ_I64(101, count((char *)out.p, "<tr>"));
    assert_non_null(strstr((char *)out.p, "1 to 100 of 250"));
    assert_non_null(strstr((char *)out.p, "href=\"/workers?from=100\""));
    buf_free(&out);
    out = get("/workers", "from", "200");
    assert_non_null(strstr((char *)out.p, "201 to 250 of 250"));
    assert_non_null(strstr((char *)out.p, "href=\"/workers?from=100\""));
    assert_null(strstr((char *)out.p, "from=300"));
    buf_free(&out);
    out = get("/workers", "from", "4000"); // they have left
    assert_non_null(strstr((char *)out.p, "1 to 100 of 250"));
    buf_free(&out);
    snprintf(path, sizeof path, "/runs/%s/rejects", run.id);
    out = get(path, NULL, NULL);
    EQ_I64(50, count((char *)out.p, "class=\"raw\""));
    const char *next = strstr((char *)out.p, "?after=");
    assert_non_null(next);
    snprintf(after, sizeof after, "%.*s", (int)strspn(next + 7, "0123456789"), next + 7);
    buf_free(&out);
    out = get(path, "after", after);
    EQ_I64(10, count((char *)out.p, "class=\"raw\""));
    assert_null(strstr((char *)out.p, "?after="));
    buf_free(&out);
}

static void change_warehouse(const char *sql)
{
    sqlite3 *w;
    assert_int_equal(SQLITE_OK, sqlite3_open(db, &w));
    assert_int_equal(SQLITE_OK, sqlite3_exec(w, sql, NULL, NULL, NULL));
    sqlite3_close(w);
}

// Each column may hold anything: the table is not ours alone.
static void long_values_in_a_warehouse_are_cut(void **state)
{
    (void)state;
    char path[100];
    make_job();
    make_warehouse();
    make_run(1);
    change_warehouse("UPDATE t_rejects SET file = hex(zeroblob(500000)), \"column\" = file,"
                     " reason = file, raw = zeroblob(1000000)");
    change_warehouse("UPDATE t_rejects SET \"column\" = file, reason = file");
    snprintf(path, sizeof path, "/api/v1/runs/%s/rejects", run.id);
    struct buf out = get(path, NULL, NULL);
    assert_in_range(out.n, 1 << 20, 8 << 20);
    assert_non_null(strstr((char *)out.p, "\"raw_bytes\":1000000"));
    assert_null(strstr((char *)out.p, "\"next\":null"));
    buf_free(&out);
    change_warehouse("DROP TABLE t_rejects; CREATE TABLE t_rejects(run INTEGER, file TEXT,"
                     " line INTEGER, byte_offset INTEGER, \"column\" TEXT, reason TEXT,"
                     " raw BLOB AS (zeroblob(900000000))); INSERT INTO t_rejects"
                     " VALUES(7, '', 1, 2, '', '')");
    out = get(path, NULL, NULL);
    assert_non_null(strstr((char *)out.p, "\"rejects\":[],\"unknown\":\""));
    assert_non_null(strstr((char *)out.p, "too big"));
    buf_free(&out);
}

static struct range small(uint64_t i)
{
    return (struct range){ 0, i * 500, i * 500 + 500 };
}

static void the_page_of_a_run_with_a_thousand_workers_stays_below_100_kb(void **state)
{
    (void)state;
    char path[100];
    struct journal_sample sample = { 0 };
    make_job();
    make_warehouse();
    make_run_of(1000, "worker.example.org");
    for (uint64_t i = 0; i < 100; i++) {
        sample.at_ms = (int64_t)i * 1000;
        sample.rows_read += i * i % 977;
        sample.results = i % 13;
        PASS(&e, journal_sample_put(journal, i, &sample, &e));
    }
    for (uint64_t i = 1; i < 1000; i++)
        PASS(&e, journal_attempt(journal, "l", small(i), 1, "worker", &e));
    PASS(&e, journal_flush(journal, &e));
    for (uint64_t i = 1; i < 1000; i++) {
        PASS(&e,
             journal_attempt_end(journal, "l", small(i), 1, "failed", 5, 1, HOSTILE, &e));
        PASS(&e, journal_event(journal, "retry", HOSTILE, &e));
    }
    PASS(&e, journal_flush(journal, &e));
    snprintf(path, sizeof path, "/runs/%s", run.id);
    static const char *const all[] = { "/", "/workers", "/runs", NULL };
    for (int i = 0; i < 4; i++) {
        struct buf out = get(all[i] ? all[i] : path, NULL, NULL);
        print_message("%s: %zu bytes\n", all[i] ? all[i] : path, out.n);
        assert_true(out.n < 100000);
        check_html((char *)out.p);
        buf_free(&out);
    }
}

struct wrong {
    const char *name, *path, *param, *value, *says;
    int status;
};
static const struct wrong wrongs[] = {
    { "a_run_that_is_not_there", "/runs/20200101-000000-0000", NULL, NULL, "no run in",
      WEB_NOT_FOUND },
    { "a_run_with_a_hostile_name", "/runs/<b>", NULL, NULL, "&lt;b&gt;", WEB_NOT_FOUND },
    { "rejects_of_no_run", "/runs/x/rejects", NULL, NULL, "no run in", WEB_NOT_FOUND },
    { "a_job_that_is_not_there", "/jobs/77", NULL, NULL, "there is no job 77",
      WEB_NOT_FOUND },
    { "a_job_that_is_no_number", "/jobs/<i>", NULL, NULL,
      "&#39;&lt;i&gt;&#39; is no number", WEB_NOT_FOUND },
    { "a_place_in_a_list_that_is_no_number", "/workers", "from", "<i>", "from is a number",
      WEB_BAD_REQUEST },
    { "a_place_below_zero", "/jobs", "before", "-1", "before is a number",
      WEB_BAD_REQUEST },
};

static void is_said(void **state)
{
    const struct wrong *w = *state;
    struct buf out = { 0 };
    int status = 0;
    assert_int_equal(0, fresh(NULL));
    make_job();
    make_run(1);
    struct web_request r = { .path = w->path,
                             .param = { { w->param, w->value } },
                             .n_params = w->param ? 1 : 0 };
    const struct web_route *route = web_route_find(w->path, r.name);
    PASS(&e, web_view_refresh(&view, clock_ns(), &e));
    PASS(&e, web_route_answer(route, &view, &r, &status, &out, &e));
    PASS(&e, buf_add(&out, "", 1, &e));
    EQ_I64(w->status, status);
    if (!strstr((char *)out.p, w->says)) fail_msg("%s", (char *)out.p);
    check_html((char *)out.p);
    buf_free(&out);
    assert_int_equal(0, finish(NULL));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(hostile_texts_stay_text_on_every_page),
        T(a_page_of_a_list_leads_to_the_next),
        T(long_values_in_a_warehouse_are_cut),
        T(the_page_of_a_run_with_a_thousand_workers_stays_below_100_kb),
    };
    return test_main("pages", plain, N_OF(plain), TABLE(wrongs, is_said), N_OF(wrongs));
}
