// source - where chunks come from. A source is used by one thread (the source thread of the
// run) and hands over chunks that own themselves.
//
// csv: regular files are cut by reference (the chunk says where its bytes are); stdin and
// compressed files are cut by value (the chunk holds its bytes, CSV_PAD bytes readable
// before and past them).

#ifndef COORDINATOR_SOURCE_H
#define COORDINATOR_SOURCE_H

#include "common/csv.h"
#include "common/hash.h"
#include "common/job.h"
#include "common/rejects.h"
#include "coordinator/range.h"

#include <stdatomic.h>
#include <sys/types.h>

struct source_input {    // one file or stdin
    char *name;          // as shown and as kept in the ledger: the path as given, or "-"
    char *path;          // absolute; NULL for stdin
    bool by_value;       // stdin, .gz, .zst
    dev_t dev;
    ino_t ino;
    uint64_t size;       // bytes on disk when opened; 0 for stdin
    int64_t mtime_ns;
    uint64_t data_begin; // offset of the first record after BOM and header
    uint64_t header_lines; // LFs before data_begin
};

struct chunk_data {      // what a worker needs; owned by whoever holds it
    struct range range;
    uint64_t records;    // blank lines counted
    uint64_t lines;      // LFs in it
    uint64_t first_line; // physical line of its first byte, from 1
    bool unterminated;   // the last record has no line end
    struct hash128 digest; // of its bytes
    uint8_t *block;      // allocation, NULL for by-reference chunks
    uint8_t *bytes;      // into block; range.end - range.begin bytes
};
void chunk_data_free(struct chunk_data **c);

// What the ledger already has of an input: sorted by begin, not overlapping.
struct committed {
    struct range range;
    uint64_t lines; // LFs in it
    uint64_t records; // blank lines counted
    bool unterminated;
    struct hash128 digest;
};

struct source;

// Expands globs (sorted, duplicates once), opens every file, reads the headers: the names of
// all files must agree (ERR_INVALID names the two files and the first difference). A glob
// without a match, a folder, an unreadable file are errors that name the path.
MUST_CHECK err_t source_csv_open(struct source **out, const struct job *j, struct err *e);
void source_close(struct source **s);

const struct source_input *source_inputs(const struct source *s, uint32_t *n);
const struct csv_dialect *source_dialect(const struct source *s);
// Column names with duplicates and empty names mended (a_2, column_3); `notes` gets one line
// a change, for the user.
MUST_CHECK err_t source_names(struct source *s, struct schema *names_as_text,
                              struct strings *notes, struct err *e);

// Samples all inputs (small ones whole; large ones in up to 64 places spread over the file;
// stdin and compressed ones from the head, whose bytes are kept and not lost) and settles
// the type of every column that the job does not give. `sample` gets up to 256 KiB of whole
// records from the head, for trying transforms. estimate_rows: from the sample; exact if
// everything was read.
MUST_CHECK err_t source_infer(struct source *s, const struct job *j, struct schema *out,
                              struct buf *sample, uint64_t *estimate_rows, struct err *e);

// Tells the source what is committed already; call for each input before the first next.
// Where size, inode or mtime differ from `same_file` = false, every committed range is read
// and compared with its digest: ERR_CHANGED names file and byte range. A file that grew
// after an unterminated last record is ERR_CHANGED too.
MUST_CHECK err_t source_skip(struct source *s, uint32_t input, const struct committed *c,
                             size_t n, bool same_file, struct err *e);

// The next chunk in input order of about *target bytes (read each time: it may be tuned
// meanwhile). NULL in *out: the end. ERR_CHANGED: a file was truncated or replaced during
// the run. ERR_PARSE: a quote that is never closed or an endless record: *bad gets the chunk
// of that one record (as much of it as REJECT_RAW_MAX by value, its whole range), and the
// next call goes on with the next input.
MUST_CHECK err_t source_next(struct source *s, const _Atomic uint64_t *target_bytes,
                             struct chunk_data **out, struct chunk_data **bad, struct err *e);

// Reads a range again: to split it or to write a reject. By-reference inputs only; it opens
// the file anew and may be called from another thread than source_next. With halves = true
// the range is cut at the record boundary nearest its middle into two chunks (the second is
// NULL when it has one record).
MUST_CHECK err_t source_reread(const struct source *s, struct range r, uint64_t first_line,
                               struct hash128 digest, bool halves, struct chunk_data *out[2],
                               struct err *e);
// The same for a chunk whose bytes are at hand.
MUST_CHECK err_t source_halve(const struct source *s, const struct chunk_data *c,
                              struct chunk_data *out[2], struct err *e);

#endif
