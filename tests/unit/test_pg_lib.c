// A host without libpq: jobs that name PostgreSQL hear what to install.

#include "common/pg.h"
#include "tests/test.h"

#include <string.h>

void *__real_dlopen(const char *path, int flags);
void *__wrap_dlopen(const char *path, int flags);

static bool missing;

void *__wrap_dlopen(const char *path, int flags)
{
    return missing ? NULL : __real_dlopen(path, flags);
}

static void a_missing_libpq_is_told_with_its_package(void **state)
{
    struct err e;
    char *name = NULL;
    (void)state;
    missing = true;
    EXPECT(ERR_IO, &e, pg_check("postgresql://h/d", &e));
    assert_non_null(strstr(e.text, "install libpq5"));
    EXPECT(ERR_IO, &e, pg_public_name("postgresql://h/d", &name, &e));
    assert_null(name);
    missing = false; // once is enough: it does not come back in the middle of a run
    EXPECT(ERR_IO, &e, pg_check("postgresql://h/d", &e));
}

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_missing_libpq_is_told_with_its_package),
    };
    return test_main("pg_lib", plain, N_OF(plain), NULL, 0);
}
