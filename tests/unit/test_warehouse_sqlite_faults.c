// Exactly once, whatever happens: death at every named point, a disk that fails at every
// operation, no space, locks of others.

#include "coordinator/warehouse_sqlite.h"
#include "tests/fault_vfs.h"
#include "tests/warehouse_job.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static int set_up(void **state)
{
    struct kit *k = malloc(sizeof *k);
    if (!k) return -1;
    kit_init(k, "sqlite");
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    kit_free(*state);
    free(*state);
    return 0;
}

static void says(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' lacks '%s'", text, part);
}

// ---- death

static const struct death {
    const char *name; // the point, and how often it is passed
    bool wal;
    enum job_mode mode;
} DEATHS[] = {
#define AT(point)                                                    \
    { point, false, MODE_APPEND }, { point, false, MODE_REPLACE },   \
        { point, true, MODE_APPEND }, { point, false, MODE_UPSERT }, \
    {                                                                \
        point, true, MODE_INCREMENTAL                                \
    }
    AT("begin-before"),           AT("begin-before-commit"),    AT("begin-after-commit"),
    AT("note-before-begin"),      AT("note-before-commit"),     AT("note-after-commit"),
    AT("commit-before-begin"),    AT("commit-after-rows"),      AT("commit-after-rows:4"),
    AT("commit-after-ledger"),    AT("commit-after-ledger:9"),  AT("commit-before-commit"),
    AT("commit-after-commit"),    AT("commit-before-begin:2"),  AT("commit-after-rows:12"),
    AT("commit-after-ledger:15"), AT("commit-before-commit:2"), AT("commit-after-commit:2"),
    AT("finish-before-begin"),    AT("finish-before-commit"),   AT("finish-after-index"),
    AT("finish-after-index:2"),   AT("finish-after-commit"),
};

static void prepare_database(const struct kit *k, bool wal)
{
    sqlite3 *db;
    sqlite3_open(k->path, &db);
    sqlite3_exec(
        db, wal ? "PRAGMA journal_mode=WAL; CREATE TABLE mine(x)" : "CREATE TABLE mine(x)",
        NULL, NULL, NULL);
    sqlite3_close(db);
}

static void die_at(struct kit *k, const char *point)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e;
        setenv("TRANCHE_CRASH_AT", point, 1);
        _exit(run_job(k, 0, &e) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("did not die at %s: status %x", point, (unsigned)status);
}

static void the_same_command_goes_on_after_death(void **state)
{
#ifdef TRANCHE_TEST_HOOKS
    const struct death *d = *state;
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    kit_mode(&k, d->mode);
    prepare_database(&k, d->wal);
    die_at(&k, d->name);
    bool was_finished = strcmp(d->name, "finish-after-commit") == 0;
    if (!was_finished || d->mode != MODE_INCREMENTAL) PASS(&e, run_job(&k, 0, &e));
    if (k.load.load_id)
        EQ_I64(was_finished && d->mode != MODE_APPEND ? 2 : 1, k.load.load_id);
    rows_are_there_once(&k);
    EQ_I64(2, kit_count(&k, "SELECT count(*) FROM sqlite_schema WHERE name IN "
                            "('t_b_idx', 't_b_a_idx')"));
    if (d->mode == MODE_INCREMENTAL)
        EQ_I64(56, kit_count(&k, "SELECT watermark FROM tranche_runs"));
    kit_free(&k);
#else
    (void)state, (void)die_at, (void)prepare_database;
    skip(); // this build has no points to die at
#endif
}

// ---- a disk that fails

static const struct bad_disk {
    const char *name;
    bool after, full, wal;
    enum job_mode mode;
} BAD_DISKS[] = {
    { "errors", false, false, false, MODE_APPEND },
    { "errors_after_the_deed", true, false, false, MODE_APPEND },
    { "no_space", false, true, false, MODE_APPEND },
    { "errors_after_the_deed_in_wal_mode", true, false, true, MODE_APPEND },
    { "errors_after_the_deed_and_a_swap", true, false, false, MODE_REPLACE },
};

