// What a warehouse asks of the C library, SQLite or PostgreSQL fails, each call once, in
// every way to load: a sentence, and the same command goes on to a table that is exact.

#include "common/agg_chunk.h"
#include "common/rejects.h"
#include "tests/failing_calls.h"
#include "tests/pg_kit.h"
#include "tests/warehouse_kit.h"

enum made { AS_COMMITTED, BY_SQL, BY_AGGREGATE };
enum { STEP = 80, ROWS = STEP / 10 };

static const struct way {
    const char *name, *scheme, *file;
    enum job_mode mode;
    enum made made;
    bool refuses; // the table has a constraint that some rows violate
} WAYS[] = {
    { "null", "null", "", MODE_APPEND, AS_COMMITTED, false },
    { "sqlite", "sqlite", "wh.db", MODE_APPEND, AS_COMMITTED, false },
    { "sqlite_that_refuses", "sqlite", "wh.db", MODE_APPEND, AS_COMMITTED, true },
    { "sqlite_upsert", "sqlite", "wh.db", MODE_UPSERT, AS_COMMITTED, false },
    { "sqlite_replace", "sqlite", "wh.db", MODE_REPLACE, AS_COMMITTED, false },
    { "sqlite_incremental", "sqlite", "wh.db", MODE_INCREMENTAL, AS_COMMITTED, false },
    { "sqlite_merged", "sqlite", "wh.db", MODE_REPLACE, BY_SQL, false },
    { "sqlite_aggregated", "sqlite", "wh.db", MODE_REPLACE, BY_AGGREGATE, false },
    { "csv", "csv", "out.csv", MODE_APPEND, AS_COMMITTED, false },
    { "csv_replace", "csv", "out.csv", MODE_REPLACE, AS_COMMITTED, false },
    { "csv_parts", "csv", "out-*.csv", MODE_APPEND, AS_COMMITTED, false },
    { "csv_merged", "csv", "out.csv", MODE_REPLACE, BY_SQL, false },
    { "csv_aggregated", "csv", "out.csv", MODE_REPLACE, BY_AGGREGATE, false },
    { "jsonl", "jsonl", "out.jsonl", MODE_APPEND, AS_COMMITTED, false },
    { "jsonl_merged", "jsonl", "out.jsonl", MODE_REPLACE, BY_SQL, false },
    { "stdout", "stdout", "", MODE_APPEND, AS_COMMITTED, false },
    { "stdout_merged", "stdout", "", MODE_REPLACE, BY_SQL, false },
    { "postgres", "postgres", "", MODE_APPEND, AS_COMMITTED, false },
    { "postgres_that_refuses", "postgres", "", MODE_APPEND, AS_COMMITTED, true },
    { "postgres_upsert", "postgres", "", MODE_UPSERT, AS_COMMITTED, false },
    { "postgres_replace", "postgres", "", MODE_REPLACE, AS_COMMITTED, false },
    { "postgres_incremental", "postgres", "", MODE_INCREMENTAL, AS_COMMITTED, false },
    { "postgres_merged", "postgres", "", MODE_REPLACE, BY_SQL, false },
    { "postgres_aggregated", "postgres", "", MODE_REPLACE, BY_AGGREGATE, false },
};

static const struct failing_way FAILS[] = {
    { "errors", FAILING_FILES | FAILING_SQLITE, EIO, SQLITE_IOERR, false },
    { "no_space", FAILING_FILES | FAILING_SQLITE, ENOSPC, SQLITE_FULL, false },
    { "damage", FAILING_SQLITE, EIO, SQLITE_CORRUPT, false },
    { "no_memory", FAILING_MEMORY, ENOMEM, SQLITE_NOMEM, false },
    { "refused", FAILING_POSTGRES, EIO, SQLITE_IOERR, false },
    { "cut", FAILING_POSTGRES, EIO, SQLITE_IOERR, true },
};

struct load {
    struct kit k;
    const struct way *way;
    struct spec spec;
    struct schema rows; // that the aggregate gives
    struct load_merge merge;
    struct rejects rejects;
    uint64_t next;           // where the next results begin
    struct result result[2]; // they are ready
    bool forgot;             // what was committed is gone: it keeps nothing
};

