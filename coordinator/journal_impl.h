// journal_impl - what journal.c and journal_runs.c share. Nobody else includes it.

#ifndef COORDINATOR_JOURNAL_IMPL_H
#define COORDINATOR_JOURNAL_IMPL_H

#include "common/buf.h"
#include "coordinator/journal.h"
#include "coordinator/journal_db.h"
#include "coordinator/journal_spans.h"
#include "coordinator/run_lock.h"

// Rows of a chunk: its own, and those of spans that it stood in. 65536 is SPAN_MAX.
#define JOURNAL_OF_CHUNK                                             \
    "load = ?1 AND input = ?2 AND ((begin = ?3 AND \"end\" = ?4) OR" \
    " (chunks > 1 AND begin BETWEEN ?3 - 65536 AND ?3 AND \"end\" >= ?4))"
_Static_assert(SPAN_MAX == 65536, "the SQL above knows it");

#define JOURNAL_STATEMENTS(X)                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                            \
    X(COMMIT, "COMMIT")                                                                    \
    X(LOAD_ADD, "INSERT INTO loads(name) VALUES(?) ON CONFLICT DO NOTHING")                \
    X(LOAD_FIND, "SELECT seq FROM loads WHERE name = ?")                                   \
    X(ATTEMPT,                                                                             \
      "INSERT OR REPLACE INTO attempts(load, input, begin, \"end\", attempt, run,"         \
      " worker, started_ms, chunks) VALUES(?,?,?,?,?,?,?,?,?)")                            \
    X(ATTEMPT_END, "UPDATE attempts SET outcome = ?6, ms = ?7, peak_kb = ?8, text = ?9"    \
                   " WHERE load = ?1 AND input = ?2 AND begin = ?3 AND \"end\" = ?4"       \
                   " AND attempt = ?5")                                                    \
    X(ATTEMPT_OWN, /* of a chunk whose attempt stands in the row of its span */            \
      "INSERT OR REPLACE INTO attempts(load, input, begin, \"end\", attempt, outcome, ms," \
      " peak_kb, text, run, worker, started_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "   \
      "?9,"                                                                                \
      " run, worker, started_ms FROM attempts WHERE attempt = ?5 AND chunks > 1 "          \
      "AND " JOURNAL_OF_CHUNK " ORDER BY seq DESC LIMIT 1")                                \
    X(EVENT, "INSERT INTO events(run, at_ms, kind, text) VALUES(?,?,?,?)")                 \
    X(ATTEMPTS_OF,                                                                         \
      "SELECT max(attempt),"                                                               \
      " count(*) FILTER (WHERE outcome IN ('failed','died','timeout','bad result'))"       \
      " FROM attempts WHERE " JOURNAL_OF_CHUNK)                                            \
    X(DEATHS_OF, /* the last attempt of each run, its own row before its span's: a bare    \
                    column beside max() is its row's */                                    \
      "SELECT count(*) FROM (SELECT run, outcome, max(attempt * 2 + (chunks = 1))"         \
      " FROM attempts WHERE " JOURNAL_OF_CHUNK " GROUP BY run) a"                          \
      " JOIN runs r ON r.seq = a.run WHERE r.ended_ms IS NULL AND r.seq IS NOT ?5"         \
      " AND (a.outcome IS NULL OR a.outcome = 'ok')")

enum journal_statement {
#define X(name, sql) S_##name,
    JOURNAL_STATEMENTS(X)
#undef X
        S_N
};

struct journal {
    struct sqlite3 *db;
    struct run_lock *lock;
    struct sqlite3_stmt *q[S_N];
    char lock_key[HASH_HEX];
    char note[1024];
    int64_t run;             // seq of the run that is going on, 0: none
    int64_t attempts_before; // highest attempts.seq when it began
    struct buf queue;        // of struct entry, each followed by its texts
    size_t last_attempt;     // in the queue: the entry that spans.last is written by
    struct spans spans;
    bool has_live;  // the table is there
    bool has_stats; // those of journal_stats are
    bool has_retired;
    char *load_name; // whose seq is known
    int64_t load_seq;
};

// Takes one step of a statement that returns no rows.
err_t journal_step(struct journal *j, enum journal_statement what, struct err *e);
// Commits when rc is ERR_OK, otherwise rolls back and returns rc.
err_t journal_finish(struct journal *j, err_t rc, struct err *e);

#endif
