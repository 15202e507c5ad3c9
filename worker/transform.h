// transform - one step between parsing and the sink.
//
// A step is opened once a job and applied to many batches, one at a time.

#ifndef WORKER_TRANSFORM_H
#define WORKER_TRANSFORM_H

#include "common/batch.h"
#include "proto/spec.h"

struct transform_reject { // a row of a batch that a step gave up
    uint32_t row;
    const char *column, *reason;
};

struct transform_ops {
    const char *name; // "sql"
    // Calls may wait for something else than this process's own work. With
    // workers.concurrency each batch in flight then has a state of its own, and calls of
    // different states run at the same time; otherwise all share one state, one at a time.
    bool waits;
    // It speaks with others, whom a try on a sample would trouble: it is only opened then.
    bool asks_others;
    // On success *out_schema is the step's result and want[i] (in->n entries, zeroed by the
    // caller) says which input columns it reads.
    // Types of *out_schema: from the declaration where a result column is an input column;
    // TYPE_ANY where only the values can tell (see transform_settle).
    // ERR_TRANSFORM otherwise; SQL's with SQLite's message and the position in the
    // statement, and a column that does not exist is answered with the columns there are.
    // Neither spec, in, step nor want is kept.
    MUST_CHECK err_t (*open)(void **state, const struct spec *spec, const struct schema *in,
                             const struct step *step, bool *want, struct schema *out_schema,
                             struct err *e);
    // Reads `in`, starts `out` anew; its columns may be ANY whatever the schema says, as
    // may those of a later step's `in`. `out` may point into `in` and into what `in` points
    // to. Stops with ERR_TIMEOUT at `deadline`, with ERR_TOOBIG past the memory limit.
    MUST_CHECK err_t (*apply)(void *state, const struct batch *in, struct batch *out,
                              ns_t deadline, struct err *e);
    // The rows of the last `in` that have no part in its result and are to be rejected,
    // ascending; NULL: none. They live until done. NULL as a function: it rejects none.
    const struct transform_reject *(*rejected)(void *state, size_t *n);
    // Nobody needs the result of apply any more, nor what it points to. After every apply,
    // also a failed one, before the next. May be NULL. An error fails the batch.
    MUST_CHECK err_t (*done)(void *state, struct err *e);
    // CPU time of other processes on behalf of the state so far; NULL: it has none.
    ns_t (*cpu_ns)(void *state);
    // Whether the step, which `state` was opened for, sums up the rows of a batch, so that
    // its result depends on which ones share it. NULL: no.
    bool (*gathers)(void *state, const struct step *step);
    void (*close)(void **state); // copes with NULL and with an open that failed half way
};

// SQL over the batch as table `batch`; docs/SQL.md says what it may do. Half of
// spec->memory_bytes bounds SQLite's heap, for the whole process; half the result.
extern const struct transform_ops transform_sql;

// A shared library; docs/PLUGIN.md and worker/plugin.h. It ignores the deadline: nobody can
// stop a call from inside its process.
extern const struct transform_ops transform_plugin;

// The spec's aggregate; `step` is NULL. Its result is what agg_partial_schema says.
extern const struct transform_ops transform_aggregate;

// A program. step->out says its columns; the runner is made its parent, see child.h.
extern const struct transform_ops transform_exec;

// One HTTP request a row; docs/HTTP.md. A row whose request fails for good is rejected;
// only time, memory and libcurl itself fail a batch. How many requests are under way is a
// matter of http_share.h.
extern const struct transform_ops transform_http;

// Each series of a batch into its future; docs/FORECAST.md. Rows that nothing can be read
// from are rejected, and so are all of a series that nothing can be said of. It fails a
// batch for time and memory only.
extern const struct transform_ops transform_forecast;

// NULL: no transform of this kind is built in.
const struct transform_ops *transform_find(enum step_kind kind);

// What the values of a sample say about ANY columns of `s`: all integers, all numbers, all
// text; anything else, or no value at all, stays ANY. `given` is false.
void transform_settle(struct schema *s, const struct batch *sample);

#endif
