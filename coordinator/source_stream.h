// source_stream - one input as a stream of plain bytes: a regular file, a .gz, a .zst, a
// fifo or stdin. Offsets are those of the decompressed stream.
//
// The name decides what is decompressed: NAME.gz, NAME.zst. Files of several gzip members
// or zstd frames are read through. Used by one thread.

#ifndef COORDINATOR_SOURCE_STREAM_H
#define COORDINATOR_SOURCE_STREAM_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum stream_kind { STREAM_FILE, STREAM_PIPE, STREAM_GZIP, STREAM_ZSTD };

struct stream;

// `path` NULL: stdin. `name` is how errors call it. ERR_INVALID: no such file, a folder, a
// device, or not what its name promises; ERR_IO: may not or cannot be read.
MUST_CHECK err_t stream_open(struct stream **out, const char *path, const char *name,
                             struct err *e);
void stream_close(struct stream **s);
// While `fd` (borrowed) is readable, waiting for bytes of a pipe ends with ERR_CLOSED.
void stream_stop_by(struct stream *s, int fd);

enum stream_kind stream_kind(const struct stream *s);
const struct stat *stream_stat(const struct stream *s); // as of stream_open
int stream_fd(const struct stream *s);                  // borrowed

// Fills `to` with n bytes; fewer only at the end of the stream. ERR_CHANGED: the compressed
// data are damaged or stop in the middle (names the decompressed offset).
MUST_CHECK err_t stream_read(struct stream *s, void *to, size_t n, size_t *got,
                             struct err *e);

// The first n bytes of the stream (fewer: it is shorter) without taking them; *out lives
// until the next call, with CSV_PAD zero bytes before and past it. Only while nothing has
// been taken.
MUST_CHECK err_t stream_peek(struct stream *s, size_t n, struct slice *out, struct err *e);

uint64_t stream_offset(const struct stream *s);      // of the next byte
uint64_t stream_disk_offset(const struct stream *s); // bytes of the file used up so far
// Decompressed bytes as the first frame of a .zst file tells them; 0: not told.
uint64_t stream_told_size(const struct stream *s);
void stream_seek(struct stream *s, uint64_t offset); // STREAM_FILE only

// pread until n bytes or the end of the file.
MUST_CHECK err_t stream_pread(int fd, const char *name, void *to, size_t n, uint64_t offset,
                              size_t *got, struct err *e);

#endif
