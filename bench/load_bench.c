// Seconds to load a table into SQLite, durably: images through the warehouse, and the same
// rows through a prepared INSERT, as programs usually do it.
//
//   load_bench [FOLDER [rounds]]     the database is made and removed in FOLDER, default
//   "."

#include "common/clock.h"
#include "common/sqlite_image.h"
#include "coordinator/warehouse.h"
#include "tests/random_batch.h"

#include <sqlite3.h>

enum { IMAGES = 97, ROWS = 31000, ROOM = 512 << 20 };

static const struct shape {
    const char *name;
    uint32_t integers, reals, texts;
} SHAPES[] = {
    { "2 columns: integer, real", 1, 1, 0 },
    { "5 columns: 3 integer, real, text", 3, 1, 1 },
    { "21 columns: 14 integer, 3 real, 4 text", 14, 3, 4 },
};

struct load {
    struct schema schema;
    struct batch batch;
    struct region room;
    struct slice image[IMAGES];
    char path[4096];
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "load_bench: %s: %s\n", what, why);
    exit(1);
}

static void remove_database(const struct load *l)
{
    char journal[4200];
    snprintf(journal, sizeof journal, "%s-journal", l->path);
    unlink(journal);
    unlink(l->path);
    sync();
}

static void make_rows(struct load *l, const struct shape *s)
{
    struct rnd r = { 1 };
    struct err e;
    uint32_t n = s->integers + s->reals + s->texts;
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "c%u", i);
        enum type t = i < s->integers              ? TYPE_INTEGER
                      : i < s->integers + s->reals ? TYPE_REAL
                                                   : TYPE_TEXT;
        if (schema_add(&l->schema, name, (size_t)len, t, false, &e)) die("schema", e.text);
    }
    struct batch_taste taste = { .nulls = 5, .text_max = 6 };
    random_batch(&r, &l->schema, ROWS, &taste, &l->batch);
    for (uint32_t c = 0; c < n; c++)
        for (uint32_t i = 0; i < ROWS; i++) {
            if (l->schema.f[c].type == TYPE_INTEGER)
                l->batch.col[c].i64[i] = rnd_below(&r, 3000);
            if (l->schema.f[c].type == TYPE_REAL)
                l->batch.col[c].f64[i] = rnd_below(&r, 100000) / 10.0;
        }
    struct sqlite_image *im = NULL;
    if (sqlite_image_new(&im, &l->schema, SQLITE_IMAGE_PAGE, &e)) die("image", e.text);
    l->room.n = 0;
    for (int i = 0; i < IMAGES; i++) {
        size_t at = l->room.n;
        if (sqlite_image_write(im, &l->batch, &l->room, &e)) die("image", e.text);
        l->image[i] = (struct slice){ l->room.p + at, l->room.n - at };
    }
    sqlite_image_free(&im);
}

static double check_images(struct load *l)
{
    struct err e;
    struct buf sql = { 0 };
    if (sqlite_image_sql(&l->schema, &sql, &e)) die("image", e.text);
    ns_t t = clock_ns();
    for (int i = 0; i < IMAGES; i++)
        if (sqlite_image_check(l->image[i].p, l->image[i].n, (const char *)sql.p,
                               l->schema.n, ROWS, &e))
            die("check", e.text);
    buf_free(&sql);
    return (double)(clock_ns() - t) / NS_S;
}

static struct result result_of(const struct load *l, int i)
{
    return (struct result){
        .row = { .range = { 0, (uint64_t)i * 1000, (uint64_t)(i + 1) * 1000 },
                 .state = LEDGER_DONE,
                 .rows_read = ROWS,
                 .rows_parsed = ROWS,
                 .rows_emitted = ROWS,
                 .worker = "bench" },
        .image = l->image[i].p,
        .image_bytes = l->image[i].n,
    };
}

static void commit_images(struct load *l, const struct warehouse_ops *ops,
                          struct warehouse *w, int group)
{
    struct err e;
    for (int i = 0; i < IMAGES; i += group) {
        struct result r[WAREHOUSE_GROUP];
        bool dup[WAREHOUSE_GROUP];
        size_t failed, n = 0;
        for (; n < (size_t)group && i + (int)n < IMAGES; n++)
            r[n] = result_of(l, i + (int)n);
        if (ops->commit(w, r, n, dup, &failed, &e)) die("commit", e.text);
    }
}

static void say(void *arg, const char *text)
{
    (void)arg;
    printf("  note: %s\n", text);
}

struct took {
    double wall, cpu;
};

static struct took stop(ns_t wall, ns_t cpu)
{
    return (struct took){ (double)(clock_ns() - wall) / NS_S,
                          (double)(clock_cpu_ns() - cpu) / NS_S };
}

