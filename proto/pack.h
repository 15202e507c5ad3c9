// pack - zstd (level 1) around payloads, for lines that are slower than it.
//
// What comes from a peer is unpacked into exactly the bytes that its header announced and
// that the caller has checked: a bomb finds no room.

#ifndef PROTO_PACK_H
#define PROTO_PACK_H

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACK_MIN = 4096 }; // smaller payloads are left alone

struct packer; // for one thread
MUST_CHECK err_t packer_new(struct packer **out, struct err *e);
void packer_free(struct packer **p);
size_t pack_bound(size_t n); // room that pack_bytes needs at most
// Bytes at `out`, fewer than 7/8 of n; 0: they would be more, do not fit `cap`, or there is
// no memory. Then the payload goes as it is.
size_t pack_bytes(struct packer *p, const void *from, size_t n, void *out, size_t cap);

// ERR_PROTO: it is not `want` bytes, packed. Nothing is written past to + want. Memory:
// some 100 KiB, whatever the bytes say.
MUST_CHECK err_t unpack_bytes(const void *from, size_t n, void *to, size_t want,
                              struct err *e);

#endif
