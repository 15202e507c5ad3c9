// What only the SQLite warehouse has: a file, tables with rules of their own, SQL.

#include "coordinator/warehouse_sqlite.h"
#include "tests/warehouse_kit.h"

#include <sys/stat.h>
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

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct result commit(struct kit *k, struct result r)
{
    struct err e;
    bool dup;
    size_t failed;
    PASS(&e, k->ops->commit(k->w, &r, 1, &dup, &failed, &e));
    assert_false(dup);
    return r;
}

// ---- opening

static void make_nothing(const char *path)
{
    (void)path;
}

static void make_folder(const char *path)
{
    mkdir(path, 0700);
}

static void make_link(const char *path)
{
    assert_int_equal(symlink("elsewhere.db", path), 0);
}

static void make_text(const char *path)
{
    write_file(path, "origin,delay\nthis is a table of flights, and no database\n");
}

static void make_utf16(const char *path)
{
    sqlite3 *db;
    sqlite3_open(path, &db);
    sqlite3_exec(db, "PRAGMA encoding='UTF-16le'; CREATE TABLE x(a)", NULL, NULL, NULL);
    sqlite3_close(db);
}

static const struct refusal {
    const char *name, *file;
    void (*make)(const char *path);
    const char *sentence;
} REFUSALS[] = {
    { "a_missing_folder", "no/such/wh.db", make_nothing,
      "does not exist: create it first" },
    { "a_folder", "wh.db", make_folder, "is a folder: give the path of a database file" },
    { "a_name_that_ends_in_a_slash", "wh/", make_folder, "names no file" },
    { "the_folder_itself", "wh/..", make_folder, "names no file" },
    { "a_symbolic_link", "wh.db", make_link, "is a symbolic link" },
    { "a_file_that_is_no_database", "wh.db", make_text, "is not a SQLite database" },
    { "text_in_utf16", "wh.db", make_utf16, "keeps its text as UTF-16" },
};

static void such_files_are_refused(void **state)
{
    const struct refusal *r = *state;
    struct kit k;
    struct err e;
    char path[256], url[300];
    kit_init(&k, "sqlite");
    snprintf(path, sizeof path, "%s/%s", k.dir, r->file);
    snprintf(url, sizeof url, "sqlite:%s", path);
    r->make(path);
    EXPECT(ERR_INVALID, &e, k.ops->open(&k.w, url, kit_say, &k, &e));
    assert_null(k.w);
    says(e.text, r->sentence);
    says(e.text, r->file);
    kit_free(&k);
}

static void what_is_no_file_is_refused(void **state)
{
    struct kit *k = *state;
    struct err e;
    EXPECT(ERR_INVALID, &e, k->ops->open(&k->w, "sqlite:", kit_say, k, &e));
    says(e.text, "write sqlite:PATH");
    EXPECT(ERR_INVALID, &e, k->ops->open(&k->w, "sqlite:/dev/null", kit_say, k, &e));
    says(e.text, "/dev/null is not a regular file");
}

// Root may do anything, so these ask as nobody.
static const struct permission {
    const char *name;
    mode_t dir, file;
    const char *sentence;
} PERMISSIONS[] = {
    { "a_file_that_can_not_be_read", 0777, 0222, "can't be read" },
    { "a_file_that_can_not_be_written", 0777, 0444, "can't be written" },
    { "a_folder_that_can_not_be_written", 0555, 0666, "may not write in its folder" },
};

