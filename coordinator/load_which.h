// load_which - which load of its table a run is: a new one, or one that goes on; or that
// another is in its way. The same for every warehouse; how it reads and writes its ledger
// is its own.

#ifndef COORDINATOR_LOAD_WHICH_H
#define COORDINATOR_LOAD_WHICH_H

#include "coordinator/warehouse.h"

struct load_row { // of tranche_runs; id 0: there is none
    uint64_t id, epoch;
    bool complete; // else loading
    bool same;     // the identity asked for
    bool upsert;   // its rows took the place of others: they can't be taken out
    bool gone;     // its process was one of this host since its boot, and has ended
    char *staging; // NULL: it has no staged table
    char who[512]; // "started 2026-11-22T01:42:05Z by process 12 on host h from a.csv"
};

struct loads {                  // of a table
    struct load_row unfinished; // of the same identity, else another in the way
    struct load_row complete;   // of the same identity, the newest
    bool torn;                  // one is unfinished, in the way or not
};
void loads_free(struct loads *l);

struct load_text { // a row as it is stored, borrowed
    uint64_t id, epoch;
    const char *state, *mode, *sources, *spec;
    const char *staging; // NULL: none
    const char *started, *host;
    int64_t pid;
};
// The next row by load_id, in state loading or complete. fresh_cuts: --fresh takes the
// unfinished away, even from a load that is staged.
MUST_CHECK err_t loads_add(struct loads *l, const struct load_identity *id, bool fresh_cuts,
                           const struct load_text *row, struct err *e);

// All in begin()'s transaction.
struct load_ledger {
    err_t (*find)(struct warehouse *w, const struct load_identity *id, struct loads *out,
                  struct err *e);
    // Of its ledger: how many ranges, and the rows that they loaded.
    err_t (*count)(struct warehouse *w, uint64_t load_id, int64_t *ranges, int64_t *rows,
                   struct err *e);
    // its_rows false: they stay.
    err_t (*drop)(struct warehouse *w, const struct load_row *load, bool its_rows,
                  struct err *e);
    // `params` NULL: those that it has stay.
    err_t (*go_on)(struct warehouse *w, const struct load_row *load,
                   const struct buf *params, struct err *e);
    err_t (*start)(struct warehouse *w, const struct load_identity *id,
                   const struct buf *params, struct err *e);
};
// Drops what --fresh says, and what is in the way but ended before its first commit (the
// job was wrong, most often), and starts a load or goes on with one. `place` is for
// ERR_INVALID: another load is unfinished, and in the way. Sets resumed and complete_before
// in *state.
MUST_CHECK err_t load_which(struct warehouse *w, const struct load_ledger *ledger,
                            const char *place, const struct load_identity *id,
                            const struct buf *params, struct load_state *state,
                            struct err *e);

// Where the rows of a load go: `staging`, if it has one already. *target is malloced; what
// it was is freed.
MUST_CHECK err_t load_target(char **target, enum job_mode mode, const char *table,
                             uint64_t load_id, const char *staging, struct err *e);
// ERR_INVALID: a load that was complete can't begin again, for `other` is unfinished now.
MUST_CHECK err_t load_began_meanwhile(const char *place, uint64_t other, struct err *e);

#endif
