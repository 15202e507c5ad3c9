// temp_file - a file without a name, for what does not fit into memory.

#ifndef COMMON_TEMP_FILE_H
#define COMMON_TEMP_FILE_H

#include "common/err.h"

// In $TMPDIR, else in /var/tmp or /tmp. Goes when *fd is closed.
MUST_CHECK err_t temp_file_open(int *fd, struct err *e);
// errno as an error: ERR_FULL when there is no space left, else ERR_IO; says what to do.
err_t temp_file_fail(struct err *e, const char *doing);

#endif
