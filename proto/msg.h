// msg - the messages of PROTOCOL.md as structs, encoded and decoded from one list.
//
// On the wire: fixed header (64 bytes, little-endian; docs/PROTOCOL.md has the offsets),
// then one msgpack array of fixed arity, then - in a frame of its own - at most one
// payload. Nothing of a message is believed before it is checked: lengths, magic, version,
// check word, type, then the array by a bounded walk, and only then msgpack looks at it.

#ifndef PROTO_MSG_H
#define PROTO_MSG_H

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MSG_MAGIC = 0x434e5254, // "TRNC"
    MSG_VERSION = 6,
    MSG_FIXED_BYTES = 64,
    MSG_HEADER_MAX = 64 * 1024, // of a header frame
};

// Field kinds of messages.def:
//   U64   an unsigned integer
//   STR   text for people: UTF-8 without control characters other than tab and line feed,
//         at most `max` bytes; it may go to a terminal as it is
//   PATH  a file name: any bytes but NUL, at most `max`
//   H128  16 bytes: a digest, an id or a token
struct msg_str { // borrowed: from the caller when encoding, from the header when decoding
    const char *p;
    uint32_t n;
};

#define MSG_FIELD_U64(name)       uint64_t name;
#define MSG_FIELD_STR(name, max)  struct msg_str name;
#define MSG_FIELD_PATH(name, max) struct msg_str name;
#define MSG_FIELD_H128(name)      struct hash128 name;

// MESSAGE(NAME, wire type, direction, "meaning", FIELDS)
#define MESSAGE(NAME, num, dir, text, FIELDS)                                \
    struct msg_##NAME {                                                      \
        FIELDS(MSG_FIELD_U64, MSG_FIELD_STR, MSG_FIELD_PATH, MSG_FIELD_H128) \
    };
#include "proto/messages.def"
#undef MESSAGE

enum msg_type {
#define MESSAGE(NAME, num, dir, text, FIELDS) MSG_##NAME = num,
#include "proto/messages.def"
#undef MESSAGE
};

struct msg {
    enum msg_type type;
    uint64_t epoch;              // 0 before WELCOME
    uint64_t sid;                // 0 before WELCOME
    struct hash128 payload_hash; // of the payload, unpacked; travels as zero without one
    uint64_t payload_bytes;      // 0: no payload frame
    uint32_t unpacked; // 0, or the payload is packed (pack.h) and had so many bytes;
                       // of ASSIGN, RESULT and PIECE only
    union {
#define MESSAGE(NAME, num, dir, text, FIELDS) struct msg_##NAME NAME;
#include "proto/messages.def"
#undef MESSAGE
    };
};

// Header frame into `out` (emptied first). Text over its limit is cut between characters,
// and what may not be in it becomes '?'. A path over its limit or with a
// NUL is ERR_INVALID.
MUST_CHECK err_t msg_encode(const struct msg *m, struct buf *out, struct err *e);
// `out` borrows its strings from p, and is worth something on ERR_OK only. ERR_PROTO says
// what was wrong; a wrong version names both. Whether a message of this type may come from
// that side is the caller's to check.
MUST_CHECK err_t msg_decode(const uint8_t *p, size_t n, struct msg *out, struct err *e);

// Several messages in one frame, each with its payload right behind its array (flag
// MSG_INLINE of the fixed part).
enum { MSG_INLINE = 1 };
// Appends one to `out`, which is as it was on errors. m->payload_bytes of `payload` are
// copied.
MUST_CHECK err_t msg_append(const struct msg *m, const void *payload, struct buf *out,
                            struct err *e);
// Reads the first message of p[0..n), which may be alone (then as msg_decode, *used = n) or
// one of several: *used is where the next one begins, and *payload the bytes in between,
// borrowed. `payload` is empty for one that is alone: its payload has a frame of its own.
MUST_CHECK err_t msg_decode_next(const uint8_t *p, size_t n, struct msg *out,
                                 struct slice *payload, size_t *used, struct err *e);
const char *msg_type_name(enum msg_type t); // "?" for a stranger
// One line for logs: "RESULT input 0 bytes 0-1048576 attempt 1 rows_read 9000". Leaves out
// zeros, empty strings and all H128 (tokens are secrets); control characters become '?'.
void msg_describe(const struct msg *m, char *out, size_t cap);

static inline struct msg_str msg_str(const char *s, size_t n)
{
    return (struct msg_str){ s, (uint32_t)n };
}

#endif
