#include "common/csv_split.h"
#include "tests/csv_noise.h"
#include "tests/csv_read_kit.h"

// A field that often fits its type and often nearly does.
static size_t noise_field(struct noise *r, char type, const struct csv_dialect *d,
                          char *out)
{
    static const char *const odd[] = {
        "",  "NA", "-",    "0",   "-0",  "00",  "1e5",  "\"",   "\r",   "+1",   " 1",
        ".", "1.", "true", "x\"", "nan", "1,2", "\xc3", "2\n3", "-999", "12:34"
    };
    char text[64];
    size_t n = 0;
    uint64_t a = noise_below(r, 1000000), b = noise_below(r, 1ull << 40);
    if (noise_below(r, 12) == 0) type = "irtbds"[noise_below(r, 6)];
    switch (type) {
    case 'i':
        n = (size_t)sprintf(text, "%s%llu", b % 3 ? "" : "-",
                            (unsigned long long)(a % 2 ? a : b * a));
        break;
    case 'r':
        n = (size_t)sprintf(text, "%.*f", (int)(b % 9), (double)a / (double)(1 + b % 999));
        break;
    case 'b': n = (size_t)sprintf(text, "%s", a % 2 ? "true" : "0"); break;
    case 'd':
        n = (size_t)sprintf(text, "20%02d-%02d-%02d", (int)(a % 100), (int)(b % 13),
                            (int)(a % 32));
        break;
    case 's':
        n = (size_t)sprintf(text, "2024-01-%02d%c%02d:%02d%s", (int)(a % 32), "T "[b % 2],
                            (int)(a % 25), (int)(b % 61), a % 2 ? ":30Z" : "");
        break;
    default:
        n = noise_below(r, noise_below(r, 3) ? 12 : 40);
        for (size_t i = 0; i < n; i++)
            text[i] = "abcdefgh \xc3\xa4"[noise_below(r, noise_below(r, 20) ? 9 : 11)];
    }
    if (noise_below(r, 15) == 0) {
        const char *o = odd[noise_below(r, sizeof odd / sizeof *odd)];
        n = strlen(o);
        memcpy(text, o, n);
    }
    if (d->quote == 0 || noise_below(r, 5)) {
        memcpy(out, text, n);
        return n;
    }
    size_t k = 0;
    out[k++] = (char)d->quote;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == (char)d->quote) out[k++] = text[i];
        out[k++] = text[i];
    }
    out[k++] = (char)d->quote;
    return k;
}

static size_t noise_rows(struct noise *r, const char *types, const struct csv_dialect *d,
                         size_t rows, char *out)
{
    size_t n = 0;
    uint64_t ragged = noise_below(r, 3) ? 0 : 1 + noise_below(r, 60); // percent
    for (size_t i = 0; i < rows; i++) {
        if (noise_below(r, 100) < ragged) { // anything
            uint8_t junk[40];
            size_t len = noise_below(r, sizeof junk);
            noise_fill(r, d, junk, len);
            memcpy(out + n, junk, len);
            n += len;
        } else {
            for (const char *t = types; *t; t++) {
                if (t > types) out[n++] = (char)d->delimiter;
                n += noise_field(r, (char)(*t | 32), d, out + n);
            }
        }
        if (noise_below(r, 30) == 0) out[n++] = '\r';
        if (i + 1 < rows || noise_below(r, 2)) out[n++] = '\n';
    }
    return n;
}