static void permissions_are_explained(void **state)
{
    const struct permission *p = *state;
    struct kit k;
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_begin(&k);
    kit_close(&k);
    chmod(k.path, p->file);
    chmod(k.dir, p->dir);
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        if (geteuid() == 0 && setuid(65534) != 0) _exit(9);
        if (k.ops->open(&k.w, k.url, kit_say, &k, &e) != ERR_INVALID) _exit(1);
        _exit(strstr(e.text, p->sentence) ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    EQ_I64(0, WEXITSTATUS(status));
    chmod(k.dir, 0700);
    kit_free(&k);
}

static void a_new_warehouse_is_made_for_bulk(void **state)
{
    struct kit *k = *state;
    kit_open(k);
    kit_begin(k);
    EQ_I64(16384, kit_count(k, "PRAGMA page_size"));
    assert_string_equal("delete", kit_ask(k, "PRAGMA journal_mode"));
}

static void an_empty_file_becomes_a_warehouse(void **state)
{
    struct kit *k = *state;
    write_file(k->path, "");
    kit_open(k);
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
}

static void a_database_in_wal_mode_stays_so(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    sqlite3 *db;
    sqlite3_open(k->path, &db);
    sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE mine(x)", NULL, NULL, NULL);
    sqlite3_close(db);
    kit_open(k);
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    PASS(&e, kit_try_finish(k, 50, totals, &e));
    kit_close(k);
    assert_string_equal("wal", kit_ask(k, "PRAGMA journal_mode"));
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
}

static void a_path_may_be_of_any_letters(void **state)
{
    struct kit *k = *state;
    snprintf(k->path, sizeof k->path, "%s/a 'b' \"c\" %%d ?x=1#\xc3\xa4;--.db", k->dir);
    snprintf(k->url, sizeof k->url, "sqlite:%s", k->path);
    kit_open(k);
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    EQ_I64(4, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(0, access(k->path, F_OK));
}

static void a_link_to_the_folder_is_followed(void **state)
{
    struct kit *k = *state;
    char real[100], link[100];
    snprintf(real, sizeof real, "%s/real", k->dir);
    snprintf(link, sizeof link, "%s/link", k->dir);
    mkdir(real, 0700);
    assert_int_equal(symlink("real", link), 0);
    snprintf(k->url, sizeof k->url, "sqlite:%s/wh.db", link);
    snprintf(k->path, sizeof k->path, "%s/wh.db", real);
    kit_open(k);
    kit_begin(k);
    EQ_I64(0, access(k->path, F_OK));
}

static void remote_file_systems_are_known(void **state)
{
    (void)state;
    assert_string_equal("NFS", wsq_remote_fs(0x6969));
    assert_string_equal("SMB", wsq_remote_fs(0xff534d42));
    assert_string_equal("FUSE", wsq_remote_fs(0x65735546));
    assert_null(wsq_remote_fs(0xef53));     // ext4
    assert_null(wsq_remote_fs(0x01021994)); // tmpfs
}

static void a_file_that_is_replaced_is_noticed(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    kit_open(k);
    kit_begin(k);
    unlink(k->path);
    assert_int_not_equal(ERR_OK, kit_try_commit(k, 0, 10, 50, &dup, &e));
    says(e.text, "moved or deleted");
}

// ---- the table

static const struct table {
    const char *name, *sql; // run before
    err_t rc;
    const char *sentence; // of the error, or of what was said; NULL: nothing is said
} TABLES[] = {
    { "no_table_yet", "", ERR_OK, NULL },
    { "the_same_columns", "CREATE TABLE t(a INTEGER, b TEXT)", ERR_OK, NULL },
    { "the_same_columns_and_rows",
      "CREATE TABLE t(a INTEGER, b TEXT);"
      "INSERT INTO t VALUES(-1,'mine'),(-2,'mine')",
      ERR_OK, NULL },
    { "other_letter_case", "CREATE TABLE T(A INTEGER, B TEXT)", ERR_OK, NULL },
    { "another_order", "CREATE TABLE t(b TEXT, a INTEGER)", ERR_OK, "in another order" },
    { "other_types", "CREATE TABLE t(a TEXT, b)", ERR_OK, "declared in another way" },
    { "strict", "CREATE TABLE t(a INTEGER, b TEXT) STRICT", ERR_OK,
      "declared in another way" },
    { "a_default", "CREATE TABLE t(a INTEGER, b TEXT DEFAULT 'x')", ERR_OK, "another way" },
    { "a_check", "CREATE TABLE t(a INTEGER CHECK(a >= 0), b TEXT)", ERR_OK, "another way" },
    { "a_collation", "CREATE TABLE t(a INTEGER, b TEXT COLLATE NOCASE)", ERR_OK,
      "another way" },
    { "a_generated_column", "CREATE TABLE t(a INTEGER, c AS (a + 1), b TEXT)", ERR_OK,
      "declared in another way" },
    { "an_index", "CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX ta ON t(a)", ERR_OK,
      "create indexes after the load" },
    { "a_unique", "CREATE TABLE t(a INTEGER UNIQUE, b TEXT)", ERR_OK, "it has an index" },
    { "an_integer_primary_key", "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)", ERR_OK,
      "it has a PRIMARY KEY" },
    { "without_rowid", "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID",
      ERR_OK, "it has an index" },
    { "a_trigger",
      "CREATE TABLE t(a INTEGER, b TEXT); CREATE TABLE log(x);"
      "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES(1); END",
      ERR_OK, "it has a trigger" },
    { "a_column_too_many", "CREATE TABLE t(a, b, \"c d\", e)", ERR_INVALID,
      "does not fit the rows: the rows have no column c d, e" },
    { "a_column_too_few", "CREATE TABLE t(b)", ERR_INVALID, "it has no column a. Take" },
    { "other_columns", "CREATE TABLE t(b, c)", ERR_INVALID,
      "it has no column a; the rows have no column c" },
    { "a_view", "CREATE VIEW t AS SELECT 1 AS a, 2 AS b", ERR_INVALID, "is a view" },
    { "a_virtual_table", "CREATE VIRTUAL TABLE t USING fts4(a, b)", ERR_INVALID,
      "is a virtual table" },
    { "rejects_that_are_none", "CREATE TABLE t_rejects(x)", ERR_INVALID, "t_rejects of " },
    { "a_ledger_that_is_none", "CREATE TABLE tranche_runs(x)", ERR_INVALID,
      "are not those of this version" },
};

static void tables_take_the_rows_or_say_why_not(void **state)
{
    const struct table *t = *state;
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    kit_open(&k);
    if (*t->sql) kit_run(&k, t->sql);
    EXPECT(t->rc, &e, kit_try_begin(&k, &e));
    if (t->rc != ERR_OK) {
        says(e.text, t->sentence);
    } else if (t->sentence) {
        says(k.said, t->sentence);
    } else {
        assert_string_equal("", k.said);
        assert_true(k.w->fast);
    }
    if (t->rc == ERR_OK) {
        struct ledger_row totals[3];
        kit_commit(&k, 0, 10, 50);
        kit_commit(&k, 0, 50, 110);
        EQ_I64(10, kit_count(&k, "SELECT count(*) FROM t WHERE b = 'r' || a AND a > 0"));
        EQ_I64(55, kit_count(&k, "SELECT sum(a) FROM t WHERE a > 0"));
        PASS(&e, kit_try_finish(&k, 110, totals, &e));
        EQ_I64(10, totals[0].rows_loaded);
    }
    assert_string_equal("ok", kit_ask(&k, "PRAGMA integrity_check"));
    kit_free(&k);
}

static void a_ledger_with_a_column_renamed_is_refused_with_what_to_do(void **state)
{
    struct kit *k = *state;
    struct err e;
    static const char *const changes[] = {
        "ALTER TABLE tranche_ledger RENAME COLUMN rows_parsed TO parsed",
        "ALTER TABLE tranche_ledger RENAME COLUMN watermark TO mark",
        "ALTER TABLE tranche_runs RENAME COLUMN epoch TO age",
        "ALTER TABLE tranche_runs DROP COLUMN host",
        "ALTER TABLE tranche_runs ADD COLUMN more",
    };
    for (size_t i = 0; i < N_OF(changes); i++) {
        kit_open(k);
        kit_begin(k);
        kit_close(k);
        kit_run(k, changes[i]);
        kit_open(k);
        EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
        says(e.text,
             "are not those of this version: columns were renamed, added or removed. "
             "Undo that, ");
        kit_close(k);
        kit_run(k, "DROP TABLE tranche_runs; DROP TABLE tranche_ledger");
    }
}

static void names_of_sqlite_and_of_the_ledger_are_refused(void **state)
{
    struct kit *k = *state;
    struct err e;
    static const char *const names[] = { "sqlite_x", "SQLite_master", "tranche_runs",
                                         "Tranche_ledger", "" };
    kit_open(k);
    for (size_t i = 0; i < N_OF(names); i++) {
        k->id.table = names[i];
        EXPECT(ERR_INVALID, &e, kit_try_begin(k, &e));
    }
}

static void a_new_table_has_the_types_of_the_schema(void **state)
{
    struct kit *k = *state;
    struct err e;
    static const enum type types[] = { TYPE_INTEGER, TYPE_REAL, TYPE_TEXT,
                                       TYPE_BOOLEAN, TYPE_DATE, TYPE_TIMESTAMP,
                                       TYPE_ANY };
    schema_free(&k->schema);
    for (size_t i = 0; i < N_OF(types); i++)
        PASS(&e, schema_add(&k->schema, &"abcdefg"[i], 1, types[i], false, &e));
    kit_open(k);
    kit_begin(k);
    assert_string_equal("a:INTEGER b:REAL c:TEXT d:INTEGER e:TEXT f:TEXT g:",
                        kit_ask(k, "SELECT group_concat(name || ':' || type, ' ') "
                                   "FROM pragma_table_info('t')"));
    assert_true(k->w->fast);
    commit(k, kit_sql_result(
                  k, 10, 20,
                  "INSERT INTO t VALUES(1,2.5,'x',0,'2026-01-02','2026-01-02 03:04',"
                  "x'00ff'),(NULL,NULL,NULL,NULL,NULL,NULL,NULL),"
                  "('mis','fit','x','yes','?','?',7)"));
    assert_string_equal(
        "integer real text integer text text blob",
        kit_ask(k, "SELECT concat FROM (SELECT typeof(a)||' '||typeof(b)||' '"
                   "||typeof(c)||' '||typeof(d)||' '||typeof(e)||' '||typeof(f)"
                   "||' '||typeof(g) AS concat FROM t)"));
    EQ_I64(3, kit_count(k, "SELECT count(*) FROM t"));
    assert_string_equal("mis", kit_ask(k, "SELECT a FROM t WHERE rowid = 3"));
}

static const struct name {
    const char *name, *text;
} NAMES[] = {
    { "double_quotes", "a \"quoted\" name" },
    { "single_quotes", "Robert'); DROP TABLE t;--" },
    { "words_of_sql", "select" },
    { "percent_signs", "%s %w %n" },
    { "brackets", "[a] `b`" },
    { "other_alphabets", "\xd0\xb2\xd1\x8b\xd0\xbb\xd0\xb5\xd1\x82 \xe2\x9c\x88" },
    { "lines", "two\nlines" },
    { "spaces", "  " },
    { "digits", "1" },
};

static void names_may_be_of_any_letters(void **state)
{
    const struct name *n = *state;
    struct kit k;
    struct err e;
    struct ledger_row totals[3];
    static const enum job_mode modes[] = { MODE_APPEND, MODE_REPLACE, MODE_REPLACE };
    kit_init(&k, "sqlite");
    schema_free(&k.schema);
    PASS(&e, schema_add(&k.schema, n->text, strlen(n->text), TYPE_INTEGER, false, &e));
    PASS(&e, schema_add(&k.schema, "rowid", 5, TYPE_TEXT, false, &e));
    k.id.table = n->text;
    k.inputs[0].name = (char *)(uintptr_t)n->text;
    kit_open(&k);
    for (size_t i = 0; i < N_OF(modes); i++) {
        k.id.mode = modes[i];
        kit_begin(&k);
        kit_commit(&k, 0, 10, 50);
        PASS(&e, kit_try_finish(&k, 50, totals, &e));
        char *sql = sqlite3_mprintf("SELECT sum(\"%w\") FROM \"%w\"", n->text, n->text);
        EQ_I64(10, kit_count(&k, sql));
        sqlite3_free(sql);
    }
    kit_free(&k);
}

static void inputs_may_have_any_name(void **state)
{
    struct kit *k = *state;
    static const char *const names[] = { "a \"b\" \\c\\ {}[],:\n\t\x01\x7f",
                                         "not utf-8: \xff\xfe\x80", "\xe2\x9c\x88'" };
    for (int i = 0; i < 3; i++) {
        k->inputs[i].name = (char *)(uintptr_t)names[i];
        k->inputs[i].size = INT64_MAX - (uint64_t)i;
        k->inputs[i].ino = UINT64_MAX - (uint64_t)i;
        k->inputs[i].mtime_ns = INT64_MIN + i;
    }
    k->n_inputs = 3;
    kit_open(k);
    kit_begin(k);
    kit_begin(k);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(names[i], k->load.inputs[i].name);
        assert_true(k->load.inputs[i].size == INT64_MAX - (uint64_t)i);
        assert_true(k->load.inputs[i].ino == UINT64_MAX - (uint64_t)i);
        assert_true(k->load.inputs[i].mtime_ns == INT64_MIN + i);
        EQ_I64(10, k->load.inputs[i].data_begin);
    }
}

// ---- rows that break the table's rules

static const struct rule {
    const char *name, *table;
    int64_t loaded;
    const char *reason, *column, *raw; // of the first row refused
} RULES[] = {
    { "unique", "CREATE TABLE t(a INTEGER UNIQUE, b TEXT)", 4,
      "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "unique_or_ignore", "CREATE TABLE t(a INTEGER UNIQUE ON CONFLICT IGNORE, b TEXT)", 4,
      "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "unique_or_replace", "CREATE TABLE t(a INTEGER UNIQUE ON CONFLICT REPLACE, b TEXT)",
      4, "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "unique_or_rollback", "CREATE TABLE t(a INTEGER UNIQUE ON CONFLICT ROLLBACK, b TEXT)",
      4, "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "primary_key", "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)", 4,
      "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "primary_key_without_rowid",
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT) WITHOUT ROWID", 4,
      "UNIQUE constraint failed: t.a", "a", "1,again" },
    { "not_null", "CREATE TABLE t(a INTEGER, b TEXT NOT NULL)", 4,
      "NOT NULL constraint failed: t.b", "b", "3," },
    { "check", "CREATE TABLE t(a INTEGER CHECK(a <> 4), b TEXT)", 4,
      "CHECK constraint failed", "(nothing)", "4,\"x, \"\"y\"\"\"" },
    { "strict", "CREATE TABLE t(a INTEGER, b INTEGER) STRICT", 1,
      "cannot store TEXT value in INTEGER column t.b", "(nothing)", "1,one" },
    { "foreign_key",
      "CREATE TABLE p(x INTEGER PRIMARY KEY); INSERT INTO p VALUES(1),(2),(3);"
      "CREATE TABLE t(a INTEGER REFERENCES p(x), b TEXT)",
      4, "FOREIGN KEY constraint failed", "(nothing)", "4,\"x, \"\"y\"\"\"" },
    { "trigger_that_aborts",
      "CREATE TABLE t(a INTEGER, b TEXT); CREATE TRIGGER tr BEFORE INSERT ON t "
      "WHEN new.a = 2 BEGIN SELECT RAISE(ABORT, 'two is odd'); END",
      4, "two is odd", "(nothing)", "2,two" },
    { "trigger_that_ignores",
      "CREATE TABLE t(a INTEGER, b TEXT); CREATE TRIGGER tr BEFORE INSERT ON t "
      "WHEN new.a = 2 BEGIN SELECT RAISE(IGNORE); END",
      4, "a trigger of the table ignored the row", "(nothing)", "2,two" },
};

