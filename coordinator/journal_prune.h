// journal_prune - how much of its past runs.db keeps: the newest JOURNAL_KEPT runs with all
// that is known of them, as many jobs of a queue that are over, and as many scheduled runs
// (and the last one of each job, however old, since missed runs are counted from it).
//
// Each call takes away a bounded number of what is older, so that a file with a long past
// shrinks with the runs that follow, and none of them waits for it. A failure is nobody's
// concern: the next call tries again.

#ifndef COORDINATOR_JOURNAL_PRUNE_H
#define COORDINATOR_JOURNAL_PRUNE_H

enum { JOURNAL_KEPT = 10000 };

struct sqlite3; // of journal_db_open, with no transaction under way

// What runs now is kept, but for what is said to run since JOURNAL_RUNS_DAYS before the
// newest.
enum { JOURNAL_RUNS_DAYS = 30 };
void journal_prune_runs(struct sqlite3 *db);
void journal_prune_jobs(struct sqlite3 *db);
void journal_prune_scheduled(struct sqlite3 *db);
// Who was to leave a run that is over.
void journal_prune_retired(struct sqlite3 *db);

#endif