static struct pg_server server;

static bool is(const struct load *l, const char *scheme)
{
    return strcmp(l->way->scheme, scheme) == 0;
}

// ---- a load

static void aggregate(struct load *l)
{
    struct err e;
    struct schema rows = l->k.schema;
    PASS(&e, agg_add_by(&l->spec.aggregate, "b", &e));
    PASS(&e, agg_add_fn(&l->spec.aggregate, "a", "sum(a)", &e));
    l->k.schema = (struct schema){ 0 };
    PASS(&e, agg_result_schema(&l->spec.aggregate, &rows, &l->rows, &e));
    PASS(&e, agg_partial_schema(&l->spec.aggregate, &l->k.schema, &e));
    schema_free(&rows);
}

static void merging(struct load *l)
{
    if (l->way->made == AS_COMMITTED) return;
    bool sql = l->way->made == BY_SQL;
    if (l->k.ops->merging && !(sql && l->k.ops->merges)) l->k.ops = l->k.ops->merging;
    if (!sql) aggregate(l);
    l->merge = (struct load_merge){ .spec = &l->spec,
                                    .rows = sql ? &l->k.schema : &l->rows,
                                    .sql = sql ? "SELECT a, b FROM parts" : NULL,
                                    .memory_bytes = 1 << 20 };
    l->k.id.merge = &l->merge;
}

static void run_sql(const struct load *l, const char *sql)
{
    if (is(l, "postgres"))
        pg_kit_do(strchr(l->k.url, ':') + 1, sql);
    else
        kit_run(&l->k, sql);
}

static void schema_of_its_own(struct kit *k)
{
    static int serial;
    char sql[64];
    if (!server.pid) {
        pg_kit_start(&server);
        pg_kit_do(server.url, "ALTER ROLE tranche SET synchronous_commit = off");
    }
    snprintf(sql, sizeof sql, "CREATE SCHEMA s%d", ++serial);
    pg_kit_do(server.url, sql);
    snprintf(k->url, sizeof k->url, "postgres:%s?options=-csearch_path%%3Ds%d", server.url,
             serial);
}

static void init(struct load *l, const struct way *way)
{
    struct err e;
    *l = (struct load){ .way = way, .next = 10 };
    kit_init(&l->k, way->scheme);
    snprintf(l->k.path, sizeof l->k.path, "%s/%s", l->k.dir, way->file);
    snprintf(l->k.url, sizeof l->k.url, "%s:%s", way->scheme, *way->file ? l->k.path : "");
    if (is(l, "postgres")) schema_of_its_own(&l->k);
    if (is(l, "postgres") || is(l, "sqlite")) kit_mode(&l->k, way->mode);
    l->k.id.mode = way->mode;
    if (way->made == BY_AGGREGATE) l->k.id.n_indexes = 0;
    merging(l);
    if (way->refuses && is(l, "sqlite")) fclose(fopen(l->k.path, "w"));
    if (way->refuses)
        run_sql(l, "CREATE TABLE t(a BIGINT CHECK (a % 7 <> 3), b TEXT UNIQUE)");
    struct reject bad = { .line = 7,
                          .byte = 70,
                          .column = { (const uint8_t *)"a", 1 },
                          .reason = { (const uint8_t *)"no number", 9 },
                          .raw = { (const uint8_t *)"x,y", 3 } };
    PASS(&e, rejects_add(&l->rejects, &bad, &e));
}

static void done(struct load *l)
{
    kit_free(&l->k);
    rejects_free(&l->rejects);
    agg_free(&l->spec.aggregate);
    schema_free(&l->rows);
}