// True: the operation was reached, so there may be a further one.
static bool one_failure(const struct bad_disk *b, long at)
{
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    kit_mode(&k, b->mode);
    prepare_database(&k, b->wal);
    fault.after = b->after;
    fault.full = b->full;
    fault.passed = 0;
    fault.at = at;
    err_t rc = run_job(&k, 3, &e);
    bool reached = fault.passed >= at;
    fault.at = 0;
    if (rc != ERR_OK) fail_msg("operation %ld (%d): %s", at, fault.last, e.text);
    rows_are_there_once(&k);
    kit_free(&k);
    return reached;
}

static void one_failing_operation_changes_nothing(void **state)
{
    long at = 1;
    fault_install();
    while (one_failure(*state, at))
        at++;
    fault_remove();
    assert_true(at > 20); // the job has more of them, or nothing was tried
}

// ---- death in the middle of what SQLite does

static const struct bad_disk SUDDEN_ENDS[] = {
    { "after_the_deed", true, false, false, MODE_APPEND },
    { "before_the_deed_with_a_swap", false, false, false, MODE_REPLACE },
    { "after_the_deed_in_wal_mode", true, false, true, MODE_REPLACE },
};

// True: the child died.
static bool one_end(const struct bad_disk *b, long at)
{
    struct kit k;
    struct err e;
    int status;
    kit_init(&k, "sqlite");
    kit_mode(&k, b->mode);
    prepare_database(&k, b->wal);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fault_install();
        fault.at = at;
        fault.after = b->after;
        fault.kill = true;
        _exit(run_job(&k, 0, &e) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!died && status != 0) fail_msg("operation %ld: status %x", at, (unsigned)status);
    PASS(&e, run_job(&k, 0, &e));
    rows_are_there_once(&k);
    kit_free(&k);
    return died;
}

static void the_same_command_goes_on_after_a_sudden_end(void **state)
{
    long at = 1;
    while (one_end(*state, at))
        at++;
    assert_true(at > 20);
}

static void a_failed_commit_may_be_in(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    size_t failed;
    fault_install();
    kit_open(k);
    kit_begin(k);
    struct result r = kit_result(k, 0, 10, 50);
    fault.after = true; // the journal is gone, but its folder can't be made durable
    for (fault.at = 1;; fault.at++) {
        fault.passed = 0;
        if (k->ops->commit(k->w, &r, 1, &dup, &failed, &e) == ERR_UNKNOWN &&
            fault.last == FAULT_DELETE)
            break;
        assert_true(fault.at < 100);
    }
    fault.at = 0;
    says(e.text, "unknown");
    r.row.rows_loaded = 0;
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e));
    assert_true(dup);
    EQ_I64(4, r.row.rows_loaded);
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
    kit_close(k);
    fault_remove();
}

// ---- no space

static void no_space_means_nothing_is_in_and_try_again(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    kit_open(k);
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    sqlite3_exec(k->w->db, "PRAGMA max_page_count=1", NULL, NULL,
                 NULL); // = as many as it has
    EXPECT(ERR_FULL, &e, kit_try_commit(k, 0, 50, 30050, &dup, &e));
    says(e.text, "no space left for ");
    assert_false(dup);
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
    assert_false(kit_commit(k, 0, 50, 30050));
    EQ_I64(3004, kit_count(k, "SELECT count(*) FROM t"));
}

static void a_full_file_system_too(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    char folder[100], hog[120];
    snprintf(folder, sizeof folder, "%s/small", k->dir);
    snprintf(hog, sizeof hog, "%s/hog", folder);
    mkdir(folder, 0700);
    if (mount("tmpfs", folder, "tmpfs", 0, "size=1m") != 0) skip(); // takes root
    snprintf(k->path, sizeof k->path, "%s/wh.db", folder);
    snprintf(k->url, sizeof k->url, "sqlite:%s", k->path);
    kit_open(k);
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    FILE *f = fopen(hog, "w");
    for (int i = 0; i < 1 << 20 && fputc('x', f) != EOF; i++)
        ;
    fclose(f);
    EXPECT(ERR_FULL, &e, kit_try_commit(k, 0, 50, 30050, &dup, &e));
    unlink(hog);
    assert_false(kit_commit(k, 0, 50, 30050));
    EQ_I64(3004, kit_count(k, "SELECT count(*) FROM t"));
    kit_close(k);
    umount(folder);
}

