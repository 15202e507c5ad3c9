// source_files - from what the user wrote to the list of files that are read.

#ifndef COORDINATOR_SOURCE_FILES_H
#define COORDINATOR_SOURCE_FILES_H

#include "common/err.h"
#include "common/job.h"

struct source_file {
    char *name; // as shown and kept in the ledger; "-" for stdin
    char *path; // absolute; NULL for stdin
};

struct source_files {
    struct source_file *v;
    size_t n;
};

// Globs as glob(3) with each one's matches sorted bytewise; a path that exists as written
// is taken as it is, whatever characters it has. The order of the list is kept, the same
// file comes once, under its first name. ERR_INVALID: an empty list, a glob without a
// match, stdin twice.
MUST_CHECK err_t source_files_expand(const struct strings *written,
                                     const struct strings *resolved,
                                     struct source_files *out, struct err *e);
void source_files_free(struct source_files *f);

#endif
