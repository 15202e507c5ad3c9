// Rows per second of one core: writing SQLite images, and checking them.
//
//   image_bench [seconds per line [part of its name]]

#include "common/clock.h"
#include "common/sqlite_image.h"
#include "tests/random_batch.h"

enum { ROWS = 20000, ROOM = 128 << 20 };

static const struct shape {
    const char *name;
    uint32_t integers, reals, texts, nulls; // columns; percent
    uint32_t text_bytes;
} SHAPES[] = {
    { "2 columns: real, integer", 1, 1, 0, 5, 0 },
    { "5 columns: 3 integer, real, text", 3, 1, 1, 5, 5 },
    { "21 columns: 14 integer, 3 real, 4 text", 14, 3, 4, 5, 5 },
    { "21 columns, no NULL", 14, 3, 4, 0, 5 },
    { "3 columns, texts to 200 bytes", 2, 0, 1, 0, 200 },
    { "21 columns, texts to 200 bytes", 14, 3, 4, 5, 200 },
    { "200 columns: integer, real", 150, 50, 0, 5, 0 },
    { "600 columns: integer, real, text", 400, 100, 100, 5, 5 },
};

// Numbers like those of a table of flights: mostly small, some dates and distances.
static int64_t integer_like_life(struct rnd *r, uint32_t column)
{
    static const uint32_t SPAN[] = { 12, 31, 2400, 2400, 8000, 600, 60, 4000, 2, 100 };
    return (int64_t)rnd_below(r, SPAN[column % (sizeof SPAN / sizeof *SPAN)]) -
           (column % 3);
}

static void fill(struct rnd *r, struct batch *b)
{
    for (uint32_t c = 0; c < b->n_cols; c++) {
        struct vec *v = &b->col[c];
        for (uint32_t i = 0; i < b->rows; i++) {
            if (v->type == TYPE_INTEGER) v->i64[i] = integer_like_life(r, c);
            if (v->type == TYPE_REAL) v->f64[i] = rnd_below(r, 100000) / 10.0;
        }
    }
}

static double measure(struct sqlite_image *im, const struct batch *b, struct region *to,
                      const char *sql, ns_t for_ns, double *check)
{
    ns_t writing = 0, checking = 0;
    uint64_t rounds = 0;
    while (writing + checking < for_ns) {
        to->n = 0;
        ns_t t0 = clock_cpu_ns();
        if (sqlite_image_write(im, b, to, NULL) != ERR_OK) abort();
        ns_t t1 = clock_cpu_ns();
        if (sqlite_image_check(to->p, to->n, sql, b->n_cols, b->rows, NULL) != ERR_OK)
            abort();
        checking += clock_cpu_ns() - t1;
        writing += t1 - t0;
        rounds++;
    }
    *check = (double)(rounds * b->rows) / (double)checking * 1e3;
    return (double)(rounds * b->rows) / (double)writing * 1e3;
}

static void run(const struct shape *s, double seconds, uint8_t *room)
{
    struct rnd r = { 1 };
    struct schema schema = { 0 };
    uint32_t n = s->integers + s->reals + s->texts;
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "c%u", i);
        enum type t = i < s->integers              ? TYPE_INTEGER
                      : i < s->integers + s->reals ? TYPE_REAL
                                                   : TYPE_TEXT;
        if (schema_add(&schema, name, (size_t)len, t, false, NULL) != ERR_OK) abort();
    }
    struct batch b = { 0 };
    struct batch_taste taste = { .nulls = s->nulls, .text_max = s->text_bytes };
    random_batch(&r, &schema, ROWS, &taste, &b);
    fill(&r, &b);
    struct sqlite_image *im = NULL;
    struct buf sql = { 0 };
    if (sqlite_image_new(&im, &schema, SQLITE_IMAGE_PAGE, NULL) != ERR_OK) abort();
    if (sqlite_image_sql(&schema, &sql, NULL) != ERR_OK) abort();
    struct region to = { room, ROOM, 0 };
    double check,
        write = measure(im, &b, &to, (const char *)sql.p, (ns_t)(seconds * NS_S), &check);
    printf("%-40s %8.1f %8.1f %8.1f\n", s->name, write, check, (double)to.n / ROWS);
    buf_free(&sql);
    sqlite_image_free(&im);
    batch_free(&b);
    schema_free(&schema);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    uint8_t *room = calloc(1, ROOM);
    if (!room) return 1;
    printf("%-40s %8s %8s %8s\n", "", "write", "check", "bytes");
    printf("%-40s %8s %8s %8s\n", "", "Mrow/s", "Mrow/s", "per row");
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        if (argc < 3 || strstr(SHAPES[i].name, argv[2])) run(&SHAPES[i], seconds, room);
    free(room);
    return 0;
}