static void rows_that_break_a_rule_are_refused_alone(void **state)
{
    const struct rule *r = *state;
    struct kit k;
    struct err e;
    struct ledger_row totals[3];
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_run(&k, r->table);
    kit_begin(&k);
    struct result rows =
        commit(&k, kit_sql_result(&k, 10, 60,
                                  "INSERT INTO t VALUES(1,'one'),(1,'again'),(2,'two'),"
                                  "(3,NULL),(4,'x, \"y\"')"));
    bool unique = strstr(r->reason, "UNIQUE");
    EQ_I64(r->loaded, rows.row.rows_loaded);
    EQ_I64(5 - r->loaded, rows.row.rows_refused);
    EQ_I64(r->loaded, kit_count(&k, "SELECT count(*) FROM t"));
    EQ_I64(5 - r->loaded, kit_count(&k, "SELECT count(*) FROM t_rejects"));
    says(kit_ask(&k, "SELECT reason FROM t_rejects"), r->reason);
    says(kit_ask(&k, "SELECT reason FROM t_rejects"), "from 10 to 60");
    assert_string_equal(r->column, kit_ask(&k, "SELECT \"column\" FROM t_rejects"));
    assert_string_equal(r->raw, kit_ask(&k, "SELECT CAST(raw AS TEXT) FROM t_rejects"));
    assert_string_equal("one.csv", kit_ask(&k, "SELECT file FROM t_rejects"));
    assert_string_equal("(nothing)", kit_ask(&k, "SELECT line FROM t_rejects"));
    if (unique) assert_string_equal("one", kit_ask(&k, "SELECT b FROM t WHERE a = 1"));
    PASS(&e, kit_try_finish(&k, 60, totals, &e));
    EQ_I64(r->loaded, totals[0].rows_loaded);
    EQ_I64(5 - r->loaded, totals[0].rows_refused);
    assert_string_equal("ok", kit_ask(&k, "PRAGMA integrity_check"));
    kit_free(&k);
}

