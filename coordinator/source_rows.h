// source_rows - what the sources share whose rows come one after another and are numbered
// as they come: chunks that hold them (common/row_code), groups, halves, resume.
//
// A resume steps the rows from the first again. Those that are committed pass by, and their
// digest says whether they are what was loaded.

#ifndef COORDINATOR_SOURCE_ROWS_H
#define COORDINATOR_SOURCE_ROWS_H

#include "coordinator/source_groups.h"
#include "coordinator/source_impl.h"

struct row_source { // the first member of s->own
    // Appends the next row; *got = false: there is none any more.
    err_t (*step)(const struct source *s, struct buf *to, bool *got, struct err *e);
    uint32_t n_cols; // of the user's
    uint32_t lead;   // values of a row before those: 1 if the first is its rowid
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

// What is needed before anything can be opened: an input of this name.
MUST_CHECK err_t rows_start(struct source *s, const char *name, struct err *e);
// Settles batch.by, once the names are known.
MUST_CHECK err_t rows_open_groups(struct source *s, const struct job *j, struct err *e);
// Rows of the head, for trying transforms.
MUST_CHECK err_t rows_trial(const struct row_source *q, struct buf *trial, struct err *e);
// Makes a chunk of n bytes of rows, which are copied.
MUST_CHECK err_t rows_chunk(struct range r, uint64_t groups, const uint8_t *p, size_t n,
                            struct chunk_data **out, struct err *e);
// The ledger's ranges must be in order; *out is a copy of them (malloc).
MUST_CHECK err_t rows_take_done(const struct source *s, const struct committed *c, size_t n,
                                struct committed **out, struct err *e);
// Moves *at past a row that this program encoded itself.
void rows_skip_row(const struct row_source *q, const struct buf *b, size_t *at);
void rows_close(struct row_source *q); // copes with one that was never started

// As in struct source_ops.
MUST_CHECK err_t rows_names(struct source *s, struct schema *names_as_text,
                            struct strings *notes, struct err *e);
MUST_CHECK err_t rows_skip(struct source *s, uint32_t input, const struct committed *c,
                           size_t n, bool same_file, struct err *e);
MUST_CHECK err_t rows_next(struct source *s, const _Atomic uint64_t *target_bytes,
                           struct chunk_data **out, struct chunk_data **bad, struct err *e);
MUST_CHECK err_t rows_reread(const struct source *s, struct range r, uint64_t first_line,
                             struct hash128 digest, bool halves, struct chunk_data *out[2],
                             struct err *e);
MUST_CHECK err_t rows_halve(const struct source *s, const struct chunk_data *c,
                            struct chunk_data *out[2], struct err *e);
MUST_CHECK err_t rows_show(const struct source *s, const struct chunk_data *c, size_t *at,
                           struct buf *to, struct err *e);

#endif
