// plan - from a job to what its run needs: opened sources, settled schemas, the spec that
// workers get, the identity of the load.

#ifndef COORDINATOR_PLAN_H
#define COORDINATOR_PLAN_H

#include "coordinator/local.h"
#include "coordinator/source.h"
#include "coordinator/warehouse.h"
#include "proto/spec.h"

struct plan {
    struct source *source;
    struct spec spec;     // in, out, dialect, transforms, tables, params
    struct strings notes; // for the user, a line each
    struct buf sample;
    struct schema rows;      // what the transforms give; with an aggregate: what that gives
    struct load_merge merge; // sql and aggregate, when there are any: plan_merge
    struct hash128 identity;
    struct buf sources; // as written, one a line
    uint64_t estimate_rows;
    const char *cache_dir; // where answers about columns are kept; NULL: always ask
};

// What the load is: steps, lookup tables, files, and the hash of them all.
MUST_CHECK err_t plan_identity(struct plan *p, const struct job *j, struct err *e);
// After it: opens the sources, settles the input's types. `watermark`: see
// source_open_above.
MUST_CHECK err_t plan_input(struct plan *p, const struct job *j,
                            const struct cell *watermark, struct err *e);
// The params' values: read from the warehouse, for a new load.
MUST_CHECK err_t plan_params(struct plan *p, const struct job *j,
                             const struct warehouse_ops *ops, struct warehouse *w,
                             struct err *e);
// ... as an unfinished load kept them, for one that goes on.
MUST_CHECK err_t plan_params_encode(const struct plan *p, struct buf *out, struct err *e);
MUST_CHECK err_t plan_params_decode(struct plan *p, const struct buf *kept, struct err *e);
// Has the worker process begin with what plan_output will ask it, if nothing that is known
// later belongs to the question and trying the transforms does nothing outside of it.
void plan_output_early(const struct plan *p, const struct job *j, struct local *l);
// What the transforms give, asked of a worker process, or in cache_dir. Without transforms:
// the input. ERR_INVALID too when load.* names a column that it lacks.
MUST_CHECK err_t plan_output(struct plan *p, const struct job *j, struct local *l,
                             struct err *e);
// ERR_INVALID: load.key, load.watermark or load.indexes names a column that the output
// lacks (plan_load.c).
MUST_CHECK err_t plan_check_load(const struct plan *p, const struct job *j, struct err *e);
// Its parts: a column that `key` names; charts of the table that is loaded.
MUST_CHECK err_t plan_check_column(const struct schema *s, const char *key,
                                   const char *name, struct err *e);
MUST_CHECK err_t plan_check_charts(const struct schema *s, const struct job *j,
                                   struct err *e);
// A note for the first step that sums up rows of one batch and not of the input
// (plan_gathers.c). `answer` is the worker's.
MUST_CHECK err_t plan_note_gathers(struct plan *p, const struct job *j,
                                   const struct spec *answer, struct err *e);
// What the warehouse makes of the rows in the end; NULL: they are the table.
struct load_merge *plan_merge(struct plan *p);
void plan_free(struct plan *p);

#endif
