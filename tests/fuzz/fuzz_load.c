// From a worker's result to rows in the warehouse. A tape makes rows, which are
// encoded as a worker does, and then changes some bytes of them and of what the
// result says about them. What the warehouse takes is in the table exactly
// once, row by row as it stands in the bytes that were sent, or in the rejects;
// and what nobody changed it does take. The first byte picks: an image into a
// table of ours, into one that refuses rows, CSV, JSON lines.

#include "common/csv_read.h"
#include "common/json_line.h"
#include "common/sink.h"
#include "common/sqlite_image.h"
#include "coordinator/warehouse_sqlite.h"
#include "coordinator/warehouse_text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS_MAX = 24, LOADS = 500, ROOM = 1 << 20 };

struct place {
    const char *table; // as somebody made it; NULL: nobody did
    char dir[64], path[96];
    struct warehouse *w;
    sqlite3 *db; // a look from outside
    uint64_t next;
};

static struct place places[2] = {
    { .table = NULL },
    { .table = "CREATE TABLE t(a INTEGER UNIQUE, b TEXT CHECK(length(b) < 6), c "
               "REAL)" },
};
static struct schema schema;

static void make_schema(void)
{
    must(schema_add(&schema, "a", 1, TYPE_INTEGER, false, NULL));
    must(schema_add(&schema, "b", 1, TYPE_TEXT, false, NULL));
    must(schema_add(&schema, "c", 1, TYPE_REAL, false, NULL));
}

// ---- rows ----

static void *room(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    if (!p) abort();
    return memset(p, 0, n);
}

static void make_rows(struct batch *b, struct tape *t)
{
    static const uint8_t letters[] = "ab,\"'\n\r\\{} x";
    uint32_t n = (uint32_t)draw(t, 1) % ROWS_MAX;
    must(batch_start(b, &schema, NULL));
    b->rows = n;
    for (int i = 0; i < 3; i++) {
        b->col[i].absent = false;
        b->col[i].valid = room(b, batch_words(n) * 8);
    }
    struct vec *a = &b->col[0], *s = &b->col[1], *c = &b->col[2];
    a->i64 = room(b, (n + 1) * 8);
    c->f64 = room(b, (n + 1) * 8);
    s->off = room(b, (n + 1) * 4);
    s->bytes = room(b, n * 16 + 16);
    for (uint32_t r = 0; r < n; r++) {
        uint64_t how = draw(t, 1);
        for (int i = 0; i < 3; i++)
            if (how >> i & 1) b->col[i].valid[0] |= UINT64_C(1) << r;
        uint32_t len = how & 2 ? (uint32_t)(how >> 3 & 7) : 0;
        s->off[r + 1] = s->off[r] + len;
        for (uint32_t k = 0; k < len; k++)
            s->bytes[s->off[r] + k] = letters[draw(t, 1) % (sizeof letters - 1)];
        if (how & 1) a->i64[r] = how & 64 ? (int64_t)draw(t, 8) : (int64_t)draw(t, 1);
        if (how & 4) c->f64[r] = (double)(int64_t)draw(t, how & 128 ? 8 : 1) / 4;
    }
}

struct sent {
    struct result result;
    bool changed;
};

static void change(struct sent *x, uint8_t *p, size_t n, struct tape *t)
{
    struct ledger_row *row = &x->result.row;
    while (t->n > 1) {
        uint64_t what = draw(t, 1);
        x->changed = true;
        if (what < 200 && n) { // bytes; of an image those at the ends of its pages, mostly
            size_t got, at = draw(t, 2) % n;
            const uint8_t *from = draw_bytes(t, 1 + what % 8, &got);
            if (what & 1) at = n - 1 - at % (n < 512 ? n : 512);
            if (what & 2) at %= n < 256 ? n : 256;
            memcpy(p + at, from, got < n - at ? got : n - at);
        } else if (what < 220) {
            x->result.image_bytes = n ? draw(t, 2) % (n + 1) : 0;
        } else if (what < 240) {
            uint64_t *const v[] = { &row->rows_emitted, &row->rows_parsed, &row->rows_read,
                                    &row->rows_rejected, &row->range.end };
            *v[what % 5] += draw(t, 1) - 128;
        } else {
            row->rows_emitted = draw(t, what < 250 ? 1 : 8);
        }
    }
}

