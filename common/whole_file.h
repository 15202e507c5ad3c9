// whole_file - writes a file so that readers see all of it or what was there before.

#ifndef COMMON_WHOLE_FILE_H
#define COMMON_WHOLE_FILE_H

#include "common/err.h"

#include <stddef.h>

// Under a name of its own beside it first, synced, then renamed. Mode 0666 less the umask;
// a symbolic link is replaced, not followed. ERR_FULL, ERR_IO: nothing has changed, and the
// sentence says why; ERR_INVALID: it is no name of a file.
MUST_CHECK err_t whole_file_write(const char *path, const void *p, size_t n, struct err *e);

#endif
