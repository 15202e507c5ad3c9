// job_log - what a job of a server has written: standard output and error, in the order
// they came.
//
// DIR/ID/BASE.log, where BASE is the number of the file's first byte, counted from the
// beginning of the job. A file is ended at half of JOB_LOG_MAX, and of two the older one
// goes when a third begins: the newest half at least is always there. A job that is begun
// again goes on with its log.

#ifndef COORDINATOR_JOB_LOG_H
#define COORDINATOR_JOB_LOG_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { JOB_LOG_MAX = 4 << 20 };

struct job_log { // .fd = -1: closed
    int fd;
    char folder[4200];    // DIR/ID
    uint64_t base, older; // number of the file's first byte, and of that of the one before
    uint64_t end;
};

// DIR exists. The folder and its files are the owner's alone.
MUST_CHECK err_t job_log_open(struct job_log *l, const char *dir, int64_t id,
                              struct err *e);
MUST_CHECK err_t job_log_add(struct job_log *l, const void *p, size_t n, struct err *e);
void job_log_close(struct job_log *l);

// Appends to `out` at most `max` bytes from number *at on, which is moved up to where the
// log begins when that is gone already, and down to its end; *end is the number behind its
// last byte. A job that has written nothing has an empty log.
MUST_CHECK err_t job_log_read(const char *dir, int64_t id, uint64_t *at, size_t max,
                              struct buf *out, uint64_t *end, struct err *e);
void job_log_remove(const char *dir, int64_t id);
// Removes those of all jobs before `below`, but for what is to be kept.
typedef bool job_log_keep_fn(const void *arg, int64_t id);
void job_log_prune(const char *dir, int64_t below, job_log_keep_fn *keep, const void *arg);

#endif