// The states of rows a, b of these bytes, encoded.
static struct result states_of(struct load *l, uint64_t begin, uint64_t end)
{
    struct err e;
    struct schema in = { 0 };
    struct agg_chunk *c;
    struct batch out = { 0 };
    bool want[2];
    void *encoder;
    PASS(&e, schema_add(&in, "a", 1, TYPE_INTEGER, false, &e));
    PASS(&e, schema_add(&in, "b", 1, TYPE_TEXT, false, &e));
    struct batch b = kit_batch(&in, (int64_t)(begin / 10), (uint32_t)(end - begin) / 10);
    PASS(&e, agg_chunk_new(&c, &l->spec.aggregate, &in, 1 << 20, want, &e));
    PASS(&e, agg_chunk_apply(c, &b, &out, &e));
    const struct sink_ops *sink = sink_find("rows");
    size_t at = l->k.images.n;
    PASS(&e, sink->open(&encoder, &l->k.schema, &e));
    PASS(&e, sink->encode(encoder, &out, &l->k.images, &e));
    sink->close(&encoder);
    uint64_t n = (end - begin) / 10;
    struct result r = { .row = { .range = { 0, begin, end },
                                 .state = LEDGER_DONE,
                                 .records = n,
                                 .rows_read = n,
                                 .rows_parsed = n,
                                 .rows_emitted = out.rows,
                                 .attempt = 1,
                                 .worker = "w1" },
                        .image = l->k.images.p + at,
                        .image_bytes = l->k.images.n - at };
    batch_free(&out);
    batch_free(&b);
    agg_chunk_free(&c);
    schema_free(&in);
    return r;
}

// The second result brings a reject along.
static void make_results(struct load *l)
{
    l->k.images.n = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t begin = l->next + (uint64_t)i * STEP / 2, end = begin + STEP / 2;
        l->result[i] = l->way->made == BY_AGGREGATE ? states_of(l, begin, end)
                                                    : kit_result(&l->k, 0, begin, end);
    }
    struct result *r = &l->result[1];
    r->rejects = (struct slice){ l->rejects.bytes.p, l->rejects.bytes.n };
    r->row.rows_rejected = 1;
    r->row.rows_read++;
    r->row.records++;
}

// ---- steps, each as the loader does it

static err_t begin(void *arg, struct err *e)
{
    struct load *l = arg;
    struct arena mem = { 0 };
    struct cell above;
    err_t rc = ERR_OK;
    if (!l->k.w) rc = l->k.ops->open(&l->k.w, l->k.url, kit_say, &l->k, e);
    if (rc == ERR_OK && l->way->mode == MODE_INCREMENTAL)
        rc = l->k.ops->watermark(l->k.w, &l->k.id, &mem, &above, e);
    arena_free(&mem);
    return rc == ERR_OK ? kit_try_begin(&l->k, e) : rc;
}

static err_t ask_value(void *arg, struct err *e)
{
    struct load *l = arg;
    struct arena mem = { 0 };
    struct cell v = { 0 }, again = { 0 };
    bool tried = false;
    err_t rc = l->k.ops->query_value(l->k.w, "SELECT 40 + 2", &mem, &v, e);
    if (rc == ERR_OK) EQ_I64(42, v.i);
    if (rc == ERR_OK && l->k.ops->try_value)
        rc = l->k.ops->try_value(l->k.url, "SELECT 40 + 2", &mem, &again, &tried, e);
    if (rc == ERR_OK && tried) EQ_I64(42, again.i);
    arena_free(&mem);
    return rc;
}

static err_t try_merge(void *arg, struct err *e)
{
    struct load *l = arg;
    return l->k.ops->try_merge(&l->merge, l->k.id.indexes, l->k.id.n_indexes, e);
}

static err_t note(void *arg, struct err *e)
{
    struct load *l = arg;
    struct ledger_row split = kit_split(0, l->next, l->next + STEP);
    return l->k.ops->note(l->k.w, &split, e);
}

static err_t commit(void *arg, struct err *e)
{
    struct load *l = arg;
    bool dup[2];
    size_t failed;
    return l->k.ops->commit(l->k.w, l->result, 2, dup, &failed, e);
}

static err_t finish(void *arg, struct err *e)
{
    struct load *l = arg;
    struct ledger_row totals[3];
    TRY(kit_try_finish(&l->k, l->next, totals, e));
    uint64_t n = l->way->made == BY_AGGREGATE
                     ? totals[0].rows_parsed
                     : totals[0].rows_loaded + totals[0].rows_refused;
    EQ_I64((l->next - 10) / 10, n);
    return ERR_OK;
}