static struct took load_images(struct load *l, int group, double *setup)
{
    struct err e;
    struct warehouse *w;
    struct load_state state;
    struct ledger_row total;
    char url[4200];
    snprintf(url, sizeof url, "sqlite:%s", l->path);
    const struct warehouse_ops *ops = warehouse_find(url);
    struct load_identity id = { .table = "t", .sources = "bench" };
    struct load_input in = { .name = (char *)(uintptr_t) "bench.csv" };
    const uint64_t end = (uint64_t)IMAGES * 1000;
    remove_database(l);
    ns_t t0 = clock_ns();
    if (ops->open(&w, url, say, NULL, &e)) die("open", e.text);
    if (ops->begin(w, &id, &l->schema, &in, 1, NULL, &state, &e)) die("begin", e.text);
    ns_t t1 = clock_ns(), cpu = clock_cpu_ns();
    commit_images(l, ops, w, group);
    struct took took = stop(t1, cpu);
    ns_t t2 = clock_ns();
    if (ops->finish(w, &end, true, &total, &e)) die("finish", e.text);
    ops->close(&w);
    *setup = (double)(t1 - t0 + clock_ns() - t2) / NS_S;
    load_state_free(&state);
    return took;
}

static void exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) die(sql, sqlite3_errmsg(db));
}

static void bind_row(sqlite3_stmt *st, const struct batch *b, uint32_t row)
{
    for (uint32_t c = 0; c < b->n_cols; c++) {
        const struct vec *v = &b->col[c];
        int i = (int)c + 1;
        if (!vec_valid(v, row))
            sqlite3_bind_null(st, i);
        else if (v->type == TYPE_INTEGER)
            sqlite3_bind_int64(st, i, v->i64[row]);
        else if (v->type == TYPE_REAL)
            sqlite3_bind_double(st, i, v->f64[row]);
        else
            sqlite3_bind_text(st, i, (const char *)v->bytes + v->off[row],
                              (int)(v->off[row + 1] - v->off[row]), SQLITE_STATIC);
    }
}

// The usual way, tuned as the warehouse is: a transaction for as many rows as a group has.
static struct took load_inserts(struct load *l, int group)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    char create[1024], insert[1024];
    int n = snprintf(create, sizeof create, "CREATE TABLE t(");
    int m = snprintf(insert, sizeof insert, "INSERT INTO t VALUES(");
    for (uint32_t i = 0; i < l->schema.n; i++) {
        n += snprintf(create + n, sizeof create - (size_t)n, "%s%s %s", i ? "," : "",
                      l->schema.f[i].name, type_sqlite_decl(l->schema.f[i].type));
        m += snprintf(insert + m, sizeof insert - (size_t)m, i ? ",?" : "?");
    }
    strcat(create, ")");
    strcat(insert, ")");
    remove_database(l);
    if (sqlite3_open(l->path, &db) != SQLITE_OK) die(l->path, sqlite3_errmsg(db));
    exec(db, "PRAGMA page_size=16384; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768");
    exec(db, create);
    if (sqlite3_prepare_v2(db, insert, -1, &st, NULL) != SQLITE_OK)
        die(insert, sqlite3_errmsg(db));
    ns_t t = clock_ns(), cpu = clock_cpu_ns();
    for (int i = 0; i < IMAGES; i++) {
        if (i % group == 0) exec(db, "BEGIN IMMEDIATE");
        for (uint32_t row = 0; row < ROWS; row++) {
            bind_row(st, &l->batch, row);
            if (sqlite3_step(st) != SQLITE_DONE) die(insert, sqlite3_errmsg(db));
            sqlite3_reset(st);
        }
        if (i % group == group - 1 || i == IMAGES - 1) exec(db, "COMMIT");
    }
    struct took took = stop(t, cpu);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return took;
}

static void run(struct load *l, const struct shape *s, int rounds)
{
    double setup;
    make_rows(l, s);
    printf("%s, %.1f MB of images\n", s->name, (double)l->room.n / 1e6);
    for (int i = 0; i < rounds; i++) {
        double check = check_images(l);
        struct took nine = load_images(l, WAREHOUSE_GROUP, &setup);
        double rest = setup;
        struct took one = load_images(l, 1, &setup),
                    insert = load_inserts(l, WAREHOUSE_GROUP);
        printf("  9 a commit %.3f s (%.3f)  1 a commit %.3f s (%.3f)  of it check %.3f  "
               "begin and finish %.3f s  prepared INSERT %.3f s (%.3f)\n",
               nine.wall, nine.cpu, one.wall, one.cpu, check, rest, insert.wall,
               insert.cpu);
        fflush(stdout);
    }
    batch_free(&l->batch);
    schema_free(&l->schema);
}

int main(int argc, char **argv)
{
    struct load l = { .room = { .p = calloc(1, ROOM), .cap = ROOM } };
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    if (!l.room.p) return 1;
    snprintf(l.path, sizeof l.path, "%s/load_bench.db", argc > 1 ? argv[1] : ".");
    printf("%d images of %d rows, SQLite %s\n", IMAGES, ROWS, sqlite3_libversion());
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        if (argc < 4 || strstr(SHAPES[i].name, argv[3])) run(&l, &SHAPES[i], rounds);
    remove_database(&l);
    free(l.room.p);
    return 0;
}
