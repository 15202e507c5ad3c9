// journal_crew - the workers of the runs that go on in a folder, and which of them are to
// leave: how a server sees and drains workers that its jobs' processes are connected to.
//
// Table `retired`: a row a run and worker. The run looks once a second (app_retire).

#ifndef COORDINATOR_JOURNAL_CREW_H
#define COORDINATOR_JOURNAL_CREW_H

#include "coordinator/journal.h"

#include <stdbool.h>

struct journal_member { // texts are borrowed
    int64_t run;        // runs.seq
    const char *holder; // of the run: run_lock.h
    const char *name, *role, *host;
    uint32_t slots;
    int64_t since_ms;  // wall clock
    bool leaving;      // it is to leave
    const char *input; // of the newest attempt that it has and has not ended; "": none
    bool in_rows;      // begin and end count rows, else bytes
    uint64_t begin, end;
    uint64_t chunks; // in that attempt's span
};
// Makes the table where it is missing, for who reads it over a connection of its own.
struct sqlite3;
MUST_CHECK err_t journal_crew_tables(struct sqlite3 *db, struct err *e);

// Calls back until it returns false. No runs.db: nobody. Reads only; what a run tells of
// its workers is a second old or two.
typedef bool journal_member_fn(void *arg, const struct journal_member *m);
MUST_CHECK err_t journal_crew(const char *dir, journal_member_fn *fn, void *arg,
                              struct err *e);
// The worker of that name of this run is to leave, if it has come by now.
MUST_CHECK err_t journal_retire(const char *dir, int64_t run, const char *name,
                                struct err *e);

// For the run itself: who is to leave, and since when (wall clock, ms).
typedef void journal_retired_fn(void *arg, const char *name, int64_t asked_ms);
MUST_CHECK err_t journal_retired(struct journal *j, journal_retired_fn *fn, void *arg,
                                 struct err *e);

#endif
