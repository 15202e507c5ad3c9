// source_sqlite - what the files of the sqlite source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_SQLITE_H
#define COORDINATOR_SOURCE_SQLITE_H

#include "coordinator/source_groups.h"
#include "coordinator/source_impl.h"

#include <sqlite3.h>

struct sqlite_source {
    // Appends the next row; *got = false: there is none any more.
    err_t (*step)(const struct source *s, struct buf *to, bool *got, struct err *e);
    sqlite3 *db;
    sqlite3_stmt *st;
    uint32_t n_cols;
    struct strings names;
    int by;                // column of batch.by; -1: none
    struct groups *groups; // of batch.by
    struct buf head;       // rows that were sampled; the next of them stands at head_at
    size_t head_at;
    struct buf open; // rows of the chunk that is being made
    uint64_t open_rows, open_groups;
    struct before { // what stands before its last group
        size_t bytes;
        uint64_t rows, groups;
    } before;
    bool begins; // the last row begins that group
    uint64_t at; // number of the first of them
    bool at_end;
    struct committed *done;
    size_t n_done, next_done;
    struct hash_stream *hash; // of committed rows that pass by
};

// What SQLite said, as a sentence.
err_t sqlite_source_fail(const struct source *s, int rc, struct err *e);
MUST_CHECK err_t sqlite_source_open(struct source *s, const struct job *j, struct err *e);
void sqlite_source_close(struct source *s);
MUST_CHECK err_t sqlite_source_names(struct source *s, struct schema *names_as_text,
                                     struct strings *notes, struct err *e);
// Steps a little, keeps what it saw as `head`, and settles the types that are not given.
MUST_CHECK err_t sqlite_source_infer(struct source *s, const struct job *j,
                                     struct schema *out, struct buf *trial,
                                     uint64_t *estimate_rows, struct err *e);
// What a source of rows needs before it can open anything: an input of this name.
MUST_CHECK err_t sqlite_source_start(struct source *s, const char *name, struct err *e);
// Settles batch.by, once the names are known.
MUST_CHECK err_t sqlite_source_open_groups(struct source *s, const struct job *j,
                                           struct err *e);
// Rows of the head, for trying transforms.
MUST_CHECK err_t sqlite_source_trial(const struct sqlite_source *q, struct buf *trial,
                                     struct err *e);
// Steps once, and appends the row. *got = false: there is none any more.
MUST_CHECK err_t sqlite_source_step(const struct source *s, struct buf *to, bool *got,
                                    struct err *e);
// Moves *at past a row that this program encoded itself.
void sqlite_source_skip_row(const struct sqlite_source *q, const struct buf *b, size_t *at);

#endif
