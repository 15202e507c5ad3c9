// source - where chunks come from. A source is used by one thread (the source thread of the
// run) and hands over chunks that own themselves.
//
// csv, lines, jsonl: regular files are cut by reference (the chunk says where its bytes
// are); stdin and compressed files are cut by value (the chunk holds its bytes, CSV_PAD
// bytes readable before and past them).
// sqlite: chunks hold rows (common/row_code), in ranges of their numbers; of a whole table
// they are ranges of its rowids, by reference, if every row has one (source_table.c).
// postgres: chunks hold rows like those of sqlite; several connections may fetch them.
// range: chunks are numbers of rows and hold nothing.

#ifndef COORDINATOR_SOURCE_H
#define COORDINATOR_SOURCE_H

#include "common/batch.h"
#include "common/csv.h"
#include "common/extent.h"
#include "common/hash.h"
#include "common/job.h"
#include "common/rejects.h"
#include "coordinator/range.h"

#include <stdatomic.h>
#include <sys/types.h>

struct source_input { // one file, stdin, or the rows of something else
    char *name;       // as shown and as kept in the ledger: the path as given, or "-"
    char *path;       // absolute; NULL for stdin
    bool by_value;    // stdin, a fifo, .gz, .zst
    bool in_rows;     // begin, end and size are numbers of rows or rowids, and no line is
                      // counted
    dev_t dev;
    ino_t ino;
    uint64_t size;              // bytes on disk when opened; 0 for stdin
    int64_t mtime_ns, ctime_ns; // of a table: parts of `proof`, which tell as much
    struct hash128 proof;       // of a table that is read by reference: which state of it
    uint64_t data_begin;        // offset of the first record after BOM and header
    uint64_t header_lines;      // LFs before data_begin
    uint64_t data_end; // where the chunks of this run end: they and what is committed tile
                       // data_begin to data_end; UINT64_MAX until source_next got there
};

struct chunk_data { // what a worker needs; owned by whoever holds it
    struct range range;
    uint64_t records;      // blank lines counted
    uint64_t groups;       // of batch.by, which stay whole; 0: every record may stand alone
    uint64_t lines;        // LFs in it
    uint64_t first_line;   // physical line of its first byte, from 1
    bool unterminated;     // the last record has no line end
    bool unread;           // rows that nobody has read: the result brings their digest
    uint64_t about_bytes;  // that they probably have, then
    uint64_t first_row;    // in rows: of the first one, counted from range.begin
    struct hash128 digest; // of its bytes
    uint8_t *block;        // allocation, NULL for by-reference chunks
    uint8_t *bytes;        // into block; CSV_PAD bytes before and past them are readable
    size_t held; // bytes there: 0 by reference, else range.end - range.begin; of a
                 // bad chunk REJECT_RAW_MAX at most
};
void chunk_data_free(struct chunk_data **c);
// How many pieces it can be taken apart to.
static inline uint64_t chunk_data_parts(const struct chunk_data *c)
{
    return c->groups ? c->groups : c->records;
}

// What the ledger already has of an input: sorted by begin, not overlapping.
struct committed {
    struct range range;
    uint64_t lines;   // LFs in it
    uint64_t records; // blank lines counted
    bool unterminated;
    struct hash128 digest;
};

struct source;

// Expands globs (sorted, the same file once), opens every file, reads the headers: the
// names of all files must agree (ERR_INVALID names the two files and the first difference).
// A glob without a match, a folder, an unreadable file, one that is not text (or UTF-16, or
// ends its lines with CR only) are errors that name the path. Blank lines before a header
// are skipped; a file without any header is skipped, unless there is no other. Everything
// of `j` that is needed is copied.
MUST_CHECK err_t source_open(struct source **out, const struct job *j, struct err *e);
// The same with what a query's :watermark is (sqlite); borrowed until source_close.
MUST_CHECK err_t source_open_above(struct source **out, const struct job *j,
                                   const struct cell *watermark, struct err *e);
void source_close(struct source **s);

const struct source_input *source_inputs(const struct source *s, uint32_t *n);
const struct csv_dialect *source_dialect(const struct source *s);
const char *source_reader(const struct source *s); // the worker half: spec.reader
const char *source_query(const struct source *s);  // spec.query; NULL: none
// Column names with duplicates and empty names mended (a_2, column_3); `notes` gets one
// line a change, for the user.
MUST_CHECK err_t source_names(struct source *s, struct schema *names_as_text,
                              struct strings *notes, struct err *e);

// Samples all inputs (4 MiB in total: whole; more: in up to 64 places spread over the
// files; stdin and compressed ones from the head, which is not lost) and settles the type
// of every column that the job does not give; see infer.h for the rules. ERR_INVALID: a
// type is given for a column that is not there. `trial` gets up to 256 KiB of whole records
// from the head, for trying transforms (no padding). estimate_rows: exact if everything was
// read; stdin past the sample counts nothing. Before the first source_next.
MUST_CHECK err_t source_infer(struct source *s, const struct job *j, struct schema *out,
                              struct buf *trial, uint64_t *estimate_rows, struct err *e);

