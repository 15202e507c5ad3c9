// What was learned of a job's columns comes back as it was, or not at all.

#include "coordinator/cache_files.h"
#include "coordinator/columns_cache.h"
#include "tests/no_memory.h"
#include "tests/source_kit.h"

static struct folder dir;
static const struct buf sample = { (uint8_t *)"1,2\n", 4, 0 };

static int make_folder(void **state)
{
    (void)state;
    dir = folder_new();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_rm(&dir);
    return 0;
}

static struct spec of_columns(const char *first)
{
    struct spec s = { .dialect = { .delimiter = ',', .quote = '"' }, .timeout_ms = 1000 };
    struct err e;
    s.sink = strdup("sqlite");
    PASS(&e, schema_add(&s.out, first, strlen(first), TYPE_INTEGER, false, &e));
    PASS(&e, schema_add(&s.out, "second", 6, TYPE_TEXT, false, &e));
    return s;
}

static struct hash128 name_of(const struct spec *s, const struct buf *of)
{
    struct err e;
    struct hash128 name;
    PASS(&e, columns_cache_name(s, of, &name, &e));
    return name;
}

static void path_of(struct hash128 name, char to[PATH_SPACE])
{
    char hex[HASH_HEX], file[PATH_SPACE / 2];
    hash_hex(name, hex);
    snprintf(file, sizeof file, "cache/results/%s" CACHE_FILES_COLUMNS, hex);
    in_folder(&dir, file, to);
}

static bool is_there(struct hash128 name, const struct spec *want)
{
    struct spec got = { 0 };
    bool taken = columns_cache_take(dir.path, name, &got);
    if (taken) {
        EQ_I64(want->out.n, got.out.n);
        for (uint32_t i = 0; i < got.out.n; i++) {
            assert_string_equal(want->out.f[i].name, got.out.f[i].name);
            EQ_I64(want->out.f[i].type, got.out.f[i].type);
        }
    }
    spec_free(&got);
    return taken;
}

static void what_was_kept_is_taken_until_something_is_another(void **state)
{
    (void)state;
    struct spec s = of_columns("first"), other = of_columns("1st"), limits = s;
    struct buf more = { (uint8_t *)"1,2\n3,4\n", 8, 0 }, none = { 0 };
    struct hash128 name = name_of(&s, &sample);
    assert_false(is_there(name, &s));
    columns_cache_keep(dir.path, name, &s);
    assert_true(is_there(name, &s));
    assert_false(is_there(name_of(&s, &more), &s));
    assert_false(is_there(name_of(&s, &none), &s));
    assert_false(is_there(name_of(&other, &sample), &s));
    limits.timeout_ms = 7;
    limits.memory_bytes = 77;
    assert_true(hash_equal(name, name_of(&limits, &sample)));
    columns_cache_keep(dir.path, name, &s); // again: nothing is in its way
    assert_true(is_there(name, &s));
    spec_free(&s);
    spec_free(&other);
}

static size_t read_whole(const char *path, uint8_t *to, size_t cap)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(to, 1, cap, f);
    assert_true(n < cap);
    fclose(f);
    return n;
}

static void no_byte_of_a_file_can_be_another(void **state)
{
    (void)state;
    struct spec s = of_columns("damaged");
    struct hash128 name = name_of(&s, &sample);
    char path[PATH_SPACE];
    uint8_t whole[2048];
    columns_cache_keep(dir.path, name, &s);
    path_of(name, path);
    size_t n = read_whole(path, whole, sizeof whole - 1);
    for (size_t i = 0; i < n; i++) {
        whole[i] ^= (uint8_t)(1u << i % 8);
        put_bytes(path, whole, n, "wb");
        assert_false(is_there(name, &s));
        whole[i] ^= (uint8_t)(1u << i % 8);
        put_bytes(path, whole, i, "wb");
        assert_false(is_there(name, &s));
    }
    put_bytes(path, whole, n + 1, "wb");
    assert_false(is_there(name, &s));
    put_bytes(path, whole, n, "wb");
    assert_true(is_there(name, &s));
    spec_free(&s);
}

static void a_file_is_no_answer_to_another_question(void **state)
{
    (void)state;
    struct spec s = of_columns("asked"), other = of_columns("not asked");
    struct hash128 name = name_of(&s, &sample), wrong = name_of(&other, &sample);
    char from[PATH_SPACE], to[PATH_SPACE];
    columns_cache_keep(dir.path, name, &s);
    path_of(name, from);
    path_of(wrong, to);
    assert_int_equal(0, rename(from, to));
    assert_false(is_there(wrong, &s));
    spec_free(&s);
    spec_free(&other);
}

static void a_folder_that_cannot_be_made_keeps_nothing(void **state)
{
    (void)state;
    struct spec s = of_columns("nowhere"), got = { 0 };
    struct hash128 name = name_of(&s, &sample);
    char path[PATH_SPACE];
    in_folder(&dir, "file", path);
    put_bytes(path, (const uint8_t *)"x", 1, "wb");
    columns_cache_keep(path, name, &s);
    assert_false(columns_cache_take(path, name, &got));
    spec_free(&s);
}

static err_t keep_and_take(void *arg, struct err *e)
{
    const struct spec *s = arg;
    struct spec got = { 0 };
    struct hash128 name;
    TRY(columns_cache_name(s, &sample, &name, e));
    columns_cache_keep(dir.path, name, s);
    (void)columns_cache_take(dir.path, name, &got);
    spec_free(&got);
    return ERR_OK;
}

static void without_memory_the_worker_is_asked(void **state)
{
    (void)state;
    struct spec s = of_columns("memory");
    assert_true(no_memory_sweep(keep_and_take, &s) > 2);
    assert_true(is_there(name_of(&s, &sample), &s));
    spec_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_kept_is_taken_until_something_is_another),
        cmocka_unit_test(no_byte_of_a_file_can_be_another),
        cmocka_unit_test(a_file_is_no_answer_to_another_question),
        cmocka_unit_test(a_folder_that_cannot_be_made_keeps_nothing),
        cmocka_unit_test(without_memory_the_worker_is_asked),
    };
    return cmocka_run_group_tests_name("columns_cache", tests, make_folder, remove_folder);
}
