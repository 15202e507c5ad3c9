// pg_lib - libpq is loaded when it is first needed. Its header stays what callers include;
// a function of it that is not listed in pg_lib.c does not link: list it there.

#ifndef COMMON_PG_LIB_H
#define COMMON_PG_LIB_H

#include "common/err.h"

// Before the first function of libpq; any thread. ERR_IO: it is not installed.
MUST_CHECK err_t pg_lib_load(struct err *e);

#endif
