// csv_simd - what each instruction set offers the csv modules: the grammar of csv.h as
// whole loops, so that the choice of set costs one indirect call a buffer. Private to
// csv_*.

#ifndef COMMON_CSV_SIMD_H
#define COMMON_CSV_SIMD_H

#include "common/csv_scan.h"

#define CSV_NONE SIZE_MAX

struct csv_tally {     // what a run of bytes holds; offsets from its first byte
    uint64_t ends;     // record ends
    uint64_t lfs;      // all LFs
    size_t end_at;     // the last record end (its LF); CSV_NONE
    uint64_t end_lfs;  // LFs before that byte
    size_t open_at;    // the last quote that opened a field; CSV_NONE
    uint64_t open_lfs; // LFs before it
};

enum { CSV_INDEX_SLACK = 128 }; // entries past `full` that csv_scan_ops.index may write

struct csv_index { // offsets of the bytes that end fields: delimiters and record ends
    uint32_t *at;  // room for full + CSV_INDEX_SLACK
    size_t n;
    size_t full;   // stop at n >= full
    uint64_t ends; // record ends among them
    bool plain;    // false: a byte seen was NUL or not ASCII
};

struct csv_scan_ops {
    const char *name;
    struct csv_block (*block)(struct csv_scan *s, const uint8_t *p, size_t n);
    // Overwrites *t.
    void (*tally)(struct csv_scan *s, const uint8_t *p, size_t n, struct csv_tally *t);
    // Adds the field ends in p[from .. to) to *x until it is full; returns where it
    // stopped.
    size_t (*index)(struct csv_scan *s, const uint8_t *p, size_t from, size_t to,
                    struct csv_index *x);
};

extern const struct csv_scan_ops csv_simd_scalar;
#ifdef __x86_64__
extern const struct csv_scan_ops csv_simd_avx2, csv_simd_sse2;
#endif

static inline uint64_t csv_low_bits(size_t n) // n <= 64
{
    return n >= 64 ? ~0ull : (1ull << n) - 1;
}

#endif
