// fetch - reads chunks of files again, for workers that do not see the files, and pieces of
// the job's files, and packs (zstd) what goes over slow lines: in a thread of its own, and
// never more at a time than fits its memory.
//
// What is asked first comes first. A chunk counts from the moment it is read until
// fetched_free, wherever it is then: in the queue here, or on its way through the network.

#ifndef COORDINATOR_FETCH_H
#define COORDINATOR_FETCH_H

#include "coordinator/source.h"
#include "proto/file_set.h"
#include "proto/line.h"

struct fetch;

struct fetched { // a question, and later its answer
    struct fetched *next;
    struct range range;
    uint64_t first_line;
    uint64_t about; // bytes that it has, or is believed to have
    struct hash128 digest;
    uint64_t chunk, sid; // the caller's, to know what it was for
    uint32_t attempt;
    struct job_file *file; // NULL: a chunk; else a piece of this file is asked for, which
                           // is the fetch's to look at until fetch_close
    uint32_t number;       // of the file, the caller's
    uint64_t at;           // where the piece begins
    uint32_t bytes;
    const struct chunk_data *held; // of a chunk whose bytes are there: it is only packed;
    void *lent;                    // for work_return, when that is done
    bool pack;                     // if that makes it smaller
    struct chunk_data *data;       // what `p` stands in
    uint8_t *piece;                // the same
    // the answer
    const uint8_t *p; // ERR_OK: the bytes, whose XXH3 is `digest`
    size_t n;
    size_t unpacked; // 0, or `p` is packed and had so many bytes
    err_t code;      // ERR_CHANGED: the input, or the file
    struct err e;
    struct fetch *fetch;
    uint64_t counted;
};

// At least one chunk is read at a time, however large. The source must outlive it.
MUST_CHECK err_t fetch_start(struct fetch **out, const struct source *s,
                             uint64_t memory_bytes, struct err *e);
MUST_CHECK err_t fetch_ask(struct fetch *f, const struct fetched *what, struct err *e);
struct fetched *fetch_next(struct fetch *f); // an answer, or NULL. From fetch_ask's thread
void fetch_meter(struct fetch *f, struct pack_meter *out); // how packing went so far
int fetch_fd(const struct fetch *f);                       // readable: there may be one
void fetched_free(struct fetched **x);                     // from any thread
// Ends the thread. What was answered lives on until fetched_free.
void fetch_close(struct fetch **f);

#endif
