// web_json - a stream to write JSON to (past_json.h, json_string), and the buffer of an
// answer that it ends in.

#ifndef COORDINATOR_WEB_JSON_H
#define COORDINATOR_WEB_JSON_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdio.h>

struct web_json {
    FILE *f; // NULL: no memory
    char *p;
    size_t n;
};

MUST_CHECK err_t web_json_begin(struct web_json *j, struct err *e);
// Closes it and appends what was written when rc is ERR_OK; returns rc, or ERR_NOMEM.
MUST_CHECK err_t web_json_end(struct web_json *j, err_t rc, struct buf *out, struct err *e);

#endif
