// A load that was cut off, whose database was damaged since: by bytes that changed (first
// byte even), or by values of its ledger that did (odd). The next run opens it, begins,
// plans what is missing, loads that and finishes: with a sentence, or with a ledger that
// covers every byte of every input exactly once and whose counts add up. Nothing changed:
// then it has every row once. Damage may make another's load of this one, which stays as it
// is: judged is the load that the run says it went on with.

#include "common/sink.h"
#include "coordinator/source.h"
#include "coordinator/warehouse_sqlite.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORD = 10, FILES = 2, ROOM = 1 << 20 };
static const unsigned records[FILES] = { 20, 9 };

static char dir[64], wh[96], csv[FILES][96];
static struct buf base; // the database, undamaged
static struct job job;
static struct schema schema;
static const struct warehouse_ops *ops;
static uint64_t load_id; // of the last run
static struct load_identity id = { .table = "t", .sources = "*.csv", .spec = { 1, 2 } };

static void remove_all(void)
{
    char also[120];
    static const char *const ends[] = { "", "-journal", "-wal", "-shm" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(also, sizeof also, "%s%s", wh, ends[i]);
        unlink(also);
    }
    for (int i = 0; i < FILES; i++)
        unlink(csv[i]);
    rmdir(dir);
}

static void put(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n) abort();
    close(fd);
}

// ---- one run ----

static void say(void *arg, const char *text)
{
    (void)arg;
    assert(*text);
}

// Byte 10 n of an input is row n - 1 of it.
static struct result result_of(const struct chunk_data *c, struct region *to)
{
    static void *encoder;
    struct batch b = { 0 };
    size_t at = to->n;
    uint32_t n = (uint32_t)((c->range.end - c->range.begin) / RECORD);
    must(batch_start(&b, &schema, NULL));
    b.rows = n;
    struct vec *v = &b.col[0];
    v->absent = false;
    v->valid = arena_alloc(&b.mem, batch_words(n) * 8);
    v->i64 = arena_alloc(&b.mem, (n + 1) * sizeof *v->i64);
    if (!v->valid || !v->i64) abort();
    memset(v->valid, 0, batch_words(n) * 8);
    for (uint32_t i = 0; i < n; i++) {
        v->valid[i / 64] |= UINT64_C(1) << i % 64;
        v->i64[i] = (int64_t)(c->range.input * 1000 + c->range.begin / RECORD - 1 + i);
    }
    const struct sink_ops *sink = sink_find(ops->sink);
    if (!encoder) must(sink->open(&encoder, &schema, NULL));
    must(sink->encode(encoder, &b, to, NULL));
    batch_free(&b);
    return (struct result){ .row = { .range = c->range,
                                     .state = LEDGER_DONE,
                                     .records = n,
                                     .lines = n,
                                     .rows_read = n,
                                     .rows_parsed = n,
                                     .rows_emitted = n,
                                     .digest = c->digest,
                                     .attempt = 1,
                                     .worker = "w" },
                            .image = to->p + at,
                            .image_bytes = to->n - at };
}

static bool same_file(const struct load_input *was, const struct load_input *is)
{
    return was->size == is->size && was->mtime_ns == is->mtime_ns &&
           was->ctime_ns == is->ctime_ns && was->ino == is->ino;
}

static err_t skip(struct source *s, const struct load_state *load, bool trust,
                  const struct load_input *in, struct err *e)
{
    struct committed *c = calloc(load->n_ledger + 1, sizeof *c);
    err_t rc = ERR_OK;
    for (uint32_t i = 0; i < FILES && rc == ERR_OK; i++) {
        size_t k = 0;
        for (size_t x = 0; x < load->n_ledger; x++) {
            const struct ledger_row *l = &load->ledger[x];
            if (l->range.input == i && l->state != LEDGER_SPLIT)
                c[k++] = (struct committed){ l->range, l->lines, l->records,
                                             l->unterminated, l->digest };
        }
        bool same = i < load->n_inputs && same_file(&load->inputs[i], &in[i]);
        if (k) rc = source_skip(s, i, c, k, trust && same, e);
    }
    free(c);
    return rc;
}

// `most`: so many chunks; then the run is cut off.
static err_t load_rest(struct warehouse *w, struct source *s, unsigned most, struct err *e)
{
    static uint8_t room[ROOM];
    static const _Atomic uint64_t target = 40;
    for (unsigned i = 0; i < most; i++) {
        struct region to = { .p = room, .cap = ROOM };
        struct chunk_data *c = NULL, *bad = NULL;
        bool dup = false;
        size_t failed;
        TRY(source_next(s, &target, &c, &bad, e));
        assert(!bad);
        if (!c) return ERR_OK;
        struct result r = result_of(c, &to);
        err_t rc = ops->commit(w, &r, 1, &dup, &failed, e);
        chunk_data_free(&c);
        TRY(rc);
    }
    return ERR_OK;
}

