// source_impl - what the kinds of sources, and the files of the text source, share; nobody
// else includes it.

#ifndef COORDINATOR_SOURCE_IMPL_H
#define COORDINATOR_SOURCE_IMPL_H

#include "common/csv_split.h"
#include "common/infer.h"
#include "coordinator/source.h"
#include "coordinator/source_stream.h"

enum {
    READ_BYTES = 256 << 10,     // of one read; half of a usual L2 cache
    HEADER_BYTES_MAX = 1 << 20, // of a header record
    SNIFF_BYTES = 64 << 10,     // looked at to tell text from other things
    TARGET_MAX = 1 << 30,       // of a chunk; csv_read_chunk takes less than 4 GiB
    RANGE_ROW_BYTES = 8,        // that a row out of nothing counts as
};

struct input_more {         // what outsiders need not see of an input
    struct stream *kept;    // stdin or a fifo, open since source_open
    struct committed *done; // sorted by begin
    size_t n_done;
};

// Where source_next stands. The open chunk's first byte is at `base` when bytes are kept
// (by value); by reference only the last read is there, all of it fed.
struct cutter {
    uint32_t input;
    struct stream *stream; // NULL: not begun
    struct csv_split split;
    struct hash_stream *hash; // of the open chunk
    uint64_t at;              // offset of the next byte to read
    uint64_t lines;           // LFs before the open chunk
    uint64_t gap_end;         // first committed byte after the gap; UINT64_MAX: none
    size_t next_done;
    bool in_gap;
    uint8_t *block; // CSV_PAD, cap bytes, CSV_PAD
    size_t cap, base, fed, have;
    struct chunk_data *bad; // waits until the records before it are taken
    struct err bad_why;
};

// One kind of source. source.h says what each function does; they are called only through
// source.c, with out parameters cleared.
struct source_ops {
    const char *reader; // the worker half
    MUST_CHECK err_t (*open)(struct source *s, const struct job *j, struct err *e);
    MUST_CHECK err_t (*names)(struct source *s, struct schema *names_as_text,
                              struct strings *notes, struct err *e);
    MUST_CHECK err_t (*infer)(struct source *s, const struct job *j, struct schema *out,
                              struct buf *trial, uint64_t *estimate_rows, struct err *e);
    // NULL: nothing is in the way of a load.
    MUST_CHECK err_t (*settle)(struct source *s, struct err *e);
    MUST_CHECK err_t (*skip)(struct source *s, uint32_t input, const struct committed *c,
                             size_t n, bool same_file, struct err *e);
    MUST_CHECK err_t (*next)(struct source *s, const _Atomic uint64_t *target_bytes,
                             struct chunk_data **out, struct chunk_data **bad,
                             struct err *e);
    MUST_CHECK err_t (*reread)(const struct source *s, struct range r, uint64_t first_line,
                               struct hash128 digest, bool halves,
                               struct chunk_data *out[2], struct err *e);
    MUST_CHECK err_t (*halve)(const struct source *s, const struct chunk_data *c,
                              struct chunk_data *out[2], struct err *e);
    // NULL: records are bytes of text.
    MUST_CHECK err_t (*show)(const struct source *s, const struct chunk_data *c, size_t *at,
                             struct buf *to, struct err *e);
    void (*close)(struct source *s); // what the kind alone knows of; copes with half of it
};

extern const struct source_ops source_csv, source_lines, source_jsonl, source_range,
    source_sqlite, source_table, source_postgres;

struct source {
    const struct source_ops *ops;
    struct source_input *in;
    uint32_t n;
    const struct cell *watermark; // of a query; NULL: there is none
    uint64_t batch_rows;          // 0: chunks are cut by bytes
    uint64_t batch_bytes_most;    // with batch_rows: no chunk is much larger
    void *own;                    // of a kind that is not text
    // Of csv, lines and jsonl:
    struct json_line *json; // of jsonl: finds the values
    struct input_more *more;
    struct csv_dialect dialect;
    struct strings nulls;
    enum job_header header;
    struct strings names; // as in the header, not mended
    bool delimiter_given;
    struct strings hints; // what source_names says first
    bool hinted_encoding;
    struct infer_column *evidence;
    uint32_t n_evidence;
    struct column_extent *extents; // NULL: not looked at
    struct cutter cut;
    int stop_fd; // source_stop
};

