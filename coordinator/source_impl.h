// source_impl - what the files of the csv source share; nobody else includes it.

#ifndef COORDINATOR_SOURCE_IMPL_H
#define COORDINATOR_SOURCE_IMPL_H

#include "common/csv_split.h"
#include "coordinator/infer.h"
#include "coordinator/source.h"
#include "coordinator/source_stream.h"

enum {
    READ_BYTES = 256 << 10,     // of one read; half of a usual L2 cache
    HEADER_BYTES_MAX = 1 << 20, // of a header record
    SNIFF_BYTES = 64 << 10,     // looked at to tell text from other things
    TARGET_MAX = 1 << 30,       // of a chunk; csv_read_chunk takes less than 4 GiB
};

struct input_more {         // what outsiders need not see of an input
    struct stream *kept;    // stdin or a fifo, open since source_csv_open
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

struct source {
    struct source_input *in;
    struct input_more *more;
    uint32_t n;
    struct csv_dialect dialect;
    struct strings nulls;
    enum job_header header;
    struct strings names; // as in the header, not mended
    struct infer_column *evidence;
    uint32_t n_evidence;
    struct cutter cut;
    int stop_fd; // source_stop
};

// Whether the open file is still the one that source_csv_open saw: ERR_CHANGED if not.
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

void cutter_close(struct cutter *c);

#endif
