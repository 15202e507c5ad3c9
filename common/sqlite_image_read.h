// sqlite_image_read - the rows of an image that sqlite_image_check has accepted.

#ifndef COMMON_SQLITE_IMAGE_READ_H
#define COMMON_SQLITE_IMAGE_READ_H

#include "common/buf.h"

// One row's record (sqlite.org/fileformat2.html, "Record Format"), valid during the call.
typedef err_t sqlite_image_row_fn(void *arg, struct slice record, struct err *e);

// Calls back for each row in order, until that fails. It follows the image's own numbers:
// one that was not checked may lead it anywhere.
MUST_CHECK err_t sqlite_image_each(struct slice image, sqlite_image_row_fn *fn, void *arg,
                                   struct err *e);

#endif
