#include "coordinator/journal.h"
#include "coordinator/journal_spans.h"
#include "coordinator/run_lock.h"
#include "tests/folder.h"
#include "tests/test.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[TEST_FOLDER], dir[80], db_path[100];
static struct err e;
static const struct range r1 = { 0, 0, 100 }, r2 = { 0, 100, 200 };
static const char load[] = "sqlite:wh.db flights 1";

static int fresh(void **state)
{
    (void)state;
    if (folder_make(top, "test_journal") != 0) return -1;
    snprintf(dir, sizeof dir, "%s/.tranche", top);
    snprintf(db_path, sizeof db_path, "%s/runs.db", dir);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    return folder_remove(top);
}

static struct journal *open_journal(const char *key)
{
    struct journal *j = NULL;
    PASS(&e, journal_open(&j, dir, key, &e));
    return j;
}

static struct journal_run begin(struct journal *j, const char *name)
{
    struct journal_run run = { .name = name,
                               .table = "t",
                               .into = "sqlite:wh.db",
                               .status = "running",
                               .workers = 2 };
    PASS(&e, journal_run_begin(j, &run, "spec", &e));
    return run;
}

static struct journal_attempts past(struct journal *j, struct range r)
{
    struct journal_attempts a;
    PASS(&e, journal_attempts_of(j, load, r, &a, &e));
    return a;
}

static int64_t query(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(SQLITE_OK, sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READWRITE, NULL));
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    int64_t x = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : -1;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return x;
}

// Runs `f` in a process of its own, which says when it is ready and is then killed, so that
// nothing is cleaned up.
static pid_t child_at(void (*f)(void))
{
    int ready[2];
    assert_int_equal(0, pipe(ready));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        f();
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    char c;
    ssize_t n = read(ready[0], &c, 1);
    close(ready[0]);
    EQ_I64(1, n);
    return pid;
}