// The bytes stand in a block of their own, to be freed.
static uint8_t *send(struct sent *x, const char *sink_name, struct tape *t)
{
    static void *encoders[3];
    static uint8_t to_send[ROOM];
    static const char *const names[] = { "sqlite", "csv", "jsonl" };
    struct batch b = { 0 };
    struct region to = { .p = to_send, .cap = ROOM };
    const struct sink_ops *sink = sink_find(sink_name);
    int i = 0;
    while (strcmp(names[i], sink_name) != 0)
        i++;
    if (!encoders[i]) must(sink->open(&encoders[i], &schema, NULL));
    make_rows(&b, t);
    must(sink->encode(encoders[i], &b, &to, NULL));
    uint64_t n = b.rows;
    batch_free(&b);
    *x = (struct sent){ .result = { .row = { .state = LEDGER_DONE,
                                             .range = { 0, 0, 1 },
                                             .records = n,
                                             .lines = n,
                                             .rows_read = n,
                                             .rows_parsed = n,
                                             .rows_emitted = n,
                                             .attempt = 1,
                                             .worker = "w" },
                                    .image_bytes = to.n } };
    change(x, to.p, to.n, t);
    uint8_t *p = exact_copy(to.p, x->result.image_bytes);
    x->result.image = p;
    return p;
}

// ---- text ----

// Whole records of three fields, whatever is in them: nothing runs into what
// others send.
static void is_csv(const struct result *r)
{
    static const struct csv_dialect plain = { .delimiter = ',', .quote = '"' };
    struct arena mem = { 0 };
    struct csv_value *v;
    size_t fields, used;
    uint64_t records = 0;
    for (size_t at = 0; at < r->image_bytes; at += used, records++) {
        arena_reset(&mem);
        must(csv_read_record(&plain, r->image + at, r->image_bytes - at, false, &mem, &v,
                             &fields, &used, NULL));
        assert(used && (fields == 3));
    }
    assert(records == r->row.rows_emitted);
    arena_free(&mem);
}

static void is_jsonl(const struct result *r)
{
    const uint8_t *p = r->image, *end = p + r->image_bytes;
    uint64_t lines = 0;
    for (const uint8_t *lf; p < end; p = lf + 1, lines++) {
        lf = memchr(p, '\n', (size_t)(end - p));
        assert(lf && lf - p >= 2 && *p == '{' && lf[-1] == '}');
    }
    assert(lines == r->row.rows_emitted);
}

// What nobody changed is JSON.
static void is_json(const struct result *r)
{
    static struct json_line *json;
    static const struct strings none;
    const struct json_value *v;
    const uint8_t *p = r->image, *end = p + r->image_bytes;
    char why[JSON_LINE_WHY];
    bool good;
    if (!json) must(json_line_new(&json, &none, NULL));
    for (const uint8_t *lf; p < end; p = lf + 1) {
        lf = memchr(p, '\n', (size_t)(end - p));
        must(json_line_read(json, p, (size_t)(lf - p), &v, &good, why, NULL));
        assert(good);
        json_line_reset(json);
    }
}

static void text(const char *format, struct tape *t)
{
    struct sent x;
    struct err e = { 0 };
    uint8_t *p = send(&x, format, t);
    err_t rc = text_check(format, &schema, &x.result, &e);
    assert(rc == ERR_OK || (rc == ERR_PROTO && e.text[0]));
    assert(rc == ERR_OK || x.changed);
    if (rc == ERR_OK && *format == 'c') is_csv(&x.result);
    if (rc == ERR_OK && *format == 'j') is_jsonl(&x.result);
    if (!x.changed && *format == 'j') is_json(&x.result);
    free(p);
}

// ---- images ----

static void say(void *arg, const char *text)
{
    (void)arg;
    assert(*text);
}

static void leave(struct place *p)
{
    const struct warehouse_ops *ops = warehouse_find("sqlite:x");
    char also[120];
    if (p->db) sqlite3_close(p->db);
    if (p->w) ops->close(&p->w);
    p->db = NULL;
    if (!*p->dir) return;
    unlink(p->path);
    snprintf(also, sizeof also, "%s-journal", p->path);
    unlink(also);
    rmdir(p->dir);
    *p->dir = 0;
}

static void leave_all(void)
{
    leave(&places[0]);
    leave(&places[1]);
}

static void enter(struct place *p)
{
    static const struct load_identity id = { .table = "t",
                                             .sources = "x",
                                             .spec = { 1, 2 } };
    static char name[] = "x.csv";
    const struct load_input in = { .name = name, .size = 1 << 20 };
    const struct warehouse_ops *ops = warehouse_find("sqlite:x");
    struct load_state state;
    char url[120];
    snprintf(p->dir, sizeof p->dir, "%s/load.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(p->dir)) abort();
    snprintf(p->path, sizeof p->path, "%s/wh.db", p->dir);
    snprintf(url, sizeof url, "sqlite:%s", p->path);
    if (sqlite3_open(p->path, &p->db) != SQLITE_OK ||
        sqlite3_exec(p->db, p->table ? p->table : "SELECT 1", NULL, NULL, NULL) !=
            SQLITE_OK)
        abort();
    must(ops->open(&p->w, url, say, NULL, NULL));
    memset(&state, 0, sizeof state);
    must(ops->begin(p->w, &id, &schema, &in, 1, NULL, &state, NULL));
    load_state_free(&state);
    p->next = 0;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK) abort();
    if (sqlite3_step(st) != SQLITE_ROW) abort();
    int64_t v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return v;
}

