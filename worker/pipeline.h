// pipeline - from the bytes of a chunk to a result in the warehouse's own format: reader,
// transforms in order, sink. What a runner does, without processes and messages.

#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "common/region.h"
#include "common/rejects.h"
#include "worker/reader.h"

struct pipeline;

struct pipeline_stats {
    struct reader_stats read;
    uint64_t rows_emitted;
    ns_t parse_ns, apply_ns, encode_ns;
};

// Opens reader and transforms (and the sink when spec->out has columns). The spec is
// borrowed and must outlive the pipeline.
MUST_CHECK err_t pipeline_open(struct pipeline **out, const struct spec *spec,
                               struct err *e);
void pipeline_close(struct pipeline **p);

// What comes out at the end; lives as long as the pipeline.
const struct schema *pipeline_schema(const struct pipeline *p);
// Settles the ANY columns of a copy of it by a sample as far as the transforms take it:
// whole records as a chunk holds them, perhaps none; of a source whose chunks hold no
// bytes, a byte a row.
void pipeline_settle(struct pipeline *p, const uint8_t *sample, size_t n, ns_t deadline,
                     struct schema *io);

// Runs one chunk. The image is appended to `to`, the rejects to `rejects`.
MUST_CHECK err_t pipeline_run(struct pipeline *p, const struct reader_chunk *chunk,
                              ns_t deadline, struct region *to, struct rejects *rejects,
                              struct pipeline_stats *stats, struct err *e);

#endif
