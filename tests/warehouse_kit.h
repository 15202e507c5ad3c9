// warehouse_kit - a folder, images, results and questions for tests of warehouses.

#ifndef TESTS_WAREHOUSE_KIT_H
#define TESTS_WAREHOUSE_KIT_H

#include "common/sink.h"
#include "common/sqlite_image.h"
#include "coordinator/warehouse.h"
#include "tests/test.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KIT_ROOM = 1 << 22 };

struct kit {
    char dir[64];
    char path[128]; // of the database
    char url[256];  // sqlite:path, or what the suite put there
    const struct warehouse_ops *ops;
    struct warehouse *w;
    struct schema schema; // a INTEGER, b TEXT
    struct load_input inputs[3];
    size_t n_inputs;
    struct load_identity id;
    struct load_state load;
    char said[2048];      // what the warehouse told the user
    struct region images; // every image of a test
};

static inline void kit_say(void *arg, const char *text)
{
    struct kit *k = arg;
    size_t n = strlen(k->said);
    snprintf(k->said + n, sizeof k->said - n, "%s\n", text);
}

static inline int kit_remove(const char *path, const struct stat *st, int flag,
                             struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

static inline void kit_init(struct kit *k, const char *backend)
{
    struct err e;
    *k = (struct kit){ .n_inputs = 1 };
    // In memory where possible: what is tested does not hang on a disk, but waits for it.
    snprintf(k->dir, sizeof k->dir, "%s/warehouse.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(k->dir));
    snprintf(k->path, sizeof k->path, "%s/wh.db", k->dir);
    snprintf(k->url, sizeof k->url, "%s:%s", backend, k->path);
    PASS(&e, schema_add(&k->schema, "a", 1, TYPE_INTEGER, false, &e));
    PASS(&e, schema_add(&k->schema, "b", 1, TYPE_TEXT, false, &e));
    static const char *const names[] = { "one.csv", "two.csv", "three.csv" };
    for (int i = 0; i < 3; i++)
        k->inputs[i] = (struct load_input){ .name = (char *)(uintptr_t)names[i],
                                            .size = 1000,
                                            .mtime_ns = 5,
                                            .ino = 7,
                                            .data_begin = 10 };
    k->id = (struct load_identity){ .table = "t", .sources = "*.csv", .spec = { 1, 2 } };
    k->images = (struct region){ .p = malloc(KIT_ROOM), .cap = KIT_ROOM };
    assert_non_null(k->images.p);
    k->ops = warehouse_find(k->url);
    assert_non_null(k->ops);
}

// A way to load, with what it needs: key and watermark are a, with two indexes.
static inline void kit_mode(struct kit *k, enum job_mode mode)
{
    static char *a[] = { (char *)(uintptr_t) "a" },
                *ba[] = { (char *)(uintptr_t) "b", (char *)(uintptr_t) "a" };
    static const struct strings key = { a, 1 }, indexes[] = { { ba, 1 }, { ba, 2 } };
    k->id.mode = mode;
    k->id.key = mode == MODE_UPSERT ? &key : NULL;
    k->id.watermark = mode == MODE_INCREMENTAL ? "a" : NULL;
    k->id.indexes = indexes;
    k->id.n_indexes = N_OF(indexes);
}

static inline void kit_open(struct kit *k)
{
    struct err e;
    PASS(&e, k->ops->open(&k->w, k->url, kit_say, k, &e));
}

static inline err_t kit_try_begin(struct kit *k, struct err *e)
{
    load_state_free(&k->load);
    return k->ops->begin(k->w, &k->id, &k->schema, k->inputs, k->n_inputs, NULL, &k->load,
                         e);
}

static inline void kit_begin(struct kit *k)
{
    struct err e;
    PASS(&e, kit_try_begin(k, &e));
}

static inline void kit_close(struct kit *k) // the warehouse only
{
    if (k->w) k->ops->close(&k->w);
}

static inline void kit_free(struct kit *k)
{
    kit_close(k);
    load_state_free(&k->load);
    schema_free(&k->schema);
    free(k->images.p);
    nftw(k->dir, kit_remove, 8, FTW_DEPTH | FTW_PHYS);
}

// Rows a = first, first + 1, ...; b = "r" and a.
static inline struct batch kit_batch(const struct schema *s, int64_t first, uint32_t n)
{
    struct err e;
    struct batch b = { 0 };
    PASS(&e, batch_start(&b, s, &e));
    b.rows = n;
    struct vec *a = &b.col[0], *t = &b.col[1];
    a->absent = t->absent = false;
    for (int c = 0; c < 2; c++) {
        b.col[c].valid = arena_alloc(&b.mem, batch_words(n) * 8);
        memset(b.col[c].valid, 0xff, batch_words(n) * 8);
    }
    a->i64 = arena_alloc(&b.mem, (n + 1) * sizeof *a->i64);
    t->off = arena_alloc(&b.mem, (n + 1) * sizeof *t->off);
    t->bytes = arena_alloc(&b.mem, (size_t)n * 24 + 16);
    t->off[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        a->i64[i] = first + i;
        int len = sprintf((char *)t->bytes + t->off[i], "r%lld", (long long)(first + i));
        t->off[i + 1] = t->off[i] + (uint32_t)len;
    }
    return b;
}

// One row a record, ten bytes a record: bytes begin..end of an input give the rows
// begin/10...
static inline struct result kit_result(struct kit *k, uint32_t input, uint64_t begin,
                                       uint64_t end)
{
    struct err e;
    const struct sink_ops *sink = sink_find(k->ops->sink);
    void *encoder;
    uint32_t n = (uint32_t)((end - begin + 9) / 10);
    struct batch b = kit_batch(&k->schema, (int64_t)(begin / 10 + 1000 * input), n);
    size_t at = k->images.n;
    assert_non_null(sink);
    PASS(&e, sink->open(&encoder, &k->schema, &e));
    PASS(&e, sink->encode(encoder, &b, &k->images, &e));
    sink->close(&encoder);
    batch_free(&b);
    return (struct result){
        .row = { .range = { input, begin, end },
                 .state = LEDGER_DONE,
                 .records = n,
                 .lines = n,
                 .rows_read = n,
                 .rows_parsed = n,
                 .rows_emitted = n,
                 .digest = { begin, end },
                 .result_digest = { ~begin, ~end },
                 .attempt = 1,
                 .worker = "w1" },
        .image = k->images.p + at,
        .image_bytes = k->images.n - at,
    };
}

// A result whose rows SQLite itself put into table t of k->schema.
static inline struct result kit_sql_result(struct kit *k, uint64_t begin, uint64_t end,
                                           const char *insert)
{
    struct err e;
    struct buf sql = { 0 };
    sqlite3 *db;
    char *why = NULL;
    sqlite3_int64 n;
    PASS(&e, sqlite_image_sql(&k->schema, &sql, &e));
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (sqlite3_exec(db, (char *)sql.p, NULL, NULL, &why) != SQLITE_OK ||
        sqlite3_exec(db, insert, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s\n  %s", insert, why);
    uint64_t rows = (uint64_t)sqlite3_total_changes64(db);
    uint8_t *p = sqlite3_serialize(db, "main", &n, 0), *to = k->images.p + k->images.n;
    assert_true(k->images.n + (size_t)n <= k->images.cap);
    memcpy(to, p, (size_t)n);
    k->images.n += (size_t)n;
    sqlite3_free(p);
    sqlite3_close(db);
    buf_free(&sql);
    return (struct result){ .row = { .range = { 0, begin, end },
                                     .state = LEDGER_DONE,
                                     .rows_read = rows,
                                     .rows_parsed = rows,
                                     .rows_emitted = rows,
                                     .worker = "w1" },
                            .image = to,
                            .image_bytes = (size_t)n };
}

static inline err_t kit_try_commit(struct kit *k, uint32_t input, uint64_t begin,
                                   uint64_t end, bool *dup, struct err *e)
{
    size_t failed;
    struct result r = kit_result(k, input, begin, end);
    return k->ops->commit(k->w, &r, 1, dup, &failed, e);
}

// True: it was a duplicate.
static inline bool kit_commit(struct kit *k, uint32_t input, uint64_t begin, uint64_t end)
{
    struct err e;
    bool dup;
    PASS(&e, kit_try_commit(k, input, begin, end, &dup, &e));
    return dup;
}

static inline struct ledger_row kit_split(uint32_t input, uint64_t begin, uint64_t end)
{
    return (struct ledger_row){ .range = { input, begin, end }, .state = LEDGER_SPLIT };
}

static inline err_t kit_try_finish(struct kit *k, uint64_t end, struct ledger_row totals[3],
                                   struct err *e)
{
    const uint64_t ends[] = { end, end, end };
    return k->ops->finish(k->w, ends, true, totals, e);
}

// ---- questions, through a connection of their own

static inline sqlite3 *kit_peek(const struct kit *k)
{
    sqlite3 *db;
    if (sqlite3_open_v2(k->path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        fail_msg("%s: %s", k->path, sqlite3_errmsg(db));
    return db;
}

static inline void kit_run(const struct kit *k, const char *sql)
{
    sqlite3 *db = kit_peek(k);
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s\n  %s", sql, why);
    sqlite3_close(db);
}

// The first column of the first row, as text; lives until the next call.
static inline const char *kit_ask(const struct kit *k, const char *sql)
{
    static char answer[4096];
    sqlite3 *db = kit_peek(k);
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s\n  %s", sql, sqlite3_errmsg(db));
    int rc = sqlite3_step(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail_msg("%s\n  %s", sql, sqlite3_errmsg(db));
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    snprintf(answer, sizeof answer, "%s", text ? text : "(nothing)");
    sqlite3_finalize(st);
    sqlite3_close(db);
    return answer;
}

static inline long long kit_count(const struct kit *k, const char *sql)
{
    return atoll(kit_ask(k, sql));
}

#endif