static void kill_child(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

// ---- attempts ----

static void attempts_are_counted_across_runs(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    struct journal_run run = begin(j, "a");
    PASS(&e, journal_attempt(j, load, r1, 1, "w1", &e));
    PASS(&e, journal_attempt(j, load, r1, 2, "w2", &e));
    PASS(&e, journal_attempt(j, load, r1, 3, "w2", &e));
    PASS(&e, journal_attempt_end(j, load, r1, 1, "failed", 5, 100, "no", &e));
    PASS(&e, journal_attempt_end(j, load, r1, 2, "lost", 5, 100, NULL, &e));
    PASS(&e, journal_attempt_end(j, load, r1, 3, "ok", 5, 100, "", &e));
    EQ_I64(3, past(j, r1).last);
    PASS(&e, journal_run_end(j, &run, &e));
    journal_close(&j);

    j = open_journal("k");
    begin(j, "b");
    EQ_I64(3, past(j, r1).last);
    EQ_I64(1, past(j, r1).failed);
    EQ_I64(0, past(j, r1).unfinished);
    EQ_I64(0, past(j, r2).last);
    struct journal_attempts other;
    PASS(&e, journal_attempts_of(j, "another load", r1, &other, &e));
    EQ_I64(0, other.last);
    journal_close(&j);
}

static void die_with_attempts_in_flight(void)
{
    struct journal *j = open_journal("k");
    begin(j, "dies");
    if (journal_attempt(j, load, r1, 1, "w", &e) ||
        journal_attempt(j, load, r1, 2, "w", &e) ||
        journal_attempt_end(j, load, r1, 1, "ok", 1, 1, "", &e) || journal_flush(j, &e) ||
        journal_attempt(j, load, r2, 1, "w", &e)) // not flushed: not assigned
        _exit(1);
}

static void a_killed_run_leaves_what_was_flushed_unfinished(void **state)
{
    (void)state;
    kill_child(child_at(die_with_attempts_in_flight));
    struct journal *j = open_journal("k");
    begin(j, "next");
    EQ_I64(2, past(j, r1).last);
    EQ_I64(1, past(j, r1).unfinished);
    EQ_I64(0, past(j, r2).last);
    EQ_I64(1, query("SELECT count(*) FROM runs WHERE status = 'interrupted'"));
    EQ_I64(1, query("SELECT count(*) FROM runs WHERE status = 'running'"));
    journal_close(&j);
}

static void die_after_a_result(void)
{
    struct journal *j = open_journal("k");
    begin(j, "dies");
    uint32_t n = past(j, r1).last;
    if (journal_attempt(j, load, r1, n + 1, "w", &e) ||
        journal_attempt(j, load, r1, n + 2, "w", &e) ||
        journal_attempt_end(j, load, r1, n + 2, "ok", 1, 1, "", &e) ||
        journal_attempt(j, load, r2, n + 1, "w", &e) ||
        journal_attempt(j, load, r2, n + 2, "w", &e) ||
        journal_attempt_end(j, load, r2, n + 2, "failed", 1, 1, "", &e) ||
        journal_flush(j, &e))
        _exit(1);
}

static void a_run_that_died_between_result_and_commit_counts_once(void **state)
{
    (void)state;
    kill_child(child_at(die_after_a_result));
    kill_child(child_at(die_after_a_result));
    struct journal *j = open_journal("k");
    begin(j, "next");
    EQ_I64(2, past(j, r1).unfinished); // one a run, however many attempts it lost before
    EQ_I64(0, past(j, r1).failed);
    EQ_I64(0, past(j, r2).unfinished); // its last attempt had ended
    journal_close(&j);
}

static void attempts_of_the_run_itself_are_not_unfinished(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    struct journal_run run = begin(j, "a");
    PASS(&e, journal_attempt(j, load, r1, 1, "w1", &e));
    EQ_I64(0, past(j, r1).unfinished);
    PASS(&e, journal_run_end(j, &run, &e)); // an orderly end: it was nobody's death
    begin(j, "b");
    EQ_I64(0, past(j, r1).unfinished);
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE outcome = 'interrupted'"));
    journal_close(&j);
}

// ---- spans of small chunks ----

static struct range small_chunk(uint64_t i)
{
    return (struct range){ 0, i * 10, i * 10 + 10 };
}

static void give_out(struct journal *j, uint64_t from, uint64_t to, const char *worker)
{
    for (uint64_t i = from; i < to; i++)
        PASS(&e, journal_attempt(j, load, small_chunk(i), 1, worker, &e));
}

static void small_chunks_given_out_together_share_a_row(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    struct journal_run run = begin(j, "a");
    give_out(j, 0, 100, "w1");
    give_out(j, 100, 150, "w2");
    PASS(&e, journal_flush(j, &e));
    EQ_I64(2, query("SELECT count(*) FROM attempts"));
    EQ_I64(150, query("SELECT sum(chunks) FROM attempts"));
    EQ_I64(1000, query("SELECT \"end\" FROM attempts WHERE worker = 'w1' AND begin = 0"));
    for (uint64_t i = 0; i < 100; i++) {
        EQ_I64(1, past(j, small_chunk(i)).last);
        PASS(&e, journal_attempt_end(j, load, small_chunk(i), 1, "ok", 2, 5, "", &e));
    }
    PASS(&e, journal_flush(j, &e));
    EQ_I64(200, query("SELECT ms FROM attempts WHERE outcome = 'ok' AND worker = 'w1'"));
    EQ_I64(0,
           query("SELECT count(*) FROM attempts WHERE outcome = 'ok' AND worker = 'w2'"));
    PASS(&e, journal_run_end(j, &run, &e));
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE outcome = 'interrupted'"));
    journal_close(&j);
}

static void what_fails_in_a_span_gets_a_row_of_its_own(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    begin(j, "a");
    give_out(j, 0, 10, "w1");
    PASS(&e, journal_flush(j, &e));
    for (uint64_t i = 0; i < 10; i++)
        PASS(&e, journal_attempt_end(j, load, small_chunk(i), 1, i == 4 ? "failed" : "ok",
                                     1, 1, i == 4 ? "no" : "", &e));
    PASS(&e, journal_flush(j, &e));
    EQ_I64(1, past(j, small_chunk(4)).failed);
    EQ_I64(0, past(j, small_chunk(3)).failed);
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE outcome = 'failed' AND begin = 40"
                    " AND worker = 'w1' AND text = 'no'"));
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE outcome = 'ok' AND chunks = 10"));
    journal_close(&j);
}