static void a_chunk_that_breaks_no_rule_goes_in_whole_beside_one_that_does(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup[3];
    size_t failed;
    kit_open(k);
    kit_run(k, "CREATE TABLE t(a INTEGER UNIQUE, b TEXT); INSERT INTO t VALUES(7,'mine')");
    kit_begin(k);
    struct result r[] = { kit_result(k, 0, 10, 50), kit_result(k, 0, 50, 90),
                          kit_result(k, 0, 90, 110) };
    PASS(&e, k->ops->commit(k->w, r, 3, dup, &failed, &e));
    EQ_I64(0, r[0].row.rows_refused);
    EQ_I64(1, r[1].row.rows_refused);
    EQ_I64(2, r[2].row.rows_loaded);
    EQ_I64(10, kit_count(k, "SELECT count(*) FROM t"));
    assert_string_equal("mine", kit_ask(k, "SELECT b FROM t WHERE a = 7"));
}

static void a_trigger_that_rolls_back_stops_the_load(void **state)
{
    struct kit *k = *state;
    struct err e;
    bool dup;
    kit_open(k);
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); CREATE TRIGGER tr BEFORE INSERT ON t "
               "WHEN new.a = 3 BEGIN SELECT RAISE(ROLLBACK, 'no'); END");
    kit_begin(k);
    EXPECT(ERR_DB, &e, kit_try_commit(k, 0, 10, 50, &dup, &e));
    says(e.text, "rolled the transaction back");
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM t"));
    EQ_I64(0, kit_count(k, "SELECT count(*) FROM tranche_ledger"));
}

