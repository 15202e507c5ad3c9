// Memory runs out in the middle, of ours or of SQLite's: an error, and the next try is
// right.

#include "tests/warehouse_text.h"

static long left = -1; // allocations until one fails; negative: none does

static bool failing(void)
{
    return left >= 0 && left-- == 0;
}

// ---- ours

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static bool ours; // those of our code are counted, else those of SQLite

void *__wrap_malloc(size_t n)
{
    return ours && failing() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return ours && failing() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return ours && failing() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
    return ours && failing() ? NULL : __real_strdup(s);
}

// ---- SQLite's

static sqlite3_mem_methods usual;

static void *sqlite_malloc(int n)
{
    return !ours && failing() ? NULL : usual.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
    return !ours && failing() ? NULL : usual.xRealloc(p, n);
}

// ----

// The tool's own allocations must not fail, so results are made before the counting.
struct prepared {
    struct result all[N_CHUNKS];
};

static err_t try_job(struct kit *k, const struct prepared *p, struct err *e)
{
    struct result all[N_CHUNKS];
    bool dup[N_CHUNKS];
    size_t failed;
    struct ledger_row totals[3], split = kit_split(0, END, END + 100);
    memcpy(all, p->all, sizeof all);
    if (!k->w) TRY(k->ops->open(&k->w, k->url, kit_say, k, e));
    TRY(kit_try_begin(k, e));
    TRY(k->ops->note(k->w, &split, e));
    TRY(k->ops->commit(k->w, all, N_CHUNKS, dup, &failed, e));
    return kit_try_finish(k, END, totals, e);
}

// A table that is made of all rows, into a file.
static void merge_into_csv(struct kit *k, struct load_merge *m)
{
    static struct spec spec;
    text_kit(k, "csv", "out.csv");
    *m = (struct load_merge){ .spec = &spec,
                              .rows = &k->schema,
                              .sql = "SELECT * FROM parts",
                              .memory_bytes = 1 << 20 };
    k->ops = k->ops->merging;
    k->id.mode = MODE_REPLACE;
    k->id.merge = m;
}

static void all_is_there(const struct kit *k)
{
    unsigned seen[N_CHUNKS * CHUNK / 10 + 1] = { 0 }, headers = 0;
    if (strncmp(k->url, "csv:", 4) == 0) {
        count_rows(whole(k, "out.csv"), seen, &headers);
        for (int i = 1; i <= N_CHUNKS * CHUNK / 10; i++)
            EQ_I64(1, seen[i]);
        return;
    }
    EQ_I64(N_CHUNKS * CHUNK / 10, kit_count(k, "SELECT count(DISTINCT a) FROM t"));
    EQ_I64(N_CHUNKS * CHUNK / 10, kit_count(k, "SELECT count(*) FROM t"));
    assert_string_equal("ok", kit_ask(k, "PRAGMA integrity_check"));
}

enum { MERGED_FILE = -1, PLAIN_FILE = -2 }; // beside the modes of a job

// True: the allocation was reached.
static bool one_failure(int mode, long at)
{
    struct kit k;
    struct err e;
    struct prepared p;
    struct load_merge m;
    if (mode == MERGED_FILE)
        merge_into_csv(&k, &m);
    else if (mode == PLAIN_FILE)
        text_kit(&k, "csv", "out.csv");
    else
        kit_init(&k, "sqlite");
    if (mode >= 0) kit_mode(&k, (enum job_mode)mode);
    for (uint64_t i = 0; i < N_CHUNKS; i++)
        p.all[i] = kit_result(&k, 0, 10 + i * CHUNK, 10 + (i + 1) * CHUNK);
    left = at;
    err_t rc = try_job(&k, &p, &e);
    bool reached = left < 0;
    left = -1;
    if (rc != ERR_OK && rc != ERR_NOMEM && rc != ERR_UNKNOWN)
        fail_msg("allocation %ld: %s", at, e.text);
    if (rc != ERR_OK) PASS(&e, try_job(&k, &p, &e));
    all_is_there(&k);
    kit_free(&k);
    return reached;
}

static void every_one_of_ours_may_fail(void **state)
{
    (void)state;
    static const int modes[] = { MODE_APPEND,      MODE_UPSERT, MODE_REPLACE,
                                 MODE_INCREMENTAL, MERGED_FILE, PLAIN_FILE };
    ours = true;
    for (size_t i = 0; i < N_OF(modes); i++) {
        long at = 0;
        while (one_failure(modes[i], at))
            at++;
        assert_true(at > 20);
    }
    ours = false;
}

// SQLite has thousands: fewer and fewer of them are tried.
static void those_of_sqlite_may_fail(void **state)
{
    (void)state;
    long at = 0;
    while (one_failure((int)(at % 6) - 2, at))
        at += 1 + at / 128;
    assert_true(at > 1000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_one_of_ours_may_fail),
        cmocka_unit_test(those_of_sqlite_may_fail),
    };
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual);
    sqlite3_mem_methods mine = usual;
    mine.xMalloc = sqlite_malloc;
    mine.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &mine);
    return test_main("warehouse_sqlite_nomem", tests, N_OF(tests), NULL, 0);
}
