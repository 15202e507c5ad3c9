// csv_split - cuts a byte stream into chunks of whole records, exactly.
//
// Fed with the stream piece by piece, of any sizes; the answer does not depend on how the
// stream was cut into pieces. Counts records and physical lines on the way.

#ifndef COMMON_CSV_SPLIT_H
#define COMMON_CSV_SPLIT_H

#include "common/csv_scan.h"
#include "common/err.h"

struct csv_cut {         // one chunk of whole records
    uint64_t begin, end; // byte offsets in the stream
    uint64_t records;    // records in it, blank lines counted
    uint64_t blank;      // of these, as csv_split.blank_lines says
    uint64_t lines;      // LFs in it, those inside quotes too
    bool unterminated;   // the last record has no line end (only at the end of the stream)
};

enum csv_blank {         // what csv_split_feed_records does not count
    CSV_BLANK_IS_ROW,    // nothing
    CSV_BLANK_EMPTY,     // records of no bytes but their line end
    CSV_BLANK_OF_SPACES, // or of spaces and tabs
};

struct csv_split {
    struct csv_scan scan;
    enum csv_blank blank_lines; // may be set after csv_split_init
    bool text_seen;             // the record being read is no blank line
    uint64_t offset;            // of the next byte to feed
    struct csv_cut open;        // the chunk being collected
    uint64_t record_begin;      // offset of the record being read
    uint64_t record_line_delta; // LFs since open.begin before that record
    uint64_t quote_at;          // offset of the quote that opened the field being read
    uint64_t quote_line;        // LFs before it since the stream's start (as told to _init)
    uint64_t lines_before;      // LFs before open.begin
};

// `offset` must be a record boundary (0, after a header, or the end of an earlier cut);
// `lines` the LFs before it.
void csv_split_init(struct csv_split *s, const struct csv_dialect *d, uint64_t offset,
                    uint64_t lines);

// Feeds bytes until a record ends at or past `target` bytes of chunk, or the bytes are used
// up. *used says how many were taken (feed the rest again). True: *cut is a finished chunk
// that ends right after the last byte taken. 64 bytes past p + n must be readable.
// ERR_PARSE: a record is longer than CSV_RECORD_MAX; the sentence names the byte of the
// quote that was opened and never closed, or of the record's start. The records before it
// are still to be had from csv_split_before_bad.
MUST_CHECK err_t csv_split_feed(struct csv_split *s, const uint8_t *p, size_t n,
                                uint64_t target, size_t *used, bool *cut_found,
                                struct csv_cut *cut, struct err *e);

// The same, but until the chunk has `records` records that are no blank lines, or a record
// ends at or past `most_bytes` of it.
MUST_CHECK err_t csv_split_feed_records(struct csv_split *s, const uint8_t *p, size_t n,
                                        uint64_t records, uint64_t most_bytes, size_t *used,
                                        bool *cut_found, struct csv_cut *cut,
                                        struct err *e);

// The stream is over: false when nothing was open. A record without a line end is whole
// here, unless it is inside quotes: then ERR_PARSE as above.
MUST_CHECK err_t csv_split_finish(struct csv_split *s, bool *cut_found, struct csv_cut *cut,
                                  struct err *e);

// After ERR_PARSE: the whole records before the bad one (false: none), and where the bad
// record begins.
bool csv_split_before_bad(const struct csv_split *s, struct csv_cut *cut,
                          uint64_t *bad_begin);

#endif
