// arrow - batches to and from the Arrow C Data Interface
// (arrow.apache.org/docs/format/CDataInterface.html), for plugins.
//
// What comes back is hostile: every struct, length, offset, format and text is checked
// before it is used. What can't be checked is how large a buffer is: who lies about that
// crashes.
//
//   arrow_schema   schemas, both ways
//   arrow_export   a batch, lent to the plugin
//   arrow_import   what a plugin gives, as a batch
//   arrow_column   one column of it
//
// Out: INTEGER l, REAL g, BOOLEAN b, texts u; an ANY column of the schema is u, its numbers
// as text; where reads[i] is TRANCHE_READ_TIME, DATE tdD and TIMESTAMP tsu:. Values,
// offsets, bytes and bitmaps are lent as they stand; BOOLEAN, ANY and columns that nobody
// asked for are made. What does not fit its column's type is an error.
//
// In: see the list at arrow_schema_read. l, g, u and U are taken as they stand where
// Arrow's layout is ours (aligned; U without its wider offsets); bitmaps are copied, the
// rest is converted. Dates and times become ISO 8601 text; NaN becomes NULL; infinity is
// refused.

#ifndef WORKER_ARROW_H
#define WORKER_ARROW_H

#include "common/batch.h"
#include "worker/plugin.h"

enum arrow_kind {
    ARROW_NULL,
    ARROW_BOOL,
    ARROW_INT8,
    ARROW_UINT8,
    ARROW_INT16,
    ARROW_UINT16,
    ARROW_INT32,
    ARROW_UINT32,
    ARROW_INT64,
    ARROW_UINT64,
    ARROW_FLOAT,
    ARROW_DOUBLE,
    ARROW_UTF8,
    ARROW_LARGE_UTF8,
    ARROW_BINARY,
    ARROW_LARGE_BINARY,
    ARROW_DATE_DAYS,
    ARROW_DATE_MS,
    ARROW_TIME_S,
    ARROW_TIME_MS,
    ARROW_TIME_US,
    ARROW_TIME_NS,
};

struct arrow_column {
    char name[128];         // for messages, cut
    enum arrow_kind kind;   // of the values, or of the indices of a dictionary ...
    enum arrow_kind values; // ... of these
    bool dictionary;
    bool zone; // a time that has one is in UTC
};

struct arrow_layout { // how the columns of a plugin's result come
    struct arrow_column *col;
    uint32_t n;
};
void arrow_layout_free(struct arrow_layout *l); // leaves a valid empty layout

// ---- schemas ----

// Owns everything by itself.
MUST_CHECK err_t arrow_schema_write(const struct schema *s, struct ArrowSchema *out,
                                    struct err *e);
// A struct (+s) of 1 to SCHEMA_MAX_COLUMNS named columns of flat types: n b c C s S i I l L
// f g u U z Z tdD tdm tss tsm tsu tsn, or a dictionary of u or U. ERR_TRANSFORM with the
// reason. Integers become INTEGER, f and g REAL, b BOOLEAN, dates DATE, times TIMESTAMP,
// text and dictionaries TEXT, z Z and n ANY. `s` stays the caller's, to be released.
MUST_CHECK err_t arrow_schema_read(const struct ArrowSchema *s, struct schema *out,
                                   struct arrow_layout *layout, struct err *e);
static inline void arrow_schema_release(struct ArrowSchema *s) // copes with one released
{
    if (s->release) s->release(s);
}

// ---- batches ----

// What is lent; lives until the plugin has given back everything.
struct arrow_loan;
// Lends `b` (columns where reads[i] is 0 as NULL) in `out`, whose structs and made buffers
// live in `mem`, the rest in b. ERR_TRANSFORM: a value does not fit. ERR_TOOBIG: more than
// 2 GiB of text in a column, which int32 offsets cannot tell.
MUST_CHECK err_t arrow_lend(const struct schema *s, const struct batch *b,
                            const unsigned char *reads, struct arena *mem,
                            struct ArrowArray *out, struct arrow_loan **loan,
                            struct err *e);
// Ends the loan; false: the plugin still holds something of it (and the loan's counter
// stays, so that a late release does no harm).
bool arrow_loan_end(struct arrow_loan **loan);

// `out` is started with the schema that arrow_schema_read gave, and points into `a`
// afterwards, which must live as long. ERR_TRANSFORM with column, row and reason: nothing
// of it may be used.
MUST_CHECK err_t arrow_read(const struct arrow_layout *layout, const struct ArrowArray *a,
                            struct batch *out, struct err *e);
static inline void arrow_release(struct ArrowArray *a) // copes with one released
{
    if (a->release) a->release(a);
}

// ---- between the files of this module ----

struct arrow_reader { // one column on its way in
    const struct arrow_column *c;
    const struct ArrowArray *a;
    uint64_t first; // row of the column's buffers where the batch begins
    uint32_t rows;
    struct arena *mem; // of the batch
    struct vec *v;
    struct err *e;
};
MUST_CHECK err_t arrow_column_read(struct arrow_reader *r);
// ERR_TRANSFORM "the plugin's column 'x': ...".
err_t arrow_wrong(const struct arrow_reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int arrow_buffers(enum arrow_kind k); // how many an array of that kind has
// Text of dates and times; false: not within the years 1 to 9999.
enum { ARROW_MOMENT_MAX = 31 };
bool arrow_moment(enum arrow_kind k, bool zone, int64_t v, char out[ARROW_MOMENT_MAX],
                  uint32_t *n);
// The other way: of a date its day, of a timestamp its microseconds in UTC (as if it were
// there, without a time zone). False: it is none, or finer than microseconds.
bool arrow_moment_read(bool is_date, const uint8_t *p, size_t n, int64_t *out);

#endif
