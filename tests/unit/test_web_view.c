// What the page sees of a state folder: jobs, runs, workers, sums; and metrics of it.

#include "coordinator/web_view.h"

#include "coordinator/run_lock.h"
#include "coordinator/web_metrics.h"
#include "tests/source_kit.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>

static struct folder top;
static char dir[100];
static struct err e;
static struct backlog *queue;
static struct web_view v;
static ns_t now;

static int fresh(void **state)
{
    (void)state;
    char note[200];
    struct run_lock *l;
    top = folder_new();
    snprintf(dir, sizeof dir, "%s/.tranche", top.path);
    PASS(&e, run_lock_take(&l, dir, "k", &e)); // makes the folders, as a server does
    run_lock_release(&l);
    PASS(&e, backlog_open(&queue, dir, note, sizeof note, &e));
    const struct web_facts facts = { .version = "1.2\"3", .state = dir, .jobs = 2 };
    web_view_init(&v, &facts);
    now = NS_S;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    web_view_close(&v);
    backlog_close(&queue);
    folder_rm(&top);
    return 0;
}

static void look(void)
{
    now += 2 * NS_S;
    PASS(&e, web_view_refresh(&v, now, &e));
}

static int64_t submit(uint64_t token, uint32_t priority)
{
    int64_t id;
    bool again;
    const struct backlog_new n = { .token = { token, 1 },
                                   .priority = priority,
                                   .name = "job <b>",
                                   .owner = "me",
                                   .folder = "/tmp",
                                   .file = "x.yaml",
                                   .loads = "",
                                   .spec = { (const uint8_t *)"s", 1 } };
    PASS(&e, backlog_add(queue, &n, &id, &again, &e));
    return id;
}

static struct journal *begin(struct journal_run *run, const char *key, int64_t job)
{
    struct journal *j = NULL;
    static const struct journal_input input = { .name = "in.csv", .size = 1000 };
    struct journal_place place = {
        .load = "l", .inputs = &input, .n_inputs = 1, .database = "", .job = job
    };
    *run = (struct journal_run){ .name = "n\"a\\m\ne\xff", .status = "running" };
    PASS(&e, journal_open(&j, dir, key, &e));
    PASS(&e, journal_run_begin(j, run, "spec", &e));
    PASS(&e, journal_stats_begin(j, &place, &e));
    return j;
}

static void end(struct journal **j, struct journal_run *run, const char *status)
{
    run->status = status;
    PASS(&e, journal_run_end(*j, run, &e));
    journal_close(j);
}

static void workers_come(struct journal *j)
{
    struct journal_worker w[] = {
        { .name = "(coordinator)", .role = "coordinator", .left_ms = -1 },
        { .name = "anna", .role = "remote", .host = "h", .slots = 3, .left_ms = -1 },
        { .name = "berta", .role = "remote", .host = "h", .slots = 1, .left_ms = 10 },
        { .name = "local", .role = "local", .host = "me", .slots = 2, .left_ms = -1 },
    };
    PASS(&e, journal_workers_put(j, w, N_OF(w), &e));
    PASS(&e, journal_attempt(j, "l", (struct range){ 0, 0, 10 }, 1, "anna", &e));
    PASS(&e, journal_flush(j, &e));
    PASS(&e,
         journal_attempt_end(j, "l", (struct range){ 0, 0, 10 }, 1, "ok", 1, 0, "", &e));
    PASS(&e, journal_attempt(j, "l", (struct range){ 0, 100, 900 }, 1, "anna", &e));
    PASS(&e, journal_flush(j, &e));
}

static bool ignore_run(void *arg, const struct web_run *r)
{
    (void)arg, (void)r;
    return true;
}

// Whoever asks often gets no more memory than who asks once.
static void what_is_asked_for_within_a_second_takes_no_more_memory(void **state)
{
    (void)state;
    struct journal_run run;
    char text[2000];
    struct journal *j = begin(&run, "a", 0);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    run.error = text;
    end(&j, &run, "failed");
    look();
    for (int i = 0; i < 8000; i++) {
        PASS(&e, web_view_refresh(&v, now, &e));
        PASS(&e, web_view_run(&v, "last", ignore_run, NULL, &e));
    }
    assert_true(v.mem.used_bytes < 12 << 20);
}

