// csv - what all CSV code agrees on: the dialect, and the grammar.
//
// The grammar is the one of Python's csv module with its defaults, except that a record
// ends at LF or CR LF only (a lone CR is data):
//   - a quote opens a quoted field only as the field's first byte; anywhere else in an
//     unquoted field it is data;
//   - inside a quoted field a doubled quote is one quote, delimiters and line ends are
//   data;
//   - after the closing quote, bytes up to the delimiter are appended as data, and quotes
//     there are data too.
// Hence four states (enum csv_state). Every byte string has exactly one split into records;
// csv_scan computes it, the splitter and the reader both stand on csv_scan.
// A record of no bytes ("blank line") is skipped, unless the table has one column.
// A byte order mark at the start of a file is skipped. RFC 4180 input is a subset.

#ifndef COMMON_CSV_H
#define COMMON_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CSV_FIELD_MAX = 16 << 20,  // bytes of one field
    CSV_RECORD_MAX = 32 << 20, // bytes of one record; past it a quote was never closed
    CSV_PAD = 64,              // bytes that must be readable before and past any buffer
};

struct csv_dialect {
    uint8_t delimiter; // ',' ; not a quote, CR, LF or NUL
    uint8_t quote;     // '"' ; 0: no quoting, every quote is data
    // Fields that are NULL. NULL pointer, 0: only the unquoted empty field. A given list
    // replaces that default; its strings match unquoted fields only, except that "" in a
    // list still matches the unquoted empty field only.
    const char *const *nulls;
    size_t n_nulls;
};

enum csv_state { CSV_FIELD_START, CSV_IN_FIELD, CSV_IN_QUOTED, CSV_QUOTE_IN_QUOTED };

#endif