// What a chunk counts as where batches are cut by bytes.
uint64_t source_chunk_bytes(const struct source *s, const struct chunk_data *c);

// A part of csv, lines or jsonl for a trial: about `bytes` of whole records (at most
// EXCERPT_BYTES_MAX), a third each from head, middle and tail of all plain files, written
// to fd; without plain files from the heads of the compressed ones. No header. After
// source_infer, before source_next. Records of more than 8 MiB are left out.
enum { EXCERPT_PIECES = 256, EXCERPT_BYTES_MAX = 64 << 20 };
struct excerpt {
    struct excerpt_piece {
        uint32_t input;
        uint64_t from, at; // offsets in the input, and in the excerpt
    } v[EXCERPT_PIECES];
    size_t n;
    uint64_t bytes;
    uint64_t unpacked;     // decompressed bytes that were read ...
    double unpack_seconds; // ... in this time
};
MUST_CHECK err_t source_excerpt(struct source *s, uint32_t n_columns, uint64_t bytes,
                                int fd, struct excerpt *out, struct err *e);
// Where a byte of it came from; false: from nowhere.
bool excerpt_origin(const struct excerpt *x, uint64_t at, uint32_t *input, uint64_t *byte);

// What the samples of source_infer said of each column; lives as long as the source.
struct infer_column;
const struct infer_column *source_evidence(const struct source *s, uint32_t *n);
// With job.closely, of each column of csv and jsonl: how far its values reach, and where
// the value stands that made it what it is (infer_column.because). NULL: not looked at.
struct column_extent {
    struct extent values;
    bool placed; // input and byte are known
    uint32_t input;
    uint64_t byte; // of its record
};
const struct column_extent *source_extents(const struct source *s);

// After source_infer, before anything is written: whoever reads what the job loads into
// takes its rows out of the way. ERR_FULL: no space for them.
MUST_CHECK err_t source_settle(struct source *s, struct err *e);

// Tells the source what is committed already; for each input at most once, before the first
// next. `c` is copied. With same_file = false (size, inode or mtime differ) every committed
// range is read and compared with its digest: ERR_CHANGED names file and byte range. Of
// by-value inputs that happens in source_next, while the stream passes by. A file that is
// shorter than what is committed, or grew after an unterminated last record, is ERR_CHANGED
// too. source_next then plans the gaps only, and each must end where a record ends.
MUST_CHECK err_t source_skip(struct source *s, uint32_t input, const struct committed *c,
                             size_t n, bool same_file, struct err *e);

// The next chunk in input order of about *target bytes (read each time: it may be tuned
// meanwhile), or of exactly batch.rows rows. NULL in *out: the end. ERR_CHANGED: a file was
// truncated, replaced or written anew during the run, a compressed one is damaged.
// ERR_PARSE: a quote that is never closed or an endless record (records before it came as a
// chunk): *bad gets the chunk from that record to the end of its input as one record, with
// its first bytes by value and marked unterminated; the next call goes on with the next
// input. After any other error only source_close is left to do. What is appended to a file
// after source_open is not read in this run. If the size seen there is within a record and
// the file has grown since, that record is left to a later run (data_end says so); if it
// has not, the record is taken as it is.
MUST_CHECK err_t source_next(struct source *s, const _Atomic uint64_t *target_bytes,
                             struct chunk_data **out, struct chunk_data **bad,
                             struct err *e);

// From any thread: a source_next that waits for stdin or a fifo, now or later, ends with
// ERR_CLOSED.
void source_stop(struct source *s);

// Reads a range of a by-reference input again, through a descriptor of its own; may be
// called from other threads than source_next's. halves = false: out[0] holds the bytes.
// halves = true: cut at the record boundary nearest the middle, by reference; out[1] is
// NULL when there is one record. ERR_CHANGED: the bytes do not have `digest` any more.
// ERR_TOOBIG: the range has 4 GiB or more.
MUST_CHECK err_t source_reread(const struct source *s, struct range r, uint64_t first_line,
                               struct hash128 digest, bool halves,
                               struct chunk_data *out[2], struct err *e);
// The same for a chunk whose bytes are at hand: the halves hold copies. A bad chunk comes
// back as it is.
MUST_CHECK err_t source_halve(const struct source *s, const struct chunk_data *c,
                              struct chunk_data *out[2], struct err *e);

// A record of a chunk that holds its bytes, as a person shall see it: appended to `to`, and
// *at (0 at first) moves to the next one. A chunk of text is taken as one record, without
// its line end.
MUST_CHECK err_t source_show(const struct source *s, const struct chunk_data *c, size_t *at,
                             struct buf *to, struct err *e);

#endif