static void what_no_longer_stands_side_by_side_starts_another_row(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    begin(j, "a");
    give_out(j, 0, 2, "w");
    give_out(j, 3, 5, "w"); // a gap
    PASS(&e, journal_flush(j, &e));
    give_out(j, 5, 6, "w");                                         // flushed in between
    PASS(&e, journal_attempt(j, load, small_chunk(6), 2, "w", &e)); // another number
    PASS(&e, journal_attempt(j, "other", small_chunk(7), 2, "w", &e));
    PASS(&e, journal_attempt(j, load, (struct range){ 0, 80, 80 + SPAN_MAX }, 1, "w", &e));
    PASS(&e, journal_attempt(j, load, (struct range){ 0, 80 + SPAN_MAX, 90 + SPAN_MAX }, 1,
                             "w", &e));
    PASS(&e, journal_flush(j, &e));
    EQ_I64(7, query("SELECT count(*) FROM attempts"));
    EQ_I64(2, query("SELECT count(*) FROM attempts WHERE chunks = 2"));
    journal_close(&j);
}

static void halves_do_not_take_the_place_of_the_chunk_that_was_split(void **state)
{
    (void)state;
    const struct range whole = { 0, 0, 100 }, half[] = { { 0, 0, 50 }, { 0, 50, 100 } };
    struct journal *j = open_journal("k");
    begin(j, "a");
    PASS(&e, journal_attempt(j, load, whole, 1, "w", &e));
    PASS(&e, journal_flush(j, &e));
    PASS(&e, journal_attempt_end(j, load, whole, 1, "failed", 3, 4, "why", &e));
    for (int i = 0; i < 2; i++)
        PASS(&e, journal_attempt_apart(j, load, half[i], 1, "w", &e));
    PASS(&e, journal_flush(j, &e));
    for (int i = 0; i < 2; i++)
        PASS(&e,
             journal_attempt_end(j, load, half[i], 1, i ? "ok" : "failed", 1, 1, "", &e));
    PASS(&e, journal_flush(j, &e));
    EQ_I64(3, query("SELECT count(*) FROM attempts"));
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE begin = 0 AND \"end\" = 100 AND "
                    "outcome = 'failed' AND text = 'why' AND chunks = 1"));
    EQ_I64(1, query("SELECT count(*) FROM attempts WHERE begin = 50 AND outcome = 'ok'"));
    EQ_I64(
        1,
        query("SELECT count(*) FROM attempts WHERE \"end\" = 50 AND outcome = 'failed'"));
    EQ_I64(1, past(j, whole).failed);
    journal_close(&j);
}

static void die_with_a_span_in_flight(void)
{
    struct journal *j = open_journal("k");
    begin(j, "dies");
    give_out(j, 0, 10, "w");
    if (journal_flush(j, &e) ||
        journal_attempt_end(j, load, small_chunk(3), 1, "failed", 1, 1, "", &e) ||
        journal_attempt_end(j, load, small_chunk(5), 1, "ok", 1, 1, "", &e) ||
        journal_flush(j, &e))
        _exit(1);
}

static void a_span_in_flight_counts_for_each_of_its_chunks(void **state)
{
    (void)state;
    kill_child(child_at(die_with_a_span_in_flight));
    struct journal *j = open_journal("k");
    begin(j, "next");
    for (uint64_t i = 0; i < 10; i++) {
        EQ_I64(1, past(j, small_chunk(i)).last);
        EQ_I64(i != 3, past(j, small_chunk(i)).unfinished);
        EQ_I64(i == 3, past(j, small_chunk(i)).failed);
    }
    EQ_I64(0, past(j, small_chunk(10)).last);
    EQ_I64(0, past(j, (struct range){ 0, 95, 105 }).last);
    journal_close(&j);
}

static void a_history_of_version_1_is_continued(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    begin(j, "a");
    PASS(&e, journal_attempt(j, load, r1, 3, "w", &e));
    journal_close(&j);
    query("ALTER TABLE attempts DROP COLUMN chunks");
    query("PRAGMA user_version = 1");
    j = open_journal("k");
    assert_string_equal("", journal_note(j));
    begin(j, "b");
    EQ_I64(3, past(j, r1).last);
    give_out(j, 0, 3, "w");
    PASS(&e, journal_flush(j, &e));
    EQ_I64(2, query("PRAGMA user_version"));
    EQ_I64(2, query("SELECT count(*) FROM attempts"));
    journal_close(&j);
}

