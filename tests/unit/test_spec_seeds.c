// The seeds of fuzz_spec are specs of today. `test_spec_seeds write` writes them anew.

#include "tests/spec_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct spec empty_strings(void)
{
    static const char *const nulls[] = { "" };
    struct err e;
    struct spec s = small_spec();
    set_nulls(&s, N_OF(nulls), nulls);
    set_sql(&s, "");
    add_param(&s, "", bytes_cell(CELL_TEXT, "", 0));
    add_param(&s, "blob", bytes_cell(CELL_BLOB, "", 0));
    add_table(&s, "", "");
    PASS(&e, strings_add(&s.fields, "", 0, &e));
    return s;
}

static struct spec large_table(void)
{
    struct spec s = small_spec();
    add_file(&s, "t.csv", 0400);
    table_in_file(&s, 0);
    return s;
}

struct seed {
    const char *name;
    struct spec (*make)(void);
    bool schema; // only that of its input
};

static const struct seed seeds[] = {
    { "small", small_spec, false },
    { "full", full_spec, false },
    { "empty_strings", empty_strings, false },
    { "table_in_file", large_table, false },
    { "schema", full_spec, true },
};

// fuzz_spec takes the first byte as the kind of what follows.
static err_t encode(const struct seed *t, struct buf *out, struct err *e)
{
    struct buf b = { 0 };
    struct spec s = t->make();
    err_t rc = t->schema ? spec_encode_schema(&s.in, &b, e) : spec_encode(&s, &b, e);
    if (rc == ERR_OK) rc = buf_add(out, t->schema ? "\1" : "\0", 1, e);
    if (rc == ERR_OK) rc = buf_add(out, b.p, b.n, e);
    buf_free(&b);
    spec_free(&s);
    return rc;
}

static void path_of(const struct seed *t, char out[4096])
{
    snprintf(out, 4096, "%s/../fuzz/corpus/fuzz_spec/%s", TEST_DATA, t->name);
}

static void is_what_a_spec_of_today_is(void **state)
{
    const struct seed *t = *state;
    struct err e;
    struct buf want = { 0 };
    char path[4096], have[8192];
    PASS(&e, encode(t, &want, &e));
    path_of(t, path);
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(have, 1, sizeof have, f) : 0;
    if (f) fclose(f);
    if (n != want.n || memcmp(have, want.p, n) != 0)
        fail_msg("%s is not what specs are now; write them anew:\n"
                 "    build/dev/tests/test_spec_seeds write",
                 path);
    buf_free(&want);
}

static int write_all(void)
{
    for (size_t i = 0; i < N_OF(seeds); i++) {
        struct err e;
        struct buf b = { 0 };
        char path[4096];
        path_of(&seeds[i], path);
        if (encode(&seeds[i], &b, &e) != ERR_OK) return fprintf(stderr, "%s\n", e.text), 1;
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(b.p, 1, b.n, f) != b.n || fclose(f) != 0) return perror(path), 1;
        buf_free(&b);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "write") == 0) return write_all();
    struct CMUnitTest *rows = TABLE(seeds, is_what_a_spec_of_today_is);
    return test_main("spec_seeds", NULL, 0, rows, N_OF(seeds));
}