// ---- rejects and the ledger

static void rejects_stand_beside_the_table(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct rejects list = { 0 };
    struct reject one = { .line = 7,
                          .byte = 33,
                          .column = { (uint8_t *)(uintptr_t) "a", 1 },
                          .reason = { (uint8_t *)(uintptr_t) "'x' is not an integer", 21 },
                          .raw = { (uint8_t *)(uintptr_t) "x\0\xff", 3 } };
    struct reject other = { .byte = 40, .reason = { (uint8_t *)(uintptr_t) "why", 3 } };
    PASS(&e, rejects_add(&list, &one, &e));
    PASS(&e, rejects_add(&list, &other, &e));
    kit_open(k);
    kit_begin(k);
    struct result r = kit_result(k, 0, 10, 50);
    r.row.rows_read = 6;
    r.row.rows_rejected = 2;
    r.rejects = (struct slice){ list.bytes.p, list.bytes.n };
    commit(k, r);
    assert_string_equal("1|one.csv|7|33|a|'x' is not an integer|7800FF",
                        kit_ask(k,
                                "SELECT run||'|'||file||'|'||line||'|'||byte_offset||'|'||"
                                "\"column\"||'|'||reason||'|'||hex(raw) FROM t_rejects"));
    EQ_I64(1, kit_count(k, "SELECT count(*) FROM t_rejects WHERE line IS NULL AND "
                           "\"column\" IS NULL AND reason = 'why' AND raw = x''"));
    rejects_free(&list);
}