static void an_empty_folder_shows_nothing(void **state)
{
    (void)state;
    look();
    EQ_I64(0, v.n_runs + v.n_running + v.n_waiting + v.n_over + v.n_workers);
    uint64_t version = v.version;
    look();
    EQ_I64(version, v.version); // nothing has changed
}

static void jobs_stand_in_the_order_in_which_they_begin(void **state)
{
    (void)state;
    int64_t low = submit(1, 10), high = submit(2, 90), runs = submit(3, 50),
            over = submit(4, 50), older = submit(5, 50);
    PASS(&e, backlog_start(queue, runs, &e));
    PASS(&e, backlog_start(queue, over, &e));
    PASS(&e, backlog_end(queue, over, 3, "", "why", &e));
    bool stops;
    PASS(&e, backlog_cancel(queue, older, &stops, &e));
    look();
    EQ_I64(2, v.n_waiting);
    EQ_I64(high, v.waiting[0].job.id);
    EQ_I64(low, v.waiting[1].job.id);
    EQ_I64(runs, v.running[0].job.id);
    assert_null(v.running[0].run);
    EQ_I64(2, v.n_over);
    EQ_I64(older, v.over[0].job.id);
    assert_string_equal("why", v.over[1].job.error);
    EQ_I64(1, v.jobs_in[BACKLOG_CANCELLED]);
    EQ_I64(2, v.jobs_in[BACKLOG_QUEUED]);
}

static void a_run_that_goes_on_has_a_job_progress_and_workers(void **state)
{
    (void)state;
    struct journal_run run;
    int64_t job = submit(1, 50);
    PASS(&e, backlog_start(queue, job, &e));
    struct journal *j = begin(&run, "k", job);
    workers_come(j);
    for (uint64_t i = 0; i <= 20; i++) {
        struct journal_sample s = { .at_ms = (int64_t)i * 1000,
                                    .rows_read = i * 10,
                                    .bytes = i * 20 };
        PASS(&e, journal_sample_put(j, i, &s, &e));
    }
    struct journal_now n = { .at_ms = 20500,
                             .rows_read = 205,
                             .bytes = 400,
                             .bytes_total = 1000,
                             .to_come = -1,
                             .chunks = 7 };
    PASS(&e, journal_now_put(j, &n, &e));
    look();
    EQ_I64(1, v.n_runs);
    assert_true(v.runs[0].goes_on);
    EQ_I64(job, v.runs[0].job);
    assert_ptr_equal(&v.runs[0], v.running[0].run);
    EQ_I64(7, v.runs[0].now.chunks);
    EQ_I64(-1, v.runs[0].now.to_come);
    EQ_I64(10, v.runs[0].rows_per_second); // 105 rows in 10.5 s
    EQ_I64(30000, v.runs[0].left_ms);      // 600 bytes, 20 a second
    EQ_I64(2, v.n_workers);
    assert_string_equal("anna", v.workers[0].w.name);
    assert_string_equal("in.csv", v.workers[0].input);
    EQ_I64(100, v.workers[0].begin);
    EQ_I64(0, v.workers[1].chunks); // local has nothing to do
    uint64_t version = v.version;
    end(&j, &run, "loaded");
    EQ_I64(version, v.version); // nobody has asked
    look();
    assert_true(v.version > version);
    assert_false(v.runs[0].goes_on);
    EQ_I64(0, v.n_workers);
}

static void it_looks_once_a_second_at_most(void **state)
{
    (void)state;
    look();
    submit(1, 50);
    PASS(&e, web_view_refresh(&v, now + NS_S - 1, &e));
    EQ_I64(0, v.n_waiting);
    PASS(&e, web_view_refresh(&v, now + NS_S, &e));
    EQ_I64(1, v.n_waiting);
}

static bool collect(void *arg, const struct web_job *j)
{
    int64_t **at = arg;
    *(*at)++ = j->job.id;
    return true;
}

static bool collect_run(void *arg, const struct web_run *r)
{
    int64_t **at = arg;
    *(*at)++ = r->seq;
    return true;
}

