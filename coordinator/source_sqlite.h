// source_sqlite - what the files of the sqlite source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_SQLITE_H
#define COORDINATOR_SOURCE_SQLITE_H

#include "coordinator/source_groups.h"
#include "coordinator/source_impl.h"

#include <sqlite3.h>

struct by_rowid; // source_table.c

struct sqlite_source {
    // Appends the next row; *got = false: there is none any more.
    err_t (*step)(const struct source *s, struct buf *to, bool *got, struct err *e);
    sqlite3 *db;
    sqlite3_stmt *st;
    uint32_t n_cols;        // of the user's
    uint32_t lead;          // values of a row before those: 1 if the first is its rowid
    struct by_rowid *table; // NULL: rows are numbered as they come
    const char *why_not;    // a whole table is not read by rowids, static; NULL: it is
    struct hash128 proof;   // of the state that is read
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
// Makes a chunk of n bytes of rows, which are copied.
MUST_CHECK err_t sqlite_source_chunk(struct range r, uint64_t groups, const uint8_t *p,
                                     size_t n, struct chunk_data **out, struct err *e);
MUST_CHECK err_t sqlite_source_show(const struct source *s, const struct chunk_data *c,
                                    size_t *at, struct buf *to, struct err *e);
// The ledger's ranges must be in order; *out is a copy of them (malloc).
MUST_CHECK err_t sqlite_source_take_done(const struct source *s, const struct committed *c,
                                         size_t n, struct committed **out, struct err *e);

// ---- source_table.c: by rowids ----

// In the read transaction. Sets s->own's table if every row has a rowid that can be a
// position, or why_not.
MUST_CHECK err_t source_table_open(struct source *s, const char *name, struct err *e);
const char *source_table_query(const struct by_rowid *t); // what gives the rows of a range
// The source is a table indeed: its statement stands. Takes over what is done with chunks.
MUST_CHECK err_t source_table_begin(struct source *s, struct err *e);
// So many rows were sampled from its beginning. How many it has, about.
uint64_t source_table_sampled(struct source *s, uint64_t rows);
void source_table_close(struct by_rowid *t);

// Steps once, and appends the row. *got = false: there is none any more.
MUST_CHECK err_t sqlite_source_step(const struct source *s, struct buf *to, bool *got,
                                    struct err *e);
// Moves *at past a row that this program encoded itself.
void sqlite_source_skip_row(const struct sqlite_source *q, const struct buf *b, size_t *at);

#endif
