// past - a run as runs.db and the warehouse remember it, for `tranche explain` and
// `tranche report`. Reads only, nothing waits longer than some seconds for a lock.
//
// Everything it returns lives until past_close. A run of an older program has no workers
// and samples; one that still goes on has those of some seconds ago.

#ifndef COORDINATOR_PAST_H
#define COORDINATOR_PAST_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/clock.h"
#include "coordinator/journal_plan.h"
#include "coordinator/journal_stats.h"
#include "coordinator/range.h"

struct sqlite3;

enum {
    PAST_SLOWEST = 10,
    PAST_TROUBLED = 50,
    PAST_EVENTS = 200,
    PAST_REASONS = 10,
    PAST_TRIES = 100
};

struct past_input {
    const char *name;
    bool in_rows;
    uint64_t begin, size, header_lines;
};

struct past_try { // an attempt
    const char *run, *worker, *host, *outcome, *text;
    uint32_t attempt;
    int64_t started_ms; // wall clock; when it was given to the worker
    int64_t ms, peak_kb;
    uint64_t chunks; // > 1: of so many consecutive chunks together
};

struct past_chunk {
    uint64_t number; // 0: no attempt of this run is known
    struct range range;
    uint64_t chunks; // > 1: consecutive ones that were given out together
    int64_t ms;      // of the slowest attempt, all chunks together
    const char *worker;
    uint32_t n_tries; // all of them; `tries` may be fewer
    struct past_try *tries;
    uint32_t n;
};

struct past_event {
    int64_t at_ms; // wall clock
    const char *kind, *text;
};

struct past_reason {
    const char *reason; // what stood between quotes is "..." when it differed
    uint64_t rows;
};

struct past_reused {
    struct range range;
    uint64_t chunks;
    const char *why; // "": the cache had them
};

struct past {
    struct sqlite3 *db;
    struct arena mem;
    int64_t seq, first_attempt; // in runs; in attempts: its number is 1
    int64_t started_ms, ended_ms;
    const char *spec, *load, *database;
    uint64_t load_id;
    bool goes_on, merged; // its rows were aggregated or merged into others
    struct journal_run run;
    struct past_input *inputs;
    struct journal_worker *workers; // the coordinator first
    struct journal_sample *samples;
    struct past_chunk *slowest, *troubled;
    struct past_event *events; // the first and the last, if there are more
    struct past_reused *reused;
    struct past_reason *reasons;
    uint32_t n_inputs, n_workers, n_samples, n_slowest, n_troubled, n_events, n_reused,
        n_reasons;
    uint64_t all_troubled, all_halved, all_events, attempts, failed, lost;
    ns_t deadline;
    int64_t patience_ms;    // for a question to the warehouse; 0: as long as it takes
    const char *no_reasons; // why rejects cannot be shown by reason; NULL: they can
    struct journal_plan plan;
    bool planned;
};

// `run` is an id as `tranche runs` prints it, the beginning of one, or "last". ERR_INVALID:
// there is no such run, and what there is. `p` is to be closed in any case.
MUST_CHECK err_t past_open(struct past *p, const char *dir, const char *run, struct err *e);
void past_close(struct past *p);

// Each fills its part of *p.
MUST_CHECK err_t past_load_stats(struct past *p, struct err *e); // workers, samples, cache
MUST_CHECK err_t past_load_samples(struct past *p, struct err *e); // of these samples alone
MUST_CHECK err_t past_load_chunks(struct past *p, struct err *e);  // slowest, troubled
MUST_CHECK err_t past_load_events(struct past *p, struct err *e);
MUST_CHECK err_t past_load_rejects(struct past *p, struct err *e); // out of the warehouse

struct past_reject { // borrowed, for the time of the call
    int64_t id;      // later ones have higher ones
    struct slice file, column, reason;
    struct slice raw;    // as it stood: any bytes
    uint64_t line, byte; // 0: no line; REJECT_NO_BYTE (rejects.h): no place in the input
};
// The rejected rows of the run's load with ids above `after`, in the order in which they
// were committed; calls back until it returns false. *unknown says why they cannot be read;
// NULL: they can.
typedef bool past_reject_fn(void *arg, const struct past_reject *r);
MUST_CHECK err_t past_each_reject(struct past *p, int64_t after, past_reject_fn *fn,
                                  void *arg, const char **unknown, struct err *e);

// Where a chunk's rows are, as the ledger has it.
struct past_rows {
    const char *unknown; // why the ledger says nothing; NULL: it does
    const char *state, *worker;
    struct range range;
    uint32_t attempt;
    uint64_t first_line, lines, rows_read, rows_rejected, rows_loaded, rows_refused;
    int64_t first, last; // rowids, or bytes of a text; -1: there are none
};
// `what` is a number, FILE:LINE or FILE@BYTE. ERR_INVALID: there is no such chunk.
MUST_CHECK err_t past_find_chunk(struct past *p, const char *what, struct past_chunk *c,
                                 struct past_rows *rows, struct err *e);

// past_find_chunk's halves: the ledger's chunk at a byte, or at a line (byte is set then).
// ERR_OK with rows->unknown: it cannot be asked, or has none.
MUST_CHECK err_t past_ledger_at(struct past *p, uint32_t input, uint64_t *byte,
                                uint64_t line, struct past_rows *rows, struct err *e);

const char *past_input_name(const struct past *p, uint32_t input);
bool past_input_in_rows(const struct past *p, uint32_t input);
// "x.csv bytes 10-20"
const char *past_chunk_name(const struct past *p, struct range r, char *out, size_t cap);
// Of this attempt's end, in a sentence for people.
const char *past_outcome(const char *outcome);

#endif
