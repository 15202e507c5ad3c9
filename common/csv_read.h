// csv_read - parses chunks of whole records into typed columns.
//
// Two stages: csv_scan gives an index of all field ends of a block of rows; then the wanted
// columns are converted one at a time. Rows that break the rules never stop the chunk: they
// become rejects, in the order of the input.
//
// A row is rejected when it has another number of fields than the schema, a field is longer
// than CSV_FIELD_MAX, its bytes hold NUL or are not UTF-8 (all its bytes, wanted or not),
// its quotes are still open at the end of the chunk, or a wanted value does not fit a type
// that the user gave: the first such column is named. A value that does not fit an inferred
// type is a misfit: kept as text.
//
// What fits (anything else does not):
//   integer    -?[0-9]+ without leading zeros or "-0", within int64: text -> value -> text
//              gives the same bytes. For a given type leading zeros, "+" and spaces around
//              are accepted too (of reals as well).
//   real       finite decimal numbers: digits with an optional point, optional exponent.
//              Inferred columns take only numbers of at most 17 significant digits.
//              Correctly rounded (equal to strtod in the C locale).
//   boolean    true false t f yes no y n 1 0, any case
//   date       YYYY-MM-DD, a real day of the Gregorian calendar
//   timestamp  date, space or T, HH:MM[:SS[.fraction]], optional Z or +-HH[:MM]
//   text       everything

#ifndef COMMON_CSV_READ_H
#define COMMON_CSV_READ_H

#include "common/batch.h"
#include "common/csv.h"
#include "common/rejects.h"

struct csv_reader;

struct csv_read_pos { // where a chunk stands
    uint64_t byte;    // offset of its first byte in the input
    uint64_t line;    // physical line of its first byte, from 1
};

struct csv_read_stats {
    uint64_t rows; // records, blank lines not counted = parsed + rejected
    uint64_t parsed;
    uint64_t rejected;
    uint64_t blank;   // blank lines skipped
    uint64_t misfits; // values kept as text
};

// `want` has schema->n entries; NULL: every column. Dialect, schema and want are copied.
// ERR_INVALID: delimiter or quote that csv.h does not allow or that is not ASCII, no
// column, a column of TYPE_ANY.
MUST_CHECK err_t csv_reader_new(struct csv_reader **out, const struct csv_dialect *d,
                                const struct schema *schema, const bool *want,
                                struct err *e);
void csv_reader_free(struct csv_reader **r);

// Parses a whole chunk of n < 4 GiB bytes; CSV_PAD bytes before p and past p + n must be
// readable. `out` is started anew; unwanted columns stay absent. Appends to `rejects`;
// *stats are of this chunk alone. The batch's misfits point into p. Errors: ERR_NOMEM,
// ERR_TOOBIG only.
MUST_CHECK err_t csv_read_chunk(struct csv_reader *r, const uint8_t *p, size_t n,
                                struct csv_read_pos pos, struct batch *out,
                                struct rejects *rejects, struct csv_read_stats *stats,
                                struct err *e);

// One record to fields, unquoted: for headers, samples and lookup tables. *used: the bytes
// of the record with its line end, 0 when no record ends within n and !last. Fields are
// copied into `mem` and NUL-terminated. A blank line is one empty unquoted field; quotes
// still open at the end of the input end there. p needs no padding. Errors: ERR_NOMEM only.
struct csv_value {
    const char *p;
    size_t n;
    bool quoted; // it began with a quote
};
MUST_CHECK err_t csv_read_record(const struct csv_dialect *d, const uint8_t *p, size_t n,
                                 bool last, struct arena *mem, struct csv_value **fields,
                                 size_t *n_fields, size_t *used, struct err *e);

// Whether a text fits a type as an inferred (given = false) or given column takes it.
bool csv_value_fits(enum type t, bool given, const char *p, size_t n);

#endif
