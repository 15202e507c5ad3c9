// channel - what the worker's parent and a runner say to each other: fixed structs over a
// SOCK_SEQPACKET pair, bulk data in shared memory. Both ends are the same executable.

#ifndef WORKER_CHANNEL_H
#define WORKER_CHANNEL_H

#include "common/err.h"
#include "common/hash.h"
#include "proto/file_set.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    // File descriptors of a runner. The channel is there from the start, the others come
    // over it with the runner_start.
    RUNNER_FD_CHANNEL = 3,
    RUNNER_FD_SPEC = 4,   // memfd: the spec, as JOB carried it
    RUNNER_FD_INPUT = 5,  // memfd: CSV_PAD bytes, chunk bytes, CSV_PAD bytes
    RUNNER_FD_RESULT = 6, // memfd: RESULTS_PER_SLOT results, result_max_bytes apart
    RUNNER_FD_FILES = 7,  // memfd: a runner_file for each of the spec's files
    RUNNER_FD_SHARE = 8,  // memfd: a struct http_share_board, which all runners share
    RUNNER_FDS_END = 9,

    RESULTS_PER_SLOT = 4, // and a struct runner_board behind them
    RUNNER_LANES_MAX = 1000,
    TASK_PATH_MAX = 4096,

    TRAIN_MAX = 64,             // chunks that go to a runner together
    TRAIN_INPUT_MAX = 64 << 10, // bytes of them, with what stands between
};

struct runner_file {
    struct file_stamp stamp;
    bool in_place;
    char path[FILE_PATH_MAX + 1];
};

// The first packet to a runner.
struct runner_start {
    uint64_t result_max_bytes;
    uint64_t memory_bytes; // 0: no limit
    uint32_t lanes;
    uint32_t number; // of its slot
};

enum { RUNNER_NO_ROOM = UINT32_MAX };

// A chunk to work on. With several lanes it names no result region: the lane asks for one,
// and then gets a task that names lane and region and nothing else.
struct runner_task {
    uint32_t train;      // so many wagons follow in the same packet; 0: the chunk is alone
    uint64_t begin, end; // in the input: bytes, or numbers of rows
    uint64_t bytes;      // in the input memory, or of the file from `begin` on
    uint64_t first_line;
    struct hash128
        digest;        // of the chunk's bytes; of rows by reference: the state they are of
    uint64_t dev, ino; // of the file, for by-reference chunks
    uint64_t packed;   // of a by-value chunk: 0, or the bytes that it is packed into
    bool pack;         // the result, if that makes it smaller
    uint32_t lane;
    uint32_t result;          // which result region to fill; RUNNER_NO_ROOM
    char path[TASK_PATH_MAX]; // "": the bytes are in the input memory
};

// By reference, but in rows of a database: begin and end are rowids.
static inline bool runner_task_in_rows(const struct runner_task *t)
{
    return t->path[0] && t->first_line == 0;
}

// A chunk of a train: small chunks of one file, or without, that a runner with one lane
// works on one after the other, so that none of them costs a wakeup. Path, device, inode
// and result region stand in the task before them; their results share the region.
struct runner_wagon {
    uint64_t begin, end, bytes, first_line;
    struct hash128 digest;
    uint64_t input_at; // where the bytes begin in the input memory, by value
};

// How far the runner has come, for its parent to see when it died. Believed to be a number
// and nothing more: job code can write here.
struct runner_board {
    _Atomic uint32_t begun; // chunks since its start; of a runner with one lane
};

enum runner_says {
    RUNNER_OPENED,     // once, after the start: the spec is opened, or why not
    RUNNER_TAKEN,      // several lanes: the input memory is free for the next chunk
    RUNNER_WANTS_ROOM, // several lanes: for the result
    RUNNER_DONE,       // ERR_OK: image then rejects stand in the result region
    RUNNER_CRASHES,    // several lanes: in this one; its death follows
};

struct runner_done {
    enum runner_says what;
    uint32_t lane;
    err_t code;
    uint64_t rows_read, rows_parsed, rows_rejected, rows_blank, rows_emitted, misfits;
    uint64_t result_at; // in the region
    uint64_t image_bytes, rejects_bytes;
    uint64_t read_ns, parse_ns, apply_ns, encode_ns, cpu_ns;
    uint64_t packed_bytes; // 0, or what image and rejects are packed into
    uint64_t pack_ns;      // it took, also in vain
    struct hash128 payload_hash;
    struct hash128 digest; // of the bytes that were read
    char text[1024];
};
// A packet is one of these, or as many RUNNER_DONE without an error as there are, each
// without its text.
enum { RUNNER_SHORT = offsetof(struct runner_done, text) };
_Static_assert(sizeof(struct runner_done) % RUNNER_SHORT != 0, "the two can be told apart");

static inline size_t runner_results_bytes(uint64_t result_max)
{
    size_t n = (size_t)result_max * RESULTS_PER_SLOT;
    return (n + 63) / 64 * 64 + sizeof(struct runner_board);
}

static inline struct runner_board *runner_board(uint8_t *results, uint64_t result_max)
{
    return (struct runner_board *)(void *)(results + runner_results_bytes(result_max) -
                                           sizeof(struct runner_board));
}

#endif
