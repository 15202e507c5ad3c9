// cache_files - the files in .tranche/cache/results: results of batches, named by 32 hex
// digits (result_cache), and columns of jobs, whose names end in .columns (columns_cache).
// Each is written under a name of its own and then renamed; nothing is synced. What was
// used longest ago (by its time of change) goes first.

#ifndef COORDINATOR_CACHE_FILES_H
#define COORDINATOR_CACHE_FILES_H

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_FILES_COLUMNS ".columns"

enum { CACHE_FILE_NAME = HASH_HEX + sizeof CACHE_FILES_COLUMNS };

struct cache_file {
    char name[CACHE_FILE_NAME];
    uint64_t bytes;
    int64_t used_s;
};

// A descriptor, the caller's to close. -1: errno says why.
int cache_files_open(const char *state_dir, bool create);
// *out is the caller's to free, what was used last first. Also removes what crashes left
// under names that are none.
MUST_CHECK err_t cache_files_list(int dir, struct cache_file **out, size_t *n,
                                  struct err *e);
bool cache_files_is_result(const char *name);
// A tenth below the limit, so that it is not done for each file.
void cache_files_fit(int dir, uint64_t max_bytes);

// False: it is shorter, or cannot be read.
bool cache_files_read(int fd, void *p, size_t n);
void cache_files_touch(int fd); // it is used now
// `head` and `body` one after the other. False: errno says why, and nothing is left of it.
bool cache_files_put(int dir, const char *name, struct slice head, struct slice body);

#endif
