// Whatever the image checker accepts, SQLite must read to its last row.
//
// Input: columns (1 byte), rows (2 bytes, high first), then the image. Its table must be
// CREATE TABLE t("0","1",...).

#include "common/sqlite_image.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char *sql_of(uint32_t columns)
{
    static char *known[256];
    struct buf sql = { 0 };
    struct schema s = { 0 };
    if (known[columns]) return known[columns];
    for (uint32_t i = 0; i < columns; i++) {
        struct buf name = { 0 };
        if (buf_printf(&name, NULL, "%u", i) != ERR_OK) abort();
        if (schema_add(&s, (char *)name.p, name.n, TYPE_ANY, false, NULL) != ERR_OK)
            abort();
        buf_free(&name);
    }
    if (sqlite_image_sql(&s, &sql, NULL) != ERR_OK) abort();
    schema_free(&s);
    return known[columns] = (char *)sql.p;
}

static void read_all(uint8_t *p, size_t n, uint32_t columns, uint32_t rows)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) abort();
    int rc = sqlite3_deserialize(db, "main", p, (sqlite3_int64)n, (sqlite3_int64)n,
                                 SQLITE_DESERIALIZE_READONLY);
    assert(rc == SQLITE_OK);
    rc = sqlite3_prepare_v2(db, "SELECT * FROM t", -1, &st, NULL);
    assert(rc == SQLITE_OK);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        assert(rows-- > 0);
        for (uint32_t i = 0; i < columns; i++)
            (void)sqlite3_column_blob(st, (int)i);
    }
    assert(rc == SQLITE_DONE && rows == 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n <= 3 || p[0] == 0) return 0;
    uint32_t columns = p[0], rows = (uint32_t)p[1] << 8 | p[2];
    uint8_t *image = malloc(n - 3); // a block of its own: each over-read is seen
    if (!image) abort();
    memcpy(image, p + 3, n - 3);
    struct err e;
    err_t rc = sqlite_image_check(image, n - 3, sql_of(columns), columns, rows, &e);
    assert(rc == ERR_OK || rc == ERR_PROTO);
    if (rc == ERR_OK) read_all(image, n - 3, columns, rows);
    free(image);
    return 0;
}