// ---- after a failure

// Nothing fails here. The load is as it was, or, after one that was complete, begins anew.
static void go_on(struct load *l)
{
    struct err e;
    PASS(&e, failing_patiently(begin, l, &e));
    if (l->k.load.n_ledger == 0) l->next = 10;
}

static void stop(struct load *l)
{
    kit_close(&l->k);
    if (l->k.ops->forgets) l->next = 10;
}

// What the loader tries again, until it is killed; after all else the run ends.
static bool again(const struct load *l, err_t rc)
{
    if (l->k.ops->forgets) return false;
    return rc == ERR_FULL || rc == ERR_BUSY || rc == ERR_UNKNOWN;
}

static void is_told(const struct load *l, err_t rc, const struct err *e)
{
    static const err_t may[] = { ERR_NOMEM,   ERR_IO,   ERR_DB,     ERR_FULL,
                                 ERR_UNKNOWN, ERR_BUSY, ERR_CLOSED, ERR_INVALID };
    for (size_t i = 0; i < N_OF(may); i++)
        if (rc == may[i]) return;
    // An image in memory has no other errors than damage.
    if (rc == ERR_PROTO && strncmp(e->text, "states: ", 8) == 0) return;
    fail_msg("%s, %s failed: %s (%s)", l->way->name, failing.was, err_name(rc), e->text);
}

static void after_begin(void *arg, err_t rc, const struct err *e)
{
    struct load *l = arg;
    if (rc == ERR_OK) return;
    is_told(l, rc, e);
    if (!again(l, rc)) stop(l);
}

// The same run goes on, or the next one does.
static void after(void *arg, err_t rc, const struct err *e)
{
    struct load *l = arg;
    if (rc == ERR_OK) return;
    is_told(l, rc, e);
    if (again(l, rc)) return;
    stop(l);
    go_on(l);
}

static void commit_one(struct load *l)
{
    struct err e;
    make_results(l);
    PASS(&e, failing_patiently(commit, l, &e));
    l->next += STEP;
}

static void after_commit(void *arg, err_t rc, const struct err *e)
{
    struct load *l = arg;
    after(arg, rc, e);
    if (rc == ERR_OK) l->next += STEP;
    make_results(l);
}

// Rows that PostgreSQL took one by one are not told from those of others.
static bool can_be_dropped(const struct load *l)
{
    return !l->k.ops->forgets && !(l->way->refuses && is(l, "postgres"));
}

static void after_finish(void *arg, err_t rc, const struct err *e)
{
    struct load *l = arg;
    after(arg, rc, e);
    if (again(l, rc)) return;
    // Where it was complete all the same a load of the same size takes its place.
    bool complete = rc == ERR_OK || l->k.load.complete_before;
    l->k.id.fresh = complete && can_be_dropped(l);
    if (complete) go_on(l);
    l->k.id.fresh = false;
    if (complete || l->next == 10) commit_one(l);
}

// ---- what is there

static const char *ask(struct load *l, const char *sql)
{
    static char out[200];
    if (!is(l, "postgres")) return kit_ask(&l->k, sql);
    char *text = pg_kit_one(strchr(l->k.url, ':') + 1, sql);
    snprintf(out, sizeof out, "%s", text);
    free(text);
    return out;
}

static void each_row_is_in_the_table_once(struct load *l)
{
    char want[100];
    long long n = 0, sum = 0;
    for (long long a = 1; a < (long long)l->next / 10; a++) {
        if (l->way->refuses && a % 7 == 3) continue;
        n++;
        sum += a;
    }
    snprintf(want, sizeof want, "%lld %lld %lld", n, n, sum);
    assert_string_equal(want,
                        ask(l, "SELECT count(*) || ' ' || count(DISTINCT b) || ' ' || "
                               "coalesce(sum(a), 0) FROM t"));
    if (l->way->refuses) {
        snprintf(want, sizeof want, "%lld", (long long)(l->next - 10) / 10 - n);
        assert_string_equal(
            want, ask(l, "SELECT count(*) FROM t_rejects WHERE reason <> 'no number'"));
    }
}

