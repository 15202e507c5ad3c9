// What the SQLite warehouse holds in memory, whatever the size of a page.

#include "coordinator/warehouse_sqlite.h"
#include "tests/warehouse_kit.h"

enum { MIB = 1 << 20 };

static int64_t cached_bytes(const struct warehouse *w)
{
    int now, high;
    EQ_I64(SQLITE_OK, sqlite3_db_status(w->db, SQLITE_DBSTATUS_CACHE_USED, &now, &high, 0));
    return now;
}

static const struct file {
    const char *name;
    int page_bytes; // of a database that is there already; 0: none is
    int memory_mib, cache_mib;
} FILES[] = {
    { "of_a_new_file", 0, 0, 32 },
    { "of_pages_of_1024", 1024, 0, 32 },
    { "of_pages_of_4096", 4096, 1024, 32 },
    { "of_pages_of_65536", 65536, 128, 32 },
    { "to_a_quarter_of_the_limit_on_memory", 0, 40, 10 },
};

static void make(const char *path, int page_bytes)
{
    sqlite3 *db;
    char sql[100];
    snprintf(sql, sizeof sql, "PRAGMA page_size=%d; CREATE TABLE mine(x)", page_bytes);
    EQ_I64(SQLITE_OK, sqlite3_open(path, &db));
    EQ_I64(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_close(db);
}

static void the_cache_is_bounded_in_bytes(void **state)
{
    const struct file *f = *state;
    struct kit k;
    struct err e;
    kit_init(&k, "sqlite");
    if (f->page_bytes) make(k.path, f->page_bytes);
    k.id.memory_bytes = (uint64_t)f->memory_mib * MIB;
    kit_open(&k);
    kit_begin(&k);
    PASS(&e, wsq_exec(k.w, &e, "filling", "CREATE TABLE main.much(x)"));
    for (int i = 0; i < 2 * f->cache_mib; i++)
        PASS(&e, wsq_exec(k.w, &e, "filling", "INSERT INTO main.much VALUES(zeroblob(%d))",
                          MIB));
    int64_t used = cached_bytes(k.w);
    assert_true(used > f->cache_mib * MIB / 4 * 3); // it is used, too
    assert_true(used < f->cache_mib * MIB / 4 * 5); // with what SQLite adds to a small page
    kit_free(&k);
}

// An image is as large as a cache: its pages must not stand in memory twice.
static void images_are_read_where_they_stand(void **state)
{
    (void)state;
    struct kit k;
    struct err e;
    int64_t rows;
    bool found;
    kit_init(&k, "sqlite");
    kit_open(&k);
    kit_begin(&k);
    for (int i = 0; i < 3; i++) {
        struct result r = kit_result(&k, 0, 0, MIB); // 100,000 rows
        k.images.n = 0;
        assert_true(r.image_bytes > MIB);
        PASS(&e, wsq_slot_fill(k.w, 0, r.image, r.image_bytes, &e));
        int64_t before = cached_bytes(k.w);
        PASS(&e, wsq_int(k.w, &e, &rows, &found, "SELECT count(b) FROM c0.t"));
        EQ_I64(r.row.rows_emitted, rows);
        assert_true(cached_bytes(k.w) - before < MIB / 8);
        PASS(&e, wsq_slot_clear(k.w, 0, &e));
    }
    kit_free(&k);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(images_are_read_where_they_stand),
    };
    return test_main("warehouse_sqlite_cache", plain, N_OF(plain),
                     TABLE(FILES, the_cache_is_bounded_in_bytes), N_OF(FILES));
}