// ---- locks

struct holder {
    pid_t pid;
    int to_child, from_child;
};

// Another process that runs `sql` on the database and stays in its transaction.
static struct holder hold(struct kit *k, const char *sql)
{
    int down[2], up[2];
    char byte;
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db;
        int rc = sqlite3_open(k->path, &db);
        if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
        byte = rc == SQLITE_OK ? 'y' : 'n';
        if (write(up[1], &byte, 1) != 1 || read(down[0], &byte, 1) != 1) _exit(1);
        sqlite3_close(db);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    return (struct holder){ pid, down[1], up[0] };
}

static void let_go(struct holder *h)
{
    int status;
    assert_int_equal(write(h->to_child, "x", 1), 1);
    waitpid(h->pid, &status, 0);
    close(h->to_child);
    close(h->from_child);
}

static const struct lock {
    const char *name, *sql;
    bool wal;
} LOCKS[] = {
    { "a_writer", "BEGIN IMMEDIATE", false },
    { "a_reader_in_a_transaction", "BEGIN; SELECT * FROM mine", false },
    { "a_writer_in_wal_mode", "BEGIN IMMEDIATE", true },
};

static void who_holds_the_lock_is_named(void **state)
{
    const struct lock *l = *state;
    struct kit k;
    struct err e;
    bool dup;
    char pid[32];
    kit_init(&k, "sqlite");
    prepare_database(&k, l->wal);
    kit_open(&k);
    wsq_set_busy_ms(k.w, 1);
    kit_begin(&k);
    kit_close(&k); // a forked child must not hold a connection of ours
    struct holder h = hold(&k, l->sql);
    kit_open(&k);
    wsq_set_busy_ms(k.w, 1);
    EXPECT(ERR_BUSY, &e, kit_try_begin(&k, &e));
    snprintf(pid, sizeof pid, "locked by process %d (", (int)h.pid);
    says(e.text, pid);
    says(e.text, "test_warehouse_sqlite_faults");
    let_go(&h);
    kit_begin(&k);
    PASS(&e, kit_try_commit(&k, 0, 10, 50, &dup, &e));
    assert_false(dup);
    EQ_I64(4, kit_count(&k, "SELECT count(*) FROM t"));
    kit_free(&k);
}

static void a_commit_that_a_reader_blocks_can_be_tried_again(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    kit_open(k);
    wsq_set_busy_ms(k->w, 1);
    kit_begin(k);
    sqlite3 *reader = kit_peek(k);
    sqlite3_exec(reader, "BEGIN; SELECT * FROM t", NULL, NULL, NULL);
    EXPECT(ERR_BUSY, &e, kit_try_commit(k, 0, 10, 50, &dup, &e));
    says(e.text, "locked by another connection");
    sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(reader);
    assert_false(kit_commit(k, 0, 10, 50));
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
}

#define EACH(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ROWS(rows, fn) failed += test_main(#fn, NULL, 0, TABLE(rows, fn), N_OF(rows))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(a_failed_commit_may_be_in),
        EACH(no_space_means_nothing_is_in_and_try_again),
        EACH(a_full_file_system_too),
        EACH(a_commit_that_a_reader_blocks_can_be_tried_again),
    };
    int failed = test_main("warehouse_sqlite_faults", plain, N_OF(plain), NULL, 0);
    ROWS(DEATHS, the_same_command_goes_on_after_death);
    ROWS(BAD_DISKS, one_failing_operation_changes_nothing);
    ROWS(SUDDEN_ENDS, the_same_command_goes_on_after_a_sudden_end);
    ROWS(LOCKS, who_holds_the_lock_is_named);
    return failed;
}
