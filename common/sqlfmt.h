// sqlfmt - the corner of SQLite's file format that writer and checker of images share
// (sqlite.org/fileformat2.html, whose terms are used here). Pure arithmetic.

#ifndef COMMON_SQLFMT_H
#define COMMON_SQLFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    SQLFMT_PAGE_MIN = 512,
    SQLFMT_PAGE_MAX = 65536,
    SQLFMT_FILE_HEADER = 100, // on page 1, before its page header
    SQLFMT_LEAF = 13,         // page types of table b-trees
    SQLFMT_INTERIOR = 5,
    SQLFMT_LEAF_HEADER = 8,
    SQLFMT_INTERIOR_HEADER = 12,
    SQLFMT_LINK = 4,               // page number of the next overflow page
    SQLFMT_CELL_MIN = 4,           // a cell never takes less
    SQLFMT_MAX_DEPTH = 20,         // of a tree that SQLite walks
    SQLFMT_MAX_RECORD = 1000000000 // bytes, SQLITE_MAX_LENGTH
};

#define SQLFMT_MAGIC "SQLite format 3" // 16 bytes with the NUL

// Where things stand in the file header.
enum {
    SQLFMT_AT_PAGE_BYTES = 16, // 65536 is written as 1
    SQLFMT_AT_WRITE_VERSION = 18,
    SQLFMT_AT_READ_VERSION = 19,
    SQLFMT_AT_RESERVED = 20,
    SQLFMT_AT_FRACTIONS = 21, // always 64, 32, 32
    SQLFMT_AT_CHANGES = 24,
    SQLFMT_AT_PAGES = 28,
    SQLFMT_AT_FREELIST = 32,
    SQLFMT_AT_FREE_PAGES = 36,
    SQLFMT_AT_COOKIE = 40,
    SQLFMT_AT_SCHEMA_FORMAT = 44,
    SQLFMT_AT_CACHE = 48,
    SQLFMT_AT_VACUUM_ROOT = 52,
    SQLFMT_AT_ENCODING = 56,
    SQLFMT_AT_INCREMENTAL = 64,
    SQLFMT_AT_VALID_FOR = 92,
    SQLFMT_AT_VERSION = 96,
};

// And in a page header.
enum {
    SQLFMT_AT_TYPE = 0,
    SQLFMT_AT_FREEBLOCK = 1,
    SQLFMT_AT_CELLS = 3,
    SQLFMT_AT_CONTENT = 5, // 65536 is written as 0
    SQLFMT_AT_FRAGMENTS = 7,
    SQLFMT_AT_RIGHT = 8, // interior pages only
};

static inline uint32_t sqlfmt_get16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t sqlfmt_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void sqlfmt_put16(uint8_t *p, uint32_t v) // the low 16 bits
{
    uint16_t x = __builtin_bswap16((uint16_t)v);
    memcpy(p, &x, sizeof x);
}

static inline void sqlfmt_put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline uint32_t sqlfmt_varint_bytes(uint64_t v)
{
    uint32_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

// Ends just before `end`; returns where it begins. For values below 2^56.
static inline uint8_t *sqlfmt_varint_before(uint8_t *end, uint64_t v)
{
    *--end = v & 127;
    while (v >>= 7)
        *--end = (v & 127) | 128;
    return end;
}

static inline uint8_t *sqlfmt_varint_put(uint8_t *p, uint64_t v) // returns its end
{
    uint8_t *end = p + sqlfmt_varint_bytes(v);
    sqlfmt_varint_before(end, v);
    return end;
}

// The most payload that a leaf cell keeps without overflow pages.
static inline uint32_t sqlfmt_local_max(uint32_t page_bytes)
{
    return page_bytes - 35;
}

// How much of a payload stands in the cell; the rest is in overflow pages.
static inline uint32_t sqlfmt_local(uint32_t page_bytes, uint64_t payload)
{
    uint32_t most = sqlfmt_local_max(page_bytes);
    if (payload <= most) return (uint32_t)payload;
    uint32_t least = (page_bytes - 12) * 32 / 255 - 23;
    uint32_t k = least + (uint32_t)((payload - least) % (page_bytes - SQLFMT_LINK));
    return k <= most ? k : least;
}

static inline size_t sqlfmt_leaf_cell_bytes(uint32_t page_bytes, uint64_t payload,
                                            uint64_t rowid)
{
    uint32_t local = sqlfmt_local(page_bytes, payload);
    return sqlfmt_varint_bytes(payload) + sqlfmt_varint_bytes(rowid) + local +
           (local < payload ? SQLFMT_LINK : 0);
}

// The page that holds byte 2^30 is for file locks: no tree may use it.
static inline uint32_t sqlfmt_lock_page(uint32_t page_bytes)
{
    return (1u << 30) / page_bytes + 1;
}

static inline bool sqlfmt_page_bytes_ok(uint32_t n)
{
    return n >= SQLFMT_PAGE_MIN && n <= SQLFMT_PAGE_MAX && (n & (n - 1)) == 0;
}

#endif