static void a_rejected_record_needs_no_image(void **state)
{
    struct kit *k = *state;
    struct err e;
    struct ledger_row totals[3];
    struct rejects list = { 0 };
    struct reject one = { .line = 2,
                          .byte = 10,
                          .reason = { (uint8_t *)(uintptr_t) "why", 3 } };
    PASS(&e, rejects_add(&list, &one, &e));
    kit_open(k);
    kit_begin(k);
    struct result r = { .row = { .range = { 0, 10, 20 },
                                 .state = LEDGER_REJECTED,
                                 .records = 1,
                                 .rows_read = 1,
                                 .rows_rejected = 1 },
                        .rejects = { list.bytes.p, list.bytes.n } };
    commit(k, r);
    PASS(&e, kit_try_finish(k, 20, totals, &e));
    EQ_I64(1, totals[0].rows_rejected);
    assert_string_equal("rejected", kit_ask(k, "SELECT state FROM tranche_ledger"));
    rejects_free(&list);
}

static void the_ledger_knows_where_the_rows_are(void **state)
{
    struct kit *k = *state;
    kit_open(k);
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); INSERT INTO t VALUES(0,'mine')");
    kit_begin(k);
    kit_commit(k, 0, 50, 90);
    kit_run(k, "INSERT INTO t VALUES(0,'mine'),(0,'mine')");
    kit_commit(k, 0, 10, 50);
    assert_string_equal("8-11 2-5",
                        kit_ask(k, "SELECT group_concat(first_rowid||'-'||last_rowid"
                                   ", ' ') FROM tranche_ledger"));
    EQ_I64(4,
           kit_count(k, "SELECT count(*) FROM t JOIN tranche_ledger ON t.rowid BETWEEN "
                        "first_rowid AND last_rowid WHERE byte_begin = 50 AND a BETWEEN 5 "
                        "AND 8"));
}

static void rowids_that_are_not_sqlites_own_are_left_out(void **state)
{
    struct kit *k = *state;
    kit_open(k);
    kit_run(k, "CREATE TABLE t(a INTEGER, b TEXT); "
               "INSERT INTO t(rowid, a) VALUES(9223372036854775807, 0)");
    kit_begin(k);
    kit_commit(k, 0, 10, 50);
    assert_string_equal("(nothing)", kit_ask(k, "SELECT first_rowid FROM tranche_ledger"));
    EQ_I64(5, kit_count(k, "SELECT count(*) FROM t"));
}

