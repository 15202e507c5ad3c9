// source_kinds - every kind of source, with rows 0 to n - 1 in it, for the suites of
// sources.

#ifndef TESTS_SOURCE_KINDS_H
#define TESTS_SOURCE_KINDS_H

#include "tests/pg_kit.h"
#include "tests/source_kit.h"

#include <sqlite3.h>

struct kind { // a column has the number of the row
    const char *name;
    void (*make)(const struct folder *f, struct job *j, uint64_t n);
    uint32_t column; // of the numbers
    const char *text_before;
};

static void file_job(const struct folder *f, struct job *j, enum job_source source,
                     const char *name)
{
    *j = job_of(f, name);
    j->source = source;
}

static struct buf written(uint64_t n, const char *head, const char *format)
{
    struct buf b = { 0 };
    struct err e;
    PASS(&e, buf_printf(&b, &e, "%s", head));
    for (uint64_t i = 0; i < n; i++)
        PASS(&e, buf_printf(&b, &e, format, (long long)i));
    return b;
}

static void put(const struct folder *f, const char *name, struct buf *b)
{
    size_t n = strlen(name);
    if (strcmp(name + n - 3, ".gz") == 0)
        put_gz(f, name, b->p, b->n, 2);
    else
        put_file(f, name, b->p, b->n);
    buf_free(b);
}

static void make_csv(const struct folder *f, struct job *j, uint64_t n)
{
    struct buf b = written(n, "a,i\n", "\"x\n\"\"\",%lld\n");
    put(f, "in.csv", &b);
    file_job(f, j, SOURCE_CSV, "in.csv");
}
static void make_lines(const struct folder *f, struct job *j, uint64_t n)
{
    struct buf b = written(n, "", "row \"%lld\r\n");
    put(f, "in.txt", &b);
    file_job(f, j, SOURCE_LINES, "in.txt");
}
static void make_lines_gz(const struct folder *f, struct job *j, uint64_t n)
{
    struct buf b = written(n, "", "row \"%lld\n");
    put(f, "in.txt.gz", &b);
    file_job(f, j, SOURCE_LINES, "in.txt.gz");
}
static void make_jsonl(const struct folder *f, struct job *j, uint64_t n)
{
    struct buf b = written(n, "", "{\"t\": \"\\u00e4,\", \"a\": {\"i\": %lld}}\n");
    struct err e;
    put(f, "in.json", &b);
    file_job(f, j, SOURCE_JSONL, "in.json");
    PASS(&e, strings_add(&j->fields, "t", 1, &e));
    PASS(&e, strings_add(&j->fields, "a.i", 3, &e));
}
static void make_jsonl_by_list(const struct folder *f, struct job *j, uint64_t n)
{
    struct buf b = written(n, "", "{\"a\": {\"l\": [{\"t\": 1, \"i\": %lld}]}}\n");
    struct err e;
    put(f, "in.json", &b);
    file_job(f, j, SOURCE_JSONL, "in.json");
    PASS(&e, strings_add(&j->fields, "t", 1, &e));
    PASS(&e, strings_add(&j->fields, "a.l.i", 5, &e));
    j->list = strdup("a.l");
}
static void make_range(const struct folder *f, struct job *j, uint64_t n)
{
    (void)f;
    job_init(j);
    j->source = SOURCE_RANGE;
    j->range_rows = n;
}

