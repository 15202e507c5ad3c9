// files - the job's files on this host, for its runners: one after the other, each
// verified.
//
//   in place   the coordinator's host: its own file, if it has the digest
//   elsewhere  from the cache, or else asked for in pieces and put there
//
// Nothing here waits: files_work does a bounded amount and says what is missing.

#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include "common/buf.h"
#include "common/clock.h"
#include "proto/file_set.h"

struct files;

struct files_opts {
    bool in_place;
    uint64_t cache_bytes; // the cache is kept below that
};

enum files_state {
    FILES_WORK, // call files_work again
    FILES_WAIT, // for pieces
    FILES_READY // files_list_fd is complete
};

struct files_ask {
    uint32_t file;
    uint64_t at;
    uint32_t bytes;
};

// Of the files of an encoded spec.
MUST_CHECK err_t files_new(struct files **out, struct slice spec,
                           const struct files_opts *o, struct err *e);
// Some MB of reading at most. ERR_CHANGED: a file in place has another digest by now.
MUST_CHECK err_t files_work(struct files *f, enum files_state *state, struct err *e);
bool files_next_ask(struct files *f, struct files_ask *ask); // false: enough for now
// A piece that came. One that was not asked for is ignored; `damaged` ones are asked for
// again. ERR_CHANGED: the whole has the wrong digest again and again. ERR_FULL: the disk
// is.
MUST_CHECK err_t files_take(struct files *f, uint32_t file, uint64_t at, struct slice piece,
                            bool damaged, struct err *e);
void files_ask_again(struct files *f); // what was asked for went with the session
// Or on the way: nothing was asked for, and nothing came, for so long.
void files_ask_if_lost(struct files *f, ns_t silence);
int files_list_fd(const struct files *f); // RUNNER_FD_FILES; lives as long as `f`
void files_free(struct files **f);        // and what runners use goes with it

#endif
