// warehouse - the coordinator half of a destination: rows and ledger in one transaction.
//
// Used by one thread at a time, the loader (R16, R17); only `check` may run beside it. A
// load is the stream of ledger rows of one identity; its epoch fences off older
// coordinators (R3, R4).

#ifndef COORDINATOR_WAREHOUSE_H
#define COORDINATOR_WAREHOUSE_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/hash.h"
#include "common/job.h"
#include "coordinator/range.h"
#include "coordinator/source.h"
#include "proto/spec.h"

// What finish() makes of the rows instead of calling them the table. It outlives finish().
struct load_merge {
    const struct spec *spec;   // aggregate (if any), params and lookup tables of the SQL
    const struct schema *rows; // the aggregate's result, or the rows themselves
    const char *sql;           // over `parts`, which has the columns `rows`; NULL: none
    uint64_t memory_bytes;     // that it may take at a time
    uint64_t rows_out;         // set by finish(): rows of the table
};

struct load_identity { // DESIGN.md 4, "a load's identity"
    const char *table;
    const char *sources; // as written, one a line
    struct hash128 spec; // of everything that affects the result
    enum job_mode mode;
    const struct strings *key;     // MODE_UPSERT, else NULL
    const char *watermark;         // MODE_INCREMENTAL, else NULL
    const struct strings *indexes; // built by finish(); every column is in the schema
    size_t n_indexes;
    bool fresh;               // drop what this table's unfinished or earlier load left
    uint64_t memory_bytes;    // limits.memory, of which a cache takes a share; 0: any
    struct load_merge *merge; // NULL: the rows are the table; else mode is MODE_REPLACE
};

enum ledger_state { LEDGER_DONE = 1, LEDGER_SPLIT = 2, LEDGER_REJECTED = 3 };

struct ledger_row {
    struct range range;
    enum ledger_state state;
    uint64_t records; // as cut, blank lines counted
    uint64_t lines;
    bool unterminated;
    uint64_t rows_read; // = rows_parsed + rows_rejected
    uint64_t rows_parsed, rows_rejected;
    uint64_t rows_emitted; // = rows_loaded + rows_refused
    uint64_t rows_loaded, rows_refused;
    uint64_t rows_replaced; // of those loaded, MODE_UPSERT: they took another's place
    uint64_t rows_skipped;  // MODE_INCREMENTAL: at or below the watermark, not emitted
    uint64_t misfits;
    struct hash128 digest; // of the chunk's bytes
    struct hash128 result_digest;
    uint32_t attempt;
    char worker[64];
};

struct load_input { // an input as the ledger remembers it; "" : it never saw it
    char *name;
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns; // nobody can put it back
    bool by_value;    // `size` is not that of the stream
    uint64_t end;     // of the stream, once a load of all of it was complete; else 0
    uint64_t ino;
    uint64_t data_begin;
};

// Inputs are numbered as the caller of begin() numbers them now, everywhere. An earlier run
// may have numbered them otherwise (a new file sorts before the others): they are matched
// by name. Inputs that are gone keep their rows and are left out here.
struct load_state {       // what a resumed load finds; owned by the caller, load_state_free
    uint64_t load_id;     // row of tranche_runs
    uint64_t epoch;       // this coordinator's
    bool resumed;         // ledger rows of an unfinished earlier run exist
    bool complete_before; // the same identity was complete (append: only what is new)
    struct load_input *inputs; // one for each input given to begin()
    size_t n_inputs;
    struct ledger_row *ledger; // sorted by input, begin; SPLIT rows included
    size_t n_ledger;
    struct buf params; // to be used: as kept when an unfinished load began, else as given
};
void load_state_free(struct load_state *s); // leaves a valid empty state

// Results that one transaction takes: so many large ones, or so many small ones.
enum { WAREHOUSE_GROUP = 9, WAREHOUSE_SMALL_GROUP = 512, WAREHOUSE_SMALL_BYTES = 64 << 10 };

struct result { // one chunk's outcome, ready to be committed
    struct ledger_row row;
    const uint8_t *image; // the sink's bytes; NULL: no rows
    size_t image_bytes;
    struct slice rejects; // rejects.h encoding; row.rows_rejected of them
    bool checked;         // `check` has found nothing wrong: commit need not look again
    bool damaged;         // set by commit, see there
};

static inline bool result_is_small(const struct result *r)
{
    return r->image_bytes <= WAREHOUSE_SMALL_BYTES;
}

struct warehouse;

// One line each: what was rejected why, who holds the lock, that the disk is full...
typedef void warehouse_say(void *arg, const char *text);

