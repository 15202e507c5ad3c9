// sqlite_image - a SQLite database of one table, built and checked by hand.
//
// Format: sqlite.org/fileformat2.html. The image holds exactly one rowid table `t`, rowids
// 1 to n in order, and nothing else: what `INSERT INTO main.x SELECT * FROM image.t` needs
// to copy raw records.

#ifndef COMMON_SQLITE_IMAGE_H
#define COMMON_SQLITE_IMAGE_H

#include "common/batch.h"
#include "common/buf.h"
#include "common/region.h"

enum { SQLITE_IMAGE_PAGE = 65536 };

// CREATE TABLE t("a" INTEGER,...): declared types as type_sqlite_decl says, names quoted.
// Appends to `out`; a NUL that is not counted follows.
MUST_CHECK err_t sqlite_image_sql(const struct schema *s, struct buf *out, struct err *e);

struct sqlite_image; // keeps what does not change between batches of one schema
MUST_CHECK err_t sqlite_image_new(struct sqlite_image **out, const struct schema *s,
                                  uint32_t page_bytes, struct err *e);
// One whole image of the batch's rows, appended at to->p + to->n. ERR_TOOBIG: no room.
// Values: integers in the shortest form; reals that are whole numbers of at most 48 bits as
// integers when the column is REAL (what SQLite itself stores), other reals as IEEE 754;
// text as UTF-8; absent columns and NULL as NULL; -0.0 stays a real. A column of the batch
// has the table's type or is ANY: those values are stored as they are (NaN as NULL).
// ERR_INVALID: other columns than the schema's. ERR_TOOBIG also: a row over 10^9 bytes.
MUST_CHECK err_t sqlite_image_write(struct sqlite_image *im, const struct batch *b,
                                    struct region *to, struct err *e);
// The rows of `n` images that sqlite_image_check has accepted for this schema, one after
// another, as one image; else as sqlite_image_write.
MUST_CHECK err_t sqlite_image_join(struct sqlite_image *im, const struct slice *image,
                                   size_t n, struct region *to, struct err *e);
void sqlite_image_free(struct sqlite_image **im);

// Trusts nothing: header, page types, cell bounds and order, record headers, column count,
// overflow chains, every page used exactly once, the one schema row equal to `sql`. True
// means that SQLite reads `rows` complete records from it without going out of bounds.
// ERR_PROTO with the page and cell otherwise.
MUST_CHECK err_t sqlite_image_check(const uint8_t *p, size_t n, const char *sql,
                                    uint32_t n_columns, uint64_t rows, struct err *e);

#endif