// ---- damaged results

enum hurt {
    TRUNCATED,
    EMPTY,
    OTHER_TABLE,
    MORE_ROWS,
    FEWER_ROWS,
    BAD_REJECTS,
    OTHER_COUNT,
    NO_IMAGE
};

static const struct damaged {
    const char *name;
    enum hurt hurt;
} DAMAGED[] = {
    { "an_image_cut_short", TRUNCATED },          { "an_image_of_no_bytes", EMPTY },
    { "an_image_of_another_table", OTHER_TABLE }, { "more_rows_than_announced", MORE_ROWS },
    { "fewer_rows_than_announced", FEWER_ROWS },  { "rejects_that_are_none", BAD_REJECTS },
    { "another_number_of_rejects", OTHER_COUNT }, { "rows_without_an_image", NO_IMAGE },
};

static void hurt(struct kit *k, struct result *r, enum hurt how)
{
    struct schema mine = k->schema, other = { 0 };
    struct err e;
    switch (how) {
    case TRUNCATED: r->image_bytes -= 4096; break;
    case EMPTY: r->image_bytes = 0; break;
    case MORE_ROWS: r->row.rows_emitted--; break;
    case FEWER_ROWS: r->row.rows_emitted++; break;
    case BAD_REJECTS: r->rejects = (struct slice){ (const uint8_t *)"xxxx", 4 }; break;
    case OTHER_COUNT: r->row.rows_read = 1 + (r->row.rows_rejected = 2); break;
    case NO_IMAGE: r->image = NULL; break;
    case OTHER_TABLE:
        PASS(&e, schema_add(&other, "b", 1, TYPE_INTEGER, false, &e));
        PASS(&e, schema_add(&other, "a", 1, TYPE_TEXT, false, &e));
        k->schema = other;
        *r = kit_result(k, 0, r->row.range.begin, r->row.range.end);
        k->schema = mine;
        schema_free(&other);
        break;
    }
}

static void a_damaged_result_is_refused_alone(void **state)
{
    const struct damaged *d = *state;
    struct kit k;
    struct err e;
    bool dup[3];
    size_t failed = 99;
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_begin(&k);
    struct result r[] = { kit_result(&k, 0, 10, 50), kit_result(&k, 0, 50, 90),
                          kit_result(&k, 0, 90, 110) };
    hurt(&k, &r[1], d->hurt);
    EXPECT(ERR_PROTO, &e, k.ops->commit(k.w, r, 3, dup, &failed, &e));
    EQ_I64(1, failed);
    assert_true(!r[0].damaged && r[1].damaged && !r[2].damaged);
    EQ_I64(6, kit_count(&k, "SELECT count(*) FROM t"));
    EQ_I64(2, kit_count(&k, "SELECT count(*) FROM tranche_ledger"));
    EQ_I64(0, kit_count(&k, "SELECT count(*) FROM t_rejects"));
    kit_free(&k);
}

static void the_callers_image_is_not_touched_after_the_commit(void **state)
{
    struct kit *k = *state;
    kit_open(k);
    kit_begin(k);
    for (uint64_t i = 0; i < 30; i++) {
        struct result r = kit_result(k, 0, 10 + 40 * i, 50 + 40 * i);
        uint8_t *lent = malloc(r.image_bytes);
        memcpy(lent, r.image, r.image_bytes);
        r.image = lent;
        commit(k, r);
        free(lent);
        if (i % 10 == 5) kit_run(k, "CREATE TABLE IF NOT EXISTS mine(x); DROP TABLE mine");
        k->images.n = 0;
    }
    EQ_I64(120, kit_count(k, "SELECT count(DISTINCT a) FROM t"));
}

// ---- params