static void long_and_missing_texts_are_taken(void **state)
{
    (void)state;
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    struct journal *j = open_journal("k");
    begin(j, "a");
    PASS(&e, journal_event(j, "warning", text, &e));
    PASS(&e, journal_event(j, "joined", NULL, &e));
    PASS(&e, journal_flush(j, &e));
    EQ_I64(8192, query("SELECT max(length(text)) FROM events"));
    EQ_I64(2, query("SELECT count(*) FROM events"));
    journal_close(&j);
    free(text);
}

static void a_range_that_sqlite_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    struct range huge = { 0, 1, (uint64_t)INT64_MAX + 1 };
    EXPECT(ERR_TOOBIG, &e, journal_attempt(j, load, huge, 1, "w", &e));
    journal_close(&j);
}

static void what_a_full_disk_refused_is_written_later(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    begin(j, "a");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, small = { 1, RLIM_INFINITY };
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &old));
    small.rlim_max = old.rlim_max;
    PASS(&e, journal_attempt(j, load, r1, 1, "w", &e));
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &small));
    err_t rc = journal_flush(j, &e);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &old));
    EXPECT(ERR_IO, &e, rc);
    PASS(&e, journal_flush(j, &e));
    EQ_I64(1, query("SELECT count(*) FROM attempts"));
    journal_close(&j);
}

// ---- the run lock ----

static void hold_the_lock(void)
{
    struct journal *j = NULL;
    if (journal_open(&j, dir, "load 1", &e)) _exit(1);
}

static void a_second_run_of_a_load_is_told_who_has_it(void **state)
{
    (void)state;
    struct journal *j;
    pid_t holder = child_at(hold_the_lock);
    err_t rc = journal_open(&j, dir, "load 1", &e);
    char pid[32];
    snprintf(pid, sizeof pid, "process %d (", (int)holder);
    bool named = rc == ERR_BUSY && strstr(e.text, pid) && strstr(e.text, "test_journal") &&
                 strstr(e.text, " UTC; wait for it or stop it");
    kill_child(holder);
    if (!named) fail_msg("%s: %s", err_name(rc), e.text);
    assert_null(j);
    PASS(&e, journal_open(&j, dir, "load 1", &e)); // the dead hold nothing
    journal_close(&j);
}

static void different_loads_share_a_folder(void **state)
{
    (void)state;
    struct journal *a = open_journal("load 1"), *b = open_journal("load 2"), *c;
    begin(a, "a");
    begin(b, "b");
    PASS(&e, journal_attempt(a, load, r1, 1, "w", &e));
    PASS(&e, journal_attempt(b, "other", r1, 1, "w", &e));
    PASS(&e, journal_flush(b, &e)); // a's open group is in nobody's way
    PASS(&e, journal_flush(a, &e));
    EXPECT(ERR_BUSY, &e, journal_open(&c, dir, "load 1", &e));
    journal_close(&a);
    c = open_journal("load 1");
    journal_close(&c);
    journal_close(&b);
    EQ_I64(2, query("SELECT count(*) FROM attempts"));
}

static void a_process_is_known_to_live_or_not(void **state)
{
    (void)state;
    char me[RUN_LOCK_HOLDER], gone[2 * RUN_LOCK_HOLDER];
    run_lock_holder(me);
    assert_true(run_lock_holder_lives(me));
    run_lock_holder_of(getpid(), gone);
    assert_string_equal(me, gone);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
    snprintf(gone, sizeof gone, "%d%s", (int)pid, strchr(me, '@'));
    assert_false(run_lock_holder_lives(gone));
    // Its number is another process's now; before, names ended behind the boot.
    snprintf(gone, sizeof gone, "%s1", me);
    assert_false(run_lock_holder_lives(gone));
    char *host = strchr(strchr(me, '@') + 1, '@');
    snprintf(gone, sizeof gone, "%.*s", (int)(host - me), me);
    assert_true(run_lock_holder_lives(gone));
    // This machine was started anew, if it can be told from others.
    snprintf(gone, sizeof gone, "%ld@another-boot%s", (long)getpid(), host);
    assert_int_equal(host[1] == '@', run_lock_holder_lives(gone));
    snprintf(gone, sizeof gone, "%ld@another-boot@another-host@1", (long)getpid());
    assert_true(run_lock_holder_lives(gone));
    assert_true(run_lock_holder_lives("1234@another-boot")); // who knows
    assert_true(run_lock_holder_lives("nonsense"));
}

