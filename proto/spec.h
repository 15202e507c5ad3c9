// spec - everything a runner must know to turn a chunk into a result. The payload of JOB,
// and standard input of `tranche-worker --describe`.

#ifndef PROTO_SPEC_H
#define PROTO_SPEC_H

#include "common/agg.h"
#include "common/batch.h"
#include "common/buf.h"
#include "common/csv.h"
#include "common/hash.h"
#include "common/job.h"
#include "proto/file_set.h"

struct spec_param { // one value of `params:`, read from the warehouse before the run
    char *name;
    struct cell value; // text and blobs point to memory that the spec owns
};

struct spec_table { // one lookup table of `tables:`
    char *name;
    struct schema schema;
    uint8_t *csv; // the file's records, without the header; spec_decode puts CSV_PAD zero
                  // bytes after them. NULL: they stand in a file of the job
    size_t csv_bytes;
    struct hash128 digest; // of these bytes; known of tables in files only, as are
    uint32_t file;         // the number in `files`
    uint64_t file_at;      // and where the records begin there
};

struct spec {
    char *reader; // how a chunk is read: "csv", "lines", "jsonl", "range", ...; "": csv
    char *query; // of rows that are read by reference: gives those from ?1 to below ?2, the
                 // rowid first, and all rows have it; NULL: rows come without, as bytes
    struct strings fields;      // of jsonl: where each column's value stands
    char *list;                 // of jsonl: its elements are rows; NULL: lines are
    struct csv_dialect dialect; // owns its null strings and their array
    struct schema in;
    struct step *steps; // transforms in order; none: the batch goes to the sink as it is
    size_t n_steps;
    struct agg aggregate; // after the transforms; not given: none
    struct spec_param *params;
    size_t n_params;
    struct spec_table *tables;
    size_t n_tables;
    struct file_set files;     // that the steps and tables need; see file_set.h
    char *sink;                // "sqlite", "null"
    struct schema out;         // empty in a describe request: that is the question
    int64_t timeout_ms;        // of one batch
    uint64_t memory_bytes;     // of one runner: worker_memory / slots
    uint64_t result_max_bytes; // of one result
};

// Of a timeout: some 70 years, so that no sum of times overflows.
#define SPEC_TIMEOUT_MAX_MS ((uint64_t)1 << 41)

enum {
    SPEC_MAX_BYTES = 256 << 20, // encoded
    SPEC_TEXT_MAX = 1 << 20,    // one name, null string or step
    SPEC_VALUE_MAX = 32 << 20,  // one parameter
    SPEC_NULLS_MAX = 1000,
    SPEC_STEPS_MAX = 100,
    SPEC_ARGV_MAX = 1000,   // arguments of a program
    SPEC_PAIRS_MAX = 1000,  // variables of a program, arguments of a plugin
    SPEC_PLACES_MAX = 1000, // of files beside a program
    SPEC_PARAMS_MAX = 1000,
    SPEC_TABLES_MAX = 100,
    SPEC_TABLE_MAX = 64 << 20,    // bytes of a lookup table
    SPEC_TABLE_INLINE = 64 << 10, // a larger one travels as a file of the job
};

// Into `out` (emptied first). ERR_INVALID or ERR_TOOBIG says what spec_decode would refuse.
MUST_CHECK err_t spec_encode(const struct spec *s, struct buf *out, struct err *e);
// Trusts nothing. On success `out` owns everything in it (malloc) and nothing points into
// p.
MUST_CHECK err_t spec_decode(struct spec *out, const uint8_t *p, size_t n, struct err *e);
void spec_free(struct spec *s); // leaves a zeroed spec

// A schema alone, for the answer of --describe.
MUST_CHECK err_t spec_encode_schema(const struct schema *s, struct buf *out, struct err *e);
MUST_CHECK err_t spec_decode_schema(struct schema *out, const uint8_t *p, size_t n,
                                    struct err *e);

#endif
