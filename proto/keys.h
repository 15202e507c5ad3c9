// keys - CURVE key pairs, the allow list, and the access file that a worker's host gets.
//
// All files are lines of "WORD VALUE"; '#' begins a comment line. Keys are written as Z85
// (ZeroMQ RFC 32, 40 characters). Each states its role, so that the one kind is not taken
// for the other, and is refused when anybody but its owner can read or write it. A process
// that reads or makes one leaves no core file any more and cannot be traced by its user.
//
//   keys/coordinator.key     role coordinator, public, secret
//   keys/allowed             role allowed, then one line a worker: "worker NAME PUBLIC"
//   keys/leases.key          role leases, secret: what lease tokens are made with
//   NAME.access              role worker, name, address, coordinator (its public key),
//                            public, secret

#ifndef PROTO_KEYS_H
#define PROTO_KEYS_H

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    KEY_BYTES = 32,
    KEY_TEXT = 41,  // as Z85, with the NUL
    KEYS_NAME = 61, // a worker's name, with the NUL: letters, digits, '.', '_' and '-'
    KEYS_ADDRESS = 300,
    KEYS_WORKERS_MAX = 100000,
};

struct key_pair {
    uint8_t public_key[KEY_BYTES], secret_key[KEY_BYTES];
};

struct access { // what a worker needs to come in
    char name[KEYS_NAME];
    char address[KEYS_ADDRESS]; // tcp://HOST:PORT
    uint8_t coordinator[KEY_BYTES];
    struct key_pair own;
};

struct allowed {
    char name[KEYS_NAME];
    uint8_t key[KEY_BYTES];
};
struct allow_list { // zero-initialised is a valid empty list
    struct allowed *v;
    size_t n;
};

MUST_CHECK err_t keys_new(struct key_pair *out, struct err *e);
void keys_wipe(void *secret, size_t n); // zeroes what the compiler must not leave out
void keys_text(const uint8_t key[KEY_BYTES], char out[KEY_TEXT]);
bool keys_parse(const char *text, uint8_t out[KEY_BYTES]); // false: it is no key
bool keys_name_is_good(const char *name);

// DIR/coordinator.key. `create`: made when missing, like DIR (0700). Without: ERR_INVALID
// says how to make keys.
MUST_CHECK err_t keys_coordinator(const char *dir, bool create, struct key_pair *out,
                                  struct err *e);
// DIR/leases.key: the same secret in every run from this folder; made when missing.
MUST_CHECK err_t keys_leases(const char *dir, uint8_t out[KEY_BYTES], struct err *e);

// DIR/allowed; a missing file is an empty list.
MUST_CHECK err_t keys_allowed(const char *dir, struct allow_list *out, struct err *e);
// Adds or removes one worker; readers see the old list or the new one. ERR_INVALID: the
// name or the key is allowed already, or the name is not there.
MUST_CHECK err_t keys_allow(const char *dir, const char *name, const uint8_t key[KEY_BYTES],
                            struct err *e);
MUST_CHECK err_t keys_revoke(const char *dir, const char *name, struct err *e);
void allow_list_free(struct allow_list *l); // leaves a valid empty list

MUST_CHECK err_t access_encode(const struct access *a, struct buf *out, struct err *e);
MUST_CHECK err_t access_read(struct access *out, const char *path, struct err *e);

// A new file with these bytes, mode 0600; ERR_INVALID: there is one already.
MUST_CHECK err_t keys_write_new(const char *path, const void *p, size_t n, struct err *e);

#endif