// ---- opening ----

static void folder_and_file_are_private(void **state)
{
    (void)state;
    struct stat st;
    mode_t old = umask(0);
    struct journal *j = open_journal("k");
    umask(old);
    assert_int_equal(0, stat(dir, &st));
    EQ_I64(0700, st.st_mode & 0777);
    assert_int_equal(0, stat(db_path, &st));
    EQ_I64(0600, st.st_mode & 0777);
    assert_string_equal("", journal_note(j));
    journal_close(&j);
}

struct damage {
    const char *name;
    const char *sql;   // run on a good file, or
    const char *bytes; // what the file is overwritten with from its start
    long cut;          // and where it is cut off; 0: not
};

static const struct damage damages[] = {
    { "text_instead_of_a_database", NULL, "this is not a database at all, but a text", 41 },
    { "a_header_of_garbage", NULL, "SQLite format 3\0GARBAGEGARBAGEGARBAGE", 0 },
    { "half_a_file", NULL, NULL, 5000 },
    { "a_table_is_missing", "DROP TABLE attempts", NULL, 0 },
    { "a_column_is_missing", "ALTER TABLE attempts DROP COLUMN peak_kb", NULL, 0 },
    { "of_another_program", "PRAGMA application_id = 7", NULL, 0 },
};

static void break_it(const struct damage *d)
{
    if (d->sql) query(d->sql);
    if (!d->bytes && !d->cut) return;
    int fd = open(db_path, O_RDWR);
    assert_true(fd >= 0);
    if (d->bytes) EQ_I64(37, pwrite(fd, d->bytes, 37, 0));
    if (d->cut) assert_int_equal(0, ftruncate(fd, d->cut));
    close(fd);
}

static void damage_is_moved_aside_and_said(void **state)
{
    const struct damage *d = *state;
    fresh(NULL);
    struct journal *j = open_journal("k");
    begin(j, "a");
    journal_close(&j);
    break_it(d);
    j = open_journal("k");
    if (!strstr(journal_note(j), "runs.db.damaged-")) fail_msg("note: %s", journal_note(j));
    begin(j, "b");
    PASS(&e, journal_attempt(j, load, r1, 1, "w", &e));
    EQ_I64(1, past(j, r1).last);
    journal_close(&j);
    EQ_I64(1, query("SELECT count(*) FROM runs"));
    char pattern[160];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.damaged-*", db_path);
    assert_int_equal(0, glob(pattern, 0, NULL, &found));
    globfree(&found);
    finish(NULL);
}

static void an_empty_file_is_filled(void **state)
{
    (void)state;
    assert_int_equal(0, mkdir(dir, 0700));
    close(open(db_path, O_CREAT | O_WRONLY, 0600));
    struct journal *j = open_journal("k");
    assert_string_equal("", journal_note(j));
    begin(j, "a");
    journal_close(&j);
}

static void a_newer_programs_file_is_left_alone(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    journal_close(&j);
    query("PRAGMA user_version = 99");
    EXPECT(ERR_DB, &e, journal_open(&j, dir, "k", &e));
    assert_non_null(strstr(e.text, "newer"));
    EQ_I64(99, query("PRAGMA user_version"));
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct journal *j;
    EXPECT(ERR_IO, &e, journal_open(&j, "/proc/nothing-can-be-made-here", "k", &e));
    assert_non_null(strstr(e.text, "/proc/nothing-can-be-made-here"));
    assert_non_null(strstr(e.text, "TRANCHE_HOME"));
    close(open(dir, O_CREAT | O_WRONLY, 0600));
    EXPECT(ERR_IO, &e, journal_open(&j, dir, "k", &e));
    assert_non_null(strstr(e.text, "in the way"));
}

// ---- runs ----

struct seen {
    int n, stop_after;
    struct journal_run last;
    char first_name[32], statuses[200];
};