static err_t go_on(struct warehouse *w, bool trust, unsigned most, struct load_state *load,
                   struct err *e)
{
    struct source *s = NULL;
    struct load_input in[FILES];
    struct ledger_row totals[FILES];
    uint64_t end[FILES];
    uint32_t n;
    must(source_open(&s, &job, NULL));
    const struct source_input *files = source_inputs(s, &n);
    assert(n == FILES);
    for (uint32_t i = 0; i < n; i++)
        in[i] = (struct load_input){ .name = files[i].name,
                                     .size = files[i].size,
                                     .mtime_ns = files[i].mtime_ns,
                                     .ctime_ns = files[i].ctime_ns,
                                     .ino = files[i].ino,
                                     .data_begin = files[i].data_begin };
    err_t rc = ops->begin(w, &id, &schema, in, n, NULL, load, e);
    if (rc == ERR_OK) rc = skip(s, load, trust, in, e);
    if (rc == ERR_OK) rc = load_rest(w, s, most, e);
    for (uint32_t i = 0; i < n; i++)
        end[i] = files[i].data_end;
    if (rc == ERR_OK && most == UINT32_MAX) rc = ops->finish(w, end, true, totals, e);
    source_close(&s);
    return rc;
}

static err_t run(bool trust, unsigned most, struct err *e)
{
    struct warehouse *w = NULL;
    struct load_state load = { 0 };
    char url[120];
    snprintf(url, sizeof url, "sqlite:%s", wh);
    TRY(ops->open(&w, url, say, NULL, e));
    wsq_set_busy_ms(w, 0);
    err_t rc = go_on(w, trust, most, &load, e);
    load_id = load.load_id;
    load_state_free(&load);
    ops->close(&w);
    return rc;
}

// ---- the damage ----

static void make_base(void)
{
    struct err e;
    struct buf text = { 0 };
    snprintf(dir, sizeof dir, "%s/ledger.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir)) abort();
    atexit(remove_all);
    snprintf(wh, sizeof wh, "%s/wh.db", dir);
    job_init(&job);
    job.source = SOURCE_CSV;
    for (int i = 0; i < FILES; i++) {
        text.n = 0;
        snprintf(csv[i], sizeof csv[i], "%s/%d.csv", dir, i);
        must(buf_printf(&text, NULL, "a,bbbbbbb\n"));
        for (unsigned r = 0; r < records[i]; r++)
            must(buf_printf(&text, NULL, "%03u,%05u\n", r, r * r + 500 * (unsigned)i));
        put(csv[i], text.p, text.n);
        must(strings_add(&job.files, csv[i], strlen(csv[i]), NULL));
        must(strings_add(&job.file_paths, csv[i], strlen(csv[i]), NULL));
    }
    must(schema_add(&schema, "a", 1, TYPE_INTEGER, false, NULL));
    ops = warehouse_find("sqlite:x");
    must(run(true, 4, &e));
    buf_free(&text);
    FILE *f = fopen(wh, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) abort();
    must(buf_reserve(&base, (size_t)st.st_size, NULL));
    base.n = fread(base.p, 1, (size_t)st.st_size, f);
    fclose(f);
}

static void change_bytes(struct tape *t)
{
    uint8_t *p = exact_copy(base.p, base.n);
    size_t n = base.n;
    while (t->n) {
        size_t at = draw(t, 3) % n, got, many = 1 + draw(t, 1) % 8;
        const uint8_t *from = draw_bytes(t, many, &got);
        memcpy(p + at, from, got < n - at ? got : n - at);
    }
    put(wh, p, n);
    free(p);
}

static void bind(sqlite3_stmt *st, struct tape *t)
{
    static const char *const words[] = { "done",     "split",    "rejected", "loading",
                                         "complete", "replaced", "dropped",  "[{}]",
                                         "[]",       "1",        "append",   "replace" };
    uint64_t how = draw(t, 1);
    size_t n = 0;
    const uint8_t *p = how >= 200 && how < 230 ? draw_bytes(t, how % 30, &n) : NULL;
    if (how < 120)
        sqlite3_bind_int64(st, 1, (int64_t)how);
    else if (how < 150)
        sqlite3_bind_int64(st, 1, (int64_t)draw(t, 8));
    else if (how < 200)
        sqlite3_bind_text(st, 1, words[how % 12], -1, SQLITE_STATIC);
    else if (how < 230)
        sqlite3_bind_text(st, 1, (const char *)p, (int)n, SQLITE_TRANSIENT);
    else if (how < 240)
        sqlite3_bind_double(st, 1, (double)how * 1e17);
    else if (how < 250)
        sqlite3_bind_zeroblob(st, 1, 40);
}

// One value of a row, or the whole row, of one of the two tables.
static void change_value(sqlite3 *db, struct tape *t)
{
    static const char *const columns[] = {
        "input",        "byte_begin",   "byte_end",      "state",        "records",
        "lines",        "unterminated", "rows_read",     "rows_parsed",  "rows_rejected",
        "rows_emitted", "rows_loaded",  "rows_refused",  "misfits",      "digest",
        "epoch",        "attempt",      "rows_replaced", "rows_skipped", "worker"
    };
    static const char *const of_run[] = { "load_id", "table_name", "spec",   "mode",
                                          "state",   "epoch",      "inputs", "params",
                                          "staging", "watermark" };
    uint64_t what = draw(t, 1), row = draw(t, 1) % 4;
    char sql[300];
    sqlite3_stmt *st = NULL;
    if (what < 180)
        snprintf(sql, sizeof sql,
                 "UPDATE OR IGNORE tranche_ledger SET %s = ?1 WHERE (load, input, "
                 "byte_begin, byte_end) = (SELECT load, input, byte_begin, byte_end FROM "
                 "tranche_ledger LIMIT 1 OFFSET %u)",
                 columns[what % 20], (unsigned)row);
    else if (what < 190)
        snprintf(sql, sizeof sql,
                 "DELETE FROM tranche_ledger WHERE byte_begin = ?1 AND input = %u",
                 (unsigned)row % 2);
    else if (what < 240)
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE tranche_runs SET %s = ?1",
                 of_run[what % 10]);
    else
        snprintf(sql, sizeof sql,
                 "UPDATE OR IGNORE tranche_runs SET inputs = json_set(inputs, "
                 "'$[%u].%s', ?1) WHERE json_valid(inputs)",
                 (unsigned)row,
                 what % 2   ? "data_begin"
                 : what % 4 ? "name"
                            : "size");
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
        bind(st, t);
        sqlite3_step(st);
    }
    sqlite3_finalize(st);
}

