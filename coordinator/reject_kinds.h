// reject_kinds - counts the rejected rows of a run by the kind of their reason, for the
// line of its summary that says which is the most frequent one.

#ifndef COORDINATOR_REJECT_KINDS_H
#define COORDINATOR_REJECT_KINDS_H

#include "common/buf.h"

#include <stdint.h>

enum { REJECT_KINDS = 32, REJECT_KIND = 200 };

struct reject_kinds { // zero-initialised is empty
    struct reject_kind {
        char kind[REJECT_KIND]; // as reason_kind says
        char like[REJECT_KIND]; // the first one: "column d: 'x' is not a date"
        uint64_t rows;
    } v[REJECT_KINDS];
    uint32_t n;
};

// Adds an encoded list (rejects.h), as it is known before it is committed: a result that
// comes twice counts twice, one that came packed not at all. When all places are taken a
// new kind takes that of the rarest one.
void reject_kinds_add(struct reject_kinds *k, struct slice rejects);
const struct reject_kind *reject_kinds_most(const struct reject_kinds *k); // NULL: none

#endif