// Whether the open file is still the one that source_open saw: ERR_CHANGED if not.
// *grown: it has more bytes now.
MUST_CHECK err_t source_check_same(const struct source_input *in, int fd, bool *grown,
                                   struct err *e);
// stream_open of a file that was there before: ERR_CHANGED when it is no more.
MUST_CHECK err_t source_reopen(const struct source_input *in, struct stream **out,
                               struct err *e);
// Opens the input where its data begin; stdin's stream is handed over (*out owns it).
MUST_CHECK err_t source_begin(struct source *s, uint32_t input, struct stream **out,
                              struct err *e);
// XXH3 of the bytes begin to end of an open file, and the LFs in them (may be NULL).
// ERR_CHANGED: it ends before.
MUST_CHECK err_t source_digest(const struct source_input *in, int fd, uint64_t begin,
                               uint64_t end, struct hash128 *out, uint64_t *lines,
                               struct err *e);
uint64_t source_count_lf(const uint8_t *p, size_t n);
// Room for n bytes between two pads; NULL: out of memory.
uint8_t *source_block(size_t n);
// Looks at the first bytes of an input: settles data_begin and header_lines, and the header
// in `names` (empty: there is none).
MUST_CHECK err_t source_read_head(struct source *s, uint32_t input, struct stream *in,
                                  struct strings *names, struct err *e);

// Do the first bytes of an input contradict how it is read? A column that is several with
// another delimiter, and the job gives none: ERR_INVALID where the rows agree, else a hint;
// a hint for many lines that are not UTF-8. `whole`: the bytes are all.
MUST_CHECK err_t likely_delimiter(struct source *s, const char *name, struct slice head,
                                  bool whole, struct err *e);
MUST_CHECK err_t likely_encoding(struct source *s, const char *name, struct slice head,
                                 struct err *e);

// The first place in the bytes, from the middle of a text, where a record begins; 0: it is
// in doubt.
MUST_CHECK err_t source_find_record(struct source *s, uint32_t n_columns, const uint8_t *p,
                                    size_t n, size_t *at, struct err *e);

// Gives the columns the types that the job says.
MUST_CHECK err_t source_give_types(const struct job *j, struct schema *schema,
                                   struct err *e);

void cutter_close(struct cutter *c);

// ---- the text source: csv, lines, jsonl ----

MUST_CHECK err_t text_open(struct source *s, const struct job *j, struct err *e);
MUST_CHECK err_t text_names(struct source *s, struct schema *names_as_text,
                            struct strings *notes, struct err *e);
MUST_CHECK err_t text_infer(struct source *s, const struct job *j, struct schema *out,
                            struct buf *trial, uint64_t *estimate_rows, struct err *e);
MUST_CHECK err_t text_skip(struct source *s, uint32_t input, const struct committed *c,
                           size_t n, bool same_file, struct err *e);
MUST_CHECK err_t text_next(struct source *s, const _Atomic uint64_t *target_bytes,
                           struct chunk_data **out, struct chunk_data **bad, struct err *e);
MUST_CHECK err_t text_reread(const struct source *s, struct range r, uint64_t first_line,
                             struct hash128 digest, bool halves, struct chunk_data *out[2],
                             struct err *e);
MUST_CHECK err_t text_halve(const struct source *s, const struct chunk_data *c,
                            struct chunk_data *out[2], struct err *e);
void text_close(struct source *s);

// ---- what row sources share ----

// The one input of a source whose ranges count rows; `name` is copied.
MUST_CHECK err_t rows_input(struct source *s, const char *name, uint64_t rows,
                            struct err *e);

#endif
