// run_impl.h - what the files of run share. No one else includes it.

#ifndef COORDINATOR_RUN_IMPL_H
#define COORDINATOR_RUN_IMPL_H

#include "coordinator/app.h"
#include "coordinator/door.h"
#include "coordinator/local_link.h"
#include "coordinator/plan.h"
#include "coordinator/progress.h"
#include "coordinator/report.h"
#include "coordinator/result_cache.h"
#include "coordinator/run.h"

enum {
    RUN_LOCK_WAIT_S = 10
}; // a locked warehouse is waited for so long when a load begins

struct run {
    const struct job *job;
    struct plan plan;
    struct local local;
    struct local_link ipc_to_be;
    struct link *ipc; // to the worker of this machine
    struct door door; // for those of others
    struct journal *journal;
    struct journal_run record;
    const struct warehouse_ops *ops;
    struct warehouse *warehouse;
    struct load_state load;
    struct arena mem;
    struct cell watermark; // above what an incremental load takes rows; text in mem
    struct buf spec;
    struct result_cache *cache; // NULL: none is wanted
    struct progress progress;
    struct app_totals totals;
    struct ledger_row *by_input; // once the load is proven
    bool fresh;                  // what an earlier load left is to be dropped
    uint32_t slots;
    ns_t started;
    ns_t journal_began;   // when its row of runs was written
    char load_name[4400]; // in the journal: warehouse, table, load, and a digest
    char state_dir[RUN_STATE_DIR];
};

// A line for the user; arg is the run.
void run_say(void *arg, const char *text);

// The same, and a line of the history. Not while app_run is under way.
void run_note(struct run *r, const char *text);

// run_open.c, in the order in which mistakes are cheapest to tell.
err_t run_open_input(struct run *r, struct err *e);     // the source, its schema, its notes
err_t run_find_warehouse(struct run *r, struct err *e); // sets ops
err_t run_settle_output(struct run *r, struct err *e);  // transforms, and what comes out
err_t run_open_all(struct run *r, struct err *e);       // all of it: ready for app_run

void run_record_place(struct run *r); // run_place.c; after name_load
// run_check.c: NULL for each param, whose value is read only when a run begins.
MUST_CHECK err_t run_stand_ins(struct run *r, struct err *e);

void run_close(struct run *r);                           // whatever is open, in any state
int run_exit_code(err_t rc, const struct app_totals *t); // of a run that failed

#endif