static void make_database(const struct folder *f, struct job *j, uint64_t n)
{
    char path[PATH_SPACE];
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(in_folder(f, "in.db", path), &db), SQLITE_OK);
    sqlite3_exec(db, "BEGIN; CREATE TABLE t(x, i INTEGER)", NULL, NULL, NULL);
    sqlite3_prepare_v2(db,
                       "INSERT INTO t VALUES(CASE ?1 % 3 WHEN 0 THEN 'a' || ?1 END, ?1)",
                       -1, &st, NULL);
    for (uint64_t i = 0; i < n; i++) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)i);
        assert_int_equal(sqlite3_step(st), SQLITE_DONE);
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    job_init(j);
    j->source = SOURCE_SQLITE;
    j->sqlite = strdup(path);
    j->sqlite_written = strdup("in.db");
}
static void make_query(const struct folder *f, struct job *j, uint64_t n)
{
    make_database(f, j, n);
    j->query = strdup("SELECT x, i FROM t ORDER BY i");
}
static void make_table(const struct folder *f, struct job *j, uint64_t n)
{
    make_database(f, j, n);
    j->sqlite_table = strdup("t");
}
static void change_database(const struct job *j, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(j->sqlite, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}
// Rowids with gaps of one, of some, and of many.
static void make_sparse_table(const struct folder *f, struct job *j, uint64_t n)
{
    make_table(f, j, n);
    change_database(j,
                    "UPDATE t SET rowid = -rowid; "
                    "UPDATE t SET rowid = -rowid * 3 + (i / 50) * (i / 50) * 100000000000");
}
static void make_wal_table(const struct folder *f, struct job *j, uint64_t n)
{
    make_table(f, j, n);
    change_database(j, "PRAGMA journal_mode = WAL");
}
static void make_keyed_table(const struct folder *f, struct job *j, uint64_t n)
{
    make_database(f, j, n);
    change_database(j, "CREATE TABLE k(x, rowid INTEGER, _rowid_, oid INTEGER PRIMARY KEY) "
                       "WITHOUT ROWID; INSERT INTO k SELECT x, i, 7, i FROM t");
    j->sqlite_table = strdup("k");
}

static struct pg_server server;

static void make_postgres(struct job *j, uint64_t n)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "DROP TABLE IF EXISTS t; CREATE TABLE t AS SELECT CASE i %% 3 WHEN 0 THEN 'a' "
             "|| i END AS x, i FROM generate_series(0, %lld) i ORDER BY i",
             (long long)n - 1);
    pg_kit_do(server.url, sql);
    job_init(j);
    j->source = SOURCE_POSTGRES;
    j->postgres = strdup(server.url);
    j->postgres_public = strdup(server.url);
}
static void make_postgres_query(const struct folder *f, struct job *j, uint64_t n)
{
    (void)f;
    make_postgres(j, n);
    j->query = strdup("SELECT x, i FROM t ORDER BY i");
}
static void make_postgres_table(const struct folder *f, struct job *j, uint64_t n)
{
    (void)f;
    make_postgres(j, n);
    j->postgres_table = strdup("t");
}
// So many blocks that several connections read them, most of them empty: a row in a block
// of its own, with dead ones around it.
static void make_postgres_blocks(const struct folder *f, struct job *j, uint64_t n)
{
    enum { BLOCKS = 1100 };
    char sql[512];
    make_postgres_table(f, j, 0);
    snprintf(sql, sizeof sql,
             "DROP TABLE t; CREATE UNLOGGED TABLE t(x text, i int, pad text); "
             "ALTER TABLE t ALTER pad SET STORAGE plain; "
             "INSERT INTO t SELECT CASE i %% 3 WHEN 0 THEN 'a' || i END, "
             "CASE WHEN g %% %llu = 0 AND i < %llu THEN i END, repeat('x', 7000) FROM "
             "generate_series(0, %d) g, LATERAL (SELECT g / %llu AS i) AS k ORDER BY g; "
             "DELETE FROM t WHERE i IS NULL; ALTER TABLE t DROP COLUMN pad",
             (unsigned long long)(BLOCKS / (n + 1)), (unsigned long long)n, BLOCKS - 1,
             (unsigned long long)(BLOCKS / (n + 1)));
    pg_kit_do(server.url, sql);
}

static const struct kind kinds[] = {
    { "csv", make_csv, 1, "" },
    { "lines", make_lines, 0, "row \"" },
    { "lines_compressed", make_lines_gz, 0, "row \"" },
    { "jsonl", make_jsonl, 1, "" },
    { "jsonl_by_list", make_jsonl_by_list, 1, "" },
    { "range", make_range, 0, "" },
    { "query", make_query, 1, "" },
    { "table", make_table, 1, "" },
    { "postgres_query", make_postgres_query, 1, "" },
    { "postgres_table", make_postgres_table, 1, "" },
    { "postgres_table_of_many_blocks", make_postgres_blocks, 1, "" },
    { "table_with_gaps", make_sparse_table, 1, "" },
    { "table_in_wal_mode", make_wal_table, 1, "" },
    { "table_without_rowid", make_keyed_table, 1, "" },
};

#endif