static int see(void *arg, const struct journal_run *run, int64_t started_ms)
{
    struct seen *s = arg;
    if (s->n++ == 0) snprintf(s->first_name, sizeof s->first_name, "%s", run->name);
    strncat(s->statuses, run->status, sizeof s->statuses - strlen(s->statuses) - 1);
    strncat(s->statuses, ";", sizeof s->statuses - strlen(s->statuses) - 1);
    s->last = *run;
    assert_true(started_ms > 0);
    return s->n != s->stop_after;
}

static void runs_are_listed_newest_first_with_their_numbers(void **state)
{
    (void)state;
    struct seen s = { 0 };
    PASS(&e, journal_runs(dir, see, &s, &e)); // no folder yet: no runs
    EQ_I64(0, s.n);
    struct journal *j = open_journal("k");
    struct journal_run a = begin(j, "first");
    a.status = "loaded";
    a.rows_read = 10, a.rows_loaded = 9, a.rows_rejected = 1, a.seconds = 1.5, a.chunks = 3;
    PASS(&e, journal_run_end(j, &a, &e));
    struct journal_run b = begin(j, "second");
    PASS(&e, journal_runs(dir, see, &s, &e));
    EQ_I64(2, s.n);
    assert_string_equal("second", s.first_name);
    assert_string_equal("running;loaded;", s.statuses);
    assert_string_equal(a.id, s.last.id);
    EQ_I64(10, s.last.rows_read);
    EQ_I64(9, s.last.rows_loaded);
    EQ_I64(1, s.last.rows_rejected);
    EQ_I64(3, s.last.chunks);
    assert_true(s.last.seconds == 1.5);
    assert_true(strcmp(a.id, b.id) != 0);
    struct seen one = { .stop_after = 1 };
    PASS(&e, journal_runs(dir, see, &one, &e));
    EQ_I64(1, one.n);
    journal_close(&j);
}

static void a_run_whose_process_died_is_shown_as_interrupted(void **state)
{
    (void)state;
    kill_child(child_at(die_with_attempts_in_flight));
    struct seen s = { 0 };
    PASS(&e, journal_runs(dir, see, &s, &e));
    assert_string_equal("interrupted;", s.statuses);
}

static void a_run_id_is_a_time_and_a_random_part(void **state)
{
    (void)state;
    struct journal *j = open_journal("k");
    struct journal_run run = begin(j, "a");
    EQ_I64(20, strlen(run.id));
    EQ_I64(8, strspn(run.id, "0123456789"));
    EQ_I64(6, strspn(run.id + 9, "0123456789"));
    EQ_I64(4, strspn(run.id + 16, "0123456789abcdef"));
    struct journal_run none = { .status = "loaded" };
    PASS(&e, journal_run_end(j, &run, &e));
    EXPECT(ERR_INVALID, &e, journal_run_end(j, &none, &e));
    journal_close(&j);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, finish)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        T(attempts_are_counted_across_runs),
        T(a_killed_run_leaves_what_was_flushed_unfinished),
        T(a_run_that_died_between_result_and_commit_counts_once),
        T(attempts_of_the_run_itself_are_not_unfinished),
        T(small_chunks_given_out_together_share_a_row),
        T(what_fails_in_a_span_gets_a_row_of_its_own),
        T(halves_do_not_take_the_place_of_the_chunk_that_was_split),
        T(what_no_longer_stands_side_by_side_starts_another_row),
        T(a_span_in_flight_counts_for_each_of_its_chunks),
        T(a_history_of_version_1_is_continued),
        T(long_and_missing_texts_are_taken),
        T(a_range_that_sqlite_cannot_hold_is_refused),
        T(what_a_full_disk_refused_is_written_later),
        T(a_second_run_of_a_load_is_told_who_has_it),
        T(different_loads_share_a_folder),
        T(a_process_is_known_to_live_or_not),
        T(folder_and_file_are_private),
        T(an_empty_file_is_filled),
        T(a_newer_programs_file_is_left_alone),
        T(a_folder_that_cannot_be_made_is_named),
        T(runs_are_listed_newest_first_with_their_numbers),
        T(a_run_whose_process_died_is_shown_as_interrupted),
        T(a_run_id_is_a_time_and_a_random_part),
    };
    return test_main("journal", tests, N_OF(tests),
                     TABLE(damages, damage_is_moved_aside_and_said), N_OF(damages));
}