static void chunks_equal_the_oracle(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static const char *const nulls[] = { "NA", "-999", "0", "" };
    static char text[1 << 20];
    for (int round = 0; round < 250; round++) {
        char types[24] = "";
        size_t n_cols = 1 + noise_below(&r, noise_below(&r, 3) ? 6 : 22);
        for (size_t i = 0; i < n_cols; i++)
            types[i] = "irtbdstttTIRBDS"[noise_below(&r, noise_below(&r, 2) ? 9 : 15)];
        struct csv_dialect d = noise_dialect(&r);
        if (noise_below(&r, 2)) {
            d.n_nulls = noise_below(&r, 5);
            d.nulls = nulls;
        }
        bool want[24];
        for (size_t i = 0; i < n_cols; i++)
            want[i] = noise_below(&r, 3) != 0;
        bool *wanted = noise_below(&r, 2) ? want : NULL;
        struct schema s = schema_of(types);
        struct csv_reader *reader;
        struct err e;
        PASS(&e, csv_reader_new(&reader, &d, &s, wanted, &e));
        char what[64];
        for (int k = 0; k < 3; k++) { // one reader, several chunks
            size_t rows = noise_below(&r, noise_below(&r, 4) ? 40 : 1500);
            struct chunk c = chunk_of(text, noise_rows(&r, types, &d, rows, text));
            snprintf(what, sizeof what, "seed %llu, round %d", (unsigned long long)r.seed,
                     round);
            compare(&d, &s, wanted, &c, (struct csv_read_pos){ 77, 5 }, reader, what);
            free(c.block);
        }
        csv_reader_free(&reader);
        schema_free(&s);
    }
}

static void read_pieces(const struct csv_dialect *d, const struct schema *s,
                        struct csv_reader *r, const uint8_t *p, size_t n, uint64_t target,
                        struct oracle_rows *rows, struct oracle_rows *rejects)
{
    struct csv_split split;
    struct csv_cut cut;
    struct err e;
    bool found = true, more = true;
    uint64_t line = 1;
    csv_split_init(&split, d, 0, 0);
    for (size_t at = 0, used; more; at += used) {
        PASS(&e, csv_split_feed(&split, p + at, n - at, target, &used, &found, &cut, &e));
        if (!found) {
            more = false;
            uint64_t bad = n;
            if (csv_split_finish(&split, &found, &cut, &e) != ERR_OK) {
                found = csv_split_before_bad(&split, &cut, &bad);
                if (!found) cut = (struct csv_cut){ .begin = bad, .end = n };
                cut.end = n; // with the open quotes
                found = true;
            }
        }
        if (!found) break;
        struct reading x = { 0 };
        struct csv_read_pos pos = { cut.begin, line };
        PASS(&e, csv_read_chunk(r, p + cut.begin, cut.end - cut.begin, pos, &x.b,
                                &x.rejects, &x.stats, &e));
        if (cut.end < n) EQ_I64(cut.records, x.stats.rows + x.stats.blank);
        tell(&x, s, rows, rejects);
        reading_free(&x);
        line += cut.lines;
    }
}

static void expect_equal(const struct oracle_rows *a, const struct oracle_rows *b,
                         uint64_t seed)
{
    EQ_I64(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            fail_msg("seed %llu: row %zu: %s became %s", (unsigned long long)seed, i,
                     a->v[i], b->v[i]);
}

static void any_chunks_give_the_same_rows(void **state)
{
    (void)state;
    struct noise r = noise_new();
    static char text[1 << 20];
    for (int round = 0; round < 40; round++) {
        static const char *const types[] = { "it", "t", "IrTbDs", "titrtstdtbtttIttttttt" };
        const char *t = types[noise_below(&r, N_OF(types))];
        struct csv_dialect d = noise_dialect(&r);
        struct schema s = schema_of(t);
        struct csv_reader *reader;
        struct err e;
        PASS(&e, csv_reader_new(&reader, &d, &s, NULL, &e));
        struct chunk c = chunk_of(text, noise_rows(&r, t, &d, noise_below(&r, 800), text));
        struct oracle_rows rows = { 0 }, rejects = { 0 }, one = { 0 }, one_rejects = { 0 };
        read_pieces(&d, &s, reader, c.p, c.n, c.n + 1, &one, &one_rejects);
        read_pieces(&d, &s, reader, c.p, c.n, noise_below(&r, 3000), &rows, &rejects);
        expect_equal(&one, &rows, r.seed);
        expect_equal(&one_rejects, &rejects, r.seed);
        oracle_free(&rows);
        oracle_free(&rejects);
        oracle_free(&one);
        oracle_free(&one_rejects);
        csv_reader_free(&reader);
        schema_free(&s);
        free(c.block);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_equal_the_oracle),
        cmocka_unit_test(any_chunks_give_the_same_rows),
    };
    return test_main("csv_read_random", tests, N_OF(tests), NULL, 0);
}
