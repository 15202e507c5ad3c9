// ledger - what the ledger allows, and what it proves. Pure; every warehouse stands on it.

#ifndef COORDINATOR_LEDGER_H
#define COORDINATOR_LEDGER_H

#include "coordinator/warehouse.h"

const char *ledger_state_name(enum ledger_state s); // "done", "split", "rejected"
bool ledger_state_parse(const char *name, enum ledger_state *out);

// Whether a row that is in the ledger forbids `r`: DONE and REJECTED forbid every overlap,
// SPLIT forbids what equals or contains it: a late result of the whole, after its parts
// were planned. Proper parts may follow, and what crosses its edge: a resume cuts
// elsewhere.
bool ledger_forbids(struct range have, enum ledger_state state, struct range r);

// A row that may be written: its range is one, its counts add up and are sane.
MUST_CHECK err_t ledger_check_row(const struct ledger_row *row, struct err *e);
// The same of a row that was read back, with what its commit filled in. ERR_DB: the
// database is damaged.
MUST_CHECK err_t ledger_check_stored(const struct ledger_row *row, struct err *e);

// Tables by these names with other columns: of which warehouse, and where else to load
// into.
#define LEDGER_STRANGE                                                                    \
    "tranche_runs and tranche_ledger of %s are not those of this version: columns were "  \
    "renamed, added or removed. Undo that, take the version of tranche that wrote them, " \
    "or load into %s"

int ledger_compare(const void *a, const void *b); // struct ledger_row by input, begin, end

// The proof that DONE and REJECTED ranges of an input tile [begin, end), and their sum.
struct ledger_proof {
    const char *name; // of the input; borrowed
    uint64_t at, end;
    struct ledger_row total;
};
// ERR_DB: end lies before begin.
MUST_CHECK err_t ledger_proof_start(struct ledger_proof *p, const char *name,
                                    uint32_t input, uint64_t begin, uint64_t end,
                                    struct err *e);
// Rows in order of begin; SPLIT rows are passed over. ERR_DB names the gap or overlap.
MUST_CHECK err_t ledger_proof_add(struct ledger_proof *p, const struct ledger_row *row,
                                  struct err *e);
MUST_CHECK err_t ledger_proof_end(struct ledger_proof *p, struct err *e);

#endif
