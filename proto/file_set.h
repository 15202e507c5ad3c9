// file_set - files that a job needs on its workers' hosts: programs, plugins, lookup
// tables. They travel beside the job, by digest; the spec carries the set.
//
// Coordinator: file_set_add a path, keep the number it gives. Runner: `path` of that number
// is a file on this host that was verified to have that digest.

#ifndef PROTO_FILE_SET_H
#define PROTO_FILE_SET_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FILE_DIGEST = 32,
    FILE_HEX = 2 * FILE_DIGEST + 1,
    FILE_NAME_MAX = 255,
    FILE_PATH_MAX = 4095,
    FILE_SET_MAX = 256,      // files of a job
    FILE_PIECE_MAX = 1 << 20 // bytes of one message
};
static const uint64_t FILE_MAX_BYTES = (uint64_t)1 << 32; // of one file

// BLAKE2b-256 (RFC 7693): what stands for a file must not be found for another one, even by
// somebody who looks for it.
struct file_digest {
    uint8_t b[FILE_DIGEST];
};
void file_hex(const struct file_digest *d, char out[FILE_HEX]);

struct file_hash; // incremental
MUST_CHECK err_t file_hash_new(struct file_hash **out, struct err *e);
void file_hash_add(struct file_hash *h, const void *p, size_t n);
struct file_digest file_hash_value(struct file_hash *h); // the end: add nothing after it
void file_hash_free(struct file_hash **h);

struct file_stamp { // equal stamps: nobody wrote to the file in between, as far as stat
                    // knows
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

struct job_file {
    char *name; // the last part of the path, without '/'
    char *path; // absolute; on the coordinator's host, in a runner on its own
    uint64_t size;
    uint32_t mode; // 0400, or 0500: it is a program
    struct file_digest digest;
    struct file_stamp stamp; // of `path`, when it had that digest; does not travel
    bool in_place;           // `path` is the user's own file: it may change (file_check)
};

struct file_set { // zero-initialised is a valid empty set
    struct job_file *v;
    size_t n;
};

// Reads the file at PATH, links followed. The same file has the same number. ERR_INVALID:
// it is no regular file, or cannot be read; ERR_TOOBIG: over FILE_MAX_BYTES or
// FILE_SET_MAX. ERR_CHANGED: somebody writes to it.
MUST_CHECK err_t file_set_add(struct file_set *s, const char *path, uint32_t *number,
                              struct err *e);
void file_set_free(struct file_set *s); // leaves a valid empty set
bool file_name_ok(const char *name, size_t n);

// The file at f->path still has its digest; read again only if its stamp differs.
// ERR_CHANGED: it has not, or is gone.
MUST_CHECK err_t file_check(struct job_file *f, struct err *e);
MUST_CHECK err_t file_stamp_fd(int fd, struct file_stamp *out, struct err *e);
bool file_same_stamp(const struct file_stamp *a, const struct file_stamp *b);
// f->path opened for reading; ERR_CHANGED: it is used in place, and not what its stamp
// says.
MUST_CHECK err_t file_open(const struct job_file *f, int *fd, struct err *e);

#endif
