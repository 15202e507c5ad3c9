// pg_copy - rows as PostgreSQL's COPY BINARY has them (its documentation, "COPY", file
// formats), and beside them the rows that no table of PostgreSQL can take.
//
// A result is
//   u64 little-endian  bytes of the tuples
//   tuples             u16 number of columns, and for each i32 length (-1: NULL) and the
//                      value, all big-endian; neither COPY's header nor its trailer
//   refused rows       as rejects.h has them
//
// Columns: integer int8, real float8, boolean bool, date date, timestamp timestamp (without
// a zone, see pg_time.h), text and what has no type of its own text.

#ifndef COMMON_PG_COPY_H
#define COMMON_PG_COPY_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/region.h"

#include <string.h>

enum {
    PG_COPY_FRONT = 8,
    PG_COPY_MAGIC_BYTES = 11, // of the header; then come two numbers of four bytes
    PG_COPY_HEADER_BYTES = 19,
    PG_COPY_TRAILER_BYTES = 2,
};
extern const uint8_t PG_COPY_HEADER[PG_COPY_HEADER_BYTES];
extern const uint8_t PG_COPY_TRAILER[PG_COPY_TRAILER_BYTES];

// "bigint", "double precision", ...: as the server's format_type() says it.
const char *pg_copy_type(enum type t);

static inline uint16_t pg_get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t pg_get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t pg_get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline uint8_t *pg_put16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    return (uint8_t *)memcpy(p, &v, sizeof v) + sizeof v;
}

static inline uint8_t *pg_put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    return (uint8_t *)memcpy(p, &v, sizeof v) + sizeof v;
}

static inline uint8_t *pg_put64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    return (uint8_t *)memcpy(p, &v, sizeof v) + sizeof v;
}

// ---- values

// The bytes that a value of this kind takes at most, its length included.
size_t pg_copy_value_max(const struct cell *c);
// Writes it as a column of type t, with its length before it. NULL: the column can't have
// it, and *why (WHY_MAX bytes) says so.
enum { PG_COPY_WHY_MAX = 160 };
uint8_t *pg_copy_put(uint8_t *p, enum type t, const struct cell *c,
                     char why[PG_COPY_WHY_MAX]);

// ---- batches to results

struct pg_copy_writer;
MUST_CHECK err_t pg_copy_writer_new(struct pg_copy_writer **out, const struct schema *s,
                                    struct err *e);
void pg_copy_writer_free(struct pg_copy_writer **w);
// Appends one result. ERR_TOOBIG: it does not fit; to->n is unchanged.
MUST_CHECK err_t pg_copy_write(struct pg_copy_writer *w, const struct batch *b,
                               struct region *to, struct err *e);

// ---- results to tuples

struct pg_copy { // points into the result
    struct slice tuples, refused;
};

// ERR_PROTO: these are not exactly `rows` tuples of the schema and refused rows.
MUST_CHECK err_t pg_copy_check(const uint8_t *p, size_t n, const struct schema *s,
                               uint64_t rows, struct err *e);
// Of a result that was checked.
struct pg_copy pg_copy_parts(const uint8_t *p, size_t n);
// Past the tuple that stands at `at`, of checked tuples.
const uint8_t *pg_copy_skip(const uint8_t *at);
// One of its columns; dates and timestamps as text in `room`.
struct cell pg_copy_cell(const struct schema *s, const uint8_t *tuple, uint32_t column,
                         char room[40]);
// The tuple as a line of CSV, NULL as the empty field.
MUST_CHECK err_t pg_copy_csv(const struct schema *s, const uint8_t *tuple, struct buf *out,
                             struct err *e);
// A value as a field of it.
MUST_CHECK err_t pg_copy_field(const struct cell *c, struct buf *out, struct err *e);

#endif