static const struct value {
    const char *name, *sql;
    err_t rc;
    uint32_t kind;
    const char *text; // of the value, or of the error
} VALUES[] = {
    { "an_integer", "SELECT count(*) FROM mine", ERR_OK, CELL_INTEGER, "3" },
    { "a_real", "SELECT avg(x) FROM mine", ERR_OK, CELL_REAL, "2" },
    { "a_text", "SELECT 'a' || 'b'", ERR_OK, CELL_TEXT, "ab" },
    { "a_blob", "SELECT x'6162'", ERR_OK, CELL_BLOB, "ab" },
    { "null", "SELECT max(x) FROM mine WHERE x > 9", ERR_OK, CELL_NULL, "" },
    { "a_function_of_ours", "SELECT median(x) FROM mine", ERR_OK, CELL_REAL, "2" },
    { "a_statement_with_a_semicolon", "SELECT 1; ", ERR_OK, CELL_INTEGER, "1" },
    { "no_row", "SELECT x FROM mine WHERE x > 9", ERR_INVALID, 0, "no row" },
    { "two_rows", "SELECT x FROM mine", ERR_INVALID, 0, "more than one row" },
    { "two_columns", "SELECT 1, 2", ERR_INVALID, 0, "2 columns" },
    { "no_such_table", "SELECT x FROM yours", ERR_INVALID, 0, "no such table: yours" },
    { "a_mistake", "SELEKT 1", ERR_INVALID, 0, "syntax error" },
    { "an_error_on_the_way", "SELECT abs(-9223372036854775808)", ERR_INVALID, 0,
      "overflow" },
    { "nothing", "", ERR_INVALID, 0, "" },
    { "a_write", "DELETE FROM mine RETURNING x", ERR_INVALID, 0, "DELETE" },
    { "two_statements", "SELECT 1; SELECT 2", ERR_INVALID, 0, "" },
    { "a_pragma", "PRAGMA journal_mode", ERR_INVALID, 0, "PRAGMA" },
    { "a_file", "ATTACH 'x.db' AS x", ERR_INVALID, 0, "ATTACH" },
};

static void params_are_one_value(void **state)
{
    const struct value *v = *state;
    struct kit k;
    struct err e;
    struct arena mem = { 0 };
    struct cell c = { 0 };
    char text[64] = "";
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_run(&k, "CREATE TABLE mine(x); INSERT INTO mine VALUES(1),(2),(3)");
    EXPECT(v->rc, &e, k.ops->query_value(k.w, v->sql, &mem, &c, &e));
    if (v->rc == ERR_OK) {
        EQ_I64(v->kind, c.kind);
        if (c.kind == CELL_INTEGER) snprintf(text, sizeof text, "%lld", (long long)c.i);
        if (c.kind == CELL_REAL) snprintf(text, sizeof text, "%g", c.r);
        if (c.kind >= CELL_TEXT) snprintf(text, sizeof text, "%.*s", (int)c.len, c.p);
        assert_string_equal(v->text, text);
    } else {
        says(e.text, v->text);
    }
    EQ_I64(3, kit_count(&k, "SELECT count(*) FROM mine"));
    arena_free(&mem);
    kit_begin(&k); // the guard is off again
    kit_free(&k);
}

#define EACH(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ROWS(rows, fn) failed += test_main(#fn, NULL, 0, TABLE(rows, fn), N_OF(rows))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        EACH(what_is_no_file_is_refused),
        EACH(a_new_warehouse_is_made_for_bulk),
        EACH(an_empty_file_becomes_a_warehouse),
        EACH(a_database_in_wal_mode_stays_so),
        EACH(a_path_may_be_of_any_letters),
        EACH(a_link_to_the_folder_is_followed),
        EACH(remote_file_systems_are_known),
        EACH(a_file_that_is_replaced_is_noticed),
        EACH(a_ledger_with_a_column_renamed_is_refused_with_what_to_do),
        EACH(names_of_sqlite_and_of_the_ledger_are_refused),
        EACH(a_new_table_has_the_types_of_the_schema),
        EACH(inputs_may_have_any_name),
        EACH(a_chunk_that_breaks_no_rule_goes_in_whole_beside_one_that_does),
        EACH(a_trigger_that_rolls_back_stops_the_load),
        EACH(rejects_stand_beside_the_table),
        EACH(a_rejected_record_needs_no_image),
        EACH(the_ledger_knows_where_the_rows_are),
        EACH(rowids_that_are_not_sqlites_own_are_left_out),
        EACH(the_callers_image_is_not_touched_after_the_commit),
    };
    int failed = test_main("warehouse_sqlite", plain, N_OF(plain), NULL, 0);
    ROWS(REFUSALS, such_files_are_refused);
    ROWS(PERMISSIONS, permissions_are_explained);
    ROWS(TABLES, tables_take_the_rows_or_say_why_not);
    ROWS(NAMES, names_may_be_of_any_letters);
    ROWS(RULES, rows_that_break_a_rule_are_refused_alone);
    ROWS(DAMAGED, a_damaged_result_is_refused_alone);
    ROWS(VALUES, params_are_one_value);
    return failed;
}