static void older_ones_come_page_by_page(void **state)
{
    (void)state;
    int64_t seen[10] = { 0 }, *at = seen;
    struct journal_run run;
    for (uint64_t i = 1; i <= 3; i++)
        submit(i, 50);
    for (int i = 0; i < 3; i++) {
        struct journal *j = begin(&run, "k", i == 1 ? 2 : 0);
        end(&j, &run, "loaded");
    }
    look();
    PASS(&e, web_view_jobs(&v, 0, 2, collect, &at, &e));
    PASS(&e, web_view_jobs(&v, 2, 2, collect, &at, &e));
    EQ_I64(321, seen[0] * 100 + seen[1] * 10 + seen[2]);
    at = seen;
    PASS(&e, web_view_runs(&v, 3, 5, collect_run, &at, &e));
    EQ_I64(2, at - seen);
    EQ_I64(21, seen[0] * 10 + seen[1]);
    at = seen;
    PASS(&e, web_view_runs_of(&v, 2, 5, collect_run, &at, &e));
    EQ_I64(1, at - seen);
    EQ_I64(2, seen[0]);
    PASS(&e, web_view_run(&v, run.id, collect_run, &at, &e));
    PASS(&e, web_view_run(&v, "last", collect_run, &at, &e));
    EQ_I64(3, seen[2]);
    EXPECT(ERR_INVALID, &e, web_view_run(&v, "x' OR 1=1", collect_run, &at, &e));
    EXPECT(ERR_INVALID, &e, web_view_job(&v, 77, collect, &at, &e));
    assert_string_equal("there is no job 77", e.text);
    EXPECT(ERR_INVALID, &e, web_view_job(&v, 0, collect, &at, &e));
}

static void a_history_that_was_moved_away_is_followed(void **state)
{
    (void)state;
    char from[120], to[130], note[400];
    submit(1, 50);
    look();
    EQ_I64(1, v.n_waiting);
    static const char *const parts[] = { "", "-wal", "-shm" };
    backlog_close(&queue);
    for (size_t i = 0; i < N_OF(parts); i++) {
        snprintf(from, sizeof from, "%s/runs.db%s", dir, parts[i]);
        snprintf(to, sizeof to, "%s.old", from);
        rename(from, to);
    }
    look();
    EQ_I64(0, v.n_waiting);
    PASS(&e, backlog_open(&queue, dir, note, sizeof note, &e));
    submit(2, 50);
    submit(3, 50);
    look();
    EQ_I64(2, v.n_waiting);
}

static void what_cannot_be_read_is_an_empty_snapshot_and_an_error(void **state)
{
    (void)state;
    char path[120];
    submit(1, 50);
    look();
    uint64_t version = v.version;
    backlog_close(&queue);
    snprintf(path, sizeof path, "%s/runs.db", dir);
    unlink(path);
    assert_int_equal(0, mkdir(path, 0700));
    now += 2 * NS_S;
    EXPECT(ERR_IO, &e, web_view_refresh(&v, now, &e));
    EQ_I64(0, v.n_waiting);
    assert_true(v.version > version);
    EXPECT(ERR_BUSY, &e, web_view_jobs(&v, 0, 2, collect, NULL, &e));
    EXPECT(ERR_BUSY, &e, web_view_runs(&v, 0, 2, collect_run, NULL, &e));
    EXPECT(ERR_BUSY, &e, web_view_job(&v, 1, collect, NULL, &e));
}

// ---- sums ----

// A run in a process that dies without a word.
static void die(const char *key, uint64_t rows)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct journal_run run;
        struct journal *j = begin(&run, key, 0);
        struct journal_now n = { .at_ms = 1000, .rows_read = rows };
        _exit(journal_now_put(j, &n, &e) == ERR_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_int_equal(0, status);
}

