// runner_rows - rows of a database that a runner reads itself: the coordinator names a
// range of rowids and the state of the file (common/sqlite_view).
//
// One connection a runner, and one read transaction from the first range on: it holds the
// state as long as the runner lives. Its lanes take turns.

#ifndef WORKER_RUNNER_ROWS_H
#define WORKER_RUNNER_ROWS_H

#include "common/buf.h"
#include "proto/spec.h"
#include "worker/channel.h"
#include "worker/reader.h"

#include <pthread.h>

struct sqlite3;
struct sqlite3_stmt;

struct runner_rows { // zero-initialised but for the lock
    pthread_mutex_t lock;
    bool opened; // or it was tried in vain: `why`
    struct sqlite3 *db;
    struct sqlite3_stmt *st;
    struct hash128 proof; // of what is seen
    struct err why;
};

// The rows of the task's range, encoded, CSV_PAD bytes around them: into `to`, which the
// caller owns; c->bytes, n and rows say where and how many. ERR_CHANGED: this runner does
// not see the state that the task names, nor will it later; the coordinator can read the
// rows. ERR_TOOBIG: several rows, above limit_bytes.
MUST_CHECK err_t runner_rows_read(struct runner_rows *r, const struct spec *spec,
                                  const struct runner_task *t, size_t limit_bytes,
                                  struct buf *to, struct reader_chunk *c, struct err *e);

#endif
