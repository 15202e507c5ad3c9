// pipeline - from the bytes of a chunk to a result in the warehouse's own format: reader,
// transforms in order, sink. What a runner does, without processes and messages.

#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "common/region.h"
#include "common/rejects.h"
#include "worker/reader.h"

struct pipeline;      // what all batches share: reader, sink, steps that never wait
struct pipeline_lane; // what one batch in flight needs for itself

struct pipeline_stats {
    struct reader_stats read;
    uint64_t rows_emitted;
    ns_t parse_ns, apply_ns, encode_ns;
};

// Tries the steps whose columns nobody knows (exec), or not their types (sql before a
// plugin), on a sample, and writes into them what was learned. CSV_PAD bytes around the
// sample are readable.
MUST_CHECK err_t pipeline_learn(struct spec *spec, const uint8_t *sample, size_t n,
                                struct err *e);

// Opens reader and transforms (and the sink when spec->out has columns). The spec is
// borrowed and must outlive the pipeline.
MUST_CHECK err_t pipeline_open(struct pipeline **out, const struct spec *spec,
                               struct err *e);
void pipeline_close(struct pipeline **p);

// What comes out at the end; lives as long as the pipeline.
const struct schema *pipeline_schema(const struct pipeline *p);
// Sets `gathers` of each step of the spec that it was opened for.
void pipeline_gathers(struct pipeline *p, struct spec *spec);
// Settles the ANY columns of a copy of it by a sample as far as the transforms take it:
// whole records as a chunk holds them, perhaps none; of a source whose chunks hold no
// bytes, a byte a row.
void pipeline_settle(struct pipeline *p, const uint8_t *sample, size_t n, ns_t deadline,
                     struct schema *io);

// Several batches are in flight in lanes. Each lane is used by one thread at a time; what
// lanes share runs one at a time, so that calls may come from any number of threads.
struct pipeline_lane *pipeline_first_lane(struct pipeline *p); // lives as long as p
// A further one, with an instance of its own of every step that waits. Closed before p.
MUST_CHECK err_t pipeline_lane_open(struct pipeline_lane **out, struct pipeline *p,
                                    struct err *e);
void pipeline_lane_close(struct pipeline_lane **lane);

// One chunk: parse, apply, encode, and in any case done; the chunk's bytes must be there
// until then, and `rejects`, too: the rows that break the rules are appended to it, and by
// apply those that a step rejects. The image is appended to `to`.
MUST_CHECK err_t pipeline_parse(struct pipeline_lane *l, const struct reader_chunk *chunk,
                                struct rejects *rejects, struct pipeline_stats *stats,
                                struct err *e);
MUST_CHECK err_t pipeline_apply(struct pipeline_lane *l, ns_t deadline,
                                struct pipeline_stats *stats, struct err *e);
MUST_CHECK err_t pipeline_encode(struct pipeline_lane *l, struct region *to,
                                 struct pipeline_stats *stats, struct err *e);
// `rc` is how it went so far; returned, unless a step finds fault with the end.
MUST_CHECK err_t pipeline_done(struct pipeline_lane *l, err_t rc, struct err *e);
// CPU time of programs that the lane's steps run, so far.
ns_t pipeline_cpu_ns(const struct pipeline_lane *l);
// Gives back the memory that a lane keeps for its next batch.
void pipeline_lane_shrink(struct pipeline_lane *l);

#endif
