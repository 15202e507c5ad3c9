// The proof of what a connection sees: equal where the rows are, another after each commit.

#include "common/sqlite_view.h"
#include "tests/source_kit.h"
#include "tests/test.h"

struct mode {
    const char *name, *pragma;
    bool readers_block; // a commit waits for them
};

static const struct mode modes[] = {
    { "rollback_journal", "PRAGMA journal_mode = DELETE", true },
    { "wal", "PRAGMA journal_mode = WAL", false },
    { "wal_that_stays", "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0", false },
};

struct fixture {
    struct folder folder;
    char path[PATH_SPACE];
    sqlite3 *writer;
};

static void run_sql(sqlite3 *db, const char *sql, int want)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), want);
}

static struct fixture database(const struct mode *m)
{
    struct fixture f = { .folder = folder_new() };
    assert_int_equal(sqlite3_open(in_folder(&f.folder, "a.db", f.path), &f.writer),
                     SQLITE_OK);
    run_sql(f.writer, m->pragma, SQLITE_OK);
    run_sql(f.writer, "CREATE TABLE t(x); INSERT INTO t VALUES(1)", SQLITE_OK);
    return f;
}

static void close_database(struct fixture *f)
{
    sqlite3_close(f->writer);
    folder_rm(&f->folder);
}

static sqlite3 *look(const char *path, struct hash128 *proof)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite_view_begin(db, proof), SQLITE_OK);
    assert_true(sqlite_view_proven(*proof));
    return db;
}

static long long sum(sqlite3 *db)
{
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT sum(x) FROM t", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    long long n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return n;
}

static void same_state_same_proof(const struct mode *m)
{
    struct fixture f = database(m);
    struct hash128 a, b;
    sqlite3 *one = look(f.path, &a), *two = look(f.path, &b);
    assert_true(hash_equal(a, b));
    sqlite3_close(one);
    sqlite3_close(two);
    close_database(&f);
}

static void each_commit_changes_the_proof(const struct mode *m)
{
    struct fixture f = database(m);
    enum { COMMITS = 20 };
    struct hash128 seen[COMMITS];
    for (int i = 0; i < COMMITS; i++) {
        sqlite3_close(look(f.path, &seen[i]));
        for (int k = 0; k < i; k++)
            assert_false(hash_equal(seen[k], seen[i]));
        run_sql(f.writer, i % 2 ? "UPDATE t SET x = x + 1" : "UPDATE t SET x = x - 1",
                SQLITE_OK);
    }
    close_database(&f);
}

static void what_is_held_stays(const struct mode *m)
{
    struct fixture f = database(m);
    struct hash128 before, after;
    sqlite3 *old = look(f.path, &before);
    run_sql(f.writer, "INSERT INTO t VALUES(41)",
            m->readers_block ? SQLITE_BUSY : SQLITE_OK);
    EQ_I64(1, sum(old));
    sqlite3 *now = look(f.path, &after);
    assert_int_equal(hash_equal(before, after), m->readers_block);
    EQ_I64(m->readers_block ? 1 : 42, sum(now));
    sqlite3_close(old);
    sqlite3_close(now);
    close_database(&f);
}

static void what_is_no_database_is_an_error(const struct mode *m)
{
    struct folder folder = folder_new();
    char path[PATH_SPACE];
    struct hash128 proof;
    sqlite3 *db;
    (void)m;
    put_file(&folder, "a.db", (const uint8_t *)"nonsense, and more than a little of it",
             38);
    sqlite3_open_v2(in_folder(&folder, "a.db", path), &db, SQLITE_OPEN_READONLY, NULL);
    assert_int_equal(sqlite_view_begin(db, &proof), SQLITE_NOTADB);
    assert_true(sqlite3_get_autocommit(db));
    assert_false(sqlite_view_proven(proof));
    sqlite3_close(db);
    folder_rm(&folder);
}

#define TESTS(X)                     \
    X(same_state_same_proof)         \
    X(each_commit_changes_the_proof) \
    X(what_is_held_stays)            \
    X(what_is_no_database_is_an_error)

struct test {
    const char *name;
    void (*fn)(const struct mode *m);
    const struct mode *mode;
};

static void run_one(void **state)
{
    const struct test *t = *state;
    t->fn(t->mode);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*fn)(const struct mode *m);
    } fns[] = {
#define X(name) { #name, name },
        TESTS(X)
#undef X
    };
    static struct test tests[N_OF(fns) * N_OF(modes)];
    static char names[N_OF(tests)][100];
    for (size_t i = 0; i < N_OF(tests); i++) {
        const struct mode *m = &modes[i % N_OF(modes)];
        snprintf(names[i], sizeof names[i], "%s: %s", m->name, fns[i / N_OF(modes)].name);
        tests[i] = (struct test){ names[i], fns[i / N_OF(modes)].fn, m };
    }
    return test_main("sqlite_view", NULL, 0, TABLE(tests, run_one), N_OF(tests));
}
