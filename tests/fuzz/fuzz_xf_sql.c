// SQL that somebody else wrote: whatever it is, opening and running it ends soon, in a
// result whose every value can be read, or in one sentence. Columns that it only hands on
// are what SQLite makes of them: a comment with "select" in it has all go through SQLite.

#include "tests/fuzz/fuzz.h"
#include "worker/transform.h"

enum { ROWS = 70, SQL_MAX = 4096 };

static void *room(struct batch *b, size_t n)
{
    void *p = arena_alloc(&b->mem, n);
    if (!p) abort();
    return memset(p, 0, n);
}

static void fill(struct batch *b, const struct schema *s)
{
    static const uint8_t misfit[] = "NA";
    if (batch_start(b, s, NULL) != ERR_OK) abort();
    b->rows = ROWS;
    for (uint32_t i = 0; i < s->n; i++) {
        struct vec *v = &b->col[i];
        v->absent = false;
        v->valid = room(b, batch_words(ROWS) * sizeof *v->valid);
        v->any = room(b, (ROWS + 1) * sizeof *v->any); // as wide as the widest
        v->bytes = room(b, ROWS + 16);
        v->misfit = room(b, sizeof *v->misfit);
        for (uint32_t r = 0; r < ROWS; r++) {
            if (r % 7) v->valid[r / 64] |= UINT64_C(1) << (r % 64);
            v->bytes[r] = (uint8_t)('a' + r % 26);
            if (type_is_text(v->type))
                v->off[r + 1] = v->off[r] + (r % 7 && r % 3);
            else if (v->type == TYPE_ANY)
                v->any[r] = (struct cell){ r % 3, 0, { .i = r } };
            else if (v->type == TYPE_REAL)
                v->f64[r] = r / 2.0;
            else
                v->i64[r] = r == 1 ? 0 : r * r;
        }
        if (v->type == TYPE_INTEGER)
            v->misfit[v->n_misfits++] = (struct misfit){ 1, 2, misfit };
    }
}

static void write_cell(struct buf *to, const struct cell *c)
{
    bool bytes = c->kind == CELL_TEXT || c->kind == CELL_BLOB;
    uint64_t number = bytes ? c->len : c->kind == CELL_NULL ? 0 : (uint64_t)c->i;
    uint8_t kind = (uint8_t)c->kind;
    must(buf_add(to, &kind, 1, NULL));
    must(buf_add(to, &number, sizeof number, NULL));
    if (bytes && c->len) must(buf_add(to, c->p, c->len, NULL));
}

static void write_all(struct buf *to, const struct batch *out, const struct schema *s)
{
    to->n = 0;
    if (out->n_cols != s->n) abort();
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->f[i].name[0] || schema_find(s, s->f[i].name) != (int)i) abort();
        if (out->col[i].type != TYPE_ANY || out->col[i].absent) abort();
        for (uint32_t r = 0; r < out->rows; r++)
            write_cell(to, &out->col[i].any[r]);
    }
}

// What it gives, into *to; false: a sentence.
static bool run(const struct spec *spec, const struct schema *in, const struct batch *b,
                const char *sql, struct buf *to)
{
    struct err e = { 0 };
    struct schema result = { 0 };
    struct batch out = { 0 };
    bool want[8] = { false };
    void *x;
    err_t rc = transform_sql.open(
        &x, spec, in, &(struct step){ .kind = STEP_SQL, .sql = (char *)(uintptr_t)sql },
        want, &result, &e);
    if (rc != ERR_OK) {
        if (x || result.n || !e.text[0]) abort();
        return false;
    }
    for (int i = 0; i < 2; i++) {
        rc = transform_sql.apply(x, b, &out, clock_ns() + 50 * NS_MS, &e);
        if (rc == ERR_OK)
            write_all(to, &out, &result);
        else if (!e.text[0])
            abort();
    }
    transform_sql.close(&x);
    schema_free(&result);
    batch_free(&out);
    return rc == ERR_OK;
}

static void compare(const struct spec *spec, const struct schema *in, const struct batch *b,
                    const char *sql)
{
    static const char all[] = "\n/* select */";
    static struct buf got, want;
    size_t n = strlen(sql);
    if (!run(spec, in, b, sql, &got)) return;
    char *slow = malloc(n + sizeof all);
    if (!slow) abort();
    memcpy(slow, sql, n);
    memcpy(slow + n, all, sizeof all);
    if (run(spec, in, b, slow, &want) &&
        (got.n != want.n || (got.n && memcmp(got.p, want.p, got.n) != 0)))
        abort();
    free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct schema in;
    static struct batch b;
    static char name[] = "mean";
    static struct spec_param param = { .name = name,
                                       .value = { CELL_REAL, 0, { .r = 7 } } };
    static const char *const names[] = { "i", "r", "t", "d", "s", "b", "x" };
    static const enum type types[] = { TYPE_INTEGER,   TYPE_REAL,    TYPE_TEXT, TYPE_DATE,
                                       TYPE_TIMESTAMP, TYPE_BOOLEAN, TYPE_ANY };
    struct spec spec = { .params = &param, .n_params = 1, .memory_bytes = 32 << 20 };
    if (n > SQL_MAX) return 0;
    if (!in.n) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (schema_add(&in, names[i], 1, types[i], false, NULL) != ERR_OK) abort();
        fill(&b, &in);
    }
    char *sql = malloc(n + 1);
    if (!sql) abort();
    memcpy(sql, p, n);
    sql[n] = 0;
    compare(&spec, &in, &b, sql);
    free(sql);
    return 0;
}