static void count_lines(const char *path, unsigned *seen, unsigned most)
{
    char line[100];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        unsigned a = 0;
        const char *at = strpbrk(line, "r");
        if (strncmp(line, "a,b", 3) == 0 || strncmp(line, "b,a", 3) == 0) continue;
        if (!at || sscanf(at, "r%u", &a) != 1 || a == 0 || a > most)
            fail_msg("%s has a line %s", path, line);
        seen[a]++;
    }
    fclose(f);
}

static void each_row_is_in_the_files_once(struct load *l)
{
    unsigned most = (unsigned)(l->next - 10) / 10, *seen = calloc(most + 1, sizeof *seen);
    glob_t g;
    assert_non_null(seen);
    assert_int_equal(glob(l->k.path, 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++)
        count_lines(g.gl_pathv[i], seen, most);
    for (unsigned a = 1; a <= most; a++)
        if (seen[a] != 1) fail_msg("row %u is there %u times", a, seen[a]);
    globfree(&g);
    free(seen);
}

static void is_exact(struct load *l)
{
    if (l->k.ops->forgets) return;
    if (is(l, "postgres") || is(l, "sqlite"))
        each_row_is_in_the_table_once(l);
    else
        each_row_is_in_the_files_once(l);
}

// ----

static long climb(struct load *l, const struct failing_way *f)
{
    long n = failing_ladder(f, begin, after_begin, l);
    go_on(l);
    if (is(l, "sqlite") || is(l, "postgres")) n += failing_ladder(f, ask_value, after, l);
    if (l->k.ops->try_merge && l->way->made == BY_SQL)
        n += failing_ladder(f, try_merge, after, l);
    n += failing_ladder(f, note, after, l);
    make_results(l);
    n += failing_ladder(f, commit, after_commit, l);
    l->next += STEP; // the last one took it
    n += failing_ladder(f, finish, after_finish, l);
    return n;
}

static void drop(struct load *l, const struct failing_way *f)
{
    go_on(l);
    if (l->next == 10) commit_one(l);
    l->k.id.fresh = true;
    failing_ladder(f, begin, after_begin, l);
    l->k.id.fresh = false;
    l->next = 10;
    commit_one(l);
}

static const struct way *now;

// Errors and refusals are tried in all ways; a full or damaged disk and lines that are cut,
// each of which takes a new session, where they are not as all others.
static bool concerns(const struct way *w, const struct failing_way *f)
{
    static const char *const thorough[] = { "sqlite",           "csv_replace",
                                            "csv_parts",        "postgres",
                                            "postgres_replace", "postgres_aggregated" };
    bool served = strcmp(w->scheme, "postgres") == 0;
    if (f->kinds & FAILING_MEMORY) return true;
    if (served != !!(f->kinds & FAILING_POSTGRES)) return false;
    if (f->sqlite == SQLITE_IOERR && !f->cut) return true;
    for (size_t i = 0; i < N_OF(thorough); i++)
        if (strcmp(w->name, thorough[i]) == 0) return true;
    return false;
}

static void what_fails_is_told_and_the_next_run_is_exact(void **state)
{
    const struct failing_way *f = *state;
    struct load l;
    struct err e;
    if (!concerns(now, f)) skip();
    init(&l, now);
    long n = climb(&l, f);
    is_exact(&l);
    if (can_be_dropped(&l)) drop(&l, f);
    if (can_be_dropped(&l)) PASS(&e, failing_patiently(finish, &l, &e));
    is_exact(&l);
    assert_true(n > 3 || l.k.ops->forgets);
    done(&l);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (size_t i = 0; i < N_OF(WAYS); i++) {
        now = &WAYS[i];
        if (argc > 1 && strcmp(argv[1], now->name) != 0) continue;
        failed += test_main(now->name, NULL, 0,
                            TABLE(FAILS, what_fails_is_told_and_the_next_run_is_exact),
                            N_OF(FAILS));
    }
    pg_kit_end(&server);
    return failed;
}
