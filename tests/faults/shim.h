// shim - stands between a program and the C library (LD_PRELOAD), and lets calls fail or
// writes down what reaches the disk. 64-bit Linux only.
//
// FAULT_ROLE    coordinator, worker, runner or describe: the processes it is for
// FAULT_CALL    which call, a name of SHIM_CALLS
// FAULT_AT      the number of the first one that fails (from 1)
// FAULT_COUNT   how many fail from there (1; 0: all that follow)
// FAULT_EVERY   instead: each call whose number this divides
// FAULT_ERROR   EIO, ENOSPC, ENOMEM, EINTR, EMFILE, or SHORT: half of it is done (EIO)
// FAULT_STACK   count only calls from this place (a hash that a survey gave)
// FAULT_SURVEY  1: note the places that FAULT_CALL is called from
// FAULT_UNDER   only files below this folder; without it all regular files
// FAULT_STATE   a file of SHIM_STATE_BYTES, shared by all processes: counts, and what was
// done FAULT_STORM   microseconds between two signals whose handler does nothing
// FAULT_CLOCK   seconds that the clock of the wall is off
// FAULT_RECORD  a file: every step of files below FAULT_UNDER in order (power_cut.py reads
// it);
//               each inode gets a second name in FAULT_KEEP, so that its number is not
//               reused

#ifndef TESTS_FAULTS_SHIM_H
#define TESTS_FAULTS_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHIM_CALLS(X) \
    X(read)           \
    X(pread)          \
    X(write)          \
    X(pwrite)         \
    X(fsync) X(fdatasync) X(ftruncate) X(open) X(rename) X(unlink) X(mmap) X(malloc)

enum shim_call {
#define X(name) SHIM_##name,
    SHIM_CALLS(X)
#undef X
        SHIM_CALLS_END
};

enum { SHIM_PLACES = 16384, SHIM_TEXT_BYTES = 16384 };

struct shim_state { // little-endian, as fault.py reads it
    _Atomic uint64_t seen[16];
    _Atomic uint64_t matched, fired, text_used;
    char text[SHIM_TEXT_BYTES];
    struct shim_place {
        _Atomic uint64_t hash, n;
    } places[SHIM_PLACES];
};

// True: the call is to fail, errno is set. A short one sets *is_short instead (NULL:
// fails).
bool shim_fails(enum shim_call call, bool *is_short);
bool shim_fails_fd(enum shim_call call, int fd, bool *is_short);
bool shim_fails_path(enum shim_call call, const char *path);
void *shim_next(const char *name); // the function behind the shim's
bool shim_is_under(const char *path);

// Recording. The lock is held over the call and its record.
bool shim_records(void);
bool shim_records_fd(int fd);
bool shim_records_path(int dirfd, const char *path);
void shim_record_lock(void);
void shim_record_unlock(void);
void shim_record_write(int fd, const void *p, size_t n, off_t at);
void shim_record_size(int fd, off_t size);
void shim_record_sync(int fd);
void shim_record_name(char kind, int dirfd, const char *path, int to_dirfd, const char *to);
void shim_record_open(int fd, int dirfd, const char *path, bool was_there, int flags);

#endif
