// web_view_impl - what the files of web_view share. Nobody else includes it.

#ifndef COORDINATOR_WEB_VIEW_IMPL_H
#define COORDINATOR_WEB_VIEW_IMPL_H

#include "coordinator/web_view.h"

#include <sqlite3.h>

MUST_CHECK err_t web_view_ask(struct web_view *v, sqlite3_stmt **q, const char *sql,
                              const int64_t *numbers, int n, struct err *e);
// A row; at the end, or after an error, false, and *rc says how it ended.
bool web_view_next(sqlite3_stmt *q, err_t *rc, struct err *e);
// A copy in the snapshot's memory, cut where it is absurdly long; "" for NULL.
const char *web_view_text(struct web_view *v, sqlite3_stmt *q, int column);
static inline uint64_t web_view_u64(sqlite3_stmt *q, int column)
{
    int64_t n = sqlite3_column_int64(q, column);
    return n > 0 ? (uint64_t)n : 0;
}
const char *web_view_keep(struct web_view *v, const char *s); // as web_view_text
// Room for one more of size bytes in a list that grows in the snapshot's memory.
MUST_CHECK err_t web_view_grow(struct web_view *v, void *list, uint32_t n, size_t size,
                               struct err *e);

// web_view_runs.c: fills runs and workers.
MUST_CHECK err_t web_view_read_runs(struct web_view *v, struct err *e);
MUST_CHECK err_t web_view_read_workers(struct web_view *v, struct err *e);

#endif