static void sums_never_fall_whatever_runs_do(void **state)
{
    (void)state;
    struct journal_run one, two;
    struct journal *j = begin(&one, "before", 0);
    one.rows_read = 1000;
    end(&j, &one, "loaded");
    v.facts.since_ms = clock_wall_ms() + 1; // what was over does not count
    while (clock_wall_ms() <= v.facts.since_ms) {
    }
    look();
    EQ_I64(0, v.totals.now.rows_read);
    j = begin(&one, "one", 0);
    struct journal_now n = { .at_ms = 1000, .rows_read = 10 };
    PASS(&e, journal_now_put(j, &n, &e));
    look();
    EQ_I64(10, v.totals.now.rows_read);
    EQ_I64(1, v.totals.now.begun);
    die("dead", 5);
    look();
    EQ_I64(15, v.totals.now.rows_read);
    EQ_I64(1, v.totals.now.interrupted);
    struct journal *k = begin(&two, "two", 0);
    two.rows_read = 100;
    two.rows_rejected = 3;
    two.rows_refused = 4;
    end(&k, &two, "loaded with rejects");
    look();
    EQ_I64(115, v.totals.now.rows_read);
    EQ_I64(7, v.totals.now.rows_rejected);
    one.rows_read = 20;
    end(&j, &one, "loaded");
    look();
    EQ_I64(125, v.totals.now.rows_read);
    EQ_I64(1, v.totals.now.loaded);
    EQ_I64(1, v.totals.now.with_rejects);
    // History is not kept for ever.
    sqlite3 *db;
    char path[120];
    snprintf(path, sizeof path, "%s/runs.db", dir);
    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, "DELETE FROM runs", NULL, NULL, NULL));
    sqlite3_close(db);
    look();
    EQ_I64(125, v.totals.now.rows_read);
    EQ_I64(3, v.totals.now.begun);
    EQ_I64(0, v.n_runs);
}

// ---- metrics ----

static void label_at(const char **s)
{
    while (**s >= 'a' && **s <= 'z')
        ++*s;
    assert_int_equal('=', *(*s)++);
    assert_int_equal('"', *(*s)++);
    for (; **s != '"'; ++*s) {
        assert_true((unsigned char)**s >= ' ');
        if (**s == '\\') assert_non_null(strchr("\\\"n", *++*s));
    }
    ++*s;
}

// One line, as the format has it: a comment, or name{labels} number.
static void check_line(char *line, char last[100])
{
    char name[100], kind[20];
    const char *s = line;
    if (sscanf(line, "# TYPE tranche_%99s %19s", name, kind) == 2) {
        size_t n = strlen(name);
        bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
        EQ_I64(total, strcmp(kind, "counter") == 0);
        strcpy(last, name);
        return;
    }
    if (strncmp(line, "# HELP tranche_", 15) == 0) return;
    assert_int_equal(0, strncmp(line, "tranche_", 8));
    s += 8;
    size_t n = strlen(last);
    assert_int_equal(0, strncmp(s, last, n)); // no line without its TYPE, none between
    s += n;
    if (*s == '{') {
        do
            ++s, label_at(&s);
        while (*s == ',');
        assert_int_equal('}', *s++);
    }
    assert_int_equal(' ', *s++);
    char *rest;
    strtod(s, &rest);
    assert_true(rest != s && *rest == 0);
}

static void metrics_are_what_the_format_wants(void **state)
{
    (void)state;
    struct journal_run run;
    struct buf out = { 0 };
    struct web_request r = { 0 };
    int status = 0;
    char last[100] = "";
    struct journal *j = begin(&run, "k", 5);
    struct journal_now n = {
        .at_ms = 1000, .rows_read = 1ull << 40, .bytes_total = 10, .bytes = 5
    };
    PASS(&e, journal_now_put(j, &n, &e));
    look();
    PASS(&e, web_metrics(&v, &r, &status, &out, &e));
    PASS(&e, buf_add(&out, "", 1, &e));
    char *text = (char *)out.p;
    assert_non_null(strstr(text, "tranche_info{version=\"1.2\\\"3\"} 1\n"));
    assert_non_null(
        strstr(text, "name=\"n\\\"a\\\\m\\ne\xef\xbf\xbd\",job=\"5\"} 1099511627776\n"));
    assert_non_null(strstr(text, "tranche_run_input_done_ratio{"));
    assert_null(strstr(text, "tranche_run_left_seconds")); // nobody knows
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        check_line(line, last);
    buf_free(&out);
    end(&j, &run, "loaded");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)
    const struct CMUnitTest plain[] = {
        T(an_empty_folder_shows_nothing),
        T(what_is_asked_for_within_a_second_takes_no_more_memory),
        T(jobs_stand_in_the_order_in_which_they_begin),
        T(a_run_that_goes_on_has_a_job_progress_and_workers),
        T(it_looks_once_a_second_at_most),
        T(older_ones_come_page_by_page),
        T(a_history_that_was_moved_away_is_followed),
        T(what_cannot_be_read_is_an_empty_snapshot_and_an_error),
        T(sums_never_fall_whatever_runs_do),
        T(metrics_are_what_the_format_wants),
    };
    return test_main("web_view", plain, N_OF(plain), NULL, 0);
}
