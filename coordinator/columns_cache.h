// columns_cache - what a worker said of the columns that a job's transforms give, beside
// the results of batches in .tranche/cache: the next run of the job does not have to try
// them.
//
// The name is XXH3-128 of what the worker was asked (the spec without limits, which has
// programs and plugins by their bytes, and the sample of the input) and tranche's version.
// A file is believed only if the digest in it fits.

#ifndef COORDINATOR_COLUMNS_CACHE_H
#define COORDINATOR_COLUMNS_CACHE_H

#include "proto/spec.h"

// The request as it is sent to a worker.
MUST_CHECK err_t columns_cache_name(const struct spec *request, const struct buf *sample,
                                    struct hash128 *name, struct err *e);
// True: *answer, the caller's to free, is what was kept. Its file counts as used now.
bool columns_cache_take(const char *state_dir, struct hash128 name, struct spec *answer);
// What cannot be kept is asked again.
void columns_cache_keep(const char *state_dir, struct hash128 name,
                        const struct spec *answer);

#endif