static void change_values(struct tape *t)
{
    sqlite3 *db;
    put(wh, base.p, base.n);
    if (sqlite3_open(wh, &db) != SQLITE_OK ||
        sqlite3_exec(db, "PRAGMA synchronous=0; PRAGMA journal_mode=memory", NULL, NULL,
                     NULL) != SQLITE_OK)
        abort();
    while (t->n)
        change_value(db, t);
    sqlite3_close(db);
}

// ---- what came of it ----

// ?1 is the load.
static int64_t ask(sqlite3 *db, const char *sql, int64_t otherwise)
{
    sqlite3_stmt *st = NULL;
    int64_t v = otherwise;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
        (!strstr(sql, "?1") || sqlite3_bind_int64(st, 1, (int64_t)load_id) == SQLITE_OK) &&
        sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

static void judge(bool damaged)
{
    sqlite3 *db;
    if (sqlite3_open_v2(wh, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) abort();
#define DONE                                                                   \
    "tranche_ledger AS l JOIN tranche_runs AS r ON r.load_id = l.load JOIN "   \
    "json_each(r.inputs) "                                                     \
    "AS i ON i.key = l.input WHERE l.state <> 'split' AND r.load_id = ?1 AND " \
    "i.value->>'name' GLOB '/*/[01].csv'"
    int64_t bytes = 0;
    for (int i = 0; i < FILES; i++)
        bytes += records[i] * RECORD;
    assert(ask(db, "SELECT state = 'complete' FROM tranche_runs WHERE load_id = ?1", 0));
    assert(ask(db, "SELECT sum(byte_end - byte_begin) FROM " DONE, 0) == bytes);
    assert(ask(db,
               "SELECT count(*) FROM (SELECT byte_begin - lag(byte_end, 1, 10) OVER "
               "(PARTITION BY input ORDER BY byte_begin) AS gap FROM " DONE
               ") WHERE gap <> 0",
               0) == 0);
    assert(ask(db,
               "SELECT count(*) FROM " DONE
               " AND (min(records, lines, rows_read, rows_parsed, rows_rejected, "
               "rows_emitted, rows_loaded, rows_refused, misfits, rows_replaced, "
               "rows_skipped) < 0 OR rows_read <> rows_parsed + rows_rejected OR "
               "rows_emitted <> rows_loaded + rows_refused)",
               0) == 0);
    if (!damaged) {
        assert(ask(db, "SELECT count(DISTINCT a) FROM t", 0) == bytes / RECORD);
        assert(ask(db, "SELECT count(*) FROM t", 0) == bytes / RECORD);
    }
    sqlite3_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 400) return 0;
    struct tape t = { data + 1, size - 1 };
    struct err e = { 0 };
    if (!base.n) make_base();
    if (data[0] & 1)
        change_values(&t);
    else
        change_bytes(&t);
    err_t rc = run(data[0] & 2, UINT32_MAX, &e);
    assert(rc == ERR_OK || e.text[0]);
    assert(rc == ERR_OK || size > 1);
    if (rc == ERR_OK) judge(size > 1);
    return 0;
}
