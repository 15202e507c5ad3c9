// csv_scan - finds the delimiters and line ends that are outside quotes, 64 bytes at a
// time. The one implementation of the grammar in csv.h; AVX2, SSE2 or scalar, chosen once
// at run time, all equal bit for bit.

#ifndef COMMON_CSV_SCAN_H
#define COMMON_CSV_SCAN_H

#include "common/csv.h"

struct csv_block {  // bit i stands for byte i of the 64
    uint64_t delim; // delimiters that separate fields
    uint64_t end;   // LFs that end records
    uint64_t lf;    // all LFs, those inside quotes too: physical lines
    uint64_t quote; // all quote bytes
    uint64_t open;  // quotes that open a quoted field
};

struct csv_scan {
    uint8_t delimiter, quote;
    enum csv_state state; // before the next byte
    const struct csv_scan_ops *ops;
};

// Named implementations for tests and benchmarks; NULL picks the best one here.
// "avx2", "sse2", "scalar"; NULL back when this CPU cannot run it.
const struct csv_scan_ops *csv_scan_ops(const char *name);
const char *csv_scan_name(const struct csv_scan_ops *ops);

void csv_scan_init(struct csv_scan *s, const struct csv_dialect *d,
                   const struct csv_scan_ops *ops /* NULL: best */);

// Scans n bytes (n <= 64; 64 must be readable; bits past n are 0) and moves the state on.
struct csv_block csv_scan_block(struct csv_scan *s, const uint8_t *p, size_t n);

#endif
