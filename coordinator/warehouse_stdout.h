// warehouse_stdout - what both ways to standard output share: rows as they come, and a
// table that is made at the end.

#ifndef COORDINATOR_WAREHOUSE_STDOUT_H
#define COORDINATOR_WAREHOUSE_STDOUT_H

#include "common/rejects.h"
#include "coordinator/warehouse.h"

enum { STDOUT_REJECTS_SAID = 10 };

struct stdout_rejects {
    warehouse_say *say;
    void *say_arg;
    uint64_t n; // met so far
};

// ERR_CLOSED: whoever reads has enough.
MUST_CHECK err_t stdout_write(const uint8_t *p, size_t n, struct err *e);
// There is no table for them: the first ones are said, and that there are more.
void stdout_say_reject(struct stdout_rejects *s, const char *input, const struct reject *r);

extern const struct warehouse_ops warehouse_stdout_merged, warehouse_stdout_jsonl_merged;

#endif
