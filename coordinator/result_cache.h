// result_cache - results of earlier runs, named by all that they were made from, in
// .tranche/cache/results: a chunk whose result is there is not given to any worker.
//
// The name is XXH3-128 of: the spec without limits (reader, types, transforms with their
// programs, plugins, arguments and named environment, aggregate, params, lookup tables,
// sink), the chunk's bytes, tranche's version and this file's format. Only results without
// rejected rows are kept, because rejects say where their rows stand.
//
// A file is written under a name of its own and then renamed; what is read is believed only
// if the digest in it fits. So neither a crash nor another run beside this one does harm,
// and nothing is synced.

#ifndef COORDINATOR_RESULT_CACHE_H
#define COORDINATOR_RESULT_CACHE_H

#include "coordinator/source.h"
#include "coordinator/warehouse.h"
#include "proto/spec.h"

#include <stdio.h>

struct result_cache;

struct result_cache_opts {
    const char *state_dir;
    const char *job; // its name, for `tranche cache list`
    const struct spec *spec;
    bool by_place; // chunks have no bytes but their range (source.range)
    uint64_t max_bytes;
};
MUST_CHECK err_t result_cache_open(struct result_cache **out,
                                   const struct result_cache_opts *o, struct err *e);
// Removes what was used longest ago, until the rest fits into max_bytes.
void result_cache_close(struct result_cache **c);

// False: this chunk cannot have a name (its rows are read by the workers).
bool result_cache_name(const struct result_cache *c, const struct chunk_data *d,
                       struct hash128 *name);
// True: counts and image of `r` are those of the result, and *bytes (malloc, the caller's)
// is what the image stands in. Its file counts as used now.
bool result_cache_take(struct result_cache *c, struct hash128 name, struct result *r,
                       uint8_t **bytes);
// Why the last one was not there: a literal.
const char *result_cache_missed(const struct result_cache *c);
// Any thread, one at a time. A result that was checked. What cannot be written is not kept,
// and after that nothing is any more: result_cache_why_not says why, once.
void result_cache_keep(struct result_cache *c, struct hash128 name, const struct result *r);
const char *result_cache_why_not(struct result_cache *c); // NULL: nothing new to say

// Of the spec without what does not change a row, tranche's version and the format.
MUST_CHECK err_t result_cache_spec(const struct spec *spec, struct hash128 *out,
                                   struct err *e);

struct result_cache_sum { // of one job
    char job[64];
    uint64_t results, bytes;
    int64_t used_wall_s; // last
};
// Calls back once a job, the one that was used last first.
typedef void result_cache_fn(void *arg, const struct result_cache_sum *s);
MUST_CHECK err_t result_cache_list(const char *state_dir, result_cache_fn *fn, void *arg,
                                   struct err *e);
// Removes all of them; *sum gets how many there were.
MUST_CHECK err_t result_cache_clear(const char *state_dir, struct result_cache_sum *sum,
                                    struct err *e);

#endif
