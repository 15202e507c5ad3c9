// sink - the worker half of a destination: encodes a batch in the warehouse's own bulk
// format, as bytes that the coordinator only appends.

#ifndef COMMON_SINK_H
#define COMMON_SINK_H

#include "common/batch.h"
#include "common/region.h"

struct sink_ops {
    const char *name; // "sqlite", "csv", "jsonl", "null", "postgres", "rows"
    MUST_CHECK err_t (*open)(void **state, const struct schema *out, struct err *e);
    // Appends the encoded batch at to->p + to->n. ERR_TOOBIG: it does not fit in to->cap;
    // to->n is then unchanged. Misfits are encoded as text in their row's place.
    MUST_CHECK err_t (*encode)(void *state, const struct batch *b, struct region *to,
                               struct err *e);
    void (*close)(void **state); // copes with NULL and a failed open
};

extern const struct sink_ops sink_sqlite, sink_csv, sink_jsonl, sink_null, sink_pg,
    sink_rows;
const struct sink_ops *sink_find(const char *name); // NULL: no such sink

#endif
