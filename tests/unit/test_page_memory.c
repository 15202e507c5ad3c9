// SQLite's pages in one block: which sizes come from there, and what happens when it is
// full.
#include "coordinator/page_memory.h"

#include "tests/test.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = PAGE_MEMORY_PAGE + 240 }; // as SQLite asks for one

struct size_row {
    const char *name;
    int bytes;
    bool ours;
};

static const struct size_row sizes[] = {
    { "a_page_comes_from_the_block", PAGE, true },
    { "the_largest_that_a_slot_holds_too", PAGE_MEMORY_SLOT, true },
    { "a_page_of_another_size_does_not", 4096 + 240, false },
    { "what_is_larger_does_not", PAGE_MEMORY_SLOT + 8, false },
    { "what_is_a_page_without_its_extra_does_not", PAGE_MEMORY_PAGE, false },
};

static void comes_from_where_its_size_says(void **state)
{
    const struct size_row *row = *state;
    uint64_t before = page_memory_used();
    char *p = sqlite3_malloc(row->bytes);
    assert_non_null(p);
    memset(p, 1, (size_t)row->bytes);
    EQ_I64(before + row->ours, page_memory_used());
    assert_true(sqlite3_msize(p) >= (sqlite3_uint64)row->bytes);
    sqlite3_free(p);
    EQ_I64(before, page_memory_used());
}

static void a_page_may_grow_and_keeps_what_it_holds(void **state)
{
    (void)state;
    uint64_t before = page_memory_used();
    char *p = sqlite3_malloc(PAGE);
    memset(p, 7, PAGE);
    p = sqlite3_realloc(p, PAGE + 8); // still a slot
    EQ_I64(before + 1, page_memory_used());
    p = sqlite3_realloc(p, 4 * PAGE);
    assert_non_null(p);
    EQ_I64(before, page_memory_used());
    for (int i = 0; i < PAGE; i++)
        EQ_I64(7, p[i]);
    sqlite3_free(p);
}

static void pages_that_the_block_has_no_room_for_come_from_elsewhere(void **state)
{
    (void)state;
    enum { MORE = 10 };
    char **p = calloc(PAGE_MEMORY_SLOTS + MORE, sizeof *p);
    for (int i = 0; i < PAGE_MEMORY_SLOTS + MORE; i++) {
        p[i] = sqlite3_malloc(PAGE);
        assert_non_null(p[i]);
        p[i][0] = (char)i;
        p[i][PAGE - 1] = (char)i;
    }
    EQ_I64(PAGE_MEMORY_SLOTS, page_memory_used());
    for (int i = 0; i < PAGE_MEMORY_SLOTS + MORE; i++) {
        EQ_I64((char)i, p[i][0]); // nobody shares it
        EQ_I64((char)i, p[i][PAGE - 1]);
        sqlite3_free(p[i]);
    }
    free(p);
    EQ_I64(0, page_memory_used());
}

static void a_database_keeps_its_pages_there(void **state)
{
    (void)state;
    sqlite3 *db;
    assert_int_equal(SQLITE_OK, sqlite3_open("", &db));
    assert_int_equal(
        SQLITE_OK,
        sqlite3_exec(
            db,
            "PRAGMA page_size=16384; PRAGMA cache_size=-8192; CREATE TABLE t(a);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
            "INSERT INTO t SELECT zeroblob(16000) FROM n",
            NULL, NULL, NULL));
    assert_true(page_memory_used() > 50);
    sqlite3_close(db);
    EQ_I64(0, page_memory_used());
}

static void a_second_time_changes_nothing(void **state)
{
    (void)state;
    char *p = sqlite3_malloc(PAGE);
    page_memory_open();
    EQ_I64(1, page_memory_used());
    sqlite3_free(p);
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_page_may_grow_and_keeps_what_it_holds),
        cmocka_unit_test(pages_that_the_block_has_no_room_for_come_from_elsewhere),
        cmocka_unit_test(a_database_keeps_its_pages_there),
        cmocka_unit_test(a_second_time_changes_nothing),
    };
    page_memory_open();
    return test_main("page_memory", plain, N_OF(plain),
                     TABLE(sizes, comes_from_where_its_size_says), N_OF(sizes));
}
