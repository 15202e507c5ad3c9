// cache - files of jobs on this host's disk, by digest; shared by the workers of one user.
//
//   FOLDER/DIGEST        a verified file, read-only (DIGEST-x: a program)
//   FOLDER/part-*        one that is on its way to a worker
//   FOLDER/job-*/NAME    what a running worker uses: hard links, so that nothing that is in
//                        use goes away when the name above is thrown out
//
// What belongs to no living worker (its lock is free) is removed by the next one. Names
// come and go under our feet, and every step copes with it. Times of last use are mtimes.

#ifndef WORKER_CACHE_H
#define WORKER_CACHE_H

#include "proto/file_set.h"

#include <limits.h>

struct cache {
    char dir[PATH_MAX - 400]; // the folder
    char job[PATH_MAX - 300]; // our own in it
    int fd, job_fd;           // of both; -1: closed
    uint64_t max_bytes;
    bool no_exec; // programs cannot be run from there
};

// $TRANCHE_HOME/cache/files, else tranche/files in $XDG_CACHE_HOME, $HOME/.cache or, if
// there is neither (or the home is another user's), $TMPDIR. Made when it is missing;
// ERR_INVALID: somebody else may write there, or put another folder in its place.
MUST_CHECK err_t cache_open(struct cache *c, uint64_t max_bytes, struct err *e);
void cache_close(struct cache *c); // removes what cache_take gave

enum { CACHE_PATH = PATH_MAX };
// A link of ours to the file with f's digest, called f->name or, if another one is called
// so, NUMBER-name. False: it is not there. It was verified when it came.
bool cache_take(struct cache *c, const struct job_file *f, uint32_t number,
                char path[CACHE_PATH]);
void cache_spoilt(struct cache *c, const struct job_file *f, const char *path); // forget it

struct cache_part { // a file on its way
    int fd;         // -1: none
    char name[64];
};
// Room is made by throwing out what was not used for longest, but for files in use.
MUST_CHECK err_t cache_begin(struct cache *c, const struct job_file *f,
                             struct cache_part *part, struct err *e);
// ERR_FULL: the disk is, and nothing is left to throw out.
MUST_CHECK err_t cache_write(struct cache *c, struct cache_part *part, const void *p,
                             size_t n, uint64_t at, struct err *e);
// The whole file is there and has f's digest: durable, then visible to all.
MUST_CHECK err_t cache_commit(struct cache *c, struct cache_part *part,
                              const struct job_file *f, struct err *e);
void cache_drop(struct cache *c, struct cache_part *part);

#endif
