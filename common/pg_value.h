// pg_value - values as PostgreSQL sends them in binary (COPY ... (FORMAT binary), the *send
// functions of its source), turned into cells.

#ifndef COMMON_PG_VALUE_H
#define COMMON_PG_VALUE_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/types.h"

enum pg_kind {
    PG_OTHER, // comes as text when the server is asked to cast it
    PG_BOOLEAN,
    PG_INTEGER, // int2, int4, int8: as many bytes as it has
    PG_OID,
    PG_FLOAT4,
    PG_FLOAT8,
    PG_NUMERIC, // a real where 15 digits hold it, else its text
    PG_DECIMAL, // numeric of up to 18 digits without a fraction: an integer
    PG_DIGITS,  // numeric of more digits without a fraction: text
    PG_DATE,
    PG_TIMESTAMP,
    PG_TIMESTAMPTZ,
    PG_TEXT,
    PG_BYTES,
};

// Of a type (its OID as in pg_type) and its modifier.
enum pg_kind pg_kind_of(uint32_t oid, int typmod);
enum type pg_kind_type(enum pg_kind kind); // of a column

// The cell of n bytes; texts and blobs point into p, or into `scratch`, which is
// overwritten by the next value. Dates and timestamps are what the server would show with
// DateStyle ISO and TimeZone UTC. NaN is the text NaN: SQLite has no other. A float4 is the
// double that is written like it. ERR_PROTO: no such value.
MUST_CHECK err_t pg_value_cell(enum pg_kind kind, const uint8_t *p, uint32_t n,
                               struct buf *scratch, struct cell *out, struct err *e);

#endif