struct warehouse_ops {
    const char *scheme;      // "sqlite", "csv", "jsonl", "stdout", "null", "postgres"
    const char *sink;        // name of the worker half
    const char *states_sink; // ... of an aggregate; NULL: the same
    bool forgets;            // nothing of a load is kept, so none can be resumed
    bool merges;             // load_identity.merge may be given
    // What does it for this one, or with `merges` does aggregates; NULL: none is needed.
    const struct warehouse_ops *merging;
    // Two for `check`, which leaves everything as it is; NULL: begin() and query_value
    // will tell. Whether merge.sql is good, over parts without a row, and load.indexes are
    // columns of what it gives: ERR_INVALID.
    err_t (*try_merge)(struct load_merge *m, const struct strings *indexes,
                       size_t n_indexes, struct err *e);
    // Whether a param's SQL is good; it is run only if `value` is not NULL (text in mem).
    // *tried = false: the warehouse is not there yet, or cannot be asked now.
    err_t (*try_value)(const char *url, const char *sql, struct arena *mem,
                       struct cell *value, bool *tried, struct err *e);
    // Opens or creates, hardened as RELIABILITY.md 3.3. Nothing is written yet.
    err_t (*open)(struct warehouse **w, const char *url, warehouse_say *say, void *say_arg,
                  struct err *e);
    // Runs the params' SQL (read only, guarded) before the load. `value` text lives in mem.
    err_t (*query_value)(struct warehouse *w, const char *sql, struct arena *mem,
                         struct cell *value, struct err *e);
    // MODE_INCREMENTAL, before begin(): above what the load will take rows. NULL kind:
    // nothing is loaded yet. Text lives in mem. NULL: this warehouse has no such mode.
    err_t (*watermark)(struct warehouse *w, const struct load_identity *id,
                       struct arena *mem, struct cell *value, struct err *e);
    // Creates table, rejects table and our own tables where missing, checks that an
    // existing table takes the schema (ERR_INVALID names the difference column by column),
    // takes the epoch, and in another transaction reads the ledger. A different unfinished
    // load of the same table: ERR_INVALID, says how to continue it or drop it. `fresh`
    // drops that unfinished load, or the earlier complete load of the same identity, with
    // its rows.
    err_t (*begin)(struct warehouse *w, const struct load_identity *id,
                   const struct schema *schema, const struct load_input *inputs,
                   size_t n_inputs, const struct buf *params, struct load_state *state,
                   struct err *e);
    // Verifies image, rejects and counts (the digest is the caller's business). Only reads,
    // and nothing that changes between begin() and close(): any thread may call it.
    // ERR_PROTO: it is damaged.
    err_t (*check)(const struct warehouse *w, const struct result *r, struct err *e);
    // Checks what is not `checked`, then commits the results, some in a transaction;
    // row.rows_loaded and row.rows_refused are filled in. A row that violates a constraint
    // of the table is refused: it goes to the rejects with the constraint's name. A result
    // whose range overlaps the ledger is dropped alone: dup[i] = true; when it is the very
    // range, row.rows_loaded and row.rows_refused are the ledger's. After an error that
    // says "try again", call again with the same results. ERR_FENCED: another epoch took
    // over; ERR_FULL: no space, nothing committed, try again; ERR_BUSY: locked (the
    // sentence names who holds it), nothing committed, try again; ERR_UNKNOWN: COMMIT
    // failed in a way that leaves its outcome open, reopened and read again already: call
    // again, dup[] tells what was in. ERR_PROTO: result *failed is damaged, nothing of it
    // is committed; the others are, except those (should there be more) whose `damaged` is
    // set too.
    err_t (*commit)(struct warehouse *w, struct result *results, size_t n, bool *dup,
                    size_t *failed, struct err *e);
    // Only the ledger row (SPLIT), in its own transaction. Noting the same range twice is
    // fine; ERR_DUP: the ledger has something else there. Otherwise errors as commit.
    err_t (*note)(struct warehouse *w, const struct ledger_row *row, struct err *e);
    // The end: proves from the ledger that each input's DONE and REJECTED ranges tile
    // [data_begin, input_end[i]), sums the rows (totals_by_input[i], with what earlier runs
    // of this load committed), marks the load complete; with MODE_REPLACE swaps the new
    // table in, unless swap is false: then the staged table is dropped.
    // ERR_DB: the proof fails, the sentence names the bytes. Otherwise errors as commit.
    err_t (*finish)(struct warehouse *w, const uint64_t *input_end, bool swap,
                    struct ledger_row *totals_by_input, struct err *e);
    void (*close)(struct warehouse **w);
};

const struct warehouse_ops *warehouse_find(const char *url); // by scheme; NULL: none

#endif