// A number says more than "the same": those that a real column stores as
// integers.
static bool same_value(sqlite3_stmt *x, sqlite3_stmt *y, int i)
{
    int k = sqlite3_column_type(x, i), l = sqlite3_column_type(y, i);
    if (k == SQLITE_INTEGER && l == SQLITE_INTEGER)
        return sqlite3_column_int64(x, i) == sqlite3_column_int64(y, i);
    if ((k == SQLITE_INTEGER || k == SQLITE_FLOAT) &&
        (l == SQLITE_INTEGER || l == SQLITE_FLOAT))
        return sqlite3_column_double(x, i) == sqlite3_column_double(y, i);
    int n = sqlite3_column_bytes(x, i);
    return k == l && n == sqlite3_column_bytes(y, i) &&
           (n == 0 ||
            memcmp(sqlite3_column_blob(x, i), sqlite3_column_blob(y, i), (size_t)n) == 0);
}

static void compare(struct place *p, const struct result *r, int64_t before)
{
    sqlite3 *sent;
    sqlite3_stmt *a, *b;
    if (sqlite3_open(":memory:", &sent) != SQLITE_OK) abort();
    if (sqlite3_deserialize(sent, "main", (uint8_t *)(uintptr_t)r->image,
                            (sqlite3_int64)r->image_bytes, (sqlite3_int64)r->image_bytes,
                            SQLITE_DESERIALIZE_READONLY) != SQLITE_OK ||
        sqlite3_prepare_v2(sent, "SELECT * FROM t ORDER BY rowid", -1, &a, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(p->db, "SELECT * FROM t WHERE rowid > ?1 ORDER BY rowid", -1, &b,
                           NULL) != SQLITE_OK)
        abort();
    sqlite3_bind_int64(b, 1, before);
    for (uint64_t n = 0; n < r->row.rows_emitted; n++) {
        assert(sqlite3_step(a) == SQLITE_ROW && sqlite3_step(b) == SQLITE_ROW);
        for (int i = 0; i < 3; i++)
            assert(same_value(a, b, i));
    }
    assert(sqlite3_step(a) == SQLITE_DONE && sqlite3_step(b) == SQLITE_DONE);
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    sqlite3_close(sent);
}

static void image(struct place *p, struct tape *t)
{
    const struct warehouse_ops *ops = warehouse_find("sqlite:x");
    struct sent x;
    struct err e = { 0 };
    bool dup = false;
    size_t failed = 0;
    if (p->next >= LOADS) leave(p);
    if (!p->w) enter(p);
    uint8_t *bytes = send(&x, "sqlite", t);
    struct result *r = &x.result;
    r->row.range.begin += p->next;
    r->row.range.end += p->next;
    int64_t rows = ask(p->db, "SELECT count(*) FROM t");
    int64_t last = ask(p->db, "SELECT ifnull(max(rowid), 0) FROM t");
    int64_t rejects = ask(p->db, "SELECT count(*) FROM t_rejects");
    err_t rc = ops->commit(p->w, r, 1, &dup, &failed, &e);
    assert(rc == ERR_OK || (rc == ERR_PROTO && e.text[0] && x.changed));
    int64_t now = ask(p->db, "SELECT count(*) FROM t");
    if (rc != ERR_OK) {
        assert(now == rows);
    } else {
        assert(!dup && r->row.rows_loaded + r->row.rows_refused == r->row.rows_emitted);
        assert(now - rows == (int64_t)r->row.rows_loaded);
        assert(ask(p->db, "SELECT count(*) FROM t_rejects") - rejects ==
               (int64_t)r->row.rows_refused);
        if (r->row.rows_emitted && !r->row.rows_refused) compare(p, r, last);
        p->next = r->row.range.end;
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096) return 0;
    struct tape t = { data + 1, size - 1 };
    if (!schema.n) {
        make_schema();
        atexit(leave_all);
    }
    switch (data[0] % 8) {
    case 0: image(&places[0], &t); break;
    case 1: image(&places[1], &t); break;
    case 2:
    case 3:
    case 4: text("csv", &t); break;
    default: text("jsonl", &t);
    }
    return 0;
}
